"""What Kubernetes does beside the kubelets: the StatefulSet's controller, endpoints, names, evictions, and `kubectl exec`."""

import collections
import http.client
import json
import shutil
import subprocess
import threading
import time

from kubelet import Pod, make_image, own
from network import NameServer, Network


class Cluster:
    """One StatefulSet in a network of its own. `speed`: how many times as fast as written its clock runs."""

    def __init__(self, manifests, binary, layout, work, speed, say):
        self.manifests, self.work, self.speed, self.say = manifests, work, speed, say
        self.notes, self.pods, self.lock = [], {}, threading.Lock()
        (work / "logs").mkdir(parents=True)
        mount_points = [target for _, target, _ in manifests.pod.mounts]
        self.image = make_image(binary, mount_points, work / "image", layout)
        self.network = Network()
        self.names = NameServer(self.network.host, self.resolve)
        self.endpoints = Endpoints(self)

    def close(self):
        for pod in list(self.pods.values()):
            pod.remove()
        self.endpoints.stopped = True
        self.names.close()
        self.network.close()

    # Time.

    def scaled(self, seconds):
        return seconds / self.speed

    def sleep(self, seconds):
        time.sleep(self.scaled(seconds))

    def note(self, text):
        """Something that should not happen; a scenario that minds looks here."""
        self.notes.append(text)
        self.say(f"    {text}")

    def wait(self, what, condition, seconds=60):
        ends = time.monotonic() + seconds
        while not condition():
            for pod in self.pods.values():
                if pod.failure:
                    raise AssertionError(f"{pod.name}: {pod.failure!r}")
            if time.monotonic() > ends:
                raise AssertionError(f"waited {seconds} s: {what}")
            time.sleep(0.05)

    # Pods and volumes.

    def pod_name(self, ordinal):
        return f"{self.manifests.name}-{ordinal}"

    def volume(self, claim, pod_name):
        """The directory of a claim; made when it is first used."""
        path = self.work / "volumes" / f"{claim}-{pod_name}"
        if not path.exists():
            path.mkdir(parents=True)
            own(path, self.manifests.pod.fs_group)
        return path

    def create(self, *ordinals):
        for ordinal in ordinals:
            name = self.pod_name(ordinal)
            with self.lock:
                self.pods[name] = Pod(name, self)

    def pod(self, ordinal):
        return self.pods[self.pod_name(ordinal)]

    def ready(self):
        return [pod for pod in self.pods.values() if pod.ready]

    def wait_ready(self, count, seconds=60):
        self.wait(f"{count} pods are ready", lambda: len(self.ready()) == count, seconds)

    def delete(self, ordinal, volume_too=False):
        """`kubectl delete pod`: it goes, and the controller makes it anew. With its claim: a new volume, too."""
        self.pod(ordinal).terminate()
        if volume_too:
            for claim in self.manifests.pod.claims:
                shutil.rmtree(self.volume(claim, self.pod_name(ordinal)))
        self.create(ordinal)

    def scale_down(self, count):
        """From the highest ordinal down, as the controller does."""
        for ordinal in sorted(range(count, len(self.pods)), reverse=True):
            self.pod(ordinal).terminate()
            del self.pods[self.pod_name(ordinal)]

    def rolling_update(self):
        """From the highest ordinal down, each when the one before has been ready for minReadySeconds."""
        for ordinal in reversed(range(len(self.pods))):
            self.delete(ordinal)
            pod, stays = self.pod(ordinal), self.scaled(self.manifests.min_ready_seconds)
            self.wait(f"{pod.name} is available", lambda: pod.ready and time.monotonic() - pod.ready_since >= stays, 120)

    def evict(self, ordinal):
        """The eviction API with the PodDisruptionBudget; False: refused, `kubectl drain` asks again."""
        pod = self.pod(ordinal)
        healthy = len(self.ready())
        needed = len(self.pods) - self.manifests.max_unavailable
        # unhealthyPodEvictionPolicy IfHealthyBudget: one that is not ready may go if the others are.
        if (healthy - 1 if pod.ready else healthy) < needed:
            return False
        self.delete(ordinal)
        return True

    # Names.

    def resolve(self, name):
        """As CoreDNS: pods of a headless Service that publishes those that are not ready, each under its own name."""
        domain = self.manifests.domain()
        if name == domain:
            return [pod.address for pod in self.pods.values() if not pod.gone]
        if name.endswith("." + domain):
            pod = self.pods.get(name.removesuffix("." + domain))
            return [pod.address] if pod and not pod.gone else None
        return None

    # What operators do.

    def ctl(self, ordinal, *arguments):
        """`kubectl exec POD -- /steadfast ctl …`; its JSON, or AssertionError with what it said."""
        pod = self.pod(ordinal)
        command = ["nsenter", "--target", str(pod.process.pid), "--mount", "--net", "--root", "--wd=/", "--setuid",
                   str(self.manifests.pod.user), "--setgid", str(self.manifests.pod.group), "/steadfast", "ctl", "--json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        if done.returncode:
            raise AssertionError(f"ctl {' '.join(arguments)}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def admin(self, pod, path):
        connection = http.client.HTTPConnection(pod.address, 8083, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return json.loads(answer.read()) if answer.status == 200 else {}
        except (OSError, ValueError):
            return {}
        finally:
            connection.close()

    def is_settled(self):
        """Every group has a leader, and every replica nearly all that it has."""
        groups = self.admin(self.ready()[0], "/admin/v1/cluster").get("groups", []) if self.ready() else []
        return bool(groups) and all(
            group["leader"] and all(replica["lag"] is not None and replica["lag"] < 20 for replica in group["replicas"])
            for group in groups)

    def wait_settled(self):
        self.wait("all replicas have caught up", self.is_settled)

    def assert_one(self):
        """All pods are members of one cluster, and no others."""
        told = [self.admin(pod, "/admin/v1/cluster") for pod in self.pods.values()]
        clusters = {status.get("cluster") for status in told}
        members = collections.Counter(node["peer"] for status in told for node in status.get("nodes", []))
        wanted = {f"{name}.{self.manifests.headless['metadata']['name']}:8088" for name in self.pods}
        assert len(clusters) == 1 and None not in clusters, f"clusters: {clusters}"
        assert set(members) == wanted and set(members.values()) == {len(told)}, f"members: {members}"


class Endpoints(threading.Thread):
    """The client Service, as a machine sees it: pods that are ready, a while ago. A pod that goes is still sent to for that long."""

    # What kube-proxy takes to learn of a change, at its slower end.
    DELAY_SECONDS = 3

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.stopped, self.turn = cluster, False, 0
        self.seen = collections.deque([(time.monotonic(), ())], maxlen=1000)
        self.start()

    def run(self):
        while not self.stopped:
            now = tuple(pod.address for pod in list(self.cluster.pods.values()) if pod.ready)
            if now != self.seen[-1][1]:
                self.seen.append((time.monotonic(), now))
            time.sleep(0.01)

    def pick(self):
        """An address for a new connection; None while there is none."""
        before = time.monotonic() - self.cluster.scaled(self.DELAY_SECONDS)
        known = next((addresses for since, addresses in reversed(list(self.seen)) if since <= before), ())
        self.turn += 1
        return known[self.turn % len(known)] if known else None
