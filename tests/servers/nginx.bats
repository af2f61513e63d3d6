#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# nginx: a master and four worker processes. Its own counts: stub_status (accepts of all workers) and its logs (connections of each).
load servers

# Starts nginx at $port; it has not been asked anything. Its pid is in $master, its workers' in $workers.
nginx_start() { # ACCEPT_MUTEX [LISTEN-OPTION...]
    port=$(free_port)
    mkdir "$dir/nginx"
    cat >"$dir/nginx/conf" <<END
daemon off;
user root;
worker_processes 4;
pid $dir/nginx/pid;
error_log $dir/nginx/errors info;
events { worker_connections 1024; accept_mutex $1; accept_mutex_delay ${mutex_delay:-20ms}; }
http {
    client_body_temp_path $dir/nginx/body;
    proxy_temp_path $dir/nginx/proxy;
    fastcgi_temp_path $dir/nginx/fastcgi;
    uwsgi_temp_path $dir/nginx/uwsgi;
    scgi_temp_path $dir/nginx/scgi;
    log_format by_worker '\$pid';
    log_format bytes '\$pid \$request_length \$bytes_sent';
    access_log $dir/nginx/access by_worker;
    access_log $dir/nginx/bytes bytes;
    keepalive_requests 1000000;
    server {
        listen 127.0.0.1:$port backlog=4096 ${*:2};
        location / { return 200 "ok\n"; }
        location = /status { stub_status; }
    }
}
END
    start nginx.log nginx -p "$dir/nginx" -e stderr -c "$dir/nginx/conf"
    master=$pid
    within 30 has_workers
    mapfile -t workers < <(children "$master")
}

