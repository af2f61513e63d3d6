#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# `export --textfile` beside servers that run: what its counters grow by is what clients counted and what `watch` counts, they never go
# back, and each page is one that Prometheus' own tools take. What pages look like: unit/test_openmetrics.c, what they remember:
# unit/test_export.c.
load common
sockfair=$here

setup() {
    watch_setup
    page=$BATS_TEST_TMPDIR/metrics.prom
    export=
}

teardown() {
    [ -z "$export" ] || end "$export"
    watch_teardown
}

# In the background, until its first page is there.
export_begin() { # OPTION...
    "$sockfair" export --textfile "$page" -i 0.2 --window 1000 "$@" 2>"$page.says" 3>&- &
    export=$!
    eventually test -s "$page" || { cat "$page.says"; return 1; }
}

# The sum of the series of that name that have all of these labels; nothing if there are none.
value() { # NAME [LABEL...]
    local name=$1
    shift
    awk -v name="$name" -v labels="$*" 'BEGIN { n = split(labels, wanted, " ") }
        { split($1, head, "{"); if (head[1] != name) next; for (i = 1; i <= n; i++) if (!index($0, wanted[i])) next; sum += $NF; some = 1 }
        END { if (some) printf "%.15g\n", sum }' "${file:-$page}"
}
is() { # VALUE NAME [LABEL...]
    [ "$(value "${@:2}")" = "$1" ] || { echo "${*:2}: $(value "${@:2}"), not $1"; return 1; }
}
growth() { # FILE NAME [LABEL...]: from FILE to the page
    echo $(($(value "${@:2}") - $(file=$1 value "${@:2}")))
}
of_8100='port="8100"'

@test "counters grow by exactly what watch counts between two pages at rest: connections, bytes, each worker" {
    serve_mode reuseport --port 8100 -w 4
    export_begin -P 8100
    at_rest() { is "$1" sockfair_connections_total "$of_8100" && is 0 sockfair_open_connections "$of_8100"; }
    clients 'visit(8100, 50)'
    eventually at_rest 50
    cp "$page" "$page.before"
    watch_begin -P 8100 --json
    clients 'visit(8100, 123)'
    eventually at_rest 173
    watch_end
    counted 8100 123
    jq -e --argjson received "$(growth "$page.before" sockfair_bytes_total "$of_8100" 'direction="received"')" \
        --argjson sent "$(growth "$page.before" sockfair_bytes_total "$of_8100" 'direction="sent"')" \
        '.endpoints[0].workers | (map(.bytes_received) | add) == $received and (map(.bytes_sent) | add) == $sent' "$out"
    [ "$(growth "$page.before" sockfair_connections_arrived_total "$of_8100")" = 123 ]
    [ "$(growth "$page.before" sockfair_worker_connections_total "$of_8100")" = 123 ]
    for slot in 0 1 2 3; do
        tid=$(grep "^sockfair_worker_info.*slot=\"$slot\"" "$page" | sed 's/.*,tid="\([0-9]*\)".*/\1/')
        jq -e --argjson tid "$tid" --argjson got "$(growth "$page.before" sockfair_worker_connections_total "slot=\"$slot\"")" \
            '[.endpoints[0].workers[] | select(.tid == $tid) | .accepted] | add == $got' "$out"
    done
    # Each connection's wait was measured, and is in one bucket.
    is 173 sockfair_accept_wait_seconds_count "$of_8100"
    is 173 sockfair_accept_wait_seconds_bucket "$of_8100" 'le="+Inf"'
}

@test "UDP: delivered, received and dropped are what was sent" {
    serve 's = udp(8100); keep.append(s); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)'
    export_begin -P 8100
    clients 'with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as c:
    for _ in range(500): c.sendto(b"x" * 100, ("127.0.0.1", 8100))'
    both() { [ $(($(value sockfair_datagrams_delivered_total "$of_8100") + $(value sockfair_drops_total "$of_8100" 'reason="no-room"'))) = 500 ]; }
    eventually both
    [ "$(value sockfair_drops_total 'reason="no-room"')" -gt 0 ]
    is 0 sockfair_drops_total "$of_8100" 'reason="kernel"'
    is 0 sockfair_datagrams_received_total "$of_8100"
    [ "$(value sockfair_queue_length "$of_8100")" -gt 0 ]
    [ -z "$(value sockfair_connections_total)" ]
}

