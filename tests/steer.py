#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`sockfair steer` beside servers that count for themselves, each case in a network namespace of its own: what each policy gives to whom, who comes and
goes meanwhile, how it ends, and what it refuses. TAP. steer.py [--backend NAME] [CASE...]"""
import collections
import ctypes
import fcntl
import json
import mmap
import os
import platform
import select
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
            self.listener = self.open()
            os.write(write, b"x")
            signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
            while True:
                self.serve(place, work)
        os.close(write)
        os.read(read, 1)
        os.close(read)
        self.pids.append(pid)
        return pid

    def open(self):
        return listener(self.address, self.family, self.port, self.prepare)

    def count(self, place):
        struct.pack_into("I", self.counts, 4 * place, struct.unpack_from("I", self.counts, 4 * place)[0] + 1)

    def serve(self, place, work):
        connection, _ = self.listener.accept()
        self.count(place)
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


def receiver(address="127.0.0.1", family=socket.AF_INET, port=PORT, prepare=None):
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if prepare:
        prepare(made)
    made.bind((address, port))
    return made


class Answering(Server):
    """The same with UDP: each datagram is a request."""

    def open(self):
        return receiver(self.address, self.family, self.port, self.prepare)

    def serve(self, place, work):
        _, sender = self.listener.recvfrom(100)
        self.count(place)
        time.sleep(work)
        self.listener.sendto(b"x", sender)


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


class Asking(Clients):
    """Clients that send a datagram each and wait for the answer, each time from another port."""

    def once(self):
        with socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(self.timeout)
            client.connect((self.address, PORT))
            try:
                client.send(b"a")
                return client.recv(1) == b"x"
            except OSError:
                return False


def send(number, address="127.0.0.1"):
    """So many datagrams, each from another port. The sockets: an answer to one that is closed is an ICMP error, for which the kernel looks for a
    socket, too."""
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(number)]
    for client in clients:
        client.sendto(b"a", (address, PORT))
    return clients


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


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


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
            if "on this kernel" in said and "does not see th" in said:
                raise cases.Skip(f"{backend} does not see here what the policy goes by")
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


class Distant:
    """Clients in a network namespace of their own, behind two TUN devices, 20 ms each way: they reach 10.8.0.1 here."""

    def __init__(self):
        self.near = self.device("10.8.0.1")
        self.ready, self.says = os.pipe()
        self.hears, self.tells = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                self.live()
            finally:
                os._exit(1)
        os.read(self.ready, 1)

    def device(self, address):
        """A TUN device of this namespace, with that address, to the whole net."""
        made = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(made, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
        ip("address", "add", address + "/24", "dev", "tun0")
        ip("link", "set", "tun0", "up")
        return made

    def live(self):
        cases.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        cases.libc.unshare(cases.NEWNET)
        far = self.device("10.8.0.2")
        threading.Thread(target=self.carry, args=(far,), daemon=True).start()
        os.write(self.says, b"x")
        number = struct.unpack("I", os.read(self.hears, 4))[0]
        clients = [socket.socket() for _ in range(number)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("10.8.0.1", PORT))
        signal.pause()

    def carry(self, far):
        """Each packet, 20 ms after it came: in order, as all take as long."""
        way, late = {self.near: far, far: self.near}, collections.deque()
        while True:
            wait = max(0, late[0][0] - time.monotonic()) if late else None
            for device in select.select(list(way), [], [], wait)[0]:
                late.append((time.monotonic() + 0.02, way[device], os.read(device, 65536)))
            while late and late[0][0] <= time.monotonic():
                _, device, packet = late.popleft()
                os.write(device, packet)

    def burst(self, number):
        """So many connections, all begun before the answer to the first one comes."""
        os.write(self.tells, struct.pack("I", number))

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.near)


def burst():
    """least: of a burst of 100 within a round trip of 40 ms, one worker that is empty gets what makes all as full, not all 100"""
    try:
        distant = Distant()
    except OSError as error:
        return f"no TUN device here: {error}"
    server = Keeping([0] * 7, "0.0.0.0")
    steering = Steering()
    held = [socket.create_connection(("127.0.0.1", PORT)) for _ in range(140)]
    wait_for("they are accepted", lambda: sum(server.served()) == len(held))
    between("the fullest before", 20, max(server.served()), 24)  # those that wait count twice for a moment
    server.join(0)
    time.sleep(2.5)  # two seconds and a beat, after which it is a member that was looked at
    distant.burst(100)
    wait_for("all are accepted", lambda: sum(server.served()) == len(held) + 100)
    shares = server.served()
    result = steering.result()
    distant.end()
    server.end()
    between("left to the hash", 0, sum(result["look_ups_left_to_the_hash"].values()), 0)
    print(f"# burst: of 100 the empty one got {shares[7]}")
    between("what the empty one got", 25, shares[7], 35)  # 30: all have 30 then
    return None


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
        if f"steered by sockfair (pid {steering.child.pid}) since " not in found[0]["text"]:
            raise AssertionError(found[0]["text"])
    steering.result()
    equal("after", said("list"), [])
    server.end()


# ---- UDP ----

def udp_slow():
    """UDP: a slow worker gets little, and what it does not get is not dropped; clients = kernel = server"""
    server = Answering([0.3] + [0.001] * 3)
    steering = Steering("--stateless")
    clients = Asking(4, total=400)
    clients.join()
    result = steering.result()
    shares = server.served()
    server.end()
    figures = result["phases"][0]["figures"]
    equal("failed", clients.failed, 0)
    equal("served", sum(shares), 400)
    equal("kernel", (figures["events"]["whole"], figures["drops"]["whole"]), (400, 0))
    between("share of the slow worker", 0, shares[0], 60)  # the hash gives it 100
    equal("policy", (result["protocol"], result["policy"]), ("udp", "least-queue"))
    equal("look-ups", result["look_ups_steered"] + sum(result["look_ups_left_to_the_hash"].values()), 400)


def udp_fewer_drops():
    """UDP: where the hash fills the small buffer of a slow worker, steering drops less, and says so"""
    server = Answering([0.1] + [0.0005] * 3, prepare=lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096))
    ends = threading.Event()

    def load():
        while not ends.wait(0.005):
            send(2)
    sender = threading.Thread(target=load)
    sender.start()
    run = subprocess.run(command("--stateless", "--before", "5", "--for", "5", "--after", "2", "--json"), capture_output=True, text=True, timeout=300)
    ends.set()
    sender.join()
    server.end()
    if "does not see" in run.stderr:
        raise cases.Skip(run.stderr.strip())
    equal("status, " + run.stderr, run.returncode, 0)
    result = json.loads(run.stdout)
    drops = [phase["figures"]["drops"]["whole"] for phase in result["phases"]]
    between("drops before", 20, drops[0], 10000)
    between("drops while steered", 0, drops[1], drops[0] / 4)
    said = [finding["level"] for finding in result["findings"] if finding["code"] == "drops"]
    if said not in (["good"], ["note"]):  # a note where five seconds are too few, or too unlike, to tell
        raise AssertionError(result["findings"])


def udp_stopped():
    """UDP: a worker that is stopped gets next to nothing, and its share again when it reads"""
    server = Answering([0.001] * 4)
    server.stop(server.pids[0], signal.SIGSTOP)
    steering = Steering("--stateless")
    clients = Asking(2, total=300, timeout=4)
    clients.join()
    between("clients that hang", 0, clients.failed, 2)
    server.stop(server.pids[0], signal.SIGCONT)
    wait_for("it reads again", lambda: server.served()[0] > 0)
    time.sleep(0.5)  # two beats, in which the tool sees that it is back
    before = server.served()
    after = Asking(1, total=200)
    after.join()
    shares = [now - then for now, then in zip(server.served(), before)]
    steering.result()
    server.end()
    equal("failed after it", after.failed, 0)
    between("its share when it is back", 40, shares[0], 60)


def udp_all_stopped():
    """UDP: when all workers are stopped, the hash picks after a second; what finds no room is dropped, and all is counted"""
    server = Answering([0] * 2, prepare=lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096))
    for pid in server.pids:
        server.stop(pid, signal.SIGSTOP)
    steering = Steering("--stateless")
    clients = send(100)
    time.sleep(1.5)  # a stall is one of a second
    clients += send(100)
    for pid in server.pids:
        server.stop(pid, signal.SIGCONT)
    queued = lambda: subprocess.run(["ss", "-Hlun", f"sport = {PORT}"], capture_output=True, text=True, check=True).stdout.split()[1::6]  # noqa: E731
    wait_for("all is read", lambda: not any(map(int, queued())))
    result = steering.result()
    served = sum(server.served())
    server.end()
    figures = result["phases"][0]["figures"]
    if backend != "tracepoint" or tuple(map(int, platform.release().split(".")[:2])) >= (6, 3):  # it sees no arrivals before
        equal("kernel", figures["events"]["whole"], 200)
    equal("server and drops", served + figures["drops"]["whole"], 200)
    between("drops", 100, figures["drops"]["whole"], len(clients) - 1)
    equal("steered", result["look_ups_steered"] + result["look_ups_left_to_the_hash"]["heartbeat_old"], 100)
    equal("left to the hash", result["look_ups_left_to_the_hash"]["no_member"], 100)


def udp_members():
    """UDP: sockets that join and leave are followed and named"""
    server = Answering([0.001] * 2)
    steering = Steering("--stateless")
    clients = Asking(2)
    server.join(0.001)
    wait_for("the new one is used", lambda: server.served()[2] > 20)
    clients.end()
    equal("failed", clients.failed, 0)
    server.stop(server.pids[0], signal.SIGUSR1)
    time.sleep(1.5)  # a second and a beat, after which the tool knows
    clients = Asking(1, total=100)
    before = server.served()
    clients.join()
    shares = [now - then for now, then in zip(server.served(), before)]
    result = steering.result()
    server.end()
    equal("failed after one left", clients.failed, 0)
    equal("shares", shares[0], 0)
    between("share of one that is left", 45, shares[1], 55)
    if "left meanwhile" not in result["note"] or "joined meanwhile" not in result["note"]:
        raise AssertionError(result["note"])
    equal("as found", result["as_found"], True)


def udp_connected():
    """UDP: a connected socket beside the group keeps what its peer sends, and is no member"""
    for address in "127.0.0.1", "0.0.0.0":  # of any address, connecting gives the socket one of its own
        server = Answering([0.001] * 2, address)
        peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        peer.bind(("127.0.0.1", 0))
        beside = receiver(address)
        beside.connect(peer.getsockname())
        steering = Steering("--stateless")
        for _ in range(50):
            peer.sendto(b"a", ("127.0.0.1", PORT))
            beside.recv(1)
        clients = Asking(1, total=50)
        clients.join()
        result = steering.result()
        equal("members", len(result["members"]), 2)
        equal("failed", clients.failed, 0)
        equal("served", sum(server.served()), 50)
        equal("look-ups", (result["look_ups_steered"], result["look_ups_left_to_the_hash"]["group_size_unknown"]), (50, 0))
        server.end()
        beside.close()


def udp_killed():
    """UDP: kill -9 leaves nothing, and no datagram is lost"""
    server = Answering([0.001] * 4)
    clients = Asking(4)
    for _ in range(5):
        steering = Steering("--stateless")
        equal("programs", len(links()), 1)
        steering.child.kill()
        steering.child.communicate()
        wait_for("the program is gone", lambda: not links())
    clients.end()
    equal("failed", clients.failed, 0)
    equal("served", sum(server.served()), clients.made)
    server.end()


def udp_families():
    """UDP over IPv6, dual-stack, mapped addresses: all that comes to the group is steered; TCP is left alone"""
    for address, target in ("::1", "::1"), ("::", "127.0.0.1"), ("::", "::1"), ("::ffff:127.0.0.1", "127.0.0.1"):
        server = Answering([0.001] * 2, address, socket.AF_INET6)
        steering = Steering("--stateless")
        clients = Asking(1, target, total=40)
        clients.join()
        with listener(address, socket.AF_INET6):
            socket.create_connection((target, PORT)).close()
        result = steering.result()
        shares = server.served()
        server.end()
        equal(f"{address} by {target}: failed", clients.failed, 0)
        equal(f"{address} by {target}: steered", result["look_ups_steered"], 40)
        equal(f"{address} by {target}: shares", shares, [20, 20])


class Program(ctypes.Structure):
    """struct sock_fprog"""
    _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p)]


def udp_refusals():
    """UDP: refused unless the user says --stateless, for QUIC and for a group with a program also then"""
    with receiver(), receiver() as second:
        refused("udp", "UDP flow", "-u")
        refused("way", "--via lookup", "--stateless", "--via", "epoll")
        for options, words in (("--stateless", "--policy", "least"), "least-queue alone"), (("-u", "--policy", "even"), "least-queue alone"), \
                (("-t", "--stateless"), "leave out -t"):
            run = subprocess.run(command("--dry-run", *options), capture_output=True, text=True)
            equal("status", run.returncode, 2)
            if words not in run.stderr:
                raise AssertionError(run.stderr)
        first = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # BPF_RET: the first socket
        second.setsockopt(socket.SOL_SOCKET, 51, bytes(Program(1, ctypes.addressof(first))))  # SO_ATTACH_REUSEPORT_CBPF
        refused("program", "SO_ATTACH_REUSEPORT", "--stateless")
    with receiver():
        refused("single", "no other to share with", "--stateless")
    for port in 443, 853, 8443:
        with receiver(port=port), receiver(port=port):
            refused("quic", "QUIC", "--stateless", "-P", str(port))
    with receiver("0.0.0.0"), receiver("0.0.0.0"), receiver("127.0.0.1"):
        run = subprocess.run(command("--dry-run", "--stateless"), capture_output=True, text=True)
        equal("several", (run.returncode, "several ports match" in run.stderr), (1, True))


def udp_objection():
    """UDP: another socket that comes, more specific: released within a second"""
    server = Answering([0.001] * 2, "0.0.0.0")
    steering = Steering("--stateless")
    with receiver("127.0.0.2"):
        result = steering.result(None)
    server.end()
    equal("end", result["end"], "objection")
    equal("programs", links(), [])
    if "another listener" not in result["end_text"]:
        raise AssertionError(result["end_text"])


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


class Neighbour:
    """A network namespace beside this one, by a veth pair: 10.7.0.1 here, 10.7.0.2 there."""

    def __init__(self):
        ready, says = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            cases.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            cases.libc.unshare(cases.NEWNET)
            os.write(says, b"x")
            signal.pause()
        os.read(ready, 1)
        ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(self.pid))
        ip("address", "add", "10.7.0.1/24", "dev", "near")
        ip("link", "set", "near", "up")
        self.run("ip", "address", "add", "10.7.0.2/24", "dev", "far")
        self.run("ip", "link", "set", "far", "up")

    def run(self, *words):
        return subprocess.run(["nsenter", f"--net=/proc/{self.pid}/ns/net", *words], check=True, capture_output=True, text=True).stdout.strip()

    def reaches(self, address):
        """Does a connection from there come to a worker here?"""
        return self.run("python3", "-c", f"""
