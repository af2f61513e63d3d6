#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""keepalive.py ADDRESS PORT CONNECTIONS REQUESTS: HTTP over connections that stay open. The first two make that many requests, the others one in a hundred of it.

Makes one request on each, says "ready"; goes on when it reads a line, counts bytes from there on, says "SENT RECEIVED", and stays until its input ends.
"""
import socket
import sys

address, port, connections, requests = sys.argv[1], *map(int, sys.argv[2:])
REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\nX-Padding: " + bytes(b"x" * 400) + b"\r\n\r\n"


def ask(s):
    """One request. The length of the answer."""
    s.sendall(REQUEST)
    got = b""
    while b"\r\n\r\n" not in got:
        got += s.recv(65536)
    head, body = got.split(b"\r\n\r\n", 1)
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += s.recv(65536)
    return len(head) + 4 + len(body)


opened = [socket.create_connection((address, port), timeout=60) for _ in range(connections)]
for s in opened:
    ask(s)
print("ready", flush=True)
sys.stdin.readline()
sent = received = 0
for i, s in enumerate(opened):
    for _ in range(requests if i < 2 else requests // 100):
        received += ask(s)
        sent += len(REQUEST)
print(sent, received, flush=True)
sys.stdin.read()
