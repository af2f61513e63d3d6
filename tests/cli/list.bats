#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# `list`, held against sockets whose holders and waiters are known.
load common
sockfair=$here

teardown() {
    end_started
    [ ! -s "$lists" ] || "$check" "$lists"
    assert_clean
}

setup() { lists=$BATS_TEST_TMPDIR/lists; }

# One document, in "$list"; all of a test are held against the schema in the end.
list() { # OPTION...
    list=$BATS_TEST_TMPDIR/list
    "$sockfair" list --json "$@" >"$list" || return 1 # jq -e takes an empty file for true
    cat "$list" >>"$lists"
}

# FILTER of jq holds for the only endpoint.
endpoint_is() { # FILTER OPTION...
    local filter=$1
    shift
    list "$@" || return 1
    jq -e "if (.endpoints | length) == 1 then .endpoints[0] | $filter else error(\"\(.endpoints | length) endpoints\") end" \
        "$list" || { cat "$list"; return 1; }
}

# That many threads wait on each socket, and they are the workers.
waiters_are() { # PORT THREADS-PER-SOCKET SOCKETS
    eventually endpoint_is "(.sockets | map(.waiting) == [range($3) | $2]) and (.workers | length == $2 * $3 and all(.waits)) and
                            (. as {\$workers} | .sockets | all(.cookie as \$c | \$workers | map(select(.cookie == \$c)) | length == $2))" -P "$1"
}

ports_are() { # PORTS OPTION...
    local want=$1
    shift
    list "$@" || return 1
    jq -e --argjson want "[$want]" '[.endpoints[] | .port | select(. >= 8100 and . < 8200)] | sort == $want' "$list" ||
        { jq -c '[.endpoints[] | [.protocol, .address, .port]]' "$list"; return 1; }
}

@test "threads that wait in accept(), poll(), select(), epoll and nested epoll" {
    serve 'sockets = [tcp(8100 + i) for i in range(6)]
for i in range(3):
    thread(accepts, sockets[0])
    thread(polls, sockets[1])
    thread(selects, sockets[2])
    thread(epolls, sockets[3])
    thread(epolls, sockets[4], 2)
    thread(epolls, sockets[5], 3)'
    for port in 8100 8101 8102 8103 8104 8105; do waiters_are $port 3 1; done
    # The main thread holds them too and waits on none.
    endpoint_is "(.sockets[0].holders | length == 1 and .[0].pid == $server and .[0].fds == 1) and
                 (.workers | all(.tid != $server and .pid == $server))" -P 8100
}

# bats test_tags=slow
@test "1,100 threads that wait on a socket, on a shared epoll, on a nested one: all are listed" {
    serve 'threading.stack_size(65536)
blocking, watched = tcp(8100), tcp(8101)
shared = epoll_of(watched)
nested = select.epoll()
nested.register(shared, select.EPOLLIN)
for i in range(1100):
    thread(blocking.accept)
    thread(shared.poll)
    thread(nested.poll)'
    eventually endpoint_is '(.sockets[0] | .waiting == 1100 and .waiting_cut == false) and (.workers | length == 1100 and all(.waits))' -P 8100
    eventually endpoint_is '(.sockets[0] | .waiting == 2200 and .waiting_cut == false) and (.workers | length == 2200)' -P 8101
    rm "$lists" # 1 MB: too long to be held against the schema
}

# bats test_tags=slow
@test "more wait on a socket than can be listed: told, of that socket alone" {
    serve 'resource = __import__("resource")
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
s = tcp(8100, reuseport=True)
def watches(s):
    keep.extend(epoll_of(s) for i in range(3500))
    os.write(w, b"x")
    idle()
r, w = os.pipe()
for i in range(5): process(watches, s)
for i in range(5): os.read(r, 1)
s.setblocking(True)
thread(accepts, s)
thread(accepts, tcp(8100, reuseport=True))'
    # by who waits, not by inode: inodes are handed out a batch a CPU, so the first made may have the higher one
    eventually endpoint_is '[.sockets | sort_by(-.waiting)[] | [.waiting >= 1, .waiting_cut]] == [[true, true], [true, false]]' -P 8100
    "$sockfair" list -P 8100 >"$list.text"
    grep -Eq "^ +[0-9]+ +[0-9]+ +0 +0/100 +0 +[0-9]+ +[0-9]+\+ " "$list.text"
    grep -q "^  not all who wait on socket [0-9]* are listed: at least [0-9]* threads\? do" "$list.text"
}

