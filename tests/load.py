#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""load.py [--backend NAME] [CASE...]: bytes and CPU time that `sockfair watch` says of workers, against clients that count and the kernel's own clocks. TAP.

Each case runs in a network namespace of its own. A worker answers each message (eight bytes: how long it is, how many bytes to answer) with its own
thread id and so many bytes less; so the client knows who carried what, to the byte.
"""
import collections
import os
import select
import signal
import socket
import struct
import sys
import threading
import time

sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
import watching
from watching import PORT, Watch, between, equal

MPTCP = 262  # IPPROTO_MPTCP
CLOSE = 0xffffffff  # to answer: the worker closes instead


def listen(reuseport=False):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuseport:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", PORT))
    s.listen(100)
    return s


def receive(s, length):
    got = b""
    while len(got) < length:
        part = s.recv(length - len(got))
        if not part:
            raise EOFError
        got += part
    return got


def answer(connection):
    """One message. False where the connection is done with, and closed."""
    try:
        length, wanted = struct.unpack("!II", receive(connection, 8))
        receive(connection, length - 8)
    except (EOFError, ConnectionResetError):
        connection.close()
        return False
    if wanted == CLOSE:
        connection.close()
        return False
    connection.sendall(struct.pack("!I", threading.get_native_id()) + bytes(wanted - 4))
    return True


def serve(listener, watched=None):
    """With an epoll of its own (or one that others have too)."""
    epoll, connections = watched or select.epoll(), {}
    listener.setblocking(False)
    if not watched:
        epoll.register(listener, select.EPOLLIN)
    while True:
        for fd, _ in epoll.poll():
            if fd == listener.fileno():
                try:
                    connection = listener.accept()[0]
                except BlockingIOError:
                    continue
                connection.setblocking(True)
                connections[connection.fileno()] = connection
                epoll.register(connection, select.EPOLLIN)
            elif fd in connections and not answer(connections[fd]):
                del connections[fd]


def processes(count):
    """Workers with a SO_REUSEPORT socket each; their pids."""
    pids = []
    for _ in range(count):
        listener = listen(reuseport=True)
        pid = os.fork()
        if not pid:
            try:
                serve(listener)
            finally:
                os._exit(1)
        listener.close()
        pids.append(pid)
    return pids


def end(pids):
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


class Client:
    """A connection, and what it carried while it was counted, by who answers."""

    carried = collections.defaultdict(lambda: [0, 0])
    counting = False

    def __init__(self):
        self.socket = socket.create_connection(("127.0.0.1", PORT), timeout=30)
        self.worker = None

    def ask(self, length=8, wanted=4):
        self.socket.sendall(struct.pack("!II", length, wanted) + bytes(length - 8))
        if wanted == CLOSE:
            self.count(length, 0)
            equal("the worker closes", self.socket.recv(1), b"")
            return self
        reply = receive(self.socket, wanted)
        self.worker = struct.unpack("!I", reply[:4])[0]
        self.count(length, wanted)
        return self

    def count(self, length, wanted):
        if Client.counting:
            Client.carried[self.worker][0] += length
            Client.carried[self.worker][1] += wanted

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def clients_of_all(workers, count):
    """Connections that each have been answered, by at least each of so many workers."""
    clients = [Client().ask() for _ in range(count)]
    until = time.monotonic() + 30
    while len({c.worker for c in clients}) < workers:
        if time.monotonic() > until:
            raise AssertionError("some worker gets no connection")
        clients.append(Client().ask())
    return clients


def carried(rows, by="tid"):
    sums = collections.defaultdict(lambda: [0, 0])
    for w in rows:
        sums[w[by]][0] += w["bytes_received"]
        sums[w[by]][1] += w["bytes_sent"]
    return {who: b for who, b in sums.items() if b != [0, 0]}


def every_end():
    """bytes of connections from before and of the window, that stay open, or end by client, worker or reset: to the byte, and by whom"""
    pids = processes(3)
    before = clients_of_all(3, 12)
    for i, c in enumerate(before):
        c.ask(5000 + i, 70000 + i)
    watch = Watch()
    Client.counting = True
    clients = before + clients_of_all(3, 12)
    for i, c in enumerate(clients):
        c.ask(1000 + i * 100, 4 + i * 3000)
    for i, c in enumerate(clients):
        if i % 4 == 1:
            c.socket.close()
        elif i % 4 == 2:
            c.ask(20, CLOSE)
        elif i % 4 == 3:
            c.reset()
    idle = [c.ask() for i, c in enumerate(clients) if i % 4 == 0]  # the workers have seen all that came before
    for pid in pids:
        Client().ask().socket.close()
    watch.end()
    equal("bytes", carried(watch.workers), dict(Client.carried))
    load = watch.endpoint["load"]
    equal("of all", load["bytes"]["total"], sum(sum(b) for b in Client.carried.values()))
    between("open", len(idle), load["connections_open"], len(clients))
    listed = [(c["bytes_received"] + c["bytes_sent"], c["pid"], c["tid"]) for c in load["connections"]]
    equal("listed, the most first", (len(listed), listed), (min(16, load["connections_open"]), sorted(listed, key=lambda c: -c[0])))
    equal("by whom", {c[1:] for c in listed} <= {(pid, pid) for pid in pids}, True)
    end(pids)


def threads_with_an_epoll_each():
    """a process of two threads: connections from before are theirs who wait for them, told by their epolls"""
    listener = listen()
    for _ in range(2):
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
    clients = clients_of_all(2, 8)
    watch = Watch()
    Client.counting = True
    for i, c in enumerate(clients):
        c.ask(500 + 10 * i, 900 + 1000 * i)
    watch.end()
    equal("bytes", carried(watch.workers), dict(Client.carried))
    equal("threads", watch.endpoint["load"]["bytes"]["bins"], "threads")


def threads_on_one_epoll():
    """two threads that share an epoll: which of them reads a connection from before is not known, so no thread has its bytes, but the process has"""
    listener, epoll = listen(), select.epoll()
    clients, taken = [], []
    for _ in range(3):
        clients.append(Client())
        taken.append(listener.accept()[0])
        epoll.register(taken[-1], select.EPOLLIN)
    epoll.register(listener, select.EPOLLIN | select.EPOLLONESHOT)

    def work():
        while True:
            for fd, _ in epoll.poll():
                for connection in taken:
                    if connection.fileno() == fd:
                        answer(connection)

    # Two sleep, so that each message wakes both: who comes late must not read.
    taken_lock = threading.Lock()
    plain = answer

    def one_at_a_time(connection):
        with taken_lock:
            if select.select([connection], [], [], 0)[0]:
                plain(connection)

    globals()["answer"] = one_at_a_time
    for _ in range(2):
        threading.Thread(target=work, daemon=True).start()
    threads_on_one_epoll.kept = clients, taken  # past its end, for the threads
    watch = Watch("-i", "0.3")
    Client.counting = True
    for _ in range(24):
        for c in clients:
            c.ask(1000, 2000)
        time.sleep(0.05)
    watch.end()
    equal("bytes", carried(watch.workers), {0: [72000, 144000]})
    equal("of the intervals", carried(w for d in watch.intervals for e in d["endpoints"] for w in e["workers"]), {0: [72000, 144000]})
    equal("it lives", [w["ended"] for w in watch.workers if not w["tid"]], [False])
    equal("nothing is said of threads", watch.endpoint["load"]["bytes"], None)


def not_sent_yet():
    """what the worker has written when it closes counts as sent, though the client has not taken it"""
    listener = listen()
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    watch = Watch()
    client.connect(("127.0.0.1", PORT))
    connection = listener.accept()[0]
    client.sendall(b"x")
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 400000)
    connection.sendall(bytes(100000))
    connection.close()
    watch.end()
    equal("bytes", carried(watch.workers), {threading.get_native_id(): [1, 100000]})
    client.close()


def only_writes():
    """a server that is never written to: what it sends counts while the connection is open, as the acceptor's"""
    listener = listen()
    watch = Watch("-i", "0.2")
    clients = [socket.create_connection(("127.0.0.1", PORT), timeout=30) for _ in range(2)]
    taken = [listener.accept()[0] for _ in clients]
    for connection, client in zip(taken, clients):
        connection.sendall(bytes(50000))
        receive(client, 50000)
    me = threading.get_native_id()
    watch.look(lambda end: carried(end["workers"]).get(me) == [0, 100000] or carried(end["workers"]))
    taken[0].close()
    watch.end()
    equal("bytes", carried(watch.workers), {me: [0, 100000]})
    equal("of the intervals", carried(w for d in watch.intervals for e in d["endpoints"] for w in e["workers"]), {me: [0, 100000]})


