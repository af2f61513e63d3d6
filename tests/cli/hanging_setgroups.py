#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command whose setgroups(2) never returns, as if who calls it were stopped: a seccomp filter asks this process, which does not answer."""
import ctypes
import os
import platform
import signal
import struct
import sys

SECCOMP, SETGROUPS = {"x86_64": (317, 116), "aarch64": (277, 159)}[platform.machine()]
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
filters = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, SETGROUPS), (RETURN, 0, 0, 0x7FC00000), (RETURN, 0, 0, 0x7FFF0000)]

program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *f) for f in filters))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
listener = libc.syscall(SECCOMP, 1, 8, struct.pack("HP", len(filters), ctypes.addressof(program)))  # a filter, with a new listener
if listener < 0:
    sys.exit("no seccomp: " + os.strerror(ctypes.get_errno()))
pid = os.fork()
if pid == 0:
    os.close(listener)
    os.execv(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGINT, lambda *_: os.kill(pid, signal.SIGINT))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
