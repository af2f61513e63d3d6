#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""steer_epoll.py [CASE...]: what `sockfair steer` does to a socket that several epolls watch. TAP.

Each case runs in a network namespace of its own, with a server of its own: processes, forked beforehand, that each have an epoll on one
listener and count what they accept. Nothing may be lost: what the clients got is what the server counted. Whoever is killed, each worker
has its entry afterwards, as it was.
"""
import json
import mmap
import os
import random
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
import cases
from watching import PORT, SOCKFAIR, between, equal, netns

WORKERS = 8
EXCLUSIVE = select.EPOLLIN | select.EPOLLEXCLUSIVE
EDGE = select.EPOLLIN | select.EPOLLET


class Server:
    """workers: processes; each has the listener under a number of its own."""

    def __init__(self, events, workers=WORKERS, blocking=False, work=None, epolls=1):
        self.listener = socket.create_server(("127.0.0.1", PORT), backlog=1024)
        self.listener.setblocking(blocking)
        self.counts = mmap.mmap(-1, 8 * 256)
        self.events, self.work, self.epolls, self.pids = events, work, epolls, []
        for _ in range(workers):
            self.add()
        until(lambda: len(self.entries()) >= workers * epolls, "workers that wait")

    def add(self):
        number = len(self.pids)
        case = os.getpid()
        pid = os.fork()
        if not pid:
            try:
                cases.libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a case that fails leaves nobody behind
                if os.getppid() == case:
                    self.serve(number)
            finally:
                os._exit(1)
        self.pids.append(pid)

    def serve(self, number):
        # After a fork nobody else is to hold it under its old number.
        mine = socket.socket(fileno=os.dup2(self.listener.fileno(), 20 + number))
        self.listener.close()
        epolls = [select.epoll() for _ in range(self.epolls)]
        for epoll in epolls:
            epoll.register(mine.fileno(), self.events)
        if self.work:
            self.work(number, mine, epolls[0])
        while True:
            epolls[0].poll()
            while True:
                try:
                    connection = mine.accept()[0]
                except BlockingIOError:
                    break
                self.counts[8 * number:8 * number + 8] = struct.pack("=Q", self.count(number) + 1)
                connection.send(b"x")
                connection.close()
                if not self.events & select.EPOLLET:
                    break

    def count(self, number):
        return struct.unpack_from("=Q", self.counts, 8 * number)[0]

    def all_counts(self):
        return [self.count(number) for number in range(len(self.pids))]

    def entries(self):
        """(pid, epoll, number, events, data) of all entries of the listener."""
        inode, found = os.fstat(self.listener.fileno()).st_ino, set()
        for pid in self.pids:
            try:
                folder = f"/proc/{pid}/fdinfo"
                for name in os.listdir(folder):
                    with open(f"{folder}/{name}") as file:
                        for match in re.finditer(r"tfd: +(\d+) events: +(\w+) data: +(\w+) +pos:\d+ ino:(\w+)", file.read()):
                            if int(match[4], 16) == inode:
                                found.add((pid, int(name), *match.groups()[:3]))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def end(self):
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        self.listener.close()


def until(holds, what, seconds=10):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)


class Clients:
    """So many, one connection after the other each, until end()."""

    def __init__(self, clients=1, pause=0.0005):
        self.got, self.failed, self.pause, self.ending = [0] * clients, [], pause, False
        self.threads = [threading.Thread(target=self.run, args=(i,)) for i in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, i):
        while not self.ending:
            try:
                with socket.create_connection(("127.0.0.1", PORT), timeout=10) as s:
                    if s.recv(1) != b"x":
                        raise OSError("no reply")
                self.got[i] += 1
            except OSError as error:
                self.failed.append(str(error))
            time.sleep(self.pause)

    def end(self):
        self.ending = True
        for thread in self.threads:
            thread.join()
        equal("connections that failed", self.failed, [])
        return sum(self.got)


def cv(counts):
    mean = sum(counts) / len(counts)
    return (sum((c - mean) ** 2 for c in counts) / len(counts)) ** 0.5 / mean


class Steer:
    """`sockfair steer`, once it steers, or has ended. It does not measure before, so that it does not end if waits get longer: others work, too. What it says in the end: `said` for people, `result`, its document."""

    def __init__(self, hz=100, prefix=()):
        command = [*prefix, SOCKFAIR, "steer", "-P", str(PORT), "-N", str(netns()), "--json", "--force", "--hz", str(hz),
                   "--before", "0", "--for", "600", "--after", "0"]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                      preexec_fn=lambda: cases.libc.prctl(1, signal.SIGKILL))
        self.result, self.said = {}, ""
        until(lambda: name_of(self.helpers()[1]) == "sockfair-mover" or self.child.poll() is not None, "steering", 60)
        time.sleep(0.05)  # the tool sees that they have begun
        self.steers = self.child.poll() is None
        if not self.steers:
            self.end(None)

    def must(self):
        equal("steers: " + self.said, self.steers, True)
        return self

    def helpers(self):
        """The pids of its guardian and its mover."""
        guardian = children(self.child.pid)
        return (guardian + [pid for g in guardian for pid in children(g)] + [0, 0])[:2]

    def end(self, signal_=signal.SIGINT):
        """Its status."""
        if signal_ and self.child.poll() is None:
            self.child.send_signal(signal_)
        if not self.said and not self.result:
            out, err = self.child.communicate(timeout=60)
            self.result = json.loads(out) if out else {}
            self.said = " ".join(filter(None, (err.strip(), self.result.get("end_text"), self.result.get("note"))))
        return self.child.returncode


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm") as file:
            return file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(p) for p in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def steer_even(events, seconds=4):
    """Where other work has the CPUs, turns are not alike and clients stand still: of a few windows one has to be even. A connection
    wakes all workers with plain entries, and who is first is not only the order: those have to be half as uneven."""
    server = Server(events)
    was = server.entries()
    clients = Clients()
    time.sleep(seconds)
    before, steered = cv(server.all_counts()), []
    most = 0.1 if events & select.EPOLLEXCLUSIVE else max(0.1, before / 2)
    steer = Steer().must()
    while not steered or (steered[-1] > most and len(steered) < 6):
        begun, cpu = server.all_counts(), times(steer.helpers())
        time.sleep(seconds)
        steered.append(cv([n - b for n, b in zip(server.all_counts(), begun)]))
        cpu = (times(steer.helpers()) - cpu) / seconds
    equal("status", steer.end(), 0)
    got = clients.end()
    equal("what the server took", sum(server.all_counts()), got)
    equal("entries afterwards", server.entries(), was)
    print(f"# CV {before:.3f} before, {', '.join(f'{c:.3f}' for c in steered)} steered, {got} connections, {100 * cpu:.2f} % of a core")
    between("CV before", 0.2, before, 10)
    between("CV steered", 0, steered[-1], most)
    server.end()


def times(pids):
    """CPU time of the processes, in seconds."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/schedstat") as file:
            total += int(file.read().split()[0]) / 1e9
    return total


