"""Checks the dashboards and the alerts as far as that goes without a cluster, and writes their PromQL as rules for promtool: the
alerts as they are, each panel's expression as one of its own.

    observability.py FILES_OF_THE_CHART ALERTS.YAML PANELS.YAML

That their metrics exist and their InfluxQL is answered is a test with a cluster: chaos-tests/tests/it/shipped_dashboards.rs.
"""

import json
import pathlib
import re
import sys

import yaml

RUNBOOKS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "operate.md"
VARIABLE = re.compile(r"\$\{?([A-Za-z_]+)")
# What Grafana itself puts in.
GIVEN = {"timeFilter", "__interval", "__rate_interval", "__all"}


def dashboard(path, faults):
    """The PromQL of a dashboard; what is wrong with it goes to `faults`."""
    board = json.loads(path.read_text())
    fault = lambda text: faults.append(f"{path.name}: {text}")
    variables = {variable["name"] for variable in board["templating"]["list"]}
    ids, places, expressions = set(), [], []
    for panel in board["panels"]:
        title = panel["title"]
        if panel["id"] in ids:
            fault(f"{title}: id {panel['id']} twice")
        ids.add(panel["id"])
        place = panel["gridPos"]
        for other, taken in places:
            if (place["x"] < taken["x"] + taken["w"] and taken["x"] < place["x"] + place["w"]
                    and place["y"] < taken["y"] + taken["h"] and taken["y"] < place["y"] + place["h"]):
                fault(f"{title} lies over {other}")
        places.append((title, place))
        if panel["type"] == "row":
            continue
        if not panel.get("targets"):
            fault(f"{title} asks nothing")
        for target in panel.get("targets", []):
            query = target.get("query") or target.get("expr") or ""
            if target["datasource"]["uid"] != "${datasource}":
                fault(f"{title}: a data source of its own")
            for name in VARIABLE.findall(query):
                if name not in variables | GIVEN:
                    fault(f"{title}: no variable {name}")
            if "expr" in target:
                expressions.append(query.replace("$__rate_interval", "5m").replace("$__interval", "1m"))
            elif not query.startswith("SELECT "):
                fault(f"{title}: {query!r} is no SELECT")
    return expressions


def alerts(path, faults):
    """The groups of the rule; each alert has what an operator needs."""
    spec = yaml.safe_load(path.read_text())["spec"]
    headings = {line.removeprefix("### ").strip() for line in RUNBOOKS.read_text().splitlines() if line.startswith("### ")}
    names = []
    for group in spec["groups"]:
        for rule in group["rules"]:
            name = rule["alert"]
            names.append(name)
            wanted = f"docs/operate.md#{name.lower()}"
            if rule["annotations"].get("runbook_url") != wanted:
                faults.append(f"{name}: runbook_url is not {wanted}")
            if rule.get("labels", {}).get("severity") not in ("critical", "warning"):
                faults.append(f"{name}: severity is neither critical nor warning")
            for key in ("summary", "description"):
                if not rule["annotations"].get(key):
                    faults.append(f"{name}: no {key}")
            if name not in headings:
                faults.append(f"{name}: no runbook in {RUNBOOKS.name}")
    faults += [f"{name}: twice" for name in sorted({name for name in names if names.count(name) > 1})]
    faults += [f"{RUNBOOKS.name}: {name}: no such alert" for name in sorted(headings) if name.startswith("Steadfast") and name not in names]
    return spec["groups"]


def main():
    files, alerts_yaml, panels_yaml = map(pathlib.Path, sys.argv[1:])
    faults, expressions = [], []
    boards = sorted((files / "grafana").glob("*.json"))
    for path in boards:
        expressions += dashboard(path, faults)
    groups = alerts(files / "prometheus" / "prometheusrule.yaml", faults)
    if faults:
        sys.exit("\n".join(faults))
    alerts_yaml.write_text(yaml.safe_dump({"groups": groups}))
    panels = [{"record": f"panel:number{i}", "expr": expression} for i, expression in enumerate(expressions)]
    panels_yaml.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": panels}]}))
    print(f"{len(boards)} dashboards, {len(panels)} PromQL expressions in them, {sum(len(group['rules']) for group in groups)} alerts")


if __name__ == "__main__":
    main()