# bats test_tags=slow
@test "more threads wait than there are rows for: told, of the sockets concerned" {
    serve 'threading.stack_size(65536)
sockets = [tcp(8100, reuseport=True) for i in range(22)]
shared = select.epoll()
for s in sockets: shared.register(s, select.EPOLLIN)
for i in range(1200): thread(shared.poll)'
    # 26,400 of 24,576
    eventually endpoint_is '(.sockets | all(.waiting == 1200) and (map(select(.waiting_cut)) | length == 2)) and
                            (.workers | length) + .omitted.workers == 24576' --rows 100 -P 8100
    jq -e '.window.unlisted == 1824' "$list"
}

@test "one thread that waits on many sockets, and one socket through several descriptors" {
    serve 'sockets = [tcp(8100, reuseport=True) for i in range(5)]
thread(polls, *sockets)
twice = tcp(8101)
keep.append(os.dup(twice.fileno()))
thread(polls, twice, twice.dup())'
    waiters_are 8100 1 5
    endpoint_is '.workers | map(.tid) | unique | length == 1' -P 8100
    waiters_are 8101 1 1
    endpoint_is '.sockets[0].holders | length == 1 and .[0].fds == 3' -P 8101
}

# bats test_tags=slow
@test "the modes of run: threads, processes, io_uring" {
    serve_mode shared-accept --port 8100 -w 4
    serve_mode shared-epoll-fd --port 8101 -w 4
    serve_mode reuseport-epoll --port 8102 -w 4 --processes
    serve_mode udp-reuseport --port 8103 -w 4
    waiters_are 8100 4 1
    waiters_are 8101 4 1
    waiters_are 8102 1 4
    waiters_are 8103 1 4
    endpoint_is '.workers | map(.pid) | unique | length == 4' -P 8102
}

@test "io_uring: the rings' threads wait on the socket" {
    [ "$(cat /proc/sys/kernel/io_uring_disabled 2>/dev/null || echo 0)" = 0 ] || skip "io_uring is disabled"
    serve_mode io-uring --port 8100 -w 4
    waiters_are 8100 4 1
}

@test "UDP: threads in recvfrom()" {
    serve 's = udp(8100)
thread(receives, s)
thread(receives, s)'
    waiters_are 8100 2 1
    endpoint_is '.protocol == "udp" and .sockets[0].queue.limit > 1000' -P 8100
}

@test "a process that holds a socket and never waits on it is no worker" {
    serve 's = tcp(8100)
print("said", process(accepts, s, name="test-child"))'
    waiters_are 8100 1 1
    endpoint_is "(.sockets[0].holders | map(.pid) | sort == ([$server, $said] | sort)) and (.workers | map(.pid) == [$said]) and
                 .workers[0].process == \"test-child\"" -P 8100
    run "$sockfair" list -P 8100
    [[ $output == *"python3 $server fd "* && $output == *"test-child $said fd "* ]]
}

@test "SO_REUSEPORT groups: named by the lowest cookie, apart by address" {
    serve 'sockets = [tcp(8100, a, reuseport=True) for a in ("127.0.0.1", "127.0.0.2", "127.0.0.1")] + [tcp(8101)]
thread(polls, *sockets)'
    eventually ports_are 8100,8100,8101 -p "$server"
    list -P 8100
    jq -e '[.endpoints[] | (.sockets | map(.group) | unique) == [.sockets | map(.cookie) | min]] == [true, true] and
           (.endpoints | map(.sockets | length) | sort) == [1, 2] and
           ([.endpoints[].sockets[].group] | unique | length) == 2' "$list"
    endpoint_is '.sockets[0].group == null and (.sockets[0].reuseport | not)' -P 8101
}

