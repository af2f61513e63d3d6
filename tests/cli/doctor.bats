#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
load common

@test "doctor: hooks with reasons, and a self-test that agrees" {
    run "$sockfair" doctor
    [ "$status" = 0 ]
    [ "$(grep -cE '^backend (fentry|kprobe|tracepoint): ' <<<"$output")" = 3 ]
    [ "$(grep -cE '^  agrees .* 1000 +1000 +1000$' <<<"$output")" -ge 4 ]
    [[ $output != *WRONG* ]]
    # Kernel memory is stated and bounded.
    [[ $output =~ ([0-9.]+)\ MiB\ of\ kernel\ memory ]]
    awk -v m="${BASH_REMATCH[1]}" 'BEGIN { exit !(m > 0 && m < 8) }'
    assert_clean
}
