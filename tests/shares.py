#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""shares.py [--backend NAME] [CASE...]: one user's sockets and threads, one port's waits, leave room for others'. TAP.

Each case runs in a network namespace of its own. Of the rows of a pool who has many may have three times as many as are left: 30 of 40 (bpf/shares.h).
"""
import os
import socket
import sys
import threading
import time

sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
import watching
from watching import PORT, Watch, equal

ROWS, SHARE = 40, 30
CROWD, GUEST = 65533, 65534  # users


class User:
    """A process of that user with a UDP socket on each of the ports."""

    def __init__(self, uid, ports, reuseport=False):
        ready, self.begin = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.setresuid(uid, uid, uid)
                sockets = [self.bound(port, reuseport) for port in ports]
                os.write(ready[1], b"x")
                self.receive(sockets, int(os.read(self.begin[0], 9)))
            except Exception as error:
                print(f"# {type(error).__name__}: {error}", flush=True)
                os._exit(1)
            os._exit(0)
        os.close(ready[1])
        equal("a user's sockets", os.read(ready[0], 1), b"x")
        os.close(ready[0])

    @staticmethod
    def bound(port, reuseport):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, reuseport)
        s.setblocking(False)
        s.bind(("127.0.0.1", port))
        return s

    @staticmethod
    def receive(sockets, datagrams):
        sent = received = 0
        for s in sockets:
            for _ in range(datagrams):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:  # a flow of its own, so that all of a group get some
                    sent += client.sendto(b"x", s.getsockname())
        until = time.monotonic() + 10  # loopback may deliver late
        while received < sent and time.monotonic() < until:
            for s in sockets:
                try:
                    while s.recv(10):
                        received += 1
                except BlockingIOError:
                    pass
        equal("received", received, sent)

    def receives(self, datagrams):
        """Each socket is sent so many datagrams, and reads what it gets. Then the process ends."""
        os.write(self.begin[1], str(datagrams).encode())
        equal("status of a user's process", os.waitpid(self.pid, 0)[1], 0)


def one_users_sockets():
    """600 sockets of one user, more than can be told by port: another's port has its row, and nothing lost"""
    crowd, guest = User(CROWD, range(31000, 31600)), User(GUEST, [PORT])
    watch = Watch(rows=ROWS, ports=())
    crowd.receives(1)
    guest.receives(10)
    watch.end(told=None)
    equal("received", watch.sockets[0]["received"], 10)
    equal("lost of the port", set(watch.endpoint["lost"].values()), {0})
    rows = [e for e in watch.document["endpoints"] if 31000 <= e["port"] < 31600 and any(s["received"] for s in e["sockets"])]
    equal("rows of the crowd", len(rows), SHARE)
    lost = {"workers_full": 600 - SHARE}
    if watch.sockets[0]["delivered"]:  # tracepoint before 6.3 does not see arrivals
        lost["sockets_full"] = 600 - SHARE
    equal("lost", watch.lost["by_reason"], lost)


def shares_come_back():
    """what a user had and gave back it may have again"""
    count = 28  # fewer than its share; with as many counted still, there is room for 22 more
    user = User(CROWD, [PORT] * count, reuseport=True)
    watch = Watch("-i", "0.1", rows=ROWS)
    for again in True, False:
        watch.look(lambda e: sum(not s["ended"] for s in e["sockets"]) == count)
        user.receives(10)
        watch.look_document(lambda d: all(s["ended"] for e in d["endpoints"] for s in e["sockets"]))
        if again:
            user = User(CROWD, [PORT] * count, reuseport=True)
    watch.end()
    equal("flow unseen", watch.endpoint["flow_unseen"] or 0, 0)
    equal("received", sum(s["received"] for s in watch.sockets), 2 * count * 10)


def takes(listener, count):
    """So many threads accept one connection each, and live on until all have."""
    done = threading.Barrier(count + 1)

    def take():
        listener.accept()[0].close()
        done.wait(60)

    threads = [threading.Thread(target=take) for _ in range(count)]
    for thread in threads:
        thread.start()
    for _ in range(count):
        socket.create_connection(listener.getsockname(), timeout=30).close()
    done.wait(60)
    for thread in threads:
        thread.join()


def one_ports_waits():
    """the threads of one port leave room for the percentiles of another"""
    threading.stack_size(128 * 1024)
    few, many = (socket.create_server(("127.0.0.1", port), backlog=600) for port in (PORT, PORT + 1))
    watch = Watch(ports=(PORT, PORT + 1))
    takes(many, 570)
    takes(few, 80)
    watch.end()
    crowd = [e for e in watch.document["endpoints"] if e["port"] == PORT + 1][0]
    waits = [(e["wait_ns"]["count"], e["wait_ns"]["p50"] is None) for e in (crowd, watch.endpoint)]
    equal("waits, and whether the percentiles are missing", waits, [(570, True), (80, False)])


CASES = [one_users_sockets, shares_come_back, one_ports_waits]


watching.main(CASES, __doc__)
