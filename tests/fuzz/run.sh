#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh SECONDS FUZZER...: runs each fuzzer so long in all, from what is in seeds/FUZZER. TAP. An input that crashes it, or takes more than a minute, is kept there.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
seconds=$(($1 / ($# - 1))) number=0 failed=0
shift
echo "1..$#"
for fuzzer; do
    number=$((number + 1))
    seeds=tests/fuzz/seeds/$fuzzer corpus=.build/fuzz/corpus/$fuzzer says=.build/fuzz/$fuzzer.says
    # What it complains of is of no interest; and where the program would end, nobody frees.
    options=() leaks=1
    [ "$fuzzer" != filters ] || options=(-close_fd_mask=2 -detect_leaks=0) leaks=0
    mkdir -p "$seeds" "$corpus"
    # What it finds new goes to the first folder.
    if ASAN_OPTIONS=detect_leaks=$leaks .build/fuzz/"$fuzzer" -max_total_time=$((seconds > 0 ? seconds : 1)) -max_len=16384 -timeout=60 -rss_limit_mb=2560 -print_final_stats=1 "${options[@]}" \
        -artifact_prefix="$seeds/" "$corpus" "$seeds" >"$says" 2>&1 && runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$says") && [ "${runs:-0}" -gt 10 ]; then
        echo "ok $number - $fuzzer: $runs inputs"
    else
        failed=1
        echo "not ok $number - $fuzzer"
        tail -60 "$says" | sed 's/^/# /'
    fi
done
exit $failed
