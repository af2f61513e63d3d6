#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
load common

@test "doctor: hooks with reasons, and a self-test that agrees" {
    run "$sockfair" doctor
    [ "$status" = 0 ]
    [ "$(grep -cE '^backend (fentry|kprobe|tracepoint): ' <<<"$output")" = 3 ]
    [ "$(grep -cE '^  agrees .* 1000 +1000 +1000$' <<<"$output")" -ge 4 ]
    [[ $output != *WRONG* && $output == *$'\nrights         enough\n'* ]]
    # Kernel memory is stated and bounded, the inventory's with that of the counting programs.
    grep -oE '[0-9.]+ MiB of kernel memory' <<<"$output" | awk '{ n++; sum += $1 } END { print n, sum; exit !(n == 2 && sum < 8) }'
    assert_clean
}
