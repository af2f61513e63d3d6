#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fitted.py [--backend NAME] [CASE...]: programs come out the same, whether libbpf fits them to all types of the kernel or only to those that
user/attach/types.c leaves it. TAP. The kernel's tag of a program is a hash of its instructions."""
import ctypes
import errno
import glob
import os
import platform
import signal
import struct
import subprocess
import sys

sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
import cases
import watching

MEMFD_CREATE = {"x86_64": 319, "aarch64": 279}[platform.machine()]
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06


def refuse_files_in_memory():
    """A seccomp filter answers ENOSYS to memfd_create(): types.c leaves libbpf all types then."""
    filters = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, MEMFD_CREATE), (RETURN, 0, 0, 0x00050000 | errno.ENOSYS), (RETURN, 0, 0, 0x7FFF0000)]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *f) for f in filters))
    if cases.libc.prctl(22, 2, struct.pack("HP", len(filters), ctypes.addressof(program)), 0, 0):  # PR_SET_SECCOMP, a filter
        raise OSError(ctypes.get_errno(), "prctl")


def programs(command, prepare):
    """The tags of the programs that the command holds while it runs, each with how often."""
    if watching.backend:
        command = [*command, "--backend", watching.backend]
    child = subprocess.Popen([watching.SOCKFAIR, *command], preexec_fn=prepare, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = ""
    while "watching" not in said:
        line = child.stderr.readline()
        if not line:
            raise AssertionError(f"sockfair {command[0]} ended: {said}")
        said += line
    tags = []
    for path in glob.glob(f"/proc/{child.pid}/fdinfo/*"):
        with open(path) as file:
            text = file.read()
        if "prog_type" in text:  # not a link, which has its program's tag, too
            tags += [line.split()[1] for line in text.splitlines() if line.startswith("prog_tag")]
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    watching.equal(f"status of sockfair {command[0]}", child.returncode, 0)
    return sorted(tags)


def same(least, *command):
    fitted, to_all = (programs(command, prepare) for prepare in (None, refuse_files_in_memory))
    watching.equal("programs that libbpf fitted to what types.c left", fitted, to_all)
    watching.between("programs", least, len(set(to_all)), 100)


def counting():
    """programs that count are the same, fitted to all types of the kernel or to few"""
    same(10, "watch", "-d", "600", "--json")


def binding():
    """programs that see bind() are the same, fitted to all types of the kernel or to few"""
    same(6, "binds", "-d", "600", "--json")


CASES = [counting, binding]


if __name__ == "__main__":
    parser = cases.parser(__doc__)
    parser.add_argument("--backend")
    options = parser.parse_args()
    watching.backend = options.backend
    cases.run_all(CASES, options)
