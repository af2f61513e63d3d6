#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`sockfair steer` beside servers that count for themselves, each case in a network namespace of its own: what each policy gives to whom, who comes and
goes meanwhile, how it ends, and what it refuses. TAP. steer.py [--backend NAME] [CASE...]"""
import ctypes
import json
import mmap
import os
import platform
import signal
import socket
import struct
import subprocess
import threading
import time

import cases
from watching import SOCKFAIR, between, equal

PORT = 8080
PROG_QUERY, SK_LOOKUP = 16, 36  # linux/bpf.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h
BPF = {"x86_64": 321, "aarch64": 280}  # bpf()
backend = None


class Server:
    """Processes with a SO_REUSEPORT socket each, that take `work` seconds for a request."""

    def __init__(self, works, address="127.0.0.1", family=socket.AF_INET, port=PORT, prepare=None):
        self.address, self.family, self.port, self.prepare = address, family, port, prepare
        self.counts = mmap.mmap(-1, 4096)
        self.pids = []
        for work in works:
            self.join(work)

    def join(self, work):
        place, (read, write) = len(self.pids), os.pipe()
        pid = os.fork()
        if not pid:
            cases.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # also where the case fails
            self.listener = listener(self.address, self.family, self.port, self.prepare)
            os.write(write, b"x")
            signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
            while True:
                self.serve(place, work)
        os.close(write)
        os.read(read, 1)
        os.close(read)
        self.pids.append(pid)
        return pid

    def serve(self, place, work):
        connection, _ = self.listener.accept()
        struct.pack_into("I", self.counts, 4 * place, struct.unpack_from("I", self.counts, 4 * place)[0] + 1)
        try:
            connection.recv(1)
            time.sleep(work)
            connection.send(b"x")
        except OSError:
            pass
        connection.close()

    def served(self):
        return list(struct.unpack_from(f"{len(self.pids)}I", self.counts))

    def stop(self, pid, how=signal.SIGKILL):
        os.kill(pid, how)
        if how in (signal.SIGKILL, signal.SIGUSR1):
            os.waitpid(pid, 0)

    def end(self):
        for pid in self.pids:
            try:
                self.stop(pid)
            except (ProcessLookupError, ChildProcessError):
                pass


def listener(address="127.0.0.1", family=socket.AF_INET, port=PORT, prepare=None, protocol=0):
    made = socket.socket(family, socket.SOCK_STREAM, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if prepare:
        prepare(made)
    made.bind((address, port))
    made.listen(1024)
    return made


class Clients:
    """So many clients with a connection each, one after the other, until they are told to end; or `total` connections."""

    def __init__(self, number, address="127.0.0.1", total=None, timeout=20):
        self.address, self.timeout, self.left = address, timeout, total
        self.made = self.failed = 0
        self.ends = False
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run) for _ in range(number)]
        for thread in self.threads:
            thread.start()

    def run(self):
        while not self.ends:
            with self.lock:
                if self.left is not None:
                    if not self.left:
                        return
                    self.left -= 1
            good = self.once()
            with self.lock:
                self.made += good
                self.failed += not good

    def once(self):
        try:
            with socket.create_connection((self.address, PORT), self.timeout) as connection:
                connection.send(b"a")
                return connection.recv(1) == b"x"
        except OSError:
            return False

    def end(self):
        self.ends = True
        self.join()

    def join(self):
        for thread in self.threads:
            thread.join()


def command(*options):
    chosen = ["--backend", backend] if backend else []
    return [SOCKFAIR, "steer", "-P", str(PORT), "-N", "/proc/self/ns/net", *chosen, *options]


def links():
    """The numbers of the SK_LOOKUP programs attached to this namespace: bpf(BPF_PROG_QUERY)."""
    ids = (ctypes.c_uint32 * 64)()
    with open("/proc/self/ns/net") as namespace:
        attributes = struct.pack("IIIIQI", namespace.fileno(), SK_LOOKUP, 0, 0, ctypes.addressof(ids), 64) + bytes(100)
        held = ctypes.create_string_buffer(attributes, len(attributes))
        if cases.libc.syscall(BPF[platform.machine()], PROG_QUERY, held, len(attributes)):
            raise OSError(ctypes.get_errno(), "bpf(BPF_PROG_QUERY)")
        return list(ids[:struct.unpack_from("I", held, 24)[0]])


def wait_for(what, condition, seconds=240):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)


class Steering:
    """`sockfair steer --json`, once it steers."""

    def __init__(self, *options, before="0", after="0"):
        self.child = subprocess.Popen(command("--before", before, "--after", after, "--json", "--force", *options), stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
        try:
            wait_for("steering", lambda: self.begun() or self.child.poll() is not None)
        except AssertionError:
            self.child.kill()
            raise
        if self.child.poll() is not None:
            said = self.child.communicate()[1]
            if "does not see that on this kernel" in said:
                raise cases.Skip(f"{backend} sees no arrivals here")
            raise AssertionError("steer ended: " + said)

    def begun(self):
        return links()

    def result(self, how=signal.SIGINT):
        if how and self.child.poll() is None:
            self.child.send_signal(how)
        out, err = self.child.communicate(timeout=300)
        if self.child.returncode:
            raise AssertionError(f"steer ended with {self.child.returncode}: {err}")
        return json.loads(out)


def refused(code, words, *options, status=1):
    """The plan says that code, and the line without --json these words."""
    run = subprocess.run(command("--dry-run", "--json", *options), capture_output=True, text=True, timeout=300)
    equal("status, " + run.stderr, run.returncode, status)
    equal("code", json.loads(run.stdout)["refused"], code)
    line = subprocess.run(command("--dry-run", *options), capture_output=True, text=True, timeout=300)
    equal("status of the text", line.returncode, status)
    equal("lines", line.stderr.count("\n"), 1)
    if words not in line.stderr:
        raise AssertionError(f"'{words}' is not in: {line.stderr}")
    equal("programs", links(), [])


# ---- policies ----

def even():
    """even: counts differ by no more than the connections under way, also where one worker is slow"""
    server = Server([0.005] + [0.001] * 3)
    with_policy = Steering("--policy", "even")
    before = server.served()
    clients = Clients(4, total=1000)
    clients.join()
    shares = [now - then for now, then in zip(server.served(), before)]
    result = with_policy.result()
    server.end()
    equal("failed", clients.failed, 0)
    equal("served", sum(shares), 1000)
    left = sum(result["look_ups_left_to_the_hash"].values())  # where a machine is too slow for a beat in 2 s
    between("spread of the counts", 0, max(shares) - min(shares), 4 + left)
    between("left to the hash", 0, left, 50)
    equal("end", result["end"], "interrupted")
    equal("as found", result["as_found"], True)
    equal("look-ups", result["look_ups_steered"] + left, 1000)


def slow_and_not_stalled():
    """even: a slow worker in whose queue something always waits accepts, so it is not taken for one that has stopped"""
    server = Server([0.1] + [0.001] * 3)
    with_policy = Steering("--policy", "even")
    before = server.served()
    clients = Clients(4, total=100)
    clients.join()
    shares = [now - then for now, then in zip(server.served(), before)]
    left = sum(with_policy.result()["look_ups_left_to_the_hash"].values())
    server.end()
    equal("failed", clients.failed, 0)
    between("spread of the counts", 0, max(shares) - min(shares), 4 + left)


def least():
    """least: a slow worker gets little, and nobody waits behind it"""
    server = Server([0.3] + [0.001] * 3)
    with_policy = Steering()
    clients = Clients(4, total=400)
    clients.join()
    result = with_policy.result()
    shares = server.served()
    server.end()
    equal("failed", clients.failed, 0)
    equal("served", sum(shares), 400)
    between("share of the slow worker", 0, shares[0], 60)  # the hash gives it 100
    equal("policy", result["policy"], "least")
    equal("look-ups", result["look_ups_steered"] + sum(result["look_ups_left_to_the_hash"].values()), 400)


def weights():
    """weights: counts follow the weights, in the order of --dry-run"""
    server = Server([0.001] * 4)
    plan = json.loads(subprocess.run(command("--dry-run", "--json"), capture_output=True, text=True, check=True).stdout)
    cookies = [member["cookie"] for member in plan["members"]]
    with_policy = Steering("--policy", "weights=5,1,1,1")
    clients = Clients(2, total=800)
    clients.join()
    result = with_policy.result()
    shares = server.served()
    server.end()
    equal("members", [member["weight"] for member in result["members"]], [5, 1, 1, 1])
    equal("cookies", [member["cookie"] for member in result["members"]], cookies)
    equal("failed", clients.failed, 0)
    between("the heavy one", 495, max(shares), 505)
    between("the light ones", 95, sorted(shares)[0], 105)


def stalled():
    """a worker that is stopped gets next to nothing, whatever the policy; going on, it is not made up for"""
    for policy in "even", "least", "least-queue":
        server = Server([0.001] * 4)
        server.stop(server.pids[0], signal.SIGSTOP)
        with_policy = Steering("--policy", policy)
        clients = Clients(2, total=300, timeout=4)
        clients.join()
        between(f"{policy}: clients that hang", 0, clients.failed, 4 if policy == "even" else 2)
        server.stop(server.pids[0], signal.SIGCONT)
        wait_for(f"{policy}: it accepts again", lambda: server.served()[0] > 0)
        time.sleep(0.5)  # two beats, in which the tool sees that it is back
        before = server.served()
        after = Clients(2, total=200)
        after.join()
        shares = [now - then for now, then in zip(server.served(), before)]
        with_policy.result()
        server.end()
        equal(f"{policy}: failed after it", after.failed, 0)
        if policy == "even":
            between("its share when it is back", 40, shares[0], 70)


# ---- who comes and goes ----

def members():
    """sockets that join and leave are followed and named; no connection is lost"""
    server = Server([0.001] * 3)
    with_policy = Steering("--policy", "even")
    clients = Clients(2)
    joined = server.join(0.001)
    wait_for("the new one is used", lambda: server.served()[3] > 20)
    clients.end()
    equal("failed", clients.failed, 0)
    server.stop(server.pids[0], signal.SIGUSR1)
    time.sleep(1.5)  # a second and a beat, after which the tool knows
    clients = Clients(2, total=200)
    clients.join()
    result = with_policy.result()
    server.end()
    equal("failed after one left", clients.failed, 0)
    if "left meanwhile" not in result["note"] or "joined meanwhile" not in result["note"]:
        raise AssertionError(f"note after {joined} joined: {result['note']}")
    equal("as found", result["as_found"], True)


def before_and_after():
    """three phases; what is open before it begins counts for who has it"""
    server = Server([0.001] * 4)
    clients = Clients(2)
    run = subprocess.run(command("--before", "3", "--for", "3", "--after", "3", "--policy", "even", "--json", "--force"), capture_output=True, text=True,
                         timeout=300, check=True)
    clients.end()
    server.end()
    result = json.loads(run.stdout)
    equal("failed", clients.failed, 0)
    equal("phases", [phase["name"] for phase in result["phases"]], ["before", "steered", "after"])
    equal("end", result["end"], "time")
    between("the CV while steered", 0, result["phases"][1]["figures"]["cv"]["whole"], 0.03)
    between("the CV before", 0.01, result["phases"][0]["figures"]["cv"]["whole"], 1)
    for phase in result["phases"]:
        equal("lost, " + phase["name"], phase["lost"], 0)


class Keeping(Server):
    """Workers that keep each connection open."""

    kept = []

    def serve(self, place, work):
        self.kept.append(self.listener.accept()[0])
        struct.pack_into("I", self.counts, 4 * place, len(self.kept))


def from_before():
    """least: connections that were open before it began count for the worker that has them"""
    server = Keeping([0])
    held = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(30)]
    wait_for("they are accepted", lambda: server.served() == [30])
    server.join(0)
    steering = Steering()
    held += [socket.create_connection(("127.0.0.1", PORT)) for _ in range(20)]
    wait_for("these, too", lambda: sum(server.served()) == 50)
    left = sum(steering.result()["look_ups_left_to_the_hash"].values())
    between("those that the full one got", 0, server.served()[0] - 30, left)
    server.end()
    equal("clients", len(held), 50)


def open_of_one_that_joined():
    """least: what a socket accepted before it was a member counts, too, and is no debt later"""
    server = Keeping([0])
    server.join(0)
    steering = Steering()
    server.join(0)
    held = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(60)]
    time.sleep(2.5)  # two seconds and a beat, after which it is a member that was looked at
    held += [socket.create_connection(("127.0.0.1", PORT)) for _ in range(60)]
    wait_for("all are accepted", lambda: sum(server.served()) == len(held))
    shares = server.served()
    steering.result()
    server.end()
    between("spread", 0, max(shares) - min(shares), 3)


def weight_of_one_that_joined():
    """weights: a socket that joins has weight 1, and neither starves nor gets all"""
    server = Server([0.001] * 2)
    steering = Steering("--policy", "weights=9,9")
    clients = Clients(2, total=200)
    clients.join()
    server.join(0.001)
    time.sleep(1.5)
    clients = Clients(2, total=380)
    before = server.served()
    clients.join()
    share = server.served()[2] - before[2]
    steering.result()
    server.end()
    between("its share", 10, share, 40)


def forbidden_ones_join():
    """what would have been refused ends it when it joins"""
    for words, prepare in ("bound to the device lo", lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")), \
            ("SO_INCOMING_CPU", lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_INCOMING_CPU, 0)):
        server = Server([0.001] * 2)
        steering = Steering()
        with listener(prepare=prepare):
            result = steering.result(None)
        server.end()
        equal("end", result["end"], "objection")
        if words not in result["end_text"]:
            raise AssertionError(result["end_text"])


# ---- how it ends ----

def killed():
    """kill -9 leaves nothing: the port is shared by the hash at once, no client fails"""
    server = Server([0.001] * 4)
    clients = Clients(4)
    for _ in range(5):
        steering = Steering("--policy", "even")
        equal("programs", len(links()), 1)
        steering.child.kill()
        steering.child.communicate()
        wait_for("the program is gone", lambda: not links())
    clients.end()
    server.end()
    equal("failed", clients.failed, 0)
    between("connections", 100, clients.made, 1 << 30)


def hangs():
    """a tool that hangs steers no more after two seconds, and goes on when it does"""
    server = Server([0.001] * 4)
    steering = Steering("--policy", "even")
    steering.child.send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    clients = Clients(2, total=100)
    clients.join()
    steering.child.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    again = Clients(2, total=100)
    again.join()
    result = steering.result()
    server.end()
    equal("failed", clients.failed + again.failed, 0)
    equal("left to the hash", result["look_ups_left_to_the_hash"]["heartbeat_old"], 100)
    equal("steered", result["look_ups_steered"], 100)


def signals():
    """SIGTERM, SIGHUP and the end of --for: the result, and nothing is left"""
    server = Server([0.001] * 2)
    for how in signal.SIGTERM, signal.SIGHUP, None:
        result = Steering("--for", "1" if how is None else "60").result(how)
        equal("end", result["end"], "interrupted" if how else "time")
        equal("programs", links(), [])
    server.end()


def on_and_off():
    """steering begins and ends again and again under load: clients = server, nothing fails"""
    server = Server([0.001] * 4)
    clients = Clients(4)
    for policy in "least", "even", "least-queue", "least":
        Steering("--policy", policy, "--for", "1").result(None)
    clients.end()
    wait_for("all is served", lambda: sum(server.served()) >= clients.made, 10)
    equal("failed", clients.failed, 0)
    equal("served", sum(server.served()), clients.made)
    server.end()


def objection():
    """another listener that comes, more specific: released at once"""
    server = Server([0.001] * 2, "0.0.0.0")
    steering = Steering()
    with listener("127.0.0.2"):
        result = steering.result(None)
    server.end()
    equal("end", result["end"], "objection")
    equal("programs", links(), [])
    if "another listener" not in result["end_text"]:
        raise AssertionError(result["end_text"])


def families():
    """IPv6, dual-stack and mapped addresses: all that comes to the group is steered, and nothing else"""
    for address, target in ("::1", "::1"), ("::", "127.0.0.1"), ("::", "::1"), ("::ffff:127.0.0.1", "127.0.0.1"):
        server = Server([0.001] * 2, address, socket.AF_INET6)
        steering = Steering("--policy", "even")
        clients = Clients(1, target, total=40)
        clients.join()
        result = steering.result()
        shares = server.served()
        server.end()
        equal(f"{address} by {target}: failed", clients.failed, 0)
        equal(f"{address} by {target}: steered", result["look_ups_steered"], 40)
        equal(f"{address} by {target}: shares", shares, [20, 20])
    server = Server([0.001] * 2)
    steering = Steering()
    with listener("127.0.0.1", port=PORT + 1):
        socket.create_connection(("127.0.0.1", PORT + 1)).close()
    result = steering.result()
    server.end()
    equal("another port", result["look_ups_steered"] + sum(result["look_ups_left_to_the_hash"].values()), 0)


def told():
    """list and watch say that the port is steered, by whom; and when it ends, no more"""
    server = Server([0.001] * 2)

    def said(*what):
        run = subprocess.run([SOCKFAIR, *what, "-P", str(PORT), "-N", "/proc/self/ns/net", "--json"], capture_output=True, text=True, timeout=300,
                             check=True)
        return [finding for finding in json.loads(run.stdout)["endpoints"][0]["findings"] if finding["code"] == "lookup-program"]

    equal("before", said("list"), [])
    steering = Steering()
    for what in ("list",), ("watch", "-d", "0.5"):
        found = said(*what)
        equal("findings", len(found), 1)
        equal("pid", found[0]["evidence"]["pid"], steering.child.pid)
        equal("program", found[0]["evidence"]["program"], links()[0])
        # The clock of the day may be set meanwhile.
        between("age in s", -60, time.time() - found[0]["evidence"]["since_ms"] / 1000, 300)
        if f"of sockfair {steering.child.pid}" not in found[0]["text"]:
            raise AssertionError(found[0]["text"])
    steering.result()
    equal("after", said("list"), [])
    server.end()


# ---- refusals ----

def refusals():
    """each reason against it is one line, has a code, and changes nothing"""
    with listener():
        refused("design", "SO_REUSEPORT")
        refused("single", "no other to share with", "--via", "lookup")
    with listener(), listener():
        refused("weights", "3 weights for 2 sockets", "--policy", "weights=1,2,3")
        refused("way", "--via lookup", "--via", "epoll")
    with listener("0.0.0.0"), listener("0.0.0.0"), listener("127.0.0.1"):
        run = subprocess.run(command("--dry-run"), capture_output=True, text=True)
        equal("several", (run.returncode, "several ports match" in run.stderr), (1, True))
    with listener(prepare=lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_INCOMING_CPU, 0)), listener():
        refused("incoming-cpu", "SO_INCOMING_CPU")
    device = lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")  # noqa: E731
    with listener(prepare=device), listener(prepare=device):
        refused("device", "bound to the device lo", "--via", "lookup")
    many = [listener() for _ in range(65)]
    refused("many", "65 sockets")
    for one in many:
        one.close()
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", PORT))
    refused("udp", "UDP flow", "-u")
    datagrams.close()
    run = subprocess.run(command(), capture_output=True, text=True)
    equal("nobody listens", (run.returncode, run.stderr.count("\n")), (1, 1))


def overlap():
    """a more specific listener, which the program would rob, is in the way; one that it can't rob is not"""
    server = Server([0.001] * 2, "0.0.0.0")
    with listener("127.0.0.1"):
        refused("overlap", "127.0.0.1:8080", "-p", str(server.pids[0]), "--via", "lookup")
    v6 = lambda s: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # noqa: E731
    with listener("::", socket.AF_INET6, prepare=v6):
        run = subprocess.run(command("--dry-run", "-4"), capture_output=True, text=True, timeout=300)
        equal("beside IPv6 alone, " + run.stderr, run.returncode, 0)
    server.end()
    server = Server([0.001] * 2)
    with listener("0.0.0.0"):
        run = subprocess.run(command("--dry-run", "-p", str(server.pids[0])), capture_output=True, text=True, timeout=300)
        equal("the specific one, " + run.stderr, run.returncode, 0)
    server.end()