@test "a killed worker's successor has its slot, and goes on from its counter" {
    serve 's = tcp(8100)
def begin(): return process(accepts, s)
pids = [begin(), begin()]
def goes_on():
    while True:
        dead = os.wait()[0]
        pids[pids.index(dead)] = begin()
thread(goes_on)'
    export_begin -P 8100
    eventually is 2 sockfair_workers "$of_8100"
    pid_of() { grep "^sockfair_worker_info.*slot=\"$1\"" "$page" | sed 's/.*,pid="\([0-9]*\)".*/\1/'; }
    for round in 1 2 3; do
        clients 'visit(8100, 20)'
        eventually is $((20 * round)) sockfair_worker_connections_total "$of_8100"
        before=$(value sockfair_worker_connections_total 'slot="0"')
        killed=$(pid_of 0)
        kill -KILL "$killed"
        another() { [ "$(pid_of 0)" != "$killed" ] && [ -n "$(pid_of 0)" ]; }
        eventually another
        is "$before" sockfair_worker_connections_total 'slot="0"'
        is 2 sockfair_workers "$of_8100"
        [ -z "$(value sockfair_worker_connections_total 'slot="2"')" ]
    done
}

@test "no counter goes back while ports, processes and threads come and go and rows are given back" {
    serve 's = tcp(8100); process(accepts_by_short_threads, s)'
    export_begin -P 8100-8110 --series-max 500
    clients "def found(port):
    while f'port=\"{port}\"}} 1\n' not in ''.join(l for l in open('$page') if l.startswith('sockfair_sockets')): time.sleep(0.01)
for round in range(9):
    port = 8101 + round % 3
    visit_briefly(8100, 200)
    s = free(port)
    pid = process(accepts, s)
    visit(port, 3)
    found(port)
    visit(port, 1)
    s.close()
    os.kill(pid, 9)
    os.wait()" &
    busy=$!
    started+=($busy)
    : >"$page.last"
    pages=0
    while kill -0 $busy 2>/dev/null; do
        cp "$page" "$page.now"
        # Of each series that both pages have: not less.
        awk 'NR == FNR { was[$1] = $NF; next } /^sockfair_[a-z_]*_(total|count|sum|bucket)[ {]/ && ($1 in was) && $NF + 0 < was[$1] + 0 { print "fell from " was[$1] ": " $0; bad = 1 } END { exit bad }' \
            "$page.last" "$page.now"
        mv "$page.now" "$page.last"
        pages=$((pages + 1))
        sleep 0.1
    done
    [ $pages -gt 5 ]
    eventually is 1800 sockfair_connections_total "$of_8100"
    # Closed ports stay for a while, without sockets, and go on from their counters when they are back.
    for port in 8101 8102 8103; do
        eventually is 12 sockfair_connections_total "port=\"$port\""
        eventually is 0 sockfair_sockets "port=\"$port\""
    done
}

@test "a window: one verdict of each port is 1, its events are those of the window, and readers do not end it" {
    serve_mode shared-accept --port 8100 -w 2
    export_begin -P 8100 --window 2
    [ -z "$(value sockfair_window_events)" ]
    clients 'visit(8100, 40)'
    some() { [ "$(value sockfair_window_events "$of_8100")" = "$1" ]; }
    eventually some 40
    is 1 sockfair_window_verdict "$of_8100"
    is 0 sockfair_window_verdict "$of_8100" 'verdict="not-applicable"'
    [ "$(grep -c '^sockfair_window_verdict{' "$page")" = 6 ]
    is 1 sockfair_window_design 'design="shared-accept"'
    [[ $(value sockfair_window_seconds) =~ ^2(\.|$) ]]
    first=$(value sockfair_window_end_timestamp_seconds)
    eventually some 0
    is 1 sockfair_window_verdict "$of_8100" 'verdict="not-applicable"'
    [ "$(awk -v a="$first" -v b="$(value sockfair_window_end_timestamp_seconds)" 'BEGIN { n = (b - a) / 2; print (n > 0.9 && (n - int(n + 0.5)) ^ 2 < 0.06) }')" = 1 ]
    is 40 sockfair_connections_total "$of_8100"
}