def more_than_fit():
    """connections from before beyond the limit: nothing is said of how bytes are spread, and why"""
    pids = processes(2)
    clients = clients_of_all(2, 8)
    watch = Watch(connections=4)
    for c in clients:
        c.ask(10000, 10000)
    watch.end()
    equal("cut", watch.endpoint["load"]["older_cut"], True)
    equal("bytes", watch.endpoint["load"]["bytes"], None)
    equal("bounds", {w["bytes_at_least"] for w in watch.workers}, {True})
    between("bytes of those that fit", 4 * 10000, sum(w["bytes_received"] for w in watch.workers), 4 * 10000)
    end(pids)


def of_mptcp():
    """a connection from before that is of MPTCP is not followed, and that is told"""
    try:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
    except OSError as error:
        return f"no MPTCP here: {error}"
    listener.bind(("127.0.0.1", PORT))
    listener.listen(100)
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP)
    client.connect(("127.0.0.1", PORT))
    connection = listener.accept()[0]
    watch = Watch()
    client.sendall(bytes(100000))
    receive(connection, 100000)
    watch.end()
    equal("cut", watch.endpoint["load"]["older_cut"], True)
    equal("bytes", watch.endpoint["load"]["bytes"], None)
    return None


def intervals():
    """the intervals' bytes and CPU times add up to the window's"""
    pids = processes(2)
    clients = clients_of_all(2, 6)
    watch = Watch("-i", "0.2")
    Client.counting = True
    for i in range(30):
        clients[i % 3].ask(3000, 5000)
        time.sleep(0.02)
    watch.end()
    sums = collections.defaultdict(lambda: [0, 0])
    for document in watch.intervals:
        for e in document["endpoints"]:
            for tid, b in carried(e["workers"]).items():
                sums[tid] = [x + y for x, y in zip(sums[tid], b)]
    equal("bytes", carried(watch.workers), dict(Client.carried))
    equal("of the intervals", dict(sums), dict(Client.carried))
    end(pids)


