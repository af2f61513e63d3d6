#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""waits.py [--backend NAME] [CASE...]: what `sockfair watch` says of accept queues, against a server that measures itself. TAP.

Each case runs in a network namespace of its own. The server notes when a connection is made and when it takes it: the wait lies between two
readings of the clock, so nothing depends on how fast the machine is.
"""
import ctypes
import errno
import os
import queue
import re
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
import watching
from cases import libc, sysctl
from uring import ANY_PLACE, Ring
from watching import PORT, Watch, between, equal

ERROR, UNIT = 1 / 17, 1e-6  # of a percentile; the kernel's stamp is in microseconds
OP_ACCEPT = 13  # include/uapi/linux/io_uring.h
TCP_DEFER_ACCEPT, TCP_FASTOPEN, MSG_FASTOPEN = 9, 23, 0x20000000


def now():
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def listen(backlog=100, reuseport=False, family=socket.AF_INET, options=()):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuseport:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    for option, value in options:
        s.setsockopt(socket.IPPROTO_TCP, option, value)
    s.bind(("127.0.0.1", PORT))
    s.listen(backlog)
    return s


def connect():
    return socket.create_connection(("127.0.0.1", PORT), timeout=30)


def check_waits(what, wait, bounds):
    """bounds: the least and the most that each connection can have waited, in seconds."""
    low, high = (sorted(b[i] for b in bounds) for i in (0, 1))
    n = len(bounds)
    equal(f"{what}: count", wait["count"], n)
    between(f"{what}: mean", sum(low) / n - UNIT, wait["mean"] / 1e9, sum(high) / n + UNIT)
    between(f"{what}: longest", low[-1] - UNIT, wait["max"] / 1e9, high[-1] + UNIT)
    for q in (50, 90, 99):
        rank = max(-(-q * n // 100), 1) - 1
        between(f"{what}: p{q}", low[rank] * (1 - ERROR) - UNIT, wait[f"p{q}"] / 1e9, high[rank] * (1 + ERROR) + UNIT)


def take(listener, made, bounds):
    """Accepts one connection that was made within `made`; adds what it can have waited."""
    before = now()
    connection = listener.accept()[0]
    after = now()
    # The last ACK of the handshake may be on its way when connect() returns: a connection that was taken at once has waited for nothing.
    bounds.append((max(before - made[1] - SLACK, 0), after - made[0]))
    return connection


# Between connect()'s return and the entry into the queue lies the handling of an ACK by the same machine; its softirq may be put off.
SLACK = 0.01


def waits_of(delays, opener=connect, options=(), greeting=b""):
    s = listen(options=options)
    watch = Watch()
    bounds = []
    for delay in delays:
        start = now()
        client = opener()
        if greeting:
            client.sendall(greeting)
        made = (start, now())
        time.sleep(delay)
        take(s, made, bounds).close()
        client.close()
    watch.end()
    check_waits("socket", watch.sockets[0]["wait_ns"], bounds)
    check_waits("worker", watch.workers[0]["wait_ns"], bounds)
    equal("queued before", watch.sockets[0]["queued_before"], 0)
    equal("accepted", watch.sockets[0]["accepted"], len(bounds))
    return watch


DELAYS = [0.03, 0.05, 0.09, 0.03, 0.2, 0.03, 0.05, 0.03, 0.03, 0.12]


def a_sleeping_worker():
    """a worker that sleeps a known time shows it in the wait of its socket"""
    waits_of(DELAYS)


def two_sockets():
    """of two sockets of a group, each shows its own worker's sleep"""
    sockets = [listen(reuseport=True), listen(reuseport=True)]
    watch = Watch()
    bounds = [[], []]
    for _ in range(24):
        start = now()
        client = connect()
        made = (start, now())
        time.sleep(0.01)
        for s, b, delay in zip(sockets, bounds, (0.0, 0.06)):
            s.settimeout(0)
            time.sleep(delay)
            try:
                take(s, made, b).close()
                break
            except BlockingIOError:
                pass
        client.close()
    watch.end()
    equal("connections", sum(map(len, bounds)), 24)
    for socket_row in watch.sockets:
        mine = [b for s, b in zip(sockets, bounds) if os.fstat(s.fileno()).st_ino == socket_row["inode"]][0]
        check_waits(f"socket {socket_row['inode']}", socket_row["wait_ns"], mine)


def syn_cookies():
    """connections made by SYN cookies wait as others do"""
    sysctl("net.ipv4.tcp_syncookies", 2)
    waits_of(DELAYS[:6])


