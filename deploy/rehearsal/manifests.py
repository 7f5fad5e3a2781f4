"""What the rendered manifests say, as far as a cluster would act on it."""

import pathlib
import re

import yaml


class Manifests:
    """A rendering of kustomize or of the chart."""

    def __init__(self, path):
        self.objects = [item for item in yaml.safe_load_all(pathlib.Path(path).read_text()) if item]
        self.statefulset = self.only("StatefulSet")
        self.namespace = self.statefulset["metadata"]["namespace"]
        spec = self.statefulset["spec"]
        self.name = self.statefulset["metadata"]["name"]
        self.replicas = spec["replicas"]
        self.min_ready_seconds = spec.get("minReadySeconds", 0)
        self.headless = self.named("Service", spec["serviceName"])
        self.pod = PodTemplate(self, spec)
        budget = self.only("PodDisruptionBudget")["spec"]
        self.max_unavailable = budget["maxUnavailable"]
        if spec["podManagementPolicy"] != "Parallel" or not self.headless["spec"].get("publishNotReadyAddresses"):
            raise ValueError("pods that wait for each other to be ready would wait for ever")

    def only(self, kind):
        found = [item for item in self.objects if item["kind"] == kind]
        if len(found) != 1:
            raise ValueError(f"{len(found)} objects of kind {kind}")
        return found[0]

    def named(self, kind, name):
        return next(item for item in self.objects if (item["kind"], item["metadata"]["name"]) == (kind, name))

    def domain(self):
        """Where the pods' names are."""
        return f"{self.headless['metadata']['name']}.{self.namespace}.svc.cluster.local"


class PodTemplate:
    """The pods of the StatefulSet: one container."""

    def __init__(self, manifests, spec):
        template = spec["template"]["spec"]
        self.container, = template["containers"]
        self.args = self.container["args"]
        self.grace = template["terminationGracePeriodSeconds"]
        self.pre_stop = self.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        security = template["securityContext"]
        self.user, self.group = security["runAsUser"], security["runAsGroup"]
        self.fs_group = security["fsGroup"]
        if not self.container["securityContext"]["readOnlyRootFilesystem"]:
            raise ValueError("the rehearsal mounts the root read-only")
        self.probes = {name: self.probe(name) for name in ("startup", "readiness", "liveness")}
        self.claims = [claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]]
        # Volume to what is in it: a ConfigMap's files, or nothing.
        self.volumes = {}
        for volume in template.get("volumes", []):
            if "configMap" in volume:
                self.volumes[volume["name"]] = manifests.named("ConfigMap", volume["configMap"]["name"])["data"]
            elif "emptyDir" in volume:
                self.volumes[volume["name"]] = {}
            else:
                raise ValueError(f"volume {volume['name']}: not known here")
        self.mounts = [(mount["name"], mount["mountPath"], mount.get("readOnly", False))
                       for mount in self.container["volumeMounts"]]

    def probe(self, name):
        probe = self.container[f"{name}Probe"]
        port = probe["httpGet"]["port"]
        numbers = {port["name"]: port["containerPort"] for port in self.container["ports"]}
        return Probe(probe["httpGet"]["path"], numbers.get(port, port), probe.get("periodSeconds", 10),
                     probe.get("timeoutSeconds", 1), probe.get("failureThreshold", 3))

    def environment(self, pod_name):
        """As the kubelet makes it: fields of the pod, then $(NAME) of what stands before."""
        made = {}
        for variable in self.container["env"]:
            if "valueFrom" in variable:
                field = variable["valueFrom"].get("fieldRef", {}).get("fieldPath")
                if field != "metadata.name":
                    raise ValueError(f"{variable['name']}: not known here")
                made[variable["name"]] = pod_name
            else:
                made[variable["name"]] = re.sub(r"\$\((\w+)\)", lambda m: made.get(m[1], m[0]), variable["value"])
        return made


class Probe:
    """An HTTP probe; times in seconds."""

    def __init__(self, path, port, period, timeout, failures):
        self.path, self.port, self.period, self.timeout, self.failures = path, port, period, timeout, failures