def plain():
    """plain entries: even while steered, nothing is lost, and all is as it was"""
    steer_even(select.EPOLLIN)


def exclusive():
    """EPOLLEXCLUSIVE: the same"""
    steer_even(EXCLUSIVE)


def edge():
    """edge-triggered, exclusive: the same"""
    steer_even(EXCLUSIVE | select.EPOLLET)


def edge_plain():
    """edge-triggered, plain: the same"""
    steer_even(EDGE)


def kills(whom, hz=1000, times_=None):
    """Kills one of the three with -9 at a moment that is left to chance. whom(steer): its pid."""
    server = Server(EXCLUSIVE)
    was = server.entries()
    clients = Clients()
    for _ in range(times_ or int(os.environ.get("STEER_KILLS", "5"))):
        steer = Steer(hz=hz).must()
        guardian, mover = steer.helpers()
        time.sleep(random.uniform(0, 0.1))
        killed = whom(steer.child.pid, guardian, mover)
        os.kill(killed, signal.SIGKILL)
        status = steer.end(None)
        early = "came too late" in steer.said  # the tool did not yet know that it had begun
        equal("status: " + steer.said, status, -signal.SIGKILL if killed == steer.child.pid else early)
        until(lambda: gone(guardian) and gone(mover), "the guardian and the mover end")
        equal("entries afterwards", server.entries(), was)
    got = clients.end()
    equal("what the server took", sum(server.all_counts()), got)
    server.end()


