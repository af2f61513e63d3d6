#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`sockfair steer` by a program of the SO_REUSEPORT group itself, beside servers that count for themselves, each case in a network namespace of its own:
where another listener has the port, who is killed meanwhile, what is left then, and whose program stays. TAP.
steer_reuseport.py [--backend NAME] [CASE...]"""
import ctypes
import errno
import json
import os
import signal
import socket
import struct
import subprocess
import time

import cases
import steer
from steer import PORT, Clients, Server, command, listener, refused, wait_for
from watching import SOCKFAIR, between, equal

PIDFD_OPEN, PIDFD_GETFD = 434, 438  # asm-generic/unistd.h
ATTACH_CBPF, DETACH = 51, 68  # SO_ATTACH_REUSEPORT_CBPF, SO_DETACH_REUSEPORT_BPF: asm-generic/socket.h
GROUP, SPECIAL = "127.0.0.2", "127.0.0.1"  # what clients of the group, and of the more specific listener, connect to


def needs_the_kernel():
    """Before 5.14 such a program can't see its group."""
    with listener(), listener():
        said = json.loads(subprocess.run(command("--dry-run", "--json", "--via", "reuseport"), capture_output=True, text=True, timeout=300).stdout)
    if said["refused"] == "kernel":
        refused_there = "5.14" in said["refused_text"]
        equal("it says since when", refused_there, True)
        raise cases.Skip("this kernel can't: " + said["refused_text"])


def taken(pid):
    """The listener of a process, as a descriptor of ours."""
    pidfd = cases.libc.syscall(PIDFD_OPEN, pid, 0)
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            if not os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
                continue
            found = socket.socket(fileno=cases.libc.syscall(PIDFD_GETFD, pidfd, int(name), 0))
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return found
            found.close()
    finally:
        os.close(pidfd)
    raise AssertionError(f"{pid} has no listener")


def had_program(pid):
    """Asks the kernel itself, which takes the program off."""
    with taken(pid) as one:
        try:
            one.setsockopt(socket.SOL_SOCKET, DETACH, 0)
        except OSError as error:
            equal("error", error.errno, errno.ENOENT)
            return False
    return True


def first_only(one):
    """Attaches a classic program that picks the group's first socket."""
    code = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF_RET | BPF_K
    kept = ctypes.create_string_buffer(code, len(code))
    one.setsockopt(socket.SOL_SOCKET, ATTACH_CBPF, struct.pack("HxxxxxxP", 1, ctypes.addressof(kept)))


def picked():
    """Does list say that a program of sockfair's picks the socket?"""
    said = subprocess.run([SOCKFAIR, "list", "-P", str(PORT), "-N", "/proc/self/ns/net", "--json"], capture_output=True, text=True, timeout=300, check=True)
    return any(finding["code"] == "steered" and "(steer_reuseport, bpftool prog show id" in finding["text"]
               for e in json.loads(said.stdout)["endpoints"] for finding in e["findings"])


class Steering(steer.Steering):
    """Of the group of that server."""

    def __init__(self, server, *options, **how):
        self.server = server
        super().__init__("-p", ",".join(map(str, server.pids)), "--for", "10m", *options, **how)

    def begun(self):
        return self.guardian() and picked()

    def guardian(self):
        with open(f"/proc/{self.child.pid}/task/{self.child.pid}/children") as children:
            return [int(pid) for pid in children.read().split()]

    def kill(self, *who):
        """At once: nobody sees that the other is gone."""
        for pid in who:
            os.kill(pid, signal.SIGSTOP)
        for pid in who:
            os.kill(pid, signal.SIGKILL)

    def ended(self, status):
        out, err = self.child.communicate(timeout=300)
        equal("status, " + err, self.child.returncode, status)
        return json.loads(out)


def undo(status, words):
    run = subprocess.run([SOCKFAIR, "steer", "--undo", "-N", "/proc/self/ns/net"], capture_output=True, text=True, timeout=300)
    equal("status of --undo, " + run.stderr, run.returncode, status)
    if words not in run.stdout + run.stderr:
        raise AssertionError(f"'{words}' is not in: {run.stdout}{run.stderr}")


def port_with_two():
    """A group on all addresses, and a listener on one."""
    return Server([0.005] + [0.001] * 3, "0.0.0.0"), Server([0.001], SPECIAL)


