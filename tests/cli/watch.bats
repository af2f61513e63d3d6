#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# `watch` beside servers that run: what it counts is what the clients counted, to the last connection. Traffic begins once it says that
# it watches and ends before it is asked for its result, so nothing depends on time.
load common
sockfair=$here

setup() { watch_setup; }

teardown() { watch_teardown; }

@test "what clients counted: accepted = arrived = sum over workers; ended early by Ctrl-C" {
    serve_mode shared-accept --port 8100 -w 4
    watch_begin -P 8100 -d 1000 --json
    clients 'visit(8100, 300)'
    watch_end
    [ "$(wc -l <"$out")" = 1 ]
    counted 8100 300 ".endpoints[0].workers | length == 4 and all(.pid == $server and .comm[:7] == \"worker-\")"
}

@test "each socket of a group, each worker; idle ones are rows" {
    serve_mode reuseport --port 8100 -w 6
    watch_begin -P 8100 -d 1000 --json
    clients 'visit(8100, 2)'
    watch_end
    counted 8100 2 '.endpoints[0] | (.sockets | length == 6) and (.workers | length == 6) and (.fairness.workers.bins == 6) and
                     ([.workers[] | select(.accepted == 0)] | length >= 4) and (.fairness.sockets.idle >= 4)'
}

@test "--own-cost: what the programs took is what the kernel measured; it measures no longer" {
    serve_mode shared-accept --port 8100 -w 2
    before=$(sysctl -n kernel.bpf_stats_enabled)
    watch_begin -P 8100 --json --own-cost
    clients 'visit(8100, 200)'
    read -r ns runs < <(bpftool prog show -j | jq -r '[.[] | select(.name | test("^([fkt]_|state_|first_read)"))] |
        "\(map(.run_time_ns // 0) | add) \(map(.run_cnt // 0) | add)"')
    watch_end
    # An accept, its arrival and its end at least; others' programs may be among those that bpftool saw.
    jq -e --argjson ns "$ns" --argjson runs "$runs" '.window.own_cost | .program_runs >= 400 and .programs_ns > 0 and .process_cpu_ns > 0
        and (.programs_ns / .program_runs) < 100000 and .program_runs <= $runs * 3' "$out"
    [ "$(sysctl -n kernel.bpf_stats_enabled)" = "$before" ]
    run -0 "$sockfair" watch -P 8100 -d 0.1 --plain --own-cost
    [[ $output == *"own cost: "*" % of a CPU for "*" runs of the programs ("* ]]
    run -0 "$sockfair" watch -P 8100 -d 0.1 --plain
    [[ $output != *"own cost"* ]]
    run -1 setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "$sockfair" watch -P 8100 -d 0.1 --own-cost
    [[ $output == *CAP_SYS_ADMIN* ]]
}

@test "UDP: received = delivered = sent" {
    serve_mode udp-reuseport --port 8100 -w 3
    watch_begin -P 8100 --json
    clients 'for i in range(20): send(8100, 10)'
    watch_end
    counted 8100 200 '.endpoints[0] | .protocol == "udp" and (.sockets | map(.delivered) | add == 200) and (.workers | length == 3)'
}

# bats test_tags=slow
@test "-i: the intervals add up to the whole; [interval [count]] ends by itself" {
    serve_mode shared-epoll --port 8100 -w 2
    watch_begin -P 8100 -i 0.1 --json
    for i in 1 2 3 4; do
        lines=$(wc -l <"$out")
        clients 'visit(8100, 25)'
        eventually more_lines "$lines"
    done
    watch_end
    counted 8100 100
    jq -s -e 'length > 3 and (.[:-1] | all(.window.final == false))' "$out"
    [ "$(jq -s '[.[:-1][] | select([.endpoints[].workers[].accepted] | add > 0)] | length > 1' "$out")" = true ]
    "$sockfair" watch -P 8100 --json 0.1 3 >"$out" 2>/dev/null
    [ "$(jq -s -c 'map(.window.final)' "$out")" = '[false,false,false,true]' ]
}

# bats test_tags=slow
@test "text off a terminal: a table per interval, then the whole; by process, thread, socket" {
    serve_mode reuseport --port 8100 -w 3
    for by in process thread socket; do
        watch_begin -P 8100 -i 0.2 --by $by
        clients 'visit(8100, 30)'
        eventually grep -q 'since the start' "$out"
        watch_end
        [ "$(grep -c 'the whole window of' "$out")" = 1 ]
        grep -q '^tcp 127.0.0.1:8100.*, 30 in all' "$out"
        run ! grep -q $'\033' "$out"
        sed -n '/the whole window/,$p' "$out" >"$out.whole"
        case $by in
            process) [ "$(grep -cE "^ .* $server .* 30 .*100.0%" "$out.whole")" = 1 ] ;;
            thread) [ "$(grep -c worker- "$out.whole")" = 3 ] ;;
            socket) [ "$(grep -cE ' [0-9]+/4096 ' "$out.whole")" = 3 ] ;;
        esac || { cat "$out"; return 1; }
    done
}

