#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The exporter's process that speaks HTTP, and the one that collects: driven by publisher.c, which publishes pages and confines itself as `sockfair export` does.
Clients of every kind, friendly and not; what either process may do is tried from inside of it (injecting.py)."""
import contextlib
import errno
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import cases
from injecting import Inside

PUBLISHER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".build", "tests", "publisher")
PORT = 7435
CLIENTS_MAX, DESCRIPTORS_AT_REST = 256, 5  # user/export/clients.h; 0 to 2, the listener, the lifeline
CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
SCRAPE_TIMEOUT = 10  # s, Prometheus' own; the deadline of those who only stay is twice that
SECONDS_MOST = 60  # for what is waited for: it comes, or the test fails


def equal(what, got, expected):
    if got != expected:
        raise AssertionError(f"{what}: {got!r}, not {expected!r}")


def at_most(what, got, most):
    if got > most:
        raise AssertionError(f"{what}: {got}, more than {most}")


def until(what, holds):
    end = time.monotonic() + SECONDS_MOST
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {SECONDS_MOST} s: {what}")
        time.sleep(0.02)


def status_of(pid, name):
    with open(f"/proc/{pid}/status") as f:
        return next(line.split(":", 1)[1].strip() for line in f if line.startswith(name + ":"))


def descriptors(pid):
    return {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}


def lives(pid):
    """A zombie does not."""
    try:
        return not status_of(pid, "State").startswith(("Z", "X"))
    except (FileNotFoundError, ProcessLookupError):
        return False


class Publisher:
    def __init__(self, listen=None, before=(), **options):
        self.process = subprocess.Popen([*before, PUBLISHER] + ([listen] if listen is not None else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
        self.pid = self.process.pid
        kind, _, rest = self.process.stdout.readline().rstrip("\n").partition(" ")
        self.failed = rest if kind == "failed" else None
        if kind == "ready":
            front, self.place, self.note = rest.split(" ", 2)
            self.front = int(front)
        elif not self.failed:
            raise AssertionError("the publisher died")

    def begin(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self, word):
        said, rest = self.process.stdout.readline().rstrip("\n").split(" ", 1)
        if said != word:
            raise AssertionError(f"{said} {rest}, not {word}")
        return rest

    def tell(self, line, word):
        self.begin(line)
        return self.answer(word)

    def publish(self, text="page"):
        self.tell(f"page classic {text}", "published")
        self.tell(f"page openmetrics {text}", "published")

    def end(self):
        self.tell("end", "ended")
        equal("status", self.process.wait(SECONDS_MOST), 0)


class Answer:
    def __init__(self, head, body):
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        self.body = body


def connect(place=("127.0.0.1", PORT), patience=SECONDS_MOST):
    s = socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET6 if ":" in place[0] else socket.AF_INET)
    s.settimeout(patience)
    s.connect(place)
    return s


def request(path="/metrics", method="GET", headers=()):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: here", *headers, "", ""]).encode()


def read_answer(s, head_only=False):
    """None: the connection ended instead."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = s.recv(1 << 16)
        if not more:
            return None
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    answer = Answer(head, body)
    while not head_only and len(answer.body) < int(answer.headers["content-length"]):
        more = s.recv(1 << 20)
        if not more:
            raise AssertionError("half a body")
        answer.body += more
    return answer


def get(path="/metrics", method="GET", headers=(), place=("127.0.0.1", PORT), more=b"", patience=SECONDS_MOST):
    with connect(place, patience) as s:
        s.sendall(request(path, method, headers) + more)
        answer = read_answer(s, head_only=method == "HEAD")
        if answer is None:
            raise AssertionError("no answer")
        return answer


def ended(s):
    """Has the other side closed or reset it? What has come before may still be unread."""
    poll = select.poll()
    poll.register(s, select.POLLRDHUP)
    return poll.poll(0) != []


# ---- what is served ----


