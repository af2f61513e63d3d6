#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fleet.py [CASE...]: two machines (network namespaces) with nginx and unbound, `sockfair export` in each, and one real Prometheus that scrapes them. TAP."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import cases
from prometheus import RULES, Prometheus, example
from watching import SOCKFAIR, equal

PR_SET_PDEATHSIG = 1  # linux/prctl.h
HTTP, DNS, EXPORT = 8080, 5353, 7435
WINDOW = 4  # seconds of --window
# What takes minutes on a fleet takes seconds here. The thresholds stay.
QUICK = {"[3m]": "[4s]", "[5m]": "[10s]", "[10m]": "[20s]", "[15m]": "[20s]", "for: 2m": "for: 2s", "for: 5m": "for: 5s", "for: 10m": "for: 5s", "for: 15m": "for: 20s"}
WHO = example("Which host, which port, which worker")
NGINX = """daemon off; user root; worker_processes 4; pid {folder}/pid; error_log {folder}/errors;
events {{ worker_connections 1024; accept_mutex off; }}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen {port} reuseport; location / {{ return 200 ok; }} }} }}
"""
UNBOUND = """server:
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    interface: 0.0.0.0
    access-control: 0.0.0.0/0 allow
    port: {port}
    do-tcp: no
    num-threads: 4
    so-reuseport: yes
    module-config: "iterator"
    root-hints: ""
    local-zone: "test." static
    local-data: "www.test. A 192.0.2.1"
"""
QUESTION = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + b"\3www\4test\0" + struct.pack(">2H", 1, 1)


