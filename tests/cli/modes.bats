#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Every mode on the backend that this kernel gives: what clients, kernel and server counted is the same, to the last one.
load common

teardown() { assert_clean; }

# The findings of these modes, as a regular expression.
# How even CPU time is, is the machine's doing.
finds() { # CODES MODE...
    local mode codes want=$1
    shift
    for mode; do
        codes=$(jq -r --arg mode "$mode" 'select(.workload.mode == $mode) | [.endpoints[0].findings[].code] - ["cpu-uneven", "load-even"] | join(" ")' "$BATS_TEST_TMPDIR/all")
        [[ $codes =~ ^($want)$ ]] || { echo "$mode: $codes, not $want"; return 1; }
    done
}

# The status of --fail-on uneven for each of these modes.
judged() { # STATUS MODE...
    local mode want=$1
    shift
    for mode; do
        jq -c --arg mode "$mode" 'select(.workload.mode == $mode)' "$BATS_TEST_TMPDIR/all" >"$BATS_TEST_TMPDIR/one"
        run "$sockfair" compare "$BATS_TEST_TMPDIR/one" --fail-on uneven -o /dev/null
        [ "$status" = "$want" ] || { echo "$mode: status $status, not $want: $output"; return 1; }
    done
}

# bats test_tags=alone
@test "all modes: exact, as JSON in the schema; nothing looks wrong but what is wrong with the design" {
    "$sockfair" run all --json -n "$n" -o "$BATS_TEST_TMPDIR/all"
    "$check" --sent "$n" "$BATS_TEST_TMPDIR/all"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/all")" = 12 ]
    finds even single-listener shared-accept reuseport reuseport-epoll udp-shared udp-reuseport
    finds 'wake-order|even' shared-epoll-fd # busy threads leave more to the others
    finds wake-order shared-epoll-exclusive
    finds thundering-herd shared-epoll
    finds steered reuseport-cpu
    finds udp-last-binder udp-reuseaddr
    skipped=$(jq 'select(.workload.mode == "io-uring") | .workload.skipped != null' "$BATS_TEST_TMPDIR/all")
    [ "$skipped" = true ] || finds wake-order io-uring
    judged 0 single-listener shared-accept reuseport reuseport-epoll udp-reuseport
    judged 3 shared-epoll-exclusive reuseport-cpu udp-reuseaddr
}

# bats test_tags=slow
@test "all modes with processes instead of threads" {
    "$sockfair" run all --processes --json -n 2000 -o "$BATS_TEST_TMPDIR/all"
    "$check" --sent 2000 "$BATS_TEST_TMPDIR/all"
    # Workers are processes: as many pids as workers.
    [ "$(jq -s '.[1].endpoints[0].workers | map(.pid) | unique | length' "$BATS_TEST_TMPDIR/all")" = 8 ]
}

# bats test_tags=slow
@test "all modes over IPv6" {
    "$sockfair" run all --bind ::1 --json -n 2000 -o "$BATS_TEST_TMPDIR/all"
    "$check" --sent 2000 "$BATS_TEST_TMPDIR/all"
    [ "$(jq -r '.endpoints[0].address' "$BATS_TEST_TMPDIR/all" | sort -u)" = ::1 ]
}

# bats test_tags=slow
@test "64 outstanding, 3 workers" {
    "$sockfair" run all -C 64 -w 3 --json -n 2000 -o "$BATS_TEST_TMPDIR/all"
    "$check" --sent 2000 "$BATS_TEST_TMPDIR/all"
}

# bats test_tags=slow
@test "workers blocked in accept before we attach lose nothing, in each mode on its own" {
    for mode in single-listener shared-accept reuseport io-uring udp-shared; do
        "$sockfair" run $mode --json -n 500 >>"$BATS_TEST_TMPDIR/all"
    done
    "$check" --sent 500 "$BATS_TEST_TMPDIR/all"
}

# bats test_tags=slow
@test "a full receive buffer: sent = delivered + dropped, as the socket's own drop counter says" {
    for address in 127.0.0.1 ::1; do
        "$sockfair" run udp-shared -w 2 -C 1024 --work 300 -n 8000 --bind $address --json -o "$BATS_TEST_TMPDIR/one"
        "$check" --sent 8000 "$BATS_TEST_TMPDIR/one"
        jq -e '.endpoints[0].sockets[0] | .dropped > 0 and .dropped == .drops' "$BATS_TEST_TMPDIR/one"
    done
}

# The setting is the machine's, and no other network namespace has the file.
udp_mem() { nsenter --net="${SOCKFAIR_TEST_MACHINE:-/proc/self/ns/net}" sysctl -q "$@"; }

# Runs udp-shared with more datagrams under way than UDP may have memory for.
# bats test_tags=slow,alone
@test "memory for UDP spent: drops after delivery was staged are seen too" {
    before=$(udp_mem -n net.ipv4.udp_mem)
    used=$(awk '/^UDP:/ { print $5 }' /proc/net/sockstat)
    udp_mem -w "net.ipv4.udp_mem=$used $((used + 20)) $((used + 40))"
    "$sockfair" run udp-shared -w 2 -C 1024 --work 100 -n 8000 --json -o "$BATS_TEST_TMPDIR/one" || true
    udp_mem -w "net.ipv4.udp_mem=$before"
    "$check" "$BATS_TEST_TMPDIR/one"
    jq -e '.endpoints[0].sockets[0] | .dropped > 0 and .dropped == .drops' "$BATS_TEST_TMPDIR/one"
}

