#!/usr/bin/env python3
"""Writes the tables of docs/configure.md from deploy/node.example.toml, which is what `steadfast serve --print-config` prints (a test of
node/ compares them).

    scripts/configure_doc.py           writes the file anew
    scripts/configure_doc.py --check   exits 1 if it is not current: a setting is missing or has changed
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "deploy" / "node.example.toml"
DOCUMENT = ROOT / "docs" / "configure.md"
BEGIN = "<!-- from here on written by scripts/configure_doc.py -->"


def sections(text):
    """Name, description and settings of each section; a setting is its name, its description, default and limits."""
    found, comment = [], []
    for line in text.splitlines():
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
        elif match := re.fullmatch(r"\[([a-z_]+)\]", line):
            found.append((match[1], " ".join(comment), []))
            comment = []
        elif match := re.match(r"([a-z_]+) = ", line):
            found[-1][2].append(setting(match[1], " ".join(comment)))
            comment = []
        else:
            comment = []
    return found


def setting(name, comment):
    match = re.fullmatch(r"(.*) Default (.*?)(?:, at least (.*?))?(?:, at most (.*?))?\. Environment: ([A-Z_]+)", comment)
    if not match:
        sys.exit(f"{EXAMPLE}: {name}: not as configure_doc.py knows it: {comment}")
    what, default, least, most, environment = match.groups()
    limits = f"{least} to {most}" if least and most else f"from {least}" if least else ""
    return name, what, default, limits, environment


def tables(text):
    out = []
    for section, what, settings in sections(text):
        out += ["", f"## [{section}]", "", what, "", "| Setting | Default | Limits | What, and what it trades |", "|--|--|--|--|"]
        for name, what, default, limits, environment in settings:
            if environment != f"STEADFAST_{section}_{name}".upper():
                sys.exit(f"{EXAMPLE}: {section}.{name}: the environment variable is {environment}")
            cells = [f"`{name}`", default if default == "empty" else f"`{default}`", limits, what.replace("|", "\\|")]
            out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


def main():
    head = DOCUMENT.read_text().split(BEGIN)[0]
    current = head + BEGIN + "\n" + tables(EXAMPLE.read_text())
    if sys.argv[1:] == ["--check"]:
        if DOCUMENT.read_text() != current:
            sys.exit(f"{DOCUMENT.relative_to(ROOT)} is not what {EXAMPLE.relative_to(ROOT)} says: run scripts/configure_doc.py")
        print("docs/configure.md has every setting")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        DOCUMENT.write_text(current)


if __name__ == "__main__":
    main()
