#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# wait-cost.sh [ROUNDS]: what measuring waits, and following who serves, adds per accept, in ns over all programs together
# (kernel.bpf_stats_enabled). Three watches beside one load in the same run: without either, with waits, with both. Mean of the rounds.
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-9} # a multiple of 3
variants=("--no-wait --no-serve" "--no-serve" "")
port=8199
work=$(mktemp -d)
before=$(sysctl -n kernel.bpf_stats_enabled)
watches=()
cleanup() {
    for pid in "${watches[@]}"; do kill "$pid" 2>/dev/null || :; done
    sysctl -qw kernel.bpf_stats_enabled="$before"
    rm -rf "$work"
}
trap cleanup EXIT
sysctl -qw kernel.bpf_stats_enabled=1

# "nanoseconds accepts" of each observer's programs, which share one BTF; in the order of their starts.
programs() {
    bpftool prog show -j | jq -r '[.[] | select(.btf_id) | {btf: .btf_id, name, t: (.run_time_ns // 0), n: (.run_cnt // 0)}] | group_by(.btf)[]
        | select(any(.[]; .name | test("accept")))
        | [(map(.t) | add), (map(select(.name | test("accept4?$|accept_graft"))) | map(.n) | add)] | @tsv'
}

for ((i = 0; i < rounds; i++)); do
    watches=()
    # Who is attached first finds the caches cold: each comes first in turn.
    for n in $(for k in 0 1 2; do echo $(((i + k) % 3)); done); do
        flags=${variants[$n]}
        # shellcheck disable=SC2086
        ./sockfair watch -P $port -d 60 --plain ${BACKEND:+--backend $BACKEND} $flags >/dev/null 2>&1 &
        watches+=($!)
        sleep 1
    done
    ./sockfair run shared-accept -n 50000 --port $port --no-wait --no-serve >/dev/null
    programs >"$work/all" # those of the run are gone again
    awk -v first=$((i % 3)) 'NR <= 3 { cost[(first + NR - 1) % 3] = $1 / $2 } END { printf "%.1f %.1f %.1f\n", cost[0], cost[1], cost[2] }' \
        "$work/all" >>"$work/rounds"
    for pid in "${watches[@]}"; do kill -INT "$pid"; wait "$pid" || :; done
    watches=()
done
cat "$work/rounds"
mean() { awk "{ sum += $1 } END { printf \"%.0f\", sum / NR }" "$work/rounds"; }
echo "ns an accept, all programs: $(mean '$1'); waits add $(mean '$2 - $1'); who serves adds $(mean '$3 - $2')"
