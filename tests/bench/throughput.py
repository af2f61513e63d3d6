#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What servers lose while a `watch` of their port runs: requests a second, beside none.

throughput.py [--blocks N] [--json FILE] [--only LOAD]... [WATCH OPTIONS...]

A block is off, on, on, off, so what drifts slowly cancels out. Its ratio is on/off; off/off is the
block's last rate over its first, what the machine does by itself. Both are shown with their 95 %
interval (Student's t). A result says something only if the interval of off/off contains 1.
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
from cost import BUILT, SECONDS, SOCKFAIR, Command  # noqa: E402

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


def short():
    return number(r"Requests per second:\s+([0-9.]+)", output("ab", "-q", "-c", 16, "-n", 20000, f"http://127.0.0.1:{PORT}/"))


def kept():
    return number(r"Requests/sec:\s+([0-9.]+)", output("wrk", "-t1", "-c16", "-d2", f"http://127.0.0.1:{PORT}/"))


def ping(*options):
    return number(r'"PING_MBULK","([0-9.]+)"', output("redis-benchmark", "-p", PORT, "-t", "ping_mbulk", "-c", 16, "--csv", *options))


def flood():
    """Datagrams a second of traffic.c; it takes the port that it is given, so nothing runs before."""
    with subprocess.Popen([os.path.join(BUILT, "traffic"), "udp", "4", "1000000"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        begun = time.monotonic()
        process.stdin.write("go\n")
        process.stdin.flush()
        sent = number(r"sent=(\d+)", process.stdout.readline())
        return sent / (time.monotonic() - begun)


# The server's command, one measurement, and the filter of the watch (the flood picks its port).
LOADS = {
    "nginx, a connection a request": (nginx, short, ["-P", str(PORT)]),
    "nginx, keep-alive": (nginx, kept, ["-P", str(PORT)]),
    "redis ping": (redis, lambda: ping("-n", 100000), ["-P", str(PORT)]),
    "redis ping, 16 pipelined": (redis, lambda: ping("-n", 1000000, "-P", 16), ["-P", str(PORT)]),
    "UDP flood": (None, flood, ["--udp"]),
}


def block(measure, options):
    first = measure()
    watch = Command([SOCKFAIR, "watch", "-d", "600", "--plain"] + options, "watching")
    on = measure() + measure()
    watch.end()
    last = measure()
    return on / (first + last), last / first


def interval(values):
    mean = statistics.mean(values)
    degrees = len(values) - 1
    t = T95[max(d for d in T95 if d <= degrees)]
    half = t * statistics.stdev(values) / len(values) ** 0.5
    return mean, mean - half, mean + half


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--blocks", type=int, default=20)
    parse.add_argument("--json", metavar="FILE")
    parse.add_argument("--only", action="append", choices=list(LOADS))
    args, options = parse.parse_known_args()
    results = {}
    print(f"{'requests a second, on / off':32} {'on/off':>22} {'off/off':>22}")
    for name in args.only or LOADS:
        server, measure, port = LOADS[name]
        with tempfile.TemporaryDirectory() as folder:
            process = server and subprocess.Popen([str(c) for c in server(folder)], stdout=subprocess.DEVNULL)
            time.sleep(1)
            measure()
            blocks = [block(measure, port + options) for _ in range(args.blocks)]
            if process:
                process.terminate()
                process.wait(SECONDS)
        on, off = interval([b[0] for b in blocks]), interval([b[1] for b in blocks])
        results[name] = {"blocks": blocks, "on_off": on, "off_off": off}
        print(f"{name:32} " + " ".join("{:.3f} [{:.3f}, {:.3f}]".format(*i).rjust(22) for i in (on, off)), flush=True)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"kernel": os.uname().release, "options": options, "loads": results}, f, indent=1)


if __name__ == "__main__":
    main()
