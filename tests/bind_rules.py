#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""bind_rules.py [--every N] [--label TEXT] [CASE...]: what `sockfair bind-check` says, held against what bind() and listen() then really do. TAP.

Each case runs in a network namespace of its own. It makes thousands of sockets, each pair of one that is there and one that wants to come on a port of its
own: every combination of protocol, state, options, user and address. bind-check is asked about all of them first, then they are tried. So what is
tested is the kernel's rules as this very kernel has them. --every N takes each Nth combination (emulated machines are slow).
"""
import functools
import itertools
import json
import os
import random
import resource
import socket
import subprocess
import sys

sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
import cases
from cases import sysctl

SOCKFAIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sockfair")
IPV6_V6ONLY, SO_REUSEPORT, SO_BINDTODEVICE = 26, 15, 25
OTHER = 1000  # a user
ROUND = 4000  # pairs at once: their descriptors are limited
every = 1

# Address, IPV6_V6ONLY. Clients reach a wildcard by one of the addresses in CLIENTS.
ADDRESSES = [("0.0.0.0", False), ("127.0.0.1", False), ("127.0.0.2", False), ("::", False), ("::", True), ("::1", False), ("::ffff:127.0.0.1", False)]
CLIENTS = {"0.0.0.0": ["127.0.0.1", "127.0.0.2"], "::": ["::1", "127.0.0.1"], "::ffff:127.0.0.1": ["127.0.0.1"]}
FLAGS = [(False, False), (True, False), (False, True), (True, True)]


class Wish:
    """A socket that is there, or wants to come."""

    def __init__(self, udp, address, flags, uid, device=None):
        self.udp, (self.address, self.v6only), (self.reuseaddr, self.reuseport), self.uid, self.device = udp, address, flags, uid, device

    def __str__(self):
        words = [self.address + (" v6only" if self.v6only else ""), f"uid {self.uid}"]
        words += ["reuseaddr"] * self.reuseaddr + ["reuseport"] * self.reuseport + ([self.device] if self.device else [])
        return ", ".join(words)

    def make(self):
        """A socket belongs to the effective user of who makes it."""
        os.seteuid(self.uid)
        try:
            s = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_DGRAM if self.udp else socket.SOCK_STREAM)
        finally:
            os.seteuid(0)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, self.reuseaddr)
        s.setsockopt(socket.SOL_SOCKET, SO_REUSEPORT, self.reuseport)
        if ":" in self.address:
            s.setsockopt(socket.IPPROTO_IPV6, IPV6_V6ONLY, self.v6only)
        if self.device:
            s.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, self.device.encode())
        return s

    def target(self, port):
        return f"[{self.address}]:{port}" if ":" in self.address else f"{self.address}:{port}"

    def options(self):
        """Of the bind-check that is asked about it."""
        flags = ["--udp"] * self.udp + ["--reuseaddr"] * self.reuseaddr + ["--reuseport"] * self.reuseport + ["--v6only"] * self.v6only
        return tuple(flags + ["--user", str(self.uid)] + (["--device", self.device] if self.device else []))

    def attempt(self, port):
        """What really happens: None, or (call, error). What works is undone again."""
        s = self.make()
        call = "bind"
        try:
            s.bind((self.address, port))
            if not self.udp:
                call = "listen"
                s.listen(1)
        except OSError as error:
            return call, error.errno
        finally:
            s.close()
        return None


def connect(address, port, buffer=0):
    c = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    if buffer:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    c.connect((address, port))
    return c


def there(kind, wish, port, number, patience=30):
    """Makes what is there. Returns sockets to keep. patience: seconds, after which a connection is held to be another listener's."""
    s = wish.make()
    s.bind((wish.address, port))
    if kind in ("bound", "unconnected"):
        return [s]
    if kind == "cleared":  # kernels before 6.8 still let in who has the option, by the port's bucket
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        return [s]
    addresses = [a for a in CLIENTS.get(wish.address, [wish.address]) if not (wish.v6only and "." in a)]
    address = addresses[number % len(addresses)]
    if kind == "connected":
        s.connect(("::ffff:" + address if s.family == socket.AF_INET6 and "." in address and ":" not in address else address, 9))
        return [s]
    s.listen(5)
    if kind == "listening":
        return [s]
    client = connect(address, port)
    if kind == "queued":  # the connection that nobody accepts
        return [s, client]
    s.settimeout(patience)
    child = s.accept()[0]
    s.close()
    if kind == "established":
        return [child, client]
    if kind == "time-wait":
        child.close()
        client.close()
        return []
    if kind == "orphan":  # its client does not read, so the end never gets through
        child.setblocking(False)
        child.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        try:
            while True:
                child.send(b"x" * 65536)
        except BlockingIOError:
            child.close()
        return [client]
    raise ValueError(kind)


