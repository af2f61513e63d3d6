#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Bad input gets one clear line and the right status; nothing is left behind, however a run ends.
load common

teardown() { assert_clean; }

@test "wrong calls: status 2, one line" {
    refused 2 "no mode 'nosuch'" run nosuch
    refused 2 "name a mode" run
    refused 2 "no command 'nosuch'" nosuch
    refused 2 "'abc'" run reuseport -n abc
    refused 2 "'-1'" run reuseport -n -1
    refused 2 "from 1 to 4096, not '0'" run reuseport -w 0
    refused 2 "from 1 to 4096, not '100000'" run reuseport -w 100000
    refused 2 "not '70000'" run reuseport --port 70000
    refused 2 "not 'localhost'" run reuseport --bind localhost
    refused 2 "no backend 'magic'" run reuseport --backend magic
    refused 2 "'--slow-worker" run reuseport --slow-worker 1 || refused 2 "--slow-worker needs --work" run reuseport --slow-worker 1
    refused 2 "numbered from 0 to 7" run reuseport --work 1 --slow-worker 8
    refused 2 "takes 'uneven'" run reuseport --fail-on even
    refused 2 "one mode" run all --serve-only
    refused 2 "write 8000-8010" watch -P 8010-8000
    refused 2 "that is 65 ports" list -P 80,8000-8064
    refused 2 "at most 64 values" list -P 80,8000-8063
    refused 2 "not 'x'" watch -P 8000-x
    refused 2 "not '-80'" watch -P -80
    # The first argument is vmstat's interval.
    refused 2 "'8080' would be an interval of that many seconds; for the port use -P 8080" watch 8080
}

@test "what is no network namespace is not taken for one" {
    refused 1 "/etc/passwd is no network namespace" list -N /etc/passwd
    refused 1 "/proc/self/ns/uts is no network namespace" bind-check 8099 -N /proc/self/ns/uts
    refused 1 "cannot find the network namespace nosuch (/run/netns/nosuch: No such file or directory)" watch -N nosuch
}

@test "arguments are shown without what a terminal obeys" {
    local call evil=$'a\e[31m\u202eb\nc'
    for call in "list -N %" "list -c %" "watch -P %" "run --bind %" "run -n %" "list --%" "list -o /nonexistent/%" "bind-check %" "run %" "compare %" "claims %" "list %" "--schema %" "%"; do
        local arguments=() word
        for word in $call; do arguments+=("${word//%/$evil}"); done
        run "$sockfair" "${arguments[@]}"
        [ "$status" -gt 0 ]
        [[ $output == *'a?[31m?b?c'* && $output != *$'\e'* && $output != *$'\u202e'* ]] || { echo "$call: $output" | cat -v; return 1; }
        [ "$(wc -l <<<"$output")" = 1 ]
    done
}

@test "an option that there is not, or without its argument: one line, status 2, for each command" {
    for command in $("$sockfair" --help | sed -nE 's/^  ([a-z-]+) +[a-z].*/\1/p'); do
        refused 2 "unrecognized option '--nosuch'" "$command" --nosuch
        refused 2 "'o'" "$command" -o
    done
}

@test "help, version and schema that can't be written: status 1, one line" {
    for asked in --help --version --schema 'run --help' 'bind-check --help'; do
        # shellcheck disable=SC2086
        run --separate-stderr sh -c "'$sockfair' $asked >/dev/full"
        [ "$status" = 1 ]
        output=$stderr assert_one_line "cannot write the output: No space left on device"
    done
    run sh -c "(ulimit -f 0 && exec '$sockfair' --schema) 2>&1 >'$BATS_TEST_TMPDIR/schema' | cat"
    assert_one_line "cannot write the output: File too large (ulimit -f)"
}

@test "--help of every command fits 80 columns, and its tables are indented" {
    for c in "" run watch list compare claims binds bind-check steer export doctor; do
        "$sockfair" ${c:+"$c"} --help >"$BATS_TEST_TMPDIR/help"
        run ! grep -nE '^.{81}|^ +$' "$BATS_TEST_TMPDIR/help"
        # below the heading of a table of ours nothing begins at the margin
        run sed -nE '/^(Modes|Claims)/,$ { /^(Modes|Claims|$)/d; /^[^ ]/p }' "$BATS_TEST_TMPDIR/help"
        [ -z "$output" ] || { echo "$c: $output"; return 1; }
    done
}