@test "a port that nobody listens on: says so, then counts the server that comes" {
    watch_begin -P 8100 --json
    grep -q 'nobody has a socket on port 8100 yet: waiting' "$out.says"
    serve_mode reuseport --port 8100 -w 3
    clients 'visit(8100, 50)'
    watch_end
    counted 8100 50 '.endpoints | length == 1 and (.[0].sockets | length == 3 and all(.appeared))'
}

@test "filters that match nothing, processes that are not there" {
    refused 1 "there is no process 4194304" watch -p 4194304
    watch_begin --comm nosuchname --json
    grep -q 'no socket is what the filter asks for (process nosuchname.*) yet: waiting' "$out.says"
    watch_end
    jq -e '.endpoints == [] and .window.final' "$out"
}

# bats test_tags=slow
@test "-p, --comm: those sockets only, and listeners opened later from their first connection" {
    # Opens a second listener when it gets a datagram, and says when it is there.
    later='def opens(s):
    client = s.recvfrom(10)[1]
    l = tcp(PORT + 2)
    thread(accepts, l)
    s.sendto(b"x", client)
    idle()
named(NAME)
thread(accepts, tcp(PORT))
thread(opens, udp(PORT + 1))'
    for option in -p --comm; do
        serve "PORT, NAME = 8100, 'test-wanted'
$later"
        wanted=$server
        serve "PORT, NAME = 8110, 'test-other'
$later"
        case $option in -p) watch_begin -p "$wanted" --json ;; *) watch_begin --comm test-wanted --json ;; esac
        clients 'visit(8100, 20); visit(8110, 20)
send(8101, 1); visit(8102, 30)
send(8111, 1); visit(8112, 30)'
        watch_end
        counted 8100 20 '[.endpoints[] | select(.protocol == "tcp") | .port] == [8100, 8102]'
        counted 8102 30
        end_started
    done
}

@test "-p: a listener that was opened and closed between two looks" {
    serve 'named("test-wanted")
def brief(s):
    while True:
        client = s.recvfrom(10)[1]
        l = tcp(8102)
        t = thread(accepts_once, l)
        s.sendto(b"x", client)
        t.join()
        keep.remove(l)
        l.close()
        s.recvfrom(10)
        s.sendto(b"x", client)
thread(brief, udp(8101))'
    watch_begin -p "$server" --json
    # A datagram opens it, a connection is made, a datagram comes back when it is closed.
    clients 'c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
c.connect(("127.0.0.1", 8101))
c.settimeout(20)
for i in range(20):
    c.send(b"x"); c.recv(10)
    visit(8102, 1)
    c.send(b"x"); c.recv(10)'
    watch_end
    counted 8102 20
}

@test "threads and processes that end are marked, their counts stay" {
    serve 's = tcp(8100)
for i in range(3):
    thread(accepts_once, s)
print("said", process(accepts_once, s, name="test-child"))'
    watch_begin -P 8100 -i 0.1 --json
    clients 'visit(8100, 4)'
    eventually gone "$said" # a zombie is gone, too
    eventually threads_left 2
    watch_end
    counted 8100 4 '.endpoints[0] | (.workers | length == 4 and all(.ended and .accepted == 1)) and (.sockets[0].ended | not)'
}