def gone(pid):
    return not os.path.exists(f"/proc/{pid}")


def mover_killed():
    """kill -9 of the mover at any moment: each worker has its entry, and steering ends"""
    kills(lambda tool, guardian, mover: mover)


def tool_killed():
    """kill -9 of the tool: the same, and nobody is left"""
    kills(lambda tool, guardian, mover: tool)


def guardian_killed():
    """kill -9 of the guardian: the same"""
    kills(lambda tool, guardian, mover: guardian)


def inject(pid, what):
    """strace has its way with the epoll_ctl() of a process."""
    return subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(pid), "-e", "trace=epoll_ctl", "-e", "inject=epoll_ctl:" + what],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed_between():
    """the mover dies, or hangs, with an entry out: it is put back, by whoever is left"""
    # The signal comes as a call begins: so before EPOLL_CTL_ADD is carried out.
    for what, without_guardian in ("signal=KILL:when=2", False), ("signal=STOP:when=2", False), ("signal=KILL:when=2", True):
        server = Server(EXCLUSIVE)
        was = server.entries()
        steer = Steer().must()
        guardian, mover = steer.helpers()
        if without_guardian:
            os.kill(guardian, signal.SIGSTOP)
        strace = inject(mover, what)
        if without_guardian:
            until(lambda: server.entries() != was, "an entry that is out")
            os.kill(guardian, signal.SIGKILL)
        equal("status: " + steer.said, steer.end(None), 0)
        equal("why: " + steer.said, "was killed" in steer.said, True)
        strace.wait()
        equal("entries afterwards", server.entries(), was)
        server.end()


def on_signal(what):
    """A worker that does that to its entry when it gets SIGUSR1, if it is the first."""
    def work(number, listener, epoll):
        def do(*_):
            try:
                what(epoll, listener)
            except OSError:  # as libraries do: it may be out
                pass

        if number == 0:
            signal.signal(signal.SIGUSR1, do)
    return work


def its_own_calls():
    """the server changes an entry itself: steering ends, and the server's will is done, also while the entry is out"""
    calls = {
        "EPOLL_CTL_DEL": (lambda epoll, s: epoll.unregister(s.fileno()), None),
        "EPOLL_CTL_MOD": (lambda epoll, s: epoll.modify(s.fileno(), select.EPOLLPRI), f"{select.EPOLLPRI | select.EPOLLERR | select.EPOLLHUP:x}"),
    }
    for number in range(6):
        name, (call, events) = list(calls.items())[number % 2]
        server = Server(select.EPOLLIN, workers=2, work=on_signal(call))
        steer = Steer(hz=500).must()
        strace = None
        if number >= 2:  # each entry is out half of the time
            strace = inject(steer.helpers()[1], "delay_exit=30000")
            time.sleep(0.3)
        time.sleep(random.uniform(0, 0.1))
        os.kill(server.pids[0], signal.SIGUSR1)
        equal("status: " + steer.said, steer.end(None), 4)
        if strace:
            strace.wait()
        equal(f"why: {steer.said}", f"changed its entry itself ({name})" in steer.said and "the server changed it itself" in steer.said, True)
        entries = [e for e in server.entries() if e[0] == server.pids[0]]
        equal(f"{name}: events afterwards", [e[3] for e in entries], [events] if events else [])
        server.end()