# bats test_tags=slow
@test "groups that overlap: group-split, on the wildcard and a specific address; silent on two addresses, and on two families" {
    serve 'sockets = [tcp(8100, a, reuseport=True) for a in ("0.0.0.0", "127.0.0.1")]
thread(polls, *sockets)'
    eventually ports_are 8100,8100 -p "$server"
    list -P 8100
    jq -e '[.endpoints[].findings[].code] == ["group-split"] and ([.endpoints[].findings[].evidence] == [{ groups: 2, sockets_of_one: 1, sockets_of_other: 1 }])' "$list"
    serve 'pairs = [("127.0.0.1", None), ("127.0.0.2", None), ("0.0.0.0", None), ("::", 1)]
sockets = [tcp(8101 + i // 4, pairs[i // 2][0], reuseport=True, v6only=pairs[i // 2][1]) for i in range(8)]
thread(polls, *sockets)'
    eventually ports_are 8101,8101,8102,8102 -p "$server"
    list -p "$server"
    jq -e '[.endpoints[] | (.sockets | length), .findings] == [2, [], 2, [], 2, [], 2, []]' "$list"
}

@test "a full accept queue: its length and limit, queue-near-limit; silent with less than three quarters" {
    serve 's = tcp(8100, backlog=7)
for i in range(8):
    c = socket.create_connection(("127.0.0.1", 8100))
    keep.append(c)'
    # The queue holds one more than the backlog.
    eventually endpoint_is '.sockets[0].queue | .length == 8 and .limit == 7' -P 8100
    endpoint_is '.findings | map(.code) == ["queue-near-limit"] and (.[0].evidence | .length == 8 and .limit == 7)' -P 8100
    run "$sockfair" list -P 8100
    [[ $output == *" 8/7 "* && $output == *"! the accept queue of socket"* && $output == *"1 finding"* ]]
    serve 's = tcp(8101, backlog=7)
for i in range(5): keep.append(socket.create_connection(("127.0.0.1", 8101)))'
    endpoint_is '(.sockets[0].queue | .length == 5 and .limit == 7) and .findings == []' -P 8101
}

# bats test_tags=slow
@test "a socket of a group that nobody waits on: socket-unwaited; silent once somebody does" {
    serve 'sockets = [tcp(8100, reuseport=True) for i in range(3)]
thread(polls, *sockets[:2])'
    eventually endpoint_is '.findings | map(.code) == ["socket-unwaited"]' -P 8100
    endpoint_is '.findings[0].cookie as $c | .sockets | map(select(.cookie == $c)) | length == 1 and .[0].waiting == 0' -P 8100
    end "$server"
    serve 'sockets = [tcp(8100, reuseport=True) for i in range(3)]
for s in sockets:
    thread(accepts, s)'
    waiters_are 8100 1 3
    endpoint_is '.findings == []' -P 8100
    run "$sockfair" list -P 8100
    [[ $output == *"1 port, 3 sockets, nothing looks wrong"* ]]
}

@test "UDP with SO_REUSEADDR: udp-last-binder; with SO_REUSEPORT nothing" {
    serve 'for i in range(2):
    thread(receives, udp(8100, reuseaddr=True))
    thread(receives, udp(8101, reuseport=True))'
    waiters_are 8100 1 2
    endpoint_is '.findings | map(.code) == ["udp-last-binder"]' -P 8100
    waiters_are 8101 1 2
    endpoint_is '.findings == []' -P 8101
}

@test "two users on one UDP port: udp-two-users, with both uids; silent on two addresses" {
    serve 'keep.append(udp(8100, reuseaddr=True))'
    serve 'keep.append(udp(8100, reuseaddr=True))' setpriv --reuid 65534 --clear-groups
    endpoint_is '(.sockets | map(.uid) | sort == [0, 65534]) and (.findings | map(.code) | index("udp-two-users") != null) and
                 (.findings[] | select(.code == "udp-two-users") | .evidence | [.uid, .other_uid] | sort == [0, 65534]) and
                 (.sockets | map(.holders[0].uid) | sort == [0, 65534])' -P 8100
    serve 'keep.append(udp(8101, reuseaddr=True))'
    serve 'keep.append(udp(8101, "127.0.0.2", reuseaddr=True))' setpriv --reuid 65534 --clear-groups
    list -P 8101
    jq -e '[.endpoints[] | .sockets[0].uid, .findings] | sort == [0, 65534, [], []]' "$list"
}

# bats test_tags=slow
@test "other network namespaces: listed from outside, filtered by pid, path and inode" {
    serve 'subprocess = __import__("subprocess")
subprocess.check_call(["ip", "link", "set", "lo", "up"])
thread(accepts, tcp(8100))' unshare -n
    inner=$server
    serve 'thread(accepts, tcp(8100))'
    ns=$(stat -Lc %i /proc/$inner/ns/net)
    own=$(stat -Lc %i /proc/self/ns/net)
    [ "$ns" != "$own" ]
    sockfair=$everywhere
    list -P 8100
    jq -e "[.endpoints[].netns | select(. == $ns or . == $own)] | sort == ([$ns, $own] | sort)" "$list"
    [ "$("$sockfair" list -P 8100 | grep -c ', netns ')" -ge 2 ]
    for which in "$inner" "/proc/$inner/ns/net" "$ns"; do
        eventually endpoint_is ".netns == $ns and .sockets[0].holders[0].pid == $inner and .workers[0].pid == $inner" -P 8100 -N "$which"
    done
    endpoint_is ".netns == $own" -P 8100 -N $$
    ports_are 8100,8100 -P 8100 -N "$inner,$own"
    refused 1 "network namespace /nonexistent" list -N /nonexistent
    refused 1 "network namespace 4194304" list -N 4194304
}

# bats test_tags=slow
@test "filters: what they ask for and nothing else" {
    serve 'keep.extend([tcp(8100), tcp(8101, "::1"), udp(8102), udp(8103, "::1")])'
    first=$server
    serve 'named("test-filter")
keep.extend([tcp(8104), udp(8105)])'
    ports_are 8100,8101,8102,8103,8104,8105
    ports_are 8100,8105 -P 8100,8105,8199
    ports_are 8104,8105 -p "$server"
    ports_are 8100,8101,8102,8103,8104,8105 -p "$first,$server"
    ports_are 8104,8105 --comm test-filter
    ports_are 8104,8105 --comm nosuch,test-filter
    ports_are '' --comm test-filte
    ports_are 8100,8102,8104,8105 -4
    ports_are 8101,8103 -6
    ports_are 8100,8101,8104 -t
    ports_are 8102,8103,8105 -u
    ports_are 8103 -u -6 -p "$first"
    ports_are '' -t -P 8105
    cgroup=$(sed -n 's/^0:://p' /proc/$server/cgroup)
    if [ -n "$cgroup" ] && [ "$cgroup" != / ]; then
        ports_are 8104,8105 -c "$cgroup" -p "$server"
        ports_are 8104,8105 -c "${cgroup%/*}/" -p "$server"
    fi
}

@test "network namespaces are shown by the name of ip netns, without one by number" {
    local name=sf-list-$$
    ip netns add $name
    serve 'sockets = [tcp(8106)]' ip netns exec $name
    local named=$server
    serve 'sockets = [tcp(8106)]' unshare -n
    run "$sockfair" list -N "$named,$server"
    list -N "$named,$server" || :
    ip netns del $name
    [ "$status" = 0 ]
    jq -e --arg name $name '[.endpoints[] | .netns_name] | sort == [null, $name]' "$list"
    [[ $output == *"tcp 127.0.0.1:8106, netns $name"* && $output == *"tcp 127.0.0.1:8106, netns $(stat -Lc %i /proc/$server/ns/net)"* ]] || { echo "$output"; return 1; }
}

# bats test_tags=slow
@test "a cgroup's path of 3,600 bytes is whole, and -c finds what is in it" {
    local root=/sys/fs/cgroup/unified deep
    [ -e $root/cgroup.procs ] || root=/sys/fs/cgroup
    deep=sockfair-test-$$$(printf "/%0200d" {1..18})
    serve 'sockets = [tcp(8106)]
thread(accepts, sockets[0])' unshare -n
    mkdir -p "$root/$deep" 2>/dev/null && echo "$server" >"$root/$deep/cgroup.procs" || skip "no cgroup of version 2 can be made here"
    list -N "$server" -c "$deep" || :
    "$sockfair" binds -c "/$deep" -d 0.1 || binds=failed
    echo "$server" >"$root/cgroup.procs"
    (cd "$root" && rmdir -p "$deep")
    [ -z "${binds:-}" ]
    jq -e --arg path "/$deep" '.endpoints | length == 1 and (.[0] | [.sockets[0].holders[], .workers[]] | length == 2 and all(.cgroup == $path))' "$list"
}

# bats test_tags=slow
@test "who holds a socket is named with the systemd unit that it is of, or its container" {
    local id=4c01db0b339c1f3a9d24b6e5a7f0c8d91e2f3a4b5c6d7e8f90a1b2c3d4e5f607 root=/sys/fs/cgroup/unified name
    [ -e $root/cgroup.procs ] || root=/sys/fs/cgroup
    serve 'sockets = [tcp(8100)]
thread(accepts, sockets[0])'
    for name in sockfair-test-$$.service docker-$id.scope; do
        mkdir "$root/$name" 2>/dev/null && echo "$server" >"$root/$name/cgroup.procs" || skip "no cgroup of version 2 can be made here"
        run "$sockfair" list -P 8100
        list -P 8100
        echo "$server" >"$root/cgroup.procs"
        rmdir "$root/$name"
        [[ $output == *"$([ $name = docker-$id.scope ] && echo ", in container 4c01db0b339c (docker)" || echo ", in $name")"* ]] || { echo "$output"; return 1; }
        jq -e --arg name "$name" --arg id $id '.endpoints[0] | [.sockets[0].holders[], .workers[]] | length == 2 and all(
            if $name | startswith("docker") then .unit == null and .container == {id: $id, runtime: "docker", pod: null}
            else .unit == $name and .container == null end)' "$list" || { cat "$list"; return 1; }
    done
}

@test "clients: a UDP socket whose port the kernel picked is listed only by its port" {
    serve 'keep.append(udp(8100))
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
c.sendto(b"x", ("127.0.0.1", 8100))
keep.append(c)
print("said", c.getsockname()[1])'
    list -p "$server"
    jq -e '[.endpoints[].port] == [8100]' "$list"
    endpoint_is ".port == $said" -P "$said"
}

# bats test_tags=slow
@test "bound, and does not listen: a server before listen(), a paused one, MPTCP, a device, a client before connect(); named by -P alone" {
    serve 'def shut(port, how, **options):
    s = tcp(port, **options)
    s.shutdown(how)
    keep.append(s)
SOL_SOCKET, SO_BINDTODEVICE, IPPROTO_MPTCP = socket.SOL_SOCKET, 25, 262
keep.append(bound(socket.SOCK_STREAM, 8100))
shut(8101, socket.SHUT_RD) # haproxy pauses so
shut(8102, socket.SHUT_RDWR)
thread(accepts, tcp(8103, reuseport=True))
shut(8103, socket.SHUT_RD, reuseport=True)
try: s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP)
except OSError: s = socket.socket()
s.bind(("127.0.0.1", 8104))
keep.append(s)
s = socket.socket()
s.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, b"lo")
s.bind(("127.0.0.1", 8105))
keep.append(s)
keep.extend([bound(socket.SOCK_STREAM, 8106), tcp(8107)])
keep[-2].connect(("127.0.0.1", 8107)) # no more than a connection now
keep.append(bound(socket.SOCK_STREAM, 8108))
keep[-1].connect_ex(("127.0.0.1", 8100)) # refused'
    list -P 8100,8101,8102,8103,8104,8105,8106
    # Nothing is said of a paused one beside the other of its group.
    jq -e "([.endpoints[] | .port, .findings] == [8103, []]) and .aside_omitted == 0 and
           (.aside | map(.port) == [8100, 8101, 8102, 8103, 8104, 8105] and map(.device) == [null, null, null, null, null, \"lo\"] and
                     all(.why == \"bound\" and .protocol == \"tcp\" and .cookie > 0 and .address == \"127.0.0.1\" and
                         (.holders | length == 1 and .[0].pid == $server and .[0].fds == 1)))" "$list"
    for port in 8100 8101 8102 8104; do
        run ! timeout 5 bash -c "exec 3<>/dev/tcp/127.0.0.1/$port" # refused
    done
    run "$sockfair" list -P 8108
    grep -Eq "^ +[0-9]+ +[0-9]+ +0 +bound, does not listen  python3 $server fd [0-9]+" <<<"$output" # no word of a CPU: that is its last packet's
    ports_are 8103,8107 -p "$server"
    jq -e '.aside == []' "$list"
    run "$sockfair" watch -P 8100,8199 -d 0.1
    # shellcheck disable=SC2076
    [[ $output =~ "python3 $server"(' in '[^;]+)?" has bound port 8100 and does not listen; nobody has a socket on port 8199 yet: waiting" ]]
}

