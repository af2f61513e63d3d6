#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# run.sh [all|KERNEL...]: runs guest.sh under each kernel, in virtual machines: without arguments
# under those that tests/vm/kernels marks `yes`, with `all` under each in it; then two guests that
# show other things: `servers` (guest-servers.sh) and `cpus` (guest-cpus.sh). guest.sh prints
# "ok N - name", "not ok N - name" or "ok N - name # SKIP reason", and at the end "1..COUNT"; each
# line comes out behind the kernel's name. What fails around the tests prints "not ok - KERNEL:
# reason". The last line counts; the status is 0 only if nothing failed and some test passed under
# each kernel. Where there are several, as many run at once as there are CPUs.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
passed=0 failed=0 skipped=0

# The kernel, the script and its arguments, for one name.
machine() { # KERNEL|servers|cpus
    local runs
    kernel=$1 guest=$here/guest.sh arguments=()
    case $1 in
        servers) kernel=6.1 guest=$here/guest-servers.sh ;;
        cpus) kernel=6.1 guest=$here/guest-cpus.sh; export VM_CPUS=2,maxcpus=240 ;;
        *) runs=$(awk -v name="$1" '$1 == name { print $5 }' "$here/kernels") ;;
    esac
    [ "${runs:-all}" = all ] || IFS=, read -ra arguments <<<"$runs"
}

count() { # LINE
    case $1 in
        *'ok '*'# SKIP'* | *'ok '*'# skip'*) skipped=$((skipped + 1)) ;;
        ok\ * | *': ok '*) passed=$((passed + 1)) ;;
        not\ ok\ * | *': not ok '*) failed=$((failed + 1)) ;;
    esac
}

broken() { # NAME REASON: a failure that is not a test's own
    echo "not ok - $1: $2"
    failed=$((failed + 1))
}

run_one() { # NAME
    local folder modules line status reason='' plan='' begun=$SECONDS
    machine "$1"
    folder=$("$here/fetch.sh" "$kernel" 2>"$dir/messages") || { broken "$1" "cannot be fetched: $(tail -n 1 "$dir/messages")"; return; }
    modules=$(find -H "$folder" -path '*/lib/modules/*' -prune -print -quit)
    echo "# $1: booting ${modules##*/}"
    while IFS= read -r line; do
        echo "$1: $line"
        case $line in
            ok\ * | not\ ok\ *) count "$line" ;;
            1..*) plan=${line#1..} ;;
            '# boot.sh: '*) reason=${line#*: } ;;
        esac
    done < <(setpriv --pdeathsig TERM "$here/boot.sh" "$kernel" "$guest" "${arguments[@]}")
    status=0
    wait $! || status=$?
    echo "# $1: $((SECONDS - begun)) s"
    if [ $status = 125 ]; then
        broken "$1" "${reason:-boot.sh failed}"
    elif [ $status != 0 ] && [ $failed = 0 ]; then
        broken "$1" "${guest##*/} ended with status $status"
    elif [ $((passed + failed)) = 0 ]; then
        broken "$1" 'no test passed'
    elif [ "$plan" != $((passed + failed + skipped)) ]; then
        broken "$1" "${plan:-no number of} tests announced, $((passed + failed + skipped)) seen"
    fi
}

# Each in a run.sh of its own, the longest first; they are shown in that order.
run_several() { # NAME...
    local name number=0 line
    for name; do
        [ "$(jobs -rp | wc -l)" -lt "$(nproc)" ] || wait -n || :
        setpriv --pdeathsig TERM "$0" "$name" >"$dir/$name" 2>&1 &
        pids+=($!)
    done
    for name; do
        wait "${pids[number++]}" || :
        sed '$d' "$dir/$name"
        while IFS= read -r line; do count "$line"; done < <(sed '$d' "$dir/$name")
        tail -n 1 "$dir/$name" | grep -qE '^[0-9]+ passed, [0-9]+ failed' || broken "$name" "it came to no end: $(tail -n 1 "$dir/$name")"
    done
}

dir=$(mktemp -d) pids=()
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ $# = 0 ] || [ "$1" = all ]; then
    mapfile -t names < <(awk -v all="${1:-}" '!/^#/ && (all != "" || $4 == "yes") { print $1 }' "$here/kernels" | sort -rV)
    set -- "${names[@]}" servers cpus
fi
if [ $# = 1 ]; then run_one "$1"; else run_several "$@"; fi
echo "$passed passed, $failed failed$([ $skipped = 0 ] || echo ", $skipped skipped")"
[ $failed = 0 ] && [ $passed -gt 0 ]
