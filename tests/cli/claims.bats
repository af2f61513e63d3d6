#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Textbook claims: the experiments say of this kernel what every kernel does, change nothing outside of their namespace, and end when asked to.
load common

check_claims=$BATS_TEST_DIRNAME/../check_claims.py
one=$BATS_TEST_TMPDIR/one
# Those that need no load.
plain=(tcp-reuseport-binds udp-reuseport-binds udp-reuseaddr-one-gets-all reuseaddr-hijack reuseport-prevents-hijack reuseaddr-immediate
       privileged-port htons)

setup() { settings_before=$(settings); }

teardown() {
    end_started
    [ "$(settings)" = "$settings_before" ] || { echo "the host's settings have changed"; return 1; }
    assert_clean
}

# What the experiments change in a namespace of their own.
settings() { cat /proc/sys/net/ipv4/ip_unprivileged_port_start; cat /sys/class/net/lo/flags; }

named() { tr ' ' , <<<"$*"; }

@test "binding, users, ports: as JSON in the schema, the facts of every kernel" {
    "$sockfair" claims "${plain[@]}" --json -o "$one"
    "$check_claims" --names "$(named "${plain[@]}")" "$one"
    jq -e '.kernel.backend == null' "$one" # nothing needed to be attached
}

@test "claims of any order and number run once each, in the order of the table" {
    "$sockfair" claims htons privileged-port htons --json -o "$one"
    [ "$(jq -c '[.claims[].name]' "$one")" = '["privileged-port","htons"]' ]
}

@test "text: a block per claim within 80 columns, and how many of each" {
    run --separate-stderr "$sockfair" claims htons reuseaddr-hijack
    [ "$status" = 0 ]
    [ -z "$stderr" ]
    [[ ${lines[0]} == 'partly   reuseaddr-hijack: '* ]]
    [[ $output == *$'\nholds    htons: '*'asked 81, listens on 20736'* ]]
    [[ $output == *$'\n2 claims: 1 holds, 1 in part\n'* ]]
    [ -z "$(grep -E '.{81}' <<<"$output")" ]
}

@test "the namespace is private: the host's port 81, its sysctl and its own sockets are in nobody's way" {
    serve 'kinds = socket.SOCK_STREAM, socket.SOCK_DGRAM
held = [bound(kind, port) for kind in kinds for port in (81, 20736, 7000, 7100, 7200)]'
    echo 79 >/proc/sys/net/ipv4/ip_unprivileged_port_start
    run "$sockfair" claims "${plain[@]}" --json -o "$one"
    changed=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)
    head -n 1 <<<"$settings_before" >/proc/sys/net/ipv4/ip_unprivileged_port_start
    [ "$status" = 0 ]
    [ "$changed" = 79 ]
    "$check_claims" --names "$(named "${plain[@]}")" "$one"
}

@test "wrong calls: one line" {
    refused 2 "no claim 'nosuch': none for all, or some of those that --help lists" claims nosuch
    refused 2 "from 1000 to" claims -n 999
    refused 2 "no backend 'magic'" claims --backend magic
    refused 1 "cannot write /nonexistent/x" claims htons -o /nonexistent/x
    refused 1 "No space left on device" claims htons -o /dev/full
    run "$sockfair" claims --help
    for name in "${plain[@]}"; do [[ $output == *"$name"* ]]; done
    "$sockfair" --schema claims | cmp - "$BATS_TEST_DIRNAME/../../user/render/sockfair-claims-1.schema.json"
}

@test "without rights: which are missing" {
    run setpriv --reuid 65534 --regid 65534 --clear-groups "$sockfair" claims htons
    [ "$status" = 1 ]
    assert_one_line "CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SETUID, CAP_SETGID, CAP_NET_BIND_SERVICE missing"
    run setpriv --bounding-set -setuid --inh-caps -setuid "$sockfair" claims htons
    [ "$status" = 1 ]
    assert_one_line ": CAP_SETUID missing"
}

@test "what can't be done here is skipped with its reason, the rest goes on" {
    # A pid namespace hides the ids that the kernel counts by.
    run unshare --pid --fork --mount-proc "$sockfair" claims htons reuseport-even-threads reuseport-even-processes --json -o "$one"
    [ "$status" = 0 ]
    "$check_claims" --names htons,reuseport-even-threads,reuseport-even-processes --skipped reuseport-even-threads,reuseport-even-processes "$one"
    jq -e '.kernel.backend == null and ([.claims[] | select(.verdict == "skipped") | .why | test("pid namespace")] | all)' "$one"
    # A user namespace with one user has no second one, and no third.
    run unshare -Ur "$sockfair" claims htons reuseaddr-hijack tcp-reuseport-binds --json -o "$one"
    [ "$status" = 0 ]
    jq -e '[.claims[] | .verdict] == ["holds", "skipped", "skipped"] and (.claims[1].why | test("cannot become user 65534"))' "$one"
}

@test "counts that are not whole give no verdict" {
    SOCKFAIR_ROWS=3 "$sockfair" claims reuseport-even-threads -n 1000 --json -o "$one"
    "$check_claims" --names reuseport-even-threads --skipped reuseport-even-threads "$one"
    jq -e '.claims[0].why | test("could not be counted: no verdict")' "$one"
}

@test "Ctrl-C while ports are waited for: what there is, the rest is interrupted, status 0" {
    "$sockfair" claims htons port-free-after-two-minutes --json -o "$one" 3>&- &
    pid=$!
    started+=($pid)
    eventually pgrep -P $pid # the process that waits for the ports
    waiter=$(pgrep -P $pid)
    sleep 0.5
    kill -INT $pid
    eventually sh -c "! kill -0 $pid" # long before the ports are free
    wait $pid
    "$check_claims" --names htons,port-free-after-two-minutes --skipped port-free-after-two-minutes "$one"
    jq -e '.claims[1].why == "interrupted"' "$one"
    [ ! -e /proc/$waiter ]
}

@test "kill -9 takes the process that waits along" {
    "$sockfair" claims port-free-after-two-minutes >/dev/null 3>&- &
    pid=$!
    started+=($pid)
    eventually pgrep -P $pid
    waiter=$(pgrep -P $pid)
    kill -KILL $pid
    wait $pid || true
    eventually test ! -e /proc/$waiter
}

# bats test_tags=slow
@test "--quick: all but one have a verdict, within the schema" {
    "$sockfair" claims --quick -n 1000 --json -o "$one"
    "$check_claims" --skipped port-free-after-two-minutes "$one"
    jq -e '.kernel.backend != null and .requests == 1000' "$one"
}

# bats test_tags=slow
@test "a port in TIME_WAIT: how long, whose option helps" {
    "$sockfair" claims port-free-after-two-minutes --json -o "$one"
    "$check_claims" --names port-free-after-two-minutes "$one"
}