# bats test_tags=slow
@test "the kernel's own: named with the interfaces whose port it is; by -P alone, and watch says that it counts nothing" {
    unshare -n ip link add vx0 type vxlan id 1 dstport 4789 || skip "this kernel has no vxlan"
    serve 'subprocess = __import__("subprocess")
def ip(*words): subprocess.check_call(["ip", *words])
ip("link", "set", "lo", "up")
for i, port in enumerate(("4789", "4789", "4790", "4790")): ip("link", "add", "vx%d" % i, "type", "vxlan", "id", str(i), "dstport", port)
for name in ("vx0", "vx1", "vx2"): ip("link", "set", name, "up")
keep.append(udp(8100))' unshare -n
    list -N "$server" -P 4789,4790,8100
    jq -e '[.endpoints[] | .port, .sockets[0].kernel] == [8100, false] and
           (.aside | map(.port) == [4789, 4790] and all(.why == "kernel" and .holders == [] and .protocol == "udp")) and
           [.aside[].interfaces[] | .kind, .name] == ["vxlan", "vx0", "vxlan", "vx1", "vxlan", "vx2"]' "$list"
    list -N "$server"
    jq -e '[.endpoints[].port] == [8100] and .aside == []' "$list"
    run "$sockfair" watch -N "$server" -P 4790 -d 0.1
    [[ $output == *"port 4790 is the kernel's own (vxlan vx2): what comes to it is not counted"* ]]
}

