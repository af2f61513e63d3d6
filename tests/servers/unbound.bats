#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# unbound: one process, four threads, UDP. Its own count: total.num.queries; dnsperf's: queries sent.
load servers

# Starts unbound at $port. Its pid is in $server.
unbound_start() { # SO-REUSEPORT
    port=$(free_port)
    cat >"$dir/conf" <<END
server:
    directory: "$dir"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    interface: 127.0.0.1
    port: $port
    do-tcp: no
    num-threads: 4
    so-reuseport: $1
    module-config: "iterator"
    root-hints: ""
    extended-statistics: no
    local-zone: "test." static
    local-data: "www.test. A 192.0.2.1"
remote-control:
    control-enable: yes
    control-interface: $dir/control
    control-use-cert: no
END
    start unbound.log unbound -d -c "$dir/conf"
    server=$pid
    within 60 ready
}

ready() {
    listens udp "$port" && [ "$(ls "/proc/$server/task" | wc -l)" = 4 ] && blocked "$server" && [ -S "$dir/control" ]
}

# COUNT queries of 64 clients, as fast as 100 at once let them; how many dnsperf sent and got answered is in $sent and $answered.
ask() { # COUNT [OPTION...]
    yes 'www.test. A' | head -n "$1" >"$dir/queries"
    dnsperf -s 127.0.0.1 -p "$port" -d "$dir/queries" -n 1 -c 64 -q 100 "${@:2}" >"$dir/dnsperf" 2>&1 || { cat "$dir/dnsperf"; return 1; }
    sent=$(awk '/Queries sent:/ { print $3 }' "$dir/dnsperf")
    answered=$(awk '/Queries completed:/ { print $3 }' "$dir/dnsperf")
    within 60 at_rest udp "$port"
}

# All threads together.
own_queries() {
    unbound-control -c "$dir/conf" stats_noreset | sed -n 's/^total\.num\.queries=//p'
}

# Delivered and dropped is what was sent; received is what was delivered and what unbound counted.
counts_all() {
    ask "$n"
    queries=$(own_queries)
    watched "$@"
    same 'sent' "$sent" "$n"
    adds_up "$queries" "$sent"
    [ "$answered" -le "$queries" ] || { echo "answered $answered of $queries"; return 1; }
}

threads() { (cd "/proc/$server/task" && echo * | jq -R -c 'split(" ") | map(tonumber) | sort'); }

# bats test_tags=vm
@test "unbound, one socket for four threads: each datagram is counted, each thread is a row" {
    unbound_start no
    watch -P "$port" -u
    counts_all shared
    document 'here.sockets | length == 1' "here.workers | map(.tid) | sort == $(threads)"
    advised "'so-reuseport: yes' (unbound)"
}

# bats test_tags=vm
@test "unbound, so-reuseport: a socket for each thread" {
    unbound_start yes
    watch -P "$port" -u
    counts_all
    document 'here.sockets | length == 4 and all(.reuseport)' "here.workers | map(.tid) | sort == $(threads)" \
        'here.workers | map(.cookie) | unique | length == 4'
    advised ''
}

steered() { "$sockfair" list -u -P "$port" | grep -q "steered by sockfair (pid $pid)"; }

@test "unbound, so-reuseport, steered: every query is answered, by the thread with the shortest queue; nothing is left" {
    unbound_start yes
    start steer.log "$sockfair" steer -P "$port" --stateless --before 0 --after 0 --for 10m --force --json -o "$dir/steer.json"
    within 60 steered
    ask "$n"
    kill -TERM "$pid"
    within 60 gone "$pid"
    queries=$(own_queries)
    same 'answered' "$answered" "$n"
    same 'queries' "$queries" "$n"
    jq -e ".phases[0].figures | .events.whole == $n and .drops.whole == 0" "$dir/steer.json"
    jq -e ".look_ups_steered + (.look_ups_left_to_the_hash | add) == $n and .look_ups_steered > $n / 2" "$dir/steer.json"
    jq -e '.end == "interrupted" and .as_found and (.members | length == 4)' "$dir/steer.json"
    document=$dir/listed
    "$sockfair" list -u -P "$port" --json >"$document"
    jq -e '[.endpoints[].findings[].code] | index("lookup-program") == null' "$document"
}

@test "unbound, frozen under load: what found no room is dropped, as the kernel says, and not lost" {
    unbound_start no
    watch -P "$port" -u
    kill -STOP "$server"
    yes 'www.test. A' | head -n 2000 >"$dir/queries"
    dnsperf -s 127.0.0.1 -p "$port" -d "$dir/queries" -n 1 -c 64 -q 2000 -t 1 >"$dir/dnsperf" 2>&1
    sent=$(awk '/Queries sent:/ { print $3 }' "$dir/dnsperf")
    kill -CONT "$server"
    within 60 at_rest udp "$port"
    queries=$(own_queries)
    watched shared
    same sent "$sent" 2000
    adds_up "$queries" 2000
    document "here.sockets[0] | .delivered + .dropped == 2000 and .dropped > 0 and .dropped == .drops"
}