def comes_and_goes():
    """workers that end are dropped, those that join are steered, and nobody keeps a listener that all have closed"""
    server = Server(EXCLUSIVE, workers=4)
    clients = Clients()
    steer = Steer().must()
    # As a server does that replaces its workers; one that took nothing from the queue in between would reset connections.
    for number in 0, 1:
        server.add()
    time.sleep(2.5)
    os.kill(server.pids[2], signal.SIGKILL)
    os.waitpid(server.pids[2], 0)
    time.sleep(1)
    begun = server.all_counts()
    time.sleep(3)
    steered = [n - b for n, b in zip(server.all_counts(), begun)]
    clients.ending = True
    for thread in clients.threads:
        thread.join()
    equal("connections that failed, beyond the one under way", len(clients.failed) <= 1, True)
    server.end()
    with socket.create_server(("127.0.0.1", PORT)):
        pass
    equal("status", steer.end(), 0)
    del steered[2]
    print(f"# CV {cv(steered):.3f}; {steer.said!r}")
    between("CV steered", 0, cv(steered), 0.15)
    for pid in server.pids[4:]:
        equal(f"{pid} is named: {steer.said}", f"{pid}" in steer.said.split("joined")[1], True)
    equal(f"{server.pids[2]} left first: {steer.said}", re.search(r"left: \S+ (\d+)", steer.said)[1], str(server.pids[2]))


def rearm(number, listener, epoll):
    """The first worker has its entry for a tenth of a second, and not for two."""
    while not number:
        epoll.poll(0.1)
        epoll.unregister(listener.fileno())
        time.sleep(0.2)
        epoll.register(listener.fileno(), select.EPOLLIN)


def second_entry(number, listener, epoll):
    epoll.register(os.dup(listener.fileno()), select.EPOLLIN)


def accepts(number, listener, epoll):
    if number:
        listener.setblocking(True)
        while True:
            listener.accept()


def refused():
    """what can't be steered is refused, with the reason"""
    unprivileged = ["setpriv", "--bounding-set=-sys_ptrace"]
    for expected, arguments, prefix in (
            ("EPOLLONESHOT", {"events": select.EPOLLIN | select.EPOLLONESHOT}, ()),
            ("one epoll alone", {"events": select.EPOLLIN, "workers": 1}, ()),
            ("changes", {"events": select.EPOLLIN, "work": rearm, "workers": 3}, ()),
            ("has 2 entries", {"events": select.EPOLLIN, "work": second_entry}, ()),
            ("descriptor blocks", {"events": EDGE, "blocking": True}, ()),
            ("waits in accept()", {"events": select.EPOLLIN, "blocking": True, "work": accepts}, ()),
            ("65 epolls watch it", {"events": EXCLUSIVE, "workers": 5, "epolls": 13}, ()),
            ("CAP_SYS_PTRACE", {"events": EXCLUSIVE}, unprivileged)):
        server = Server(**arguments)
        time.sleep(0.2)
        was = server.entries()
        steer = Steer(prefix=prefix)
        status = steer.end(None)
        equal(f"{expected}: {steer.said}", (status, expected in steer.said, steer.said.count("\n")), (1, True, 0))
        if "work" not in arguments:
            equal("entries afterwards", server.entries(), was)
        print("# " + steer.said.strip())
        server.end()


def moves(pid):
    """How many entries the process moves in about a second."""
    seen = subprocess.run(["timeout", "1", "strace", "-qq", "-e", "trace=epoll_ctl", "-p", str(pid)], capture_output=True, text=True, check=False)
    return seen.stderr.count("EPOLL_CTL_ADD")


def hangs():
    """while the tool hangs, nothing is moved; afterwards it goes on"""
    server = Server(EXCLUSIVE)
    steer = Steer().must()
    mover = steer.helpers()[1]
    os.kill(steer.child.pid, signal.SIGSTOP)
    time.sleep(2.5)
    idle = moves(mover)
    os.kill(steer.child.pid, signal.SIGCONT)
    until(lambda: moves(mover), "it goes on")
    equal("status", steer.end(), 0)
    equal("moves while it hangs", idle, 0)
    server.end()


CASES = [plain, exclusive, edge, edge_plain, mover_killed, tool_killed, guardian_killed, killed_between, its_own_calls, comes_and_goes, refused,
         hangs]

if __name__ == "__main__":
    cases.run_all(CASES, cases.parser(__doc__).parse_args())
