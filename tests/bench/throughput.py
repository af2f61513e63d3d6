#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What servers lose while a `watch` of their port, or another tool, runs: requests a second, and p99.

throughput.py [--blocks N] [--json FILE] [--only LOAD]... [--beside TOOL]... [WATCH OPTIONS...]

A block is off, on, on, off, so what drifts slowly cancels out. Its ratio is on/off; off/off is the
block's last rate over its first, what the machine does by itself. Both are shown with their 95 %
interval (Student's t). A result says something only if the interval of off/off contains 1. p99 is of
the replies, on/off again, where the load's generator tells it (dnsperf and the flood do not). Other
tools run beside short connections only; what can't run here is a row with the reason it gives.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # nothing is left beside
from cost import BUILT, SECONDS, SOCKFAIR, Command, NotStarted, mount_tracefs  # noqa: E402

PORT = 8187
# Student's t for 95 %, two-sided, by degrees of freedom.
T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 14: 2.14, 19: 2.09}

NGINX = """worker_processes 2; pid {folder}/pid; error_log {folder}/errors; daemon off;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000;
server {{ listen 127.0.0.1:{port}; location / {{ return 200 "ok"; }} }} }}
"""


def output(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.stdout + done.stderr


def number(pattern, text):
    found = re.search(pattern, text)
    if not found:
        sys.exit(f"throughput.py: no rate in: {text[:500]}")
    return float(found.group(1))


def nginx(folder):
    path = f"{folder}/nginx.conf"
    with open(path, "w", encoding="ascii") as f:
        f.write(NGINX.format(folder=folder, port=PORT))
    return ["nginx", "-c", path]


def redis(folder):
    return ["redis-server", "--port", PORT, "--save", "", "--dir", folder, "--bind", "127.0.0.1"]


def memcached(_folder):
    return ["memcached", "-l", "127.0.0.1", "-p", PORT, "-U", 0, "-t", 2, "-u", "root"]


UNBOUND = """server:
interface: 127.0.0.1
port: {port}
num-threads: 2
so-reuseport: yes
verbosity: 0
do-daemonize: no
use-syslog: no
chroot: ""
username: ""
directory: "{folder}"
pidfile: "{folder}/pid"
local-zone: "example.test." static
local-data: "a.example.test. A 127.0.0.1"
"""


def unbound(folder):
    with open(f"{folder}/unbound.conf", "w", encoding="ascii") as f:
        f.write(UNBOUND.format(folder=folder, port=PORT))
    with open(f"{folder}/queries", "w", encoding="ascii") as f:
        f.write("a.example.test A\n")
    return ["unbound", "-c", f"{folder}/unbound.conf"]


# Each measurement returns requests a second, and p99 in ms or None.
def short(_folder):
    told = output("ab", "-q", "-c", 16, "-n", 20000, "-e", "/dev/stdout", f"http://127.0.0.1:{PORT}/")
    return number(r"Requests per second:\s+([0-9.]+)", told), number(r"(?m)^99,([0-9.]+)", told)


def kept(_folder):
    told = output("wrk", "-t1", "-c16", "-d2", "--latency", f"http://127.0.0.1:{PORT}/")
    unit = re.search(r"99%\s+[0-9.]+(us|ms|s)", told)
    p99 = number(r"99%\s+([0-9.]+)", told) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit.group(1)]
    return number(r"Requests/sec:\s+([0-9.]+)", told), p99


def ping(*options):
    told = output("redis-benchmark", "-p", PORT, "-t", "ping_mbulk", "-c", 16, "--csv", *options)
    # "test","rps","avg_latency_ms","min_latency_ms","p50","p95","p99","max"
    return number(r'"PING_MBULK","([0-9.]+)"', told), number(r'"PING_MBULK"(?:,"[0-9.]+"){5},"([0-9.]+)"', told)


def gets(_folder):
    told = output(os.path.join(BUILT, "memcache"), PORT, 16, 100000)
    return number(r"rate=([0-9.]+)", told), number(r"p99_ms=([0-9.]+)", told)


def dns(folder):
    told = output("dnsperf", "-s", "127.0.0.1", "-p", PORT, "-d", f"{folder}/queries", "-c", 16, "-l", 2)
    return number(r"Queries per second:\s+([0-9.]+)", told), None


