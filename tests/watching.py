# SPDX-License-Identifier: GPL-2.0-or-later
"""`sockfair watch` beside servers that count or measure themselves: for waits.py, load.py, datagrams.py, shares.py.

sockfair loads its programs for longer than most cases take, so the cases that ask for no options share one watch: each runs until it wants to be
watched, in a network namespace of its own; then one watch begins over all of them, they go on one after the other, it ends, and each looks at its
own port of the result.
"""
import json
import os
import select
import signal
import subprocess
import sys
import time

import cases

SOCKFAIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sockfair")
PORT = 8080

backend = None  # --backend


def equal(what, got, expected):
    if got != expected:
        raise AssertionError(f"{what}: {got}, not {expected}")


def between(what, low, got, high):
    if not low <= got <= high:
        raise AssertionError(f"{what}: {got:.9f} is not between {low:.9f} and {high:.9f}")


def netns():
    return os.stat("/proc/self/ns/net").st_ino


def begin(ports, options, rows=None, connections=None):
    """A watch, once it counts."""
    command = [SOCKFAIR, "watch", "-d", "600", "--json", *options]
    if ports:
        command += ["-P", ",".join(map(str, ports))]
    if backend:
        command += ["--backend", backend]
    room = dict(os.environ)
    for name, limit in ("SOCKFAIR_ROWS", rows), ("SOCKFAIR_CONNECTIONS", connections):
        if limit:
            room[name] = str(limit)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=room)
    said = ""
    while "watching" not in said:
        line = child.stderr.readline()
        if not line:
            raise AssertionError("sockfair watch ended: " + said)
        said += line
    return child


def result(child):
    """Ends the watch. Its documents, one in each line."""
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    if child.returncode:
        raise AssertionError(f"sockfair watch ended with {child.returncode}: {err}")
    return out


class Turn:
    """A case in its child. Twice it may wait there until it is told to go on: to be watched, and for the document."""

    own = None  # in the child, until it has its document

    def __init__(self, case, arguments):
        self.said, says = os.pipe()
        hears, self.tells = os.pipe()

        def in_the_child():
            Turn.own = self
            self.says, self.hears = says, os.fdopen(hears)
            os.close(self.tells)
            return case()

        in_the_child.__doc__ = case.__doc__
        self.pid = cases.fork_case(in_the_child, arguments)
        self.ended = os.pidfd_open(self.pid)
        os.close(says)
        os.close(hears)
        self.waits = self.next_wait()

    def next_wait(self):
        """Whether the child waits, when it does or has ended."""
        ready = select.select([self.said, self.ended], [], [])[0]
        return self.said in ready and os.read(self.said, 1) != b""

    def tell(self, line):
        """The child goes on, until it waits again or ends."""
        with os.fdopen(os.dup(self.tells), "w") as tells:
            tells.write(line + "\n")
        self.waits = self.next_wait()

    def wait(self):
        """In the child: what it is told."""
        os.write(self.says, b"w")
        line = self.hears.readline().strip()
        if not line.startswith(("begin", "{")):
            raise AssertionError("the shared watch: " + line)
        return line


def share_a_watch(turns):
    """Of cases that wait for it."""
    try:
        child = begin([PORT], [])
        for turn in turns:
            turn.tell("begin")
        document = result(child).strip()
    except Exception as error:  # each of them says so
        document = str(error).replace("\n", " ")
    for turn in turns:
        if turn.waits:
            turn.tell(document)


class Watch:
    """Watches the port; `sockets` and `workers` of it in the end. alone: with a watch of its own, as one with options has; so has one that tries again."""

    def __init__(self, *options, rows=None, connections=None, ports=(PORT,), alone=False):
        self.intervals, self.turn, self.child = [], None, None
        if options or rows or connections or ports != (PORT,) or alone or not Turn.own:
            self.child = begin(ports, ["-N", str(netns()), *options], rows, connections)
        else:
            self.turn, Turn.own = Turn.own, None
            self.turn.wait()

    def look_document(self, seen):
        """With -i: waits, for a minute at most, until `seen` holds of an interval's document, and returns what it returned."""
        until = time.monotonic() + 60
        for line in self.child.stdout:
            self.intervals.append(json.loads(line))
            found = seen(self.intervals[-1])
            if found:
                return found
            if time.monotonic() > until:
                break
        raise AssertionError("not seen in any interval")

    def look(self, seen):
        """The same of an endpoint, which it returns as it was then."""
        return self.look_document(lambda d: next((e for e in d["endpoints"] if seen(e)), None))

    def end(self, told=()):
        """told: the reasons for which events are lost; where backends differ, by backend. None: any."""
        *intervals, out = (self.turn.wait() if self.turn else result(self.child)).splitlines()
        self.intervals += [json.loads(line) for line in intervals]
        document = self.document = json.loads(out)
        self.lost, self.unseen, self.backend = document["lost"], document["kernel"]["unseen"], document["kernel"]["backend"]
        endpoints = [e for e in document["endpoints"] if (e["port"], e["netns"]) == (PORT, netns())]
        equal("endpoints", len(endpoints), 1)
        self.endpoint = endpoints[0]
        self.sockets, self.workers = self.endpoint["sockets"], self.endpoint["workers"]
        told = told.get(self.backend, ()) if isinstance(told, dict) else told
        if told is not None:
            equal("lost", set(self.lost["by_reason"]), set(told))
        return self


def main(functions, doc):
    """Of a file of cases that watch, with --backend. Ends the program."""
    global backend
    parser = cases.parser(doc)
    parser.add_argument("--backend")
    arguments = parser.parse_args()
    backend = arguments.backend
    turns = [Turn(case, arguments) for case in cases.chosen(functions, arguments)]
    waiting = [turn for turn in turns if turn.waits]
    if waiting:
        share_a_watch(waiting)
    sys.exit(any([os.waitpid(turn.pid, 0)[1] for turn in turns]))
