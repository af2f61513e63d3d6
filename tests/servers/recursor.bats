#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# PowerDNS Recursor: one process whose threads read UDP, each from a socket of its own, all from one, or one for all. Its own count: questions.
load servers

recursor_start() { # OPTION...
    port=$(free_port)
    printf '. 3600 IN NS a.test.\na.test. 3600 IN A 127.0.0.1\n' >"$dir/hints"
    # shellcheck disable=SC2016
    printf '$ORIGIN test.\n@ 300 IN SOA a.test. b.test. 1 300 300 300 300\n@ 300 IN NS a.test.\na 300 IN A 192.0.2.2\nwww 300 IN A 192.0.2.1\n' >"$dir/zone"
    printf '%s\n' local-address=127.0.0.1 "local-port=$port" "socket-dir=$dir" threads=4 "auth-zones=test=$dir/zone" "hint-file=$dir/hints" \
        security-poll-suffix= setuid= setgid= "$@" >"$dir/recursor.conf"
    start recursor.log pdns_recursor --config-dir="$dir" --daemon=no --disable-syslog
    server=$pid
    within 60 questions
    within 30 listens udp "$port"
}

questions() { rec_control --config-dir="$dir" --socket-dir="$dir" get questions 2>"$dir/control"; }

counts_all() {
    local before
    before=$(questions)
    watch -P "$port" -u
    yes 'www.test. A' | head -n "$n" >"$dir/queries"
    dnsperf -s 127.0.0.1 -p "$port" -d "$dir/queries" -n 1 -c 64 -q 20 >"$dir/dnsperf" 2>&1 || { cat "$dir/dnsperf"; return 1; }
    within 60 at_rest udp "$port"
    taken=$(($(questions) - before))
    watched "$@"
    same "dnsperf's queries" "$(awk '/Queries sent:/ { print $3 }' "$dir/dnsperf")" "$n"
    adds_up "$taken" "$n"
}

@test "recursor, reuseport: a socket for each thread" {
    recursor_start reuseport=yes pdns-distributes-queries=no
    counts_all
    design socket-each workers '[]'
    document 'here.sockets | length == 4 and all(.reuseport)' 'here.fairness.workers.bins == 4'
    advised ''
}

@test "recursor, one socket for all threads" {
    recursor_start reuseport=no pdns-distributes-queries=no
    counts_all shared thundering-herd
    document 'here.design | [.code, .bins] == ["shared-epoll", "workers"]' 'here.sockets | length == 1' 'here.fairness.workers.bins == 4'
    advised "'reuseport=yes' beside 'pdns-distributes-queries=no' (PowerDNS Recursor)"
}

@test "recursor, one thread reads and hands on: nothing can be uneven" {
    recursor_start reuseport=no pdns-distributes-queries=yes distributor-threads=1
    counts_all
    design alone none '[]'
    same status $status 0
}
