#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# --fail-on uneven: 0 only for what is known to be fair, 3 for what is known not to be, 1 and one line for all else.
load common

setup() { watch_setup; }

teardown() { watch_teardown; }

# A server of that many threads that block in accept() on one socket; its port is $said.
serve_threads() { # THREADS
    serve "s = tcp(0)
print('said', s.getsockname()[1])
for i in range($1): thread(accepts, s)"
}

# So many threads wait on the port, one on each of its sockets.
waits_on() { # PORT THREADS
    "$sockfair" list --json -P "$1" | jq -e ".endpoints[0].sockets | map(.waiting) == [range($2) | 1]"
}

# The watch ended with that status, and the last line of what it said has TEXT.
judged() { # STATUS TEXT
    watch_end "$1"
    tail -1 "$out.says" | grep -qF "$2" || { cat "$out.says"; return 1; }
}

@test "run: too few is 1, one worker is 0, uneven is 3, whatever else is in it" {
    refused 1 "cannot judge reuseport: 100 events are too few, 796 would do" run reuseport -n 100 --fail-on uneven -o /dev/null
    run "$sockfair" run single-listener -n 50 -w 1 --fail-on uneven -o /dev/null
    [ "$status" = 0 ]
    assert_one_line "single-listener: 1 acceptor, 1 thread serves, so nothing there can be uneven"
    run "$sockfair" run reuseport -n 2000 --fail-on uneven -o /dev/null
    [ "$status" = 0 ]
    [ -z "$output" ]
    run "$sockfair" run single-listener udp-reuseaddr reuseport -n 300 -w 2 --flows 300 --fail-on uneven -o /dev/null
    [ "$status" = 3 ]
    [ -z "$output" ]
    refused 1 "cannot judge reuseport (and 2 others): 20 events are too few" run reuseport reuseport-epoll single-listener -n 20 --fail-on uneven -o /dev/null
}

@test "watch: a port that nobody listens on is not fair" {
    serve_threads 1
    end "$server"
    run "$sockfair" watch -P "$said" -d 0.1 --fail-on uneven -o /dev/null
    [ "$status" = 1 ]
    grep -qx "sockfair: cannot judge port $said: nothing came to it: is it the right port, and do clients reach it?" <<<"$output"
    run "$sockfair" watch -p $$ -d 0.1 --fail-on uneven -o /dev/null
    [ "$status" = 1 ]
    grep -q "cannot judge any port that the filter asks for: nothing came" <<<"$output"
}

@test "watch: a port whose queue nobody empties is not one that nobody reaches" {
    serve "s = tcp(0)
print('said', s.getsockname()[1])
ask(s.getsockname()[1], 2)"
    run "$sockfair" watch -P "$said" -d 0.1 --fail-on uneven -o /dev/null
    [ "$status" = 1 ]
    grep -qx "sockfair: cannot judge tcp 127.0.0.1:$said: nothing was taken from it, though something waits in its queue: see what the result says of that" <<<"$output"
}

@test "watch: each port of -P must have been seen; by process only those with events count" {
    serve "a, b = tcp(0), tcp(0)
print('said', a.getsockname()[1], b.getsockname()[1])
thread(accepts, a)
thread(accepts, b)"
    read -r a b <<<"$said"
    watch_begin -P "$a,$b" --fail-on uneven
    clients "visit($a, 5)"
    judged 1 "cannot judge port $b: nothing came"
    watch_begin -p "$server" --fail-on uneven
    clients "visit($a, 5)"
    judged 0 "tcp 127.0.0.1:$a: 1 thread accepts all, so nothing there can be uneven"
    watch_begin -P "$a" --fail-on uneven
    clients "visit($a, 1)"
    judged 0 "nothing there can be uneven"
}

