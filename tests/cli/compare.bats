#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Real results, saved and compared: what is told, what is not, and one line for what is no result.
load common

check_comparison=$BATS_TEST_DIRNAME/../check_comparison.py
windows=$BATS_TEST_DIRNAME/windows.py

# Six runs of each of two designs that differ as much as any do; the tests read it, none changes it.
setup_file() {
    export PYTHONDONTWRITEBYTECODE=1
    cd "$BATS_FILE_TMPDIR"
    "$BATS_TEST_DIRNAME/../../sockfair" run reuseport shared-epoll-exclusive --repeat 6 -n 2000 --json -o both.json
    grep '"mode":"reuseport"' both.json >even.json
    grep '"mode":"shared-epoll-exclusive"' both.json >uneven.json
    head -1 even.json >one.json
}

setup() { cd "$BATS_FILE_TMPDIR"; }
teardown() { assert_clean; }

# A document of watch: two ports, of which one is udp. Figures are of no interest here.
window() { # PORT ARRIVED
    jq -c --argjson port "$1" --argjson n "$2" 'del(.workload) | .endpoints[0].port = $port | .endpoints[0].sockets[0].arrived = $n' one.json
}

@test "the modes of one file: they differ, beyond noise" {
    run --separate-stderr "$sockfair" compare both.json
    [ "$status" = 0 ]
    [ -z "$stderr" ]
    grep -qx 'A  reuseport' <<<"$output"
    grep -qx 'B  shared-epoll-exclusive' <<<"$output"
    grep -qE '^  runs +6 +6$' <<<"$output"
    grep -qE '^  workers  .* uneven$' <<<"$output"
    # No "?" (tested), no brackets (told), marked.
    grep -qE '^  workers CV +0\.[0-9]+ .*\* +[12]\.[0-9]+ .*! +\+[12]\.[0-9]+$' <<<"$output"
    [[ $output != *$'\033'* ]]
}

@test "JSON: in the schema, means and differences follow from the runs; compared again it is the same" {
    "$sockfair" compare even.json uneven.json --json -o "$BATS_TEST_TMPDIR/saved.json"
    "$check_comparison" "$BATS_TEST_TMPDIR/saved.json"
    jq -e '[.sides[].name] == ["even.json", "uneven.json"] and (.subjects | length == 1) and
           ([.subjects[0].results[].runs | length] == [6, 6]) and
           (.subjects[0].figures.workers_cv[1] | .told == "different" and .p_value < 0.01 and .mark == "worst" and .mark_tested)' "$BATS_TEST_TMPDIR/saved.json"
    # The figures of a run are those of its result.
    [ "$(jq -s '[.[].endpoints[0] | [.fairness.workers.cv, .wait_ns.p99, (.sockets | map(.arrived) | add)]]' even.json)" = \
      "$(jq '[.subjects[0].results[0].runs[].figures | [.workers_cv, .wait_p99_ns, .events]]' "$BATS_TEST_TMPDIR/saved.json")" ]
    "$sockfair" compare "$BATS_TEST_TMPDIR/saved.json" --json | cmp - "$BATS_TEST_TMPDIR/saved.json"
    "$sockfair" compare "$BATS_TEST_TMPDIR/saved.json" one.json --json -o "$BATS_TEST_TMPDIR/three.json"
    "$check_comparison" "$BATS_TEST_TMPDIR/three.json"
    jq -e '[.sides[].name] == ["even.json", "uneven.json", "one.json"] and .subjects[0].figures.cv[2].told == "untested"' "$BATS_TEST_TMPDIR/three.json"
}

@test "a file beside itself is no different" {
    "$sockfair" compare both.json both.json --json -o "$BATS_TEST_TMPDIR/saved.json"
    "$check_comparison" "$BATS_TEST_TMPDIR/saved.json"
    jq -e '(.subjects | length == 2) and ([.subjects[].figures[][] | select(.told == "different" or .mark)] == [])' "$BATS_TEST_TMPDIR/saved.json"
    "$sockfair" compare both.json both.json --fail-on worse
}

