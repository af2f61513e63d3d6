#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a watch costs beside 1 to 10,000 sockets, of which few or all get work, and beside open connections.

scale.py [--json FILE] [--rows N]... [--open N]... [--options "WATCH OPTIONS"]

Ten sockets of SO_REUSEPORT, a thread each, share an address. What the programs take of an event
(bpf_stats) must not depend on the number of rows, and what an interval of `watch -i 1` takes of the
CPU in user space must follow the rows that have had work, not those that are there. User time is
counted by the kernel in ticks of 10 ms, so a figure has steps of 1 to 2 ms. The bytes of open
connections are read in each interval, but not with --no-serve. About ten minutes.
"""
import argparse
import json
import os
import statistics
import sys
import time

sys.dont_write_bytecode = True  # nothing is left beside
from cost import (ITERATORS, SECONDS, SOCKFAIR, Command, NotStarted, Traffic, map_bytes, measure,  # noqa: E402
                  mount_tracefs, programs, resident_kib, spent, statistics_on, total)

EACH = 10  # sockets of an address
ROWS = [1, 10, 100, 1000, 10000]
PROTOCOLS = {"TCP": ("apart", 20000), "UDP": ("apart-udp", 100000)}  # how many as fast as they can
BURSTS = 3
OPEN = [100, 1000, 10000]
PACED, PAUSE_US, IDLE_SECONDS = 12000, 2000, 7  # for the CPU time of intervals: some 2,000 a second


class Apart(Traffic):
    """traffic.c: sockets on addresses of their own, of which some get work."""

    def __init__(self, kind, rows):
        super().__init__(None, kind, min(EACH, rows), rows)
        self.addresses = -(-rows // EACH)
        self.what = ""

    def on(self, addresses, count, pause_us=0):
        self.count, self.what = count, f"{addresses} {count} {pause_us}"
        return self

    def run(self, what=None):
        super().run(what or self.what)


def interval(beside, during):
    """Milliseconds of CPU a second, in user space and in all."""
    before, begun = spent(beside.process.pid), time.monotonic()
    during()
    seconds = time.monotonic() - begun
    user, _, every = [(a - b) / seconds * 1e3 for a, b in zip(spent(beside.process.pid), before)]
    return {"user_ms": user, "cpu_ms": every}


def watch(load, options):
    return Command([SOCKFAIR, "watch", "-P", str(load.port), "-i", "1", "-d", str(SECONDS), "--plain"] + options,
                   "watching port")


def iterators(ids, before, after):
    """Microseconds and runs of the programs that walk over descriptors and threads."""
    found = {name: [0, 0] for name in ITERATORS}
    for i, (name, ns, runs) in after.items():
        if i in ids and name in ITERATORS:
            _, ns_before, runs_before = before.get(i, (name, 0, 0))
            found[name] = [(ns - ns_before) / 1e3, runs - runs_before]
    return found


def opened(count, options):
    """Connections that are open, and carry nothing."""
    load = Traffic(None, "open", count)
    beside = watch(load, options)
    load.run()
    found = {"open": count, "options": options, **interval(beside, lambda: time.sleep(IDLE_SECONDS))}
    with statistics_on():
        before, begun = programs(), time.monotonic()
        time.sleep(IDLE_SECONDS)
        found.update(iterators(beside.ids, before, programs()), seconds=time.monotonic() - begun)
    found["resident_kib"] = resident_kib(beside.process.pid)
    beside.end()
    load.end()
    return found


def show_opened(r):
    us, runs = r["read_open"]
    each = f"{us / runs * 1e3:.0f} ns for each of {runs / r['seconds']:,.0f} descriptors a second" if runs else "-"
    print(f"{r['open']:11,}  {' '.join(r['options']) or 'default':10} {r['user_ms']:9.1f} {r['cpu_ms']:9.1f} "
          f"{r['resident_kib'] / 1024:9.1f}   {each}", flush=True)


def row(protocol, rows, options):
    kind, burst = PROTOCOLS[protocol]
    load = Apart(kind, rows)
    beside = watch(load, options)
    found = {"protocol": protocol, "rows": rows, "idle": interval(beside, lambda: time.sleep(IDLE_SECONDS))}
    for name, addresses in ("few", 1), ("all", load.addresses):
        with statistics_on():
            ns = statistics.median(total(measure(beside, load.on(addresses, burst))) for _ in range(BURSTS))
        found[name] = {"ns": ns, **interval(beside, load.on(addresses, PACED, PAUSE_US).run)}
    found["resident_kib"] = resident_kib(beside.process.pid)
    found["maps_kib"] = map_bytes(beside.process.pid) / 1024
    beside.end()
    load.end()
    return found


def show(r):
    print(f"{r['protocol']:4} {r['rows']:6,} {r['few']['ns']:9.0f} {r['all']['ns']:7.0f} "
          f"{r['idle']['user_ms']:10.1f} {r['few']['user_ms']:7.1f} {r['all']['user_ms']:7.1f} "
          f"{r['idle']['cpu_ms']:10.1f} {r['few']['cpu_ms']:7.1f} {r['all']['cpu_ms']:7.1f} "
          f"{r['resident_kib'] / 1024:9.1f} {r['maps_kib'] / 1024:6.1f}", flush=True)


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--json", metavar="FILE")
    parse.add_argument("--rows", type=int, action="append")
    parse.add_argument("--open", type=int, action="append")
    parse.add_argument("--options", default="", help="of watch")
    args = parse.parse_args()
    mount_tracefs()
    print(f"load average before: {os.getloadavg()[0]:.1f}; few: {EACH} rows have had work; MiB: at the end")
    print("            ns of an event      ms of user time a second      ms of CPU a second            MiB")
    print("       rows       few     all       idle     few     all       idle     few     all  resident   maps")
    results = {"kernel": os.uname().release, "load_average": os.getloadavg(), "rows": [], "opened": []}
    for protocol in PROTOCOLS:
        for rows in args.rows or ([] if args.open else ROWS):
            results["rows"].append(row(protocol, rows, args.options.split()))
            show(results["rows"][-1])
    print("open, idle                user ms/s  CPU ms/s  resident   read_open")
    for count in args.open or ([] if args.rows else OPEN):
        for options in [], ["--no-serve"]:
            results["opened"].append(opened(count, args.options.split() + options))
            show_opened(results["opened"][-1])
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    try:
        main()
    except NotStarted as why:
        sys.exit(f"scale.py: {why}")