def flood(_folder):
    """Datagrams a second of traffic.c; it takes the port that it is given, so nothing runs before."""
    with subprocess.Popen([os.path.join(BUILT, "traffic"), "udp", "4", "1000000"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        begun = time.monotonic()
        process.stdin.write("go\n")
        process.stdin.flush()
        sent = number(r"sent=(\d+)", process.stdout.readline())
        return sent / (time.monotonic() - begun), None


# The server's command, one measurement, and the filter of the watch (the flood picks its port).
SHORT = "nginx, a connection a request"
LOADS = {
    SHORT: (nginx, short, ["-P", str(PORT)]),
    "nginx, keep-alive": (nginx, kept, ["-P", str(PORT)]),
    "redis ping": (redis, lambda _: ping("-n", 100000), ["-P", str(PORT)]),
    "redis ping, 16 pipelined": (redis, lambda _: ping("-n", 1000000, "-P", 16), ["-P", str(PORT)]),
    "memcached get": (memcached, gets, ["-P", str(PORT)]),
    "DNS, unbound": (unbound, dns, ["-P", str(PORT)]),
    "UDP flood": (None, flood, ["--udp"]),
}

# Other tools that people watch connections with: the command (PIDS: the server's processes), and
# what it says once it runs; "" is a tool that says nothing until its end.
TOOLS = {
    "bpftrace": (["bpftrace", "-e", "tracepoint:syscalls:sys_exit_accept4 { @[tid] = count(); }"], "Attach"),
    "bcc tcpaccept": (["tcpaccept-bpfcc"], "PID"),
    "libbpf-tools tcpconnect": (["stdbuf", "-oL", "tcpconnect"], "PID"),
    "libbpf-tools tcptracer": (["stdbuf", "-oL", "tcptracer"], "PID"),
    "perf trace -s": (["perf", "trace", "-s", "-p", "PIDS"], ""),
    "strace -c -f": (["strace", "-c", "-f", "-p", "PIDS"], "attached"),
}


def processes(server):
    """The server and its children, as -p of perf and strace takes them."""
    children = output("pgrep", "-P", server.pid).split()
    return ",".join([str(server.pid)] + children)


def beside(tool, options, server):
    if tool == "watch":
        return Command([SOCKFAIR, "watch", "-d", "600", "--plain"] + options, "watching")
    command, ready = TOOLS[tool]
    return Command([processes(server) if word == "PIDS" else word for word in command], ready)


def block(measure, start):
    first = measure()
    tool = start()
    runs = [first, measure(), measure()]
    tool.end()
    return runs + [measure()]


def ratios(blocks, which):
    """on/off and off/off of each block: which 0 is the rate, 1 the p99."""
    of = [[run[which] for run in runs] for runs in blocks]
    return [(b[1] + b[2]) / (b[0] + b[3]) for b in of], [b[3] / b[0] for b in of]


def interval(values):
    mean = statistics.mean(values)
    degrees = len(values) - 1
    t = T95[max(d for d in T95 if d <= degrees)]
    half = t * statistics.stdev(values) / len(values) ** 0.5
    return mean, mean - half, mean + half


def started(command, folder):
    """A server; what it says is no part of the table, unless it is why it does not run."""
    said = os.path.join(folder, "said")
    with open(said, "w", encoding="utf-8") as f:
        process = subprocess.Popen(command, stdout=f, stderr=f)
    time.sleep(1)
    if process.poll() is not None:
        with open(said, encoding="utf-8", errors="replace") as f:
            raise NotStarted(f"{command[0]} ended: {f.read().strip()}")
    return process


def run(load, tool, options, count):
    """The blocks of one row, or why there are none."""
    server, measure, port = LOADS[load]
    with tempfile.TemporaryDirectory() as folder:
        process = None
        try:
            if server:
                process = started([str(c) for c in server(folder)], folder)
            measure(folder)
            blocks = [block(lambda: measure(folder), lambda: beside(tool, port + options, process))
                      for _ in range(count)]
        except FileNotFoundError as e:
            return {"not_run": f"{e.filename}: {e.strerror}"}
        except NotStarted as why:
            return {"not_run": str(why)}
        finally:
            if process:
                process.terminate()
                process.wait(SECONDS)
    row = {"blocks": blocks}
    row["on_off"], row["off_off"] = map(interval, ratios(blocks, 0))
    if blocks[0][0][1] is not None:
        row["p99_on_off"], row["p99_off_off"] = map(interval, ratios(blocks, 1))
    return row


def show(name, row):
    if "not_run" in row:
        lines = row["not_run"].splitlines()
        print(f"{name:40} not here: {lines[0]}" + (f" … {lines[-1]}" if len(lines) > 1 else ""), flush=True)
        return
    cells = ["{:.3f} [{:.3f}, {:.3f}]".format(*row[c]) if c in row else "-"
             for c in ("on_off", "off_off", "p99_on_off")]
    print(f"{name:40} " + " ".join(c.rjust(22) for c in cells), flush=True)


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--blocks", type=int, default=20)
    parse.add_argument("--json", metavar="FILE")
    parse.add_argument("--only", action="append", choices=list(LOADS))
    parse.add_argument("--beside", action="append", choices=["watch"] + list(TOOLS))
    args, options = parse.parse_known_args()
    if args.blocks < 2:
        parse.error("an interval takes two blocks or more")
    mount_tracefs()
    loads = args.only or list(LOADS)
    rows = [(load, "watch") for load in loads] + [(SHORT, t) for t in TOOLS if SHORT in loads]
    results = {"kernel": os.uname().release, "options": options, "load_average": os.getloadavg(), "rows": []}
    print(f"load average before: {os.getloadavg()[0]:.1f}")
    print(f"{'requests a second, on / off':40} {'on/off':>22} {'off/off':>22} {'p99 on/off':>22}")
    for load, tool in rows:
        if args.beside and tool not in args.beside:
            continue
        row = run(load, tool, options, args.blocks)
        results["rows"].append({"load": load, "beside": tool, **row})
        show(load if tool == "watch" else f"  beside {tool}", row)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