def formats():
    """front: Accept chooses the format; a page before the first, other paths, methods and bodies get their status"""
    p = Publisher()
    equal("before the first page", get().status, 503)
    p.tell("page classic classic", "published")
    p.tell("page openmetrics openmetrics", "published")
    prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    prometheus_3 = ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
                    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
    for accept, expected in {
        prometheus_2: OPENMETRICS,
        prometheus_3: OPENMETRICS,
        "*/*": CLASSIC,
        "text/html, */*;q=0.8": CLASSIC,
        "text/plain": CLASSIC,
        "application/openmetrics-text": OPENMETRICS,
        'APPLICATION/OpenMetrics-Text; Version="1.0.0"; Charset=UTF-8': OPENMETRICS,
        "application/openmetrics-text;version=0.0.1": CLASSIC,
        "application/openmetrics-text;q=0.2, text/plain;q=0.3": CLASSIC,
        "application/openmetrics-text;q=0.301, text/plain;q=0.3": OPENMETRICS,
        "application/openmetrics-text;q=0, */*": CLASSIC,
        "text/*;q=0.5, application/*;q=0.6": OPENMETRICS,
        "text/plain;q=0, application/*;q=0.1": OPENMETRICS,
        "*/*;q=0.9, text/plain;q=0.1": OPENMETRICS,
        "application/openmetrics-text, text/plain": OPENMETRICS,
        "image/png": CLASSIC,
        ",,;q=1,/,application/openmetrics-text;q=1;;": OPENMETRICS,
        'application/openmetrics-text;x="a,b\\"c";q=0.9, text/plain;q=0.8': OPENMETRICS,
        "application/openmetrics-text;q=2": CLASSIC,
        "": CLASSIC,
    }.items():
        answer = get(headers=[f"Accept: {accept}"])
        equal(f"Accept: {accept}", (answer.status, answer.headers["content-type"]), (200, expected))
        equal("its page", answer.body, b"classic\n" if expected == CLASSIC else b"openmetrics\n")
        equal("Vary", answer.headers["vary"], "Accept")
    equal("no Accept", get().headers["content-type"], CLASSIC)
    equal("two lines", get(headers=["Accept: text/plain;q=0.1", "Accept: application/openmetrics-text"]).headers["content-type"], OPENMETRICS)
    equal("with arguments", get("/metrics?a=b").status, 200)
    head = get(method="HEAD")
    equal("HEAD", (head.status, head.headers["content-length"], head.body), (200, "8", b""))
    index = get("/")
    equal("index", (index.status, b'href="metrics"' in index.body), (200, True))
    for path, method, headers, more, expected in (
        ("/other", "GET", (), b"", 404),
        ("/metrics/", "GET", (), b"", 404),
        ("/../etc/passwd", "GET", (), b"", 404),
        ("/metrics", "POST", ["Content-Length: 3"], b"abc", 405),
        ("/metrics", "DELETE", (), b"", 405),
        ("/", "PUT", ["Content-Length: 0"], b"", 405),
        ("/metrics", "GET", ["Content-Length: 3"], b"abc", 413),
        ("/metrics", "GET", ["Transfer-Encoding: chunked"], b"3\r\nabc\r\n0\r\n\r\n", 413),
        ("/metrics", "GET", ["Content-Length: 0"], b"", 200),
    ):
        equal(f"{method} {path} {headers}", get(path, method, headers, more=more).status, expected)
    equal("405 says what is allowed", get(method="POST").headers["allow"], "GET, HEAD")
    with connect() as s:  # one connection, several requests, two at once in the end
        for _ in range(3):
            s.sendall(request())
            equal("of many", read_answer(s).status, 200)
            s.sendall(request(method="HEAD"))
            equal("of many, HEAD", read_answer(s, head_only=True).status, 200)
        s.sendall(request() + request("/other"))
        s.shutdown(socket.SHUT_WR)
        both = b"".join(iter(lambda: s.recv(1 << 16), b""))
        equal("of two at once", re.findall(rb"^HTTP/1.1 ([0-9]+)", both, re.MULTILINE), [b"200", b"404"])
    p.end()


