# SPDX-License-Identifier: GPL-2.0-or-later
"""`sockfair watch` beside a server that counts or measures itself: for waits.py, datagrams.py, shares.py."""
import json
import os
import signal
import subprocess

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
        command = [SOCKFAIR, "watch", "-d", "600", "--json", *options]
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

    def look(self, seen):
        """With -i: waits until `seen` holds of an endpoint in an interval, and returns it as it was then."""
        for line in self.child.stdout:
            for endpoint in json.loads(line)["endpoints"]:
                if seen(endpoint):
                    return endpoint
        raise AssertionError("sockfair watch ended")

    def end(self, told=()):
        """told: the reasons for which events are lost; where backends differ, by backend."""
        self.child.send_signal(signal.SIGINT)
        out, err = self.child.communicate(timeout=60)
        *intervals, out = out.splitlines()
        self.intervals = [json.loads(line) for line in intervals]
        if self.child.returncode:
            raise AssertionError(f"sockfair watch ended with {self.child.returncode}: {err}")
        document = self.document = json.loads(out)
        self.lost, self.unseen, self.backend = document["lost"], document["kernel"]["unseen"], document["kernel"]["backend"]
        endpoints = [e for e in document["endpoints"] if e["port"] == PORT]
        equal("endpoints", len(endpoints), 1)
        self.endpoint = endpoints[0]
        self.sockets, self.workers = self.endpoint["sockets"], self.endpoint["workers"]
        told = told.get(self.backend, ()) if isinstance(told, dict) else told
        equal("lost", set(self.lost["by_reason"]), set(told))
        return self
