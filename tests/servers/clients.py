#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""clients.py ADDRESS PORT COUNT [CONCURRENCY]: asks COUNT times for /, each in a connection of its own, not one connection more, and
prints how many were answered. (ab and wrk open a few that they do not use.)"""
import os
import socket
import sys

REQUEST = b"GET / HTTP/1.0\r\n\r\n"


def ask(address, port, count):
    """Returns how many of `count` connections got an answer."""
    answered = 0
    for _ in range(count):
        try:
            with socket.create_connection((address, port), timeout=60) as s:
                s.sendall(REQUEST)
                answer = b"".join(iter(lambda: s.recv(4096), b""))
                answered += bool(answer)
        except OSError as error:
            print(f"gave up after {answered} of {count} answers: {error}", file=sys.stderr)
            break
    return answered


def main():
    address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    concurrency = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    results = []
    for number in range(concurrency):
        ours = count // concurrency + (number < count % concurrency)
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, b"%d" % ask(address, port, ours))
            os._exit(0)
        os.close(writer)
        results.append(reader)
    total = sum(int(os.read(reader, 32) or b"0") for reader in results)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
    print(total)


main()
