#!/usr/bin/env python3
"""Measures a three-node Steadfast cluster beside one real influxd, on this machine, one after the other, same load.

    scripts/bench.py [--steadfast target/release/steadfast] [--influxd influxd] [--clusters 24] [--scrapes 20]

The load is one recorded Heapster scrape (testdata/heapster), multiplied into many clusters whose values move from scrape
to scrape, in Heapster's own batches of 10,000 lines. All bodies are made before the clock starts, so the figures are the
servers'. Then the dashboards that came with Heapster are asked. Prints a table in Markdown.

A speed is a ratio in one run: never compare a figure with one of another run or machine.
"""
import argparse, gzip, http.client, json, os, pathlib, re, shutil, signal, socket, statistics, subprocess, sys
import tempfile, threading, time, urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_S = 1_700_000_000
INTERVAL_S = 60
BATCH_LINES = 10_000
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
        try:
            for port in ports:
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue


def request(address, method, target, body=None, timeout=120):
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=timeout)
    try:
        connection.request(method, target, body=body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


# ------------------------------------------------------------------------------------------------ load

def recorded_scrape():
    """The lines of one full recorded scrape, as (head, field, number text, integer?)."""
    lines = []
    for path in sorted((ROOT / "testdata" / "heapster").glob("*.gz")):
        with gzip.open(path, "rb") as f:
            text = f.read().decode()
        found = re.findall(r"^(\S(?:\\ |[^ \n])*) value=(-?[0-9.]+)(i?) (\d{19})$", text, re.M)
        by_time = {}
        for head, number, suffix, stamp in found:
            by_time.setdefault(stamp, []).append((head, number, suffix))
        for scrape in by_time.values():
            if len(scrape) > len(lines):
                lines = scrape
    if not lines:
        sys.exit("no recorded scrape under testdata/heapster")
    return lines


def make_bodies(scrape, clusters, scrapes):
    """All request bodies, scrape by scrape: constants stay, counters grow, gauges wander."""
    series = []
    for cluster in range(clusters):
        for place, (head, number, suffix) in enumerate(scrape):
            head = head.replace("cluster_name=default", f"cluster_name=c{cluster:04}")
            head = re.sub(r"(nodename=[^,\s]+)", rf"\1-c{cluster:04}", head)
            series.append((head, float(number), suffix, place + cluster))
    bodies, points = [], 0
    for n in range(scrapes):
        stamp = f"{(START_S + n * INTERVAL_S) * 1_000_000_000}"
        lines = []
        for head, base, suffix, seed in series:
            name = head.split(",", 1)[0]
            if "limit" in name or "request" in name or "capacity" in name or "allocatable" in name or base == 0:
                value = base
            elif name in ("cpu/usage", "uptime", "network/rx", "network/tx", "memory/page_faults"):
                value = base + n * (base / 1000 + seed % 97)
            else:
                value = base * (1 + 0.05 * (((seed * 31 + n * 17) % 41) / 20 - 1))
            lines.append(f"{head} value={int(value)}i {stamp}" if suffix else f"{head} value={value!r} {stamp}")
        points += len(lines)
        for at in range(0, len(lines), BATCH_LINES):
            bodies.append(("\n".join(lines[at:at + BATCH_LINES]) + "\n").encode())
    return bodies, points


def post_all(addresses, bodies, concurrency):
    """Sends every body once; returns seconds and the sorted request latencies."""
    work, lock, took, errors = iter(enumerate(bodies)), threading.Lock(), [], []

    def run():
        connections = {}
        while True:
            with lock:
                item = next(work, None)
            if item is None:
                return
            place, body = item
            address = addresses[place % len(addresses)]
            if address not in connections:
                host, port = address.split(":")
                connections[address] = http.client.HTTPConnection(host, int(port), timeout=120)
            began = time.monotonic()
            connections[address].request("POST", "/write?consistency=&db=k8s&precision=&rp=default", body=body)
            answer = connections[address].getresponse()
            text = answer.read()
            took.append(time.monotonic() - began)
            if answer.status != 204:
                errors.append((answer.status, text[:200]))

    began = time.monotonic()
    threads = [threading.Thread(target=run) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        sys.exit(f"{len(errors)} writes failed, the first: {errors[0]}")
    return time.monotonic() - began, sorted(took)


# ------------------------------------------------------------------------------------------------ queries

def dashboard_queries(scrapes):
    """The panels of Heapster's cluster and pods dashboards, and three heavier ones."""
    low, high = START_S * 1000, (START_S + scrapes * INTERVAL_S) * 1000
    when = f"time >= {low}ms and time <= {high}ms"
    node = "node-02.example.internal-c0003"
    queries = []
    for m in ("cpu/usage_rate", "cpu/limit", "memory/usage", "memory/working_set", "network/tx_rate", "filesystem/usage"):
        queries.append(f"SELECT sum(\"value\") FROM \"{m}\" WHERE (\"type\" = 'node') AND {when} GROUP BY time(1m) fill(null)")
        queries.append(f"SELECT sum(\"value\") FROM \"{m}\" WHERE (\"type\" = 'node') AND {when} GROUP BY time(1m), \"nodename\" fill(null)")
        queries.append(f"SELECT sum(\"value\") FROM \"{m}\" WHERE (\"type\" = 'node' AND \"nodename\" =~ /{node}$/) AND {when} GROUP BY time(1m), \"nodename\" fill(null)")
        queries.append(f"SELECT sum(\"value\") FROM \"{m}\" WHERE (\"type\" = 'pod_container' AND \"namespace_name\" =~ /production$/) AND {when} GROUP BY time(1m), \"container_name\" fill(null)")
    queries.append('SHOW TAG VALUES FROM "uptime" WITH KEY = "nodename"')
    queries.append('SHOW TAG VALUES FROM "uptime" WITH KEY = "pod_name" WHERE "namespace_name" =~ /production$/')
    heavy = [
        f"SELECT mean(\"value\") FROM \"memory/usage\" WHERE {when} GROUP BY time(1m), \"pod_name\" fill(null)",
        f"SELECT percentile(\"value\", 95) FROM \"cpu/usage_rate\" WHERE {when} GROUP BY \"namespace_name\"",
        f"SELECT max(\"value\") FROM /memory.*/ WHERE {when} GROUP BY time(5m), \"type\" fill(none)",
    ]
    return queries, heavy


def ask_all(addresses, queries, repeat):
    """Latencies in ms, sorted, and a digest-like total of answer bytes."""
    took = []
    for n in range(repeat):
        for place, query in enumerate(queries):
            target = "/query?" + urllib.parse.urlencode({"db": "k8s", "epoch": "ms", "q": query})
            began = time.monotonic()
            status, body = request(addresses[(n + place) % len(addresses)], "GET", target)
            took.append((time.monotonic() - began) * 1000)
            if status != 200 or b'"error"' in body[:200]:
                sys.exit(f"query failed: {query}: {status} {body[:300]!r}")
    return sorted(took)


# ------------------------------------------------------------------------------------------------ servers

def cpu_seconds(pids):
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def resident_mb(pids):
    text = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return [int(re.search(r"VmRSS:\s+(\d+)", t)[1]) / 1024 for t in text]


def disk_mb(directory):
    """Bytes of all files once, also where hard links name one twice."""
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


class Influxd:
    name = "influxd 1.6.7, one node"

    def __init__(self, program, directory):
        port = free_port()
        self.addresses = [f"127.0.0.1:{port}"]
        self.directory = directory
        config = directory / "influxdb.conf"
        config.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n[meta]\n  dir = "{directory}/meta"\n'
            f'[data]\n  dir = "{directory}/data"\n  wal-dir = "{directory}/wal"\n  max-series-per-database = 0\n'
            f'  query-log-enabled = false\n[monitor]\n  store-enabled = false\n'
            f'[http]\n  bind-address = "127.0.0.1:{port}"\n  log-enabled = false\n')
        self.process = subprocess.Popen([program, "-config", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pids = [self.process.pid]

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


class Steadfast:
    name = "Steadfast, three nodes"

    def __init__(self, program, directory):
        self.directory = directory
        base = free_base(3)
        with open(directory / "dev.log", "wb") as log:
            self.process = subprocess.Popen([program, "dev", "--nodes", "3", "--data", str(directory / "data"),
                                             "--http-port", str(base)], stdout=log, stderr=log)
        state = directory / "data" / "dev.json"
        for _ in range(300):
            if state.exists():
                break
            if self.process.poll() is not None:
                sys.exit((directory / "dev.log").read_text())
            time.sleep(0.1)
        nodes = json.loads(state.read_text())["nodes"]
        self.addresses = [n["http"] for n in nodes]
        self.pids = [n["pid"] for n in nodes]
        self.admin = [n["admin"] for n in nodes]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def wait_ready(server):
    target = "/query?" + urllib.parse.urlencode({"q": 'CREATE DATABASE k8s WITH NAME "default"'})
    for _ in range(300):
        try:
            if request(server.addresses[0], "POST", target, timeout=15)[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.2)
    sys.exit(f"{server.name} did not come up")


def measure(server, bodies, points, args):
    wait_ready(server)
    before = cpu_seconds(server.pids)
    seconds, latencies = post_all(server.addresses, bodies, args.concurrency)
    cpu = cpu_seconds(server.pids) - before
    resident = resident_mb(server.pids)
    queries, heavy = dashboard_queries(args.scrapes)
    ask_all(server.addresses, queries, 1)
    light = ask_all(server.addresses, queries, args.repeat)
    hard = ask_all(server.addresses, heavy, args.repeat)
    time.sleep(args.settle)
    return {
        "points/s": f"{points / seconds:,.0f}",
        "CPU s per million points, all nodes": f"{cpu / points * 1e6:.2f}",
        "write request median / p99 / max, ms": "{:.0f} / {:.0f} / {:.0f}".format(*(1000 * q for q in quantiles(latencies))),
        "resident memory after the load, MB a node": " ".join(f"{m:.0f}" for m in resident),
        f"disk {args.settle} s after, MB, all nodes": f"{disk_mb(server.directory):.0f}",
        "dashboard query median / p99 / max, ms": "{:.1f} / {:.1f} / {:.1f}".format(*quantiles(light)),
        "heavy query median / p99 / max, ms": "{:.0f} / {:.0f} / {:.0f}".format(*quantiles(hard)),
    }


def quantiles(sorted_values):
    return statistics.median(sorted_values), sorted_values[int(0.99 * (len(sorted_values) - 1))], sorted_values[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = os.environ.get("CARGO_TARGET_DIR", str(ROOT / "target"))
    parser.add_argument("--steadfast", default=f"{target}/release/steadfast")
    parser.add_argument("--influxd", default=shutil.which("influxd"))
    parser.add_argument("--clusters", type=int, default=24)
    parser.add_argument("--scrapes", type=int, default=20)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--settle", type=int, default=20, help="seconds before the disk is measured")
    args = parser.parse_args()
    if not args.influxd:
        sys.exit("influxd is not installed: apt-get install influxdb")
    scrape = recorded_scrape()
    bodies, points = make_bodies(scrape, args.clusters, args.scrapes)
    print(f"{args.clusters} clusters x {len(scrape)} series, {args.scrapes} scrapes, {points:,} points, "
          f"{sum(map(len, bodies)) / 1e6:,.0f} MB, {args.concurrency} writers", file=sys.stderr)
    results = []
    for kind, program in ((Influxd, args.influxd), (Steadfast, args.steadfast)):
        with tempfile.TemporaryDirectory(prefix="steadfast-bench-") as directory:
            server = kind(program, pathlib.Path(directory))
            try:
                results.append((server.name, measure(server, bodies, points, args)))
            finally:
                server.stop()
    names = [name for name, _ in results]
    print(f"| | {' | '.join(names)} |\n|--|{'--|' * len(names)}")
    for key in results[0][1]:
        print(f"| {key} | {' | '.join(figures[key] for _, figures in results)} |")


if __name__ == "__main__":
    main()