def whole_pages():
    """front: while pages are published at full speed, four readers see whole ones alone, and never an older one than before"""
    p = Publisher()
    bytes_each = 300000
    p.begin(f"letters {bytes_each}")
    until("pages", lambda: get().status == 200 and get(headers=["Accept: application/openmetrics-text"]).status == 200)
    wrong, numbers = [], [[] for _ in range(4)]

    def read(reader):
        accept = CLASSIC if reader % 2 else OPENMETRICS
        with connect() as s:
            for _ in range(150):
                s.sendall(request(headers=[f"Accept: {accept}"]))
                text, number, letter = read_answer(s).body.decode().rstrip("\n").split(" ")
                numbers[reader].append(int(number))
                if text != letter * bytes_each or letter != "abcdefghijklmnopqrstuvwxyz"[int(number) % 26]:
                    wrong.append(number)

    threads = [threading.Thread(target=read, args=(reader,)) for reader in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    published = int(p.tell("alive", "letters"))
    p.answer("alive")
    equal("half pages", wrong, [])
    for seen in numbers:
        equal("pages read", len(seen), 150)
        equal("their order", seen, sorted(seen))
        if len(set(seen)) < 10:
            raise AssertionError(f"only {len(set(seen))} of {published} pages seen")
    # Eight copies, the four buffers, and what it has without them.
    at_most("KiB at the highest", int(status_of(p.front, "VmHWM").split()[0]), (8 + 4) * bytes_each // 1024 + 6 * 1024)
    p.end()


# ---- clients that are many, slow or hostile ----


def at_rest(p):
    until("no client is left", lambda: len(os.listdir(f"/proc/{p.front}/fd")) == DESCRIPTORS_AT_REST)


def many_requests():
    """front: 10,000 connections, and 10,000 requests on one: no descriptor and no memory is left behind"""
    p = Publisher()
    p.publish("x" * 3000)
    get()
    at_rest(p)
    memory = int(status_of(p.front, "VmRSS").split()[0])
    for number in range(10000):
        if number % 10 == 9:  # gone before it asks, or before it reads
            with connect() as s:
                s.sendall(b"GET /metr" if number % 20 == 9 else request())
        else:
            equal("status", get().status, 200)
    with connect() as s:
        for _ in range(10000):
            s.sendall(request())
            equal("status", read_answer(s).status, 200)
    at_rest(p)
    at_most("KiB more", int(status_of(p.front, "VmHWM").split()[0]) - memory, 2048)
    p.end()


def slowloris():
    """front: a client that sends or reads a byte now and then is cut off by the deadline of the whole request; others are served meanwhile"""
    p = Publisher()
    p.begin("letters 4000000")
    until("pages", lambda: get().status == 200)
    p.tell("alive", "letters")
    p.answer("alive")
    sending, reading = [connect() for _ in range(50)], []
    for _ in range(50):
        s = connect()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(request())
        reading.append(s)
    drip = (request()[:-2] + b"X: " + b"y" * 10000).__iter__()
    begun = time.monotonic()
    while sending or reading:
        sending, reading = [[s for s in some if not ended(s)] for some in (sending, reading)]
        byte = bytes([next(drip)])
        for s in sending:
            with contextlib.suppress(ConnectionError):  # ended meanwhile
                s.send(byte)
        for s in reading:
            with contextlib.suppress(ConnectionError):
                s.recv(1)
        equal("another client", get().status, 200)
        at_most("s until the last is cut off", time.monotonic() - begun, SECONDS_MOST)
        time.sleep(0.2)
    at_rest(p)
    equal("the collector", p.tell("alive", "alive"), "")
    p.end()


def idle_before():
    """front: a client that was idle on its connection for most of the deadline has the whole of it to read its next answer"""
    p = Publisher()
    p.publish()
    with connect() as s:
        s.sendall(request())
        equal("at once", read_answer(s).body, b"page\n")
        p.begin("letters 8000000")  # more than the kernel holds for it
        until("pages", lambda: get().body != b"page\n")
        p.tell("alive", "letters")
        p.answer("alive")
        time.sleep(15)
        s.sendall(request())
        time.sleep(10)
        answer = read_answer(s)
        equal("after a while", len(answer.body), int(answer.headers["content-length"]))
    p.end()


def huge_headers():
    """front: lines, headers and numbers of headers without end are refused, and take no memory"""
    p = Publisher()
    p.publish()
    get()
    for hostile in (
        b"GET /" + b"a" * (4 << 20),
        b"G" * (4 << 20),
        b"GET /metrics HTTP/1.1\r\nHost: here\r\nX: " + b"a" * (4 << 20),
        b"GET /metrics HTTP/1.1\r\nHost: here\r\n" + b"X: y\r\n" * 500000,
        b"GET /metrics HTTP/1.1\r\nHost: here\r\nAccept: " + b"a/b," * 3000 + b"\r\n\r\n",
        b"\r\n" * 1000000,
        b"\0" * 1000000,
        b"GET /metrics HTTP/1.1\r\n\r\n",  # no Host
        b"GET /metrics HTTP/9.9\r\nHost: here\r\n\r\n",
        os.urandom(1 << 20),
    ):
        with connect() as s:
            with contextlib.suppress(OSError):  # the front has closed it, or is done with it
                s.sendall(hostile)
                s.shutdown(socket.SHUT_WR)
                while s.recv(1 << 16):
                    pass
        equal("another client", get().status, 200)
    at_most("KiB at the highest", int(status_of(p.front, "VmHWM").split()[0]), 10240)
    p.end()


def thousand_connections():
    """front: a thousand connections that only stay do not keep a good client out; no more than 256 are held"""
    p = Publisher()
    p.publish()
    held = []
    for number in range(1000):
        s = connect()
        s.sendall(b"GET /metrics HT" if number % 2 else b"")
        held.append(s)
        if number % 50 == 0:
            equal("a good client", get(patience=SCRAPE_TIMEOUT).status, 200)
        if number % 100 == 0:
            at_most("descriptors", len(os.listdir(f"/proc/{p.front}/fd")), CLIENTS_MAX + DESCRIPTORS_AT_REST)
    for _ in range(50):
        equal("a good client", get(patience=SCRAPE_TIMEOUT).status, 200)
    until("the oldest were cut off", lambda: sum(ended(s) for s in held) >= 1000 - CLIENTS_MAX)
    at_most("KiB at the highest", int(status_of(p.front, "VmHWM").split()[0]), 10240)
    p.end()


def slow_readers_of_old_pages():
    """front: clients that keep old pages by not reading them take the memory of eight pages at most; new clients get the newest page in the end"""
    p = Publisher()
    million = 1000000
    held = []
    for _ in range(40):
        p.begin(f"letters {million}")
        until("pages", lambda: get().status == 200)
        p.tell("alive", "letters")
        p.answer("alive")
        for accept in CLASSIC, OPENMETRICS:
            s = connect()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(request(headers=[f"Accept: {accept}"]))
            held.append(s)
    # Two of four buffers that the front has read from count as its own, too.
    at_most("KiB at the highest", int(status_of(p.front, "VmHWM").split()[0]), (8 + 4) * million // 1024 + 6 * 1024)
    p.publish("the newest")
    until("the newest page", lambda: get().body == b"the newest\n")
    p.end()


# ---- what either process may do ----

AT_FDCWD = -100
CALLS = {"open": 2, "fcntl": 72, "mmap": 9, "mprotect": 10, "socket": 41, "connect": 42, "sendto": 44, "bind": 49, "listen": 50, "clone": 56, "execve": 59, "kill": 62, "ptrace": 101,
         "setuid": 105, "unshare": 272, "openat": 257, "prctl": 157, "mount": 165, "init_module": 175, "tgkill": 234, "accept4": 288, "perf_event_open": 298, "setns": 308,
         "process_vm_readv": 310, "memfd_create": 319, "bpf": 321, "execveat": 322, "pidfd_getfd": 438, "io_uring_setup": 425, "clone3": 435, "openat2": 437,
         "unlink": 87, "rename": 82}
NEWNET, NEWNS = 0x40000000, 0x20000
BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_OBJ_PIN, BPF_PROG_ATTACH, BPF_RAW_TRACEPOINT_OPEN, BPF_BTF_LOAD, BPF_LINK_CREATE = 0, 5, 6, 8, 17, 18, 28


def acts(other):
    """What neither may do: what it is called, the call, its arguments. Those that would succeed do no harm; `other` is a process."""
    wide = ["bpf " + str(command) for command in (BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_OBJ_PIN, BPF_PROG_ATTACH, BPF_RAW_TRACEPOINT_OPEN, BPF_BTF_LOAD, BPF_LINK_CREATE)]
    return [
        ("open to write", "open", "/dev/null", os.O_WRONLY),
        ("openat to write", "openat", AT_FDCWD, "/dev/null", os.O_RDWR),
        ("openat to create", "openat", AT_FDCWD, "/dev/null", os.O_CREAT),
        ("openat2", "openat2", AT_FDCWD, "/dev/null", 0, 0),
        ("unlink", "unlink", "/nonexistent/file"),
        ("rename", "rename", "/nonexistent/file", "/nonexistent/other"),
        ("exec", "execve", "/nonexistent", 0, 0),
        ("execveat", "execveat", AT_FDCWD, "/nonexistent", 0, 0, 0),
        *((name, "bpf", int(name.split()[1]), "\0" * 3, 120) for name in wide),
        ("socket of IPv4", "socket", socket.AF_INET, socket.SOCK_STREAM, 0),
        ("socket of IPv6", "socket", socket.AF_INET6, socket.SOCK_DGRAM, 0),
        ("packet socket", "socket", socket.AF_PACKET, socket.SOCK_RAW, 0),
        ("connect", "connect", -1, 0, 0),
        ("bind", "bind", -1, 0, 0),
        ("listen", "listen", -1, 1),
        ("sendto with an address", "sendto", -1, 0, 0, 0, 8, 8),
        ("setns to a mount namespace", "setns", -1, NEWNS),
        ("unshare", "unshare", 0x1),
        ("ptrace", "ptrace", 3, other, 0, 0),
        ("process_vm_readv", "process_vm_readv", other, 0, 0, 0, 0, 1),
        ("pidfd_getfd", "pidfd_getfd", -1, 0, 0),
        ("kill of the other", "kill", other, signal.SIGCONT),
        ("tgkill of the other", "tgkill", other, other, signal.SIGCONT),
        ("signals by a descriptor", "fcntl", -1, 8, other),  # F_SETOWN
        ("fork", "clone", 0x800),
        ("executable memory", "mmap", 0, 4096, 5, 0x22, -1, 0),
        ("memory made executable", "mprotect", 0, 4096, 4),
        ("memfd_create", "memfd_create", "x", 0xffff),
        ("perf_event_open", "perf_event_open", 0, 0, 0, 0, 0),
        ("io_uring_setup", "io_uring_setup", 0, 0),
        ("init_module", "init_module", 0, 0, 0),
        ("mount", "mount", 0, 0, 0, 0, 0),
        ("setuid", "setuid", -1),
    ]


FRONT_ACTS = [("open", "open", "/etc/hostname", os.O_RDONLY), ("openat", "openat", AT_FDCWD, "/etc/hostname", os.O_RDONLY), ("netlink socket", "socket", socket.AF_NETLINK, socket.SOCK_RAW, 0),
              ("unix socket", "socket", socket.AF_UNIX, socket.SOCK_STREAM, 0), ("bpf of a map", "bpf", 1, "", 120), ("setns", "setns", -1, NEWNET),
              ("kill without a signal", "kill", 1, 0), ("clone3", "clone3", 0, 0), ("prctl", "prctl", 3, 0, 0, 0, 0)]
COLLECTOR_ACTS = [("setns", "setns", -1, NEWNET), ("accept", "accept4", -1, 0, 0, 0)]
# With an argument that is no good the kernel's answer is another error: it has looked at it.
HARMLESS = {errno.EBADF, errno.EINVAL, errno.EFAULT, errno.ENOENT, errno.ESRCH, errno.ENOMEM, errno.E2BIG, errno.ENOEXEC, errno.ENOSYS}


def bpf_takes_a_right():
    """Before Linux 5.19 all of bpf() does, where unprivileged users have no BPF."""
    with open("/proc/sys/kernel/unprivileged_bpf_disabled") as setting:
        return tuple(map(int, os.uname().release.split(".")[:2])) < (5, 19) and setting.read().strip() != "0"


def forbidden():
    """front, collector: each forbidden act, tried from inside both processes, is refused; in a process that is not confined it is not"""
    p = Publisher()
    p.publish()
    free = subprocess.Popen(["sleep", "1000"])
    kept = p.tell("confine", "confined")
    equal("kept", kept, "CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_KILL" + (", CAP_BPF" if bpf_takes_a_right() else ""))
    until("sleep sleeps", lambda: status_of(free.pid, "State").startswith("S") and status_of(free.pid, "Name") == "sleep")
    try:
        with Inside(free.pid) as call:
            for name, number, *arguments in acts(free.pid) + FRONT_ACTS + COLLECTOR_ACTS:
                result = call(CALLS[number], *arguments)
                if result < 0 and -result not in HARMLESS:
                    raise AssertionError(f"{name}, not confined: {errno.errorcode[-result]}")
        for where, pid, other, more in ("front", p.front, p.pid, FRONT_ACTS), ("collector", p.pid, p.front, COLLECTOR_ACTS):
            with Inside(pid) as call:
                for name, number, *arguments in acts(other) + more:
                    equal(f"{name} in the {where}", call(CALLS[number], *arguments), -errno.EPERM)
        with Inside(p.pid) as call:  # what lets the C library take clone(), whose flags are looked at
            equal("clone3 in the collector", call(CALLS["clone3"], 0, 0), -errno.ENOSYS)
            # By raise() a second SIGINT ends it. The last call: the next one would meet the signal.
            equal("a signal to itself in the collector", call(CALLS["tgkill"], p.pid, p.pid, signal.SIGCONT), 0)
        with open(f"/proc/{p.front}/maps") as maps:
            address, rights = next(line.split()[:2] for line in maps if "sockfair pages" in line)
        equal("rights to the pages", rights, "r--s")
        with Inside(p.front) as call:
            equal("pages made writable", call(CALLS["mprotect"], int(address.split("-")[0], 16), 4096, 3), -errno.EACCES)
    finally:
        free.kill()
        free.wait()
    equal("still served", get().body, b"page\n")
    equal("still alive", p.tell("alive", "alive"), "")
    p.end()


def has_nothing():
    """front: another user in no group, no capability, no new privileges, a filter, Landlock where the kernel has it, no file"""
    p = Publisher()
    uid, front = int(status_of(p.front, "Uid").split()[0]), p.front
    if uid < 1879048192:
        raise AssertionError(f"uid {uid}")
    for name, expected in {
        "Uid": "\t".join([str(uid)] * 4),
        "Gid": "\t".join([str(uid)] * 4),
        "Groups": "",
        "NoNewPrivs": "1",
        "Seccomp": "2",
        "Threads": "1",
        **{name: "0" * 16 for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")},
    }.items():
        equal(name, status_of(front, name), expected)
    at_rest(p)  # it may still hold the pipe through which it said that it was ready
    held = [re.sub(r"[0-9]+", "N", name) for _, name in sorted(descriptors(front).items())]
    equal("descriptors", held, ["/dev/null"] * 3 + ["socket:[N]", "pipe:[N]"])
    with open(f"/proc/{front}/limits") as limits:
        limit = {line[:26].strip(): line[26:].split()[0] for line in limits}
    for name, expected in {"Max open files": str(CLIENTS_MAX + 32), "Max processes": "0", "Max file size": "0", "Max core file size": "0"}.items():
        equal(name, limit[name], expected)
    equal("address space is limited", limit["Max address space"].isdigit(), True)
    equal("the collector does not listen", [name for name in descriptors(p.pid).values() if name == descriptors(front)[3]], [])
    p.end()


def landlocked():
    """front: enters a Landlock domain that allows nothing, or says that this kernel has none"""
    with tempfile.NamedTemporaryFile() as trace:
        command = ["strace", "-f", "-qq", "-o", trace.name, "-e", "trace=landlock_create_ruleset,landlock_restrict_self,landlock_add_rule", PUBLISHER]
        ready = subprocess.run(command, input="end\n", stdout=subprocess.PIPE, text=True, check=True).stdout
        calls = re.findall(r"(landlock_[a-z_]+)\(.*= (-?[0-9]+)", trace.read().decode())
    if calls[0][1] == "-1":
        equal("said", "Landlock" in ready.split("\n")[0], True)
        raise cases.Skip("this kernel has no Landlock, or it is off; that is said")
    equal("said", "Landlock" in ready, False)
    equal("calls", [name for name, _ in calls], ["landlock_create_ruleset", "landlock_create_ruleset", "landlock_restrict_self"])
    equal("entered", calls[2][1], "0")


def without_rights():
    """front, collector: of a user who has no capability to give up, the front says that it keeps its user, and serves"""
    p = Publisher(before=("setpriv", "--bounding-set=-all", "--inh-caps=-all"))
    equal("said", p.note.split(";")[0], "the process that serves HTTP keeps its user, because CAP_SETUID or CAP_SETGID is missing")
    equal("kept", p.tell("confine namespaces", "confined"), "none")
    p.publish()
    equal("served", get().status, 200)
    with Inside(p.front) as call:
        equal("open in the front", call(CALLS["openat"], AT_FDCWD, "/etc/hostname", os.O_RDONLY), -errno.EPERM)
    p.end()


def ends():
    """front, collector: the end of either, also by kill -9 and of one that was stopped, is the other's"""
    p = Publisher()
    p.end()
    equal("after a regular end the front", lives(p.front), False)
    for stopped in False, True:
        p = Publisher()
        if stopped:
            os.kill(p.front, signal.SIGSTOP)
        p.process.kill()
        p.process.wait()
        until("the front ends", lambda: not lives(p.front))
    p = Publisher()
    p.tell("confine", "confined")
    equal("alive", p.tell("alive", "alive"), "")
    os.kill(p.front, signal.SIGKILL)
    until("the front ends", lambda: not lives(p.front))
    equal("dead", p.tell("alive", "dead"), "the process that serves HTTP was ended by signal 9 (Killed)")
    p.end()
    # Of one who ignores what becomes of children; that is inherited.
    p = Publisher(before=(sys.executable, "-c", "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"))
    p.tell("confine", "confined")
    os.kill(p.front, signal.SIGKILL)
    until("the front ends", lambda: not lives(p.front))
    equal("dead, of one who ignores it", p.tell("alive", "dead"), "the process that serves HTTP was ended by signal 9 (Killed)")
    p.end()
    p = Publisher()  # one that hangs is left to the kernel
    p.tell("confine", "confined")
    os.kill(p.front, signal.SIGSTOP)
    p.end()
    until("the front ends", lambda: not lives(p.front))
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        p = Publisher()
        os.kill(p.front, number)
        p.publish()
        equal(f"after signal {number} to the front", get().status, 200)
        p.end()


SERVER = """
import os, socket, sys
s = socket.create_server(("127.0.0.1", 8080))
os.setgid(65534)
os.setuid(65534)
print("ready", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        s.accept()[0].close()
    print("accepted", flush=True)
"""
CLIENT = "import socket, sys\nfor _ in range(int(sys.argv[1])): socket.create_connection(('127.0.0.1', 8080)).close()"


def netns_of(pid="self"):
    return os.stat(f"/proc/{pid}/ns/net").st_ino


class Server:
    """Another user's, in this network namespace or in another one."""

    def __init__(self, *within):
        self.within = within
        self.process = subprocess.Popen([*within, sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        equal("server", self.process.stdout.readline(), "ready\n")

    def serve(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        subprocess.run([*self.within, sys.executable, "-c", CLIENT, str(count)], check=True)
        equal("server", self.process.stdout.readline(), "accepted\n")

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def counts_on():
    """collector: confined, it counts on exactly, finds new sockets and who holds them, other users' too, and writes a file if that is asked for"""
    with tempfile.TemporaryDirectory() as folder:
        for needs, writes in ("namespaces textfile", True), ("textfile", True), ("namespaces", False), ("", False):
            p = Publisher()
            server = Server()
            backend = p.tell("observe", "observing")
            p.tell(f"confine {needs}", "confined")
            server.serve(7)
            equal(f"{backend}, confined ({needs})", p.tell(f"count 8080 {netns_of()}", "counted"), "7 1 1")
            server.end()
            later = Server()
            p.tell(f"count 8080 {netns_of()}", "counted")  # before Linux 5.12 a socket is counted from the first look at it on
            later.serve(5)
            accepted, sockets, held = map(int, p.tell(f"count 8080 {netns_of()}", "counted").split())
            equal("of a later server, too", (accepted, sockets >= 1, held >= 1), (12, True, True))
            later.end()
            p.begin(f"write {folder}/file")
            equal("file", p.process.stdout.readline().split()[0], "written" if writes else "failed")
            p.end()


def counts_elsewhere():
    """collector: confined, it counts in a network namespace that is made later"""
    p = Publisher()
    p.tell("observe", "observing")
    p.tell("confine namespaces", "confined")
    elsewhere = Server("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
    pid = str(elsewhere.process.pid)
    elsewhere.within = ("nsenter", "--net", "--target", pid)
    p.tell(f"count 8080 {netns_of(pid)}", "counted")  # as above
    elsewhere.serve(9)
    equal("counted", p.tell(f"count 8080 {netns_of(pid)}", "counted"), "9 1 1")
    elsewhere.end()
    p.end()


# ---- where it listens ----


def places():
    """listen: IPv4, IPv6, and all addresses of both; what is no place, or is taken, is said in one line"""
    for listen, place, clients in (
        (None, "http://127.0.0.1:7435", [("127.0.0.1", PORT)]),
        ("127.0.0.1:8000", "http://127.0.0.1:8000", [("127.0.0.1", 8000)]),
        ("0.0.0.0:7435", "http://0.0.0.0:7435", [("127.0.0.1", PORT)]),
        ("[::1]:7435", "http://[::1]:7435", [("::1", PORT)]),
        ("[::]:7435", "http://[::]:7435", [("::1", PORT), ("127.0.0.1", PORT)]),
    ):
        p = Publisher(listen)
        equal("place", p.place, place)
        p.publish()
        for client in clients:
            equal(f"{listen} from {client}", get(place=client).status, 200)
        p.end()
    p = Publisher("127.0.0.1:0")
    address, port = p.place.removeprefix("http://").split(":")
    p.publish()
    equal("a port of the kernel's choice", get(place=(address, int(port))).status, 200)
    equal("taken", Publisher(f"127.0.0.1:{port}").failed,
          f"cannot listen on 127.0.0.1:{port}: Address already in use; sockfair bind-check says who has it, --listen takes another place")
    p.end()
    for listen, part in {
        "localhost:7435": "numeric address",
        "7435": "numeric address",
        ":7435": "numeric address",
        "127.0.0.1": "numeric address",
        "127.0.0.1:": "numeric address",
        "127.0.0.1:65536": "numeric address",
        "127.0.0.1:80x": "numeric address",
        "::1:7435": "numeric address",
        "[::1]": "numeric address",
        "[::1%none]:7435": "numeric address",
        "[" + "1" * 500 + "]:1": "numeric address",
        "1" * 500 + ":1": "numeric address",
        "": "numeric address",
        "unix:here": "begin with /",
        "unix:/" + "x" * 200: "too long",
        "unix:/nonexistent/x": "cannot listen on unix:/nonexistent/x: No such file or directory",
        "192.0.2.1:7435": "no device here has that address",
    }.items():
        failed = Publisher(listen).failed
        equal(f"{listen}: {failed}", part in failed and "\n" not in failed, True)


def unix_socket():
    """listen: a unix socket's file has its mode, is replaced if it is stale, is not if it is served or no socket, and is removed at the end"""
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/socket"
        p = Publisher("unix:" + path)
        equal("place", p.place, "unix:" + path)
        equal("mode", oct(os.stat(path).st_mode & 0o7777), oct(0o660))
        p.publish()
        equal("served", get(place=path).status, 200)
        equal("taken", Publisher("unix:" + path).failed, f"cannot listen on unix:{path}: Address already in use; somebody listens there, or the file is no socket")
        equal("still served", get(place=path).status, 200)
        p.process.kill()
        p.process.wait()
        until("the front ends", lambda: not lives(p.front))
        equal("left behind", os.path.exists(path), True)
        p = Publisher("unix:" + path)
        p.publish()
        equal("served again", get(place=path).status, 200)
        p.tell("confine removal", "confined")
        p.end()
        equal("removed", os.path.exists(path), False)
        p = Publisher("unix:" + path)
        os.unlink(path)
        other = socket.socket(socket.AF_UNIX)
        other.bind(path)
        p.end()
        equal("somebody else's stays", os.path.exists(path), True)
        os.unlink(path)
        with open(path, "w") as f:
            f.write("mine")
        equal("a file", "no socket" in Publisher("unix:" + path).failed, True)
        equal("a file stays", os.path.getsize(path), 4)


def passed(sockets, listen=None, to_itself=True):
    """A publisher to which systemd, played here, passes these."""
    numbers = [s.fileno() for s in sockets]

    def pass_on():
        high = [os.dup2(number, 100 + i) for i, number in enumerate(numbers)]
        for i, number in enumerate(high):
            os.dup2(number, 3 + i)
        os.environ["LISTEN_PID"] = str(os.getpid() if to_itself else 1)
        os.environ["LISTEN_FDS"] = str(len(numbers))
        os.execv(PUBLISHER, [PUBLISHER] + ([listen] if listen else []))

    return Publisher(preexec_fn=pass_on, close_fds=False)


def activation():
    """listen: the one socket that systemd passes is served, of TCP or unix; what else it passes is refused in one line"""
    with tempfile.TemporaryDirectory() as folder:
        tcp, local = socket.create_server(("127.0.0.1", 9000)), socket.socket(socket.AF_UNIX)
        local.bind(folder + "/socket")
        local.listen()
        for s, name, place in (tcp, "http://127.0.0.1:9000", ("127.0.0.1", 9000)), (local, f"unix:{folder}/socket", folder + "/socket"):
            p = passed([s])
            equal("place", p.place, name)
            p.publish()
            equal("served", get(place=place).status, 200)
            p.end()
        equal("systemd's file stays", os.path.exists(folder + "/socket"), True)
        p = passed([tcp], to_itself=False)
        equal("for another process", p.place, "http://127.0.0.1:7435")
        p.end()
        equal("two", "only one can be served" in passed([tcp, local]).failed, True)
        equal("both ways", "leave one of them out" in passed([tcp], "127.0.0.1:1").failed, True)
        equal("datagrams", "ListenStream=" in passed([socket.socket(type=socket.SOCK_DGRAM)]).failed, True)
        equal("does not listen", "ListenStream=" in passed([socket.socket()]).failed, True)
    activate = subprocess.Popen(["systemd-socket-activate", "-l", "127.0.0.1:9001", PUBLISHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    until("systemd-socket-activate listens", lambda: subprocess.run(["ss", "-Hltn", "sport = 9001"], capture_output=True, check=True).stdout)
    with connect(("127.0.0.1", 9001)) as s:
        s.sendall(request())
        equal("activated", activate.stdout.readline().split()[2], "http://127.0.0.1:9001")
        equal("without a page", read_answer(s).status, 503)
    activate.communicate("end\n", timeout=SECONDS_MOST)


CASES = [formats, whole_pages, many_requests, slowloris, idle_before, huge_headers, thousand_connections, slow_readers_of_old_pages, forbidden, has_nothing, without_rights, landlocked, ends,
         counts_on, counts_elsewhere, places, unix_socket, activation]

if __name__ == "__main__":
    options = cases.parser(__doc__)
    options.add_argument("--at-once", type=int, default=2)
    arguments = options.parse_args()
    cases.run_all(CASES, arguments, arguments.at_once)
