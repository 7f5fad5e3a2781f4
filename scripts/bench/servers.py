"""The servers that are measured, each started with data in a directory of its own and fsync as it comes."""
import http.client, json, os, pathlib, re, signal, socket, subprocess, time, urllib.parse

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def free_base(nodes):
    """A port p such that everything `steadfast dev --http-port p` needs is free."""
    while True:
        base = free_port()
        ports = [base + 10 * i + d for i in range(nodes) for d in (-3, 0, 2)]
        if max(ports) > 65_000:
            continue
        try:
            for port in ports:
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue


def request(address, method, target, body=None, timeout=300):
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request(method, target, body=body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def ask(address, query, timeout=300):
    """The answer to a query, as bytes; ends the run if it is an error."""
    target = "/query?" + urllib.parse.urlencode({"db": "k8s", "epoch": "ms", "q": query})
    status, body = request(address, "GET", target, timeout=timeout)
    if status != 200 or b'"error"' in body[:300]:
        raise SystemExit(f"query failed at {address}: {query}: {status} {body[:300]!r}")
    return body


def disk_mb(directory):
    """Bytes of all files, once also where hard links name one twice."""
    seen, total = set(), 0
    for path in pathlib.Path(directory).rglob("*"):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file() and stat.st_ino not in seen:
            seen.add(stat.st_ino)
            total += stat.st_blocks * 512
    return total / 1e6


class Server:
    """What all have: addresses, process ids, a directory."""

    def cpu_seconds(self):
        total = 0
        for pid in self.pids:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def resident_mb(self):
        text = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in self.pids]
        return [int(re.search(r"VmRSS:\s+(\d+)", t)[1]) / 1024 for t in text]

    def disk_mb(self):
        return disk_mb(self.directory)

    def wait_ready(self):
        target = "/query?" + urllib.parse.urlencode({"q": 'CREATE DATABASE k8s WITH NAME "default"'})
        for _ in range(600):
            try:
                if request(self.addresses[0], "POST", target, timeout=15)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"{self.name} did not come up")

    # More than a million series are written to one database here.
    environment = {"STEADFAST_WRITE_MAX_SERIES_PER_DATABASE": "0"}

    def spawn(self, *command):
        log = open(self.directory / "log", "ab")
        return subprocess.Popen([str(c) for c in command], stdout=log, stderr=log, env=os.environ | self.environment)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()


class Influxd(Server):
    name = "influxd, one node"

    def __init__(self, program, directory):
        self.directory, port = directory, free_port()
        self.addresses = [f"127.0.0.1:{port}"]
        (directory / "influxdb.conf").write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n[meta]\n  dir = "{directory}/meta"\n'
            f'[data]\n  dir = "{directory}/data"\n  wal-dir = "{directory}/wal"\n  max-series-per-database = 0\n'
            f'  query-log-enabled = false\n  compact-full-write-cold-duration = "10s"\n'
            f'  cache-snapshot-write-cold-duration = "10s"\n[monitor]\n  store-enabled = false\n'
            f'[http]\n  bind-address = "127.0.0.1:{port}"\n  log-enabled = false\n')
        self.process = self.spawn(program, "-config", directory / "influxdb.conf")
        self.pids = [self.process.pid]
        self.wait_ready()

    def settle(self):
        """Waits until compaction has come to rest."""
        last, quiet = None, 0
        for _ in range(120):
            time.sleep(1)
            now = round(self.disk_mb(), 1)
            quiet = quiet + 1 if now == last else 0
            last = now
            if quiet >= 20:
                return


class VictoriaMetrics(Server):
    name = "VictoriaMetrics, one node, no fsync"

    def __init__(self, program, directory):
        self.directory, port = directory, free_port()
        self.addresses = [f"127.0.0.1:{port}"]
        self.process = self.spawn(program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={directory}/data",
                                  "-retentionPeriod=20y", "-loggerLevel=ERROR")
        self.pids = [self.process.pid]
        for _ in range(300):
            try:
                if request(self.addresses[0], "GET", "/health", timeout=5)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"{self.name} did not come up: {(directory / 'log').read_text()}")

    def settle(self):
        time.sleep(20)


class Steadfast(Server):
    name = "Steadfast, three nodes"

    def __init__(self, program, directory):
        self.program, self.directory, self.base = program, directory, free_base(3)
        self.start()
        self.wait_ready()

    def start(self):
        state = self.directory / "data" / "dev.json"
        state.unlink(missing_ok=True)
        self.process = self.spawn(self.program, "dev", "--nodes", 3, "--data", self.directory / "data",
                                  "--http-port", self.base)
        for _ in range(600):
            if state.exists():
                break
            if self.process.poll() is not None:
                raise SystemExit((self.directory / "log").read_text())
            time.sleep(0.02)
        nodes = json.loads(state.read_text())["nodes"]
        self.addresses = [n["http"] for n in nodes]
        self.admin = [n["admin"] for n in nodes]
        self.pids = [n["pid"] for n in nodes]

    def kill_and_restart(self):
        """kill -9 of all nodes at once; answers the seconds from the new start until every node is ready."""
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        began = time.monotonic()
        self.start()
        waiting = set(self.admin)
        while waiting and time.monotonic() - began < 300:
            for admin in list(waiting):
                try:
                    if request(admin, "GET", "/readyz", timeout=5)[0] == 200:
                        waiting.discard(admin)
                except OSError:
                    pass
            time.sleep(0.02)
        if waiting:
            raise SystemExit(f"not ready after 300 s: {waiting}")
        return time.monotonic() - began

    def metric(self, name, node=0):
        """Sum of a metric over its labels on one node."""
        text = request(self.admin[node], "GET", "/metrics")[1].decode()
        return sum(float(v) for v in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M))

    def settle(self):
        """Seals everything on all nodes, by asking for a checksum of all groups at one index; they must be equal. Then
        waits until compaction has come to rest on all nodes."""
        status, body = request(self.admin[0], "POST", "/admin/v1/checksum")
        if status != 200 or not json.loads(body)["equal"]:
            raise SystemExit(f"replicas differ: {status} {body[:2000]!r}")
        last, quiet = None, 0
        for _ in range(600):
            time.sleep(1)
            now = [self.metric("steadfast_group_disk_bytes", node) for node in range(len(self.admin))]
            quiet = quiet + 1 if now == last else 0
            last = now
            if quiet >= 30:
                return
