#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""binds.py [--backend NAME] [CASE...]: what `sockfair binds` says of calls that it sees made. TAP.

Each case runs in a network namespace of its own, and watches that one alone: nobody else's calls are in the counts. Every document is held against the
schema, and each call must be told exactly once.
"""
import ctypes
import errno
import fcntl
import json
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time


sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
import cases
import check_results
from cases import NEWNET, libc
from uring import Ring

HERE = os.path.dirname(os.path.abspath(__file__))
SOCKFAIR = os.path.join(HERE, "..", "sockfair")
NOBODY = 65534
MPTCP = 262
NEWUSER = 0x10000000
V4, V6, STREAM, DGRAM = socket.AF_INET, socket.AF_INET6, socket.SOCK_STREAM, socket.SOCK_DGRAM
REUSEADDR, REUSEPORT = socket.SO_REUSEADDR, socket.SO_REUSEPORT
ANY = {V4: "0.0.0.0", V6: "::"}
LOOPBACK = {V4: "127.0.0.1", V6: "::1"}

backend = None


def equal(what, got, expected):
    if got != expected:
        raise AssertionError(f"{what}: {got!r}, not {expected!r}")


def holds(text, *parts):
    for part in parts:
        if part not in (text or ""):
            raise AssertionError(f"'{part}' is not in: {text}")


# ---- calls ----


def make(family=V4, kind=STREAM, *options, protocol=0):
    s = socket.socket(family, kind, protocol)
    for option in options:
        s.setsockopt(socket.SOL_SOCKET, option, 1)
    if family == V6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return s


def call(function, *arguments):
    """Returns the name of the errno, or None."""
    try:
        function(*arguments)
        return None
    except OSError as error:
        return errno.errorcode[error.errno].replace("ENOTSUP", "EOPNOTSUPP")  # one number, two names


def sockaddr(family, port, address="127.0.0.1"):
    if family == V4:
        return struct.pack("=H", family) + struct.pack("!H", port) + socket.inet_pton(V4, address) + bytes(8)
    return struct.pack("=H", family) + struct.pack("!HI", port, 0) + socket.inet_pton(V6, address) + bytes(4)


def raw_bind(s, address, length=None):
    """bind() with any bytes; an int is a place in memory."""
    if libc.bind(s.fileno(), address, len(address) if length is None else length):
        raise OSError(ctypes.get_errno(), "bind")


class Other:
    """Another process, of that user; does what it is told and stays until it ends with the test."""

    def __init__(self, does, uid=0):
        back, there = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            if uid:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            try:
                kept = does()
                said = b"ok"
            except BaseException as error:
                said = repr(error).encode()[:1000]
            libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it ends with the case. Last, for a change of user forgets it
            os.write(there, said)
            signal.pause()
            del kept
        os.close(there)
        said = os.read(back, 1000)
        if said != b"ok":
            raise AssertionError("the other process: " + said.decode())


# ---- sockfair ----


class Watch:
    """`told`: the documents, `totals` the last one."""

    def __init__(self, *options, netns=True, **environment):
        command = [SOCKFAIR, "binds", "--json", *options]
        if netns:
            command += ["-N", str(os.stat("/proc/self/ns/net").st_ino)]
        if backend:
            command += ["--backend", backend]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
                                      preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))  # PR_SET_PDEATHSIG: a case that fails ends here
        said = ""
        while "watching" not in said:
            line = self.child.stderr.readline()
            if not line:
                raise AssertionError("sockfair binds ended: " + said)
            said += line

    def end(self, lost=False):
        out = []
        reader = threading.Thread(target=lambda: out.append(self.child.stdout.read()))
        reader.start()
        self.child.send_signal(signal.SIGINT)
        reader.join(60)
        err = self.child.stderr.read()
        if self.child.wait(60):
            raise AssertionError(f"sockfair binds ended with {self.child.returncode}: {err}")
        lines = out[0].splitlines()
        by_schema = check_results.schema_check("sockfair-binds-1")
        equal("wrong by the schema", [error for line in lines[:40] + lines[-1:] for error in by_schema(line)], [])
        documents = [json.loads(line) for line in lines]
        *self.told, self.totals = documents
        equal("kind of the last document", self.totals["kind"], "totals")
        equal("told", self.totals["told"], len(self.told))
        if not lost:
            equal("lost", self.totals["lost"]["by_reason"], {})
        return self

    def seen(self, binds, listens, failed):
        equal("binds", self.totals["binds"]["seen"], binds)
        equal("listens", self.totals["listens"]["seen"], listens)
        equal("failed", self.totals["binds"]["failed"] + self.totals["listens"]["failed"], failed)


def brief(document):
    """What of a document can be said beforehand."""
    return tuple(document[key] for key in ("kind", "protocol", "family", "address", "port", "error"))


def by_system_calls(totals):
    return totals["kernel"]["backend"] == "tracepoint"


# ---- cases ----


def each_call_once():
    """each bind() and listen() is told exactly once: IPv4, IPv6, UDP, MPTCP, those that work and those that fail"""
    kept, made = [], []

    def try_bind(s, name, address, port):
        made.append(("bind", name, 6 if s.family == V6 else 4, address, port, call(s.bind, (address, port))))
        kept.append(s)

    def try_listen(s, name, address, port, backlog):
        made.append(("listen", name, 6 if s.family == V6 else 4, address, port, call(s.listen, backlog)))

    watch = Watch("--all")
    for number, (name, kind, protocol) in enumerate((("tcp", STREAM, 0), ("udp", DGRAM, 0), ("tcp", STREAM, MPTCP))):
        for family in (V4, V6):
            port = 8100 + 10 * number + (family == V6)
            try:
                s = make(family, kind, protocol=protocol)
            except OSError:
                continue  # a kernel without MPTCP
            try_bind(s, name, LOOPBACK[family], port)
            try_bind(make(family, kind, protocol=protocol), name, ANY[family], port)
            if kind == STREAM:
                try_listen(s, name, LOOPBACK[family], port, 5)
                try_listen(s, name, LOOPBACK[family], port, 6)
            try_bind(s, name, LOOPBACK[family], port + 5)  # bound already
    s = make()
    s.listen(1)  # without bind()
    made.append(("listen", "tcp", 4, "0.0.0.0", s.getsockname()[1], None))
    kept.append(s)
    s = make(V4, DGRAM)
    made.append(("listen", "udp", 4, "0.0.0.0", 0, call(s.listen, 3)))
    for protocol in (socket.AF_UNIX, socket.AF_NETLINK):  # not ours to tell
        other = socket.socket(protocol, socket.SOCK_DGRAM)
        other.bind("\0binds" if protocol == socket.AF_UNIX else (0, 0))
        kept.append(other)
    for number in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        other = socket.socket(V4, socket.SOCK_RAW, number)  # has their protocol, and no port
        other.bind(("127.0.0.1", 0))
        kept.append(other)
    watch.end()
    told = [brief(document) for document in watch.told]
    for wanted in made:
        if told.count(wanted) != made.count(wanted):
            raise AssertionError(f"{wanted} is told {told.count(wanted)} times, made {made.count(wanted)} times")
    equal("documents", len(told), len(made))
    binds = [m for m in made if m[0] == "bind"]
    watch.seen(len(binds), len(made) - len(binds), sum(m[-1] is not None for m in made))
    for document in watch.told:
        equal("pid", document["pid"], os.getpid())
        equal("can_bind_low", document["can_bind_low"], True)
        equal("inode of a socket that lives", document["inode"] is not None, True)
        equal("backlog", document["backlog"] is None, document["kind"] == "bind")
        equal("suspicions", document["suspicions"], [])


def raw_sockets():
    """a raw socket of TCP or UDP has no port, though its number looks like one: 6 and 17 stay free"""
    kept = []
    for number, option in ((socket.IPPROTO_TCP, []), (socket.IPPROTO_UDP, ["--udp"])):
        kept.append(socket.socket(V4, socket.SOCK_RAW, number))
        kept[-1].bind(("127.0.0.1", 0))
        checked = subprocess.run([SOCKFAIR, "bind-check", "--json", *option, f"127.0.0.1:{number}"], capture_output=True,
                                 text=True, check=False)
        equal(checked.stderr, checked.returncode, 0)
        check = json.loads(checked.stdout)["checks"][0]
        equal(f"port {number}", (check["outcome"], check["occupants"]), ("works", []))


def reasons():
    """each failure has its reason: privileges, who has the port, TIME_WAIT with the seconds left, address, family"""
    listener = Other(lambda: listening(8200))
    bound = Other(lambda: bound_to(8201), uid=NOBODY)
    lingering(8202)
    watch = Watch()
    unprivileged = Other(lambda: refused(81), uid=NOBODY)
    elsewhere = Other(lambda: elsewhere_privileged(82), uid=NOBODY)
    equal("listening", call(make().bind, ("0.0.0.0", 8200)), "EADDRINUSE")
    equal("bound", call(make().bind, ("127.0.0.1", 8201)), "EADDRINUSE")
    equal("lingering", call(make().bind, ("127.0.0.1", 8202)), "EADDRINUSE")
    equal("not here", call(make().bind, ("192.0.2.1", 8203)), "EADDRNOTAVAIL")
    equal("family", call(raw_bind, make(), sockaddr(V6, 8204, "::1")), "EAFNOSUPPORT")
    equal("short", call(raw_bind, make(), sockaddr(V4, 8205)[:8]), "EINVAL")
    equal("no scope", call(make(V6).bind, ("fe80::1", 8206)), "EINVAL")
    equal("IPv4 for IPv6", call(raw_bind, make(V6), sockaddr(V4, 8208)), "EINVAL")
    listening_too = make(V4, STREAM, REUSEADDR)
    listening_too.bind(("127.0.0.1", 8207))
    other_listener = make(V4, STREAM, REUSEADDR)
    other_listener.bind(("127.0.0.1", 8207))
    other_listener.listen(1)
    equal("listen", call(listening_too.listen, 1), "EADDRINUSE")
    nowhere = call(raw_bind, make(), ctypes.c_void_p(1), 16)
    time.sleep(0.5)  # a look at who has a port comes within 0.2 s
    watch.end()
    told = {document["port"]: document for document in watch.told}
    holds(told[81]["why"], "ports below 1024 (net.ipv4.ip_unprivileged_port_start) need CAP_NET_BIND_SERVICE", f"pid {unprivileged.pid}, uid {NOBODY}")
    equal("can_bind_low", told[81]["can_bind_low"], False)
    holds(told[82]["why"], "only in a user namespace that does not own this network namespace", f"pid {elsewhere.pid}")
    holds(told[8200]["why"], f"(pid {listener.pid}, uid 0", " listens on 0.0.0.0:8200 without SO_REUSEPORT")
    equal("in the way", [o["pid"] for o in told[8200]["occupants"] if o["in_the_way"]], [listener.pid])
    holds(told[8201]["why"], f"(pid {bound.pid}, uid {NOBODY}", " is bound to, and does not listen on, 0.0.0.0:8201")
    holds(told[8202]["why"], "lingers in TIME_WAIT, for another")
    left = [o["seconds_left"] for o in told[8202]["occupants"] if o["state"] == "time-wait"]
    equal("seconds left", len(left) == 1 and 0 < left[0] <= 62, True)
    holds(told[8203]["why"], "no interface of this network namespace has the address 192.0.2.1")
    holds(told[8206]["why"], "a link-local address needs its interface")
    equal("kind", told[8207]["kind"], "listen")
    holds(told[8207]["why"], f"its own descriptor {other_listener.fileno()} listens on 127.0.0.1:8207; use that one")
    unknown = [document for document in watch.told if document["port"] is None]
    if by_system_calls(watch.totals):
        equal("bad address", (nowhere, unknown[-1]["error"]), ("EFAULT", "EFAULT"))
        holds(unknown.pop()["why"], "lies outside of the program's memory")
    equal("errors", [document["error"] for document in unknown], ["EAFNOSUPPORT", "EINVAL", "EINVAL"])
    holds(unknown[0]["why"], "the address that was passed is AF_INET6, the socket AF_INET")
    equal("asked family", unknown[0]["asked_family"], V6)
    holds(unknown[1]["why"], "shorter than its family needs")
    holds(unknown[2]["why"], "the address that was passed is AF_INET, the socket AF_INET6")
    watch.seen(13 if by_system_calls(watch.totals) else 12, 2, len(watch.told))


def capabilities(keep_permitted, keep_effective):
    """Takes CAP_NET_BIND_SERVICE from the calling process, but for the sets where it is to be kept."""
    version, sets = struct.pack("=Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    if libc.capget(version, sets):
        raise OSError(ctypes.get_errno(), "capget")
    effective, permitted, *rest = struct.unpack("=6I", sets.raw)
    taken = 0xffffffff & ~(1 << 10)
    if libc.capset(version, struct.pack("=6I", effective if keep_effective else effective & taken, permitted if keep_permitted else permitted & taken, *rest)):
        raise OSError(ctypes.get_errno(), "capset")


def rights():
    """what became of CAP_NET_BIND_SERVICE: permitted and not raised, dropped by root, out of the bounding set"""
    def permitted():
        capabilities(True, False)
        refused(83)

    def dropped():
        capabilities(False, False)
        refused(84)

    def bounded():
        if libc.prctl(24, 10, 0, 0, 0):  # PR_CAPBSET_DROP
            raise OSError(ctypes.get_errno(), "prctl")
        capabilities(False, False)
        refused(85)

    watch = Watch()
    others = [Other(does) for does in (permitted, dropped, bounded)]
    others.append(Other(lambda: refused(86), uid=NOBODY))
    watch.end()
    told = {document["port"]: document["why"] for document in watch.told}
    equal("ports", list(told), [83, 84, 85, 86])
    for port, words in ((83, "uid 0, root) has permitted, and has not raised"), (84, "does not have, though it is root: it was dropped"),
                        (85, "does not have, and can't get: its bounding set lacks it"), (86, f"uid {NOBODY}, nobody) does not have; give it that capability")):
        holds(told[port], words, f"(pid {others[port - 83].pid}, ")


def came_later():
    """who took the port after a call that failed is not blamed for it, though it has it when that is looked at, of either family; who took it before is"""
    old = listening(8250)
    watch = Watch("-4")  # calls of the other family are not told, but are known
    watch.child.send_signal(signal.SIGSTOP)  # it looks when all is over
    equal("first try", call(make().bind, ("127.0.0.1", 8250)), "EADDRINUSE")
    equal("another", call(make().bind, ("127.0.0.1", 8250)), "EADDRINUSE")
    old.close()
    new = listening(8250)
    client = socket.create_connection(("127.0.0.1", 8250))
    kept = new.accept()[0], client
    old = listening(8252)
    equal("third port", call(make().bind, ("127.0.0.1", 8252)), "EADDRINUSE")
    old.close()
    both_families = socket.create_server(("::", 8252), family=V6, dualstack_ipv6=True)
    pair = make(V4, STREAM, REUSEPORT), make(V4, STREAM, REUSEPORT)
    pair[0].bind(("127.0.0.1", 8253))
    pair[1].bind(("0.0.0.0", 8253))
    earlier = listening(8251)
    equal("second port", call(make().bind, ("127.0.0.1", 8251)), "EADDRINUSE")
    watch.child.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    watch.end()
    equal("ports", [(d["address"], d["port"]) for d in watch.told],
          [("127.0.0.1", 8250), ("127.0.0.1", 8250), ("127.0.0.1", 8252), ("0.0.0.0", 8253), ("127.0.0.1", 8251)])
    # Of two that SO_REUSEPORT does not join the second is told: the first had nobody beside it.
    equal("suspicion", [s["code"] for s in watch.told[3]["suspicions"]], ["group-split"])
    for document in watch.told[:3]:
        holds(document["why"], "whoever had the port is gone by now")
        equal("in the way", [o for o in document["occupants"] if o["in_the_way"]], [])
    holds(watch.told[4]["why"], f"its own descriptor {earlier.fileno()} listens on 0.0.0.0:8251")
    del kept, both_families, pair


def its_own():
    """what the caller has itself is told as its own, with the descriptor and what follows; so is what its parent or its child has"""
    first = listening(8260)
    child = Other(lambda: listening(8261))
    watch = Watch()
    equal("again", call(make().bind, ("127.0.0.1", 8260)), "EADDRINUSE")
    equal("IPv6", call(lambda: socket.create_server(("::", 8260), family=V6, dualstack_ipv6=True)), "EADDRINUSE")
    heir = Other(lambda: equal("heir", call(make().bind, ("127.0.0.1", 8260)), "EADDRINUSE"))

    def without():
        first.close()
        equal("without", call(make().bind, ("127.0.0.1", 8260)), "EADDRINUSE")

    bare = Other(without)
    equal("child's", call(make().bind, ("0.0.0.0", 8261)), "EADDRINUSE")
    time.sleep(0.5)
    watch.end()
    own = f"its own descriptor {first.fileno()}"
    equal("told", len(watch.told), 5)
    for document, relation, parts in zip(watch.told, ("itself", "itself", "itself", "parent", "child"), (
            (own + ", which ", " listens on 0.0.0.0:8260; use that one, or set SO_REUSEPORT on both"), (own, "an IPv6 socket takes IPv4 too, unless IPV6_V6ONLY is set"),
            (own + f", which its parent binds.py (pid {os.getpid()})", " hold too, listens on"), (f"its parent binds.py (pid {os.getpid()}",), (f"its child binds.py (pid {child.pid}",))):
        holds(document["why"], *parts)
        equal("relation", [o["relation"] for o in document["occupants"] if o["in_the_way"]], [relation])
    equal("pids", [d["pid"] for d in watch.told[2:4]], [heir.pid, bare.pid])


def client_on(port, peer, *options, before=lambda s: None):
    """A client whose port the kernel picks, from a range of one."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
        f.write(f"{port} {port}")
    s = make(V4, STREAM, *options)
    before(s)
    s.connect(peer)
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
        f.write("32768 60999")
    return s