def hashed(result):
    return sum(result["look_ups_left_to_the_hash"].values())


def asked(result, connections):
    """The program was asked for each SYN; a late packet of a connection that has gone asks, too."""
    equal("end", (result["end"], result["end_text"]), ("interrupted", None))
    between("look-ups", connections, result["look_ups_steered"] + hashed(result), connections * 1.02)


# ---- what it does ----

def beside_another():
    """a port with a more specific listener: the group is steered, and the other keeps its connections; clients = kernel = server"""
    needs_the_kernel()
    server, special = port_with_two()
    steering = Steering(server, "--policy", "even")
    clients, others = Clients(4, GROUP, total=1000), Clients(2, SPECIAL, total=200)
    clients.join()
    others.join()
    result = steering.result()
    shares = server.served()
    equal("failed", (clients.failed, others.failed), (0, 0))
    equal("served by the other", special.served(), [200])
    equal("served", sum(shares), 1000)
    equal("way", result["way"], "reuseport")
    asked(result, 1000)
    between("left to the hash", 0, hashed(result), 50)
    between("spread of the counts", 0, max(shares) - min(shares), 4 + hashed(result))
    equal("arrived while steered", result["phases"][0]["figures"]["events"]["whole"], 1000)
    equal("as found", result["as_found"], True)
    equal("a program is left", had_program(server.pids[0]), False)
    server.end()
    special.end()


def least():
    """least: a slow worker gets little, and nobody waits behind it"""
    needs_the_kernel()
    server = Server([0.3] + [0.001] * 3)
    steering = Steering(server, "--via", "reuseport")
    clients = Clients(4, total=400)
    clients.join()
    result = steering.result()
    shares = server.served()
    equal("failed", clients.failed, 0)
    equal("served", sum(shares), 400)
    between("share of the slow worker", 0, shares[0], 60)  # the hash gives it 100
    asked(result, 400)
    server.end()


def weights_and_queues():
    """weights and least-queue by the group's own program"""
    needs_the_kernel()
    server = Server([0.001] * 4)
    steering = Steering(server, "--via", "reuseport", "--policy", "weights=5,1,1,1")
    clients = Clients(2, total=800)
    clients.join()
    left = hashed(steering.result())
    shares = sorted(server.served())
    between("the heavy one", 495 - left, shares[3], 505 + left)
    between("the light ones", 95 - left, shares[0], 105 + left)
    stopped = server.pids[0]
    server.stop(stopped, signal.SIGSTOP)
    steering = Steering(server, "--via", "reuseport", "--policy", "least-queue")
    clients = Clients(2, total=300, timeout=4)
    clients.join()
    left = hashed(steering.result())
    between("clients that hang", 0, clients.failed, 2 + left)
    server.end()


def with_cookies():
    """SYN cookies, whose ACK asks the program once more: none fails, and the counts are even"""
    needs_the_kernel()
    cases.sysctl("net.ipv4.tcp_syncookies", 2)
    server = Server([0.001] * 4)
    steering = Steering(server, "--via", "reuseport", "--policy", "even")
    clients = Clients(2, total=400)
    clients.join()
    result = steering.result()
    shares = server.served()
    equal("failed", clients.failed, 0)
    equal("served", sum(shares), 400)
    between("look-ups", 700, result["look_ups_steered"] + hashed(result), 900)  # not each SYN gets a cookie
    between("spread of the counts", 0, max(shares) - min(shares), 4 + hashed(result))
    server.end()


