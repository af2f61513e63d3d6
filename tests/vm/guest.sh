#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# guest.sh [BACKEND...]: what run.sh runs under each kernel, as root in the virtual machine. Every backend (of those named) is forced in turn: all modes,
# some thousand connections in one, attached to blocked workers, waits and queues (tests/waits.py), bytes and CPU time (tests/load.py), datagrams (tests/datagrams.py), bind() and
# listen() (tests/binds.py), what export offers, overfull receive buffers. Then, once: the self-test, the textbook
# claims, and bind-check. An emulated machine makes some 400 to 1,000 connections a second: VM_REQUESTS=20000 gives every mode that many and takes half an hour a kernel.
set -uo pipefail
n=${VM_REQUESTS:-300}
[ $# -gt 0 ] || set -- fentry kprobe tracepoint
dir=$(mktemp -d)
tests=0
export SOCKFAIR_TEST_DOCUMENTS=$dir/documents
mkdir "$SOCKFAIR_TEST_DOCUMENTS"

# Prints the test lines of $dir/tap, and counts them.
said() {
    cat "$dir/tap"
    tests=$((tests + $(grep -cE '^(not )?ok ' "$dir/tap")))
}

# Runs the cases of a FILE, all if none is named, with a backend.
cases_of() { # FILE BACKEND LABEL CASE...
    "tests/$1" --backend "$2" --label "$2$3: " "${@:4}" >"$dir/tap" || grep -q '^not ok ' "$dir/tap" || echo "not ok - $2$3: $1 ended badly" >>"$dir/tap"
    said
}

# Runs sockfair with OPTION... under a backend and prints a test line per document. On an emulated machine programs are preempted long enough
# for the kernel to skip some: a result that says so (lost: runs_missed) is right, but no proof, and is tried once more.
counted() { # BACKEND LABEL SENT OPTION...
    local backend=$1 label=$2 sent=$3 try
    shift 3
    for try in 1 2; do
        ./sockfair run "$@" --json --backend "$backend" -o "$dir/out" 2>"$dir/errors" || sed 's/^/# /' "$dir/errors"
        tests/check_results.py --tap --label "$label " ${sent:+--sent "$sent"} "$dir/out" >"$dir/tap" 2>&1 && break
        [ $try = 2 ] || ! grep -q runs_missed "$dir/out" || { echo "# $label: runs were skipped, tried again"; continue; }
        break
    done
    said
}

# What `export` offers of 200 connections is that: in all, by worker, and each with its wait.
exported() { # BACKEND
    local page=$dir/page.prom server exporter
    ./sockfair run reuseport --serve-only --port 8300 -w 2 >/dev/null 2>"$dir/serves" &
    server=$!
    ./sockfair export --textfile "$page" -i 0.5 -P 8300 --backend "$1" 2>"$dir/errors" &
    exporter=$!
    sum() { awk -v series="$1" 'index($0, series) == 1 { sum += $NF } END { print sum + 0 }' "$page" 2>/dev/null; }
    for _ in {1..600}; do [ "$(sum sockfair_workers)" != 2 ] && kill -0 $exporter 2>/dev/null || break; sleep 0.1; done
    PYTHONPATH=tests/cli python3 -c 'from sockets import *; visit(8300, 200)' 2>>"$dir/errors"
    for _ in {1..300}; do [ "$(sum sockfair_connections_total)" != 200 ] && kill -0 $exporter 2>/dev/null || break; sleep 0.1; done
    if [ "$(sum sockfair_connections_total) $(sum sockfair_worker_connections_total) $(sum sockfair_accept_wait_seconds_count)" = '200 200 200' ]; then
        echo "ok - $1, export: 200 connections" >"$dir/tap"
    else
        { echo "not ok - $1, export: 200 connections"; cat "$dir/errors" "$page" | sed 's/^/# /'; } >"$dir/tap" 2>&1
    fi
    kill -INT "$exporter" "$server" 2>/dev/null
    wait "$exporter" "$server"
    said
}

# Textbook claims, with the richest backend: a line per claim. That which waits for ports to be free takes a minute, beside all the rest.
# Red also where sockfair failed (STATUS), or where the check itself did and said nothing.
claims() { # STATUS FILE LABEL OPTION...
    local status
    tests/check_claims.py --tap --label "$3" "${@:4}" "$2" >"$dir/tap" 2>"$dir/errors"
    status=$?
    sed 's/^/# /' "$dir/errors" >>"$dir/tap"
    [ "$1" = 0 ] || echo "not ok - ${3}sockfair's status is $1" >>"$dir/tap"
    [ $status = 0 ] || grep -q '^not ok ' "$dir/tap" || echo "not ok - ${3}check_claims.py: status $status" >>"$dir/tap"
    said
}

./sockfair claims port-free-after-two-minutes --json -o "$dir/slow" &
slow=$!
for backend; do
    # fentry and kprobe are the same functions and handlers: of the second, one of each kind.
    modes=all
    [ $backend != kprobe ] || modes='single-listener reuseport io-uring udp-shared udp-reuseport'
    # shellcheck disable=SC2086
    counted $backend $backend "$n" $modes -n "$n"
    # Workers that were blocked in accept() before anything was attached, in each way of waiting.
    modes=io-uring
    [ $backend = kprobe ] || modes+=' reuseport'
    [ $backend != fentry ] || modes+=' single-listener'
    for mode in $modes; do
        counted $backend "$backend, blocked before, processes:" 300 "$mode" -n 300 --processes
    done
    [ $backend != fentry ] || counted $backend "$backend, 64 at once:" 1000 shared-accept -C 64 -n 1000
    # All that differs by kernel with one backend; what differs by backend with each.
    cases=(a_sleeping_worker migrated who_serves into_the_rings_table address_fault)
    [ $backend != fentry ] || cases+=(fast_open queued_before reset_in_queue closed_with_a_queue cpu_and_sleeps)
    cases_of waits.py $backend '' "${cases[@]}"
    # The same programs read bytes with each backend, but an accept is seen later with tracepoint. Datagrams come to the same handlers by three ways.
    case $backend in
        fentry)
            cases_of load.py $backend '' every_end threads_with_an_epoll_each cpu_of_processes
            cases_of datagrams.py $backend ''
            ;;
        kprobe) cases_of datagrams.py $backend '' single merged heavy by_ipv6 multicast ;;
        tracepoint)
            cases_of load.py $backend '' every_end
            cases_of datagrams.py $backend '' single merged not_asked_for heavy by_ipv6 dropped left_out connected multicast
            ;;
    esac
    exported $backend
    # The rows are the same code with each backend; where tracepoint sees no arrivals it loses fewer.
    case $backend in
        fentry)
            cases_of shares.py $backend ''
            cases_of fitted.py $backend '' counting
            ;;
        tracepoint) cases_of shares.py $backend '' one_users_sockets ;;
    esac
    # What steers is one program; what it decides by comes from each backend.
    case $backend in
        fentry) # each loads it once, which takes long here
            cases_of steer.py $backend ', steer' even least members hangs mptcp udp_slow udp_all_stopped udp_connected vrf
            cases_of steer_reuseport.py $backend ', steer' beside_another
            ;;
        tracepoint) cases_of steer.py $backend ', steer' least udp_slow ;;
    esac
    # Who has a port is looked up alike with each.
    cases=(each_call_once reasons)
    case $backend in
        fentry) cases+=(security_module too_many_at_once by_32_bits vrf) ;;
        kprobe) cases+=(too_many_at_once) ;;
        tracepoint) cases+=(io_uring connect_finds_no_port) ;;
    esac
    cases_of binds.py $backend ', binds' "${cases[@]}"
    addresses=127.0.0.1
    [ $backend != fentry ] || addresses+=' ::1' # with tracepoint both families have the same hooks
    for address in $addresses; do
        counted $backend "$backend, full receive buffer on $address:" 2000 udp-shared -n 2000 -w 2 -C 1024 --work 500 --bind "$address"
    done
    udp_mem=$(cat /proc/sys/net/ipv4/udp_mem)
    used=$(awk '/^UDP:/ { print $5 }' /proc/net/sockstat)
    echo "$used $((used + 20)) $((used + 40))" >/proc/sys/net/ipv4/udp_mem
    counted $backend "$backend, memory for UDP spent:" '' udp-shared -n 2000 -w 2 -C 1024 --work 500
    echo "$udp_mem" >/proc/sys/net/ipv4/udp_mem