def outgoing():
    """a client's port is told as one: to whom, who picked it, how to keep it free; its TIME_WAIT is no server's"""
    server = socket.create_server(("127.0.0.1", 8270), backlog=16)
    peer = ("127.0.0.1", 8270)
    kept = [client_on(40010, peer), client_on(40012, ("127.0.0.1", 40012)), client_on(40013, peer, before=lambda s: s.bind(("127.0.0.1", 40013)))]
    client_on(40011, peer).close()
    while True:  # the kernel's end of it first
        accepted = server.accept()[0]
        kept.append(accepted)
        if accepted.getpeername()[1] == 40011:
            break
    accepted.close()
    datagrams = make(V4, DGRAM)
    datagrams.connect(peer)
    udp = datagrams.getsockname()[1]
    late = client_on(40014, peer)  # into its bucket comes a bind()
    beside = make(V4, STREAM)
    beside.bind(("127.0.0.2", 40014))
    watch = Watch()
    for port in (40010, 40011, 40012, 40013, 40014):
        equal(port, call(make(V4, STREAM).bind, ("0.0.0.0", port)), "EADDRINUSE")
    equal("UDP", call(make(V4, DGRAM).bind, ("0.0.0.0", udp)), "EADDRINUSE")
    time.sleep(0.5)
    watch.end()
    told = {d["port"]: ([o for o in d["occupants"] if o["in_the_way"] and o["address"] == "127.0.0.1"][0], d["why"]) for d in watch.told}
    picked = ", port picked by the kernel"
    holds(told[40010][1], f"its own descriptor {kept[0].fileno()} has a connection on 127.0.0.1:40010, outgoing to 127.0.0.1:8270" + picked,
          "net.ipv4.ip_local_reserved_ports=40010 keeps it free")
    holds(told[40011][1], "1 connection on 127.0.0.1:40011, outgoing to 127.0.0.1:8270" + picked + ", lingers in TIME_WAIT", "for the client had not set it")
    holds(told[40012][1], "connected to itself" + picked)
    holds(told[40013][1], "outgoing to 127.0.0.1:8270, port asked for by bind() before connect()")
    holds(told[udp][1], f"has a connection on 127.0.0.1:{udp}, connected to 127.0.0.1:8270" + picked)
    equal("picked", [told[port][0]["port_picked"] for port in (40010, 40011, 40012, 40013, udp)], [True, True, True, False, True])
    equal("peer", told[40010][0]["peer"], {"address": "127.0.0.1", "port": 8270})
    # Before 6.18 only the bucket tells, and no more.
    if told[40014][0]["port_picked"] not in (True, None):
        raise AssertionError(told[40014])
    # The advice works.
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
        f.write("40020 40021")
    with open("/proc/sys/net/ipv4/ip_local_reserved_ports", "w") as f:
        f.write("40020")
    others = [socket.create_server((f"127.0.0.{n}", 8271)) for n in range(2, 7)]
    kept += [socket.create_connection(o.getsockname()) for o in others]
    equal("ports", {s.getsockname()[1] for s in kept[-5:]}, {40021})
    del late, beside