# bats test_tags=slow
@test "UDP ports on which all sockets are connected: clients, rows of list and watch where -P names the port, else a number" {
    serve 'for port in 8100, 8101, 8101:
    s = udp(port, reuseaddr=True)
    s.connect(("127.0.0.1", 8102))
    keep.append(s)
keep.append(udp(8102))'
    for command in list "watch -d 0.1"; do
        for ports in "" "-P 8100,8101-8102"; do
            # shellcheck disable=SC2086
            "$sockfair" $command --json -p "$server" $ports >"$BATS_TEST_TMPDIR/list"
            cat "$BATS_TEST_TMPDIR/list" >>"$lists"
            jq -c '[[.endpoints[] | .port, (.sockets | length)], .window.clients]' "$BATS_TEST_TMPDIR/list"
        done
    done >"$BATS_TEST_TMPDIR/all"
    [ "$(sort "$BATS_TEST_TMPDIR/all" | uniq -c | sed 's/^ *//')" = '2 [[8100,1,8101,2,8102,1],0]
2 [[8102,1],2]' ] || { cat "$BATS_TEST_TMPDIR/all"; return 1; }
}

@test "raw sockets: the number of their protocol is no port" {
    serve 'for protocol in socket.IPPROTO_UDP, socket.IPPROTO_TCP: keep.append(socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol))'
    run "$sockfair" list -p "$server" -P 6,17
    [ "$output" = "nothing listens on what the filter asks for" ]
}

@test "addresses as people write them: *, [::], brackets, zones" {
    serve 'keep.extend([tcp(8100, "::", v6only=False), tcp(8101, "::", v6only=True), tcp(8102, "0.0.0.0"), tcp(8103, "::1"),
                        tcp(8104, "::ffff:127.0.0.1")])'
    run "$sockfair" list -p "$server"
    grep -qx 'tcp \*:8100' <<<"$output"
    grep -qx 'tcp \[::\]:8101' <<<"$output"
    grep -qx 'tcp 0.0.0.0:8102' <<<"$output"
    grep -qx 'tcp \[::1\]:8103' <<<"$output"
    grep -qE '^tcp (127.0.0.1|\[::ffff:127.0.0.1\]):8104$' <<<"$output"
    endpoint_is '.address == "::" and (.sockets[0].v6only | not)' -P 8100
    endpoint_is '.address == "::" and .sockets[0].v6only' -P 8101
}

