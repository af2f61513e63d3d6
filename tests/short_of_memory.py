#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""short_of_memory.py [--all] [CASE...]: whichever allocation fails, a command ends with status 1 and one line that says why, or with the right result. TAP.

Each call of malloc() and its kin fails once, in a run of its own (short_of_memory.c); of commands that make many, or take long, as many of them, evenly spread, as fit
into the seconds of their case, unless --all is given.
"""
import ctypes
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SOCKFAIR = os.path.join(ROOT, "sockfair")
LIBRARY = os.path.join(ROOT, ".build/tests/short_of_memory.so")
HOLDER = [0]  # a process with sockets, in a network namespace of its own: what it has is always the same
# A result that says of itself what it lacks is right.
LACKS = re.compile(rb'not all sockets|: not usable: cannot|"complete":false|Cannot allocate memory|out of memory')


def run(arguments, **environment):
    command = [SOCKFAIR, *(str(HOLDER[0]) if a == "HOLDER" else a for a in arguments)]
    try:
        return subprocess.run(command, env=dict(os.environ, LD_PRELOAD=LIBRARY, LC_ALL="C", **environment), capture_output=True, timeout=60)
    except subprocess.TimeoutExpired:
        return None


def same(output):
    return output


def something(output):
    return bool(output)


def rows(output):
    """What sockets there are, and who holds and waits on them."""
    return [(e["port"], len(e["sockets"]), sorted(h["pid"] for s in e["sockets"] for h in s["holders"]), len(e["workers"]))
            for line in output.splitlines() for e in json.loads(line)["endpoints"]]


def agrees(output):
    """All that was sent is counted."""
    documents = [json.loads(line) for line in output.splitlines()]
    return [(d["workload"]["mode"], d["workload"]["served"], d["workload"]["agrees"]) for d in documents if "skipped" not in d["workload"]]


def wrong(base, result, facts):
    """What is wrong with it; None: nothing is."""
    if result is None:
        return "hangs"
    said = base.stderr.splitlines()  # "watching ..."
    lines = [line.decode(errors="replace") for line in result.stderr.splitlines() if (line not in said or base.returncode == 1) and not line.startswith(b"libbpf: ")]
    if result.returncode == 1 and len(lines) == 1 and lines[0].startswith("sockfair"):
        return None
    if result.returncode != base.returncode:
        return f"status {result.returncode}, said {lines[:3]}"
    if LACKS.search(result.stdout + result.stderr) or facts(result.stdout) == facts(base.stdout):
        return None
    return f"status {result.returncode}, and another result: {result.stdout[-300:]}"


def holds_sockets():
    """The process of HOLDER. It dies with us."""
    ready, there = os.pipe()
    HOLDER[0] = os.fork()
    if HOLDER[0]:
        return os.read(ready, 1)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    ctypes.CDLL(None).unshare(0x40000000)  # CLONE_NEWNET
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for _ in range(2):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        s.bind(("127.0.0.1", 8000))
        s.listen()
        threading.Thread(target=s.accept, daemon=True).start()
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("127.0.0.1", 8001))
    os.write(there, b"x")
    u.recv(1)


# Seconds, arguments, what of the output must be the same.
CASES = {
    "help": (1, ["--help"], same),
    "schema": (1, ["--schema"], same),
    "no such command": (1, ["nosuch"], same),
    "wrong option": (1, ["list", "--nosuch"], same),
    "filters": (1, ["list", "-P", "80,8000-8010", "--comm", "a,b", "-c", "/nosuch"], same),
    "compare": (5, ["compare", "runs", "window"], same),
    "compare, as JSON": (3, ["compare", "runs", "runs", "--json"], same),
    "compare, with what it saved": (2, ["compare", "saved"], same),
    "claims": (1, ["claims", "htons", "privileged-port"], same),
    "bind-check": (4, ["bind-check", "-N", "HOLDER", "8000", "1", "127.0.0.1:8001"], same),
    "bind-check, as JSON": (3, ["bind-check", "-N", "HOLDER", "8000", "--json"], same),
    "list": (4, ["list", "-N", "HOLDER"], something),
    "list, as JSON": (4, ["list", "-N", "HOLDER", "--json"], rows),
    "doctor": (3, ["doctor", "--hooks"], same),
    "run": (5, ["run", "reuseport", "-n", "20", "-w", "2", "--json"], agrees),
    "export": (3, ["export", "-N", "HOLDER", "--textfile", "page.prom", "-d", "0.01"], same),
    "watch": (3, ["watch", "-N", "HOLDER", "-d", "0.01", "--json"], rows),
}


def case(name, everything):
    seconds, arguments, facts = CASES[name]
    begin = time.monotonic()
    base = run(arguments, SHORT_COUNT="count")
    took = time.monotonic() - begin
    with open("count") as f:
        count = int(f.read())
    step = 1 if everything else max(1, round(count * took / seconds))
    bad = []
    for n in range(1, count + 1, step):
        why = wrong(base, run(arguments, SHORT_AT=str(n)), facts)
        if why:
            bad.append(f"# call {n} of {count}: {why}")
    return count, step, bad


def main():
    everything = "--all" in sys.argv
    names = [name for name in sys.argv[1:] if name != "--all"] or list(CASES)
    folder = tempfile.TemporaryDirectory()
    os.chdir(folder.name)
    holds_sockets()
    for command in ("run reuseport shared-accept -n 40 -w 2 --repeat 2 --json -o runs", "list -N HOLDER --json -o window",
                    "compare runs runs --json -o saved"):
        subprocess.run([SOCKFAIR, *command.replace("HOLDER", str(HOLDER[0])).split()], check=True)
    print(f"1..{len(names)}")
    failed = False
    for number, name in enumerate(names, 1):
        count, step, bad = case(name, everything)
        failed |= bool(bad)
        print(f"{'not ' if bad else ''}ok {number} - {name}: {len(range(1, count + 1, step))} of {count} calls", *bad[:10], sep="\n", flush=True)
    os.kill(HOLDER[0], signal.SIGKILL)
    os.chdir("/")
    sys.exit(failed)


if __name__ == "__main__":
    main()