@test "--help and --version are no errors; --schema is the schema" {
    run --separate-stderr "$sockfair" --help
    [ "$status" = 0 ]
    [[ $output == *run* ]]
    [ -z "$stderr" ]
    run --separate-stderr "$sockfair" run --help
    [ "$status" = 0 ]
    [[ $output == *shared-epoll-exclusive* && $output == *--slow-worker* ]]
    run "$sockfair" --version
    [[ $output =~ ^sockfair\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
    "$sockfair" --schema | cmp - "$BATS_TEST_DIRNAME/../../user/render/sockfair-1.schema.json"
}

@test "port in use, address of nobody" {
    "$sockfair" run shared-accept --serve-only --port 18081 2>"$BATS_TEST_TMPDIR/says" >/dev/null &
    pid=$!
    until grep -q 'serving on' "$BATS_TEST_TMPDIR/says"; do sleep 0.05; kill -0 $pid; done
    refused 1 "in use" run shared-accept --port 18081
    kill -INT $pid
    wait $pid
    refused 1 "192.0.2.1" run shared-accept --bind 192.0.2.1
}

@test "without rights: the missing capabilities; a port below 1024 without the right" {
    run setpriv --reuid 65534 --regid 65534 --clear-groups "$sockfair" run shared-accept -n 10
    [ "$status" = 1 ]
    assert_one_line "CAP_BPF and CAP_PERFMON missing"
    run setpriv --reuid 65534 --regid 65534 --clear-groups "$sockfair" run shared-accept -n 10 --port 81
    [ "$status" = 1 ]
    assert_one_line "CAP_NET_BIND_SERVICE"
}

# As a user that is not root, with these capabilities.
with_rights() { # CAPABILITIES COMMAND...
    local rights=+${1//,/,+}
    shift
    setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps "-all,$rights" --ambient-caps "-all,$rights" "$@"
}

@test "another user than root: the README's capabilities suffice, and one that is missing is named" {
    with_rights sys_admin,dac_read_search "$sockfair" run reuseport -n 50 --backend tracepoint
    for command in run\ reuseport binds; do
        # shellcheck disable=SC2086
        run with_rights sys_admin "$sockfair" $command --backend tracepoint
        [ "$status" = 1 ]
        assert_one_line "tracefs is closed to users other than root, and CAP_DAC_READ_SEARCH is missing"
    done
    run with_rights sys_admin "$sockfair" doctor --hooks
    [[ $output == *"no tracepoints: tracefs is closed to users other than root, and CAP_DAC_READ_SEARCH is missing"* ]]
    [[ $output == *"CAP_SYS_PTRACE missing: "* && $output != *"rights         enough"$'\n'* ]]
}

# Each command says the one TEXT, and ends with 1. PREFIX runs it.
all_say() { # TEXT COMMANDS PREFIX...
    local text=$1 commands=$2 command
    shift 2
    while read -r command; do
        # shellcheck disable=SC2086
        run "$@" "$sockfair" $command
        [ "$status" = 1 ] || { echo "$command: status $status: $output"; return 1; }
        assert_one_line "$text"
    done <<<"${commands//, /$'\n'}"
    run --separate-stderr "$@" "$sockfair" doctor
    [ "$status" = 1 ]
    output=$stderr assert_one_line "$text"
}

@test "seccomp, a user namespace, no BTF, no sysfs, no procfs: the true reason" {
    all_say "a seccomp filter refuses bpf() (Operation not permitted)" "run reuseport -n 10" /usr/bin/python3 "$BATS_TEST_DIRNAME/without_bpf.py"
    all_say "in this user namespace" "watch -d 0.1" unshare --user --map-root-user
    all_say "this kernel has no BTF" "run reuseport -n 10, list, binds -d 0.1, bind-check 8099" unshare -m sh -c 'mount -t tmpfs none /sys/kernel/btf && exec "$0" "$@"'
    all_say "sysfs is not mounted; mount it on /sys" "list" unshare -m sh -c 'umount -l /sys && exec "$0" "$@"'
    all_say "procfs is not mounted; mount it on /proc" "run reuseport -n 10, list" unshare -m sh -c 'umount -l /proc && exec "$0" "$@"'
}

@test "limits of open files and memory: the soft one is raised, the hard one is told" {
    bash -c "ulimit -Sn 16 && '$sockfair' binds -d 0.1"
    run bash -c "ulimit -n 20 && '$sockfair' watch -d 0.1"
    [ "$status" = 1 ]
    assert_one_line "no more than 20 files may be open: raise the hard limit (ulimit -Hn)"
    run bash -c "ulimit -v 28672 && '$sockfair' list"
    [ "$status" = 1 ]
    assert_one_line "out of memory: this process may have 28 MiB (ulimit -v)"
}

@test "-o that can't be written, disk full, stdout closed early" {
    refused 1 "cannot write /nonexistent/x" run shared-accept -n 10 -o /nonexistent/x
    refused 1 "cannot write /dev/full: No space left on device" run shared-accept -n 10 -o /dev/full
    run bash -c "'$sockfair' run shared-accept reuseport -n 1000 | head -1; exit \${PIPESTATUS[0]}"
    [ "$status" = 1 ]
    [[ $output == *"sockfair: cannot write the output: Broken pipe" ]]
}

@test "a backend that this kernel refuses says why" {
    for backend in fentry kprobe; do
        "$sockfair" doctor --hooks | grep -q "backend $backend: usable" || refused 1 "backend $backend can't be used" run shared-accept -n 10 --backend $backend
    done
}

@test "tracefs that is not mounted is no obstacle and stays unmounted" {
    run unshare -m sh -c "umount -l /sys/kernel/tracing 2>/dev/null; umount -l /sys/kernel/debug 2>/dev/null; '$sockfair' run shared-accept -n 100 --backend tracepoint --json >'$BATS_TEST_TMPDIR/one' && ! grep -q ' /sys/kernel/tracing tracefs' /proc/self/mounts"
    [ "$status" = 0 ]
    "$check" --sent 100 "$BATS_TEST_TMPDIR/one"
}

@test "in a pid namespace the kernel's pids are not ours: one line" {
    run unshare --pid --fork --mount-proc "$sockfair" run shared-accept -n 10
    [ "$status" = 1 ]
    assert_one_line "pid namespace"
}

@test "loopback is down: nothing was sent, and nothing agrees" {
    run --separate-stderr unshare -n "$sockfair" run reuseport -n 10 --json
    [ "$status" = 1 ]
    jq -e '.workload | .sent == 0 and .agrees == false and (.disagreement | startswith("nothing was sent: Network is unreachable"))' <<<"$output"
    output=$stderr assert_one_line "is the loopback device up?"
    run --separate-stderr unshare -n "$sockfair" doctor
    [ "$status" = 1 ]
    [[ $output != *agrees* ]]
    output=$stderr assert_one_line "self-test: nothing was sent: Network is unreachable (is the loopback device up? ip link set lo up)"
}

@test "how many CPUs there may be is not known: one line" {
    run unshare -m sh -c "mount -t tmpfs none /sys/devices/system/cpu && exec '$sockfair' watch -d 0.1"
    [ "$status" = 1 ]
    assert_one_line "cannot tell how many CPUs there may be (/sys/devices/system/cpu/possible): No such file or directory"
}

# bats test_tags=slow
@test "another server's sockets on the same port, at another address, are not ours" {
    "$sockfair" run shared-accept --serve-only --port 18082 2>"$BATS_TEST_TMPDIR/says" >/dev/null &
    pid=$!
    until grep -q 'serving on' "$BATS_TEST_TMPDIR/says"; do sleep 0.05; kill -0 $pid; done
    "$sockfair" run reuseport --bind ::1 --port 18082 -n 300 --json >"$BATS_TEST_TMPDIR/one" &
    ours=$!
    for i in {1..30}; do curl -s http://127.0.0.1:18082/ >/dev/null; done
    wait $ours
    kill -INT $pid
    wait $pid
    "$check" --sent 300 "$BATS_TEST_TMPDIR/one"
}

@test "rows run out: what is not counted is lost by reason, to the last one" {
    run env SOCKFAIR_ROWS=3 "$sockfair" run reuseport -n 800 --json -o "$BATS_TEST_TMPDIR/one"
    [ "$status" = 1 ]
    assert_one_line "lost"
    # 3 of 8 sockets and threads have rows. Each connection of the others is missed twice: arriving and accepted.
    jq -e '(.endpoints[0].sockets | map(.arrived) | add) as $arrived | (.endpoints[0].workers | map(.accepted) | add) as $accepted |
           (.endpoints[0].sockets | map(select(.arrived > 0)) | length) == 3 and .lost.total == 1600 - $arrived - $accepted and
           .workload.agrees == false' "$BATS_TEST_TMPDIR/one"
}

# bats test_tags=slow
@test "Ctrl-C in the middle: the report of what was, status 0" {
    for processes in '' --processes; do
        "$sockfair" run shared-accept -n 100000000 $processes --json -o "$BATS_TEST_TMPDIR/one" &
        pid=$!
        until holds_program $pid .*accept; do sleep 0.05; kill -0 $pid; done
        sleep 0.5
        kill -INT $pid
        wait $pid
        "$check" "$BATS_TEST_TMPDIR/one"
        assert_clean
    done
}

@test "kill -9 leaves nothing behind" {
    for processes in '' --processes; do
        "$sockfair" run shared-accept reuseport -n 100000000 $processes >/dev/null &
        pid=$!
        until holds_program $pid .*accept; do sleep 0.05; kill -0 $pid; done
        kill -9 $pid
        wait $pid || true
        assert_clean
    done
}

@test "--fail-on uneven: 3 when it is, 0 when not" {
    run "$sockfair" run udp-reuseaddr -n 4000 --fail-on uneven
    [ "$status" = 3 ]
    run "$sockfair" run reuseport -n 4000 --fail-on uneven
    [ "$status" = 0 ]
}