@test "single runs: not tested, and it says how to" {
    tail -1 uneven.json >"$BATS_TEST_TMPDIR/last.json"
    run "$sockfair" compare one.json "$BATS_TEST_TMPDIR/last.json"
    [ "$status" = 0 ]
    grep -qE '^  workers CV .*\(\*\) .*\(!\) .*\?$' <<<"$output"
    grep -q 'not tested against noise, for which each side needs 5 runs: run --repeat 5' <<<"$output"
    refused 1 "use run --repeat 5" compare one.json "$BATS_TEST_TMPDIR/last.json" --fail-on worse -o /dev/null
    refused 1 "nothing beside the first side's results" compare one.json --fail-on worse -o /dev/null
}

@test "--fail-on: 3 where it is so, 0 where not" {
    "$sockfair" compare uneven.json even.json --fail-on uneven -o /dev/null
    run "$sockfair" compare even.json uneven.json --fail-on uneven
    [ "$status" = 3 ]
    run "$sockfair" compare uneven.json --fail-on uneven
    [ "$status" = 3 ]
    run "$sockfair" compare even.json uneven.json --fail-on uneven,worse
    [ "$status" = 3 ]
    run "$sockfair" compare even.json uneven.json --fail-on worse
    [ "$status" = 3 ]
    # What was not counted can't be judged, nor compared. Older documents do not say whose it was.
    jq -c '.lost = {total: 9, counts: 9, by_reason: {x: 9}} | del(.endpoints[].lost)' uneven.json >"$BATS_TEST_TMPDIR/lost.json"
    refused 1 "shared-epoll-exclusive of $BATS_TEST_TMPDIR/lost.json (and 5 others): some of its events were not counted" \
        compare even.json "$BATS_TEST_TMPDIR/lost.json" --fail-on uneven -o /dev/null
    jq -c '.endpoints[].fairness.workers |= (.verdict = "withheld" | .reason = "waiters-cut" | .p_value = null)' uneven.json >"$BATS_TEST_TMPDIR/cut.json"
    refused 1 "more threads wait than could be listed" compare even.json "$BATS_TEST_TMPDIR/cut.json" --fail-on uneven -o /dev/null
    "$sockfair" compare even.json "$BATS_TEST_TMPDIR/cut.json" --json -o "$BATS_TEST_TMPDIR/saved.json"
    "$check_comparison" "$BATS_TEST_TMPDIR/saved.json"
    jq -e '.subjects[0].results[1].runs | all(.verdicts.workers == "withheld" and .reasons.workers == "waiters-cut" and .figures.cv == null)' "$BATS_TEST_TMPDIR/saved.json"
    "$sockfair" compare "$BATS_TEST_TMPDIR/saved.json" --json | cmp - "$BATS_TEST_TMPDIR/saved.json"
    # A port to which nothing came is not fair.
    jq -c 'del(.workload) | .endpoints[0].sockets = [] | .endpoints[0].workers = [] | .endpoints[0].fairness |= map_values(.events = 0 | .bins = 0 | .verdict = "not-applicable")' \
        one.json >"$BATS_TEST_TMPDIR/none.json"
    refused 1 "cannot judge $BATS_TEST_TMPDIR/none.json: nothing came" compare "$BATS_TEST_TMPDIR/none.json" --fail-on uneven -o /dev/null
}

# bats test_tags=slow
@test "run --fail-on worse: the first mode is the baseline" {
    # The last to bind gets everything: a CV that never varies.
    run "$sockfair" run udp-reuseport udp-reuseaddr --repeat 5 -n 2000 -w 4 --fail-on worse
    [ "$status" = 3 ] || { echo "$output"; return 1; }
    # One row a mode, with its mean and what is more than noise.
    grep -qE '^udp-reuseaddr +uneven +1\.732 (±|\+-)0%! ' <<<"$output"
    [ "$(grep -cE '^udp-reuse(port|addr) .* agree$' <<<"$output")" = 2 ]
    run "$sockfair" run udp-reuseport udp-reuseaddr --repeat 5 -n 1000 -w 4 --fail-on worse --json -o "$BATS_TEST_TMPDIR/runs.json"
    [ "$status" = 3 ]
    [ "$(wc -l <"$BATS_TEST_TMPDIR/runs.json")" = 10 ]
    refused 2 "--repeat 5 or more" run reuseport shared-accept --fail-on worse
    refused 2 "two or more" run reuseport --repeat 5 --fail-on worse
}