def deferred_accept():
    """TCP_DEFER_ACCEPT: the wait begins with the first bytes, not with the handshake"""
    s = listen(options=[(TCP_DEFER_ACCEPT, 30)])
    watch = Watch()
    bounds = []
    for _ in range(4):
        client = connect()
        time.sleep(0.1)
        start = now()
        client.sendall(b"x")
        made = (start, now())
        time.sleep(0.03)
        take(s, made, bounds).close()
        client.close()
    watch.end()
    check_waits("socket", watch.sockets[0]["wait_ns"], bounds)


def fast_open():
    """TCP Fast Open: the wait begins when the SYN with data has made the connection"""
    sysctl("net.ipv4.tcp_fastopen", 0x3 | 0x200)  # without cookies: every SYN with data is taken

    def opener():
        c = socket.socket()
        c.sendto(b"x", MSG_FASTOPEN, ("127.0.0.1", PORT))
        return c

    with open("/proc/net/netstat") as f:
        before = fast_opens(f.read())
    waits_of(DELAYS[:6], opener=opener, options=[(TCP_FASTOPEN, 16)])
    with open("/proc/net/netstat") as f:
        equal("connections by Fast Open", fast_opens(f.read()) - before, 6)


def fast_opens(netstat):
    names, numbers = [line.split() for line in netstat.splitlines() if line.startswith("TcpExt:")]
    return int(numbers[names.index("TCPFastOpenPassive")])


def queued_before():
    """what was queued before we attached is counted apart, not guessed"""
    s = listen()
    early = [connect() for _ in range(3)]
    time.sleep(0.05)
    watch = Watch()
    bounds = []
    start = now()
    late = connect()
    made = (start, now())
    time.sleep(0.04)
    taken = [s.accept()[0] for _ in early]
    taken.append(take(s, made, bounds))
    watch.end()
    equal("accepted", watch.sockets[0]["accepted"], 4)
    equal("queued before", watch.sockets[0]["queued_before"], 3)
    check_waits("socket", watch.sockets[0]["wait_ns"], bounds)
    late.close()


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def reset_in_queue():
    """connections that the client resets while they are in the queue are counted"""
    s = listen()
    watch = Watch()
    clients = [connect() for _ in range(5)]
    for client in clients[:2]:
        reset(client)
    time.sleep(0.02)
    taken = [s.accept()[0] for _ in clients]
    for connection in taken:
        connection.close()
    watch.end()
    equal("reset in the queue", watch.sockets[0]["reset_queued"], 2)
    equal("of the worker", watch.workers[0]["reset_queued"], 2)
    equal("waits", watch.sockets[0]["wait_ns"]["count"], 5)


def closed_with_a_queue():
    """a listener that is closed with connections in its queue: they are counted as dropped"""
    s = listen()
    watch = Watch()
    clients = [connect() for _ in range(4)]
    s.accept()[0].close()
    s.close()
    time.sleep(0.02)
    watch.end()
    equal("dropped", watch.sockets[0]["dropped_closing"], 3)
    equal("migrated", watch.sockets[0]["migrated"], 0)
    equal("accepted", watch.sockets[0]["accepted"], 1)
    del clients


def listens_again():
    """a listener that is shut down with connections in its queue and listens again, four times: all of them are counted as dropped"""
    s = listen()
    watch = Watch("-i", "0.1")
    clients = []
    for _ in range(4):
        clients += [connect() for _ in range(4)]
        clients.append(s.accept()[0])
        s.shutdown(socket.SHUT_RD)
        watch.look(lambda end: any(row["ended"] for row in end["sockets"]))
        s.listen(100)
    watch.end()
    equal("dropped", watch.sockets[0]["dropped_closing"], 12)
    equal("migrated", watch.sockets[0]["migrated"], 0)
    equal("accepted", watch.sockets[0]["accepted"], 4)
    if "arrivals of TCP connections" not in watch.unseen:
        equal("arrived", watch.sockets[0]["arrived"], 16)
        equal("longest queue", watch.sockets[0]["queue"]["highest"], 4)