@test "nothing found: says so, status 0; as JSON an empty list" {
    run "$sockfair" list -P 8199
    [ "$status" = 0 ]
    [ "$output" = "nothing listens on what the filter asks for" ]
    list -P 8199
    jq -e '.endpoints == [] and .lost.total == 0' "$list"
}

# bats test_tags=slow
@test "the whole machine, as JSON in the schema; what ss knows is there" {
    serve 'keep.extend([tcp(8100), udp(8101)])'
    list
    for port in 8100 8101; do
        inode=$(ss -Hlntue "sport = :$port" | grep -oE 'ino:[0-9]+' | cut -d: -f2)
        jq -e "[.endpoints[] | select(.port == $port) | .sockets[].inode] == [$inode]" "$list"
    done
}

@test "-o FILE, a full disk, stdout that is closed" {
    "$sockfair" list -P 8199 -o "$BATS_TEST_TMPDIR/out"
    grep -q 'nothing listens' "$BATS_TEST_TMPDIR/out"
    refused 1 "cannot write /nonexistent/x" list -o /nonexistent/x
    refused 1 "cannot write /dev/full: No space left on device" list -o /dev/full
    refused 1 "cannot write /dev/full: No space left on device" list --json -o /dev/full
    run bash -c "'$sockfair' list >&-"
    [ "$status" = 1 ]
    assert_one_line "cannot write the output"
}