@test "FILE:PORT takes one port; a file of that whole name is the file" {
    { window 80 100; window 443 200; } | jq -sc '.[0].endpoints += .[1].endpoints | .[0]' >"$BATS_TEST_TMPDIR/r.json"
    cd "$BATS_TEST_TMPDIR"
    run "$sockfair" compare r.json:80 r.json:443
    [ "$status" = 0 ]
    grep -qx '  A: tcp 127.0.0.1:80' <<<"$output"
    grep -qx '  B: tcp 127.0.0.1:443' <<<"$output"
    "$sockfair" compare r.json r.json:443 --json | jq -e '(.subjects | length == 2) and ([.subjects[].results | map(.port)] == [[80], [443, 443]])'
    refused 1 "has no port 22, but 80, 443" compare r.json:22
    cp r.json r.json:22
    "$sockfair" compare r.json:22 --json | jq -e '.subjects | length == 2'
}

@test "watch: repeated windows, ports matched, one that is gone is listed" {
    for i in 1 2 3 4 5; do window 80 $((1000 + i)); done >"$BATS_TEST_TMPDIR/before.json"
    for i in 1 2 3 4 5; do window 80 $((1000 + i)) | jq -c '.endpoints[0].address = "0.0.0.0"'; done >"$BATS_TEST_TMPDIR/after.json"
    window 22 5 >"$BATS_TEST_TMPDIR/ssh.json"
    cd "$BATS_TEST_TMPDIR"
    "$sockfair" compare before.json after.json --json | jq -e '[.subjects[].results[].runs | length] == [5, 5]'
    { cat ssh.json; cat after.json; } >after2.json
    run "$sockfair" compare before.json after2.json
    [ "$status" = 0 ]
    grep -q '^tcp 127.0.0.1:22: ' <<<"$output"
    grep -qx '  A has none' <<<"$output"
}

@test "thirty ports have one level: alike they do not fail, one at twice the wait is found" {
    cd "$BATS_TEST_TMPDIR"
    failed=0 sides=()
    for seed in {1..15}; do
        sides+=(a$seed.json '{"ports": 30, "seed": '$seed'}' b$seed.json '{"ports": 30, "seed": 1'$seed'}')
    done
    "$windows" "${sides[@]}"
    for seed in {1..15}; do
        status=0
        "$sockfair" compare a$seed.json b$seed.json --fail-on worse -o /dev/null || status=$?
        [ "$status" = 0 ] || [ "$status" = 3 ]
        failed=$((failed + (status == 3)))
    done
    [ "$failed" -le 1 ]
    "$windows" a.json '{"ports": 30, "windows": 8, "seed": 1}'
    "$windows" b.json '{"ports": 30, "windows": 8, "seed": 2, "wait": {"93": 2}}'
    run "$sockfair" compare a.json b.json --fail-on worse --json
    [ "$status" = 3 ]
    jq -e '[.subjects[] | select(.figures.wait_p99_ns[1].told == "different") | .results[0].port] == [93]' <<<"$output"
    echo "$output" >saved.json
    "$check_comparison" saved.json
    "$sockfair" compare saved.json --json | cmp - saved.json
}

@test "too few runs to reach the level: status 1, and how many would" {
    cd "$BATS_TEST_TMPDIR"
    "$windows" a.json '{"ports": 2, "windows": 4}'
    "$windows" b.json '{"ports": 2, "windows": 9, "wait": 9}'
    refused 1 "a.json has CV of tcp 0.0.0.0:80 in 4 of 4 runs, too few to test: 5 of each side would do" compare a.json b.json --fail-on worse -o /dev/null
}

@test "windows without traffic do not count, and it says so" {
    cd "$BATS_TEST_TMPDIR"
    "$windows" a.json '{"windows": 8}'
    "$windows" b.json '{"windows": 8, "seed": 2, "wait": 3, "events": [1000, 1000, 0, 1000, 1000, 0, 1000, 1000]}'
    run "$sockfair" compare a.json b.json --fail-on worse
    [ "$status" = 3 ]
    grep -qE '^  runs +8 +6 of 8$' <<<"$output"
    grep -qx '  B: 6 of 8 windows had any traffic; the others are left out' <<<"$output"
    grep -qE '^  requests +1,000 +1,000$' <<<"$output"
    "$sockfair" compare a.json b.json --json -o saved.json
    "$check_comparison" saved.json
    jq -e '[.subjects[0].results[].runs_with_traffic] == [8, 6] and .subjects[0].figures.rate[1].mean == 100' saved.json
    "$windows" b.json '{"windows": 5, "seed": 2, "wait": 3, "events": [1000, 0, 1000, 0, 1000]}'
    refused 1 "b.json has CV of tcp 0.0.0.0:80 in 3 of 5 runs (2 had no traffic), too few to test: 5 of each side would do" \
        compare a.json b.json --fail-on worse -o /dev/null
    "$windows" b.json '{"windows": 5, "events": 0}'
    run "$sockfair" compare a.json b.json
    grep -qx '  B: no traffic in its 5 windows: nothing to compare' <<<"$output"
    refused 1 "b.json has no CV of tcp 0.0.0.0:80 to compare" compare a.json b.json --fail-on worse -o /dev/null
}

