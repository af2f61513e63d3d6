#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Text that goes to no terminal: lines fit into 120 columns.
load common
sockfair=$here

setup() {
    unset SOCKFAIR_COLUMNS
    export LC_ALL=C.UTF-8
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    end_started
    assert_clean
}

# The lines of a file that are; fails if none is.
too_wide() { /usr/bin/python3 -c 'import sys; wide = [line for line in open(sys.argv[1]) if len(line) > 121]; print(*wide); sys.exit(not wide)' "$1"; }

# What it prints has words, and fits.
fits() { # ARGUMENT...
    "$sockfair" "$@" >text || [ $? = 3 ] || return 1
    [ -s text ]
    run ! too_wide text
}

@test "list, watch, run, compare, claims, bind-check, doctor, help: no line is wider than 120 columns" {
    # A server about which there is something to say.
    serve 's = tcp(8180)
for _ in range(40): thread(epolls, s, name="a-worker")
keep += [udp(8181, reuseaddr=True) for _ in range(2)]'
    for command in list "list --help" "watch -d 0.1" "run udp-reuseaddr io-uring -n 50 -w 2" "run shared-epoll reuseport -n 200 --repeat 3" "doctor --hooks -v" \
        "bind-check 8180 127.0.0.1:8181 1" "claims htons privileged-port reuseaddr-hijack"; do
        fits $command
    done
    "$sockfair" run shared-epoll reuseport -n 100 --repeat 3 --json -o runs
    fits compare runs
    fits compare runs runs
    # Whole sentences, for who wants them: without the limit there is something to break.
    SOCKFAIR_COLUMNS=1000 "$sockfair" list >text
    too_wide text
    [ "$(SOCKFAIR_COLUMNS=1000 "$sockfair" list | wc -l)" -lt "$("$sockfair" list | wc -l)" ]
}

@test "doctor, without the rights that it names: they are broken, too" {
    setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps -all,+sys_admin --ambient-caps -all,+sys_admin "$everywhere" doctor --hooks -v >text
    grep -q 'CAP_SYS_PTRACE missing: ' text
    setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps -all,+bpf,+perfmon --ambient-caps -all,+bpf,+perfmon "$everywhere" doctor --hooks -v >>text || :
    grep -q 'CAP_SYS_ADMIN missing: ' text
    run ! too_wide text
}

@test "binds: a sentence about a call that fails is broken, too" {
    serve 'keep.append(tcp(8182))'
    "$sockfair" binds >text 2>says 3>&- &
    started+=($!)
    eventually grep -q '^watching binds' says
    clients 'import contextlib
with contextlib.suppress(OSError): tcp(8182)'
    eventually grep -q EADDRINUSE text
    kill -INT "${started[-1]}"
    wait "${started[-1]}"
    run ! too_wide text
}
