#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a fleet costs its Prometheus: series, bytes of a scrape, memory.

fleet.py [--json FILE] [--machines N]... [--workers none|slot|pid]... [--scrapes N] [--interval SECONDS]

Made-up pages (tests/scrapes.py) of 10, 30 and 100 machines with 20 ports of 64 workers each, served on
loopback, are scraped by a real Prometheus, each in a network namespace of its own: with series of each
worker, and without. What 1,000 machines would take is a line through the largest two, and marked so:
no such number was measured. Memory is what is resident, without files, at the end of the run: a
Prometheus that has run for two hours keeps more samples of each series before it writes them out, and
queries come on top. About ten minutes, and 6 GB of memory for 100 machines.
"""
import argparse
import json
import os
import sys
import time

sys.dont_write_bytecode = True  # nothing is left beside
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import cases  # noqa: E402
from prometheus import RULES, Prometheus  # noqa: E402
from scrapes import Machine, Server  # noqa: E402

PORT = 8300
PORTS, WORKERS = 20, 64
MACHINES = [10, 30, 100]
FLEET = 1000
EACH_KB = 6  # of memory for a series, for the refusal alone


def available():
    """Bytes of memory that are free for programs."""
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("MemAvailable")) * 1024


def measure(machines, by, arguments):
    """One run: what Prometheus says of itself, after so many scrapes of all."""
    host = Machine(PORTS, WORKERS, by)
    found = {"machines": machines, "workers": by, "series_of_machine": host.count(), "scrapes": arguments.scrapes, "interval": arguments.interval}
    if machines * host.count() * EACH_KB * 1024 > available():
        return {**found, "skipped": f"{available() >> 20} MiB of memory are free"}
    server = Server(PORT, [host] * machines)
    prometheus = Prometheus({f"host{n}": f"http://127.0.0.1:{PORT}/{n}" for n in range(machines)}, arguments.interval, RULES)
    try:
        patience = 2 * arguments.interval * (arguments.scrapes + 4)  # the first of them are slow: all series are new
        prometheus.wait("scrapes", lambda: server.pages >= machines * arguments.scrapes, patience)
        time.sleep(2)  # the last of them are stored
        (_, up), = prometheus.query('sum(up{job="sockfair"})')
        (_, slowest), = prometheus.query('max(scrape_duration_seconds{job="sockfair"})')
        return {**found, "up": up, "slowest_scrape": slowest, "series": prometheus.own("prometheus_tsdb_head_series"),
                "heap": prometheus.own("go_memstats_heap_inuse_bytes"), "bytes_of_scrape": server.bytes / server.pages,
                "resident": prometheus.resident(), "cpu": prometheus.cpu()}
    finally:
        prometheus.end()
        server.shutdown()
        server.server_close()


def apart(machines, by, arguments):
    """The same in a child, so that no run has what another left."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            made = []
            cases.run(lambda: made.append(measure(machines, by, arguments)))
            os.write(write, json.dumps(made[0]).encode())
            os._exit(0)
        except Exception as error:  # the others are measured all the same
            os.write(write, json.dumps({"machines": machines, "workers": by, "skipped": str(error)}).encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as f:
        text = f.read()
    os.waitpid(pid, 0)
    return json.loads(text)


def extrapolated(rows):
    """A line through the largest two."""
    measured = [row for row in rows if row.get("up") == row["machines"]][-2:]
    if len(measured) < 2:
        return None
    few, many = measured
    made = {"machines": FLEET, "workers": many["workers"], "extrapolated": True, "bytes_of_scrape": many["bytes_of_scrape"]}
    for name in "series", "resident", "cpu":
        slope = (many[name] - few[name]) / (many["machines"] - few["machines"])
        made[name] = many[name] + slope * (FLEET - many["machines"])
    return made


def remark(row):
    if row.get("extrapolated"):
        return "  extrapolated"
    return "" if row["up"] == row["machines"] else f"  {row['machines'] - row['up']:.0f} of them were not scraped in time"


def say(row):
    if "skipped" in row:
        print(f"{row['machines']:>8} {row['workers']:>7}   skipped: {row['skipped']}")
        return
    print(f"{row['machines']:>8} {row['workers']:>7} {row['series']:>11,.0f} {row['bytes_of_scrape'] / 1e3:>9,.0f} kB {row['resident'] / 2**20:>9,.0f} MiB"
          f" {row['resident'] / row['series']:>9,.0f} {row['cpu'] * 100:>7.1f} %{remark(row)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json")
    parser.add_argument("--machines", type=int, action="append")
    parser.add_argument("--workers", action="append", choices=["none", "slot", "pid"])
    parser.add_argument("--scrapes", type=int, default=5)
    parser.add_argument("--interval", type=int, default=15)
    arguments = parser.parse_args()
    rows = []
    print(f"{PORTS} ports of {WORKERS} workers each, {arguments.scrapes} scrapes, one each {arguments.interval} s")
    print(f"{'machines':>8} {'workers':>7} {'series':>11} {'a scrape':>12} {'resident':>13} {'B/series':>9} {'CPU':>9}")
    for by in arguments.workers or ["none", "slot"]:
        own = []
        for machines in arguments.machines or MACHINES:
            own.append(apart(machines, by, arguments))
            say(own[-1])
        line = extrapolated(own)
        if line:
            own.append(line)
            say(line)
        rows += own
    if arguments.json:
        os.makedirs(os.path.dirname(arguments.json) or ".", exist_ok=True)
        with open(arguments.json, "w") as f:
            json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