# bats test_tags=slow
@test "-p: what was counted stays when the process asked for ends and another holds the socket still" {
    serve 's = tcp(8100)
print("said", process(accepts, s))'
    watch_begin -p "$said" -i 0.1 --json
    clients 'visit(8100, 50)'
    kill "$said"
    eventually gone "$said"
    eventually more_lines 3
    watch_end
    counted 8100 50 '.endpoints[0].workers == [.endpoints[0].workers[] | select(.ended and .accepted == 50)]'
}

# bats test_tags=slow
@test "workers that close the listener and live on have ended; one that pauses and listens again has not" {
    # On a datagram: the first server closes its listener; the second stops listening and begins again.
    serve 'def closes(s, go):
    answer(s.accept()[0])
    s.close()
    go.recvfrom(10)
def pauses(s, go):
    answer(s.accept()[0])
    s.shutdown(socket.SHUT_RDWR)
    client = go.recvfrom(10)[1]
    s.listen(10)
    go.sendto(b"x", client)
    accepts(s)
a, b = tcp(8100), tcp(8101)
process(closes, a, udp(8102))
process(pauses, b, udp(8103))'
    watch_begin -P 8100,8101 -i 0.1 --json
    clients 'visit(8100, 1)
visit(8101, 1)'
    eventually some_document 8100 'any(.workers[]; .ended)' # each in an interval of its own, where a look falls between the two
    eventually some_document 8101 'any(.workers[]; .ended)'
    clients 'c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
c.settimeout(20)
c.sendto(b"x", ("127.0.0.1", 8103))
c.recv(10)'
    eventually last_document '[.endpoints[] | .port as $p | .sockets[] | [$p, .ended]] == [[8100, false], [8101, false]]'
    watch_end
    "$check" "$out"
    [ "$(tail -n 1 "$out" | jq -c '[.endpoints[] | .port as $p | .workers[] | [$p, .accepted, .ended]]')" = '[[8100,1,true],[8101,1,false]]' ]
}

some_document() { # PORT CONDITION: of that port's endpoint, in one of the intervals
    jq -es "any(.[].endpoints[]; .port == $1 and $2)" "$out" >/dev/null
}
last_document() { tail -n 1 "$out" | jq -e "$1" >/dev/null; }
gone() { ! grep -qs '^State:.[^Z]' "/proc/$1/status"; }
threads_left() { [ "$(ls "/proc/$server/task" | wc -l)" -lt "$1" ]; }

# bats test_tags=slow
@test "a server that is killed and comes back on its port: two sockets, one ended, all counted" {
    serve_mode shared-accept --port 8100 -w 2 --processes
    watch_begin -P 8100 --json
    clients 'visit(8100, 30)'
    end "$server" INT
    serve_mode shared-accept --port 8100 -w 2 --processes
    clients 'visit(8100, 12)'
    watch_end
    # Each CPU hands out cookies of its own: their order is not that of the sockets' making.
    counted 8100 42 '.endpoints | length == 1 and (.[0].sockets | map([.accepted, .ended, .appeared]) | sort == [[12, false, true], [30, true, false]]) and
                      (.[0].workers | map(select(.ended)) | length == 2 and (map(.accepted) | add == 30))'
}

# bats test_tags=slow
@test "300 listeners opened and closed in turn, each with its thread: the sum is exact" {
    churn='for i in range(300):
    l = free(8100)
    t = threading.Thread(target=accepts_once, args=(l,))
    t.start()
    visit(8100, 1)
    t.join()
    l.close()'
    watch_begin -P 8100 -i 0.1 --json
    clients "$churn"
    eventually more_lines $(($(wc -l <"$out") + 1)) # the last interval is over
    watch_end
    counted 8100 300 '.endpoints[0] | (.sockets | length) + .omitted.sockets == 300 and (.workers | length) + .omitted.workers == 300'
}

# Beside other suites a look may come too late for the next socket to find a row.
# bats test_tags=slow,alone
@test "few rows: rows of the dead are used again" {
    churn='for i in range(20):
    l = free(8100)
    visitor = threading.Thread(target=visit, args=(8100, 1))
    visitor.start()
    accepts_once(l)
    visitor.join()
    l.close()
    sys.stdin.readline()'
    SOCKFAIR_ROWS=4 watch_begin -P 8100 -i 0.05 --json
    # The next begins when an interval has passed.
    each_interval | clients "$churn"
    watch_end
    counted 8100 20
}
each_interval() {
    local i lines
    for i in {1..20}; do
        lines=$(wc -l <"$out")
        eventually more_lines $((lines + 1))
        echo || break
    done
}