# Four, that wait for events.
has_workers() {
    local pids
    mapfile -t pids < <(children "$master")
    listens tcp "$port" && [ ${#pids[@]} = 4 ] && blocked "${pids[@]}"
}

# stub_status: connections that all workers together accepted, this one included.
nginx_accepts() {
    curl -sS "http://127.0.0.1:$port/status" | awk 'NR == 3 { print $1 }'
}

# What each worker logged is what we say it accepted, and who logged nothing has accepted nothing. One line a connection: its request, or
# that it ended without one: ab opens a few more than it uses.
agrees_by_worker() {
    local logged
    logged=$({ cat "$dir/nginx/access"; sed -nE 's/.*\[info\] ([0-9]+)#.* while waiting for request.*/\1/p' "$dir/nginx/errors"; } |
        sort | uniq -c | awk '{ printf "%s\"%s\": %d", sep, $2, $1; sep = ", " }')
    document "(by_pid | with_entries(select(.value > 0))) == {$logged}"
}

pid_list() { local IFS=,; echo "[$*]"; }

# The whole comparison: $n requests by ab (and up to 16 connections that it does not use) and one for the status.
counts_all() { # [shared [PROBLEM...]]
    local accepts
    watch -P "$port"
    load "$n"
    accepts=$(nginx_accepts)
    within 60 at_rest tcp "$port"
    watched "$@"
    [ "$accepts" -gt "$n" ] && [ "$accepts" -le $((n + 17)) ] || { echo "nginx's accepts: $accepts"; return 1; }
    adds_up "$accepts"
    served $((n + 1))
    document 'here.workers | all(.served <= .accepted and .handed.count == 0)' 'here.sockets | all(.wait_ns.count == .accepted)'
    agrees_by_worker
}

# bats test_tags=vm
@test "nginx, one shared socket: no accept of any worker is missed, first ones of blocked workers included" {
    nginx_start off
    counts_all shared wake-order
    advised "with SO_REUSEPORT each could have its own: 'reuseport' on the listen line (nginx since 1.9.1)"
    document 'here.sockets | length == 1' "here.workers | map(.pid) | sort == ($(pid_list "${workers[@]}") | sort)" \
        'here.workers | all(.process == "nginx" and .ended == false)'
}

# bats test_tags=vm
@test "nginx, accept_mutex: workers that take turns in watching the socket lose nothing" {
    nginx_start on
    counts_all shared wake-order
    document "here.workers | map(.pid) - $(pid_list "${workers[@]}") == []"
}

# Whoever has the mutex keeps it: the others ask for it again after five minutes only, and are never seen to wait for connections.
@test "nginx, accept_mutex: one worker takes all, and it is not said that all is well" {
    mutex_delay=300s nginx_start on
    watch -P "$port"
    load 300
    within 60 at_rest tcp "$port"
    watched
    same status "$status" 1
    document 'here.design | .code == "unknown" and (.words == "1 process accepts all; whether 3 siblings that hold the socket would is not known")' \
        'here.fairness.workers | .verdict == "withheld" and .reason == "bins-unknown"'
    grep -q 'who else could have got work is not known' "$dir/watch.log"
}

# bats test_tags=vm
@test "nginx, reuseport: four sockets, each with its worker" {
    nginx_start off reuseport
    counts_all
    advised ''
    document 'here.sockets | length == 4 and all(.reuseport)' "here.workers | map(.pid) | sort == ($(pid_list "${workers[@]}") | sort)" \
        'here.workers | map(.cookie) | unique | length == 4' 'here.fairness.sockets | .bins == 4 and .verdict != "not-applicable"'
}

@test "nginx under wrk: our sum is the growth of stub_status, connections that wrk breaks off included" {
    nginx_start off
    watch -P "$port"
    before=$(nginx_accepts)
    wrk -t 1 -c 16 -d 3s -H 'Connection: close' "http://127.0.0.1:$port/" >"$dir/wrk"
    within 60 at_rest tcp "$port"
    after=$(nginx_accepts)
    within 60 at_rest tcp "$port"
    watched shared wake-order
    same "the first status" "$before" 1
    adds_up $((after - before + 1)) # the growth, and the first status
    agrees_by_worker
    requests=$(awk '/requests in/ { print $1 }' "$dir/wrk")
    [ "$requests" -gt 100 ]
    [ "$requests" -le "$after" ]
}

@test "nginx, idle: all four workers are rows, the master is none, too few to tell" {
    for options in '' reuseport; do
        nginx_start off $options
        watch -P "$port"
        same answer "$(curl -sS "http://127.0.0.1:$port/")" ok
        within 60 at_rest tcp "$port"
        watched
        adds_up 1
        document "here.workers | map(.pid) | sort == ($(pid_list "${workers[@]}") | sort)" \
            'here.fairness.workers | .bins == 4 and .idle == 3 and .verdict == "too-few"'
        stop_all
        started=()
        rm -r "$dir/nginx"
    done
}

# ab goes on past the connections that break; it says which share of its load it has done.
done_by_client() { # PER CENT
    awk -v want=$((n * $1 / 100)) '/^Completed / && $2 >= want { found = 1 } END { exit !found }' "$dir/ab.log"
}

# $n requests with COMMANDs in the middle of them.
disturbed() { # COMMAND...
    watch -P "$port"
    start ab.log ab -r -n "$n" -c 16 "http://127.0.0.1:$port/"
    client=$pid
    within 120 done_by_client 20
    "$@"
    within 600 gone "$client"
    grep -q '^Complete requests:' "$dir/ab.log" || { cat "$dir/ab.log"; return 1; }
    within 60 at_rest tcp "$port"
    accepts=$(nginx_accepts)
    within 60 at_rest tcp "$port"
    complete=$(awk '/^Complete requests:/ { print $3 }' "$dir/ab.log")
    answered=$(awk '/^HTML transferred:/ { print $3 / 3 }' "$dir/ab.log") # 3 bytes an answer
    watched shared wake-order
    same "ab's requests" "$complete" "$n"
    # Each of them was a connection, answered or broken; a few ab did not use, one was for the status.
    ours=$(of_document 'here.workers | total(took)')
    [ "$ours" -gt "$n" ] && [ "$ours" -le $((n + 17)) ] || { echo "ours: $ours"; return 1; }
    adds_up "$ours"
    [ "$answered" -le "$n" ] && [ "$answered" -ge $((n - 64)) ] || { echo "answered: $answered"; return 1; }
}

kill_worker_and_reload() {
    kill -KILL "${workers[0]}"
    within 120 done_by_client 50
    kill -HUP "$master"
    within 120 gone "${workers[@]}"
    within 60 has_workers
}

# bats test_tags=vm
@test "nginx, a worker killed and a reload in the middle: all completed requests are there, the dead are marked" {
    nginx_start off
    disturbed kill_worker_and_reload
    # The killed one may have accepted a connection that it did not come to count.
    [ "$accepts" -le "$ours" ] && [ "$accepts" -ge $((ours - 1)) ] || { echo "nginx's accepts: $accepts, ours $ours"; return 1; }
    mapfile -t new < <(children "$master")
    document "here.workers | map(select(.ended) | .pid) | contains($(pid_list "${workers[@]}"))" \
        "here.workers | map(select(.ended | not) | .pid) | sort == ($(pid_list "${new[@]}") | sort)" \
        'here.sockets | length == 1'
}

@test "nginx, reuseport, a reload in the middle: the sockets stay, their workers are others" {
    nginx_start off reuseport
    reload() {
        kill -HUP "$master"
        within 120 gone "${workers[@]}"
        within 60 has_workers
    }
    disturbed reload
    same "nginx's accepts" "$accepts" "$ours"
    agrees_by_worker
    mapfile -t new < <(children "$master")
    document "here.workers | map(select(.ended) | .pid) | sort == ($(pid_list "${workers[@]}") | sort)" \
        "here.workers | map(select(.ended | not) | .pid) | sort == ($(pid_list "${new[@]}") | sort)" 'here.sockets | length == 4' \
        'here.workers | all(.generation == if .ended then 1 else 2 end)' \
        'here.generations | .earlier.processes == 4 and .later.processes == 4' 'here.fairness | .workers.bins == 4 and .other_generation.bins == 4'
}

# The last interval has one finding of a stalled socket: of that process, with a queue that does not get shorter.
stalled_by() { # PID
    tail -n 1 "$document" | jq -e --argjson port "$port" "$jq_words here as \$e | \$e.findings | map(select(.code == \"stalled-socket\")) |
        length == 1 and (.[0] | .cookie as \$c | (.evidence | .pid == $1 and .queued >= .queued_before and .queued_before > 0 and .sockets == 4) and
        (.text | contains(\"nginx $1 is stopped (SIGSTOP)\")) and
        (.text | contains(\"(inode \" + (\$e.sockets[] | select(.cookie == \$c) | .inode | tostring) + \")\")) and
        (\$e.workers | map(select(.pid == $1) | .cookie) == [\$c]))" >/dev/null
}

calm_since() { # LINES
    [ "$(wc -l <"$document")" -gt "$1" ] && ! tail -n 1 "$document" | grep -q stalled-socket
}

@test "nginx, reuseport, a worker that is stopped under load: stalled-socket names it and its queue, until it goes on" {
    nginx_start off reuseport
    watch -P "$port" -i 0.3
    start ab.log ab -r -n "$n" -c 16 "http://127.0.0.1:$port/"
    client=$pid
    within 120 done_by_client 20
    run ! grep -q stalled-socket "$document"
    kill -STOP "${workers[0]}"
    within 60 stalled_by "${workers[0]}"
    lines=$(wc -l <"$document")
    kill -CONT "${workers[0]}"
    within 600 gone "$client"
    within 60 at_rest tcp "$port"
    within 60 calm_since $((lines + 1))
    watched shared slow-worker was-stalled long-waits # it was, for a while: the first where it is not long enough for the others
    document 'here.findings | map(.code) | index("stalled-socket") == null' "here.workers | total(took) >= $n"
    adds_up "$(tail -n 1 "$document" | jq '[.endpoints[].workers[].accepted] | add')"
}

# CPU time of a worker, in ns, as /proc has it; it has one thread.
used() { # PID
    awk '{ print $1 }' "/proc/$1/schedstat"
}

@test "nginx, keep-alive: eight connections of before, unequal load: bytes and CPU time by worker are nginx's own, the client's, and /proc's" {
    nginx_start off reuseport
    coproc client { "$here/keepalive.py" 127.0.0.1 "$port" 8 $((n / 2)); }
    # shellcheck disable=SC2154
    started+=("$client_PID")
    read -r -t 60 line <&"${client[0]}" && same "the client" "$line" ready
    within 30 blocked "${workers[@]}"
    lines=$(wc -l <"$dir/nginx/bytes")
    for i in 0 1 2 3; do before[i]=$(used "${workers[i]}"); done
    watch -P "$port"
    echo >&"${client[1]}"
    read -r -t 300 sent received <&"${client[0]}"
    within 30 blocked "${workers[@]}"
    watched
    document 'here.load.connections_open == 8' "here.workers | total(.bytes_received) == $sent and total(.bytes_sent) == $received"
    logged=$(tail -n +$((lines + 1)) "$dir/nginx/bytes" |
        awk '{ in_[$1] += $2; out[$1] += $3 } END { for (p in in_) printf "%s\"%s\": [%d, %d]", sep++ ? ", " : "", p, in_[p], out[p] }')
    document "([here.workers[] | select(.bytes_sent > 0) | {key: (.pid | tostring), value: [.bytes_received, .bytes_sent]}] | from_entries) == {$logged}"
    # What the clocks of both say between two looks that are not the same.
    for i in 0 1 2 3; do
        document "here.workers[] | select(.pid == ${workers[i]}) | ((.process_cpu_ns - $(($(used "${workers[i]}") - before[i]))) | fabs) <= 5e6 + 0.1 * .process_cpu_ns"
    done
    [ -n "${SOCKFAIR_TEST_EMULATED:-}" ] || document '[here.findings[].code] | index("bytes-uneven") != null and index("cpu-uneven") != null'
}