def predict(pairs):
    """{port: check} of bind-check, asked with one call for each set of options."""
    by_options, checks = {}, {}
    for wish, port in pairs:
        by_options.setdefault(wish.options(), []).append((wish, port))
    for options, group in by_options.items():
        run = subprocess.run([SOCKFAIR, "bind-check", "--json", *options, *(wish.target(port) for wish, port in group)], capture_output=True, text=True, check=False)
        if run.returncode not in (0, 3):
            raise AssertionError(f"bind-check {' '.join(options)} ended with {run.returncode}: {run.stderr}")
        document = json.loads(run.stdout)
        if not document["complete"]:
            raise AssertionError("bind-check did not see all")
        if (run.returncode == 3) != any(c["outcome"] != "works" for c in document["checks"]):
            raise AssertionError(f"status {run.returncode} does not say what the document says")
        for (wish, port), check in zip(group, document["checks"]):
            if (check["port"], check["address"]) != (port, wish.address):
                raise AssertionError(f"{wish.target(port)} was answered by {check['address']} {check['port']}")
            checks[port] = check
    return checks


def said(check):
    if check["outcome"] == "works":
        return None
    return check["call"], getattr(__import__("errno"), check["error"])


def compare(cases):
    """cases: (what is there, in words; who comes; port). Asks about all, tries all. Returns how many works, fails, may-fail were right."""
    checks, wrong, counts = predict([(wish, port) for _, wish, port in cases]), [], {}
    for words, wish, port in cases:
        really, check = wish.attempt(port), checks[port]
        counts[check["outcome"]] = counts.get(check["outcome"], 0) + 1
        if check["outcome"] != "may-fail" and said(check) != really:
            wrong.append(f"{'udp' if wish.udp else 'tcp'} {port}: there: {words}; comes: {wish}: said {said(check)}, but {really}; {check['occupants']}")
        elif check["outcome"] != "works" and not check["text"]:
            wrong.append(f"{port}: fails without a reason")
    if wrong:
        raise AssertionError(f"{len(wrong)} of {len(cases)} wrong:\n# " + "\n# ".join(wrong[:5]))
    return counts


def add(sums, counts):
    for name, count in counts.items():
        sums[name] = sums.get(name, 0) + count