@test "a worker that a signal stopped is told, and what it does not accept is a finding" {
    serve 's = [tcp(8100, reuseport=True), tcp(8100, reuseport=True)]
print("said", *[process(accepts, one) for one in s])'
    export_begin -P 8100 --window 2
    eventually is 0 sockfair_worker_stopped "$of_8100"
    kill -STOP "${said%% *}"
    eventually is 1 sockfair_worker_stopped "$of_8100"
    clients 'ask(8100, 40); time.sleep(3)'
    stalled() { grep '^sockfair_window_finding{' "$page" | grep -q 'level="problem"'; }
    eventually stalled
    kill -CONT "${said%% *}"
    eventually is 0 sockfair_worker_stopped "$of_8100"
    goes_on() { ! stalled; }
    eventually goes_on
}

@test "promtool has nothing to say of a page; OpenMetrics has the same samples, and its parser takes it" {
    serve_mode reuseport --port 8100 -w 2
    serve_mode udp-shared --port 8101 -w 2
    export_begin -P 8100,8101 --window 1 --own-cost
    clients 'visit(8100, 30); send(8101, 5)'
    eventually is 30 sockfair_connections_total "$of_8100"
    eventually is 5 sockfair_datagrams_received_total 'port="8101"'
    seen() { is 30 sockfair_window_events "$of_8100"; }
    eventually seen
    cp "$page" "$page.classic"
    run -0 promtool check metrics <"$page.classic"
    [ -z "$output" ] || { echo "$output"; return 1; }
    is "$(grep -vc '^#' "$page.classic")" sockfair_series
    [ -n "$(value sockfair_own_cost_seconds_total 'part="kernel"')" ]
    end "$export" INT
    export_begin -P 8100,8101 --window 1 --own-cost --format openmetrics
    clients 'visit(8100, 30); send(8101, 5)'
    eventually seen
    cp "$page" "$page.open"
    /usr/bin/python3 - "$page.open" "$page.classic" <<'EOF'
import sys
from prometheus_client.openmetrics import parser
from prometheus_client import parser as classic_parser
open_page, classic = open(sys.argv[1]).read(), open(sys.argv[2]).read()
def series(families):
    return {(s.name, tuple(sorted(s.labels.items()))) for f in families for s in f.samples if "finding" not in s.name}
def names(found):
    return {name for name, _ in found}
one = series(parser.text_string_to_metric_families(open_page))
other = series(classic_parser.text_string_to_metric_families(classic))
assert names(one) == names(other) and len(one) > 80, names(one) ^ names(other)
EOF
}

@test "filters, --workers, --no-serve, --no-wait and --series-max decide what has series" {
    serve_mode reuseport --port 8100 -w 3 --processes
    serve_mode reuseport --port 8101 -w 3
    export_begin -P 8100 --workers pid
    clients 'visit(8100, 10); visit(8101, 10)'
    eventually is 10 sockfair_connections_total
    [ "$(grep '^sockfair_worker_connections_total{' "$page" | grep -c 'pid="[0-9]*"} ')" = 3 ]
    ! grep 'slot=' "$page"
    ! grep 'port="8101"' "$page"
    end "$export" INT
    export_begin -P 8100,8101 --workers none --no-serve --no-wait
    eventually is 3 sockfair_workers "$of_8100"
    ! grep -E '^sockfair_(worker_|bytes|open_connections|accept_wait)' "$page"
    end "$export" INT
    export_begin -P 8100,8101 --series-max 100
    eventually test -s "$page"
    [ "$(grep -vc '^#' "$page")" -le 100 ]
    [ "$(grep -vc '^#' "$page")" = "$(value sockfair_series)" ]
    [ "$(value sockfair_series_left_out)" -gt 0 ]
    is 100 sockfair_series_limit
}

