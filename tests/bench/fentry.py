#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The backend fentry beside bpftrace's count on the same function, in a virtual machine.

It is emulated, so only the ratios mean something.

fentry.py [--json FILE] [--kernel NAME]

NAME is one of tests/vm/kernels. Where no machine runs, the row has the reason.
Three minutes, and more on a busy machine.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing is left beside
from cost import BPFTRACE, ROOT  # noqa: E402

ROUNDS = 7
MARK = "cost.json: "
GUEST = """#!/bin/bash
cd {root} && tests/bench/cost.py --backend fentry --only 'TCP connection' --events 1500 --rounds {rounds} \\
    --beside 'counts only' --beside default --beside "{bpftrace}" --json /run/cost.json >/dev/null || exit
printf '{mark}'
tr -d '\\n' </run/cost.json
echo
"""


def in_guest(kernel):
    """The guest's cost.json, or why there is none."""
    with tempfile.TemporaryDirectory(dir=os.path.join(ROOT, ".build", "bench")) as folder:
        script = os.path.join(folder, "guest.sh")
        with open(script, "w", encoding="ascii") as f:
            f.write(GUEST.format(root=ROOT, rounds=ROUNDS, bpftrace=BPFTRACE, mark=MARK))
        os.chmod(script, 0o755)
        done = subprocess.run([os.path.join(ROOT, "tests", "vm", "boot.sh"), kernel, script], capture_output=True,
                              text=True, check=False, env={**os.environ, "VM_SECONDS": "600"})
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            return json.loads(line[len(MARK):]), None
    said = (done.stdout + done.stderr).strip().splitlines()
    return None, said[-1] if said else f"boot.sh ended with {done.returncode}"


def least(rounds):
    """ns of each program an event: the least of the rounds, as what else the host does only adds to it."""
    names = {name for r in rounds for name in r["programs"]}
    return {name: min(r["programs"][name][0] for r in rounds if name in r["programs"]) for name in names}


def ratios(cost):
    """The programs at accept, and all programs, over bpftrace's."""
    ns = {name: least(rounds) for name, rounds in cost["workloads"]["TCP connection"].items()}
    one = sum(ns.pop(BPFTRACE).values())
    return {name: (sum(v for program, v in of.items() if "accept" in program) / one, sum(of.values()) / one)
            for name, of in ns.items()}


def main():
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parse.add_argument("--json", metavar="FILE")
    parse.add_argument("--kernel", default="6.12")
    args = parse.parse_args()
    print("the backend fentry over bpftrace's count at the return of inet_csk_accept(): times as much, by the least of "
          f"{ROUNDS} rounds")
    cost, why = in_guest(args.kernel)
    if why:
        print(f"  not here: {why}")
    found = ratios(cost) if cost else {}
    for name, (accept, every) in found.items():
        print(f"  {name:12} at accept {accept:.2f}; all programs of a connection {every:.1f}")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"kernel": args.kernel, "not_run": why, "ratios": found, "cost": cost}, f, indent=1)


if __name__ == "__main__":
    main()