@test "watch: too few for several workers; one that is uneven decides for all" {
    serve_threads 2
    two=$said
    watch_begin -P "$two" --fail-on uneven
    clients "visit($two, 7)"
    judged 1 "cannot judge tcp 127.0.0.1:$two: 7 events are too few"
    # the second is never woken
    serve 's = tcp(0)
print("said", s.getsockname()[1])
thread(polls_for, s, select.POLLIN)
thread(polls_for, s, select.POLLPRI)'
    watch_begin -P "$two,$said" --fail-on uneven
    clients "visit($said, 700); visit($two, 7)"
    watch_end 3
    [ "$(grep -vc '^watching' "$out.says")" = 0 ]
}

@test "watch: a worker that is stopped and takes nothing of what is queued for it alone is uneven" {
    serve 's = tcp(0, reuseport=True)
port = s.getsockname()[1]
s.close()
workers = [process(lambda: accepts_dead(tcp(port, backlog=1000, reuseport=True))) for _ in range(3)]
print("said", port, workers[1])'
    read -r port stopped <<<"$said"
    eventually waits_on "$port" 3
    kill -STOP "$stopped"
    watch_begin -P "$port" --json --fail-on uneven
    serve "for _ in range(900):
    c = socket.create_connection(('127.0.0.1', $port))
    c.sendall(b'x')
    c.settimeout(0.001) # it may be one that nobody takes
    try: c.recv(9)
    except OSError: pass
    c.close()"
    watch_end 3
    jq -e --argjson stopped "$stopped" '.endpoints[0] | .fairness.workers.idle == 1 and
        (.workers | map(select(.pid == $stopped) | .accepted) == [0])' "$out" || { cat "$out"; return 1; }
}

@test "no blindness: a lone reuseport, a group split by address, a stuck worker, each told of its own port" {
    serve 's = tcp(0, reuseport=True)
print("said", s.getsockname()[1])
for i in range(2): thread(accepts, s)'
    lone=$said
    serve 's = tcp(0, "0.0.0.0", reuseport=True)
print("said", s.getsockname()[1])
for s in s, tcp(s.getsockname()[1], reuseport=True): thread(accepts, s)'
    split=$said
    serve 's = tcp(0)
print("said", s.getsockname()[1])
s.setblocking(False)
for takes in (accepts_by, accepts_by, lambda e, s: time.sleep(1000)): process(lambda: takes(epoll_of(s), s))'
    watch_begin -P "$lone,$split,$said" --json --fail-on uneven
    clients "visit($lone, 20); visit($split, 20); visit($said, 900)"
    watch_end 3
    jq -e --argjson lone "$lone" --argjson split "$split" --argjson stuck "$said" '[.endpoints[] | .findings[].code as $code | [.port, $code]] as $found |
           ([[$lone, "lone-reuseport"], [$split, "group-split"]] | all(. as $one | $found | index([$one]) != null)) and
           (.endpoints[] | select(.port == $stuck) | .fairness.workers | .verdict == "uneven" and .idle == 1)' "$out" || { cat "$out"; return 1; }
}

@test "what one port lost withholds its verdict, and no other's" {
    serve_threads 1
    one=$said
    serve_threads 3
    SOCKFAIR_ROWS=2 watch_begin -P "$one,$said" --json --fail-on uneven
    clients "visit($one, 4); visit($said, 30)"
    judged 1 "events were not counted: narrow the filter"
    jq -e --argjson one "$one" '(.endpoints | map(select(.port == $one))[0]) as $whole | (.endpoints | map(select(.port != $one))[0]) as $lost |
           ([$whole.lost[]] == [0, 0, 0, 0]) and ([$whole.fairness[].verdict] | all(. == "not-applicable")) and
           $lost.lost.accepted == .lost.by_reason.workers_full and $lost.lost.arrived == 0 and
           ($lost.fairness.workers | .verdict == "withheld" and .reason == "counts-lost" and .p_value == null) and
           $lost.fairness.sockets.reason == null' "$out" || { cat "$out"; return 1; }
}
