#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# haproxy: one process, four threads. Its own counts: conn_tot of the frontend, stot of each listening socket.
load servers

# Starts haproxy at $port with a single listener or, with `shards by-thread`, one a thread. Its pid is in $server.
haproxy_start() { # [BIND-OPTION...]
    port=$(free_port)
    cat >"$dir/conf" <<END
global
    nbthread 4
    stats socket $dir/stats level admin
defaults
    mode http
    timeout client 30s
    timeout connect 30s
    timeout server 30s
frontend web
    bind 127.0.0.1:$port backlog 4096 $*
    option socket-stats
    option http-server-close
    http-request return status 200 content-type text/plain string "ok"
END
    start haproxy.log haproxy -db -f "$dir/conf"
    server=$pid
    within 30 ready
}

ready() {
    listens tcp "$port" && [ "$(ls "/proc/$server/task" | wc -l)" = 4 ] && blocked "$server"
}

# FIELD of the rows of haproxy's own statistics that are of TYPE, one a line.
own() { # FRONTEND|socket FIELD
    /usr/bin/python3 - "$dir/stats" "$@" <<'END'
import csv, socket, sys

path, kind, field = sys.argv[1:]
with socket.socket(socket.AF_UNIX) as s:
    s.connect(path)
    s.sendall(b"show stat\n")
    text = b"".join(iter(lambda: s.recv(65536), b"")).decode()
for row in csv.DictReader(text.lstrip("# ").splitlines()):
    # Type 3: a listening socket.
    if row["pxname"] == "web" and (row["svname"] == kind or kind == "socket" and row["type"] == "3"):
        print(row[field])
END
}

counts_all() {
    watch -P "$port"
    load "$n"
    connections=$(own FRONTEND conn_tot)
    watched "$@"
    [ "$connections" -ge "$n" ] && [ "$connections" -le $((n + 16)) ] || { echo "haproxy's connections: $connections"; return 1; }
    adds_up "$connections"
    served "$n"
    tids=$(cd "/proc/$server/task" && echo * | jq -R 'split(" ") | map(tonumber) | sort')
    document "here.workers | map(.tid) | sort == $tids" "here.workers | all(.pid == $server)"
}

# bats test_tags=vm
@test "haproxy, one listener for four threads: no connection is missed, each thread is a row" {
    haproxy_start
    counts_all shared thundering-herd # each is woken by each: a plain epoll each
    document 'here.sockets | length == 1'
    advised "'shards by-thread' on the bind line (haproxy since 2.5)"
}

# bats test_tags=vm
@test "haproxy, a listener for each thread: each socket has what haproxy says it has, and its own thread" {
    haproxy_start shards by-thread
    counts_all
    sockets=$(own socket stot | jq -s sort)
    same "haproxy's sockets" "$(jq 'length' <<<"$sockets")" 4
    document "here.sockets | map(.accepted) | sort == $sockets" 'here.workers | map(.cookie) | unique | length == 4' \
        'here.fairness.sockets.verdict != "not-applicable"'
    advised ''
}