done
if ./sockfair doctor >"$dir/says" 2>&1; then
    echo "ok - doctor's self-test" >"$dir/tap"
else
    { echo "not ok - doctor's self-test"; sed 's/^/# /' "$dir/says"; } >"$dir/tap"
fi
said
# All but the bottleneck: twenty loads for a rate that says nothing here. Each tries again itself where runs of programs were skipped.
names='tcp-reuseport-binds udp-reuseport-binds shared-accept-unfair reuseport-even-threads reuseport-even-processes udp-reuseaddr-one-gets-all
       reuseaddr-hijack reuseport-prevents-hijack reuseaddr-immediate privileged-port htons'
# shellcheck disable=SC2086
./sockfair claims $names -n 1000 --json -o "$dir/claims"
# shellcheck disable=SC2086
claims $? "$dir/claims" 'claims: ' --names "$(echo $names | tr ' ' ,)"
wait $slow
claims $? "$dir/slow" 'claims, beside the rest: ' --names port-free-after-two-minutes
# No backend plays a part in it, and every case asks some twenty times.
tests/bind_rules.py --every 41 --label "bind-check: " tcp_connections several vrf >"$dir/tap"
said
tests/check_schema.py --kept "$SOCKFAIR_TEST_DOCUMENTS" >"$dir/tap" 2>&1
said
# The kernel frees programs some grace periods after their last user, which takes seconds on an emulated machine.
left() { bpftool prog show 2>/dev/null | grep -E 'name ([fkt]+_|state_|first_read)'; }
for _ in {1..60}; do left >"$dir/left" || break; sleep 0.5; done
tests=$((tests + 1))
if [ ! -s "$dir/left" ]; then
    echo "ok - nothing stays attached"
else
    echo "not ok - $(wc -l <"$dir/left") programs stay attached"
    { cat "$dir/left"; ps -eo pid,ppid,etimes,args | grep '[s]ockfair'; } | sed 's/^/# /'
fi
echo "1..$tests"
