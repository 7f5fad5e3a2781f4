"""Rehearses the StatefulSet without Kubernetes: the rendered manifests, played with real processes under Heapster's recorded load.

    rehearsal --rendering FILE --binary FILE [--boots NAME,…] [--only NAME,…] [--speed N] [--keep]

Each pod is a process in namespaces of its own with the image's root, read-only, under the image's user; its name is found by DNS,
its address is new each time; probes, preStop, grace, the Service's endpoints (three seconds behind) and the disruption budget are
played as written. Kubernetes' clock runs --speed times as fast; that of the nodes does not, so only near 1 it tells whether preStop is
long enough. No write may fail, no point may be lost, and there is one cluster after each scene. Needs root; see deploy/rehearse.sh.
"""

import argparse
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from cluster import Cluster
from heapster import Heapster
from manifests import Manifests

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDING = ROOT / "testdata/heapster/heapster.http.gz"
STARTED = time.monotonic()


def say(text):
    print(f"{time.monotonic() - STARTED:6.1f} s  {text}", flush=True)


class Stage:
    """A cluster and its load."""

    def __init__(self, arguments, order):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix=f"steadfast-rehearsal-{order}-"))
        self.keep = arguments.keep
        # Others than root must reach what is mounted from here.
        self.work.chmod(0o755)
        manifests = Manifests(arguments.rendering)
        self.cluster = Cluster(manifests, arguments.binary, ROOT / "deploy/image-root.sh", self.work, arguments.speed, say)
        self.heapster = Heapster(RECORDING, self.cluster.endpoints.pick, 0.4)
        self.count = manifests.replicas

    def begin(self, order):
        """The first boot, and the first scrapes."""
        ordinals = list(range(self.count))
        if order == "at-once":
            self.cluster.create(*ordinals)
        else:
            for ordinal in ordinals if order == "ordered" else reversed(ordinals):
                self.cluster.create(ordinal)
                self.cluster.sleep(5)
        self.cluster.wait_ready(self.count)
        self.cluster.wait("the Service has them", lambda: self.cluster.endpoints.pick())
        self.heapster.begin()
        self.more(2)

    def more(self, scrapes):
        """So many scrapes go through from now on."""
        wanted = self.heapster.sent + scrapes
        self.cluster.wait("writes go on", lambda: self.heapster.sent >= wanted)

    def check(self):
        """Nothing was refused, nothing is lost, there is one cluster."""
        self.heapster.pause()
        assert not self.heapster.failed, f"failed writes: {self.heapster.failed[:5]}"
        assert not self.cluster.notes, self.cluster.notes
        self.cluster.wait_settled()
        self.cluster.assert_one()
        for pod in self.cluster.pods.values():
            # A replica that is being filled says so, and sends its users elsewhere.
            self.cluster.wait(f"{pod.name} answers", lambda: self.heapster.counts(pod.address) is not None)
            faults = self.heapster.missing(pod.address)
            assert not faults, f"{pod.name}: {faults[:5]}"
        equal = self.cluster.ctl(0, "checksum")
        assert equal["equal"], equal
        say(f"    {len(self.heapster.acknowledged)} scrapes are on all {len(self.cluster.pods)} nodes, none failed, the slowest took "
            f"{self.heapster.slowest:.2f} s")
        self.heapster.running.set()

    def close(self, failed):
        self.heapster.stopped = True
        self.cluster.close()
        if failed or self.keep:
            say(f"kept: {self.work}/logs, {self.work}/volumes")
        else:
            shutil.rmtree(self.work)


def rolling_update(stage):
    """kubectl rollout restart"""
    stage.cluster.rolling_update()
    stage.check()


def pod_deleted(stage):
    """kubectl delete pod: it comes back with its volume, at another address"""
    before = stage.cluster.pod(1).address
    stage.cluster.delete(1)
    stage.cluster.wait_ready(stage.count)
    assert stage.cluster.pod(1).address != before
    stage.check()