# bats test_tags=slow
@test "rows run out: what has no row is lost, by reason, to the last one" {
    serve_mode reuseport --port 8100 -w 16
    SOCKFAIR_ROWS=4 watch_begin -P 8100 --json
    clients 'visit(8100, 400)'
    watch_end
    # Each connection beyond the rows is missed twice: arriving and accepted.
    jq -e '([.endpoints[].sockets[].arrived] | add) as $arrived | ([.endpoints[].workers[].accepted] | add) as $accepted |
           .lost.total == 800 - $arrived - $accepted and .lost.total > 0 and ([.lost.by_reason[]] | add) == .lost.total and
           (.endpoints[0].sockets | length == 16)' "$out" || { cat "$out"; return 1; }
    SOCKFAIR_ROWS=4 watch_begin -P 8100 -i 0.2
    clients 'visit(8100, 100)'
    watch_end
    grep -q 'not counted: .* (events of sockets beyond the limit of 4 rows, or of their user.s share of them)' "$out"
    # 4 of 16 workers have rows: that is no verdict on the server.
    SOCKFAIR_ROWS=4 watch_begin -P 8100 --json --fail-on uneven
    clients 'visit(8100, 2000)'
    watch_end 1
    grep -q 'cannot judge tcp 127.0.0.1:8100: up to .* of its events were not counted' "$out.says"
}

# bats test_tags=slow
@test "another network namespace: counted from outside, and -N counts it only" {
    sockfair=$everywhere # a port that no other test has: those beside this one are seen, too
    serve 'subprocess = __import__("subprocess")
subprocess.check_call(["ip", "link", "set", "lo", "up"])
thread(accepts, tcp(8177))' unshare -n
    inner=$server
    serve 'thread(accepts, tcp(8177))'
    watch_begin -P 8177 --json
    clients 'visit(8177, 7)' nsenter -n -t "$inner"
    clients 'visit(8177, 9)'
    watch_end
    counted 8177 16 ".endpoints | map([.netns, .sockets[0].accepted] | select(.[1] > 0)) | sort == ([[$(stat -Lc %i /proc/$inner/ns/net), 7],
                      [$(stat -Lc %i /proc/self/ns/net), 9]] | sort)"
    watch_begin -P 8177 --json -N "$inner"
    clients 'visit(8177, 7)' nsenter -n -t "$inner"
    clients 'visit(8177, 9)'
    watch_end
    counted 8177 7
}

# bats test_tags=slow
@test "a resolver's questions, a port for each: a sum, and its server a port; with -P they are rows" {
    serve '__import__("subprocess").check_call(["ip", "link", "set", "lo", "up"])
s = udp(8100)' unshare -n
    inner=$server
    for ports in "" 8200-8239; do
        watch_begin -N "$inner" ${ports:+-P $ports} --json
        nsenter -n -t "$inner" /usr/bin/python3 -c '
import socket
for port in range(8200, 8240):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", port))
    for i in range(2):
        s.sendto(b"a", s.getsockname())
        s.recv(10)
    s.sendto(b"q", ("127.0.0.1", 8100))
    s.close()'
        watch_end
        if [ -z "$ports" ]; then
            jq -e '.passing == {ports: 40, ports_at_least: false, sockets: 40, delivered: 80, received: 80} and
                   ([.endpoints[] | .port, .sockets[0].delivered] == [8100, 40]) and .lost.total == 0' "$out"
        else
            jq -e '.passing.ports == 0 and ([.endpoints[].sockets[].delivered] == [range(40) | 2])' "$out"
        fi || { cat "$out"; return 1; }
    done
}

# bats test_tags=slow
@test "more wait on a socket than can be listed: no verdict on who got its connections" {
    serve 'resource = __import__("resource")
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
s = tcp(8100)
def watches(s):
    keep.extend(epoll_of(s) for i in range(3500))
    os.write(w, b"x")
    idle()
r, w = os.pipe()
for i in range(5): process(watches, s)
for i in range(5): os.read(r, 1)
s.setblocking(True)
thread(accepts, s)'
    watch_begin -P 8100 --json
    clients 'visit(8100, 20)'
    watch_end
    counted 8100 20 '.endpoints[0] | .sockets[0].waiting_cut and (.fairness.workers | .verdict == "withheld" and .reason == "waiters-cut")'
}

