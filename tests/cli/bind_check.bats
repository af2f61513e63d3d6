#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# `bind-check`, about sockets that are known. The kernel's rules are held against the kernel by tests/bind_rules.py. Each test has a network namespace of its own, whose first
# process holds it open.
load common

setup() {
    out=$BATS_TEST_TMPDIR/documents
    serve 'import subprocess; subprocess.run("ip link set lo up", shell=True, check=True)' unshare --net
    home=$server
}

teardown() {
    end_started
    [ ! -s "$out" ] || "$BATS_TEST_DIRNAME/../check_schema.py" sockfair-bind-check-1 "$out"
    assert_clean
}

# Python code with sockets, in the test's namespace; its pid is in $server.
inside() { serve "$1" nsenter --net=/proc/$home/ns/net; }

# The check of the first address is as FILTER of jq says. The status of bind-check is in $status.
check_is() { # FILTER OPTION...
    local filter=$1
    shift
    status=0
    "$sockfair" bind-check -N "$home" --json "$@" >"$BATS_TEST_TMPDIR/one" || status=$?
    cat "$BATS_TEST_TMPDIR/one" >>"$out"
    jq -e ".complete and (.checks[0] | $filter)" "$BATS_TEST_TMPDIR/one" || { cat "$BATS_TEST_TMPDIR/one"; return 1; }
}

# The line that a person gets has TEXT.
says() { # TEXT OPTION...
    local text=$1
    shift
    run "$sockfair" bind-check -N "$home" "$@"
    [[ $output == *"$text"* ]] || { echo "not '$text' in: $output"; return 1; }
}

@test "a free port works, and status 0 says so; one of several that is in use gives status 3" {
    inside 's = tcp(8400)'
    check_is '.outcome == "works" and .call == null and .occupants == []' 127.0.0.1:8401
    [ "$status" = 0 ]
    check_is '.outcome == "works"' 127.0.0.1:8401 127.0.0.1:8400
    [ "$status" = 3 ]
    says "✓ tcp 127.0.0.1:8401: bind() and listen() would work" 127.0.0.1:8401
}

@test "who listens is named, with all who hold the socket" {
    inside 'named("first"); s = tcp(8400)
if not os.fork():
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG: it ends with its parent
    idle()'
    check_is ".outcome == \"fails\" and .error == \"EADDRINUSE\" and .call == \"bind\" and
              (.occupants | length == 1 and .[0].pid == $server and .[0].process == \"first\" and .[0].holders == 2 and .[0].state == \"listening\" and .[0].in_the_way)" \
        0.0.0.0:8400
    says "first (pid $server and 1 other, uid 0" '*:8400'
    says " listens on 127.0.0.1:8400 without SO_REUSEPORT" '*:8400'
    check_is ".occupants[0].cgroup == $("$sockfair" list -N "$home" -P 8400 -j | jq '.endpoints[0].sockets[0].holders[0].cgroup')" 127.0.0.1:8400
    check_is '.outcome == "works"' 127.0.0.2:8400
}

@test "a socket that is bound and does not listen, and one of UDP" {
    inside 's = bound(socket.SOCK_STREAM, 8400); u = bound(socket.SOCK_DGRAM, 8401)'
    check_is ".outcome == \"fails\" and (.occupants[0] | .state == \"bound\" and .pid == $server and .reuseaddr) and .would_work_with == [\"reuseaddr\"]" 127.0.0.1:8400
    check_is '.outcome == "works"' 127.0.0.1:8400 --reuseaddr
    check_is '.outcome == "works"' 127.0.0.1:8401
    check_is ".outcome == \"fails\" and (.occupants[0] | .state == \"unconnected\" and .pid == $server)" -u 127.0.0.1:8401
}

@test "TIME_WAIT: with the seconds left, and whether SO_REUSEADDR would help" {
    inside 'def lingers(port, reuseaddr, reuseport=0):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuseaddr)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, reuseport)
    s.bind(("127.0.0.1", port))
    s.listen()
    for i in range(3):
        c = socket.create_connection(("127.0.0.1", port))
        s.accept()[0].close()
        c.close()
    s.close()
lingers(8400, 0); lingers(8401, 1); lingers(8402, 0, 1)'
    check_is '.outcome == "fails" and (.occupants | length == 1 and (.[0] | .state == "time-wait" and .sockets == 3 and .seconds_left > 0 and .seconds_left <= 61
              and .pid == null and .reuseaddr == false)) and .would_work_with == []' 127.0.0.1:8400
    check_is '.outcome == "fails" and .occupants[0].reuseaddr and .would_work_with == ["reuseaddr"]' 127.0.0.1:8401
    check_is '.outcome == "works"' 127.0.0.1:8401 --reuseaddr
    says 'linger in TIME_WAIT, the last for another ' 127.0.0.1:8400
    says 'SO_REUSEADDR does not help, for the program that left them had not set it' 127.0.0.1:8400 --reuseaddr
    # Of TIME_WAIT the kernel does not ask whose it was.
    check_is '.outcome == "fails" and .would_work_with == ["reuseport"]' 127.0.0.1:8402 --user 1000
    says 'set SO_REUSEPORT before bind(): the program that left them had it too, and in TIME_WAIT any user may join' 127.0.0.1:8402 --user 1000
    check_is '.outcome == "works"' 127.0.0.1:8402 --user 1000 --reuseport
}