def burn(seconds):
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def used_at_rest(pids):
    """CPU seconds of the processes, once they all sleep."""
    until, before = time.monotonic() + 30, None
    while time.monotonic() < until:
        used = [time.clock_gettime((~pid << 3) | 2) for pid in pids]  # CPUCLOCK_SCHED, as clock_getcpuclockid() makes it
        if used == before:
            return used
        before = used
        time.sleep(0.1)
    raise AssertionError("the workers do not come to rest")


def cpu_of_processes():
    """CPU time of a process is that of all its threads, of one that ended too: as /proc has it"""
    listener, pids, clocks = listen(), [], []
    for seconds in 0.3, 0.02:
        pid = os.fork()
        if not pid:
            try:
                while True:
                    connection = listener.accept()[0]
                    connection.recv(1)
                    helper = threading.Thread(target=burn, args=(seconds,))
                    helper.start()
                    helper.join()
                    burn(seconds)
                    connection.send(b"y")
                    connection.close()
            finally:
                os._exit(1)
        pids.append(pid)
    clocks = used_at_rest(pids)
    watch = Watch()
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", PORT), timeout=30) as c:
            c.send(b"x")
            c.recv(1)
    used = [after - before for after, before in zip(used_at_rest(pids), clocks)]
    watch.end()
    for pid, seconds in zip(pids, used):
        rows = [w for w in watch.workers if w["pid"] == pid]
        equal("known", [w["process_cpu_ns"] is not None for w in rows], [True])
        between(f"CPU time of {pid}", seconds * 0.9, rows[0]["process_cpu_ns"] / 1e9, seconds * 1.1 + 0.001)
        between("of its first thread alone", seconds * 0.3, rows[0]["cpu_ns"] / 1e9, seconds * 0.7 + 0.001)
    spread = watch.endpoint["load"]["cpu_ns"]
    equal("workers", (spread["bins"], spread["workers"]), ("processes", 2))
    end(pids)


CASES = [every_end, threads_with_an_epoll_each, threads_on_one_epoll, not_sent_yet, only_writes, more_than_fit, of_mptcp, intervals, cpu_of_processes]

watching.main(CASES, __doc__)