import socket
try:
    with socket.create_connection(("{address}", {PORT}), 5) as c:
        c.send(b"a")
        print(c.recv(1) == b"x")
except OSError:
    print(False)""") == "True"

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def vrf():
    """a VRF device, whose connections the kernel keeps from the group: refused, and ends it when it comes; not where they are one"""
    try:
        ip("link", "add", "red", "type", "vrf", "table", "10")
    except subprocess.CalledProcessError as error:
        return "no VRF here: " + error.stderr.decode().strip()
    ip("link", "set", "red", "up")
    server = Server([0.001] * 2, "0.0.0.0")
    neighbour = Neighbour()
    ip("link", "set", "near", "master", "red")
    equal("the kernel gives it the neighbour's connection", neighbour.reaches("10.7.0.1"), False)
    refused("vrf", "VRF device red", "--via", "lookup")
    cases.sysctl("net.ipv4.tcp_l3mdev_accept", 1)
    steering = Steering()
    equal("reached where VRFs are no border", neighbour.reaches("10.7.0.1"), True)
    equal("steered", steering.result()["look_ups_steered"], 1)
    cases.sysctl("net.ipv4.tcp_l3mdev_accept", 0)
    ip("link", "delete", "red")
    steering = Steering()
    ip("link", "add", "red", "type", "vrf", "table", "10")
    result = steering.result(None)
    equal("end", result["end"], "objection")
    if "VRF device red" not in result["end_text"]:
        raise AssertionError(result["end_text"])
    neighbour.end()
    server.end()
    return None


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


CASES = [even, slow_and_not_stalled, least, weights, burst, stalled, members, before_and_after, from_before, open_of_one_that_joined, weight_of_one_that_joined,
         udp_slow, udp_fewer_drops, udp_stopped, udp_all_stopped, udp_members, udp_connected, udp_killed, udp_families, udp_refusals, udp_objection,
         forbidden_ones_join, killed, hangs, signals, on_and_off, objection, families, told, refusals, overlap,
         two_at_once, vrf, mptcp, rights, nothing_to_gain, pauses]

if __name__ == "__main__":
    parser = cases.parser(__doc__)
    parser.add_argument("--backend")
    arguments = parser.parse_args()
    backend = arguments.backend
    cases.run_all(CASES, arguments, at_once=2)
