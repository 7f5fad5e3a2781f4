"""Compares two renderings, object by object: the chart's and kustomize's. Exits 1 and names every difference.

    compare.py CHART.YAML KUSTOMIZE.YAML [--without KIND]
"""

import argparse
import pathlib
import sys

import yaml

# What only the chart writes, and why it may.
CHART_ONLY = {
    # Helm's own bookkeeping.
    "labels": {"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"},
    # Restarts the pods when the configuration changes; with kustomize an operator does.
    "annotations": {"checksum/config"},
}


def objects(path, without):
    """The objects of a file by kind, namespace and name."""
    found = {}
    with open(path) as file:
        for item in yaml.safe_load_all(file):
            if not item or item["kind"] in without:
                continue
            name = (item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"])
            if name in found:
                sys.exit(f"{path}: {title(name)} twice")
            found[name] = item
    if not found:
        sys.exit(f"{path}: no objects")
    return found


def title(name):
    kind, namespace, name = name
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def without_chart_only(value, key=None):
    """The object without what only the chart may write."""
    if isinstance(value, dict):
        return {k: without_chart_only(v, k) for k, v in value.items() if k not in CHART_ONLY.get(key, ())}
    if isinstance(value, list):
        return [without_chart_only(item) for item in value]
    return value


def short(value):
    text = repr(value)
    return text if len(text) <= 160 else text[:157] + "..."


def differences(chart, kustomize, path=""):
    """One line for each place where the two differ."""
    if isinstance(chart, dict) and isinstance(kustomize, dict):
        for key in sorted(chart.keys() | kustomize.keys()):
            place = f"{path}.{key}" if path else key
            if key not in chart:
                yield f"{place}: only in kustomize: {short(kustomize[key])}"
            elif key not in kustomize:
                yield f"{place}: only in the chart: {short(chart[key])}"
            else:
                yield from differences(chart[key], kustomize[key], place)
    elif isinstance(chart, list) and isinstance(kustomize, list):
        if len(chart) != len(kustomize):
            yield f"{path}: {len(chart)} in the chart, {len(kustomize)} in kustomize: {short(chart)} and {short(kustomize)}"
        for i, (one, other) in enumerate(zip(chart, kustomize)):
            yield from differences(one, other, f"{path}[{i}]")
    elif isinstance(chart, str) and isinstance(kustomize, str) and "\n" in chart + kustomize:
        for i, (one, other) in enumerate(zip(chart.splitlines(), kustomize.splitlines()), 1):
            if one != other:
                yield f"{path}, line {i}: {short(one)} in the chart, {short(other)} in kustomize"
        if chart.count("\n") != kustomize.count("\n"):
            yield f"{path}: {chart.count(chr(10))} lines in the chart, {kustomize.count(chr(10))} in kustomize"
    elif chart != kustomize or type(chart) is not type(kustomize):
        yield f"{path}: {short(chart)} in the chart, {short(kustomize)} in kustomize"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("chart")
    parser.add_argument("kustomize")
    parser.add_argument("--without", action="append", default=[])
    arguments = parser.parse_args()
    chart = objects(arguments.chart, arguments.without)
    kustomize = objects(arguments.kustomize, arguments.without)
    found = []
    for name in sorted(chart.keys() | kustomize.keys()):
        if name not in chart:
            found.append(f"{title(name)}: only in kustomize")
        elif name not in kustomize:
            found.append(f"{title(name)}: only in the chart")
        else:
            pair = without_chart_only(chart[name]), without_chart_only(kustomize[name])
            found += [f"{title(name)}: {line}" for line in differences(*pair)]
    if found:
        print(f"{arguments.chart} and {arguments.kustomize} differ:", *found, sep="\n  ", file=sys.stderr)
        print("  (what only the chart may write stands in CHART_ONLY of compare.py)", file=sys.stderr)
        sys.exit(1)
    print(f"{pathlib.Path(arguments.chart).stem} = {pathlib.Path(arguments.kustomize).stem}: {len(chart)} objects")


if __name__ == "__main__":
    main()
