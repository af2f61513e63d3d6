# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command for which open(2) knows no O_TMPFILE, as on file systems that don't have it: a seccomp filter answers EOPNOTSUPP."""
import ctypes
import errno
import os
import platform
import struct
import sys

OPENAT = {"x86_64": 257, "aarch64": 56}[platform.machine()]
TMPFILE = os.O_TMPFILE & ~os.O_DIRECTORY
LOAD, EQUAL, ANY, RETURN = 0x20, 0x15, 0x45, 0x06
filters = [(LOAD, 0, 0, 0), (EQUAL, 0, 3, OPENAT), (LOAD, 0, 0, 16 + 2 * 8), (ANY, 0, 1, TMPFILE),
           (RETURN, 0, 0, 0x00050000 | errno.EOPNOTSUPP), (RETURN, 0, 0, 0x7FFF0000)]

program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *f) for f in filters))
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
if libc.prctl(22, 2, struct.pack("HP", len(filters), ctypes.addressof(program))):  # PR_SET_SECCOMP, a filter
    sys.exit("no seccomp: " + os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