def migrated():
    """net.ipv4.tcp_migrate_req: what moves to another socket of the group is no drop, and keeps its wait"""
    with open("/proc/kallsyms", encoding="ascii") as f:  # Debian's 5.10 has the setting alone
        if "reuseport_migrate_sock" not in f.read():
            return "this kernel can't migrate (5.14)"
    sysctl("net.ipv4.tcp_migrate_req", 1)
    first, second = listen(reuseport=True), listen(reuseport=True)
    watch = Watch()
    first_inode = os.fstat(first.fileno()).st_ino
    clients, start = [], now()
    while len(clients) < 12:
        clients.append(connect())
    made = (start, now())
    time.sleep(0.05)
    first.close()
    time.sleep(0.05)
    second.settimeout(30)
    bounds = []
    for _ in clients:
        take(second, made, bounds).close()
    watch.end()
    gone = [row for row in watch.sockets if row["inode"] == first_inode][0]
    stays = [row for row in watch.sockets if row["inode"] != first_inode][0]
    if "arrivals of TCP connections" not in watch.unseen:
        equal("arrived", gone["arrived"] + stays["arrived"], 12)
        equal("migrated", gone["migrated"], gone["arrived"])
    between("migrated", 1, gone["migrated"], 12)
    equal("dropped", gone["dropped_closing"], 0)
    equal("accepted", stays["accepted"], 12)
    check_waits("the one that stays", stays["wait_ns"], bounds)
    return None


def who_serves():
    """the thread that reads first serves; hand-over, open connections and lifetimes"""
    s = listen()
    watch = Watch()
    clients = [connect() for _ in range(6)]
    taken = [s.accept()[0] for _ in clients]
    accepted = now()
    time.sleep(0.05)
    for client in clients:
        client.sendall(b"x")

    def serve():
        ctypes.CDLL(None).prctl(15, b"server", 0, 0, 0)
        for connection in taken[:4]:
            connection.recv(10)
        done.set()
        idle.wait()

    done, idle = threading.Event(), threading.Event()
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    done.wait()
    served = now()
    taken[4].recv(10)  # by the thread that accepted it; nobody reads from the last
    for connection in taken[:2]:
        connection.close()
    reset(clients[2])
    time.sleep(0.02)
    watch.end()
    idle.set()
    acceptor = [w for w in watch.workers if w["accepted"]][0]
    server = [w for w in watch.workers if w["comm"] == "server"][0]
    equal("accepted by the server", server["accepted"], 0)
    equal("served by the acceptor", acceptor["served"], 1)
    equal("served by the other", server["served"], 4)
    equal("handed to the other", server["handed"]["count"], 4)
    between("hand-over", 0.05, server["handed"]["mean_ns"] / 1e9, served - accepted + 1)
    equal("handed to the acceptor", acceptor["handed"]["count"], 0)
    equal("open at the other", server["open"], 1)
    equal("finished by the other", server["finished"], 3)
    equal("open at the acceptor", acceptor["open"], 2)
    between("lifetime", 0.05, server["lifetime_mean_ns"] / 1e9, now() - accepted + 1)


def used_by(tid):
    """CPU time in ns and voluntary context switches, as the kernel says of a thread that sleeps."""
    with open(f"/proc/self/task/{tid}/schedstat") as f:
        cpu = int(f.read().split()[0])
    with open(f"/proc/self/task/{tid}/status") as f:
        return cpu, int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M)[1])


def used_at_rest(tids, count):
    """By thread, once there are so many of them and nothing changes any more."""
    until, before = now() + 30, None
    while now() < until:
        used = {tid: used_by(tid) for tid in tids}
        if used == before and len(used) == count:
            return used
        before = used
        time.sleep(0.1)
    raise AssertionError("the workers do not come to rest")


def cpu_and_sleeps():
    """CPU time and voluntary context switches of a thread are those of the window, to the last one"""
    s, tids, counts = listen(), [], queue.Queue()

    def work(milliseconds):
        tids.append(threading.get_native_id())
        while True:
            connection = s.accept()[0]
            until = time.thread_time() + milliseconds / 1000
            while time.thread_time() < until:
                pass
            connection.close()
            counts.put(1)

    for milliseconds in (30, 1):
        threading.Thread(target=work, args=(milliseconds,), daemon=True).start()
    before = used_at_rest(tids, 2)
    watch = Watch()
    for _ in range(12):
        connect().close()
        counts.get(timeout=30)
    after = used_at_rest(tids, 2)
    watch.end()
    for w in watch.workers:
        equal(f"CPU time and switches of {w['tid']}", (w["cpu_ns"], w["voluntary_switches"]),
              tuple(a - b for a, b in zip(after[w["tid"]], before[w["tid"]])))
    equal("workers", sorted(w["tid"] for w in watch.workers), sorted(tids))
    between("CPU time of all", 0.012, sum(w["cpu_ns"] for w in watch.workers) / 1e9, 60)


