# SPDX-License-Identifier: GPL-2.0-or-later
"""slow_reader.py SOCKFAIR: what it does while the pipe of its output is full."""
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

listeners = []
for _ in range(30):
    listeners.append(socket.socket())
    listeners[-1].bind(("127.0.0.1", 0))
    listeners[-1].listen()
PORTS = ",".join(str(s.getsockname()[1]) for s in listeners)


class Watch:
    """`watch` with a document of more than the pipe holds each 50 ms."""

    def __init__(self, *options, blocking=True):
        self.read, write = os.pipe()
        self.size = fcntl.fcntl(write, 1031, 4096)  # F_SETPIPE_SZ
        os.set_blocking(write, blocking)
        self.process = subprocess.Popen([sys.argv[1], "watch", "--no-wait", "--no-serve", "-P", PORTS, *options], stdout=write, stderr=subprocess.PIPE, text=True)
        os.close(write)
        assert "watching" in self.process.stderr.readline()

    def blocked(self):
        """Until the pipe is full and nothing more goes in: it waits."""
        while True:
            held = struct.unpack("i", fcntl.ioctl(self.read, termios.FIONREAD, b"    "))[0]
            state = open(f"/proc/{self.process.pid}/syscall").read().split()[0]
            if held > self.size // 2 and state in WAITS:
                return self
            time.sleep(0.005)

    def handled(self):
        while any(int(pending, 16) for pending in re.findall(r"(?:SigPnd|ShdPnd):\s*(\w+)", open(f"/proc/{self.process.pid}/status").read())):
            time.sleep(0.001)

    def rest(self):
        """The documents, its status and what it said."""
        text = open(self.read).read()
        said = self.process.stderr.read()
        return text, self.process.wait(20), said

    def is_whole(self):
        text, status, said = self.rest()
        assert status == 0 and not said, (status, said)
        assert text.endswith("\n")
        documents = [json.loads(line) for line in text.splitlines()]
        assert [d["window"]["final"] for d in documents] == [False] * (len(documents) - 1) + [True]


WAITS = ("1", "7", "271", "64", "73")  # write, poll, ppoll of x86-64; write, ppoll of arm64
INTERVALS = ("-i", "0.05", "--json")

for number, blocking in (signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, True):
    w = Watch(*INTERVALS, blocking=blocking).blocked()
    w.process.send_signal(number)
    w.handled()
    w.is_whole()

# timeout(1) sends its signal twice, a moment apart.
w = Watch(*INTERVALS).blocked()
for _ in range(2):
    w.process.send_signal(signal.SIGTERM)
    w.handled()
w.is_whole()

# One document at the end, and no signal at all.
w = Watch("-d", "0.1", "--json", blocking=False).blocked()
w.is_whole()

# A second signal.
w = Watch(*INTERVALS).blocked()
w.process.send_signal(signal.SIGINT)
w.handled()
time.sleep(0.15)
w.process.send_signal(signal.SIGTERM)
assert w.process.wait(20) == -signal.SIGTERM
os.close(w.read)

# The reader goes while it waits.
w = Watch(*INTERVALS).blocked()
os.close(w.read)
assert w.process.wait(20) == 1
said = w.process.stderr.read()
assert said == "sockfair: cannot write the output: Broken pipe\n", said
