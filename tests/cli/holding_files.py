# SPDX-License-Identifier: GPL-2.0-or-later
"""holding_files.py COMMAND...: runs sockfair, and has each of its clients' sockets a moment longer
than they do, as who lists open files may. Ends with the command's status."""
import ctypes
import os
import subprocess
import sys

PIDFD_GETFD = 438
libc = ctypes.CDLL(None)


def clients_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        for child in f.read().split():
            with open(f"/proc/{child}/comm") as name:
                if name.read().strip() == "sockfair-client":
                    return os.pidfd_open(int(child))
    return None


command = subprocess.Popen(sys.argv[1:])
clients, held = None, []
while command.poll() is None:
    try:
        clients = clients or clients_of(command.pid)
    except OSError:  # it has ended
        pass
    if clients:
        held += [fd for fd in (libc.syscall(PIDFD_GETFD, clients, number, 0) for number in range(3, 12)) if fd >= 0]
    while len(held) > 40:
        os.close(held.pop(0))
sys.exit(command.returncode)
