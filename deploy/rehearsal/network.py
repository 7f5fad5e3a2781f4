"""A network for pods: a namespace each on one bridge, a new address for every incarnation, and a name server as CoreDNS is one.

Needs root and `ip` of iproute2. Everything is named after this process and removed at the end; what a killed rehearsal left behind,
by the next one.
"""

import os
import pathlib
import socket
import struct
import subprocess
import threading

PREFIX = "sfr"
HOST = 254


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class Network:
    """10.78.PART.0/24: pods from .10 on, this process at .254."""

    def __init__(self):
        remove_left_behind()
        self.name = f"{PREFIX}{os.getpid()}"
        self.part = os.getpid() % 200 + 1
        self.joined = 0
        self.hub = f"{self.name}-hub"
        ip("netns", "add", self.hub)
        ip("-n", self.hub, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.hub, "link", "set", "bridge", "up")
        ip("link", "add", self.name, "type", "veth", "peer", "name", "host", "netns", self.hub)
        ip("-n", self.hub, "link", "set", "host", "master", "bridge", "up")
        ip("addr", "add", f"{self.host}/24", "dev", self.name)
        ip("link", "set", self.name, "up")

    @property
    def host(self):
        """The address of this process, and of its name server."""
        return f"10.78.{self.part}.{HOST}"

    def join(self):
        """A namespace with an address that nobody had before; both."""
        self.joined += 1
        if self.joined > 240:
            raise RuntimeError("more pods than addresses")
        space, address = f"{self.name}-{self.joined}", f"10.78.{self.part}.{self.joined + 9}"
        port = f"pod{self.joined}"
        ip("netns", "add", space)
        ip("-n", self.hub, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
        ip("-n", self.hub, "link", "set", port, "master", "bridge", "up")
        ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
        ip("-n", space, "link", "set", "eth0", "up")
        ip("-n", space, "link", "set", "lo", "up")
        return space, address

    def leave(self, space):
        """The namespace's address is gone for good."""
        ip("netns", "del", space)

    def close(self):
        # At once, so that the name is free; a namespace takes its links along some time later.
        ip("link", "del", self.name)
        remove(self.name)


def spaces():
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    return [line.split()[0] for line in listed.splitlines() if line.split()]


def remove(name):
    for space in spaces():
        if space.startswith(f"{name}-"):
            subprocess.run(["ip", "netns", "del", space], capture_output=True)


def remove_left_behind():
    for name in {space.split("-")[0] for space in spaces() if space.startswith(PREFIX)}:
        pid = name.removeprefix(PREFIX)
        if pid.isdigit() and not pathlib.Path(f"/proc/{pid}").exists():
            remove(name)


class NameServer(threading.Thread):
    """Answers A questions from `lookup`: a name without the final dot to its addresses, or None for one that there is not."""

    def __init__(self, address, lookup):
        super().__init__(daemon=True)
        self.lookup = lookup
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.socket.settimeout(0.2)
        self.stopped = False
        self.start()

    def run(self):
        while not self.stopped:
            try:
                question, sender = self.socket.recvfrom(512)
                self.socket.sendto(answer(question, self.lookup), sender)
            except TimeoutError:
                continue
        self.socket.close()

    def close(self):
        self.stopped = True
        self.join()


def answer(question, lookup):
    """The reply to a question with one name (RFC 1035)."""
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode("ascii", "replace"))
        at += 1 + question[at]
    kind, = struct.unpack("!H", question[at + 1:at + 3])
    end = at + 5
    found = lookup(".".join(labels).lower())
    # No such name: 3. A name without an address of this kind (AAAA): an empty answer.
    addresses = found if found and kind == 1 else []
    code = 0 if found is not None else 3
    head = question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(addresses), 0, 0)
    records = b"".join(struct.pack("!HHHIH", 0xC00C, 1, 1, 5, 4) + socket.inet_aton(address) for address in addresses)
    return head + question[12:end] + records
