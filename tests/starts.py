#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""starts.py [--backend NAME] [SERVER...]: `sockfair binds` beside the normal start of real servers, each under strace, in a network namespace of its own. TAP.

What `binds` tells is held against what strace saw: each call of TCP or UDP sockets that failed is told once, by the thread that made it and with its errno, and nothing else is
told: a start that went well gives no line. Some servers are started on a port that is taken: there the reason has to name who has it.
"""
import collections
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # the tests leave nothing beside themselves
import cases
from cases import libc

HERE = os.path.dirname(os.path.abspath(__file__))
SOCKFAIR = os.path.join(HERE, "..", "sockfair")
PORT = 7654  # no other suite's: some look into all network namespaces
backend = None
folder = None
running = []


# ---- what is started ----


def written(name, text):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)
    return path


def nginx(listen=f"listen {PORT}; listen [::]:{PORT};", workers=2):
    return ["nginx", "-p", folder, "-c", written("nginx.conf", f"""daemon off; worker_processes {workers}; pid nginx.pid; error_log errors; events {{}}
        http {{ access_log off; server {{ {listen} return 204; }} }}""")]


def nginx_reuseport():
    return nginx(f"listen {PORT} reuseport;", 4)


def haproxy():
    return ["haproxy", "-db", "-f", written("haproxy.cfg", f"""global
    nbthread 4
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend f
    bind :{PORT} shards 4
    bind :::{PORT} v6only
    http-request return status 204
""")]


def lighttpd():
    return ["lighttpd", "-D", "-f", written("lighttpd.conf", f'server.document-root = "{folder}"\nserver.port = {PORT}\nserver.pid-file = "{folder}/lighttpd.pid"\n')]


def apache(more=""):
    return ["apache2", "-D", "FOREGROUND", "-d", folder, "-f", written("apache.conf", f"""ServerRoot {folder}
ServerName localhost
Listen {PORT}
PidFile {folder}/apache.pid
ErrorLog {folder}/errors
User nobody
Group nogroup
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
StartServers 2
{more}""")]


def apache_buckets():
    """2.4 duplicates a dual-stack listener with an address of IPv4: three sockets of which one gets IPv6 alone."""
    return apache("ListenCoresBucketsRatio 1\n")


def unbound():
    return ["unbound", "-d", "-c", written("unbound.conf", f"""server:
    interface: 0.0.0.0@{PORT}
    interface: ::0@{PORT}
    num-threads: 4
    so-reuseport: yes
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    logfile: "{folder}/unbound.log"
remote-control:
    control-enable: no
""")]


def recursor():
    return ["pdns_recursor", f"--config-dir={folder}", f"--socket-dir={folder}", f"--local-address=127.0.0.1:{PORT},[::1]:{PORT}", "--threads=4", "--reuseport=yes", "--daemon=no",
            "--write-pid=no", "--hint-file=no", "--security-poll-suffix="]


def redis():
    return ["redis-server", "--port", str(PORT), "--bind", "*", "-::*", "--save", "", "--dir", folder]


def postgres():
    programs = sorted(glob.glob("/usr/lib/postgresql/*/bin/"))
    data, program = os.path.join(folder, "data"), programs[-1] if programs else ""
    there_is(program + "postgres")
    become = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
    os.makedirs(data)
    shutil.chown(data, "postgres")
    subprocess.run([*become, program + "initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-D", data], check=True, stdout=subprocess.DEVNULL, cwd="/")
    return [*become, program + "postgres", "-D", data, "-c", "listen_addresses=*", "-c", f"port={PORT}", "-c", f"unix_socket_directories={data}", "-c", "fsync=off"]


def coturn():
    return ["turnserver", "-n", "--log-file=stdout", "-L", "127.0.0.1", "-p", str(PORT), "--no-tls", "--no-dtls", "--no-cli", "--no-auth", "--relay-threads", "2", "--pidfile",
            os.path.join(folder, "turn.pid")]


def node():
    return ["node", "-e", f"require('http').createServer((q, a) => a.end()).listen({PORT})"]


def node_cluster():
    return ["node", written("cluster.js", f"""const c = require('cluster')
        if (c.isPrimary) for (let i = 0; i < 2; i++) c.fork()
        else require('http').createServer((q, a) => a.end()).listen({PORT})""")]


def go():
    program = os.path.join(folder, "server")
    subprocess.run([there_is("go"), "build", "-o", program, os.path.join(HERE, "servers", "server.go")], check=True,
                   env={**os.environ, "GOCACHE": os.path.join(folder, "cache"), "GOPATH": folder, "GO111MODULE": "off"})
    return [program, "three", f"127.0.0.1:{PORT}"]


def gunicorn():
    written("app.py", "def app(environ, start_response):\n    start_response('204 OK', [])\n    return []\n")
    return ["gunicorn", "--chdir", folder, "-w", "2", "-b", f"0.0.0.0:{PORT}", "-b", f"[::1]:{PORT}", "app:app"]


def http_server():
    return ["python3", "-m", "http.server", "--directory", folder, str(PORT)]


def asyncio():
    return ["python3", "-c", f"import asyncio\nasync def main():\n  s = await asyncio.start_server(lambda r, w: None, None, {PORT})\n  await s.serve_forever()\nasyncio.run(main())"]


def memcached():
    return ["memcached", "-u", "nobody", "-p", str(PORT), "-U", str(PORT)]


def dnsmasq():
    return ["dnsmasq", "-k", "-C", "/dev/null", "-p", str(PORT), "-x", "", "--no-resolv", "--no-hosts", "--user=root"]


def mosquitto():
    return ["mosquitto", "-c", written("mosquitto.conf", f"listener {PORT}\nallow_anonymous true\nuser root\n")]


def nsd():
    return ["nsd", "-d", "-c", written("nsd.conf", f"""server:
    ip-address: 0.0.0.0@{PORT}
    ip-address: ::0@{PORT}
    server-count: 2
    reuseport: yes
    username: ""
    zonesdir: "{folder}"
    database: ""
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd"
    zonelistfile: "{folder}/zones"
    logfile: "{folder}/nsd.log"
    xfrdir: "{folder}"