def range_is(low, high, reserved=""):
    cases.sysctl("net.ipv4.ip_local_port_range", f"{low} {high}")
    cases.sysctl("net.ipv4.ip_local_reserved_ports", reserved)


def all_ports_taken():
    """no port is left to pick for bind() and listen(): which are taken or reserved, who has most of them, of TCP and UDP, and nobody is blamed"""
    range_is(40000, 40007, "40000,40004-40006,50000")
    other = Other(lambda: [bound_to(port) for port in (40001, 40002)])
    watch = Watch()
    kept = [make()]
    equal("bind", [call(kept[0].bind, ("127.0.0.1", port)) for port in (40003,)], [None])
    kept.append(make())
    equal("the last", call(kept[1].bind, ("127.0.0.1", 0)), None)
    equal("none left", call(make().bind, ("127.0.0.1", 0)), "EADDRINUSE")
    equal("listen", call(make().listen, 1), "EADDRINUSE")
    udp = [make(V4, DGRAM) for _ in range(5)]
    equal("udp", [call(s.bind, ("127.0.0.1", 0)) for s in udp], [None] * 4 + ["EADDRINUSE"])
    time.sleep(0.5)
    watch.end()
    equal("told", [brief(d) for d in watch.told],
          [("bind", "tcp", 4, "127.0.0.1", 0, "EADDRINUSE"), ("listen", "tcp", 4, "0.0.0.0", 0, "EADDRINUSE"), ("bind", "udp", 4, "127.0.0.1", 0, "EADDRINUSE")])
    for document, most in zip(watch.told, (2, 2, 4)):
        holds(document["why"], "all 4 ports of 40000-40007 (net.ipv4.ip_local_port_range) that are not reserved (4 are) are taken for that address")
        equal("occupants", document["occupants"], [])
        found = document["range"]
        equal("range", (found["low"], found["high"], found["own"], found["reserved"], found["taken"], found["most_ports"]), (40000, 40007, False, 4, 4, most))
        equal("who has most", found["most_pid"] in ((os.getpid(),) if most == 4 else (os.getpid(), other.pid)), True)
    watch.seen(8, 1, 3)


