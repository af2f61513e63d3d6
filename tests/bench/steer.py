#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `sockfair steer` is worth: a slow worker, lifetimes that differ, a stopped worker, and many beginnings and ends with kill -9 among them.
steer.py [--rounds N] [CASE...]. Each case beside the kernel's hash, in the same run; medians of the rounds."""
import argparse
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import cases  # noqa: E402
import steer  # noqa: E402
from steer import PORT, Clients, Server, Steering, command, links  # noqa: E402


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Timed(Clients):
    """Clients that keep how long each connection took."""

    def __init__(self, *arguments, **named):
        self.took = []
        super().__init__(*arguments, **named)

    def once(self):
        begun = time.monotonic()
        good = super().once()
        self.took.append(time.monotonic() - begun)
        return good


def slow_worker():
    """8 workers, one needs 20 ms a request and the others 1 ms; 8 clients: latency p99 (ms) and connections a second"""
    server = Server([0.02] + [0.001] * 7)
    rows = []
    for steered in False, True:
        steering = Steering() if steered else None
        clients = Timed(8)
        time.sleep(6)
        clients.end()
        if steering:
            steering.result()
        rows += [1000 * percentile(clients.took, 0.99), clients.made / 6, clients.failed]
    server.end()
    return dict(zip(("hash p99", "hash rate", "hash failed", "steered p99", "steered rate", "steered failed"), rows))


NGINX = """worker_processes 8; daemon off; master_process on; pid %(folder)s/pid; error_log stderr crit;
events { worker_connections 4096; }
http { access_log off; keepalive_timeout 60s; keepalive_requests 100000; client_body_temp_path %(folder)s; proxy_temp_path %(folder)s;
 fastcgi_temp_path %(folder)s; uwsgi_temp_path %(folder)s; scgi_temp_path %(folder)s;
 server { listen 127.0.0.1:%(port)d reuseport backlog=4096; location / { return 200 "x"; } } }"""


def lifetime(ends):
    while not ends.is_set():
        with socket.create_connection(("127.0.0.1", PORT)) as connection:
            connection.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.recv(4096)
            ends.wait(4 if random.random() < 0.1 else 0.05)


def lifetimes():
    """nginx, 8 workers with reuseport, 64 keep-alive clients whose connections live 50 ms (90 %) or 4 s: CV of open connections"""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "conf")
        with open(path, "w") as conf:
            conf.write(NGINX % {"folder": folder, "port": PORT})
        nginx = subprocess.Popen(["nginx", "-c", path, "-p", folder], stderr=subprocess.DEVNULL)
        steer.wait_for("nginx", lambda: not subprocess.run(["sh", "-c", f"ss -Hltn sport = {PORT} | grep -q ."], check=False).returncode)
        ends = threading.Event()
        threads = [threading.Thread(target=lifetime, args=(ends,)) for _ in range(64)]
        for thread in threads:
            thread.start()
        time.sleep(5)
        run = subprocess.run(command("--before", "12", "--for", "20", "--after", "0", "--json", "--force"), capture_output=True, text=True, check=True)
        ends.set()
        for thread in threads:
            thread.join()
        nginx.terminate()
        nginx.wait()
    phases = {phase["name"]: phase["figures"]["open_cv"] for phase in json.loads(run.stdout)["phases"]}
    return {"hash open CV": phases["before"]["mean"], "steered open CV": phases["steered"]["mean"]}


def stopped_worker():
    """4 workers, one stopped, 100 clients: how many hang"""
    rows = []
    for steered in False, True:
        server = Server([0.001] * 4)
        server.stop(server.pids[0], signal.SIGSTOP)
        steering = Steering() if steered else None
        clients = Clients(10, total=100, timeout=3)
        clients.join()
        rows.append(clients.failed)
        if steering:
            steering.result()
        server.stop(server.pids[0], signal.SIGCONT)
        server.end()
    return dict(zip(("hash hang", "steered hang"), rows))


def beginnings(number=40):
    """steering begins and ends so many times under load, half of them by kill -9: clients = server, none failed"""
    server = Server([0.0002] * 4)
    clients = Clients(4)
    for i in range(number):
        steering = Steering()
        time.sleep(random.random())
        if i % 2:
            steering.result()
        else:
            steering.child.kill()
            steering.child.communicate()
            steer.wait_for("the program is gone", lambda: not links())
    clients.end()
    steer.wait_for("all is served", lambda: sum(server.served()) >= clients.made, 10)
    served = sum(server.served())
    server.end()
    return {"begun": number, "connections": clients.made, "failed": clients.failed, "served": served}


CASES = [slow_worker, lifetimes, stopped_worker, beginnings]


def in_a_child(case):
    """The case's row, from a network namespace of its own."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(write, json.dumps(cases.run(case)).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        row = json.loads(said.read() or "{}")
    os.waitpid(pid, 0)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json")
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    kept = {}
    for case in CASES:
        if arguments.cases and case.__name__ not in arguments.cases:
            continue
        rows = [in_a_child(case) for _ in range(1 if case is beginnings else arguments.rounds)]
        medians = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        kept[case.__name__] = {"rounds": rows, "median": medians}
        print(case.__doc__)
        print("   " + ", ".join(f"{key} {value:,.3g}" if value < 1000 else f"{key} {value:,.0f}" for key, value in medians.items()), flush=True)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(kept, file)


if __name__ == "__main__":
    main()