def matrix(udp, kinds, devices=(None,), addresses=None, flags=None):
    flags, addresses = flags or FLAGS, addresses or ADDRESSES
    combinations = itertools.product(kinds, addresses, flags, devices, addresses, flags, (0, OTHER), devices)
    counts, cases, keep = {}, [], []
    for number, (kind, a, a_flags, a_device, b, b_flags, b_uid, b_device) in enumerate(combinations):
        if number % every:
            continue
        # Both users come first in turn.
        a_uid = OTHER * (number // 2 % 2)
        first, second = Wish(udp, a, a_flags, a_uid, a_device), Wish(udp, b, b_flags, b_uid, b_device)
        port = 10000 + number // every
        keep += there(kind, first, port, number)
        cases.append((f"{kind}: {first}", second, port))
        if len(cases) == ROUND:
            add(counts, compare(cases))
            cases, keep = [], []  # which closes them
    add(counts, compare(cases))
    if set(counts) != {"works", "fails"}:
        raise AssertionError(f"{counts}: both should happen, and nothing be left open")
    print(f"# {sum(counts.values())} pairs: {counts}")


def tcp():
    """TCP: bound, listening, cleared"""
    matrix(False, ["bound", "listening", "cleared"])


def tcp_connections():
    """TCP: connections that are accepted, queued, orphans, in TIME_WAIT"""
    matrix(False, ["queued", "established", "orphan", "time-wait"])


def udp():
    """UDP: unconnected, connected"""
    matrix(True, ["unconnected", "connected"])


def devices():
    """sockets of devices"""
    present = (None, "lo")
    if not subprocess.run(["ip", "link", "add", "other", "type", "dummy"], capture_output=True, check=False).returncode:
        present = (None, "lo", "other")
    matrix(False, ["bound", "listening"], present, ADDRESSES[:2])
    matrix(True, ["unconnected"], present, ADDRESSES[:2])


def vrf():
    """sockets of VRF devices"""
    if subprocess.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"], capture_output=True, check=False).returncode:
        return "this kernel has no VRF devices"
    for command in ("ip link add leg type veth peer name foot", "ip link set leg master red", "ip link add blue type vrf table 11"):
        subprocess.run(command.split(), check=True)
    devices, wildcards, plain = (None, "red", "leg", "blue"), [ADDRESSES[0], ADDRESSES[3]], FLAGS[:1]
    matrix(False, ["bound", "listening"], devices, wildcards, plain)
    matrix(True, ["unconnected"], devices, wildcards, plain)
    sysctl("net.ipv4.tcp_l3mdev_accept", "1")  # then TCP's ports are one
    matrix(False, ["bound", "listening"], devices, wildcards, plain)
    return None


def several():
    """several sockets on one port, by chance"""
    chance = random.Random(42)
    keep, cases = [], []
    for port in range(10000, 10000 + 4000 // every):
        protocol_udp = chance.random() < 0.4
        words = []
        for number in range(chance.randint(2, 5)):
            wish = Wish(protocol_udp, chance.choice(ADDRESSES), chance.choice(FLAGS[1:]), chance.choice((0, OTHER)))
            kind = chance.choice(("unconnected", "connected") if protocol_udp else ("bound", "bound", "listening", "queued", "established", "time-wait", "cleared"))
            try:
                keep += there(kind, wish, port, number, patience=0.05)  # of several listeners another one may get the connection
                words.append(f"{kind}: {wish}")
            except OSError:
                pass  # the others did not let it in
        cases.append(("; ".join(words), Wish(protocol_udp, chance.choice(ADDRESSES), chance.choice(FLAGS), chance.choice((0, OTHER))), port))
    counts = compare(cases)
    if counts.get("may-fail", 0) > len(cases) / 10 or not counts.get("works") or not counts.get("fails"):
        raise AssertionError(f"{counts}: too much is left open")
    print(f"# {len(cases)} ports: {counts}")


def clients():
    """ports that connect() picked"""
    listener = socket.create_server(("127.0.0.1", 9999), backlog=500)
    keep, cases, seen = [listener], [], set()
    for address, flags, uid in itertools.product(ADDRESSES, FLAGS, (0, OTHER)):
        client = connect("127.0.0.1", 9999)
        keep.append(client)
        port = client.getsockname()[1]
        if port not in seen:
            cases.append(("a client", Wish(False, address, flags, uid), port))
        seen.add(port)
    print(f"# {len(cases)} ports: {compare(cases)}")


def long_lists():
    """many UDP sockets on one port, of which kernels looked at some only"""
    keep, cases = [], []
    for port, sockets in ((10000, 10), (10001, 10), (10002, 14), (10003, 14), (10004, 14)):
        for number in range(1, sockets + 1):
            keep += there("unconnected", Wish(True, (f"127.0.0.{number}", False), FLAGS[0], 0), port, 0)
        address = {10000: "0.0.0.0", 10001: "127.0.0.99", 10002: "0.0.0.0", 10003: "127.0.0.99", 10004: "127.0.0.1"}[port]
        cases.append((f"{sockets} sockets", Wish(True, (address, False), FLAGS[0], 0), port))
    # Whether the wildcard beside 14 works depends on the kernel: it must be left open, the others must not.
    counts = compare(cases)
    if counts != {"fails": 2, "works": 2, "may-fail": 1}:
        raise AssertionError(f"{counts}")
    print(f"# {len(cases)} ports: {counts}, and really {cases[2][1].attempt(10002) or 'works'} beside 14")


CASES = [tcp, tcp_connections, udp, devices, vrf, several, clients, long_lists]


def with_ports(case):
    """The same case, with ports for clients that are none of those it asks about."""

    @functools.wraps(case)
    def prepared():
        sysctl("net.ipv4.ip_local_port_range", "20000 26999")
        return case()

    return prepared


def main():
    global every
    parser = cases.parser(__doc__)
    parser.add_argument("--every", type=int, default=1)
    arguments = parser.parse_args()
    every = arguments.every
    if every > 1 and every % 2 == 0:
        parser.error("--every takes an odd number: others would pass over the same options each time")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cases.run_all([with_ports(case) for case in CASES], arguments)


main()