@test "connections of one process are one row; what nobody accepted and what nobody holds any more" {
    inside 's = tcp(8400)
clients = [socket.create_connection(("127.0.0.1", 8400)) for i in range(7)]
taken = [s.accept()[0] for i in range(4)]
taken[3].setblocking(False)
try:
    while True: taken[3].send(b"x" * 65536)
except BlockingIOError: pass
taken.pop().close()'
    check_is '[.occupants[] | [.state, .sockets, .pid != null]] | sort == [["closing", 1, false], ["connected", 3, false], ["connected", 3, true], ["listening", 1, true]]' \
        127.0.0.1:8400
}

@test "a socket on its way between processes is not taken for the kernel's" {
    inside 's = tcp(8400); a, b = socket.socketpair()
socket.send_fds(a, [b"x"], [s.fileno()]); s.close()'
    check_is '.outcome == "fails" and (.occupants[0] | .state == "listening" and .pid == null and .inode > 0)' 127.0.0.1:8400
    says 'a socket that no process has open' 127.0.0.1:8400
}

@test "a socket of the kernel's own is told with what takes its datagrams" {
    nsenter --net=/proc/$home/ns/net ip link add tunnel type vxlan id 3 dstport 8400 dev lo || skip "this kernel has no vxlan"
    nsenter --net=/proc/$home/ns/net ip link set tunnel up
    check_is '.outcome == "fails" and (.occupants[0] | .pid == null and (.kernel | startswith("vxlan")) and .descriptor == null)' -u 127.0.0.1:8400
    says 'the kernel itself (vxlan' -u 127.0.0.1:8400
}

@test "a client's port: its peer, its descriptor, who picked it" {
    inside 's = tcp(8400); c = socket.socket(); c.bind(("127.0.0.1", 8401)); c.connect(("127.0.0.1", 8400)); d = socket.create_connection(("127.0.0.1", 8400))
print("said", d.getsockname()[1], d.fileno(), flush=True)'
    local port fd
    read -r port fd <<<"$said"
    check_is "(.occupants[0] | .peer.port == 8400 and .port_picked and .descriptor == $fd and .kernel == null)" "127.0.0.1:$port"
    check_is '(.occupants[0] | .peer.port == 8400 and .port_picked == false)' 127.0.0.1:8401
    says "outgoing to 127.0.0.1:8400, port picked by the kernel; net.ipv4.ip_local_reserved_ports=$port keeps it free" "127.0.0.1:$port"
}

@test "an MPTCP listener has its port once, and its process" {
    inside 'try: s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
except OSError: ready(); print("said none", flush=True); idle()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", 8400)); s.listen()'
    [ "$said" != none ] || skip "this kernel has no MPTCP"
    check_is ".outcome == \"fails\" and (.occupants | length == 1 and .[0].pid == $server and .[0].state == \"listening\" and .[0].reuseaddr)" 127.0.0.1:8400
    # What nobody accepted yet is not the kernel's own, though its listener's subflow was made by it.
    inside 'c = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); c.connect(("127.0.0.1", 8400))'
    check_is '.occupants | length == 2 and all(.kernel == null)' 127.0.0.1:8400
}

@test "an MPTCP connection is held with all of its subflows" {
    nsenter --net=/proc/$home/ns/net sh -c 'ip addr add 10.7.0.1/32 dev lo; ip addr add 10.7.0.2/32 dev lo; ip mptcp limits set subflow 2' ||
        skip "this kernel has no MPTCP, or one without subflows"
    nsenter --net=/proc/$home/ns/net ip mptcp endpoint add 10.7.0.2 dev lo subflow
    inside 's = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); s.bind(("10.7.0.1", 8400)); s.listen()
c = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); c.connect(("10.7.0.1", 8400)); a = s.accept()[0]
for i in range(3): c.send(b"x"); a.recv(1); a.send(b"y"); c.recv(1)
# The kernel makes the second subflow when it has time to, and needs the listener for it.
while established(8400) < 2: time.sleep(0.02)
s.close()'
    eventually check_is "(.occupants | length == 1 and (.[0] | .state == \"connected\" and .sockets == 2 and .pid == $server and .holders == 1))" 10.7.0.1:8400
}