def range_of_its_own():
    """a socket's own IP_LOCAL_PORT_RANGE is used up; all ports are reserved"""
    def narrow():
        s = make()
        s.setsockopt(socket.IPPROTO_IP, 51, struct.pack("I", 40003 << 16 | 40002))  # IP_LOCAL_PORT_RANGE
        return s

    try:
        kept = [narrow() for _ in range(3)]
    except OSError:
        return "this kernel has no IP_LOCAL_PORT_RANGE (6.3)"
    range_is(40000, 40007)
    watch = Watch()
    equal("bind", [call(s.bind, ("127.0.0.1", 0)) for s in kept], [None, None, "EADDRINUSE"])
    watch.end()
    holds(watch.told[0]["why"], "both ports of 40002-40003 (the socket's own IP_LOCAL_PORT_RANGE) are taken for that address", f"(pid {os.getpid()}) has them all")
    range_is(40000, 40007, ",".join(map(str, range(30000, 31000, 2))) + ",40000-40007")  # more than a page of them
    watch = Watch()
    equal("reserved", call(make().bind, ("127.0.0.1", 0)), "EADDRINUSE")
    watch.end()
    holds(watch.told[0]["why"], "40000-40007 (net.ipv4.ip_local_port_range), are reserved by net.ipv4.ip_local_reserved_ports")
    equal("reserved", watch.told[0]["range"]["reserved"], 8)
    return None


def vrf():
    """no port of a VRF is left: its own are counted, not those beside it"""
    if subprocess.run(["ip", "link", "add", "red", "type", "vrf", "table", "10"], capture_output=True, check=False).returncode:
        return "this kernel has no VRF devices"
    range_is(40000, 40003)
    kept = [bound_to(40000), bound_to(40001)]
    watch = Watch()
    for _ in range(5):
        kept.append(make())
        kept[-1].setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"red")
    equal("bind", [call(s.bind, ("0.0.0.0", 0)) for s in kept[2:]], [None] * 4 + ["EADDRINUSE"])
    watch.end()
    holds(watch.told[0]["why"], "all 4 ports of 40000-40003 (net.ipv4.ip_local_port_range) are taken for that address")
    equal("range", (watch.told[0]["range"]["taken"], watch.told[0]["range"]["most_ports"]), (4, 4))
    return None


def connect_finds_no_port():
    """connect() for which no port is left, of TCP and UDP: by what they are taken; other errors of connect(), and those that work, give no line"""
    server = bound_to(8800)
    server.listen(16)
    range_is(40000, 40003)
    bound = bound_to(40001)
    watch = Watch()
    kept = [make() for _ in range(4)]
    equal("connect", [call(s.connect, ("127.0.0.1", 8800)) for s in kept], [None] * 3 + ["EADDRNOTAVAIL"])
    equal("refused", call(make().connect, ("127.0.0.1", 8801)), "ECONNREFUSED")
    udp = [make(V4, DGRAM) for _ in range(5)]
    equal("udp", [call(s.connect, ("127.0.0.1", 9)) for s in udp], [None] * 4 + ["EAGAIN"])
    watch.end()
    if "connect() that finds no port" in watch.totals["kernel"]["unseen"]:
        return "this kernel has no bpf_task_pt_regs() (5.15)"
    equal("told", [brief(d) for d in watch.told], [("connect", "tcp", 4, "0.0.0.0", 0, "EADDRNOTAVAIL"), ("connect", "udp", 4, "0.0.0.0", 0, "EAGAIN")])
    first, second = watch.told
    equal("peers", [d["peer"] for d in watch.told], [{"address": "127.0.0.1", "port": 8800}, {"address": "127.0.0.1", "port": 9}])
    holds(first["why"], "all 4 ports of 40000-40003 (net.ipv4.ip_local_port_range) are taken for that destination", "1 of them somebody has by bind()")
    holds(second["why"], "all 4 ports of 40000-40003 (net.ipv4.ip_local_port_range) are taken for that address")
    equal("range", [(d["range"]["taken"], d["range"]["bound"], d["range"]["most_pid"]) for d in watch.told], [(4, 1, os.getpid()), (4, 0, os.getpid())])
    equal("connects", watch.totals["connects"]["failed"], 2)
    watch.seen(0, 0, 0)
    range_is(40010, 40010)
    kept.append(bound_to(40010))
    watch = Watch("-6")
    protocols = [0, MPTCP] if call(make, V6, STREAM) == call(lambda: make(V6, STREAM, protocol=MPTCP)) else [0]  # a kernel without MPTCP
    equal("IPv6", [call(make(V6, protocol=p).connect, ("::1", 8800)) for p in protocols], ["EADDRNOTAVAIL"] * len(protocols))
    watch.end()
    equal("told", [brief(d) for d in watch.told], [("connect", "tcp", 6, "::", 0, "EADDRNOTAVAIL")] * len(protocols))
    for told in watch.told:
        equal("peer", told["peer"], {"address": "::1", "port": 8800})
        holds(told["why"], "the only port of 40010-40010 (net.ipv4.ip_local_port_range) is taken for that destination; somebody has it by bind()")
    del server, bound
    return None


