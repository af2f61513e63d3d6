#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
load common

@test "doctor: the conclusion first, each backend with a reason, and a self-test that agrees" {
    run "$sockfair" doctor
    [ "$status" = 0 ]
    [[ ${lines[0]} =~ ^sockfair\ works\ on\ this\ machine,\ by\ backend\ (fentry|kprobe|tracepoint) ]]
    grep -qx "backend ${BASH_REMATCH[1]}: usable, and taken by default" <<<"$output"
    grep -q "^self-test of backend ${BASH_REMATCH[1]}: " <<<"$output"
    [ "$(grep -cE '^backend (fentry|kprobe|tracepoint): (usable|not usable: .)' <<<"$output")" = 3 ]
    [[ $output != *inet_csk_accept* ]] # hooks are told with -v
    [ "$(grep -cE '^  agrees .* 1000 +1000 +1000$' <<<"$output")" -ge 4 ]
    [[ $output != *WRONG* && $output == *$'\nrights         enough\n'* ]]
    # Kernel memory is stated and bounded, the inventory's with that of the counting programs.
    grep -oE '[0-9.]+ MiB of kernel memory' <<<"$output" | awk '{ n++; sum += $1 } END { print n, sum; exit !(n == 2 && sum < 8) }'
    assert_clean
}

@test "doctor -v: each hook of each backend, with reasons" {
    run "$sockfair" doctor --hooks -v
    [ "$status" = 0 ]
    for hook in 'fentry +inet_csk_accept' 'kretprobe +inet_csk_complete_hashdance' 'tracepoint +syscalls/sys_exit_accept4'; do
        grep -qE "^  $hook +[a-z]" <<<"$output"
    done
}
