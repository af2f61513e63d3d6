#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh quick|all: runs the tests of this kernel and ends with one line "N passed, N failed[, N
# skipped]". Every suite speaks TAP: unit tests (cmocka), tests/cli (bats), what measures beside
# sockfair (Python), and with `all` tests/servers, real servers. First those tests run that need
# the machine to themselves (tagged `alone`), then all others, several beside each other: each
# suite has a network namespace of its own. A suite that ends badly without saying which test
# failed counts as one failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
passed=0 failed=0 skipped=0

suite() { # NAME COMMAND...
    local name=$1 line failed_before=$failed passed_before=$passed begun=$SECONDS took
    shift
    echo "# $name"
    while IFS= read -r line; do
        case $line in
            *'ok '*'# SKIP'* | *'ok '*'# skip'*) skipped=$((skipped + 1)); echo "$line" ;;
            ok\ * | *': ok '*) passed=$((passed + 1)); [ -z "${V:-}" ] || echo "$line" ;;
            not\ ok\ * | *': not ok '*) failed=$((failed + 1)); echo "$line" ;;
            '# ok - '* | 1..* | *': 1..'* | *' passed, '*' failed'*) ;;
            *) echo "$line" ;;
        esac
    done < <("$@" 2>&1; echo "status $?" >"$statuses")
    took="$((SECONDS - begun)) s"
    [ "$1" != shown ] || read -r _ took <"$2.status"
    echo "#   $took"
    if ! grep -qx 'status 0' "$statuses" && [ $failed = "$failed_before" ]; then
        failed=$((failed + 1))
        echo "not ok - $name ended with $(cat "$statuses")"
    elif [ $passed = "$passed_before" ] && [ $failed = "$failed_before" ]; then
        failed=$((failed + 1))
        echo "not ok - $name: no test passed"
    fi
}

# Runs what suite() shows later, once it has ended; of its time, that of CPUs is said beside.
later() { # FILE COMMAND...
    local file=$1 status=0 TIMEFORMAT='%0R s, %0U s + %0S s of CPU'
    shift
    { time "$@" >"$file" 2>&1; } 2>"$file.took" || status=$?
    echo "$status $(cat "$file.took")" >"$file.status"
}
shown() { # FILE
    cat "$1"
    return "$(cut -d' ' -f1 "$1.status")"
}

descendants() { # PID
    local pid
    for pid in $(pgrep -P "$1"); do
        echo "$pid"
        descendants "$pid"
    done
}

names=() commands=()

# A suite to be run beside others: `together` does. What takes longest is named first.
beside() { # NAME COMMAND...
    names+=("$1")
    commands+=("$(printf '%q ' "${@:2}")")
}

