"""One incarnation of a pod, run as a kubelet runs it: root, mounts, user, environment, probes, restarts, preStop and grace.

The container is a process in a network namespace and a mount namespace of its own, its root the read-only image.
"""

import http.client
import pathlib
import shutil
import signal
import subprocess
import threading
import time

# Arguments: image, root, user:group, number of mounts, for each source, target and `ro` or `rw`; then the command.
IN_ITS_OWN_MOUNTS = """
image="$1" root="$2" user="$3" mounts="$4"; shift 4
mount --bind "$image" "$root"
for ((i = 0; i < mounts; i++)); do
  mount --bind "$1" "$root$2"
  [ "$3" = rw ] || mount -o remount,bind,ro "$root$2"
  shift 3
done
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" "$@"
"""


class Pod:
    """A pod with a name that others had before it, and an address that nobody had."""

    def __init__(self, name, cluster):
        self.name, self.cluster, self.template = name, cluster, cluster.manifests.pod
        self.space, self.address = cluster.network.join()
        self.directory = cluster.work / "pods" / self.space
        self.process, self.restarts = None, 0
        self.ready, self.ready_since, self.terminating, self.gone = False, None, False, False
        self.failure = None
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.live, daemon=True)
        self.thread.start()

    # The container.

    def live(self):
        try:
            while not self.terminating:
                self.start()
                self.watch()
                self.ready = False
                if not self.terminating:
                    self.restarts += 1
                    # The first restart is at once; CrashLoopBackOff comes later.
                    self.cluster.sleep(0 if self.restarts == 1 else 10)
        except Exception as error:
            self.failure = error
            raise

    def start(self):
        with self.lock:
            if self.terminating:
                return
            mounts = [argument for mount in self.mounts() for argument in mount]
            root = self.directory / "root"
            root.mkdir(parents=True, exist_ok=True)
            command = ["ip", "netns", "exec", self.space, "unshare", "--mount", "bash", "-euc", IN_ITS_OWN_MOUNTS, "bash",
                       self.cluster.image, root, f"{self.template.user}:{self.template.group}", str(len(mounts) // 3), *mounts,
                       "/steadfast", *self.template.args]
            environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **self.template.environment(self.name)}
            with open(self.cluster.work / "logs" / f"{self.name}.log", "ab") as log:
                self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def mounts(self):
        """Source, target and mode of each."""
        for volume, target, read_only in self.template.mounts:
            if volume in self.template.claims:
                source = self.cluster.volume(volume, self.name)
            else:
                source = self.directory / volume
                if not source.exists():
                    source.mkdir(parents=True)
                    for file, text in self.template.volumes[volume].items():
                        (source / file).write_text(text)
                    own(source, self.template.fs_group)
            yield str(source), target, "ro" if read_only else "rw"
        resolv = self.directory / "resolv.conf"
        domain = self.cluster.manifests.domain().split(".", 1)[1]
        resolv.write_text(f"nameserver {self.cluster.network.host}\n"
                          f"search {domain} svc.cluster.local cluster.local\noptions ndots:5\n")
        yield str(resolv), "/etc/resolv.conf", "ro"

    # The probes.

    def watch(self):
        """Until the container has ended, is killed for its liveness, or the pod is to go."""
        probes = self.template.probes
        failed = dict.fromkeys(probes, 0)
        due = dict.fromkeys(probes, time.monotonic())
        started = False
        while self.process.poll() is None and not self.terminating:
            for name, probe in probes.items():
                if (name == "startup") == started or time.monotonic() < due[name]:
                    continue
                due[name] = time.monotonic() + self.cluster.scaled(probe.period)
                good = self.ask(probe)
                failed[name] = 0 if good else failed[name] + 1
                if name == "startup" and good:
                    started = True
                elif name == "readiness" and (good or failed[name] >= probe.failures):
                    self.set_ready(good)
                elif name in ("startup", "liveness") and failed[name] >= probe.failures:
                    self.cluster.note(f"{self.name}: killed, its {name} probe failed {failed[name]} times")
                    self.process.kill()
            time.sleep(0.02)
        if not self.terminating:
            self.process.wait()

    def set_ready(self, ready):
        if ready != self.ready:
            self.ready, self.ready_since = ready, time.monotonic()

    def ask(self, probe):
        # Not faster than the kubelet's: a slow answer is not the fault of a fast clock.
        connection = http.client.HTTPConnection(self.address, probe.port, timeout=probe.timeout)
        try:
            connection.request("GET", probe.path)
            return 200 <= connection.getresponse().status < 400
        except OSError:
            return False
        finally:
            connection.close()

    # The end.

    def terminate(self):
        """As a deletion does: out of the Service, preStop, SIGTERM, and SIGKILL when the grace is over."""
        with self.lock:
            self.terminating = True
        self.ready = False
        ends = time.monotonic() + self.template.grace
        # Meanwhile the other machines learn that it goes.
        self.cluster.sleep(self.template.pre_stop)
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=ends - time.monotonic())
            except subprocess.TimeoutExpired:
                self.cluster.note(f"{self.name}: killed, its grace of {self.template.grace} s was over")
                self.process.kill()
                self.process.wait()
        self.remove()

    def kill(self):
        """The container dies as by the kernel's hand; the kubelet starts it again."""
        self.process.kill()

    def remove(self):
        """What is left of it is gone, but for its claims and logs."""
        self.terminating = True
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.thread.join()
        self.cluster.network.leave(self.space)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.gone = True


def own(path, group):
    """As fsGroup does."""
    for item in [path, *path.rglob("*")]:
        shutil.chown(item, group=group)
        item.chmod(item.stat().st_mode | (0o2070 if item.is_dir() else 0o060))


def make_image(binary, mount_points, directory, layout):
    """The image's root, with the mount points that a container runtime makes."""
    subprocess.run([layout, binary, directory], check=True)
    for point in mount_points:
        (directory / point.lstrip("/")).mkdir(parents=True, exist_ok=True)
    (directory / "etc/resolv.conf").touch()
    return pathlib.Path(directory)
