# SPDX-License-Identifier: GPL-2.0-or-later
# For the bats files of this folder.
everywhere=$BATS_TEST_DIRNAME/../../sockfair
here=$BATS_TEST_DIRNAME/here.sh # not into other network namespaces, whose servers may be anybody's
sockfair=$everywhere
check=$BATS_TEST_DIRNAME/../check_results.py
n=${SOCKFAIR_TEST_N:-20000}
# Sentences are looked for whole. That lines are broken: wide.bats.
export SOCKFAIR_COLUMNS=10000

# The programs of kernel side that are in the kernel, as lines of /proc/PID/fdinfo; PATTERN is of their names.
programs() { # PATTERN
    bpftool prog show | sed -nE "s/^([0-9]+): .* name ($1)[a-z0-9_]* .*/prog_id:\\t\\1/p"
}

# Whether PID holds a program of that name.
holds_program() { # PID PATTERN
    programs "$2" | grep -qxFf - /proc/"$1"/fdinfo/* 2>/dev/null
}

# Everything that a command of these tests could leave behind: our programs in the kernel, workers and clients. Others may run sockfair beside: theirs are
# processes of another run of bats, and the programs that these hold.
leftovers() {
    local pid left theirs=()
    left=$(programs '[fkt]+_|state_|first_read|list_sockets|list_threads|list_occupants|list_tcp|list_udp')
    for pid in $(ps -eo pid=,comm= | awk '$2 ~ /^(sockfair|worker-)/ { print $1 }'); do
        if grep -qzx "BATS_RUN_TMPDIR=$BATS_RUN_TMPDIR" "/proc/$pid/environ" 2>/dev/null; then
            ps -o pid=,comm= -p "$pid" || :
        else
            theirs+=("/proc/$pid/fdinfo"/*)
        fi
    done
    [ -z "$left" ] || cat "${theirs[@]}" /dev/null 2>/dev/null | grep '^prog_id' | grep -vxFf - <(echo "$left") || :
    ls -d /tmp/sockfair* 2>/dev/null || :
}

# Nothing is left, within 3 s: the kernel frees programs a grace period after their last user.
assert_clean() {
    local i
    for i in {1..60}; do
        [ -z "$(leftovers)" ] && return 0
        sleep 0.05
    done
    leftovers
    return 1
}

# One line on stderr, that begins with the program's name and holds TEXT.
assert_one_line() { # TEXT
    [ "$(wc -l <<<"$output")" = 1 ] && [[ $output == sockfair*"$1"* ]] || { echo "not one line with '$1': $output"; return 1; }
}

# One line and that status.
refused() { # STATUS TEXT ARGUMENT...
    local want=$1 text=$2
    shift 2
    run "$sockfair" "$@"
    [ "$status" = "$want" ] || { echo "status $status: $output"; return 1; }
    assert_one_line "$text"
}

# Until the command succeeds, for 30 s at most. What it writes is shown if it never does.
eventually() { # COMMAND...
    local i
    for i in {1..600}; do
        "$@" >"$BATS_TEST_TMPDIR/eventually" 2>&1 && return 0
        sleep 0.05
    done
    echo "not within 30 s: $*"
    cat "$BATS_TEST_TMPDIR/eventually"
    return 1
}

# ---- servers and clients: sockets.py ----

started=() # processes to kill in the end

# Runs Python code with sockets.py in the background, until it is ready. Its pid is in $server, what it said beside "ready" in $said.
serve() { # CODE [COMMAND-BEFORE...]
    local code=$1 says=$BATS_TEST_TMPDIR/says.${#started[@]}
    shift
    : >"$says"
    PYTHONPATH=$BATS_TEST_DIRNAME PYTHONDONTWRITEBYTECODE=1 "$@" /usr/bin/python3 -c "from sockets import *
$code
ready()
idle()" >>"$says" 2>&1 3>&- &
    server=$!
    started+=($server)
    eventually grep -q ^ready "$says" || { cat "$says"; return 1; }
    said=$(sed -n 's/^said //p' "$says")
}

# A server of ours, until it serves.
serve_mode() { # MODE OPTION...
    local says=$BATS_TEST_TMPDIR/says.${#started[@]}
    : >"$says"
    "$sockfair" run --serve-only "$@" >/dev/null 2>>"$says" 3>&- &
    server=$!
    started+=($server)
    eventually grep -q 'serving on' "$says" || { cat "$says"; return 1; }
}

clients() { # CODE [COMMAND-BEFORE...]
    local code=$1
    shift
    PYTHONPATH=$BATS_TEST_DIRNAME PYTHONDONTWRITEBYTECODE=1 "$@" /usr/bin/python3 -c "from sockets import *
$code"
}

end() { # PID [SIGNAL]
    kill "-${2:-KILL}" "$1" 2>/dev/null || :
    wait "$1" 2>/dev/null || :
}

end_started() {
    local pid
    for pid in "${started[@]}"; do end "$pid"; done
    started=()
}

# ---- `watch`: its pid is in $watch, its output in $out, both the test's own ----

# The setup and the teardown of a file whose tests watch.
watch_setup() {
    out=$BATS_TEST_TMPDIR/out
    watch=
}

watch_teardown() {
    [ -z "$watch" ] || end "$watch"
    end_started
    assert_clean
}

# In the background, until it says that it watches.
watch_begin() { # OPTION...
    : >"$out.says"
    "$sockfair" watch "$@" >"$out" 2>>"$out.says" 3>&- &
    watch=$!
    eventually grep -q '^watching ' "$out.says" || { cat "$out.says"; return 1; }
}

# Asks for the result. Fails if the status is another one.
watch_end() { # [STATUS [SIGNAL]]
    local status=0
    kill "-${2:-INT}" "$watch"
    wait "$watch" || status=$?
    watch=
    [ $status = "${1:-0}" ] || { echo "status $status"; cat "$out.says"; return 1; }
}

# The final document: in the schema, adds up, and has counted that many. FILTER holds for it.
counted() { # PORT COUNT [FILTER]
    "$check" --port "$1" --expect-accepted "$2" --expect-arrived "$2" "$out"
    tail -1 "$out" | jq -e ".window.final and (${3:-true})" || { tail -1 "$out"; return 1; }
}

more_lines() { [ "$(wc -l <"$out")" -gt "$1" ]; }

bats_require_minimum_version 1.5.0