@test "rights: the limit of that namespace, the user, and root" {
    check_is '.outcome == "fails" and .error == "EACCES" and .port_limit == 1024' 127.0.0.1:81 --user 1000
    says 'ports below 1024 (net.ipv4.ip_unprivileged_port_start) need CAP_NET_BIND_SERVICE, which uid 65534 does not have' 127.0.0.1:81 --user nobody
    check_is '.outcome == "works"' 127.0.0.1:81
    check_is '.outcome == "works"' 127.0.0.1:81 --user root
    nsenter --net=/proc/$home/ns/net sysctl -q net.ipv4.ip_unprivileged_port_start=80
    check_is '.outcome == "works" and .port_limit == 80' 127.0.0.1:81 --user 1000
    check_is '.error == "EACCES"' 127.0.0.1:79 --user 1000
    # By /etc/services, where the machine has it.
    nsenter --net=/proc/$home/ns/net sysctl -q net.ipv4.ip_unprivileged_port_start=1024
    [ -z "$(getent services nfs)" ] || says '2049 without htons() is 264: was that meant?' 127.0.0.1:264 --user 1000
}

@test "addresses: not here, of the link without its interface, of no interface" {
    check_is '.error == "EADDRNOTAVAIL"' 192.0.2.1:8400
    check_is '.error == "EADDRNOTAVAIL"' '[2001:db8::1]:8400'
    check_is '.error == "EINVAL"' '[fe80::1]:8400'
    check_is '.error == "EADDRNOTAVAIL" and .device == "lo"' '[fe80::1%lo]:8400'
    check_is '.outcome == "works"' '[::1]:8400'
    check_is '.outcome == "works" and .device == "lo"' 127.0.0.1:8400 --device lo
    refused 1 'there is no interface nope in that network namespace' bind-check -N "$home" --device nope 8400
}

@test "nothing is bound to find out: it works where no port is free for a moment" {
    inside 's = tcp(8400)'
    nsenter --net=/proc/$home/ns/net sysctl -q net.ipv4.ip_local_port_range='8400 8400'
    check_is '.outcome == "works"' 127.0.0.1:8401
    check_is '.outcome == "works"' '[::1]:8401'
}

@test "a socket for all addresses takes IPv4 too, unless --v6only" {
    inside 's = tcp(8400, "0.0.0.0")'
    check_is '.outcome == "fails" and .v6only == false' '*:8400'
    check_is '.outcome == "fails" and .v6only == false' 8400
    check_is '.outcome == "fails"' '[::]:8400'
    check_is '.outcome == "works" and .v6only' '[::]:8400' --v6only
    nsenter --net=/proc/$home/ns/net sysctl -q net.ipv6.bindv6only=1
    check_is '.outcome == "works" and .v6only' '[::]:8400'
    check_is '.outcome == "fails" and .v6only == false' '*:8400'
}

@test "other network namespaces' sockets are not in the way" {
    inside 's = tcp(8400)'
    run -0 "$sockfair" bind-check 127.0.0.1:8400
    run -3 "$sockfair" bind-check 127.0.0.1:8400 -N "/proc/$home/ns/net"
    run -3 nsenter --net=/proc/$home/ns/net "$sockfair" bind-check 127.0.0.1:8400
}

@test "what it cannot answer is one line: wrong addresses, users, namespaces, rights" {
    refused 2 'needs an ADDRESS:PORT' bind-check
    refused 2 "numeric addresses" bind-check localhost:80
    refused 2 "IPv6 as [ADDRESS]:PORT, not '::1:80'" bind-check ::1:80
    refused 2 "IPv6 as [ADDRESS]:PORT, not '[::1'" bind-check '[::1'
    refused 2 'from 1 to 65535' bind-check 127.0.0.1:0
    refused 2 'from 1 to 65535' bind-check 127.0.0.1:65536
    refused 2 'one network namespace' bind-check -N 1,2 80
    refused 1 "no user 'nosuchuser'" bind-check --user nosuchuser 80
    refused 1 'cannot find the network namespace nosuch' bind-check -N nosuch 80
    run setpriv --reuid 65534 --regid 65534 --clear-groups "$sockfair" bind-check 8400
    [ "$status" = 1 ]
    assert_one_line 'missing; run as root'
}
