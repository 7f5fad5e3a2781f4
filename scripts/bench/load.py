"""The load: one recorded Heapster scrape, multiplied into many clusters whose values move from scrape to scrape.

Bodies are made before a clock starts, so that a figure is the server's. The same arguments make the same bytes.
"""
import gzip, http.client, pathlib, random, re, threading, time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
START_S = 1_700_000_000
INTERVAL_S = 60
BATCH_LINES = 10_000


def recorded_scrape():
    """The lines of the largest recorded scrape, as (series key and tags, number text, "i" or "")."""
    largest = []
    for path in sorted((ROOT / "testdata" / "heapster").glob("*.gz")):
        with gzip.open(path, "rb") as f:
            text = f.read().decode()
        found = re.findall(r"^(\S(?:\\ |[^ \n])*) value=(-?[0-9.]+)(i?) (\d{19})$", text, re.M)
        by_time = {}
        for head, number, suffix, stamp in found:
            by_time.setdefault(stamp, []).append((head, number, suffix))
        largest = max([largest, *by_time.values()], key=len)
    return largest


def motion(measurement, value):
    """How a metric moves between scrapes: (kind, size of a step)."""
    last = measurement.rsplit("/", 1)[-1]
    if last in ("limit", "request", "node_capacity", "node_allocatable", "node_reservation", "inodes", "restart_count"):
        return "constant", 0
    if last == "uptime":
        return "uptime", 0
    if last in ("rx_errors", "tx_errors", "major_page_faults"):
        return "rare", 0.02
    if measurement == "cpu/usage":
        return "counter", 4e9
    if last in ("rx", "tx", "page_faults"):
        return "counter", max(value / 2000, 3)
    return "gauge", 4096 if last in ("usage", "rss", "working_set", "available", "cache") else 1


class Clusters:
    """So many copies of the recorded cluster, each with its own names and values."""

    def __init__(self, count, seed=7):
        self.random = random.Random(seed)
        self.series = []
        scrape = recorded_scrape()
        for cluster in range(count):
            for head, number, suffix in scrape:
                head = head.replace("cluster_name=default", f"cluster_name=c{cluster:04}")
                head = re.sub(r"((?:nodename|pod_name)=(?:\\.|[^,\s\\])+)", rf"\1-c{cluster:04}", head)
                kind, size = motion(head.split(",", 1)[0], float(number))
                self.series.append([head + " value=", float(number), bool(suffix), kind, size])

    def __len__(self):
        return len(self.series)

    def scrape(self, stamp_s):
        """The bodies of one scrape, and all values moved on."""
        chance, end = self.random.random, f" {stamp_s * 1_000_000_000}"
        lines = []
        for one in self.series:
            head, value, integer, kind, size = one
            lines.append(f"{head}{int(value)}i{end}" if integer else f"{head}{value!r}{end}")
            if kind == "counter":
                one[1] = value + int(chance() * 2 * size)
            elif kind == "gauge":
                moved = value + round((chance() - 0.5) * 2 * max(abs(value) / 50, size) / size) * size
                one[1] = abs(moved) if integer else abs(moved) + round(chance(), 3)
            elif kind == "uptime":
                one[1] = value + INTERVAL_S * 1000 + int(chance() * 8) - 4
            elif kind == "rare":
                one[1] = value + (chance() < size)
        return [("\n".join(lines[at:at + BATCH_LINES]) + "\n").encode() for at in range(0, len(lines), BATCH_LINES)]

    def scrapes(self, first, count):
        """The bodies of `count` scrapes, the first of them number `first`."""
        bodies = []
        for n in range(first, first + count):
            bodies += self.scrape(START_S + n * INTERVAL_S)
        return bodies


def post_all(addresses, bodies, writers=2, stop=None):
    """Sends every body once, the addresses in turn. Answers seconds and the sorted latencies in ms.

    With `stop`, an event, writers end quietly when it is set, or when the servers are gone.
    """
    work, lock, took, errors = iter(enumerate(bodies)), threading.Lock(), [], []

    def run():
        connections = {}
        while not (stop and stop.is_set()):
            with lock:
                place, body = next(work, (0, None))
            if body is None:
                return
            address = addresses[place % len(addresses)]
            if address not in connections:
                host, port = address.split(":")
                connections[address] = http.client.HTTPConnection(host, int(port), timeout=120)
            began = time.monotonic()
            try:
                connections[address].request("POST", "/write?consistency=&db=k8s&precision=&rp=default", body=body)
                answer = connections[address].getresponse()
                text = answer.read()
            except OSError as error:
                if not stop:
                    errors.append(error)
                return
            took.append((time.monotonic() - began) * 1000)
            if answer.status != 204 and not stop:
                errors.append((answer.status, text[:200]))
                return

    began = time.monotonic()
    threads = [threading.Thread(target=run) for _ in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise SystemExit(f"writes failed, the first: {errors[0]}")
    return time.monotonic() - began, sorted(took)