@test "without rights: one line that names the capabilities" {
    run setpriv --reuid 65534 --regid 65534 --clear-groups "$sockfair" list
    [ "$status" = 1 ]
    assert_one_line "CAP_BPF and CAP_PERFMON missing"
}

@test "wrong calls: status 2, one line" {
    refused 2 "takes no argument, but got '80'" list 80
    refused 2 "from 1 to 65535, not '0'" list -P 0
    refused 2 "from 1 to 65535, not '65536'" list -P 65536
    refused 2 "not '80x'" list -P 80x
    refused 2 "not ''" list -P 80,
    refused 2 "--port got an empty value" list -P ''
    refused 2 "not 'init'" list -p init
    refused 2 "not '-1'" list -p -1
    refused 2 "-4 and -6 exclude each other" list -4 -6
    refused 2 "-t and -u exclude each other" list -tu
    refused 2 "at most 64 values" list -P "$(seq -s, 1 65)"
    refused 2 "--comm got an empty value" list --comm ''
    for wrong in --nosuch -P -Z; do
        run "$sockfair" list $wrong
        [ "$status" = 2 ]
        [[ $output == "sockfair list: "*"${wrong##*-}"* ]]
    done
    refused 1 "there is no process 4194304" list -p 4194304
    refused 1 "there is no cgroup /nosuch" list -c /nosuch
    run --separate-stderr "$sockfair" list --help
    [ "$status" = 0 ]
    [[ $output == *--netns* ]]
    [ -z "$stderr" ]
}

# bats test_tags=slow
@test "10,000 sockets of 20 processes: all there" {
    serve 'import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (600, 600))
def holds(n):
    keep.extend(tcp(8110, "127.1.%d.%d" % (n, i), reuseport=True) for i in range(250))
    keep.extend(tcp(8111, reuseport=True) for i in range(250))
    os.write(w, b"x")
    idle()
r, w = os.pipe()
for n in range(20):
    process(holds, n)
for n in range(20):
    os.read(r, 1)'
    "$sockfair" list --json --rows 40000 -P 8110,8111 >"$BATS_TEST_TMPDIR/all"
    jq -c '.endpoints |= .[:20]' "$BATS_TEST_TMPDIR/all" >"$lists" # the validator would take minutes for all
    jq -e '(.endpoints | length == 5001) and ([.endpoints[].sockets[]] | length == 10000 and all(.holders | length == 1)) and
           ([.endpoints[] | select(.port == 8111) | .sockets[].group] | unique | length == 1)' "$BATS_TEST_TMPDIR/all"
}
