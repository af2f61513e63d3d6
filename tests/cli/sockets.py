# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets for tests, held and waited on in every way that servers do, and clients that count.

    serve "s = tcp(8100); thread(accepts, s)"     # in a bats file: see common.bash

A script says ready() when its sockets are there; what waits comes to wait a moment later.
"""
import _thread
import ctypes
import errno
import os
import queue
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

REPLY = b"ok\n"
STAYS = b"stays\n"  # the reply of a server that keeps the connection
EXCLUSIVE = select.EPOLLIN | select.EPOLLEXCLUSIVE


def ready(*what):
    """Tells the test to go on."""
    print("ready", *what, flush=True)


def idle():
    """Lives until it is killed, and waits on no socket."""
    while True:
        signal.pause()


def named(name):
    """Names this thread (of a process: its main thread) for the kernel."""
    ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)  # PR_SET_NAME


def bound(kind, port, address="127.0.0.1", reuseport=False, reuseaddr=False, v6only=None):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    if kind == socket.SOCK_STREAM or reuseaddr:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuseport:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if v6only is not None:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    s.bind((address, port))
    return s


def tcp(port, address="127.0.0.1", backlog=100, **options):
    s = bound(socket.SOCK_STREAM, port, address, **options)
    s.listen(backlog)
    return s


def free(port):
    """A listener on a port that had one a moment ago. Who lists the sockets of processes holds a reference to each for a moment (the kernel's
    iterator), so one that is closed just then is gone a moment later."""
    for _ in range(100):
        try:
            return tcp(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            time.sleep(0.02)
    return tcp(port)


def udp(port, address="127.0.0.1", **options):
    return bound(socket.SOCK_DGRAM, port, address, **options)


def established(port):
    """TCP connections over IPv4 on that local port. Of MPTCP each subflow is one."""
    with open("/proc/net/tcp") as f:
        fields = [line.split() for line in f.readlines()[1:]]
    return sum(local.endswith(f":{port:04X}") and state == "01" for _, local, _, state, *_ in fields)


def answer(connection):
    connection.recv(1000)
    connection.sendall(REPLY)
    connection.close()


# What a thread or process may do for a living.

def accepts(s):
    while True:
        answer(s.accept()[0])


def accepts_once(s):
    answer(s.accept()[0])


def polls(*sockets):
    p = select.poll()
    for s in sockets:
        p.register(s, select.POLLIN)
    while True:
        for fd, _ in p.poll():
            answer(next(s for s in sockets if s.fileno() == fd).accept()[0])


def selects(*sockets):
    while True:
        for s in select.select(sockets, [], [])[0]:
            answer(s.accept()[0])


def epolls(s, depth=1):
    """Waits in an epoll; with a depth above 1 in one that watches another, and so on."""
    outer = select.epoll()
    outer.register(s, select.EPOLLIN)
    for _ in range(depth - 1):
        inner, outer = outer, select.epoll()
        outer.register(inner, select.EPOLLIN)
        keep.append(inner)
    while True:
        outer.poll()
        answer(s.accept()[0])


def epoll_of(s, events=select.EPOLLIN):
    """For accepts_by(); s no longer blocks."""
    s.setblocking(False)
    e = select.epoll()
    e.register(s, events)
    return e


def polls_for(s, events):
    """With POLLPRI it waits as others do and is never woken: stuck."""
    p = select.poll()
    p.register(s, events)
    while True:
        p.poll()
        answer(s.accept()[0])


def accepts_by(e, s):
    """Who was woken in vain waits again."""
    while True:
        e.poll()
        try:
            answer(s.accept()[0])
        except BlockingIOError:
            pass


def accepts_slowly(s, seconds):
    while True:
        answer(s.accept()[0])
        time.sleep(seconds)


def accepts_dead(s):
    """Takes connections that their clients may have reset."""
    while True:
        with s.accept()[0] as connection:
            try:
                connection.sendall(REPLY)
            except OSError:
                pass


def accepts_for_good(s):
    """Never closes a connection."""
    while True:
        connection = s.accept()[0]
        connection.recv(1000)
        connection.sendall(STAYS)
        keep.append(connection)


def hands_on(s, pick):
    """Accepts, and lets one of two threads serve: pick(n) says which one gets the nth connection."""
    queues = [queue.SimpleQueue(), queue.SimpleQueue()]

    def serves(q):
        while True:
            answer(q.get())

    for q in queues:
        thread(serves, q)
    n = 0
    while True:
        connection = s.accept()[0]
        queues[pick(n)].put(connection)
        n += 1


def receives(s):
    while True:
        data, client = s.recvfrom(2000)
        s.sendto(data, client)


keep = []  # what nobody else refers to would be closed


def thread(work, *args, name=None):
    def run():
        if name:
            named(name)
        work(*args)

    keep.extend(args)
    t = threading.Thread(target=run, daemon=True)
    t.start()
    return t


def process(work, *args, name=None):
    """A child that dies with us. Returns its pid."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)
    if name:
        named(name)
    work(*args)
    os._exit(0)


