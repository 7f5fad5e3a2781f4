"""Checks what no schema sees: that the objects of a rendering fit each other. Exits 1 and names what does not.

    references.py RENDERING.YAML...

Names of ConfigMaps, Secrets, ServiceAccounts and Services that are used must be rendered, too (Secrets: or be optional); a Service must
select pods and name a port of theirs; probes, disruption budgets and spread constraints likewise.
"""

import pathlib
import sys

import yaml


# Secrets that an operator makes; each is told of where it is used.
MADE_BY_HAND = {"steadfast-admin", "tsdb-admin", "steadfast-tls", "steadfast-peers-tls", "tsdb-tls", "tsdb-peers-tls"}


def pods(objects):
    """The pod template of each workload, with the workload."""
    return [(item, item["spec"]["template"]) for item in objects if item["kind"] in ("Deployment", "StatefulSet")]


def matches(selector, labels):
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def ports(template):
    return {port["name"] for container in template["spec"]["containers"] for port in container.get("ports", [])}


def used(template):
    """Kind, name and whether it may be missing, of everything that a pod names."""
    spec = template["spec"]
    if "serviceAccountName" in spec:
        yield "ServiceAccount", spec["serviceAccountName"], False
    for volume in spec.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"], volume["configMap"].get("optional", False)
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"], volume["secret"].get("optional", False)
    for container in spec["containers"]:
        for variable in container.get("env", []):
            for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
                if reference := variable.get("valueFrom", {}).get(key):
                    yield kind, reference["name"], reference.get("optional", False)


def faults(objects):
    names = {(item["kind"], item["metadata"]["name"]) for item in objects}
    templates = pods(objects)
    for item, template in templates:
        title = f"{item['kind']} {item['metadata']['name']}"
        labels = template["metadata"]["labels"]
        if not matches(item["spec"]["selector"]["matchLabels"], labels):
            yield f"{title}: its selector does not select its own pods"
        for kind, name, optional in used(template):
            if (kind, name) not in names and not optional and name not in MADE_BY_HAND:
                yield f"{title}: no {kind} {name}"
        if item["kind"] == "StatefulSet" and ("Service", item["spec"]["serviceName"]) not in names:
            yield f"{title}: no Service {item['spec']['serviceName']}"
        for constraint in template["spec"].get("topologySpreadConstraints", []):
            if not matches(constraint["labelSelector"]["matchLabels"], labels):
                yield f"{title}: spreads other pods than its own"
        volumes = {volume["name"] for volume in template["spec"].get("volumes", [])}
        volumes |= {claim["metadata"]["name"] for claim in item["spec"].get("volumeClaimTemplates", [])}
        for container in template["spec"]["containers"]:
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    yield f"{title}: no volume {mount['name']}"
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                if isinstance(port, str) and port not in ports(template):
                    yield f"{title}: {probe} asks a port {port}"
    for item in objects:
        title = f"{item['kind']} {item['metadata']['name']}"
        if item["kind"] == "Service":
            selected = [t for _, t in templates if matches(item["spec"]["selector"], t["metadata"]["labels"])]
            if not selected:
                yield f"{title}: selects nothing"
            for port in item["spec"]["ports"]:
                for template in selected:
                    if isinstance(port.get("targetPort"), str) and port["targetPort"] not in ports(template):
                        yield f"{title}: no port {port['targetPort']}"
        if item["kind"] == "PodDisruptionBudget":
            if not any(matches(item["spec"]["selector"]["matchLabels"], t["metadata"]["labels"]) for _, t in templates):
                yield f"{title}: selects nothing"
        if item["kind"] == "ServiceMonitor":
            wanted = item["spec"]["selector"]["matchLabels"]
            for endpoint in item["spec"]["endpoints"]:
                having = [s for s in objects if s["kind"] == "Service" and matches(wanted, s["metadata"].get("labels", {}))
                          and endpoint["port"] in {port["name"] for port in s["spec"]["ports"]}]
                if len(having) != 1:
                    yield f"{title}: {len(having)} Services with port {endpoint['port']}: each pod is scraped as often"
        if item["kind"] == "ClusterRoleBinding":
            if (item["roleRef"]["kind"], item["roleRef"]["name"]) not in names:
                yield f"{title}: no {item['roleRef']['kind']} {item['roleRef']['name']}"
            for subject in item["subjects"]:
                if not any(o["kind"] == subject["kind"] and o["metadata"]["name"] == subject["name"]
                           and o["metadata"].get("namespace") == subject["namespace"] for o in objects):
                    yield f"{title}: no {subject['kind']} {subject['namespace']}/{subject['name']}"


def main():
    found = []
    for path in map(pathlib.Path, sys.argv[1:]):
        objects = [item for item in yaml.safe_load_all(path.read_text()) if item]
        found += [f"{path.parent.name}/{path.name}: {fault}" for fault in faults(objects)]
    if found:
        sys.exit("\n".join(found))
    print(f"{len(sys.argv) - 1} renderings fit together")


if __name__ == "__main__":
    main()