def two_at_once():
    """a namespace with an SK_LOOKUP program is refused: two tools would undo each other"""
    server = Server([0.001] * 2)
    steering = Steering()
    run = subprocess.run(command("--dry-run", "--json"), capture_output=True, text=True, timeout=300)
    equal("code", json.loads(run.stdout)["refused"], "lookup")
    steering.result()
    server.end()


def mptcp():
    """MPTCP sockets are refused"""
    try:
        first = listener(protocol=262)
    except OSError as error:
        return f"no MPTCP here: {error}"
    with first, listener(protocol=262):
        run = subprocess.run(command("--dry-run", "--json"), capture_output=True, text=True, timeout=300)
        equal("status, " + run.stderr, run.returncode, 1)
        equal("code", run.stdout and json.loads(run.stdout)["refused"], "mptcp")
    return None


def rights():
    """without CAP_SYS_PTRACE it says so"""
    server = Server([0.001] * 2)
    run = subprocess.run(["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", *command("--dry-run")], capture_output=True, text=True, timeout=300)
    server.end()
    equal("status", run.returncode, 1)
    equal("lines", run.stderr.count("\n"), 1)
    if "CAP_SYS_PTRACE" not in run.stderr:
        raise AssertionError(run.stderr)


def nothing_to_gain():
    """what is even and does not wait is left alone, and --force steers it"""
    server = Server([0.0005] * 2)
    clients = Clients(1)
    run = subprocess.run(command("--before", "6", "--for", "1", "--json"), capture_output=True, text=True, timeout=300)
    clients.end()
    server.end()
    result = json.loads(run.stdout)
    equal("end", result["end"], "not-begun")
    equal("status", run.returncode, 1)
    equal("failed", clients.failed, 0)