@test "windows of another length: drops by their share, the longest wait not at all" {
    cd "$BATS_TEST_TMPDIR"
    "$windows" a.json '{"windows": 6, "drops": [9, 10, 11], "max_ns": [900000, 910000, 920000]}'
    "$windows" b.json '{"windows": 6, "seed": 2, "seconds": 100, "events": 10000, "drops": [112, 90, 101], "max_ns": [9000000, 9100000]}'
    run "$sockfair" compare a.json b.json
    [ "$status" = 0 ]
    grep -qE '^  drops +10 +101$' <<<"$output"
    grep -qE '^    of all +0.99% .* \(' <<<"$output"
    grep -qE '^  wait max +910 us .*[0-9]%$' <<<"$output"
    grep -q 'No difference of longest wait' <<<"$output"
    "$sockfair" compare a.json b.json --json -o saved.json
    "$check_comparison" saved.json
    jq -e '.subjects[0].figures | ([.wait_max_ns, .drops, .drop_share] | map(map(.mark)) == [[null, null], [null, null], [null, null]]) and
           .wait_max_ns[1].told == null and .drop_share[1].told == "noise"' saved.json
    # Of as many events both are told.
    "$windows" b.json '{"windows": 6, "seed": 2, "drops": [110, 90, 100], "max_ns": [9000000, 9100000]}'
    "$sockfair" compare a.json b.json --json | jq -e '.subjects[0].figures | .wait_max_ns[1].mark == "worst" and .drop_share[1].told == "different"'
}

@test "runs of another set-up are no repeats" {
    cd "$BATS_TEST_TMPDIR"
    "$windows" a.json '{"workload": {"requests": [1000, 5000]}}'
    refused 1 "a.json:2: this run of reuseport is no repeat of the one before: 5,000 connections, not 1,000 connections; give it a file of its own" compare a.json
    for other in '"flows": [64, 1024]' '"concurrency": [2, 64]' '"workers": [8, 4]' '"work_us": [0, 50]' '"processes": [true, false]'; do
        "$windows" a.json '{"workload": {'"$other"'}}'
        refused 1 "a.json:2: this run of reuseport is no repeat" compare a.json
    done
    "$windows" a.json '{"workload": {}, "address": ["127.0.0.1", "::1"]}'
    refused 1 "no repeat of the one before: 8 workers (threads) on ::1, not 8 workers (threads) on 127.0.0.1" compare a.json
    "$windows" a.json '{"kernel": ["6.1.0", "6.12.0"]}'
    refused 1 "a.json:2: this window of port 80 is no repeat of the one before: kernel 6.12.0, not kernel 6.1.0" compare a.json
    # In files of their own they are sides, and each says of what set-up.
    "$windows" a.json '{"workload": {"requests": [1000]}}'
    "$windows" b.json '{"workload": {"requests": [5000]}}'
    run "$sockfair" compare a.json b.json
    [ "$status" = 0 ]
    grep -q '^  A: 8 workers (threads) on 0.0.0.0, 1,000 connections, 2 at once' <<<"$output"
    grep -q '^  B: 8 workers (threads) on 0.0.0.0, 5,000 connections, 2 at once' <<<"$output"
}

@test "--fail-on worse: what was not counted can't be judged" {
    cd "$BATS_TEST_TMPDIR"
    "$windows" a.json '{}'
    "$windows" b.json '{"wait": 9, "lost": [0, 7]}'
    refused 1 "cannot tell whether it is worse: events of tcp 0.0.0.0:80 were not counted in 2 of 5 runs of b.json" compare a.json b.json --fail-on worse -o /dev/null
}