# One of several that run the suites: each takes the next that none has begun.
lane() { # NUMBER [FIRST]: the number keeps the ports of real servers apart: some look into all network namespaces
    local number
    export SOCKFAIR_TEST_LANE=$1
    for ((number = ${2:-0}; number < ${#names[@]}; number++)); do
        mkdir "$folder/begun.$number" 2>/dev/null || continue
        eval "later $folder/suite.$number ${commands[number]}"
    done
}

ended() { # FILE: or nobody is left who could end it
    [ -s "$1.status" ] && return
    [ -z "$(jobs -rp)" ] || return 1
    [ -s "$1.status" ] || echo "255 0 s: what ran it has died" >"$1.status"
    touch "$1"
}

# Shows each as soon as it and those before it have ended.
together() {
    local number
    for number in $(seq "$lanes"); do lane "$number" & done
    for number in "${!names[@]}"; do
        until ended "$folder/suite.$number"; do sleep 0.1; done
        suite "${names[number]}" shown "$folder/suite.$number"
    done
    wait
    rm -rf "$folder"/{begun,suite}.*
    names=() commands=()
}

# Runs suites from number FIRST on while those wait that need the counts of the whole machine: they load no programs, and take
# time only where nobody else wants it.
aside() { # FIRST
    chrt --idle --pid 0 "$BASHPID"
    lane 0 "$1"
}

# FILE's tests in so many suites, as even as their number allows.
bats_beside() { # FILE PARTS
    local part name=${1#tests/} filter=()
    name="${name%%/*}: ${1##*/}"
    for part in $(seq "$2"); do
        [ "$2" = 1 ] || filter=(-f "^($(sed -nE 's/^@test "(.*)" \{$/\1/p' "$1" | sed -n "$part~$2p" | sed 's/[][\.*^$+?(){}|]/\\&/g' | paste -sd'|'))\$")
        beside "$name$([ "$2" = 1 ] || echo ", part $part of $2")" "${bats[@]}" "${filter[@]}" "$1"
    done
}

folder=$(mktemp -d)
statuses=$folder/statuses
trap 'rm -rf "$folder"' EXIT
trap 'kill $(descendants $$) 2>/dev/null; exit 130' INT TERM
export SOCKFAIR_TEST_DOCUMENTS=$folder/documents SOCKFAIR_TEST_N=1000
mkdir "$SOCKFAIR_TEST_DOCUMENTS"
# Part of its time a suite waits: for a window, for a server.
lanes=$(($(nproc) + 1))
# In a network namespace of its own, where no other suite and no server of the machine has a port.
own_network=(unshare --net sh -c 'ip link set lo up && exec "$@"' sh)
export SOCKFAIR_TEST_MACHINE=/proc/$$/ns/net # where settings of the whole machine are
quick=,!slow
[ "$1" = quick ] || { quick=''; SOCKFAIR_TEST_N=20000; }
bats=("${own_network[@]}" bats --tap --filter-tags "!alone$quick")
if [ "$(id -u)" = 0 ]; then
    if [ "$1" = all ]; then
        bats_beside tests/cli/watch.bats 4
        bats_beside tests/cli/findings.bats 3
        for name in claims list; do bats_beside tests/cli/$name.bats 2; done
        beside "binds: beside the start of real servers" tests/starts.py
        beside "steer: servers that count themselves" tests/steer.py
        beside "steer: one socket in several epolls" tests/steer_epoll.py
        beside "dist: what is installed for a fleet" tests/dist.py
        beside "steer: by a program of the group itself" tests/steer_reuseport.py
        for file in tests/servers/*.bats; do bats_beside "$file" 1; done
        beside "bind-check: against what bind() really does" tests/bind_rules.py
        for file in tests/cli/*.bats; do
            case $file in
                */watch.bats | */findings.bats | */claims.bats | */list.bats) ;;
                *) bats_beside "$file" 1 ;;
            esac
        done
        beside "allocations that fail: each command" tests/short_of_memory.py
        beside "fitted: programs are the same with all types and with few" tests/fitted.py
        beside "shares: one user's and one port's many rows" tests/shares.py
        beside "front: the exporter's two processes" tests/front.py
    else
        # Of the commands' own tests those of what changes most: `all` has the rest.
        bats_beside tests/cli/watch.bats 2
        bats_beside tests/cli/list.bats 2
        for name in findings modes compare live doctor layers man wide; do bats_beside tests/cli/$name.bats 1; done
    fi
fi
quiet=${#names[@]} # from here on no programs are loaded
if [ "$1" = all ]; then
    beside "fuzz: made-up files, options, machines and requests" tests/fuzz/run.sh 13 json_reader filters rules accept
    beside "form" env -u MAKEFLAGS -u MAKELEVEL sh -c 'make --no-print-directory lint && echo "ok - make lint has nothing to say"'
fi
for program in .build/tests/test_*; do
    beside "unit: ${program##*/}" env CMOCKA_MESSAGE_OUTPUT=TAP "$program"
done
if [ "$(id -u)" = 0 ]; then
    for file in $(grep -lE '^# bats test_tags=.*\balone\b' tests/cli/*.bats); do
        [ "$(bats --count --filter-tags "alone$quick" "$file")" = 0 ] ||
            suite "cli: ${file##*/}, alone" "${own_network[@]}" bats --tap --filter-tags "alone$quick" "$file"
    done
    aside "$quiet" &
    idle=$!
    # What is lost on the machine without a port that is known is lost for these, too.
    cases=() binds=()
    if [ "$1" = quick ]; then
        cases=(every_end threads_with_an_epoll_each) binds=(each_call_once reasons suspicions full_ring)
        suite "waits: a server that measures itself" tests/waits.py a_sleeping_worker reset_in_queue who_serves
    else
        suite "waits: a server that measures itself" tests/waits.py
    fi
    suite "load: clients that count bytes, and the kernel's clocks" tests/load.py "${cases[@]}"
    suite "datagrams: a server that counts itself" tests/datagrams.py
    suite "binds: calls of every kind" tests/binds.py --at-once 3 "${binds[@]}"
    [ "$1" = quick ] || suite "fleet: two machines and a Prometheus" tests/fleet.py
    for pid in $idle $(descendants "$idle"); do chrt --other --pid 0 "$pid" 2>/dev/null; done
fi
together
if [ "$(id -u)" = 0 ]; then
    suite "documents" tests/check_schema.py --kept "$SOCKFAIR_TEST_DOCUMENTS"
else
    failed=$((failed + 1))
    echo "not ok - the rest needs root: run make as root"
fi
echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ] && [ $passed -gt 0 ]
