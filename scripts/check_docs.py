#!/usr/bin/env python3
"""Checks the documents as far as a program can: links lead somewhere, headings that are linked to exist, and docs/api.md has every path of
the admin API (api/src/admin/openapi.json). Exits 1 and names what does not hold. That configure.md has every setting: configure_doc.py.
"""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")


def documents():
    """All of the repository, none of what was built."""
    own = [path for path in ROOT.iterdir() if path.is_dir() and path.name != "target" and not path.name.startswith(".")]
    return sorted([*ROOT.glob("*.md"), *(path for directory in own for path in directory.rglob("*.md"))])


def anchors(path):
    """The headings of a document, as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path):
    # Code is no link.
    text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
    for target in LINK.findall(text):
        if "://" in target or target.startswith("mailto:"):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        if not found.exists():
            yield f"{path.relative_to(ROOT)}: {target}: no such file"
        elif anchor and found.suffix == ".md" and anchor not in anchors(found):
            yield f"{path.relative_to(ROOT)}: {target}: no such heading"


def undocumented_paths():
    text = (ROOT / "docs/api.md").read_text()
    for path in json.loads((ROOT / "api/src/admin/openapi.json").read_text())["paths"]:
        if f"{path}`" not in text:
            yield f"docs/api.md: {path} is missing"


def main():
    files = documents()
    faults = [fault for path in files for fault in broken_links(path)] + list(undocumented_paths())
    if faults:
        sys.exit("\n".join(faults))
    print(f"{len(files)} documents: links and paths are right")


if __name__ == "__main__":
    main()