def outlives_its_thread():
    """connections whose thread ends before they do: open until they are closed, then finished; with no room for the dead that is told"""
    s = listen()
    for rows in None, 4:
        watch = Watch("-i", "0.1", rows=rows)
        clients, taken = [], []
        for _ in range(4):
            clients.append(connect())
            clients[-1].sendall(b"x")
            thread = threading.Thread(target=lambda: taken.append(s.accept()[0]) or taken[-1].recv(10))
            thread.start()
            thread.join()
        # Of those that ended an interval shows only those that changed or that have open connections.
        if rows:
            watch.look(lambda end: any(w["ended"] and w["open"] is None for w in end["workers"]))
        else:
            open_then = watch.look(lambda end: [w["ended"] for w in end["workers"]] == [True] * 4)["workers"]
        for connection in taken:
            connection.close()
        watch.end(told={"ends_unattributed"} if rows else set())
        equal("workers", [(w["accepted"], w["served"], w["ended"]) for w in watch.workers], [(1, 1, True)] * 4)
        if rows:
            unknown = [w for w in watch.workers if w["open"] is None and w["finished"] is None]
            between("given back", 1, len(unknown), 4)
            equal("told", watch.lost["by_reason"]["ends_unattributed"], len(unknown))
        else:
            equal("open then", [w["open"] for w in open_then], [1] * 4)
            equal("open at last", [(w["open"], w["finished"]) for w in watch.workers], [(0, 1)] * 4)


def into_the_rings_table():
    """connections that io_uring puts into its own table: counted, and said that waits are not known; so is the one that found no place"""
    try:
        ring = Ring()
    except OSError as error:
        return f"no io_uring here: {error}"
    ring.table(2)
    s = listen()
    watch = Watch(alone=True)
    clients = [connect() for _ in range(3)]
    results = [ring.run(OP_ACCEPT, s.fileno(), place=place) for place in (1, 2, ANY_PLACE)]
    if results[2] == -errno.EINVAL:
        watch.end()
        return "this kernel's accept finds no place by itself (5.19)"
    equal("results", results, [0, 0, -errno.ENFILE])
    watch.end(told={"tracepoint": ("connection_unknown", "taken_dropped")})
    del clients
    seen, lost = watch.backend != "tracepoint", watch.lost["by_reason"]
    equal("accepted", watch.sockets[0]["accepted"], 3 if seen else 2)
    wait = watch.sockets[0]["wait_ns"]
    equal("waits", wait["count"] if wait else 0, 3 if seen else 0)
    equal("not followed", lost, {} if seen else {"connection_unknown": 2, "taken_dropped": 1})
    equal("open is a bound", watch.workers[0]["open_at_least"], not seen)
    return None


def address_fault():
    """a connection that accept() took and dropped, for the address could not be copied: accepted, or told where only the error is seen"""
    s = listen()
    watch = Watch(alone=True)
    clients = [connect() for _ in range(2)]
    length = ctypes.c_uint32(16)
    equal("status", (libc.accept(s.fileno(), ctypes.c_void_p(1), ctypes.byref(length)), ctypes.get_errno()), (-1, errno.EFAULT))
    s.accept()[0].close()
    watch.end(told={"tracepoint": ("taken_dropped",)})
    del clients
    seen = watch.backend != "tracepoint"
    equal("accepted", watch.sockets[0]["accepted"], 1 + seen)
    equal("dropped", watch.lost["by_reason"], {} if seen else {"taken_dropped": 1})


def left_out():
    """--no-wait and --no-serve leave both out"""
    s = listen()
    watch = Watch("--no-wait", "--no-serve")
    client = connect()
    taken = s.accept()[0]
    client.sendall(b"x")
    taken.recv(10)
    watch.end()
    equal("accepted", watch.sockets[0]["accepted"], 1)
    equal("wait", watch.sockets[0]["wait_ns"], None)
    equal("wait of the worker", watch.workers[0]["wait_ns"], None)
    equal("open", watch.workers[0]["open"], None)


CASES = [a_sleeping_worker, two_sockets, syn_cookies, deferred_accept, fast_open, queued_before, reset_in_queue, closed_with_a_queue, listens_again,
         migrated, who_serves, cpu_and_sleeps, outlives_its_thread, into_the_rings_table, address_fault, left_out]


watching.main(CASES, __doc__)