def connect_without_an_address():
    """IPv6 that is off is told, of bind() and connect(), and a connect() from a bound port that has that connection already: neither is taken for want of a port"""
    server = listening(8810)
    kept = make(V4, STREAM, REUSEADDR)
    kept.bind(("127.0.0.1", 8811))
    kept.connect(("127.0.0.1", 8810))
    watch = Watch()
    twice = make(V4, STREAM, REUSEADDR)
    twice.bind(("127.0.0.1", 8811))
    equal("the same connection", call(twice.connect, ("127.0.0.1", 8810)), "EADDRNOTAVAIL")
    cases.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
    equal("IPv6 is off", call(make(V6).connect, ("::1", 8810)), "EADDRNOTAVAIL")
    equal("so it is for bind", call(make(V6).bind, ("::1", 8812)), "EADDRNOTAVAIL")
    equal("elsewhere", call(make(V6).bind, ("2001:db8::1", 8813)), "EADDRNOTAVAIL")
    watch.end()
    off = watch.told[-2:]
    holds(off[0]["why"], "IPv6 is off on lo (net.ipv6.conf.lo.disable_ipv6=1), so that nobody has the address [::1]")
    holds(off[1]["why"], "IPv6 is off in this network namespace (net.ipv6.conf.all.disable_ipv6=1), so that nobody has the address [2001:db8::1]")
    if "connect() that finds no port" in watch.totals["kernel"]["unseen"]:
        return "this kernel has no bpf_task_pt_regs() (5.15)"
    holds(watch.told[0]["why"], "from 127.0.0.1:8811, to which the socket is bound, a connection to 127.0.0.1:8810 exists already")
    holds(watch.told[1]["why"], "IPv6 is off on lo (net.ipv6.conf.lo.disable_ipv6=1), so that no address is fit for a connection to [::1]:8810")
    equal("range", [d["range"] for d in watch.told], [None] * 4)
    del server
    return None


def listening(port, *options):
    s = make(V4, STREAM, *options)
    s.bind(("0.0.0.0", port))
    s.listen(1)
    return s


def bound_to(port, *options):
    s = make(V4, STREAM, *options)
    s.bind(("0.0.0.0", port))
    return s


def lingering(port):
    """The server closes first: its end goes to TIME_WAIT."""
    server = listening(port)
    client = socket.create_connection(("127.0.0.1", port))
    taken = server.accept()[0]
    taken.close()
    client.recv(1)
    client.close()
    server.close()


def refused(port):
    equal("bind", call(make().bind, ("0.0.0.0", port)), "EACCES")