def on_a_device():
    """sockets that are bound to a device: by the group's own program, without being asked for"""
    needs_the_kernel()
    server = Server([0.001] * 2, prepare=lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo"))
    steering = Steering(server, "--policy", "even")
    clients = Clients(1, total=100)
    clients.join()
    result = steering.result()
    equal("way", result["way"], "reuseport")
    asked(result, 100)
    equal("served", sum(server.served()), 100)
    server.end()


def families():
    """a dual-stack group beside a listener for all of IPv4: each keeps what the kernel gives it"""
    needs_the_kernel()
    server, special = Server([0.001] * 2, "::", socket.AF_INET6), Server([0.001], "0.0.0.0")
    steering = Steering(server, "--policy", "even")
    clients, others = Clients(1, "::1", total=40), Clients(1, SPECIAL, total=30)
    clients.join()
    others.join()
    result = steering.result()
    equal("failed", (clients.failed, others.failed), (0, 0))
    equal("way", result["way"], "reuseport")
    asked(result, 40)
    equal("served by the other", special.served(), [30])
    equal("served", sum(server.served()), 40)
    between("spread of the counts", 0, max(server.served()) - min(server.served()), 2 + hashed(result))
    server.end()
    special.end()


# ---- who comes and goes ----

def members():
    """workers that join and leave are followed and named; no connection is lost"""
    needs_the_kernel()
    server, special = port_with_two()
    steering = Steering(server, "--policy", "even")
    clients = Clients(2, GROUP)
    server.join(0.001)
    wait_for("the new one is used", lambda: server.served()[4] > 20)
    clients.end()
    equal("failed", clients.failed, 0)
    server.stop(server.pids[0], signal.SIGUSR1)
    time.sleep(1.5)  # a second and a beat, after which the tool knows
    clients = Clients(2, GROUP, total=200)
    clients.join()
    result = steering.result()
    equal("failed after one left", clients.failed, 0)
    if "left meanwhile" not in result["note"] or "joined meanwhile" not in result["note"]:
        raise AssertionError(f"note: {result['note']}")
    equal("as found", result["as_found"], True)
    equal("a program is left", had_program(server.pids[1]), False)
    server.end()
    special.end()


def restarted():
    """a server that ends and begins anew is steered on, though its group is another one"""
    needs_the_kernel()
    server, special = port_with_two()
    steering = Steering(server, "--policy", "even")
    for pid in server.pids:
        server.stop(pid)
    again = Server([0.001] * 2, "0.0.0.0")
    wait_for("it is steered", picked)
    time.sleep(1.5)  # a second and a beat, after which all are members
    clients = Clients(2, GROUP, total=200)
    clients.join()
    result = steering.result()
    equal("failed", clients.failed, 0)
    equal("end", result["end"], "interrupted")
    between("steered", 150, result["look_ups_steered"], 200)
    equal("a program is left", had_program(again.pids[0]), False)
    again.end()
    special.end()


# ---- how it ends ----

def tool_killed():
    """kill -9 of the tool: its guardian takes the program off, and no client fails"""
    needs_the_kernel()
    server, special = port_with_two()
    clients, others = Clients(2, GROUP), Clients(1, SPECIAL)
    for _ in range(3):
        steering = Steering(server)
        guardians = steering.guardian()
        equal("guardians", len(guardians), 1)
        steering.child.kill()
        steering.child.communicate()
        wait_for("the guardian is done", lambda: not os.path.exists(f"/proc/{guardians[0]}"))  # noqa: B023
        equal("a program is left", had_program(server.pids[0]), False)
    clients.end()
    others.end()
    equal("failed", (clients.failed, others.failed), (0, 0))
    equal("served by the other", special.served(), [others.made])
    server.end()
    special.end()


def on_and_off():
    """steering begins and ends again and again under load: clients = server, nothing fails"""
    needs_the_kernel()
    server, special = port_with_two()
    clients, others = Clients(3, GROUP), Clients(1, SPECIAL)
    for policy in "least", "even", "least-queue", "least":
        run = subprocess.run(command("--before", "0", "--for", "1", "--after", "0", "--json", "--force", "--policy", policy, "-p", str(server.pids[0])),
                             capture_output=True, text=True, timeout=300)
        equal("status, " + run.stderr, run.returncode, 0)
        equal("way", json.loads(run.stdout)["way"], "reuseport")
    clients.end()
    others.end()
    wait_for("all is served", lambda: sum(server.served()) >= clients.made, 10)
    equal("failed", (clients.failed, others.failed), (0, 0))
    equal("served", (sum(server.served()), special.served()), (clients.made, [others.made]))
    equal("a program is left", had_program(server.pids[0]), False)
    server.end()
    special.end()


def guardian_killed():
    """kill -9 of the guardian: the tool takes the program off and says why"""
    needs_the_kernel()
    server, special = port_with_two()
    steering = Steering(server)
    os.kill(steering.guardian()[0], signal.SIGKILL)
    result = steering.ended(0)
    equal("end", result["end"], "objection")
    if "was killed" not in result["end_text"]:
        raise AssertionError(result["end_text"])
    equal("as found", result["as_found"], True)
    equal("a program is left", had_program(server.pids[0]), False)
    server.end()
    special.end()


def both_killed():
    """kill -9 of both: the hash shares the port, --undo takes the program off, and so does the next steer"""
    needs_the_kernel()
    server, special = port_with_two()
    undo(0, "nothing was left behind")
    for again in False, True:
        steering = Steering(server, "--policy", "even")
        steering.kill(steering.child.pid, *steering.guardian())
        steering.child.communicate()
        equal("it is left", picked(), True)
        clients = Clients(2, GROUP, total=100)
        clients.join()
        equal("failed", clients.failed, 0)
        if not again:
            undo(0, "took off the program that a killed sockfair steer had left")
            undo(0, "nothing was left behind")
            equal("a program is left", had_program(server.pids[0]), False)
    plan = subprocess.run(command("--dry-run", "-p", str(server.pids[0])), capture_output=True, text=True, timeout=300)
    equal("status, " + plan.stderr, plan.returncode, 0)
    equal("it is said", "is removed first" in plan.stdout, True)
    # The other way, whose map would else refuse the sockets.
    special.end()
    steering = steer.Steering("--via", "lookup", "--policy", "even")
    equal("a program is left", had_program(server.pids[0]), False)
    equal("as found", steering.result()["as_found"], True)
    server.end()


def hangs():
    """a tool that hangs steers no more after two seconds, and goes on when it does"""
    needs_the_kernel()
    server, special = port_with_two()
    steering = Steering(server, "--policy", "even")
    steering.child.send_signal(signal.SIGSTOP)
    time.sleep(2.5)
    clients = Clients(2, GROUP, total=100)
    clients.join()
    steering.child.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    again = Clients(2, GROUP, total=100)
    again.join()
    result = steering.result()
    equal("failed", clients.failed + again.failed, 0)
    equal("left to the hash", result["look_ups_left_to_the_hash"]["heartbeat_old"], 100)
    equal("steered", result["look_ups_steered"], 100)
    server.end()
    special.end()


def own_program():
    """a program that the server attaches meanwhile ends it, stays, and is said: status 4"""
    needs_the_kernel()
    server, special = port_with_two()
    steering = Steering(server)
    with taken(server.pids[0]) as one:
        first_only(one)
    result = steering.ended(4)
    equal("end", result["end"], "objection")
    if "program of its own" not in result["end_text"] or "not ours" not in result["note"]:
        raise AssertionError(f"{result['end_text']}, {result['note']}")
    equal("as found", result["as_found"], False)
    equal("it stays", had_program(server.pids[0]), True)
    server.end()
    special.end()


def detached_by_others():
    """a program that somebody takes off meanwhile ends it; the port is as it was"""
    needs_the_kernel()
    server, special = port_with_two()
    steering = Steering(server)
    equal("it was there", had_program(server.pids[0]), True)
    result = steering.ended(0)
    equal("end", result["end"], "objection")
    if "somebody has detached" not in result["end_text"]:
        raise AssertionError(result["end_text"])
    server.end()
    special.end()


# ---- refusals ----

def refusals():
    """what speaks against it is one line, has a code, and changes nothing"""
    with listener():
        refused("single", "no other to share with", "--via", "reuseport")
    needs_the_kernel()
    with listener() as one, listener():
        refused("way", "--via reuseport", "--via", "epoll")
        first_only(one)
        refused("program", "has a program already", "--via", "reuseport")
        one.setsockopt(socket.SOL_SOCKET, DETACH, 0)  # it is there
    with listener(prepare=lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_INCOMING_CPU, 0)), listener():
        refused("incoming-cpu", "SO_INCOMING_CPU", "--via", "reuseport")
    server = Server([0.001] * 2)
    steering = Steering(server, "--via", "reuseport")
    for way in "lookup", "reuseport":
        refused("steered", f"sockfair {steering.child.pid} steers it", "--via", way)
    undo(1, f"steered by sockfair {steering.child.pid}, which lives")
    equal("as found", steering.result()["as_found"], True)
    server.end()


CASES = [beside_another, least, weights_and_queues, with_cookies, on_a_device, families, members, restarted, on_and_off, tool_killed, guardian_killed,
         both_killed, hangs, own_program, detached_by_others, refusals]

if __name__ == "__main__":
    parser = cases.parser(__doc__)
    parser.add_argument("--backend")
    arguments = parser.parse_args()
    steer.backend = arguments.backend
    cases.run_all(CASES, arguments, at_once=2)