# bats test_tags=slow,alone
@test "who gets the work is what kernels do" {
    "$sockfair" run shared-accept shared-epoll-exclusive reuseport udp-reuseaddr --json -n 4000 -o "$BATS_TEST_TMPDIR/all"
    jq -s -e '
        (.[0].endpoints[0].fairness.workers.cv < .[1].endpoints[0].fairness.workers.cv / 2) and
        (.[1].endpoints[0].fairness.workers | .verdict == "uneven" and .cv > 0.8) and
        (.[2].endpoints[0].fairness.sockets | .verdict == "even" and .p_value > 0.00001) and
        (.[3].endpoints[0].sockets | map(.delivered) == [0, 0, 0, 0, 0, 0, 0, 4000])' "$BATS_TEST_TMPDIR/all"
}

@test "sockets and workers that got nothing are rows" {
    "$sockfair" run reuseport -n 1 -w 5 --json -o "$BATS_TEST_TMPDIR/one"
    "$check" --sent 1 "$BATS_TEST_TMPDIR/one"
    jq -e '.endpoints[0] | (.sockets | length == 5) and (.workers | length == 5) and .fairness.sockets.idle == 4 and
           .fairness.workers.verdict == "too-few"' "$BATS_TEST_TMPDIR/one"
}

@test "a client's socket that somebody else has for a moment longer takes nothing from the counts" {
    timeout 60 /usr/bin/python3 "$BATS_TEST_DIRNAME/holding_files.py" "$sockfair" run shared-accept -n 500 --json -o "$BATS_TEST_TMPDIR/one"
    "$check" --sent 500 "$BATS_TEST_TMPDIR/one"
}

@test "UDP: each flow carries as much as the next, whichever client thread is the quicker" {
    for sent in 1000 999; do
        "$sockfair" run udp-reuseport -n $sent --flows 1000 -C 64 --json -o "$BATS_TEST_TMPDIR/one"
        jq -e --argjson sent $sent '.endpoints[0].flows == $sent' "$BATS_TEST_TMPDIR/one"
    done
}

# bats test_tags=slow,alone
@test "the slow worker of a reuseport group still gets its share" {
    "$sockfair" run reuseport --work 20 --slow-worker 1 -n 4000 --json -o "$BATS_TEST_TMPDIR/one"
    "$check" --sent 4000 "$BATS_TEST_TMPDIR/one"
    jq -e '.endpoints[0].workers[1].accepted > 350' "$BATS_TEST_TMPDIR/one"
}

# bats test_tags=slow
@test "open loop, repeats, one worker, 256 workers" {
    "$sockfair" run shared-accept --rate 2000 -n 400 --repeat 2 --json >"$BATS_TEST_TMPDIR/all"
    "$sockfair" run reuseport -w 1 -n 400 --json >>"$BATS_TEST_TMPDIR/all"
    "$sockfair" run shared-accept -w 256 -n 400 --json >>"$BATS_TEST_TMPDIR/all"
    "$check" --sent 400 "$BATS_TEST_TMPDIR/all"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/all")" = 4 ]
}

@test "serve-only counts clients from outside" {
    "$sockfair" run shared-accept --serve-only --port 18080 --json -o "$BATS_TEST_TMPDIR/one" 2>"$BATS_TEST_TMPDIR/says" &
    pid=$!
    until grep -q 'serving on' "$BATS_TEST_TMPDIR/says"; do sleep 0.05; kill -0 $pid; done
    for i in {1..20}; do [ "$(curl -s http://127.0.0.1:18080/)" = ok ]; done
    kill -INT $pid
    wait $pid
    jq -e '.workload | .accepted == 20 and .served == 20 and .agrees and .sent == null' "$BATS_TEST_TMPDIR/one"
    jq -e '.endpoints[0].sockets[0] | .arrived == 20 and .accepted == 20' "$BATS_TEST_TMPDIR/one"
}

@test "text: rows, fairness line, table" {
    run --separate-stderr "$sockfair" run reuseport udp-reuseport -n 2000
    [ "$status" = 0 ]
    [ -z "$stderr" ]
    [ "$(grep -cE '^ +[0-7] +[0-9]+ +[0-9]+ +[0-9,]+( +[0-9.]+ [mu]?s)? +[0-9.]+%' <<<"$output")" = 16 ]
    grep -qE '^  sockets  (even|too few to tell): CV 0\.[0-9]+ \(fair hash 0\.[0-9]+\)' <<<"$output"
    grep -q 'kernel, server and clients agree on every worker' <<<"$output"
    [ "$(grep -cE '^(reuseport|udp-reuseport) .* agree$' <<<"$output")" = 2 ]
    [[ $output != *$'\033'* ]]
}

# bats test_tags=alone
@test "io_uring disabled: the mode says so, the rest goes on, status 0" {
    before=$(cat /proc/sys/kernel/io_uring_disabled)
    echo 2 >/proc/sys/kernel/io_uring_disabled
    run "$sockfair" run io-uring shared-accept -n 100 --json -o "$BATS_TEST_TMPDIR/two"
    echo "$before" >/proc/sys/kernel/io_uring_disabled
    [ "$status" = 0 ]
    "$check" --allow-skip "$BATS_TEST_TMPDIR/two"
    jq -s -e '(.[0].workload.skipped | test("io_uring")) and .[1].workload.served == 100' "$BATS_TEST_TMPDIR/two"
}
