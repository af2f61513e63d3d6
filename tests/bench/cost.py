#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the programs cost per event, by the kernel's own statistics (kernel.bpf_stats_enabled).

cost.py [--rounds N] [--json FILE] [--only WORKLOAD]... [--beside WHAT]... [--events N] [--backend B]

Each round runs every workload once beside each variant of `watch`, beside bpftrace's simplest count
of the same events, and beside empty programs on the hooks of the tracepoint backend (the floor, which
this version has where that backend runs); --beside takes some of these alone, and leaves out what the
tool itself takes. The table has medians of the rounds. The kernel reads a
clock before and after each run of a program, and a part of that is in every figure, so only figures
of one table can be compared.
"""
import argparse
import contextlib
import ctypes
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILT = os.path.join(ROOT, ".build", "bench")  # make bench
SOCKFAIR = os.path.join(ROOT, "sockfair")
STATS = "/proc/sys/kernel/bpf_stats_enabled"
SECONDS = 120  # the most that anything here may take
VARIANTS = {"default": [], "--no-wait": ["--no-wait"], "--no-serve": ["--no-serve"],
            "counts only": ["--no-wait", "--no-serve"]}
OWN_CONNECTIONS = 500000  # for the CPU seconds of the tool itself
OTHER_PORT = 9  # nobody has it: what a watch costs that asks for something else


def programs():
    """Each loaded program: id -> (name, ns, runs)."""
    out = subprocess.run(["bpftool", "prog", "show", "-j"], capture_output=True, text=True, check=True)
    return {p["id"]: (p.get("name", p["type"]), p.get("run_time_ns", 0), p.get("run_cnt", 0))
            for p in json.loads(out.stdout)}


def descriptors(pid):
    """What the kernel tells of each descriptor of a process."""
    folder = f"/proc/{pid}/fdinfo"
    for fd in os.listdir(folder):
        with open(os.path.join(folder, fd), encoding="ascii") as f:
            yield dict(line.split(":", 1) for line in f.read().splitlines() if ":" in line)


@contextlib.contextmanager
def statistics_on():
    """The kernel measures its programs meanwhile."""
    with open(STATS, encoding="ascii") as f:
        before = f.read()
    try:
        with open(STATS, "w", encoding="ascii") as f:
            f.write("1")
        yield
    finally:
        with open(STATS, "w", encoding="ascii") as f:
            f.write(before)


def mount_tracefs():
    if not os.path.exists("/sys/kernel/tracing/events"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=True)


class Traffic:
    """traffic.c: a server, and clients that begin when they are told to."""

    def __init__(self, _folder, kind, count, threads=4):
        self.count = count
        self.process = subprocess.Popen([os.path.join(BUILT, "traffic"), kind, str(threads), str(count)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline().split()[1])

    def run(self, what="go"):
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def end(self):
        self.process.stdin.close()
        self.process.wait(SECONDS)


class Redis:
    """Pings over 16 connections; a ping on loopback is two packets and two reads."""

    port = 6399

    def __init__(self, folder, _kind, count):
        self.count = count
        self.server = subprocess.Popen(["redis-server", "--port", str(self.port), "--save", "", "--dir", folder,
                                        "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.time() + 10
        while subprocess.run(["redis-cli", "-p", str(self.port), "ping"], capture_output=True, check=False).returncode:
            if time.time() > end:
                sys.exit("cost.py: redis-server did not start")
            time.sleep(0.05)

    def run(self):
        subprocess.run(["redis-benchmark", "-p", str(self.port), "-t", "ping_mbulk", "-c", "16", "-n", str(self.count),
                        "-q"], stdout=subprocess.DEVNULL, check=True, timeout=SECONDS)

    def end(self):
        self.server.terminate()
        self.server.wait(SECONDS)


# What runs, how many events, and bpftrace's probe that fires once for each: with the backend fentry
# one of the same kind.
WORKLOADS = {
    "TCP connection": (Traffic, "accept", 20000, {"tracepoint": "tracepoint:syscalls:sys_exit_accept",
                                                  "fentry": "kretfunc:inet_csk_accept"}),
    "UDP datagram": (Traffic, "udp", 400000, {"tracepoint": "tracepoint:sock:sock_recv_length"}),
    "redis ping": (Redis, None, 100000, {}),
}
BPFTRACE = "bpftrace's count"
# These run for each descriptor or thread, at intervals, not for events.
ITERATORS = "list_sockets", "list_sockets_old", "list_threads", "list_connections", "read_open"


class NotStarted(Exception):
    """Why a command does not run here, in its own words."""


class Command:
    """A command that counts beside the workload; its programs are attached once it says so."""

    def __init__(self, command, ready):
        begun = time.monotonic()
        self.log = tempfile.TemporaryFile("w+")
        try:
            self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log,
                                            env={**os.environ, "BPFTRACE_STRLEN": "16", "PYTHONUNBUFFERED": "1"})
        except OSError as e:
            raise NotStarted(f"{command[0]}: {e.strerror}") from e
        while ready not in self.told():
            self.check(begun + SECONDS)
            time.sleep(0.01)
        self.seconds = time.monotonic() - begun
        time.sleep(0.5)
        self.check(begun + SECONDS)
        self.ids = {int(told["prog_id"]) for told in descriptors(self.process.pid) if "prog_id" in told}

    def check(self, deadline):
        if self.process.poll() is None and time.monotonic() < deadline:
            return
        self.process.kill()
        self.process.wait(SECONDS)
        raise NotStarted(f"{' '.join(self.process.args)} did not start: {self.told().strip()}")

    def told(self):
        self.log.seek(0)
        return self.log.read()

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(SECONDS)
        self.log.close()


class Empty:
    """empty.bpf.c, loaded into this process by libbpf."""

    def __init__(self):
        known = set(programs())
        lib = ctypes.CDLL("libbpf.so.1")
        for name in "bpf_object__open_file", "bpf_object__next_program", "bpf_program__attach":
            getattr(lib, name).restype = ctypes.c_void_p
        self.lib, self.links = lib, []
        self.object = ctypes.c_void_p(lib.bpf_object__open_file(os.path.join(BUILT, "empty.bpf.o").encode(), None))
        if not self.object or lib.bpf_object__load(self.object):
            sys.exit("cost.py: the empty programs can't be loaded on this kernel")
        program = None
        while program := lib.bpf_object__next_program(self.object, ctypes.c_void_p(program)):
            self.links.append(ctypes.c_void_p(lib.bpf_program__attach(ctypes.c_void_p(program))))
        self.ids = set(programs()) - known

    def cpu_seconds(self):
        return 0

    def end(self):
        for link in self.links:
            self.lib.bpf_link__destroy(link)
        self.lib.bpf_object__close(self.object)


def measure(beside, load):
    """{program: [ns, runs]}, both per event, and the CPU seconds of the command per million events."""
    before, cpu = programs(), beside.cpu_seconds()
    load.run()
    after, cpu = programs(), beside.cpu_seconds() - cpu
    cost = {}
    for i in beside.ids & set(after):
        name, ns, runs = after[i]
        _, ns_before, runs_before = before.get(i, (name, 0, 0))
        if runs - runs_before > load.count / 100 and name not in ITERATORS:
            cost[name] = [(ns - ns_before) / load.count, (runs - runs_before) / load.count]
    return {"programs": cost, "cpu_s_per_million": cpu / load.count * 1e6}


def watch(port, options, backend):
    return Command([SOCKFAIR, "watch", "-P", str(port), "-d", str(SECONDS), "--plain", "--backend", backend] + options,
                   "watching port")


def besides(load, probe, args):
    """(what, function that starts it) for all that a workload runs beside, by turns."""
    for name, options in VARIANTS.items():
        yield name, lambda o=options: watch(load.port, o, args.backend)
    yield "-P, another port", lambda: watch(OTHER_PORT, [], args.backend)
    if probe:
        yield BPFTRACE, lambda: Command(["bpftrace", "-e", probe + " { @[tid] = count(); }"], "Attach")
    if args.backend in ("auto", "tracepoint"):
        yield "empty programs", Empty


def total(cost):
    return sum(ns for ns, _ in cost["programs"].values())


def show(results):
    for workload, variants in results.items():
        print(f"{workload}: ns of all programs, median of {len(next(iter(variants.values())))} (runs of each program)")
        for name, rounds in variants.items():
            ns = statistics.median(map(total, rounds))
            runs = {p: statistics.median(r["programs"].get(p, [0, 0])[1] for r in rounds)
                    for p in sorted({p for r in rounds for p in r["programs"]})}
            each = {p: statistics.median(r["programs"].get(p, [0, 0])[0] for r in rounds) for p in runs}
            print(f"  {name:18} {ns:7.0f}   " + ", ".join(f"{p} {each[p]:.0f} ({n:.1f})" for p, n in runs.items()))


def map_bytes(pid):
    """What the kernel counts for the maps of a process."""
    return sum({told["map_id"]: int(told["memlock"]) for told in descriptors(pid) if "map_id" in told}.values())


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s*(\d+)", f.read()).group(1))


def spent(pid):
    """User and system seconds of a running process, in ticks, and all its CPU seconds, in ns (schedstat)."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    exact = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as f:
            exact += int(f.read().split()[0])
    return [int(fields[i]) / os.sysconf("SC_CLK_TCK") for i in (11, 12)] + [exact / 1e9]


