#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the programs cost, in ns of the kernel's own statistics (kernel.bpf_stats_enabled).

cost.py [--rounds N] [--json FILE] [--only WORKLOAD]... [--backend B]

Each round runs every workload once beside every variant of `watch`, beside bpftrace's simplest
count of the same events, and beside nothing but empty programs on the same hooks (the floor). The
table has the median of the rounds. The kernel's clock is read twice in each run of a program, and
a part of that is in every figure, so compare figures of one table only.
"""
import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOCKFAIR = os.path.join(ROOT, "sockfair")
STATS = "/proc/sys/kernel/bpf_stats_enabled"

# The workload's name; what it counts; the clients' command; bpftrace's probe for the same events.
TCP = "tracepoint:syscalls:sys_exit_accept"
UDP = "tracepoint:syscalls:sys_exit_recvmmsg"


def programs():
    """Each loaded program: id -> (name, ns, runs)."""
    out = subprocess.run(["bpftool", "prog", "show", "-j"], capture_output=True, text=True, check=True)
    return {p["id"]: (p.get("name", p["type"]), p.get("run_time_ns", 0), p.get("run_cnt", 0))
            for p in json.loads(out.stdout)}


class Traffic:
    """traffic.c as a server with clients that begin when they are told to."""

    def __init__(self, binary, kind, threads, count):
        self.count = count
        self.process = subprocess.Popen([binary, kind, str(threads), str(count)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline().split()[1])

    def run(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Redis:
    """redis-server, and pings over connections that are open before anything is attached."""

    def __init__(self, folder, count):
        self.count = count
        self.port = 6399
        self.server = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--dir", folder,
             "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL)
        time.sleep(0.5)

    def run(self):
        subprocess.run(["redis-benchmark", "-p", str(self.port), "-t", "ping_mbulk", "-c", "16",
                        "-n", str(self.count), "-q"], stdout=subprocess.DEVNULL, check=True)

    def end(self):
        self.server.terminate()
        self.server.wait()


class Beside:
    """Programs that count beside the workload; they are attached when this returns."""

    def __init__(self, command, ready):
        known = set(programs())
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log,
                                        env={**os.environ, "BPFTRACE_STRLEN": "16"})
        end = time.time() + 30
        while ready not in self.told():
            if self.process.poll() is not None or time.time() > end:
                sys.exit(f"cost.py: {command[0]} did not start: {self.told()}")
            time.sleep(0.05)
        time.sleep(0.5)
        self.ids = set(programs()) - known

    def told(self):
        self.log.seek(0)
        return self.log.read()

    def read(self):
        return {i: p for i, p in programs().items() if i in self.ids}

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.log.close()


def measure(beside, load):
    """Returns {program: (ns per event, runs per event)}."""
    before = beside.read()
    load.run()
    after = beside.read()
    cost = {}
    for i, (name, ns, runs) in after.items():
        was = before.get(i, (name, 0, 0))
        if runs - was[2] > load.count / 100:
            old = cost.get(name, (0, 0))
            cost[name] = (old[0] + (ns - was[1]) / load.count, old[1] + (runs - was[2]) / load.count)
    return cost


VARIANTS = {"default": [], "--no-wait": ["--no-wait"], "--no-serve": ["--no-serve"],
            "neither": ["--no-wait", "--no-serve"]}


def watch(port, options, backend):
    return Beside([SOCKFAIR, "watch", "-P", str(port), "-d", "600", "--plain", "--backend", backend] + options,
                  "watching port")


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--json")
    parse.add_argument("--only", action="append")
    parse.add_argument("--backend", default="auto")
    args = parse.parse_args()
    with open(STATS) as f:
        stats = f.read()
    with open(STATS, "w") as f:
        f.write("1")
    folder = tempfile.TemporaryDirectory()
    binary = os.path.join(folder.name, "traffic")
    subprocess.run(["cc", "-O2", "-o", binary, os.path.join(ROOT, "tests/bench/traffic.c"), "-pthread"], check=True)
    loads = {
        "tcp": lambda: Traffic(binary, "accept", 4, 20000),
        "udp": lambda: Traffic(binary, "udp", 4, 400000),
        "ping": lambda: Redis(folder.name, 100000),
    }
    results = {}
    try:
        for _ in range(args.rounds):
            for name, make in loads.items():
                if args.only and name not in args.only:
                    continue
                runs = dict(VARIANTS)
                if name == "ping":
                    runs["-P 9"] = None
                for variant, options in runs.items():
                    load = make()
                    beside = watch(9 if options is None else load.port, options or [], args.backend)
                    cost = measure(beside, load)
                    beside.end()
                    load.end()
                    results.setdefault(name, {}).setdefault(variant, []).append(cost)
                if name == "ping":
                    continue
                load = make()
                beside = Beside(["bpftrace", "-e", (TCP if name == "tcp" else UDP) + " { @[tid] = count(); }"], "Attach")
                cost = measure(beside, load)
                beside.end()
                load.end()
                results[name].setdefault("bpftrace", []).append(cost)
    finally:
        with open(STATS, "w") as f:
            f.write(stats)
    for name, variants in results.items():
        for variant, rounds in variants.items():
            names = sorted({p for r in rounds for p in r})
            total = statistics.median(sum(c[0] for c in r.values()) for r in rounds)
            each = ", ".join(f"{p} {statistics.median(r.get(p, (0, 0))[0] for r in rounds):.0f}"
                             f" ({statistics.median(r.get(p, (0, 0))[1] for r in rounds):.2f} runs)" for p in names)
            print(f"{name:5} {variant:12} {total:7.0f} ns  {each}")
    if args.json:
        with open(args.json, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
