#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh [KERNEL...]: runs guest.sh (or the script named by $VM_GUEST) under each kernel, without arguments those that
# tests/vm/kernels marks `yes`. guest.sh prints "ok N - name", "not ok N - name" or "ok N - name # SKIP reason", and at the end "1..COUNT"; each line comes out behind
# the kernel's name. What fails around the tests prints "not ok - KERNEL: reason". The last line counts; the status is 0 only if
# nothing failed and some test passed under each kernel.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
guest=${VM_GUEST:-$here/guest.sh}
passed=0 failed=0 skipped=0

broken() { # KERNEL REASON: a failure that is not a test's own
    echo "not ok - $1: $2"
    failed=$((failed + 1))
}

run_kernel() { # KERNEL
    local folder modules line status reason='' plan='' passed_before=$passed failed_before=$failed before=$((passed + failed + skipped))
    folder=$("$here/fetch.sh" "$1" 2>"$messages") || { broken "$1" "cannot be fetched: $(tail -n 1 "$messages")"; return; }
    modules=$(find -H "$folder" -path '*/lib/modules/*' -prune -print -quit)
    echo "# $1: booting ${modules##*/}"
    while IFS= read -r line; do
        echo "$1: $line"
        case $line in
            ok\ *'# SKIP'* | ok\ *'# skip'*) skipped=$((skipped + 1)) ;;
            ok\ *) passed=$((passed + 1)) ;;
            not\ ok\ *) failed=$((failed + 1)) ;;
            1..*) plan=${line#1..} ;;
            '# boot.sh: '*) reason=${line#*: } ;;
        esac
    done < <(setpriv --pdeathsig TERM "$here/boot.sh" "$1" "$guest")
    status=0
    wait $! || status=$?
    if [ $status = 125 ]; then
        broken "$1" "${reason:-boot.sh failed}"
    elif [ $status != 0 ] && [ $failed = "$failed_before" ]; then
        broken "$1" "${guest##*/} ended with status $status"
    elif [ $passed = "$passed_before" ] && [ $failed = "$failed_before" ]; then
        broken "$1" 'no test passed'
    elif [ "$plan" != $((passed + failed + skipped - before)) ]; then
        broken "$1" "${plan:-no number of} tests announced, $((passed + failed + skipped - before)) seen"
    fi
}

messages=$(mktemp)
trap 'rm -f "$messages"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ $# = 0 ]; then
    mapfile -t all < <(awk '!/^#/ && $NF == "yes" { print $1 }' "$here/kernels")
    set -- "${all[@]}"
fi
for kernel; do run_kernel "$kernel"; done
echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ] && [ $passed -gt 0 ]