def elsewhere_privileged(port):
    """Has all capabilities, in a user namespace of its own."""
    if libc.unshare(NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    refused(port)


def suspicions():
    """what worked and looks wrong: a port without htons() that listens (not one that does not, or that the kernel picked), UDP shared with another user, a group that is split"""
    theirs = Other(lambda: bound_udp("0.0.0.0", 8300, REUSEADDR), uid=NOBODY)
    member = Other(lambda: listening(8301, REUSEPORT))
    watch = Watch()
    swapped = make()
    raw_bind(swapped, struct.pack("=HHI", V4, 81, 0) + bytes(8))
    equal("port", swapped.getsockname()[1], 20736)
    for _ in range(2):  # told once
        swapped.listen(1)
    chance = bound_to(36895), bound_udp("0.0.0.0", 36895), make()  # 8080's twin
    range_is(20480, 20480)  # 80's
    chance[2].listen(1)
    equal("picked", chance[2].getsockname()[1], 20480)
    shared = bound_udp("127.0.0.1", 8300, REUSEADDR)
    split = make(V4, STREAM, REUSEPORT)
    split.bind(("127.0.0.1", 8301))
    joined = listening(8301, REUSEPORT)
    same_user = [bound_udp("127.0.0.1", 8302, REUSEADDR) for _ in range(2)]
    time.sleep(0.5)
    watch.end()
    found = {(d["port"], s["code"]): (d, s) for d in watch.told for s in d["suspicions"]}
    document, suspicion = found.pop((20736, "byte-swapped"))
    holds(suspicion["text"], "81 without htons() is 20736, which no list of services has", "one port in")
    equal("kind and pid", (document["kind"], document["pid"]), ("listen", os.getpid()))
    document, suspicion = found.pop((8300, "udp-two-users"))
    equal("the other user's", suspicion["pid"], theirs.pid)
    holds(suspicion["text"], f"uid {NOBODY}", "the last to bind gets all unicast datagrams")
    document, suspicion = found.pop((8301, "group-split"))
    holds(suspicion["text"], "differs in address")
    equal("errors", [d["error"] for d in watch.told if d["error"]], [])
    equal("others", list(found), [])
    watch.seen(8, 4, 0)
    del swapped, chance, shared, split, joined, same_user, member


def bound_udp(address, port, *options):
    s = make(V4, DGRAM, *options)
    s.bind((address, port))
    return s


def quiet():
    """a server's usual start gives no line, and is counted; what bind-check asks is not"""
    watch = Watch()
    kept = []
    for family in (V4, V6):
        kept.append(make(family, STREAM, REUSEADDR))
        kept[-1].bind((ANY[family], 8400))
        kept[-1].listen(511)
        for _ in range(3):
            kept.append(make(family, STREAM, REUSEADDR, REUSEPORT))
            kept[-1].bind((ANY[family], 8401))
            kept[-1].listen(511)
            kept.append(make(family, DGRAM, REUSEPORT))
            kept[-1].bind((ANY[family], 8402))
        kept.append(make(family, DGRAM))
        kept[-1].bind((ANY[family], 0))
        checked = subprocess.run([SOCKFAIR, "bind-check", f"127.0.0.1:{8410 + family}", f"[::1]:{8410 + family}"], capture_output=True, text=True, check=False)
        equal(checked.stderr, checked.returncode, 0)  # what it asks the kernel is no server's call
    time.sleep(0.5)
    watch.end()
    equal("told", watch.told, [])
    watch.seen(16, 8, 0)


def devices():
    """interfaces are told by the name that they have in the network namespace of the call, in one batch of several"""
    def elsewhere():
        if libc.unshare(NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        rename("theirs")
        return [to_device("theirs") for _ in range(3)]

    def rename(name):
        subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
        subprocess.run(["ip", "link", "set", "lo", "name", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)

    def to_device(name):
        s = make(V4, STREAM, REUSEADDR)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
        s.bind(("0.0.0.0", 8560))
        return s

    rename("ours")  # of both the index is 1
    watch = Watch("--all", "-P", "8560", netns=False)
    watch.child.send_signal(signal.SIGSTOP)
    kept = [to_device("ours")]
    other = Other(elsewhere)
    kept.append(to_device("ours"))
    watch.child.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    watch.end()
    equal("devices", sorted((d["pid"], d["device"]) for d in watch.told if d["pid"] in (os.getpid(), other.pid)), sorted([(os.getpid(), "ours")] * 2 + [(other.pid, "theirs")] * 3))
    del kept


def filters():
    """by port (with its twin), process, name, protocol and family"""
    def calls():
        for family in (V4, V6):
            for kind in (STREAM, DGRAM):
                for port in (20736, 8500):
                    make(family, kind).bind((LOOPBACK[family], port))

    watches = [(8, Watch("--all", "-p", str(os.getpid()))), (0, Watch("--all", "-p", "1")), (8, Watch("--all", "--comm", "binds.py")),
               (4, Watch("--all", "-t")), (4, Watch("--all", "-6")), (4, Watch("--all", "-P", "81")), (2, Watch("--all", "-P", "8500", "-u"))]
    with open("/proc/self/comm", "w") as f:
        f.write("binds.py")
    calls()
    for number, watch in watches:
        watch.end()
        equal(" ".join(watch.child.args[3:]), (len(watch.told), watch.totals["binds"]["seen"]), (number, number))


def by_cgroup():
    """-c: callers in that cgroup or below, though they are gone at once"""
    root = next((r for r in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(r + "/cgroup.procs")), None)
    if not root:
        return "no cgroup of version 2 is mounted"
    name = f"sf-binds-{os.getpid()}"
    below = f"{root}/{name}/below"
    os.makedirs(below)
    try:
        watch = Watch("-c", "/" + name)
        for place, port in ((below, 8501), (root, 8502), (below, 8503)):
            pid = os.fork()
            if not pid:
                with open(place + "/cgroup.procs", "w") as f:
                    f.write("0")
                refused_elsewhere = call(make().bind, ("192.0.2.1", port))
                os._exit(refused_elsewhere != "EADDRNOTAVAIL")
            equal("child", os.waitpid(pid, 0)[1], 0)
        watch.end()
    finally:
        os.rmdir(below)
        os.rmdir(f"{root}/{name}")
    equal("ports", [document["port"] for document in watch.told], [8501, 8503])
    watch.seen(2, 0, 2)
    return None


def of_one_unit():
    """a unit that has the port is not to be stopped where the caller is of it, too"""
    root = next((r for r in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(r + "/cgroup.procs")), None)
    if not root:
        return "no cgroup of version 2 is mounted"
    unit = f"sf-binds-{os.getpid()}.service"
    kept = []

    def within(place, does):
        with open(place + "/cgroup.procs", "w") as f:
            f.write("0")
        kept.append(does())

    os.mkdir(f"{root}/{unit}")
    try:
        others = [Other(lambda: within(f"{root}/{unit}", lambda: listening(8504)))]
        watch = Watch()
        for place in (f"{root}/{unit}", root):
            others.append(Other(lambda: within(place, lambda: equal("bind", call(make().bind, ("0.0.0.0", 8504)), "EADDRINUSE"))))
        watch.end()
        for other in others:
            os.kill(other.pid, signal.SIGKILL)
            os.waitpid(other.pid, 0)
    finally:
        os.rmdir(f"{root}/{unit}")
    inside, outside = (document["why"] for document in watch.told)
    holds(inside, f"in {unit}) listens on 0.0.0.0:8504 without SO_REUSEPORT; stop it, or take another port")
    holds(outside, f"stop it (systemctl stop {unit}), or take another port")
    return None


def namespace_is_gone():
    """who had a port of a network namespace that is gone can't be looked up: said so, and nobody is said to be gone who may be there"""
    watch = Watch("-P", "8477", netns=False)
    watch.child.send_signal(signal.SIGSTOP)
    pid = os.fork()
    if not pid:
        failed = libc.unshare(NEWNET)
        kept = listening(8477)
        failed = failed or call(make().bind, kept.getsockname()) != "EADDRINUSE"
        os._exit(bool(failed))
    equal("child", os.waitpid(pid, 0)[1], 0)
    watch.child.send_signal(signal.SIGCONT)
    watch.end()
    told = [document for document in watch.told if document["pid"] == pid]
    equal("errors", [document["error"] for document in told], ["EADDRINUSE"])
    holds(told[0]["why"], "not all sockets there could be looked at")


def full_ring():
    """what finds no room is counted: told + lost = made"""
    watch = Watch("--all", SOCKFAIR_RING="4096")
    watch.child.send_signal(signal.SIGSTOP)
    made = 500
    for _ in range(made):
        make().bind(("127.0.0.1", 0))
    watch.child.send_signal(signal.SIGCONT)
    watch.end(lost=True)
    lost = watch.totals["lost"]["by_reason"]
    equal("reasons", list(lost), ["events_full"])
    equal("told and lost", len(watch.told) + lost["events_full"], made)
    watch.seen(made, 0, 0)


def sleeps(tid):
    """In bind() or sendto(), by its number on amd64 or arm64; "running" while it is in none."""
    with open(f"/proc/self/task/{tid}/syscall", encoding="ascii") as f:
        return f.read().split()[0] in ("49", "200", "44", "206")


class Held:
    """A connected socket whose lock a thread holds: it sends from memory that userfaultfd keeps away, until it is let go."""

    def __init__(self):
        self.faults = libc.syscall(323, os.O_CLOEXEC)  # userfaultfd()
        if self.faults < 0:
            raise OSError(ctypes.get_errno(), "userfaultfd")
        fcntl.ioctl(self.faults, 0xC018AA3F, bytearray(struct.pack("=QQQ", 0xAA, 0, 0)))  # UFFDIO_API
        self.memory = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        place = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        fcntl.ioctl(self.faults, 0xC020AA00, bytearray(struct.pack("=QQQQ", place, mmap.PAGESIZE, 1, 0)))  # UFFDIO_REGISTER, of pages that are missing
        self.server = socket.create_server(("127.0.0.1", 0))
        self.socket = socket.create_connection(self.server.getsockname())
        self.threads = []
        self.begin(lambda: libc.send(self.socket.fileno(), ctypes.c_void_p(place), 10, 0))

    def begin(self, does):
        """In a thread, which then sleeps in the kernel."""
        numbers = []
        self.threads.append(threading.Thread(target=lambda: (numbers.append(threading.get_native_id()), does())))
        self.threads[-1].start()
        while not numbers or not sleeps(numbers[0]):
            time.sleep(0.01)

    def let_go(self):
        os.close(self.faults)
        for thread in self.threads:
            thread.join(20)
        self.socket.close()


def too_many_at_once():
    """more threads in a call than are followed: fentry tells them all the same, with others told + lost = made"""
    try:
        held = Held()
    except OSError as error:
        return f"no userfaultfd here: {error}"
    watch = Watch(SOCKFAIR_PENDING="2")
    made = 5
    for _ in range(made):
        held.begin(lambda: call(held.socket.bind, ("127.0.0.1", 8570)))
    held.let_go()
    watch.end(lost=True)
    lost = watch.totals["lost"]["by_reason"]
    told = len(watch.told)
    if watch.totals["kernel"]["backend"] == "fentry":  # from 7.x on the kernel may skip the exit's program, too
        equal("told and lost", (told + lost.pop("return_missed", 0) >= made, lost), (True, {}))
    else:
        equal("told and lost", (told, lost), (2, {"pending_full": made - 2}))
    watch.seen(told, 0, told)
    return None


def by_seccomp():
    """what a filter of seccomp refuses is no call: not told, and not lost"""
    number = {"x86_64": 49, "aarch64": 200}.get(os.uname().machine)
    if not number:
        return "not here"
    watch = Watch()
    pid = os.fork()
    if not pid:
        filters = ctypes.create_string_buffer(struct.pack("=" + "HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, number, 6, 0, 0, 0x50000 | errno.EPERM, 6, 0, 0, 0x7FFF0000))
        program = struct.pack("=HxxxxxxQ", 4, ctypes.addressof(filters))
        failed = libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0)  # PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP
        os._exit(bool(failed) or call(make().bind, ("127.0.0.1", 8580)) != "EPERM" or call(make().listen, 1) is not None)
    equal("child", os.waitpid(pid, 0)[1], 0)
    watch.end(lost=int(os.uname().release.split(".")[0]) >= 7)  # there entries are skipped, too
    watch.seen(0, 1, 0)
    equal("said", "calls that a seccomp filter answers" in watch.totals["kernel"]["unseen"], True)
    return None


def by_32_bits():
    """bind() by the system calls of 32-bit processes: told, or not seen and that is said"""
    code = bytes.fromhex("53 41 89 c8 89 f8 89 f3 89 d1 44 89 c2 cd 80 5b c3")  # f(number, first, second, third): int 0x80
    libc.mmap.restype = ctypes.c_void_p
    low = libc.mmap(None, 4096, 7, 0x62, -1, 0)  # readable, writable, executable; MAP_32BIT
    if os.uname().machine != "x86_64" or low in (None, 2**64 - 1):
        return "not here"
    pid = os.fork()
    if not pid:
        ctypes.memmove(low, code, len(code))
        os._exit(-ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_uint] * 4)(low)(20, 0, 0, 0) == 38)  # getpid()
    if os.waitpid(pid, 0)[1]:
        return "this kernel has no 32-bit system calls"
    ctypes.memmove(low, code, len(code))
    ctypes.memmove(low + 1024, sockaddr(V4, 8580, "192.0.2.1"), 16)
    watch = Watch()
    bind = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_uint] * 4)(low)
    kept = make()
    equal("bind", bind(361, kept.fileno(), low + 1024, 16), -errno.EADDRNOTAVAIL)
    watch.end()
    seen = 0 if by_system_calls(watch.totals) else 1
    equal("told, and said to be unseen", (len(watch.told), "calls by 32-bit processes" in watch.totals["kernel"]["unseen"]), (seen, not seen))
    watch.seen(seen, 0, seen)
    return None