remote-control:
    control-enable: no
""")]


def rsync():
    return ["rsync", "--daemon", "--no-detach", f"--port={PORT}", "--config", written("rsync.conf", "use chroot = no\n")]


def tinyproxy():
    return ["tinyproxy", "-d", "-c", written("tinyproxy.conf", f"Port {PORT}\nListen 0.0.0.0\nMaxClients 4\nUser root\n")]


def chronyd():
    return ["chronyd", "-d", "-x", "-u", "root", "-f", written("chrony.conf", f"port {PORT}\ncmdport {PORT + 1}\nbindcmdaddress 127.0.0.1\nallow\npidfile {folder}/chrony.pid\n")]


def vsftpd():
    return ["vsftpd", written("vsftpd.conf", f"listen=NO\nlisten_ipv6=YES\nlisten_port={PORT}\nbackground=NO\nsecure_chroot_dir={folder}\n")]


def sshd():
    key = os.path.join(folder, "key")
    subprocess.run([there_is("ssh-keygen"), "-q", "-N", "", "-t", "ed25519", "-f", key], check=True)
    os.makedirs("/run/sshd", exist_ok=True)
    return ["/usr/sbin/sshd", "-D", "-f", written("sshd.conf", f"Port {PORT}\nHostKey {key}\nPidFile {folder}/sshd.pid\n")]


def named():
    return ["named", "-f", "-g", "-n", "2", "-c", written("named.conf", f"""options {{ directory "{folder}"; listen-on port {PORT} {{ any; }}; listen-on-v6 port {PORT} {{ any; }};
        pid-file "{folder}/named.pid"; session-keyfile "{folder}/session.key"; recursion no; }};
        controls {{ }};
""")]


SERVERS = [nginx, nginx_reuseport, haproxy, lighttpd, apache, unbound, recursor, redis, postgres, coturn, node, node_cluster, go, gunicorn, http_server, asyncio, memcached, dnsmasq,
           mosquitto, nsd, rsync, tinyproxy, chronyd, vsftpd, sshd, named]


# ---- running them ----


def traced(log, command):
    child = subprocess.Popen(["strace", "-f", "-qq", "-yy", "-e", "signal=none", "-e", "trace=bind,listen,connect", "-o", log, *command], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, cwd=folder, start_new_session=True, preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))
    running.append(child)
    return child


def within(seconds, what, true):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def is_bound(port):
    """Is a TCP listener, or a UDP socket, on the port? Asks /proc: the kernel's tables are not changed by it."""
    for name, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        with open("/proc/self/net/" + name) as f:
            if any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == state for line in f.readlines()[1:]):
                return True
    return False


def quiet(log):
    """Nothing was called for half a second."""
    size = os.path.getsize(log) if os.path.exists(log) else 0
    time.sleep(0.5)
    return size and os.path.getsize(log) == size


def refused(log):
    """A call found the port taken, and none came after it."""
    with open(log) as f:
        return "EADDRINUSE" in f.read() and quiet(log)


