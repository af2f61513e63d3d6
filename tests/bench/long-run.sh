#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# long-run.sh [PERCENT]: millions of events beside what server, clients and ss count themselves: 3 million connections over 8 acceptors, 20,000 forked children,
# 12,000 open connections, 30 million datagrams, or PERCENT (100) of that. A line a count: what, expected, counted, lost by reason, exact or not. Status 1: a count
# is wrong and `lost` does not say so. About 10 minutes on 2 idle cores; a part that takes more than PART_SECONDS (600) is ended, and fails.
set -euo pipefail
cd "$(dirname "$0")/../.."
percent=${1:-100} limit=${PART_SECONDS:-600} failed=0
work=$(mktemp -d)
traffic_pid='' watch_pid=''
cleanup() {
    kill ${traffic_pid:+"$traffic_pid"} ${watch_pid:+"$watch_pid"} 2>/dev/null || :
    rm -rf "$work"
}
trap cleanup EXIT
cc -O2 -o "$work/traffic" tests/bench/traffic.c -pthread

within() { # SECONDS COMMAND...
    local i
    for ((i = $1 * 20; i > 0; i--)); do
        "${@:2}" && return
        sleep 0.05
    done
    echo "not within $1 s: ${*:2}" >&2
    return 1
}

watching() { grep -q watching "$work/said"; }
more_lines() { [ "$(wc -l <"$work/watched")" -ge "$1" ]; }

begin() { # KIND THREADS COUNT: the server, and sockfair beside it
    : >"$work/said"
    mkfifo "$work/ask" "$work/told"
    timeout --foreground "$limit" "$work/traffic" "$@" <"$work/ask" >"$work/told" &
    traffic_pid=$!
    exec 7>"$work/ask" 8<"$work/told"
    read -r -t 60 -u 8 _ port
    ./sockfair watch -P "$port" -i 1 -d $((limit + 60)) --json >"$work/watched" 2>"$work/said" &
    watch_pid=$!
    within 60 watching
}

# The next of what there is to do; what was counted is in $own.
step() {
    echo >&7
    read -r -t "$limit" -u 8 own
}

finish() {
    kill -INT "$watch_pid"
    wait "$watch_pid"
    tail -n 1 "$work/watched" >"$work/document"
    exec 7>&- 8<&-
    wait "$traffic_pid"
    traffic_pid='' watch_pid=''
    rm "$work/ask" "$work/told"
}

own() { [[ " $own " =~ \ $1=([0-9]+)\  ]] && echo "${BASH_REMATCH[1]}"; }
counted() { jq -r ".endpoints[0] | $1" "$work/document"; }

row() { # WHAT EXPECTED COUNTED
    local lost exact=yes
    lost=$(jq -r '.lost.by_reason | to_entries | map("\(.key) \(.value)") | join(", ")' "$work/document")
    if [ "$2" != "$3" ]; then
        exact=no
        [ -n "$lost" ] || failed=1
    fi
    printf '%-34s %12s %12s  %-5s %s\n' "$1" "$2" "$3" "$exact" "${lost:--}"
}

rows_of_connections() { # WHAT
    row "$1: arrived" "$(own made)" "$(counted '([.sockets[].arrived] | add) + .omitted.arrived')"
    row "$1: accepted" "$(own accepted)" "$(counted '([.sockets[].accepted] | add) + .omitted.accepted')"
    row "$1: served" "$(own served)" "$(counted '([.workers[].served // 0] | add) + .omitted.served')"
    row "$1: finished" "$(own made)" "$(counted '([.workers[].finished // 0] | add) + .omitted.finished')"
    row "$1: open" 0 "$(counted 'if any(.workers[]; .open == null) then "unknown" else [.workers[].open] | add end')"
}

# What is open now, as sockfair says in an interval that began after it was so, beside ss.
rows_of_open() {
    local seen
    seen=$(wc -l <"$work/watched")
    within 60 more_lines $((seen + 2))
    sed -n "$((seen + 2))p" "$work/watched" >"$work/document"
    row "open: as ss counts them" "$(own open)" "$(ss -Htn state established "sport = :$port" | wc -l)"
    row "open: of $(own accepted)" "$(own open)" "$(counted 'if any(.workers[]; .open == null) then "unknown" else [.workers[].open] | add // 0 end')"
}

part() { echo $(($1 * percent / 100)); }

printf '%-34s %12s %12s  %-5s %s\n' what expected counted exact lost
begin accept 8 "$(part 3000000)"
step
finish
rows_of_connections '8 acceptors'
begin fork 0 "$(part 20000)"
step
finish
rows_of_connections 'forked children'
begin open 4 "$(part 12000)"
for _ in all half none; do
    step
    rows_of_open
done
finish
begin udp 4 "$(part 30000000)"
step
finish
row 'datagrams: delivered' "$(own received)" "$(counted '[.sockets[].delivered] | add')"
row 'datagrams: received' "$(own received)" "$(counted '[.sockets[].received] | add')"
row 'datagrams: delivered + dropped' "$(own sent)" "$(counted '[.sockets[] | .delivered + .dropped] | add')"
exit $failed
