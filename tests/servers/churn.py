#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""churn.py WHAT PORT [COUNT]: small servers on 127.0.0.1 that do with a listening socket what real ones do over their lives. They block in accept()
and say on stdout what has happened.

  serve        listens and answers
  handover     answers; at SIGUSR1 sends the socket (SCM_RIGHTS) to another process of its own, closes it, and stays
  reexec       answers; at SIGUSR1 executes a new program in its place that keeps the descriptor
  activate     as systemd does: listens, waits for the first connection without accepting it, starts a service with LISTEN_FDS
  inherited    what those two start: takes the socket from descriptor 3
  generations  COUNT servers one after the other, each a process with a socket of its own, with 3 connections each
"""
import os
import select
import signal
import socket
import sys

ANSWER = b"HTTP/1.0 200 OK\r\n\r\nok\n"


class Asked(Exception):
    """SIGUSR1 came."""


def asked(*_):
    raise Asked


def say(*words):
    print(*words, flush=True)


def listen(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    s.listen(1024)
    return s


def answer(listener, count=None):
    """Answers `count` connections, or until SIGUSR1 if that is handled."""
    while count is None or count > 0:
        connection = listener.accept()[0]
        with connection:
            connection.recv(4096)
            connection.sendall(ANSWER)
        count = count if count is None else count - 1


def serve(port):
    with listen(port) as listener:
        say("listens", os.getpid())
        answer(listener)


def handover(port):
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    if os.fork() == 0:
        ours.close()
        fd = socket.recv_fds(theirs, 1, 1)[1][0]
        with socket.socket(fileno=fd) as listener:
            theirs.sendall(b"!")
            answer(listener)
    theirs.close()
    with listen(port) as listener:
        signal.signal(signal.SIGUSR1, asked)
        say("listens", os.getpid())
        try:
            answer(listener)
        except Asked:
            socket.send_fds(ours, [b"!"], [listener.fileno()])
    ours.recv(1)
    say("handed over")
    signal.pause()


def become(fd, port):
    """Another program in this process, with the listening socket as descriptor 3."""
    os.dup2(fd, 3)
    os.set_inheritable(3, True)
    environment = dict(os.environ, LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    os.execve(sys.executable, [sys.executable, __file__, "inherited", str(port)], environment)


def reexec(port):
    listener = listen(port)
    signal.signal(signal.SIGUSR1, asked)
    say("listens", os.getpid())
    try:
        answer(listener)
    except Asked:
        become(listener.fileno(), port)


def activate(port):
    listener = listen(port)
    say("listens", os.getpid())
    select.select([listener], [], [])
    service = os.fork()
    if service == 0:
        become(listener.fileno(), port)
    os.waitpid(service, 0)


def inherited(_):
    assert os.environ["LISTEN_FDS"] == "1" and int(os.environ["LISTEN_PID"]) == os.getpid()
    with socket.socket(fileno=3) as listener:
        say("serves", os.getpid())
        answer(listener)


def generations(port, count):
    for _ in range(count):
        reader, writer = os.pipe()
        server = os.fork()
        if server == 0:
            with listen(port) as listener:
                os.write(writer, b"!")
                answer(listener, 3)
            os._exit(0)
        os.close(writer)
        os.read(reader, 1)
        os.close(reader)
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert connection.recv(4096) == ANSWER
        os.waitpid(server, 0)
        say("ended", server)
    say("all ended")
    signal.pause()


def main():
    # As the first process of a pid namespace it would not get the signal without a handler.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    what, *numbers = sys.argv[1:]
    globals()[what](*map(int, numbers))


main()