def dies_with_parent():
    cases.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Host:
    """A network namespace with an address of its own, 10.77.NUMBER.2, and what runs in it."""

    def __init__(self, number, folder):
        self.name, self.address, self.folder, self.running = f"host{number}", f"10.77.{number}.2", os.path.join(folder, str(number)), []
        os.mkdir(self.folder)
        read, write = os.pipe()
        self.holder = os.fork()
        if not self.holder:
            dies_with_parent()
            if cases.libc.unshare(cases.NEWNET):
                os._exit(1)
            os.write(write, b"x")
            signal.pause()
        os.close(write)
        if os.read(read, 1) != b"x":
            raise AssertionError("no network namespace")
        os.close(read)
        for line in (f"link add to{number} type veth peer name up0 netns {self.holder}", f"addr add 10.77.{number}.1/24 dev to{number}", f"link set to{number} up"):
            subprocess.run(["ip", *line.split()], check=True)
        for line in ("link set lo up", f"addr add {self.address}/24 dev up0", "link set up0 up"):
            subprocess.run(self.inside("ip", *line.split()), check=True)

    def inside(self, *command):
        return ["nsenter", f"--net=/proc/{self.holder}/ns/net", *command]

    def start(self, *command, **options):
        with open(os.path.join(self.folder, "log"), "a") as log:
            child = subprocess.Popen(self.inside(*command), preexec_fn=dies_with_parent, stdin=subprocess.DEVNULL, **{"stdout": log, "stderr": log, **options})
        self.running.append(child)
        return child

    def configured(self, text, port):
        place = os.path.join(self.folder, "conf")
        with open(place, "w") as f:
            f.write(text.format(folder=self.folder, port=port))
        return place

    def export(self, *options):
        self.exporter = self.start(SOCKFAIR, "export", "--listen", f"{self.address}:{EXPORT}", "-N", f"/proc/{self.holder}/ns/net", "--window", str(WINDOW), *options)

    def page(self):
        """None while it does not answer."""
        if self.exporter.poll() is not None:
            raise AssertionError("sockfair export ended: " + open(os.path.join(self.folder, "log")).read()[-1000:])
        try:
            with urllib.request.urlopen(f"http://{self.address}:{EXPORT}/metrics", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def end(self):
        for child in reversed(self.running):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self.running:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        os.kill(self.holder, signal.SIGKILL)
        os.waitpid(self.holder, 0)


def wait_for(what, condition, seconds=60):
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def answered(host):
    """Whether nginx answers a connection, within a second."""
    try:
        with socket.create_connection((host.address, HTTP), 1) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"200" in connection.recv(64)
    except OSError:
        return False


def asked(host):
    """The same of unbound and a datagram, each from a port of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.sendto(QUESTION, (host.address, DNS))
        try:
            return len(client.recv(512)) > len(QUESTION)
        except OSError:
            return False


class Load:
    """So many clients, that ask one time after the other until they are told to end."""

    def __init__(self, ask, host, clients, pause):
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(ask, host, pause)) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def run(self, ask, host, pause):
        while not self.ends.wait(pause):
            ask(host)

    def end(self):
        self.ends.set()
        for thread in self.threads:
            thread.join()


class Fleet:
    """Both hosts, with server and exporter."""

    def __enter__(self):
        if subprocess.run([SOCKFAIR, "export", "--help"], capture_output=True).returncode:
            raise cases.Skip("this sockfair has no command `export`")
        self.folder = tempfile.TemporaryDirectory(prefix="fleet.")
        self.hosts = []
        try:
            self.web, self.dns = (self.host(n) for n in (1, 2))
            place = self.web.configured(NGINX, HTTP)
            self.nginx = self.web.start("nginx", "-p", self.web.folder, "-e", "stderr", "-c", place)
            self.dns.start("unbound", "-d", "-c", self.dns.configured(UNBOUND, DNS))
            wait_for("nginx answers", lambda: answered(self.web))
            wait_for("unbound answers", lambda: asked(self.dns))
            self.workers = [int(pid) for pid in open(f"/proc/{self.nginx.pid}/task/{self.nginx.pid}/children").read().split()]
            equal("workers", len(self.workers), 4)
            self.web.export("-P", str(HTTP), "--own-cost")
            self.dns.export("-P", str(DNS))
            for host in self.hosts:
                wait_for("a page of " + host.name, host.page)
        except BaseException:
            self.__exit__()
            raise
        return self

    def host(self, number):
        made = Host(number, self.folder.name)
        self.hosts.append(made)
        return made

    def __exit__(self, *_):
        for host in self.hosts:
            host.end()
        self.folder.cleanup()


def total(page, name, port):
    """The sum of a metric's series of that port."""
    found = [float(value) for labels, value in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", page, re.M) if f'port="{port}"' in labels.split(",")]
    if not found:
        raise AssertionError(f"no {name} of port {port}")
    return sum(found)


def at_rest(host, name, port):
    """The page once the metric has stood still for 5 s: longer than an exporter waits from one look to the next."""
    def stands():
        before = host.page()
        time.sleep(5)
        after = host.page()
        return before and after and total(before, name, port) == total(after, name, port) and after
    return wait_for(f"{name} stands still", stands)


def watched(host, port):
    child = host.start(SOCKFAIR, "watch", "-d", "300", "--json", "-P", str(port), "-N", f"/proc/{host.holder}/ns/net", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said = ""
    while "watching" not in said:
        line = child.stderr.readline()
        if not line:
            raise AssertionError("sockfair watch ended: " + said)
        said += line
    return child


def counters():
    """What counters of two scrapes at rest differ by is what clients made and what watch --json counted between, also of each worker"""
    with Fleet() as fleet:
        for host, ask, port, name, worker, count in ((fleet.web, answered, HTTP, "sockfair_connections_total", "sockfair_worker_connections_total", "accepted"),
                                                     (fleet.dns, asked, DNS, "sockfair_datagrams_received_total", "sockfair_worker_datagrams_total", "received")):
            child = watched(host, port)
            before = at_rest(host, name, port)
            equal("answered", sum(ask(host) for _ in range(500)), 500)
            after = at_rest(host, name, port)
            child.send_signal(signal.SIGINT)
            document = json.loads(child.communicate(timeout=60)[0].splitlines()[-1])
            endpoint, = document["endpoints"]
            equal("watch", sum(row[count] for row in endpoint["workers"]), 500)
            equal(name, total(after, name, port) - total(before, name, port), 500)
            by_worker = [sorted(float(value) for value in re.findall(rf"^{worker}\{{.*\}} (\S+)$", page, re.M)) for page in (before, after)]
            equal(worker, sum(by_worker[1]) - sum(by_worker[0]), 500)


def real_names():
    """Each metric that rules and board use is in a real scrape, and promtool has nothing to say about it"""
    with Fleet() as fleet:
        for _ in range(100):
            answered(fleet.web)
            asked(fleet.dns)
        wait_for("a window", lambda: all("sockfair_window_cv" in host.page() for host in fleet.hosts))
        pages = [host.page() for host in fleet.hosts]
        for page in pages:
            said = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, timeout=60)
            equal("promtool check metrics", (said.stdout + said.stderr).strip(), "")
        with tempfile.NamedTemporaryFile("w") as scrape:
            scrape.write("\n".join(pages))
            scrape.flush()
            made = subprocess.run([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "dist.py"), "--scrape", scrape.name, "names", "bounds"],
                                  capture_output=True, text=True, timeout=60)
            equal("dist.py: " + made.stdout, made.returncode, 0)


def stopped_worker():
    """A worker is stopped: alerts fire, and one query says which host, which port and which worker; when it goes on they resolve"""
    with Fleet() as fleet, tempfile.NamedTemporaryFile("w", suffix=".yml") as quick:
        text = open(RULES).read()
        quick.write(re.sub(r"\[\d+m\]|for: \d+m", lambda found: QUICK[found.group(0)], text))
        quick.flush()
        prometheus = Prometheus({host.name: f"http://{host.address}:{EXPORT}/metrics" for host in fleet.hosts}, 1, quick.name)
        loads = [Load(answered, fleet.web, 12, 0.05), Load(asked, fleet.dns, 8, 0.05)]
        try:
            prometheus.wait("both are judged", lambda: len(prometheus.query("sockfair_window_events >= 100")) == 2)
            equal("who is uneven at first", prometheus.query(WHO), [])
            equal("alerts at first", prometheus.firing("SockfairSocketStalled"), [])
            os.kill(fleet.workers[2], signal.SIGSTOP)
            for alert in ("SockfairUneven", "SockfairSocketStalled"):
                firing = prometheus.wait(alert, lambda: prometheus.firing(alert))
                equal(alert, [(found["instance"], found["proto"], found["port"], found.get("netns", "")) for found in firing], [("host1", "tcp", str(HTTP), "")])
            (who, shares), = prometheus.wait("who", lambda: [row for row in prometheus.query(WHO) if row[1] == 0])
            equal("who", (who["instance"], who["port"], who["pid"], who["comm"]), ("host1", str(HTTP), str(fleet.workers[2]), "nginx"))
            equal("stopped", [found["slot"] for found, _ in prometheus.query("sockfair_worker_stopped == 1")], [who["slot"]])
            os.kill(fleet.workers[2], signal.SIGCONT)
            for alert in ("SockfairUneven", "SockfairSocketStalled"):
                prometheus.wait(alert + " resolves", lambda: not prometheus.firing(alert))
            equal("hosts that answer", [value for _, value in prometheus.query("up")], [1, 1])
            equal("lost", [value for _, value in prometheus.query("sum(sockfair_lost_total)") if value], [])
        finally:
            for load in loads:
                load.end()
            prometheus.end()


if __name__ == "__main__":
    cases.run_all([counters, real_names, stopped_worker], cases.parser(__doc__).parse_args())