def container_killed(stage):
    """a container is killed: it is started again in its pod; a scrape that was on its way to it is Heapster's loss"""
    stage.heapster.pause()
    stage.cluster.pod(2).kill()
    stage.cluster.wait("it is not ready", lambda: not stage.cluster.pod(2).ready)
    # Machines still send to it for a while; Heapster's next scrape comes later than that.
    stage.cluster.sleep(stage.cluster.endpoints.DELAY_SECONDS)
    stage.heapster.running.set()
    stage.more(2)
    stage.cluster.wait_ready(stage.count)
    stage.check()


def volume_lost(stage):
    """kubectl delete pvc and pod: it comes back blank, and takes its place under a new id"""
    before = {node["id"] for node in stage.cluster.ctl(0, "nodes")["nodes"]}
    stage.cluster.delete(1, volume_too=True)
    stage.cluster.wait_ready(stage.count)
    stage.cluster.wait("the old id has left",
                       lambda: len({node["id"] for node in stage.cluster.ctl(0, "nodes")["nodes"]} - before) == 1
                       and len(stage.cluster.ctl(0, "nodes")["nodes"]) == stage.count)
    stage.check()


def machines_drained(stage):
    """kubectl drain of all machines at once: the budget lets one pod go at a time"""
    waiting, refused = list(range(stage.count)), 0
    assert stage.cluster.evict(waiting.pop(0))
    while waiting:
        if stage.cluster.evict(waiting[0]):
            waiting.pop(0)
        else:
            refused += 1
            stage.cluster.sleep(1)
    assert refused, "no eviction had to wait"
    stage.cluster.wait_ready(stage.count)
    stage.check()


def scaled(stage):
    """three pods become five and three again, by the commands of docs/operate.md"""
    cluster, peers = stage.cluster, stage.cluster.manifests.headless["metadata"]["name"]
    nothing_moves = lambda: not any(cluster.ctl(0, "moves")[key] for key in ("moves", "on_their_way"))
    for ordinal in (3, 4):
        cluster.ctl(0, "add", f"{cluster.pod_name(ordinal)}.{peers}:8088")
    cluster.create(3, 4)
    cluster.wait_ready(5)
    cluster.ctl(0, "replication-factor", "5")
    cluster.wait("nothing moves any more", nothing_moves, 120)
    stage.check()
    cluster.ctl(0, "replication-factor", "3")
    cluster.wait("nothing moves any more", nothing_moves, 120)
    for ordinal in (4, 3):
        peer = f"{cluster.pod_name(ordinal)}.{peers}:8088"
        node, = [str(node["id"]) for node in cluster.ctl(0, "nodes")["nodes"] if node["peer"] == peer]
        cluster.ctl(0, "drain", node, "--wait", "2m")
        cluster.ctl(0, "remove", node)
    cluster.scale_down(3)
    stage.check()


def all_killed(stage):
    """all containers are killed at once: what was acknowledged is there again"""
    stage.heapster.pause()
    for pod in stage.cluster.pods.values():
        pod.kill()
    stage.cluster.wait("none is ready", lambda: not stage.cluster.ready())
    stage.cluster.wait_ready(stage.count)
    stage.cluster.wait("the Service has them", lambda: stage.cluster.endpoints.pick())
    stage.check()


SCENES = {
    "rolling-update": rolling_update,
    "pod-deleted": pod_deleted,
    "container-killed": container_killed,
    "volume-lost": volume_lost,
    "machines-drained": machines_drained,
    "scaled": scaled,
    "all-killed": all_killed,
}
FIRST_BOOTS = ["at-once", "ordered", "reversed"]


def play(arguments, boot, scenes):
    failed = True
    stage = None
    try:
        say(f"first boot, {boot}")
        stage = Stage(arguments, boot)
        stage.begin(boot)
        stage.check()
        for name in scenes:
            say(f"{name}: {SCENES[name].__doc__}")
            SCENES[name](stage)
            stage.more(1)
        failed = False
    finally:
        if stage:
            stage.close(failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rendering", required=True)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(SCENES), help=f"of {', '.join(SCENES)}")
    parser.add_argument("--boots", type=lambda text: text.split(","), default=FIRST_BOOTS, help=f"of {', '.join(FIRST_BOOTS)}")
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    # Told to end, it takes its pods along.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for boot in arguments.boots:
        play(arguments, boot, arguments.only if boot == arguments.boots[0] else [])
    say("the rehearsal went well")


if __name__ == "__main__":
    sys.exit(main())