def while_attached(port, during):
    """What a watch spends while it runs, without its start and its end; and how long that was."""
    beside = watch(port, [], "auto")
    begun, before = time.monotonic(), spent(beside.process.pid)
    during()
    after, seconds = spent(beside.process.pid), time.monotonic() - begun
    beside.end()
    return [b - a for a, b in zip(before, after)], seconds


def own_cpu(rounds):
    """CPU seconds of the tool per million connections: a watch of them, less as long a time that sees none."""
    pairs = []
    for _ in range(rounds):
        load = Traffic(None, "accept", OWN_CONNECTIONS)
        busy, seconds = while_attached(load.port, load.run)
        load.end()
        load = Traffic(None, "accept", OWN_CONNECTIONS)  # the same server, which nobody connects to
        idle, _ = while_attached(load.port, lambda s=seconds: time.sleep(s))
        load.end()
        pairs.append([(b - i) / OWN_CONNECTIONS * 1e6 for b, i in zip(busy, idle)])
    return pairs


def tool(rounds):
    """What the tool itself takes."""
    beside = watch(OTHER_PORT, [], "auto")
    rss = resident_kib(beside.process.pid)
    maps = map_bytes(beside.process.pid)
    beside.end()
    cpu = own_cpu(rounds)
    found = {"start_to_attached_ms": beside.seconds * 1e3, "resident_kib": rss, "maps_kib": maps / 1024,
             "binary_kib": os.path.getsize(SOCKFAIR) / 1024,
             "user_s_per_million": statistics.median(p[0] for p in cpu),
             "system_s_per_million": statistics.median(p[1] for p in cpu),
             "cpu_s_per_million": statistics.median(p[2] for p in cpu)}
    print("the tool: " + ", ".join(f"{k} {v:.3f}" for k, v in found.items()))
    print("  user, system, both by schedstat, s per million, each round: "
          + " ".join(",".join(f"{v:.3f}" for v in p) for p in cpu))
    return {**found, "cpu_rounds": cpu}


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--json", metavar="FILE")
    parse.add_argument("--only", action="append", choices=list(WORKLOADS))
    parse.add_argument("--beside", action="append", metavar="WHAT", help="as in the table")
    parse.add_argument("--events", type=int, help="of each workload")
    parse.add_argument("--backend", default="auto", choices=["auto", "fentry", "kprobe", "tracepoint"])
    args = parse.parse_args()
    mount_tracefs()
    results = {}
    with tempfile.TemporaryDirectory() as folder, statistics_on():
        for _ in range(args.rounds):
            for name in args.only or WORKLOADS:
                make, kind, count, probes = WORKLOADS[name]
                count, probe = args.events or count, probes.get(args.backend, probes.get("tracepoint"))
                load = make(folder, kind, count)
                turns = [n for n, _ in besides(load, probe, args) if n in (args.beside or [n])]
                load.end()
                for turn in turns:
                    load = make(folder, kind, count)
                    beside = dict(besides(load, probe, args))[turn]()
                    results.setdefault(name, {}).setdefault(turn, []).append(measure(beside, load))
                    beside.end()
                    load.end()
    show(results)
    tools = None if args.beside else tool(args.rounds)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"kernel": os.uname().release, "load_average": os.getloadavg(), "workloads": results,
                       "tool": tools}, f, indent=1)


if __name__ == "__main__":
    # A shell that starts it in the background has it ignore SIGINT, and so would the watch. The
    # kernel is not left measuring.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("cost.py: ended by SIGTERM"))
    try:
        main()
    except NotStarted as why:
        sys.exit(f"cost.py: {why}")