# bats test_tags=slow
@test "a real watch and a real list can be compared" {
    serve_mode shared-accept --port 18095 -w 2
    out=$BATS_TEST_TMPDIR/window.json
    watch_begin -P 18095 --json -i 0.2
    for i in 1 2 3; do curl -s -o /dev/null http://127.0.0.1:18095/; done
    watch_end
    "$sockfair" list -P 18095 --json >"$BATS_TEST_TMPDIR/list.json"
    end_started
    [ "$(wc -l <"$out")" -gt 1 ] # intervals too: they are passed over
    "$sockfair" compare "$out" "$BATS_TEST_TMPDIR/list.json" --json -o "$BATS_TEST_TMPDIR/saved.json"
    "$check_comparison" "$BATS_TEST_TMPDIR/saved.json"
    jq -e '[.subjects[].figures.events[].mean] == [3, 0] and ([.subjects[].results[].runs | length] == [1, 1])' "$BATS_TEST_TMPDIR/saved.json"
}

@test "bad files: one line each, status 1" {
    cd "$BATS_TEST_TMPDIR"
    even=$BATS_FILE_TMPDIR/even.json
    refused 1 "cannot read nosuch.json: No such file" compare nosuch.json
    refused 1 "it is a directory" compare .
    : >empty.json
    refused 1 "is empty" compare "$even" empty.json
    head -c 5000 "$even" >cut.json
    refused 1 "cut.json:1: ends in the middle of a document" compare cut.json "$even"
    { cat "$even"; head -c 5000 "$even"; } >cut.json
    refused 1 "cut.json:7: ends in the middle of a document" compare cut.json
    jq -c '.schema = "sockfair/2"' "$BATS_FILE_TMPDIR/one.json" >two.json
    refused 1 "schema 'sockfair/2' is not known" compare two.json
    printf '[%.0s' {1..5000} >deep.json
    refused 1 "nested too deeply" compare deep.json
    printf '{"schema": "sockfair/1", "n": 1e999}' >huge.json
    refused 1 "not JSON" compare huge.json
    head -c 100000 "$sockfair" >binary.json
    refused 1 "not JSON" compare binary.json
    jq -c '.endpoints[0].sockets = 7' "$BATS_FILE_TMPDIR/one.json" >type.json
    refused 1 "endpoints[0].sockets is a number, not an array" compare type.json
    jq -c '.window.final = false' "$BATS_FILE_TMPDIR/one.json" >interval.json
    refused 1 "intervals only" compare interval.json
    refused 1 "cannot write /nonexistent/x" compare "$even" -o /nonexistent/x
    refused 1 "No space left on device" compare "$even" -o /dev/full
}

# bats test_tags=slow
@test "a small file of empty arrays does not take the machine's memory" {
    { printf '{"a":['; yes '[],' | head -c 40000000 | tr -d '\n'; printf '0]}'; } >"$BATS_TEST_TMPDIR/arrays.json"
    run bash -c "ulimit -v 1200000; '$sockfair' compare '$BATS_TEST_TMPDIR/arrays.json'"
    [ "$status" = 1 ]
    assert_one_line "more than 768 MiB of memory"
    run bash -c "ulimit -v 200000; '$sockfair' compare '$BATS_TEST_TMPDIR/arrays.json'"
    [ "$status" = 1 ]
    assert_one_line "arrays.json:1: out of memory"
}

@test "wrong calls: status 2, one line" {
    refused 2 "name a file" compare
    refused 2 "unrecognized option" compare --nosuch
    refused 2 "'uneven', 'worse' or both" compare even.json --fail-on better
    refused 2 "'uneven', 'worse' or both" compare even.json --fail-on uneven,
    refused 2 "takes 'uneven'" watch --fail-on worse
}

@test "without rights, without BPF: it only reads files" {
    cp both.json "$BATS_TEST_TMPDIR/both.json"
    chmod 755 "$BATS_TEST_TMPDIR"
    chmod 644 "$BATS_TEST_TMPDIR/both.json"
    run setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all "$sockfair" compare /dev/stdin <"$BATS_TEST_TMPDIR/both.json"
    [ "$status" = 0 ]
    grep -q '^  workers CV' <<<"$output"
    "$sockfair" --schema comparison | cmp - "$BATS_TEST_DIRNAME/../../user/render/sockfair-comparison-1.schema.json"
}
