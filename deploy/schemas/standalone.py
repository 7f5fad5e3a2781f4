"""Standalone, strict JSON schemas, one file a kind, as kubeconform reads them. Called by update.sh.

    standalone.py kubernetes SWAGGER.JSON DIRECTORY
    standalone.py crd CRD.YAML DIRECTORY

Strict: a field that the API does not know is an error, and so is a field that stands there without a value. Descriptions are left
out; they are nine tenths of the text.
"""

import json
import pathlib
import sys

KINDS = [
    "apps/v1/Deployment",
    "apps/v1/StatefulSet",
    "networking.k8s.io/v1/NetworkPolicy",
    "policy/v1/PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1/ClusterRole",
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding",
    "/v1/ConfigMap",
    "/v1/Namespace",
    "/v1/Secret",
    "/v1/Service",
    "/v1/ServiceAccount",
]

QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = {"oneOf": [{"type": "integer"}, {"type": "string"}]}
# What JSON Schema knows; everything else says something to people or to the API server alone.
KEPT = {"type", "format", "enum", "required", "properties", "items", "additionalProperties", "$ref", "oneOf", "anyOf",
        "allOf", "not", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "minProperties"}


def strict(schema):
    """The schema without what does not check anything, closed against unknown fields."""
    if schema.get("format") == "int-or-string" or schema.get("x-kubernetes-int-or-string"):
        return INT_OR_STRING
    out = {}
    for key, value in schema.items():
        if key not in KEPT:
            continue
        if key == "properties":
            value = {name: strict(property) for name, property in value.items()}
        elif key in ("items", "additionalProperties", "not") and isinstance(value, dict):
            value = strict(value)
        elif key in ("oneOf", "anyOf", "allOf"):
            value = [strict(part) for part in value]
        out[key] = value
    open_ended = "additionalProperties" in out or schema.get("x-kubernetes-preserve-unknown-fields")
    if "properties" in out and not open_ended:
        out["additionalProperties"] = False
    return out


def named(schema):
    """Every definition that the schema refers to."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].removeprefix("#/definitions/")
        for value in schema.values():
            yield from named(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from named(value)


def write(path, schema):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema, sort_keys=True, separators=(",", ":")) + "\n")


def fix_kind(schema, group, version, kind):
    """apiVersion and kind must be there, and be these."""
    schema["properties"]["apiVersion"] = {"enum": [f"{group}/{version}" if group else version]}
    schema["properties"]["kind"] = {"enum": [kind]}
    schema["required"] = sorted({*schema.get("required", []), "apiVersion", "kind"})


def from_kubernetes(swagger, directory):
    definitions = json.loads(pathlib.Path(swagger).read_text())["definitions"]
    definitions[QUANTITY] = {"oneOf": [{"type": "string"}, {"type": "number"}]}
    by_kind = {}
    for name, definition in definitions.items():
        for gvk in definition.get("x-kubernetes-group-version-kind", []):
            by_kind[f"{gvk['group']}/{gvk['version']}/{gvk['kind']}"] = name
    for wanted in KINDS:
        group, version, kind = wanted.split("/")
        root = strict(definitions[by_kind[wanted]])
        fix_kind(root, group, version, kind)
        used, open_names = {}, set(named(root))
        while open_names:
            name = open_names.pop()
            used[name] = definitions[name] if name == QUANTITY else strict(definitions[name])
            open_names |= set(named(used[name])) - used.keys()
        first = group.split(".")[0]
        suffix = f"-{first}-{version}" if group else f"-{version}"
        write(pathlib.Path(directory) / f"{kind.lower()}{suffix}.json", {**root, "definitions": used})


def from_crd(path, directory):
    import yaml

    crd = yaml.safe_load(pathlib.Path(path).read_text())["spec"]
    kind = crd["names"]["kind"]
    for version in crd["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        # The metadata are the API server's own; names and labels of these objects are seen by the comparison.
        root = strict(schema)
        root["properties"]["metadata"] = {"type": "object"}
        fix_kind(root, crd["group"], version["name"], kind)
        write(pathlib.Path(directory) / f"{kind.lower()}_{version['name']}.json", root)


if __name__ == "__main__":
    {"kubernetes": from_kubernetes, "crd": from_crd}[sys.argv[1]](sys.argv[2], sys.argv[3])
