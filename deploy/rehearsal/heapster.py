"""Heapster's recorded scrapes, sent through the Service again and again, as Heapster sends them: once. What is not answered 204 is lost."""

import base64
import collections
import gzip
import http.client
import json
import re
import select
import threading
import time
import urllib.parse

# Nanoseconds between two scrapes' timestamps; more than any that the recording has.
STEP_NS = 10_000_000_000
TIMEOUT_SECONDS = 20


def scrapes(path):
    """The bodies of the recording's writes, each a list of lines without their timestamp."""
    with gzip.open(path) as file:
        rest = file.read()
    found = []
    for match in re.finditer(rb">>> [^\n]*\n(POST /write[^\n]*\r\n(?:[^\n]*\r\n)*?)\r\n", rest):
        length = int(re.search(rb"Content-Length: (\d+)", match[1])[1])
        body = rest[match.end():match.end() + length].decode()
        found.append([line.rsplit(" ", 1)[0] for line in body.splitlines()])
    if not found:
        raise ValueError(f"{path}: no writes in it")
    return found


class Heapster(threading.Thread):
    """Writes a scrape every `interval` seconds to whatever `pick` gives as the Service's address."""

    def __init__(self, recording, pick, interval):
        super().__init__(daemon=True)
        self.scrapes, self.pick, self.interval = scrapes(recording), pick, interval
        self.connection = None
        # Scrape number to what its timestamp must have: points by measurement.
        self.sent, self.acknowledged, self.failed, self.slowest = 0, {}, [], 0.0
        self.begin_ns = time.time_ns() // STEP_NS * STEP_NS - 3600 * 1_000_000_000
        self.running, self.stopped = threading.Event(), False

    def run(self):
        while not self.stopped:
            if not self.running.is_set():
                time.sleep(0.01)
                continue
            began = time.monotonic()
            self.send_one()
            time.sleep(max(0.0, self.interval - (time.monotonic() - began)))

    def send_one(self):
        number, lines = self.sent, self.scrapes[self.sent % len(self.scrapes)]
        self.sent += 1
        at = self.begin_ns + number * STEP_NS
        body = "\n".join(f"{line} {at}" for line in lines)
        began = time.monotonic()
        try:
            status, text = self.request("POST", "/write?consistency=&db=k8s&precision=&rp=default", body)
        except (OSError, http.client.HTTPException) as error:
            self.connection, status, text = None, None, repr(error)
        self.slowest = max(self.slowest, time.monotonic() - began)
        if status == 204:
            self.acknowledged[at] = collections.Counter(measurement(line) for line in lines)
        else:
            self.failed.append(f"scrape {number}: {status} {text}")

    def request(self, method, target, body=None):
        """On the kept connection, or a new one if the server has closed it, as Go's client does."""
        connection = self.connection
        if connection and select.select([connection.sock], [], [], 0)[0]:
            connection.close()
            connection = None
        if connection is None:
            address = self.pick()
            if address is None:
                raise ConnectionRefusedError("the Service has no endpoints")
            connection = http.client.HTTPConnection(address, 8086, timeout=TIMEOUT_SECONDS)
        self.connection = None
        credentials = base64.b64encode(b"root:root").decode()
        connection.request(method, target, body, {"User-Agent": "heapster/v1.5.4", "Authorization": f"Basic {credentials}"})
        answer = connection.getresponse()
        text = answer.read().decode()
        if connection.sock and not answer.will_close:
            self.connection = connection
        return answer.status, text

    def begin(self):
        """Creates its database as Heapster does, and goes on from there."""
        q = urllib.parse.quote_plus('CREATE DATABASE k8s WITH NAME "default"')
        status, text = self.request("GET", f"/query?db=&q={q}")
        assert status == 200, text
        self.start()
        self.running.set()

    def pause(self):
        self.running.clear()
        # The scrape on its way is answered first.
        time.sleep(self.interval)
        sent = None
        while sent != (len(self.acknowledged), len(self.failed)):
            sent = (len(self.acknowledged), len(self.failed))
            time.sleep(self.interval)

    def counts(self, address):
        """Points by timestamp and measurement, as a node counts them; None when it cannot."""
        end = self.begin_ns + self.sent * STEP_NS
        q = (f'SELECT count("value") FROM /.*/ WHERE time >= {self.begin_ns} AND time < {end} '
             f"GROUP BY time({STEP_NS}ns) fill(none)")
        target = urllib.parse.urlencode({"db": "k8s", "q": q, "epoch": "ns", "consistency": "strong"})
        connection = http.client.HTTPConnection(address, 8086, timeout=60)
        connection.request("GET", f"/query?{target}")
        answer = json.loads(connection.getresponse().read())
        connection.close()
        if "series" not in answer.get("results", [{}])[0]:
            return None
        counted = collections.defaultdict(dict)
        for series in answer["results"][0]["series"]:
            for at, count in series["values"]:
                counted[at][series["name"]] = count
        return counted

    def missing(self, address):
        """What a node does not have of what was acknowledged."""
        counted, faults = self.counts(address), []
        for at, wanted in self.acknowledged.items():
            if counted[at] != dict(wanted):
                lacking = sum(wanted.values()) - sum(counted[at].values())
                faults.append(f"scrape {(at - self.begin_ns) // STEP_NS} lacks {lacking} points")
        return faults


def measurement(line):
    return line.split(",", 1)[0]