def pauses():
    """counts are even, but one worker is stopped again and again: that is told, and steering is not refused as useless"""
    server = Server([0.0005] * 4)
    ends = threading.Event()

    def bursts():
        while not ends.is_set():
            server.stop(server.pids[0], signal.SIGSTOP)
            time.sleep(0.3)
            server.stop(server.pids[0], signal.SIGCONT)
            time.sleep(0.3)

    stopper = threading.Thread(target=bursts)
    stopper.start()
    clients = Clients(8)
    watch = subprocess.run([SOCKFAIR, "watch", "-P", str(PORT), "-N", "/proc/self/ns/net", "-d", "5", "--json"] + (["--backend", backend] if backend else []),
                           capture_output=True, text=True, check=True)
    run = subprocess.run(command("--before", "5", "--for", "2", "--after", "0", "--json"), capture_output=True, text=True, timeout=300)
    ends.set()
    stopper.join()
    clients.end()
    server.end()
    findings = {finding["code"]: finding for finding in json.loads(watch.stdout)["endpoints"][0]["findings"]}
    told = findings.get("worker-pauses") or findings.get("slow-worker")
    equal("told", bool(told) and told["evidence"].get("tid"), server.pids[0])
    equal("even", "even" in findings, False)
    equal("end", json.loads(run.stdout)["end"], "time")
    equal("failed", clients.failed, 0)


CASES = [even, slow_and_not_stalled, least, weights, stalled, members, before_and_after, from_before, open_of_one_that_joined, weight_of_one_that_joined,
         forbidden_ones_join, killed, hangs, signals, on_and_off, objection, families, told, refusals, overlap,
         two_at_once, mptcp, rights, nothing_to_gain, pauses]

if __name__ == "__main__":
    parser = cases.parser(__doc__)
    parser.add_argument("--backend")
    arguments = parser.parse_args()
    backend = arguments.backend
    cases.run_all(CASES, arguments, at_once=2)
