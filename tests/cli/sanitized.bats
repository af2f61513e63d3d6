#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Every command, of a program that was built with the address, leak and undefined-behaviour sanitizers. In a network namespace of its own, whose first process
# holds sockets of every kind.
load common

# bats file_tags=slow

sanitized=$BATS_TEST_DIRNAME/../../.build/sanitized/sockfair

setup() {
    # Workers that run as another user write there too.
    reports=$(mktemp -d "${TMPDIR:-/tmp}/reports-XXXXXX")
    chmod 1777 "$reports"
    export ASAN_OPTIONS=log_path=$reports/asan:exitcode=99:detect_leaks=1:detect_stack_use_after_return=1
    export UBSAN_OPTIONS=log_path=$reports/ubsan:print_stacktrace=1
    serve '
subprocess.run("ip link set lo up", shell=True, check=True)
for s in [tcp(8000, reuseport=True) for _ in range(3)]: thread(accepts, s, name="one-each")
shared = tcp(8001)
for _ in range(2): process(accepts, shared, name="beside")
thread(epolls, tcp(8002, address="::"))
thread(receives, udp(8003))
keep += [udp(8004, reuseaddr=True) for _ in range(2)]' unshare --net
    home=$server inside=(nsenter --target "$server" --net)
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    end_started
    rm -rf "$reports"
    assert_clean
}

no_report() {
    local file
    for file in "$reports"/*; do
        [ ! -e "$file" ] || { head -40 "$file"; return 1; }
    done
}

# It ends with that status and no report.
sane() { # STATUS ARGUMENT...
    local want=$1 status=0
    shift
    "${inside[@]}" timeout 120 "$sanitized" "$@" >out 2>says || status=$?
    [ "$status" = "$want" ] && no_report || { echo "$*: status $status"; head -20 says; return 1; }
}

# In the background, until it says that it watches. It ends by Ctrl-C.
sane_beside() { # CODE-OF-CLIENTS ARGUMENT...
    local code=$1 pid status=0
    shift
    "${inside[@]}" "$sanitized" "$@" >out 2>says 3>&- &
    pid=$!
    started+=($pid)
    eventually grep -qE "^(watching|exporting) " says
    clients "$code" "${inside[@]}"
    kill -INT $pid
    wait $pid || status=$?
    [ $status = 0 ] && no_report || { echo "$*: status $status"; head -20 says; return 1; }
}

traffic='visit(8000, 20); visit(8001, 20); visit(8002, 5); send(8003, 20)
udp(0).sendto(b"x", ("127.0.0.1", 8004))'
# Those that fail, and one of each other kind.
binds='
import contextlib
keep += [tcp(8010), udp(8011)]
for port in (8000, 8003, 8010, 80):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        for address in ("127.0.0.1", "::", "192.0.2.1"):
            with contextlib.suppress(OSError): keep.append(bound(kind, port, address))
os.setresuid(65534, 65534, 65534)
with contextlib.suppress(OSError): tcp(81)
with contextlib.suppress(OSError): tcp(20480)'

@test "a sanitizer's report is seen" {
    grep -q __asan_init "$sanitized"
    echo report >"$reports/asan.1"
    run no_report
    [ "$status" = 1 ]
}

@test "run: each mode, threads and processes" {
    sane 0 run all -n 60 -w 3
    sane 0 run all -n 60 -w 2 --processes --json
    sane 0 run reuseport udp-reuseport -n 200 -w 4 --work 10 --slow-worker 1 --repeat 2 --rate 100000 --flows 30 -o file
    sane 0 run shared-epoll --serve-only -d 0.1
    sane 1 run shared-accept --bind 192.0.2.1
}

@test "watch, as tables and on a terminal; list; compare" {
    sane_beside "$traffic" watch -i 0.2
    sane_beside "$traffic" watch -d 20 --json -o window --by socket --no-wait --no-serve
    sane 0 watch -i 0.1 -d 0.2 -P 8000-8004,9000 -t -4 -N $home
    sane 0 list -o file
    sane 0 list --json -o file -p $home -u
    sane 1 list -c /nosuch
    sane 0 run reuseport shared-accept -n 60 -w 3 --repeat 3 --json -o runs
    sane 0 compare runs
    sane 0 compare runs runs window:8000 --json -o compared
    sane 0 compare compared
    echo '{"schema": "sockfair/1", "endpoints": [{' >broken
    sane 1 compare runs broken
    "${inside[@]}" timeout 60 /usr/bin/python3 "$BATS_TEST_DIRNAME/press.py" '1234hhjks rpt4q' 'q quit' "$sanitized" watch 0.2
    no_report
}

@test "export: both formats, workers by slot and by pid, a limit that is too low" {
    # Once it counts it can't be traced by a process of its own any more, which finding leaks takes.
    ASAN_OPTIONS=${ASAN_OPTIONS/detect_leaks=1/detect_leaks=0}
    sane_beside "$traffic; time.sleep(2)" export --textfile page -i 0.3 --window 1
    sane_beside "$traffic" export --listen "unix:$PWD/page.sock" -i 0.3
    sane_beside "$traffic" export --textfile page -i 0.1 --window 1 --workers pid --format openmetrics --series-max 100
    sane 0 export --textfile page -d 0.2 --no-wait --no-serve -P 8000-8004 --workers none
    ASAN_OPTIONS=${ASAN_OPTIONS/detect_leaks=0/detect_leaks=1}
    sane 0 export --list-metrics
    sane 1 export --textfile /nonexistent/page
}

@test "claims, doctor, binds, bind-check, help, schemas, wrong calls" {
    local command
    sane 0 claims privileged-port htons tcp-reuseport-binds udp-reuseport-binds reuseaddr-hijack reuseport-even-processes -n 1000
    sane 0 claims udp-reuseaddr-one-gets-all shared-accept-unfair -n 1000 --json
    sane 0 doctor
    sane_beside "$binds" binds
    sane_beside "$binds" binds --all --json -N $home
    sane 3 bind-check 8000 8001 '[::]:8002' 127.0.0.1:8003 9000 80
    sane 3 bind-check 8003 8004 --udp --reuseaddr --user nobody --json
    sane 1 bind-check 80 --device nosuch0
    sane 0 --help
    sane 0 --version
    for command in '' comparison claims bind-check binds; do sane 0 --schema $command; done
    sane 2 --schema nosuch
    for command in $("$sockfair" --help | sed -nE 's/^  ([a-z-]+) +[a-z].*/\1/p'); do
        sane 0 "$command" --help
        sane 2 "$command" --nosuch
    done
}

# Of a range without a free port all descriptors are looked at. That takes a while, in which more
# calls come.
crowd='
import contextlib, resource, time
subprocess.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40001"], check=True)
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
keep += [bound(socket.SOCK_STREAM, port, "127.0.0.1") for port in (40000, 40001)]
keep += [os.dup(keep[0].fileno()) for _ in range(min(most - 100, 50000))]
end = time.monotonic() + 4
while time.monotonic() < end:
    with contextlib.suppress(OSError): bound(socket.SOCK_STREAM, 0, "127.0.0.1")
    for _ in range(200):
        with contextlib.suppress(OSError): bound(socket.SOCK_STREAM, 8000, "127.0.0.1")'

@test "binds: calls that come while a look is under way" {
    sane_beside "$crowd" binds
    grep -q 'both ports of 40000-40001' out
    grep -qE 'bind tcp 127.0.0.1:8000: EADDRINUSE' out
}
