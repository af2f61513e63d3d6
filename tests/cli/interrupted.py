# SPDX-License-Identifier: GPL-2.0-or-later
"""interrupted.py RUNNER COMMAND...: a second signal while it finishes after a first ends it at once. The first one is handled, then it is held still for longer than what
counts as the same signal sent twice."""
import os
import re
import signal
import subprocess
import sys
import time


def handled(pid):
    return not any(int(pending, 16) for pending in re.findall(r"(?:SigPnd|ShdPnd):\s*(\w+)", open(f"/proc/{pid}/status").read()))


def ends_by():
    child = subprocess.Popen([sys.executable, *sys.argv[1:]], stderr=subprocess.PIPE, text=True)
    while "serving on" not in child.stderr.readline():
        assert child.poll() is None
    assert any(name.startswith(".sockfair-") for name in os.listdir(os.path.dirname(sys.argv[-1]))), "no file beside"
    child.send_signal(signal.SIGTERM)
    while not handled(child.pid):
        pass
    child.send_signal(signal.SIGSTOP)
    time.sleep(0.15)
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGCONT)
    return child.wait(20)


# It may have been faster.
assert any(ends_by() == -signal.SIGINT for _ in range(10)), "never ended by the second signal"
