#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""datagrams.py [--backend NAME] [CASE...]: what `sockfair watch` says of UDP, against sender and server that count themselves. TAP."""
import socket
import sys

sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
import cases
import watching
from watching import PORT, Watch, equal

UDP_SEGMENT, UDP_GRO = 103, 104
SIZE = 100  # of a datagram


def server(options=(), reuseport=False):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    if reuseport:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    for level, option, value in options:
        s.setsockopt(level, option, value)
    s.bind(("127.0.0.1", PORT))
    s.setblocking(False)
    return s


def client():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(("127.0.0.1", PORT))
    return s


def drain(s):
    """Reads all that came. Returns (buffers, datagrams): all but the last of a buffer have SIZE bytes."""
    buffers = datagrams = 0
    while True:
        try:
            length = len(s.recv(65536))
        except BlockingIOError:
            return buffers, datagrams
        buffers += 1
        datagrams += -(-length // SIZE)


def counted(watch, buffers, datagrams):
    """The backend that does not see buffers says of each, once, that it may hold several."""
    row = watch.sockets[0]
    sees = watch.backend != "tracepoint"
    equal("received", row["received"], datagrams if sees else buffers)
    blind = not sees and not row["delivered"]  # tracepoint before 6.3: what is read is told
    equal("delivered", row["delivered"], 0 if blind else datagrams if sees else buffers)
    equal("buffers that may hold several", row["buffers_maybe_several"], 0 if sees else buffers)


def single():
    """UDP_GRO, nothing merged: nothing is lost"""
    s = server([(socket.IPPROTO_UDP, UDP_GRO, 1)])
    watch = Watch()
    for _ in range(300):
        client().send(b"x" * SIZE)
    buffers, datagrams = drain(s)
    equal("datagrams", (buffers, datagrams), (300, 300))
    counted(watch.end(), buffers, datagrams)


def merged():
    """UDP_GRO, buffers of several datagrams: counted by datagram where the backend sees buffers"""
    s = server([(socket.IPPROTO_UDP, UDP_GRO, 1)])
    watch = Watch()
    sender = client()
    sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SIZE)
    for n in range(50):
        sender.send(b"x" * (SIZE * (n % 20 + 1) - n % 3))
    buffers, datagrams = drain(s)
    equal("datagrams", datagrams, sum(n % 20 + 1 for n in range(50)))
    counted(watch.end(), buffers, datagrams)
    if buffers == datagrams:
        return "this kernel's loopback merges nothing"
    return None


def not_asked_for():
    """buffers of several datagrams for a socket without UDP_GRO are taken apart, and counted so"""
    s = server()
    watch = Watch()
    sender = client()
    sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SIZE)
    for _ in range(20):
        sender.send(b"x" * SIZE * 10)
    equal("datagrams", drain(s), (200, 200))
    watch.end()
    equal("received", watch.sockets[0]["received"], 200)
    equal("buffers that may hold several", watch.sockets[0]["buffers_maybe_several"], 0)


CASES = [single, merged, not_asked_for]


def main():
    parser = cases.parser(__doc__)
    parser.add_argument("--backend")
    arguments = parser.parse_args()
    watching.backend = arguments.backend
    cases.run_all(CASES, arguments)


main()