def end(child):
    """The server, and what it started: the process group of strace."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGTERM)
    try:
        child.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(bind|listen|connect)(?:\(| resumed>)(.*?) *= (-?\d+)(?: (E[A-Z]+))?")


def failed_calls(log):
    """[(tid, call, errno)] of TCP and UDP sockets, sorted. A call may be in two lines: its beginning has the socket."""
    begun, failed = {}, []
    with open(log) as f:
        for line in f:
            start = re.match(r"^(\d+) +(bind|listen|connect)\((.*) <unfinished", line)
            if start:
                begun[start.group(1)] = start.group(3)
                continue
            call = CALL.match(line)
            if not call:
                continue
            tid, name, arguments, _, error = call.groups()
            arguments = begun.pop(tid, "") + arguments
            if re.match(r"\d+<(TCP|UDP)", arguments) and error:
                failed.append((int(tid), name, error))
    return sorted(failed)


def compared(told, log):
    """Each call that failed is told once, and nothing besides. connect() fails for many reasons that are no bind()'s: only want of a port is told."""
    want = [call for call in failed_calls(log) if call[1] != "connect" or call[2] in ("EADDRNOTAVAIL", "EAGAIN")]
    got = ((d["tid"], d['kind'], d["error"]) for d in told)
    got, want = collections.Counter(got), collections.Counter(want)
    missing = [call for call in (want - got) if call[1] != "connect"]  # which has other reasons for these two
    more = list(got - want)
    wrong = [suspicion for d in told for suspicion in d["suspicions"]]
    if missing or more or wrong:
        raise AssertionError(f"not told: {missing}; told, and strace has no such call: {more}; said to look wrong: {wrong}; all: "
                             + "; ".join(f"{d['process']} {d['kind']} {d['address']}:{d['port']} {d['error']}: {d['why']}" for d in told))


class Binds:
    def __init__(self):
        command = [SOCKFAIR, "binds", "--json", "-N", str(os.stat("/proc/self/ns/net").st_ino), *(["--backend", backend] if backend else [])]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: libc.prctl(1, signal.SIGKILL))
        if "watching" not in self.child.stderr.readline():
            raise AssertionError("sockfair binds ended")

    def end(self):
        """Its documents but the last one, which has the totals and must have lost nothing."""
        self.child.send_signal(signal.SIGINT)
        out, err = self.child.communicate(timeout=60)
        documents = [json.loads(line) for line in out.splitlines()]
        if self.child.returncode or not documents or documents[-1]["lost"]["total"]:
            raise AssertionError(f"status {self.child.returncode}: {err} {documents[-1:]}")
        return documents[:-1]


def start(command):
    """One server, watched from before it starts until it serves. Returns what was told, and strace's log."""
    log = os.path.join(folder, "strace")
    there_is(command[0])
    binds = Binds()
    child = traced(log, command)
    try:
        within(30, "it serves", lambda: is_bound(PORT) or child.poll() is not None)
        within(30, "it is quiet", lambda: quiet(log))
        if child.poll() is not None:
            raise AssertionError("it ended: " + child.stdout.read()[-1000:])
    finally:
        end(child)
    return binds.end(), log


class Missing(Exception):
    """A program that is not here: the case is skipped."""


def there_is(program):
    if not shutil.which(program):
        raise Missing(f"there is no {program}")
    return program


def beside(server):
    compared(*start(server()))


def split(server):
    """A start that goes well, and makes a group whose sockets are not alike."""
    told, _ = start(server())
    codes = [[suspicion["code"] for suspicion in d["suspicions"]] for d in told]
    if not codes or any(each != ["group-split"] for each in codes) or any(d["address"] != "0.0.0.0" or d["error"] for d in told):
        raise AssertionError(f"not told as a split group: {told}")


def taken(server):
    """The port is another's: each call that failed for it names that."""
    holder = socket.socket(socket.AF_INET6)
    holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    holder.bind(("::", PORT))
    holder.listen()
    log = os.path.join(folder, "strace")
    command = server()
    there_is(command[0])
    binds = Binds()
    child = traced(log, command)
    try:
        within(60, "it gives up, or goes on without", lambda: child.poll() is not None or (os.path.exists(log) and refused(log)))
    finally:
        end(child)
    told = binds.end()
    compared(told, log)
    if not told or any(f"(pid {os.getpid()}" not in d["why"] for d in told if d["error"] == "EADDRINUSE"):
        raise AssertionError(f"who has the port is not named: {[(d['error'], d['why']) for d in told]}")


def case_of(server, words, body):
    def case():
        global folder
        folder = tempfile.mkdtemp(prefix="starts.")
        os.chmod(folder, 0o755)
        try:
            return body(server)
        except Missing as missing:
            return str(missing)
        finally:
            shutil.rmtree(folder)

    case.__name__ = ("taken_" if body is taken else "") + server.__name__
    case.__doc__ = f"{server.__name__.replace('_', ', ')}{words}"
    return case


CASES = [case_of(server, " starts: what is told is what strace saw to fail", beside) for server in SERVERS] + \
        [case_of(apache_buckets, ": the sockets that it makes of a dual-stack one are split, which is told", split)] + \
        [case_of(server, " starts on a port that is taken: who has it is named", taken) for server in (nginx, haproxy, redis, node, gunicorn)]


def main():
    global backend
    parser = cases.parser(__doc__)
    parser.add_argument("--backend")
    arguments = parser.parse_args()
    backend = arguments.backend
    cases.run_all(CASES, arguments, at_once=4)  # mostly they wait


if __name__ == "__main__":
    main()
