#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# accept-cost.sh [ROUNDS]: what the programs that run per accept and per datagram cost, in ns a run, beside bpftrace's simplest count of the
# same events in the same run (kernel.bpf_stats_enabled). Median of three rounds.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-3}
work=$(mktemp -d)
before=$(sysctl -n kernel.bpf_stats_enabled)
trace=
cleanup() {
    [ -z "$trace" ] || kill "$trace" 2>/dev/null || :
    sysctl -qw kernel.bpf_stats_enabled="$before"
    rm -rf "$work"
}
trap cleanup EXIT
sysctl -qw kernel.bpf_stats_enabled=1
grep -q ' /sys/kernel/tracing tracefs' /proc/mounts || { echo "mount tracefs on /sys/kernel/tracing first: bpftrace needs it" >&2; exit 1; }

# Prints "name nanoseconds runs" of every program that ran while MODE did, bpftrace's as "bpftrace".
round() { # MODE REQUESTS PROBE
    BPFTRACE_STRLEN=16 bpftrace -e "$3 { @[tid] = count(); }" >"$work/trace" 2>&1 &
    trace=$!
    until grep -q Attach "$work/trace"; do sleep 0.1; kill -0 $trace || { cat "$work/trace"; exit 1; }; done
    sleep 1
    ./sockfair run "$1" -n "$2" --port 0 >"$work/out" &
    local run=$! snapshot
    while kill -0 $run 2>/dev/null; do
        # bpftrace names its program after the probe.
        snapshot=$(bpftool prog show -j | jq -r '.[] | select((.run_cnt // 0) > 100) | select(.name | test("^(sys_exit_|[fkt]+_)")) |
            [(.name | sub("^sys_exit_.*"; "bpftrace")), .run_time_ns, .run_cnt] | @tsv') || :
        if grep -q bpftrace <<<"$snapshot" && grep -q _ <<<"$snapshot"; then echo "$snapshot" >"$work/last"; fi
        sleep 0.2
    done
    wait $run
    kill -INT $trace; wait $trace || :
    trace=
    awk '{ printf "%s %.1f %d\n", $1, $2 / $3, $3 }' "$work/last"
}

for what in "shared-accept 100000 tracepoint:syscalls:sys_exit_accept4" "udp-shared 400000 tracepoint:syscalls:sys_exit_recvfrom"; do
    read -r mode requests probe <<<"$what"
    for ((i = 0; i < rounds; i++)); do round "$mode" "$requests" "$probe" "$mode"; done >"$work/all"
    echo "$mode, $requests requests: ns a run, median of $rounds"
    cut -d' ' -f1 "$work/all" | sort -u | while read -r name; do
        printf '  %-18s %s\n' "$name" "$(awk -v n="$name" '$1 == n { print $2 }' "$work/all" | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }')"
    done
done