BPF_PROG_LOAD, BPF_PROG_ATTACH = 5, 8


def bpf(command, attributes):
    """bpf(2)"""
    result = libc.syscall(321, command, ctypes.create_string_buffer(attributes, len(attributes)), len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), "bpf")
    return result


def instruction(code, to=0, of=0, offset=0, number=0):
    return struct.pack("=BBhi", code, to | of << 4, offset, number)


def port_program(refused_port, asked_port, given_port):
    """A program for bind() of IPv4 that refuses one port and gives another for a third. Its descriptor."""
    refused_port, asked_port, given_port = (socket.htons(port) for port in (refused_port, asked_port, given_port))
    text = b"".join((
        instruction(0x61, 2, 1, 24),  # r2 = the port of struct bpf_sock_addr
        instruction(0xB7, 0, number=0),
        instruction(0x15, 2, offset=4, number=refused_port),
        instruction(0xB7, 0, number=1),
        instruction(0x55, 2, offset=2, number=asked_port),
        instruction(0xB7, 2, number=given_port),
        instruction(0x63, 1, 2, 24),
        instruction(0x95),
    ))
    instructions, licence = ctypes.create_string_buffer(text, len(text)), ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack("=IIQQIIQII16sII", 18, len(text) // 8, ctypes.addressof(instructions), ctypes.addressof(licence), 0, 0, 0, 0, 0, b"tests_bind4", 0, 8)
    return bpf(BPF_PROG_LOAD, attributes)  # BPF_PROG_TYPE_CGROUP_SOCK_ADDR, for BPF_CGROUP_INET4_BIND


def by_a_cgroups_program():
    """a BPF program of the caller's cgroup refuses a port, and gives another one for that which was asked for"""
    root = next((r for r in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup") if os.path.exists(r + "/cgroup.procs")), None)
    if not root:
        return "no cgroup of version 2 is mounted"
    path = f"{root}/sf-bind4-{os.getpid()}"
    os.mkdir(path)
    try:
        cgroup = os.open(path, os.O_RDONLY)
        bpf(BPF_PROG_ATTACH, struct.pack("=IIII", cgroup, port_program(8590, 8591, 8592), 8, 0))
        watch = Watch()
        pid = os.fork()
        if not pid:
            with open(path + "/cgroup.procs", "w") as f:
                f.write("0")
            moved = make()
            errors = [call(make().bind, ("127.0.0.1", 8590)), call(moved.bind, ("127.0.0.1", 8591)), call(make().bind, ("127.0.0.1", 8593))]
            os._exit((errors, moved.getsockname()[1]) != (["EPERM", None, None], 8592))
        equal("child", os.waitpid(pid, 0)[1], 0)
        watch.end()
    finally:
        os.rmdir(path)
    equal("told", [brief(d) for d in watch.told], [("bind", "tcp", 4, "127.0.0.1", 8590, "EPERM"), ("bind", "tcp", 4, "127.0.0.1", 8591, None)])
    holds(watch.told[0]["why"], "a BPF program of its cgroup (bind4, bind6) or a security module refused it")
    equal("got", watch.told[1]["port_got"], 8592)
    holds(watch.told[1]["suspicions"][0]["text"], "changed what was asked for: not 127.0.0.1:8591, but 127.0.0.1:8592")
    watch.seen(3, 0, 1)
    return None


def full_ring_of_some():
    """with -p a full ring takes calls from the totals: told + lost is at least what was made, and the reason says so"""
    watch = Watch("-p", str(os.getpid()), SOCKFAIR_RING="4096")
    watch.child.send_signal(signal.SIGSTOP)
    Other(lambda: [make().bind(("127.0.0.1", 0)) for _ in range(200)])
    failed = 100
    for _ in range(failed):
        equal("bind", call(make().bind, ("192.0.2.1", 8550)), "EADDRNOTAVAIL")
    watch.child.send_signal(signal.SIGCONT)
    watch.end(lost=True)
    lost = watch.totals["lost"]
    equal("reasons", list(lost["by_reason"]), ["events_full_uncounted"])
    equal("counted are those that are told", watch.totals["binds"], {"seen": len(watch.told), "failed": len(watch.told)})
    equal("some are not", len(watch.told) < failed <= len(watch.told) + lost["by_reason"]["events_full_uncounted"], True)


def paced(made):
    """Binds 10,000 times a second, or slower: time that was lost is not made up for, so there are never more than 100 without a pause. Returns the longest delay."""
    start, longest = time.monotonic(), 0
    for i in range(made):
        s = socket.socket(V4, STREAM)
        s.bind(("127.0.0.1", 0))
        s.close()
        early = start + i / 10000 - time.monotonic()
        if early > 0.001:
            time.sleep(early)
        elif early < -0.01:
            longest = max(longest, -early)
            start -= early
    return longest


def ten_thousand_a_second():
    """10,000 binds a second for three seconds, all of them told"""
    made, busy = 30000, []
    for _ in range(3):
        memory = os.memfd_create("binds")  # a pipe would fill up
        watch = Watch("--all", "-o", f"/proc/{os.getpid()}/fd/{memory}")
        longest = paced(made)
        watch.child.send_signal(signal.SIGINT)
        watch.child.communicate(timeout=60)
        with open(f"/proc/self/fd/{memory}") as f:
            documents = f.read().splitlines()
        os.close(memory)
        totals = json.loads(documents[-1])
        lost = totals["lost"]["by_reason"]
        equal("told and lost, seen", (len(documents) - 1 + sum(lost.values()), totals["binds"]["seen"]), (made, made))
        if not lost:
            return None
        busy.append(longest)
    # Whoever can't even bind in time has a machine that does not let sockfair read in time either.
    if min(busy) < 0.1:
        raise AssertionError(f"calls were lost in each of {len(busy)} runs (the last: {lost}), though the machine was not too busy to make them: {busy} s behind")
    return f"this machine is too busy: {min(busy):.2f} s behind at best; what was lost was counted"


OP_CONNECT, OP_BIND, OP_LISTEN = 16, 56, 57


def io_uring():
    """bind(), listen() and a connect() that finds no port, through io_uring"""
    try:
        ring = Ring()
    except OSError as error:
        return f"no io_uring here: {error}"
    address = ctypes.create_string_buffer(sockaddr(V4, 8600), 16)
    first, second = make(), make()
    if ring.run(OP_BIND, first.fileno(), ctypes.addressof(address), offset=16) == -errno.EINVAL:
        return "this kernel has no such operation (6.11)"
    watch = Watch("--all")
    equal("listen", ring.run(OP_LISTEN, first.fileno(), length=9), 0)
    equal("in use", ring.run(OP_BIND, second.fileno(), ctypes.addressof(address), offset=16), -errno.EADDRINUSE)
    range_is(40000, 40000)
    kept = bound_to(40000)
    equal("no port", ring.run(OP_CONNECT, second.fileno(), ctypes.addressof(address), offset=16), -errno.EADDRNOTAVAIL)
    time.sleep(0.5)
    watch.end()
    told = {d["kind"]: d for d in watch.told if d["port"] != 40000}
    equal("told", [brief(d) for d in told.values()], [("listen", "tcp", 4, "127.0.0.1", 8600, None), ("bind", "tcp", 4, "127.0.0.1", 8600, "EADDRINUSE")] +
          ([("connect", "tcp", 4, "0.0.0.0", 0, "EADDRNOTAVAIL")] if by_system_calls(watch.totals) else []))
    if "connect" in told:
        holds(told["connect"]["why"], "the only port of 40000-40000 (net.ipv4.ip_local_port_range) is taken for that destination")
    equal("backlog", watch.told[0]["backlog"], 9)
    holds(watch.told[1]["why"], f"its own descriptor {first.fileno()} listens on 127.0.0.1:8600")
    return None


def security_module():
    """a security module's refusal (Landlock) is told once, and as what it is where the backend can tell"""
    attributes = ctypes.create_string_buffer(struct.pack("=QQ", 0, 1), 16)  # LANDLOCK_ACCESS_NET_BIND_TCP
    ruleset = libc.syscall(444, attributes, 16, 0)
    if ruleset < 0:
        return f"no Landlock for TCP here (6.7): {os.strerror(ctypes.get_errno())}"
    watch = Watch()

    def locked():
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        if libc.syscall(446, ruleset, 0):
            raise OSError(ctypes.get_errno(), "landlock_restrict_self")
        refused(8700)

    Other(locked)
    watch.end()
    equal("told", [brief(d) for d in watch.told], [("bind", "tcp", 4, "0.0.0.0", 8700, "EACCES")])
    holds(watch.told[0]["why"], "a security module")
    watch.seen(1, 0, 1)
    return None


CASES = [each_call_once, raw_sockets, reasons, rights, came_later, its_own, outgoing, all_ports_taken, range_of_its_own, vrf, connect_finds_no_port, connect_without_an_address,
         suspicions, quiet, devices, filters, by_cgroup, of_one_unit, namespace_is_gone, full_ring, full_ring_of_some, too_many_at_once, by_seccomp, by_32_bits, by_a_cgroups_program, ten_thousand_a_second,
         io_uring, security_module]
# These fill what the calls of the whole machine share, or measure how quick it is.
ALONE = [all_ports_taken, full_ring, full_ring_of_some, too_many_at_once, ten_thousand_a_second]


def main():
    global backend
    parser = cases.parser(__doc__)
    parser.add_argument("--backend")
    parser.add_argument("--at-once", type=int, default=1, help="so many cases beside each other: mostly they wait")
    arguments = parser.parse_args()
    backend = arguments.backend
    cases.run_all(CASES, arguments, at_once=arguments.at_once, alone=ALONE)


main()
