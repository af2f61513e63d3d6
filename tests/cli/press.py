# SPDX-License-Identifier: GPL-2.0-or-later
"""press.py KEYS TEXT COMMAND...: runs COMMAND in a terminal of its own until TEXT is on it, presses KEYS one after the other, and ends as it does. The last key is to end it."""
import os
import pty
import sys

keys, text, command = sys.argv[1], sys.argv[2].encode(), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.environ.update(TERM="xterm", COLUMNS="100", LINES="30")
    os.execvp(command[0], command)
shown, pressed = b"", 0
while True:
    try:
        piece = os.read(terminal, 65536)
    except OSError:  # it has closed its side
        break
    shown += piece
    # A page a key: each changes what is shown.
    if pressed < len(keys) and (pressed or text in shown):
        os.write(terminal, keys[pressed].encode())
        pressed += 1
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
if status or pressed < len(keys):
    sys.exit(f"status {status} after {pressed} of {len(keys)} keys: {shown[-2000:]}")
