#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# How the work of a port is taken, as `watch` recognises it beside servers that run, and what is said and not said of it. Of each design the
# signs are made by a server that has it.
load common
sockfair=$here

setup() { watch_setup; }

teardown() { watch_teardown; }

# Watches port 8100 while COUNT clients come: that design, those bins, and the status of --fail-on uneven; FILTER holds for the endpoint. STATUS any: how
# even these workers are is the machine's doing.
recognised() { # COUNT STATUS CODE BINS WORDS [FILTER]
    local fail_on=(--fail-on uneven)
    [ "$2" != any ] || fail_on=()
    watch_begin -P 8100 --json "${fail_on[@]}"
    clients "visit(8100, $1)"
    watch_end "${2/any/0}"
    counted 8100 "$1" ".endpoints[0] | ([.design.code, .design.bins, .design.words] == [\"$3\", \"$4\", \"$5\"]) and (${6:-true})"
}

no_problem='(.findings | all(.level != "problem"))'

@test "children that register the listener in an epoll of their own, then block in accept(): no herd" {
    serve 's = tcp(8100)
def child(s):
    e = select.epoll()
    e.register(s, select.EPOLLIN)
    accepts(s)
for i in range(4): process(child, s)'
    recognised 700 any shared-accept workers "4 processes block in accept() on one socket" "$no_problem"
}

@test "a process of the same name that only holds the listener, and polls something else, is no worker; one that is stuck is" {
    serve 's = tcp(8100)
s.setblocking(False)
def coordinator(s):
    pair = socket.socketpair()
    epoll_of(pair[0]).poll()
for i in range(2): process(lambda s: accepts_by(epoll_of(s), s), s)
process(coordinator, s)'
    recognised 1500 any shared-epoll workers "2 processes on one socket, an epoll each" \
        "$no_problem and (.workers | length == 2) and (.fairness.workers | .bins == 2 and .idle == 0)"
    end_started
    serve 's = tcp(8100)
s.setblocking(False)
def stuck(s):
    e = epoll_of(s)
    time.sleep(1000)
for i in range(2): process(lambda s: accepts_by(epoll_of(s), s), s)
process(stuck, s)'
    recognised 1500 3 shared-epoll workers "3 processes on one socket, an epoll each" \
        '(.workers | map(.accepted) | length == 3 and min == 0) and .fairness.workers.idle == 1'
}

@test "a process or a thread for each connection: no verdict, and one line for all of them" {
    serve 's = tcp(8100)
def each():
    while True:
        c = s.accept()[0]
        if not os.fork():
            answer(c)
            os._exit(0)
        c.close()
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
thread(each)'
    recognised 40 0 per-connection none "a process for each connection" "$no_problem and (.fairness | [.workers, .served] | all(.verdict == \"not-applicable\"))"
    grep -q "a process for each connection, so nothing there can be uneven" "$out.says"
    end_started
    serve 's = tcp(8100)
def each():
    while True: thread(answer, s.accept()[0])
thread(each)'
    watch_begin -P 8100
    clients 'visit(8100, 40)'
    watch_end
    grep -qx '  a thread for each connection' "$out"
    grep -Eqx '  (40|39) ended: (40|39) served' "$out"
    ! grep -q 'too few' "$out" || return 1
}

@test "threads that take turns are one worker; threads that sleep in one epoll together are several" {
    serve 's = tcp(8100)
s.setblocking(False)
e = epoll_of(s)
turn = threading.Lock()
def takes_turns():
    while True:
        with turn:
            e.poll()
            c = s.accept()[0]
        answer(c)
for i in range(6): thread(takes_turns)'
    recognised 700 0 turns none "1 process whose threads take turns" "$no_problem and .fairness.workers.verdict == \"not-applicable\""
    end_started
    serve 's = tcp(8100)
s.setblocking(False)
e = epoll_of(s)
for i in range(6): thread(accepts_by, e, s)'
    watch_begin -P 8100 --json
    clients 'visit(8100, 700)'
    watch_end
    counted 8100 700 '.endpoints[0].design | .code == "shared-epoll-fd" and .bins == "workers" and .evidence.waited_at_once == 6'
}

@test "each mode of run is recognised as what it is" {
    "$sockfair" run all -w 4 -n 2000 --json >"$out" 2>/dev/null
    while read -r mode code bins; do
        jq -c "select(.workload.mode == \"$mode\") | .endpoints[0].design" "$out" >"$out.design"
        jq -e ".code == \"$code\" and .bins == \"$bins\"" "$out.design" || { echo "$mode"; cat "$out.design"; return 1; }
    done <<'END'
single-listener hand-over serving
shared-accept shared-accept workers
shared-epoll shared-epoll workers
shared-epoll-exclusive shared-epoll-exclusive workers
shared-epoll-fd shared-epoll-fd workers
reuseport socket-each workers
reuseport-epoll socket-each workers
udp-reuseaddr last-binder sockets
udp-reuseport socket-each workers
END
}

@test "after a reload the workers that are there now are judged; the old ones that hold the socket, but wait on it no more, are shown as such" {
    serve 's = tcp(8100)
s.setblocking(False)
def worker():
    e = epoll_of(s)
    def last(*_):
        e.unregister(s)
        idle()
    signal.signal(signal.SIGUSR1, last)
    accepts_by(e, s)
old = [process(worker) for i in range(3)]
def reload(*_):
    for pid in old: os.kill(pid, signal.SIGUSR1)
    for i in range(3): process(worker)
    ready("anew")
signal.signal(signal.SIGUSR1, reload)'
    watch_begin -P 8100 --json -i 0.3
    clients 'visit(8100, 300)'
    kill -USR1 "$server"
    eventually grep -q '^ready anew' "$BATS_TEST_TMPDIR/says.0"
    clients 'visit(8100, 600)'
    lines=$(wc -l <"$out")
    eventually more_lines $((lines + 5)) # it is seen that the old ones take nothing
    clients 'visit(8100, 90)'
    lines=$(wc -l <"$out")
    eventually more_lines $((lines + 2))
    watch_end
    jq -s -e 'map(select(.window.final | not) | .endpoints[0] | select(.fairness.workers.events > 0)) | last |
        .fairness.workers.bins == 3 and .generations.earlier.processes == 3' "$out" # an interval says what the window says
    counted 8100 990 '.endpoints[0] | .design.words == "3 processes on one socket, an epoll each" and .fairness.workers.bins == 3 and
        .fairness.workers.events == 690 and (.generations | .judged == 2 and .earlier.accepted == 300 and .later.processes == 3) and
        (.workers | map(select(.generation == 1)) | length == 3 and all(.ended == false) and (map(.accepted) | add) == 300) and
        (.workers | map(select(.generation == 2) | .accepted) | add) == 690'
}
