#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""windows.py FILE JSON [FILE JSON]...: writes each FILE, documents as those of watch, for tests of compare. JSON: {"windows": 5, "ports": 30, "seed": 1} and what is other than usual, of all
ports or by port as {"80": ...}: "wait" (a factor), "events" and "drops" (a list: by window, in turn), "max_ns", "seconds" (a list), "workload", "kernel" (added to the document)."""
import json
import math
import random
import sys


def of(want, name, port, window, usual):
    value = want.get(name, usual)
    if isinstance(value, dict):
        value = value.get(str(port), usual)
    return value[window % len(value)] if isinstance(value, list) else value


def endpoint(want, port, window, chance):
    events = of(want, "events", port, window, 1000)
    wait = 200000 * math.exp(0.15 * chance.gauss(0, 1)) * of(want, "wait", port, window, 1)
    cv = math.sqrt(sum(chance.gauss(0, 1) ** 2 for _ in range(7)) / 1000)
    share = {"bins": 8, "events": events, "idle": 0 if events else 8, "verdict": "even" if events else "not-applicable"}
    if events:
        share |= {"cv": cv, "cv_expected": math.sqrt(7 / 1000), "excess": 0, "max_over_mean": 1 + 1.4 * cv}
    waits = {"count": events}
    if events:
        waits |= {"mean": wait / 3, "p50": wait / 5, "p90": wait / 2, "p99": wait, "max": of(want, "max_ns", port, window, wait * 3)}
    return {"protocol": "tcp", "address": of(want, "address", port, window, "0.0.0.0"), "port": port, "netns": 1,
            "sockets": [{"arrived": events, "drops": of(want, "drops", port, window, 0)}],
            "workers": [], "wait_ns": waits, "fairness": {"sockets": share, "workers": share}}


def write(path, want):
    chance = random.Random(want.get("seed", 1))
    with open(path, "w", encoding="ascii") as out:
        for window in range(want.get("windows", 5)):
            doc = {"schema": "sockfair/1", "window": {"final": True, "seconds": of(want, "seconds", 0, window, 10)},
                   "lost": {"total": of(want, "lost", 0, window, 0)}, "kernel": {"release": of(want, "kernel", 0, window, "6.1.0"), "backend": "fentry"},
                   "endpoints": [endpoint(want, 80 + i, window, chance) for i in range(want.get("ports", 1))]}
            if "workload" in want:
                doc["workload"] = {"mode": "reuseport", "workers": 8, "processes": False, "concurrency": 2, "requests": 1000, "sent": 1000, "agrees": True,
                                   "seconds": 1, "rate_per_second": 1000 * math.exp(0.02 * chance.gauss(0, 1))}
                doc["workload"] |= {key: value[window % len(value)] for key, value in want["workload"].items()}
            # Nine digits, as sockfair writes.
            out.write(json.dumps(json.loads(json.dumps(doc), parse_float=lambda x: float(f"{float(x):.9g}"))) + "\n")


if __name__ == "__main__":
    for at in range(1, len(sys.argv), 2):
        write(sys.argv[at], json.loads(sys.argv[at + 1]))