@test "a signal's end removes the file; kill -9 leaves it, and nothing that the next start does not remove" {
    serve_mode shared-accept --port 8100 -w 2
    export_begin -P 8100
    end "$export" TERM
    [ -z "$(ls -A "${page%/*}" | grep '^\.\|prom$')" ]
    export_begin -P 8100
    end "$export" KILL
    [ -s "$page" ]
    [ "$(ls -A "${page%/*}" | grep -c '^\.')" -le 1 ]
    echo half >"${page%/*}/.metrics.prom.sockfair"
    umask 077 # node_exporter is another user, and has to read it
    export_begin -P 8100
    eventually test ! -e "${page%/*}/.metrics.prom.sockfair"
    chmod 755 "$BATS_TEST_TMPDIR"
    [ "$(stat -c %a "$page")" = 644 ]
    status=0
    kill -INT "$export"
    wait "$export" || status=$?
    export=
    [ "$status" = 0 ]
}

@test "each page is whole, whenever it is read" {
    serve_mode reuseport --port 8100 -w 40
    export_begin -P 8100 -i 0.1
    for i in {1..300}; do
        tail -1 "$page" | grep -q '^sockfair_start_time_seconds [0-9.]*$' || { tail -1 "$page"; return 1; }
    done
}

@test "a folder that another user owns has its first page by the time that exporting is said, and later ones, and no file in the end" {
    mkdir -m 755 "$BATS_TEST_TMPDIR/theirs"
    chown nobody "$BATS_TEST_TMPDIR/theirs"
    page=$BATS_TEST_TMPDIR/theirs/metrics.prom
    serve_mode shared-accept --port 8100 -w 2
    mkfifo "$BATS_TEST_TMPDIR/says"
    "$sockfair" export --textfile "$page" -i 0.2 -P 8100 2>"$BATS_TEST_TMPDIR/says" 3>&- &
    export=$!
    read -r said <"$BATS_TEST_TMPDIR/says" || :
    [[ $said == exporting* ]] || { echo "$said"; return 1; }
    [ -s "$page" ]
    clients 'visit(8100, 5)'
    eventually is 5 sockfair_connections_total "$of_8100"
    end "$export" INT
    export=
    [ -z "$(ls -A "$BATS_TEST_TMPDIR/theirs")" ]
}

@test "what can't be: one line" {
    refused 2 "which of the two" export --textfile "$page" --listen 127.0.0.1:0
    refused 2 "by HTTP the client chooses" export --format classic
    refused 2 "is no place to listen at" export --listen nonsense
    refused 2 "0.1 to 86400, not '0'" export --textfile "$page" -i 0
    refused 2 "1 to 86400, not '0'" export --textfile "$page" --window 0
    refused 2 "1 to 86400, not 'x'" export --textfile "$page" --window x
    refused 2 "slot, pid or none, not 'all'" export --textfile "$page" --workers all
    refused 2 "not '99'" export --textfile "$page" --series-max 99
    refused 2 "classic or openmetrics, not 'json'" export --textfile "$page" --format json
    refused 2 "use -P 80" export --textfile "$page" 80
    refused 1 "cannot write /nonexistent/x.prom: No such file or directory" export --textfile /nonexistent/x.prom
    refused 1 "cannot write /dev/null: it is no regular file" export --textfile /dev/null
    refused 1 "cannot write /proc/x.prom: " export --textfile /proc/x.prom
    refused 1 "cannot write $BATS_TEST_TMPDIR/: Is a directory" export --textfile "$BATS_TEST_TMPDIR/"
    refused 1 "no process" export --textfile "$page" -p 4194304
    [ -c /dev/null ]
    echo old >"$page" # another's, or of a time before: what never began leaves it
    run -1 setpriv --bounding-set=-bpf,-perfmon,-sys_admin --inh-caps=-bpf,-perfmon,-sys_admin "$everywhere" export --textfile "$page"
    assert_one_line missing
    [ "$(<"$page")" = old ]
}

@test "a page that can't be written is told once, and again once it could: the old one stays" {
    mkdir "$BATS_TEST_TMPDIR/small"
    mount -t tmpfs -o size=64k tmpfs "$BATS_TEST_TMPDIR/small"
    page=$BATS_TEST_TMPDIR/small/metrics.prom
    serve_mode shared-accept --port 8100 -w 2
    "$sockfair" export --textfile "$page" -i 0.2 -P 8100 2>"$BATS_TEST_TMPDIR/export.says" 3>&- &
    export=$!
    eventually test -s "$page"
    head -c 200000 /dev/zero >"$BATS_TEST_TMPDIR/small/full" 2>/dev/null || :
    cp "$page" "$BATS_TEST_TMPDIR/old"
    eventually grep -q 'cannot write a page: No space left on device' "$BATS_TEST_TMPDIR/export.says"
    sleep 0.7
    [ "$(grep -c 'cannot write' "$BATS_TEST_TMPDIR/export.says")" = 1 ]
    tail -1 "$page" | grep -q '^sockfair_start_time_seconds'
    rm "$BATS_TEST_TMPDIR/small/full"
    clients 'visit(8100, 5)'
    eventually is 5 sockfair_connections_total "$of_8100"
    end "$export" INT
    export=
    umount "$BATS_TEST_TMPDIR/small"
}

@test "what can't be read for a moment is told once, and read by a later page, with the counters as they were; 10 times in a row end it" {
    serve_mode shared-accept --port 8100 -w 2
    export_begin -P 8100 -i 1
    clients 'visit(8100, 5)'
    eventually is 5 sockfair_connections_total "$of_8100"
    begun=$(value sockfair_start_time_seconds)
    prlimit --pid "$export" --nofile=3:
    eventually grep -q 'cannot read what was counted: Too many open files; trying again' "$page.says"
    clients 'visit(8100, 5)'
    prlimit --pid "$export" --nofile=1024:
    eventually is 10 sockfair_connections_total "$of_8100"
    is "$begun" sockfair_start_time_seconds
    [ "$(grep -c 'cannot' "$page.says")" = 1 ] || { cat "$page.says"; return 1; }
    end "$export" INT
    export_begin -P 8100 -i 0.1
    prlimit --pid "$export" --nofile=3:
    status=0
    wait "$export" || status=$?
    export=
    [ "$status" = 1 ]
    [ "$(tail -1 "$page.says")" = "sockfair: cannot read what was counted: Too many open files, 10 pages in a row" ] || { cat "$page.says"; return 1; }
}

@test "the man page has the table of metrics that the program has, and names each of its options" {
    diff <("$sockfair" export --list-metrics=man) <(sed -n '/^\.\\" Made by/,/^\.\\" End of/p' "$BATS_TEST_DIRNAME/../../user/man/sockfair-export.1" | sed '1d;$d')
    [ "$("$sockfair" export --list-metrics | wc -l)" = "$("$sockfair" export --list-metrics=man | grep -c '^\.It')" ]
    run -0 "$sockfair" export --list-metrics
    [[ $output == *$'sockfair_accept_wait_seconds\thistogram\tseconds\tport\tle\t'* ]]
    for option in $("$sockfair" export --help | grep -oE '^ +(-[a-z], )?--[a-z-]+' | sed 's/.*--//' | grep -vxE 'pid|port|comm|cgroup|netns|ipv4|ipv6|tcp|udp|help|usage|version'); do
        grep -q -- "-$option" "$BATS_TEST_DIRNAME/../../user/man/sockfair-export.1" || { echo "--$option"; return 1; }
    done
}