# 12,000 UDP sockets of others; $busy sends each of them a datagram. Their pid is in $others.
serve_others() {
    serve 'resource = __import__("resource")
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
keep.extend(udp(8100, "127.1.%d.%d" % (i // 250, i % 250)) for i in range(12000))'
    others=$server
}
busy='c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(12000): c.sendto(b"x", ("127.1.%d.%d" % (i // 250, i % 250), 8100))
'

only_wanted() { # COUNT LOST-REASONS
    jq -e --argjson n "$1" --argjson reasons "$2" '.window.final and ([.endpoints[] | select(.protocol == "tcp")] |
        length == 1 and (.[0].sockets | map(.arrived) == [$n]) and (.[0].workers | map(.accepted) | add == $n)) and
        ([.endpoints[] | select(.protocol == "udp")] == []) and ((.lost.by_reason | keys) - $reasons == [])' <(tail -1 "$out") ||
        { tail -1 "$out" | cut -c 1-3000; return 1; }
}

# bats test_tags=slow
@test "-p: 12,000 busy sockets of others take no room from those that are asked for" {
    serve_others
    serve 'named("wanted"); thread(accepts, tcp(8100))'
    watch_begin --json -p "$server" -P 8100
    clients "$busy"'visit(8100, 200)'
    watch_end
    only_wanted 200 '[]'
}

# bats test_tags=slow
@test "--comm: sockets that are made during the window, 12,000 busy ones of others first" {
    watch_begin --json --comm wanted -P 8100
    serve_others
    clients "$busy"
    serve 'named("wanted"); thread(accepts, tcp(8100))'
    clients "$busy"'visit(8100, 200)'
    watch_end
    only_wanted 200 '["holder_unknown"]'
}

# A listener in a network namespace of its own, 3 connections, and then it is in no process, but on its way from one to another.
listener_under_way() {
    serve 'subprocess = __import__("subprocess")
subprocess.check_call(["ip", "link", "set", "lo", "up"])
s = tcp(8100)
a, b = socket.socketpair()
def away(*_):
    socket.send_fds(a, [b"x"], [s.fileno()])
    s.close()
    print("away", flush=True)
signal.signal(signal.SIGUSR1, away)
def three(s):
    for i in range(3): accepts_once(s)
thread(three, s)' unshare -n
    watch_begin -P 8100 --json -N "$(stat -Lc %i "/proc/$server/ns/net")"
    clients 'visit(8100, 3)' nsenter -n -t "$server"
    kill -USR1 "$server"
    eventually grep -q ^away "$BATS_TEST_TMPDIR"/says.*
}

# Its last look finds the listener in no process, and can't ask the namespace for it: it is not known whether it is gone.
still_there() {
    watch_end
    counted 8100 3 '.endpoints | length == 1 and (.[0].sockets | length == 1 and (.[0].ended | not))'
}

# bats test_tags=slow
@test "no descriptor is left to look into a network namespace: its sockets have not ended for it" {
    for left in 1 2 3; do
        listener_under_way
        prlimit --pid "$watch" --nofile="$(comm -23 <(seq 0 200 | sort) <(ls "/proc/$watch/fd" | sort) | sort -n | sed -n $((left + 1))p)"
        still_there
        end "$server"
    done
}

# bats test_tags=slow
@test "no right to look into a network namespace: its sockets have not ended for it" {
    sockfair_all=$sockfair
    sockfair="$BATS_TEST_TMPDIR/sockfair"
    printf '#!/bin/sh\nexec setpriv --bounding-set -sys_ptrace %q "$@"\n' "$sockfair_all" >"$sockfair"
    chmod +x "$sockfair"
    listener_under_way
    still_there
}

# bats test_tags=slow
@test "-4, -6, -t, -u, addresses: only those are counted" {
    serve 'thread(accepts, tcp(8100))
thread(accepts, tcp(8100, "::1"))
thread(receives, udp(8100))'
    traffic='visit(8100, 3); visit(8100, 5, "::1"); send(8100, 11)'
    for case in "-4 -t:3" "-6:5" "-u:11" "-t:8" ":19"; do
        watch_begin -P 8100 --json ${case%:*}
        clients "$traffic"
        watch_end
        counted 8100 "${case##*:}"
    done
}

# bats test_tags=slow
@test "a dual-stack listener takes both" {
    serve 'thread(accepts, tcp(8100, "::", v6only=False))'
    watch_begin -P 8100 --json
    clients 'visit(8100, 4); visit(8100, 6, "::1")'
    watch_end
    counted 8100 10 '.endpoints | length == 1 and .[0].address == "::"'
    watch_begin -P 8100 -i 100
    clients 'visit(8100, 1)'
    watch_end
    grep -q '^tcp \*:8100' "$out"
}

two_wait() { "$sockfair" list -P 8100 --json | jq -e '.endpoints[0].sockets[0].waiting == 2'; }

@test "--fail-on uneven: 3 when it is" {
    # Of two that wait one never takes.
    serve 's = tcp(8100)
thread(polls_for, s, select.POLLIN)
thread(polls_for, s, select.POLLPRI)'
    eventually two_wait
    watch_begin -P 8100 --json --fail-on uneven
    clients 'visit(8100, 1000)'
    watch_end 3
    counted 8100 1000 '.endpoints[0].fairness.workers.verdict == "uneven"'
}

@test "SIGTERM: the result so far, status 0" {
    serve_mode shared-accept --port 8100 -w 2
    watch_begin -P 8100 --json -d 1000
    clients 'visit(8100, 3)'
    watch_end 0 TERM
    counted 8100 3
}

@test "kill -9 leaves nothing attached" {
    watch_begin --json
    kill -9 "$watch"
    wait "$watch" || true
    watch=
    assert_clean
}

# bats test_tags=slow
@test "a full disk, a file that can't be written, stdout closed: one line, status 1" {
    run bash -c "'$sockfair' watch -P 8100 -d 0.1 --json -o /dev/full 2>'$out'; echo \$?"
    [ "$output" = 1 ]
    [ "$(grep -vc '^watching\|nobody has' "$out")" = 1 ]
    grep -q '^sockfair: cannot write /dev/full: No space left on device' "$out"
    refused 1 "cannot write /nonexistent/x" watch -P 8100 -d 0.1 -o /nonexistent/x
    run bash -c "'$sockfair' watch -P 8100 0.05 >/dev/full 2>'$out'; echo \$?"
    [ "$output" = 1 ]
    [ "$(grep -vc '^watching\|nobody has' "$out")" = 1 ]
    grep -qx 'sockfair: cannot write the output: No space left on device' "$out"
    run bash -c "'$sockfair' watch -P 8100 0.05 2>'$out' | head -1; exit \${PIPESTATUS[0]}"
    [ "$status" = 1 ]
    grep -qx 'sockfair: cannot write the output: Broken pipe' "$out"
    run bash -c "'$sockfair' watch -P 8100 -d 0.1 >&- 2>'$out'; echo \$?"
    [ "$output" = 1 ]
    grep -q '^sockfair: cannot write the output: ' "$out"
}

@test "without rights: one line that names the capabilities" {
    run setpriv --reuid 65534 --regid 65534 --clear-groups "$sockfair" watch -d 0.1
    [ "$status" = 1 ]
    assert_one_line "CAP_BPF and CAP_PERFMON missing"
}

@test "wrong calls: status 2, one line" {
    refused 2 "from 0.05 to 1000000000, not '0'" watch 0
    refused 2 "not 'x'" watch -i x
    refused 2 "not '-1'" watch -d -1
    refused 2 "not 'nan'" watch -d nan
    refused 2 "from 1 to 1000000000, not '0'" watch 1 0
    refused 2 "but got '3' as well" watch 1 2 3
    refused 2 "process, thread or socket, not 'x'" watch --by x
    refused 2 "takes 'uneven'" watch --fail-on even
    refused 2 "no backend 'x'" watch --backend x
    refused 2 "exclude each other" watch -46
}

# bats test_tags=slow
@test "each mode of run: 2,000 connections, exact" {
    for mode in single-listener shared-accept shared-epoll shared-epoll-exclusive shared-epoll-fd reuseport reuseport-epoll reuseport-cpu io-uring; do
        serve_mode $mode --port 8100 -w 4
        watch_begin -P 8100 --json
        clients 'ts = [threading.Thread(target=visit, args=(8100, 500)) for i in range(4)]
for t in ts: t.start()
for t in ts: t.join()'
        watch_end
        counted 8100 2000
        end "$server" INT
    done
}

# bats test_tags=slow
@test "10,000 sockets end at once, each had a connection: the sum is exact" {
    serve 'def takes(n):
    p = select.epoll()
    by = {l.fileno(): l for l in (tcp(8100, "127.1.%d.%d" % (n, i)) for i in range(250))}
    for fd in by: p.register(fd, select.EPOLLIN)
    os.write(w, b"x")
    while True:
        for fd, _ in p.poll():
            answer(by[fd].accept()[0])
r, w = os.pipe()
for n in range(40):
    process(takes, n)
for n in range(40):
    os.read(r, 1)'
    watch_begin -P 8100 --json -i 1 --rows 40000
    clients 'for i in range(10000): visit(8100, 1, "127.1.%d.%d" % (i // 250, i % 250))'
    eventually more_lines "$(wc -l <"$out")" # all were listed
    end "$server"
    lines=$(wc -l <"$out")
    eventually more_lines $((lines + 2))
    watch_end
    tail -1 "$out" | jq -c '[.endpoints[] | [([.sockets[].accepted] | add), .omitted.accepted, ([.sockets[].arrived] | add), .omitted.arrived]] |
                            [(map(.[0] + .[1]) | add), (map(.[2] + .[3]) | add)]' >"$out.sums"
    [ "$(cat "$out.sums")" = '[10000,10000]' ] || { cat "$out.sums"; return 1; }
}

# Connections that the server's side has open, as ss counts them.
open_is() { # PORT COUNT
    [ "$(ss -Htn state established src "127.0.0.1:$1" | wc -l)" = "$2" ]
}

# bats test_tags=slow
@test "12,000 open connections: as many as ss shows, and none lost" {
    serve 'l = tcp(0, backlog=4096)
print("said", l.getsockname()[1])
thread(holds, l)'
    port=$said
    watch_begin -P "$port" --json
    serve "open_many($port, 12000)"
    open_is "$port" 12000
    watch_end
    counted "$port" 12000 '.lost.total == 0 and (.endpoints[0].workers | map(.open) == [12000] and all(.open_at_least | not))'
}

# bats test_tags=slow
@test "more open connections than are followed: open is a bound in every interval from then on, and marked" {
    serve 'l = tcp(0, backlog=400)
print("said", l.getsockname()[1])
thread(holds, l)
thread(holds, l)'
    port=$said
    SOCKFAIR_CONNECTIONS=40 watch_begin -P "$port" -i 0.2 --json
    serve "open_many($port, 100)"
    open_is "$port" 100
    lines=$(wc -l <"$out")
    eventually more_lines $((lines + 3)) # two intervals in which nothing came
    watch_end
    tail -n 3 "$out" | jq -s -e 'map(.endpoints[0] | (.workers | any(.open_at_least)) and .fairness.open.verdict == "withheld") | all' || { tail -n 3 "$out"; return 1; }
    tail -n 1 "$out" | jq -e '.lost.by_reason.connections_full == 60 and (.endpoints[0].workers | map(.open) | add) == 40'
    SOCKFAIR_CONNECTIONS=40 watch_begin -P "$port"
    serve "open_many($port, 60)"
    open_is "$port" 160
    watch_end
    grep -qE '(≥|>=)[1-4]' "$out" || { cat "$out"; return 1; }
}

# bats test_tags=slow
@test "10,000 short threads, a connection each: none is lost while few live at once" {
    serve 'l = tcp(0, backlog=4096)
print("said", l.getsockname()[1])
thread(accepts_by_short_threads, l)'
    SOCKFAIR_ROWS=2000 watch_begin -P "$said" --json
    clients "visit_briefly($said, 5000)" &
    other=$!
    clients "visit_briefly($said, 5000)"
    wait $other
    watch_end
    tail -n 1 "$out" | jq -e '.lost.counts == 0 and (.endpoints[0] | ([.workers[].accepted] | add) + .omitted.accepted == 10000 and
                              .sockets[0].arrived == 10000)' || { tail -n 1 "$out" | jq -c '.lost, .endpoints[0].omitted'; return 1; }
}
