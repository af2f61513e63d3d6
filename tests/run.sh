#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh quick|all: runs the tests and ends with one line "N passed, N failed[, N skipped]". Every suite speaks TAP: unit tests (cmocka),
# tests/cli (bats) on this kernel, and with `all` tests/servers, real servers on this kernel and on one that has fentry, and tests/vm, other
# kernels. A suite that ends badly without saying which test
# failed counts as one failure.
set -uo pipefail
cd "$(dirname "$0")/.."
passed=0 failed=0 skipped=0

suite() { # NAME COMMAND...
    local name=$1 line failed_before=$failed passed_before=$passed
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
    if ! grep -qx 'status 0' "$statuses" && [ $failed = "$failed_before" ]; then
        failed=$((failed + 1))
        echo "not ok - $name ended with $(cat "$statuses")"
    elif [ $passed = "$passed_before" ] && [ $failed = "$failed_before" ]; then
        failed=$((failed + 1))
        echo "not ok - $name: no test passed"
    fi
}

# Runs in the background what suite() shows later, once it has ended: for what mostly waits for an emulated machine's single thread.
later() { # FILE COMMAND...
    local file=$1 status=0
    shift
    "$@" >"$file" 2>&1 || status=$?
    echo $status >"$file.status"
}
shown() { # FILE
    cat "$1"
    return "$(cat "$1.status")"
}

folder=$(mktemp -d)
statuses=$folder/statuses
trap 'rm -rf "$folder"' EXIT
for program in .build/tests/test_*; do
    suite "unit: ${program##*/}" env CMOCKA_MESSAGE_OUTPUT=TAP "$program"
done
if [ "$(id -u)" = 0 ]; then
    for file in tests/cli/*.bats; do
        if [ "$1" = quick ]; then
            SOCKFAIR_TEST_N=1000 suite "cli: ${file##*/}" bats --tap --filter-tags '!slow' "$file"
        else
            SOCKFAIR_TEST_N=20000 suite "cli: ${file##*/}" bats --tap "$file"
        fi
    done
    if [ "$1" = quick ]; then
        suite "waits: a server that measures itself" tests/waits.py a_sleeping_worker reset_in_queue who_serves
        suite "datagrams: a server that counts itself" tests/datagrams.py
        suite "shares: one user's and one port's many rows" tests/shares.py
        suite "bind-check: against what bind() really does" tests/bind_rules.py --every 25
        suite "binds: calls of every kind" tests/binds.py each_call_once reasons suspicions full_ring
    else
        suite "waits: a server that measures itself" tests/waits.py
        suite "datagrams: a server that counts itself" tests/datagrams.py
        suite "shares: one user's and one port's many rows" tests/shares.py
        suite "bind-check: against what bind() really does" tests/bind_rules.py
        suite "binds: calls of every kind" tests/binds.py
    fi
    if [ "$1" = all ]; then
        for file in tests/servers/*.bats; do
            SOCKFAIR_TEST_N=20000 suite "servers: ${file##*/}" bats --tap "$file"
        done
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
