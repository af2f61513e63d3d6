# SPDX-License-Identifier: GPL-2.0-or-later
"""`sockfair watch` beside a server that counts or measures itself: for waits.py, datagrams.py, shares.py."""
import json
import os
import signal
import subprocess
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


class Watch:
    """Watches the port; `sockets` and `workers` of it in the end."""

    def __init__(self, *options, rows=None, ports=(PORT,)):
        self.intervals = []
        own = os.stat("/proc/self/ns/net").st_ino
        command = [SOCKFAIR, "watch", "-d", "600", "--json", "-N", str(own), *options]
        if ports:
            command += ["-P", ",".join(map(str, ports))]
        if backend:
            command += ["--backend", backend]
        room = dict(os.environ, SOCKFAIR_ROWS=str(rows)) if rows else None
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=room)
        said = ""
        while "watching" not in said:
            line = self.child.stderr.readline()
            if not line:
                raise AssertionError("sockfair watch ended: " + said)
            said += line

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
        self.child.send_signal(signal.SIGINT)
        out, err = self.child.communicate(timeout=60)
        *intervals, out = out.splitlines()
        self.intervals += [json.loads(line) for line in intervals]
        if self.child.returncode:
            raise AssertionError(f"sockfair watch ended with {self.child.returncode}: {err}")
        document = self.document = json.loads(out)
        self.lost, self.unseen, self.backend = document["lost"], document["kernel"]["unseen"], document["kernel"]["backend"]
        endpoints = [e for e in document["endpoints"] if e["port"] == PORT]
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
    cases.run_all(functions, arguments)
