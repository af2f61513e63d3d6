# SPDX-License-Identifier: GPL-2.0-or-later
"""What runs the cases of waits.py, datagrams.py, binds.py and bind_rules.py: each in a child of its own, in a network namespace of its own. TAP."""
import argparse
import ctypes
import os
import subprocess
import sys

NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Skip(Exception):
    """This kernel or backend can't do what the case is about."""


def sysctl(name, value):
    with open("/proc/sys/" + name.replace(".", "/"), "w") as f:
        f.write(str(value))


def parser(doc):
    """Of the options that all have: --label TEXT stands before each name; CASE... are the names of functions, none: all."""
    made = argparse.ArgumentParser(description=doc)
    made.add_argument("--label", default="")
    made.add_argument("cases", nargs="*")
    return made


def run(case):
    """In the child. Returns None, or why the case was skipped."""
    if libc.unshare(NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    return case()


def chosen(cases, arguments):
    return [case for case in cases if not arguments.cases or case.__name__ in arguments.cases]


def fork_case(case, arguments):
    """The pid of the child that runs the case, says in TAP how it went (a case's name is its docstring), and has status 1 if it failed."""
    name = f"{arguments.label}{case.__doc__}"
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        skipped = run(case)
        print(f"ok - {name}" + (f" # SKIP {skipped}" if skipped else ""), flush=True)
        os._exit(0)
    except Skip as why:
        print(f"ok - {name} # SKIP {why}", flush=True)
        os._exit(0)
    except Exception as error:  # of any kind: the next case has its own process
        print(f"not ok - {name}\n# {type(error).__name__}: {error}", flush=True)
        os._exit(1)


def run_all(cases, arguments, at_once=1, alone=()):
    """So many beside each other, then one by one those that are alone. Ends the program: with 1 if a case failed."""
    under_way, failed = 0, False
    for case in sorted(chosen(cases, arguments), key=lambda case: case in alone):
        while under_way >= (1 if case in alone else at_once):
            failed |= os.wait()[1] != 0
            under_way -= 1
        fork_case(case, arguments)
        under_way += 1
    while under_way:
        failed |= os.wait()[1] != 0
        under_way -= 1
    sys.exit(failed)