# Clients. These return only when the server has answered: then it has accepted, too.

def visit(port, count, address="127.0.0.1"):
    for _ in range(count):
        with socket.create_connection((address, port), timeout=20) as c:
            c.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if not c.recv(1000):
                sys.exit("no answer")


def stay(port, count):
    """As visit(), but lets those connections open that the server keeps."""
    for _ in range(count):
        c = socket.create_connection(("127.0.0.1", port), timeout=20)
        c.sendall(b"GET / HTTP/1.0\r\n\r\n")
        if c.recv(1000) == STAYS:
            keep.append(c)
        else:
            c.close()


def accepts_by_short_threads(s, at_once=64):
    """Each connection is accepted by a thread of its own, which ends with that."""
    room = threading.Semaphore(at_once)

    def one():
        s.accept()[0].close()
        room.release()

    while True:
        room.acquire()
        _thread.start_new_thread(one, ())


def visit_briefly(port, count):
    for _ in range(count):
        with socket.socket() as c:
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            c.connect(("127.0.0.1", port))
            c.recv(1)  # until it was accepted and closed


def many_descriptors():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def holds(s):
    """Accepts and keeps, without reading."""
    many_descriptors()
    while True:
        keep.append(s.accept()[0])
        keep[-1].sendall(b"!")


def open_many(port, count):
    """Connections that stay, from as many client addresses as it takes."""
    many_descriptors()
    for i in range(count):
        c = socket.socket()
        c.bind((f"127.0.0.{2 + i // 10000}", 0))
        c.connect(("127.0.0.1", port))
        c.recv(1)  # it is accepted
        keep.append(c)


def send(port, count, address="127.0.0.1"):
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as c:
        c.settimeout(20)
        c.connect((address, port))
        for _ in range(count):
            c.send(b"x")
            c.recv(2000)


# These wait for no answer.

def ask(port, count):
    """Connections that are in the accept queue, or taken, when this returns. They stay open."""
    for _ in range(count):
        c = socket.create_connection(("127.0.0.1", port), timeout=20)
        c.sendall(b"GET / HTTP/1.0\r\n\r\n")
        keep.append(c)


def knock(port, count):
    """SYNs, all at once."""
    for _ in range(count):
        c = socket.socket()
        c.setblocking(False)
        c.connect_ex(("127.0.0.1", port))
        keep.append(c)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def nowhere():
    """In a namespace of one's own: 10.9.9.1 is ours, and what is sent to the rest of 10.9.9.0/24 is lost."""
    for words in ("link set lo up", "link add nowhere type veth peer name away", "addr add 10.9.9.1/24 dev nowhere", "link set nowhere up", "link set away up",
                  "neigh add 10.9.9.9 lladdr 02:00:00:00:00:09 dev nowhere"):
        subprocess.check_call(["ip", *words.split()])


def flood(port, count, first=20000, client="10.9.9.9", server="10.9.9.1"):
    """SYNs of a client that never answers, to nowhere(), from its port `first` on."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
        ends = socket.inet_aton(client) + socket.inet_aton(server)
        for n in range(count):
            syn = struct.pack("!HHIIBBHHH", first + n, port, n, 0, 5 << 4, 2, 64240, 0, 0)
            pseudo = ends + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(syn))
            syn = syn[:16] + struct.pack("!H", checksum(pseudo + syn)) + syn[18:]
            raw.sendto(struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(syn), n, 0, 64, socket.IPPROTO_TCP, 0) + ends + syn, (server, 0))


def defers(s, seconds=30):
    """TCP_DEFER_ACCEPT: a connection is one only when its first data comes."""
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)
    return s


def say_nothing(port, count, address="127.0.0.1"):
    """Connections as the client sees it."""
    for _ in range(count):
        keep.append(socket.create_connection((address, port), timeout=20))


def reset():
    """Ends what is kept, by a RST."""
    for c in keep:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()
    keep.clear()
