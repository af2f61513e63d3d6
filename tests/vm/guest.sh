#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# guest.sh: what run.sh runs under each kernel, as root in the virtual machine. Every backend is forced in turn: all modes,
# 20,000 connections in one, attached to blocked workers, overfull receive buffers, and the self-test. An emulated machine makes some
# 400 to 1,000 connections a second: VM_REQUESTS=20000 gives every mode that many and takes half an hour a kernel.
set -uo pipefail
n=${VM_REQUESTS:-1000}
dir=$(mktemp -d)
tests=0

count_results() { # LABEL STATUS FILE OPTION...
    local label=$1 status=$2 file=$3
    shift 3
    [ "$status" = 0 ] || sed 's/^/# /' "$dir/errors"
    tests/check_results.py --tap --label "$label " "$@" "$file" >"$dir/tap" 2>&1
    cat "$dir/tap"
    tests=$((tests + $(grep -cE '^(not )?ok ' "$dir/tap")))
}

for backend in fentry kprobe tracepoint; do
    ./sockfair run all --json -n "$n" --backend $backend -o "$dir/all" 2>"$dir/errors"
    count_results "$backend" $? "$dir/all" --sent "$n"
    ./sockfair run shared-accept -C 64 --json -n 20000 --backend $backend -o "$dir/one" 2>"$dir/errors"
    count_results "$backend, 64 at once:" $? "$dir/one" --sent 20000
    # Workers that were blocked in accept() before anything was attached, in each way of waiting.
    for mode in reuseport single-listener io-uring; do
        ./sockfair run $mode --json -n 500 --processes --backend $backend -o "$dir/one" 2>"$dir/errors"
        count_results "$backend, blocked before, processes:" $? "$dir/one" --sent 500
    done
    for address in 127.0.0.1 ::1; do
        ./sockfair run udp-shared --json -n 3000 -w 2 -C 1024 --work 500 --bind $address --backend $backend -o "$dir/one" 2>"$dir/errors"
        count_results "$backend, full receive buffer on $address:" $? "$dir/one" --sent 3000
    done
    udp_mem=$(cat /proc/sys/net/ipv4/udp_mem)
    used=$(awk '/^UDP:/ { print $5 }' /proc/net/sockstat)
    echo "$used $((used + 20)) $((used + 40))" >/proc/sys/net/ipv4/udp_mem
    ./sockfair run udp-shared --json -n 3000 -w 2 -C 1024 --work 500 --backend $backend -o "$dir/one" 2>"$dir/errors"
    count_results "$backend, memory for UDP spent:" $? "$dir/one"
    echo "$udp_mem" >/proc/sys/net/ipv4/udp_mem
    ./sockfair doctor --backend $backend >"$dir/doctor" 2>&1
    status=$?
    tests=$((tests + 1))
    if [ $status = 0 ]; then
        echo "ok - $backend: doctor's self-test"
    else
        echo "not ok - $backend: doctor's self-test"
        sed 's/^/# /' "$dir/doctor"
    fi
done
left=$(bpftool prog show 2>/dev/null | grep -cE 'name [fkt]+_' || :)
tests=$((tests + 1))
if [ "$left" = 0 ]; then echo "ok - nothing stays attached"; else echo "not ok - $left programs stay attached"; fi
echo "1..$tests"
