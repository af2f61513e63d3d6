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
    # In a namespace that plays the host: its limit for ports is changed, the machine's own is not.
    # shellcheck disable=SC2016
    run unshare -n bash -c 'set -e
        ip link set lo up
        echo 79 >/proc/sys/net/ipv4/ip_unprivileged_port_start
        PYTHONPATH=$0 PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 -c "
import subprocess, sys
from sockets import *
kinds = socket.SOCK_STREAM, socket.SOCK_DGRAM
held = [bound(kind, port) for kind in kinds for port in (81, 20736, 7000, 7100, 7200)]
subprocess.run(sys.argv[1:], check=True)
print(open(\"/proc/sys/net/ipv4/ip_unprivileged_port_start\").read(), end=\"\")" "$@"' \
        "$BATS_TEST_DIRNAME" "$sockfair" claims "${plain[@]}" --json -o "$one"
    [ "$status" = 0 ]
    [ "$output" = 79 ]
    "$check_claims" --names "$(named "${plain[@]}")" "$one"
    jq -e '.claims[] | select(.name == "privileged-port") | .verdict == "partly" and .figures.unprivileged_port_start_of_machine == 79' "$one"
}

@test "descriptors that run out: no verdict, the reason, and no waiting" {
    local descriptors verdicts=
    for descriptors in 5 6 7 8 9 10 11 12; do
        (ulimit -n $descriptors
         exec timeout 5 "$sockfair" claims tcp-reuseport-binds udp-reuseport-binds udp-reuseaddr-one-gets-all reuseaddr-hijack --json) \
            >"$one" 3>&- 4>&-
        jq -e '[.claims[] | .verdict != "fails" and (.verdict != "skipped" or (.why | test("Too many open files")))] | all' "$one" ||
            { jq . "$one"; return 1; }
        verdicts+=" $(jq -r '.claims[].verdict' "$one" | xargs)"
    done
    # With five nothing is possible, with twelve all is; between the two it is now the clients' sockets that fail, now the accepted ones.
    [[ $verdicts == " skipped skipped skipped skipped"*" holds holds holds partly" ]]
}

@test "wrong calls: one line" {
    refused 2 "no claim 'nosuch'; name none for all, or some of those that --help lists" claims nosuch
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
    jq -e '[.claims[] | .verdict] == ["holds", "skipped", "holds"] and (.claims[1].why | test("cannot run a process as user 65534"))' "$one"
    jq -e '.claims[2] | .figures.other_port_without_capability == null and (.why | test("could not be tried: cannot run a process"))' "$one"
}

@test "a load that can't be made is the reason of its own claim, not of all that follow" {
    (ulimit -n 20; "$sockfair" claims shared-accept-unfair reuseport-even-threads --json -o "$one")
    jq -e '[.claims[] | .verdict + ": " + (.why | split(" ")[0])] == ["skipped: shared-accept", "skipped: reuseport"]' "$one"
}

@test "counts that are not whole give no verdict" {
    SOCKFAIR_ROWS=3 "$sockfair" claims reuseport-even-threads -n 1000 --json -o "$one"
    "$check_claims" --names reuseport-even-threads --skipped reuseport-even-threads "$one"
    jq -e '.claims[0].why | test("could not be counted: no verdict")' "$one"
}

@test "each client port sends as many datagrams: chance is computed for such" {
    # 4,097 are one more than there are client ports: 2,049 ports of two.
    "$sockfair" claims reuseport-even-threads -n 4097 --json -o "$one"
    "$check_claims" --names reuseport-even-threads "$one"
    jq -e '.claims[0].figures.cv_fair_hash_udp as $c | $c * $c * 2049 / 7 | . > 0.999 and . < 1.001' "$one"
}

@test "Ctrl-C while ports are waited for: what there is, the rest is interrupted, status 0" {
    "$sockfair" claims htons port-free-after-two-minutes >"$one" 3>&- &
    pid=$!
    started+=($pid)
    eventually grep -q '^holds    htons' "$one" # since then it does nothing but wait; its one child is the process that waits for the ports
    waiter=$(pgrep -P $pid)
    [ "$(wc -w <<<"$waiter")" = 1 ]
    kill -INT $pid
    eventually sh -c "! kill -0 $pid" # long before the ports are free
    wait $pid
    grep -qx 'skipped  port-free-after-two-minutes: .*' "$one"
    grep -qx ' *interrupted' "$one"
    grep -qx '2 claims: 1 holds, 1 skipped' "$one"
    [ ! -e /proc/$waiter ]
}

# The command has a process that binds for it, or clients at work.
helped() { # PID
    local each
    for each in $(pgrep -P "$1"); do
        [[ $(cat /proc/$each/comm 2>/dev/null) != sockfair-client* ]] || return 0
        [ -z "$(pgrep -P "$each")" ] || return 0
    done
    return 1
}

@test "a helper that hangs: its claim is skipped with the reason, the rest goes on" {
    /usr/bin/python3 "$BATS_TEST_DIRNAME/hanging_setgroups.py" "$sockfair" claims tcp-reuseport-binds reuseaddr-hijack --json -o "$one"
    jq -e '.claims | map(.verdict) == ["holds", "skipped"] and .[1].why == "a process of user 65534 did not answer within 5 s"' "$one" || { cat "$one"; return 1; }
}

@test "Ctrl-C beside a helper that hangs, and in the middle of a load: interrupted, status 0, nothing is left" {
    local command
    for command in "/usr/bin/python3 $BATS_TEST_DIRNAME/hanging_setgroups.py $sockfair claims reuseaddr-hijack" "$sockfair claims shared-accept-unfair -n 10000000"; do
        # shellcheck disable=SC2086
        $command --json -o "$one" 3>&- &
        pid=$!
        started+=($pid)
        eventually helped $pid
        kill -INT $pid
        eventually sh -c "! kill -0 $pid"
        wait $pid
        jq -e '.claims | map([.verdict, .why]) == [["skipped", "interrupted"]]' "$one" || { cat "$one"; return 1; }
    done
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
