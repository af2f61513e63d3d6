#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh quick|all: runs the tests and ends with one line "N passed, N failed[, N skipped]". Every suite speaks TAP: unit tests (cmocka),
# tests/cli (bats) on this kernel, and with `all` tests/servers, real servers on this kernel and on one that has fentry, and tests/vm, other
# kernels. Two suites run beside each other where neither measures time or how even workers are. A suite that ends badly without saying which test
# failed counts as one failure.
set -uo pipefail
cd "$(dirname "$0")/.."
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
    took=$((SECONDS - begun))
    [ "$1" != shown ] || read -r _ took <"$2.status"
    echo "#   $took s"
    if ! grep -qx 'status 0' "$statuses" && [ $failed = "$failed_before" ]; then
        failed=$((failed + 1))
        echo "not ok - $name ended with $(cat "$statuses")"
    elif [ $passed = "$passed_before" ] && [ $failed = "$failed_before" ]; then
        failed=$((failed + 1))
        echo "not ok - $name: no test passed"
    fi
}

# Runs what suite() shows later, once it has ended.
later() { # FILE COMMAND...
    local file=$1 status=0 begun=$SECONDS
    shift
    "$@" >"$file" 2>&1 || status=$?
    echo "$status $((SECONDS - begun))" >"$file.status"
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

# A suite to be run beside another one: `together` does.
beside() { # NAME COMMAND...
    names+=("$1")
    commands+=("$(printf '%q ' "${@:2}")")
}

# One of two that run the suites beside each other: the one from the first on, the other from the last, until they meet.
lane() { # NUMBER-OF-SUITE...
    local number
    for number; do
        mkdir "$folder/begun.$number" 2>/dev/null || return 0
        eval "later $folder/suite.$number ${commands[number]}"
    done
}

# Shows each as soon as it and those before it have ended.
together() {
    local number last=$((${#names[@]} - 1))
    # shellcheck disable=SC2046
    lane $(seq 0 $last) &
    # shellcheck disable=SC2046
    lane $(seq $last -1 0) &
    for number in "${!names[@]}"; do
        until [ -s "$folder/suite.$number.status" ]; do sleep 0.1; done
        suite "${names[number]}" shown "$folder/suite.$number"
    done
    wait
    rm -r "$folder"/{begun,suite}.*
    names=() commands=()
}

folder=$(mktemp -d)
statuses=$folder/statuses
trap 'rm -rf "$folder"' EXIT
trap 'kill $(descendants $$) 2>/dev/null; exit 130' INT TERM
export SOCKFAIR_TEST_DOCUMENTS=$folder/documents SOCKFAIR_TEST_N=1000
mkdir "$SOCKFAIR_TEST_DOCUMENTS"
# In a network namespace of its own, where no other suite and no server of the machine has a port.
own_network=(unshare --net sh -c 'ip link set lo up && exec "$@"' sh)
export SOCKFAIR_TEST_MACHINE=/proc/$$/ns/net # where settings of the whole machine are
bats=("${own_network[@]}" bats --tap)
if [ "$1" = quick ]; then bats+=(--filter-tags '!slow'); else SOCKFAIR_TEST_N=20000; fi
if [ "$(id -u)" = 0 ]; then
    # How even workers are, what the machine's own settings do, and what a look at all its sockets in each interval shows, is asked with nothing beside it.
    for name in modes fail_on watch; do suite "cli: $name.bats" "${bats[@]}" tests/cli/$name.bats; done
    if [ "$1" = quick ]; then
        suite "waits: a server that measures itself" tests/waits.py a_sleeping_worker reset_in_queue who_serves
    else
        suite "waits: a server that measures itself" tests/waits.py
    fi
    # shellcheck disable=SC2046
    suite "load: clients that count bytes, and the kernel's clocks" tests/load.py $([ "$1" = all ] || echo every_end threads_with_an_epoll_each)
    suite "datagrams: a server that counts itself" tests/datagrams.py
    # Its ports are those of other suites, which look into all network namespaces.
    if [ "$1" = quick ]; then
        suite "binds: calls of every kind" tests/binds.py each_call_once reasons suspicions full_ring
    else
        suite "binds: calls of every kind" tests/binds.py
    fi
    for file in tests/cli/*.bats; do
        case $file in
            */modes.bats | */fail_on.bats | */watch.bats) ;;
            *) beside "cli: ${file##*/}" "${bats[@]}" "$file" ;;
        esac
    done
    [ "$1" = quick ] || beside "binds: beside the start of real servers" tests/starts.py
    beside "allocations that fail: each command" tests/short_of_memory.py
    beside "shares: one user's and one port's many rows" tests/shares.py
    if [ "$1" = quick ]; then
        beside "bind-check: against what bind() really does" tests/bind_rules.py --every 25
    else
        beside "bind-check: against what bind() really does" tests/bind_rules.py
    fi
fi
if [ "$1" = all ]; then beside "fuzz: made-up files, options and machines" tests/fuzz/run.sh 20 json_reader filters rules; fi
for program in .build/tests/test_*; do
    beside "unit: ${program##*/}" env CMOCKA_MESSAGE_OUTPUT=TAP "$program"
done
together
if [ "$(id -u)" = 0 ]; then
    if [ "$1" = all ]; then
        for file in tests/servers/*.bats; do suite "servers: ${file##*/}" bats --tap "$file"; done
    fi
    suite "documents" tests/check_schema.py --kept "$SOCKFAIR_TEST_DOCUMENTS"
    if [ "$1" = all ]; then
        kernels=$(awk '!/^#/ && $NF == "yes" { print $1 }' tests/vm/kernels)
        for kernel in $kernels servers cpus; do
            [ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n
            if [ "$kernel" = servers ]; then
                later "$folder/servers" env VM_GUEST=tests/vm/guest-servers.sh tests/vm/run.sh 6.1 &
            elif [ "$kernel" = cpus ]; then
                later "$folder/cpus" env VM_CPUS=2,maxcpus=240 VM_GUEST=tests/vm/guest-cpus.sh tests/vm/run.sh 6.1 &
            else
                later "$folder/$kernel" tests/vm/run.sh "$kernel" &
            fi
        done
        wait
        for kernel in $kernels; do suite "virtual machine" shown "$folder/$kernel"; done
        suite "servers in a virtual machine" shown "$folder/servers"
        suite "240 CPUs in a virtual machine" shown "$folder/cpus"
    fi
else
    failed=$((failed + 1))
    echo "not ok - the rest needs root: run make as root"
fi
echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ] && [ $passed -gt 0 ]
