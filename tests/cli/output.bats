#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Where results go: the old file stays until a new result is whole; what signals, slow readers and full disks do to it.
load common

setup() {
    folder=$(mktemp -d "${TMPDIR:-/tmp}/results-XXXXXX")
    chmod 755 "$folder"
    file=$folder/out.json out=$file watch=
    echo old >"$file"
}

teardown() {
    [ -z "$watch" ] || end "$watch"
    end_started
    chattr -i "$folder" 2>/dev/null || :
    rm -rf "$folder"
    assert_clean
}

unprivileged() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
py() { PYTHONPATH=$BATS_TEST_DIRNAME PYTHONDONTWRITEBYTECODE=1 timeout 60 /usr/bin/python3 "$@"; }
# Nothing in the folder but these names.
holds() { # NAME...
    diff <(ls -A "$folder") <(printf '%s\n' "$@" | sort)
}
is_old() { [ "$(cat "$file")" = old ] || { echo "not as it was:"; head -c 1000 "$file"; return 1; }; }
is_result() { jq -e -s 'length > 0 and all(.schema | startswith("sockfair"))' "${1:-$file}" >/dev/null || { head -c 1000 "${1:-$file}"; return 1; }; }
# Runs it where the file system has no O_TMPFILE.
without_tmpfile() { py "$BATS_TEST_DIRNAME/without_tmpfile.py" "$@"; }

some_claim() { "$sockfair" claims --help | sed -n '/^Claims:/,$s/^  \([a-z]\S*\)$/\1/p' | head -1; }

# Every command that writes results, with arguments that are right.
commands=("list" "watch -d 0.1" "watch -i 0.1" "run reuseport shared-accept -n 100" "binds -d 0.1" "claims" "bind-check 1")

@test "rights that are missing leave the file as it was, for each command" {
    chown 65534 "$file" "$folder"
    for command in "${commands[@]}"; do
        run unprivileged "$sockfair" $command -o "$file"
        [ "$status" = 1 ] || { echo "$command: status $status: $output"; return 1; }
        assert_one_line missing
        is_old
    done
    holds out.json
}

@test "arguments that are wrong, hooks that can't attach, sides that can't be read leave it as it was" {
    for command in "${commands[@]}"; do
        refused 2 "unrecognized option" $command -o "$file" --nosuch
        is_old
    done
    refused 1 "192.0.2.1" run shared-accept --bind 192.0.2.1 -o "$file"
    is_old
    refused 1 "no interface" bind-check 80 --device nosuch0 -o "$file"
    is_old
    run "$sockfair" compare "$folder/nosuch.json" -o "$file"
    [ "$status" = 1 ]
    is_old
    run unshare -m sh -c "mount -t tmpfs none /sys/kernel/btf && exec '$sockfair' watch -d 1 -o '$file'"
    [ "$status" = 1 ]
    is_old
    holds out.json
}

@test "what can't be written is told at once, before anything attaches, and nothing is emptied" {
    chmod 444 "$file"
    chmod 555 "$folder"
    for command in "${commands[@]}"; do
        run unprivileged "$sockfair" $command -o "$file"
        assert_one_line "cannot write $file: Permission denied"
    done
    run unprivileged "$sockfair" list -o "$folder/new"
    assert_one_line "cannot write $folder/new: Permission denied"
    refused 1 "cannot write $folder: Is a directory" list -o "$folder"
    refused 1 "cannot write $folder/: Is a directory" list -o "$folder/"
    refused 1 "cannot write /nonexistent/x: No such file" list -o /nonexistent/x
    refused 1 "cannot write $file/x: Not a directory" list -o "$file/x"
    is_old
    holds out.json
}

# bats test_tags=slow
@test "each command replaces it in the end, with the old one's mode, owner and ACL; a new one has the umask's" {
    "$sockfair" run reuseport -n 20 --json >"$folder/a"
    for command in "list" "watch -d 0.1" "watch -i 0.1 -d 0.2" "binds -d 0.1" "claims $(some_claim)" "bind-check 1" "compare $folder/a"; do
        echo old >"$file"
        chmod 640 "$file"
        chown 65534:12345 "$file"
        before=$(stat -c %i "$file")
        run "$sockfair" $command --json -o "$file"
        [ "$status" = 0 ] || [ "$command" = "bind-check 1" ] || { echo "$command: $status: $output"; return 1; }
        is_result
        [ "$(stat -c '%a %u %g' "$file")" = "640 65534 12345" ] || { stat "$file"; return 1; }
        [ "$(stat -c %i "$file")" != "$before" ]
        holds a out.json
    done
    rm "$file"
    (umask 027; "$sockfair" list -P 1 --json -o "$file")
    [ "$(stat -c %a "$file")" = 640 ]
    is_result
    py -c "
import os, struct
entry = lambda tag, perm, who=0xffffffff: struct.pack('<HHI', tag, perm, who)
acl = struct.pack('<I', 2) + entry(1, 6) + entry(2, 4, 12345) + entry(4, 0) + entry(0x10, 4) + entry(0x20, 0)
os.setxattr('$file', 'system.posix_acl_access', acl)"
    before=$(py -c "import os; print(os.getxattr('$file', 'system.posix_acl_access'))")
    "$sockfair" list -P 1 --json -o "$file"
    [ "$(py -c "import os; print(os.getxattr('$file', 'system.posix_acl_access'))")" = "$before" ]
}

@test "a symlink stays and its target is replaced, also over several, relative ones and one that leads nowhere yet; a hard link keeps the old content" {
    mkdir "$folder/sub"
    ln -s ../out.json "$folder/sub/second"
    ln -s sub/second "$folder/first"
    ln "$file" "$folder/other"
    "$sockfair" list -P 1 --json -o "$folder/first"
    [ -L "$folder/first" ]
    [ -L "$folder/sub/second" ]
    is_result
    [ "$(cat "$folder/other")" = old ]
    rm "$file"
    (cd "$folder/sub" && "$sockfair" list -P 1 --json -o ../first)
    is_result
    holds first other out.json sub
    ln -s loop "$folder/loop"
    refused 1 "cannot write $folder/loop: Too many levels" list -o "$folder/loop"
}

@test "what somebody else's link in a folder for all points to is not touched" {
    mkdir "$folder/all"
    chmod 1777 "$folder/all"
    ln -s "$file" "$folder/all/trap"
    chown -h 65534 "$folder/all/trap"
    refused 1 "Permission denied" list -o "$folder/all/trap"
    is_old
}

@test "where the folder takes no new file it is written in place, once everything is attached, and said" {
    cp "$sockfair" "$folder/sockfair"
    chown 65534 "$file"
    chmod 711 "$folder"
    "$sockfair" run reuseport -n 20 --json >"$folder/a.json" # `list` would have the sockets of other suites
    run unprivileged "$sockfair" list -P 1 --json -o "$file"
    [ "$status" = 1 ]
    is_old
    before=$(stat -c %i "$file")
    run unprivileged "$sockfair" compare "$folder/a.json" --json -o "$file"
    [ "$status" = 0 ]
    assert_one_line "$file is written in place: its folder takes no new file (Permission denied)"
    is_result
    [ "$(stat -c %i "$file")" = "$before" ]
    # A shorter result leaves nothing of a longer one.
    head -c 1000000 /dev/zero >"$file"
    run unprivileged "$sockfair" compare "$folder/a.json" --json -o "$file"
    [ "$(stat -c %s "$file")" -lt 1000000 ]
    is_result
    # An owner that a new file can't get; somebody else's file in a sticky folder; a mount point.
    chmod 777 "$folder"
    chown 0 "$file"
    chmod 666 "$file"
    run unprivileged "$sockfair" compare "$folder/a.json" --json -o "$file"
    assert_one_line "in place: a new file can't have its owner and mode"
    is_result
    run unshare -m sh -c "mount --bind '$file' '$file' && exec '$sockfair' list -P 1 --json -o '$file'"
    assert_one_line "in place: it can't be replaced (Device or resource busy)"
    is_result
    holds a.json out.json sockfair
}

@test "two commands that would write in place: the second is refused; a folder that takes files: each is whole, the last one stays" {
    out=$folder/first
    chattr +i "$folder" 2>/dev/null || skip "no immutable folders here"
    ( "$sockfair" watch -P 1 -i 0.1 --json -o "$file" 2>"$BATS_TEST_TMPDIR/says" & echo $! >"$BATS_TEST_TMPDIR/pid" )
    watch=$(cat "$BATS_TEST_TMPDIR/pid")
    eventually is_result
    run "$sockfair" list -o "$file"
    [ "$status" = 1 ]
    assert_one_line "another command writes it"
    kill -INT "$watch"
    eventually grep -q '"final":true' "$file"
    is_result
    watch=
    chattr -i "$folder"
    for i in 1 2 3 4; do "$sockfair" list -P 1 --json -o "$file" & done
    wait
    [ "$(jq -c .schema "$file")" = '"sockfair/1"' ]
    holds out.json
}

@test "a stream whose file is removed or replaced ends with one line" {
    timeout 60 "$sockfair" watch -P 1 -i 0.05 --json -o "$file" 2>"$BATS_TEST_TMPDIR/says" &
    watch=$!
    eventually is_result
    "$sockfair" list -P 1 --json -o "$file"
    status=0
    wait "$watch" || status=$?
    watch=
    [ "$status" = 1 ]
    grep -q "cannot write $file: it was removed, or replaced by another command" "$BATS_TEST_TMPDIR/says"
    [ "$(jq -c -s 'length' "$file")" = 1 ]
}

@test "a fifo, a device, a descriptor are written to directly" {
    mkfifo "$folder/fifo"
    jq -c .schema <"$folder/fifo" >"$folder/read" &
    reader=$!
    "$sockfair" list -P 1 --json -o "$folder/fifo"
    wait $reader
    [ "$(cat "$folder/read")" = '"sockfair/1"' ]
    [ -p "$folder/fifo" ]
    "$sockfair" list -P 1 --json -o /dev/null
    [ -c /dev/null ]
    "$sockfair" list -P 1 --json -o /dev/stdout | jq -e .schema
    ln -s /dev/stdout "$folder/log"
    { echo before; "$sockfair" list -P 1 --json -o "$folder/log"; echo after; } >>"$file"
    [ "$(sed -n '1p;2p;4p' "$file" | tr '\n' ' ')" = "old before after " ]
    sed -n 3p "$file" | jq -e .schema
    [ -L "$folder/log" ]
    "$sockfair" list -P 1 --json -o "/proc/$$/fd/7" 7>/dev/null || [ $? = 1 ]
    py -c "
import socket, subprocess
a, b = socket.socketpair()
assert subprocess.run(['$sockfair', 'list', '--json', '-P', '8170', '-o', '/dev/stdout'], stdout=b).returncode == 0
b.close()
assert a.makefile().read().startswith('{\"schema\"')"
    # a stream into another process's file that has no name
    py -c "
import os, subprocess
m = os.memfd_create('result')
command = ['$sockfair', 'run', 'reuseport', 'shared-accept', '-n', '10', '--json', '-o', '/proc/%d/fd/%d' % (os.getpid(), m)]
assert subprocess.run(command).returncode == 0
assert len(open('/proc/self/fd/%d' % m).read().splitlines()) == 2"
    holds fifo log out.json read
}

@test "a stream: the old file stays until the first line is whole, which then is all there is" {
    "$sockfair" binds --json --all -P 8170 -o "$file" 2>"$BATS_TEST_TMPDIR/says" &
    watch=$!
    eventually grep -q '^watching' "$BATS_TEST_TMPDIR/says"
    is_old
    clients 'udp(8170)'
    eventually is_result
    [ "$(tail -c 1 "$file" | od -An -tx1)" = " 0a" ]
    clients 'udp(8170)'
    eventually test "$(wc -l <"$file")" -ge 2
    kill -TERM "$watch"
    wait "$watch"
    watch=
    [ "$(jq -s 'length' "$file")" = 3 ]
    holds out.json
}

@test "a stream without room for the next line ends with whole ones; without room for the first the old file stays" {
    serve 'listeners = [tcp(0) for _ in range(20)]' unshare -n sh -c 'ip link set lo up; exec "$0" "$@"'
    run bash -c "ulimit -f 100; exec '$sockfair' watch -N $server -i 0.05 --json -o '$file'"
    [ "$status" = 1 ]
    [[ $output == *"cannot write $file: File too large (ulimit -f)" ]]
    [ "$(tail -c 1 "$file" | od -An -tx1)" = " 0a" ]
    is_result
    echo old >"$file"
    run bash -c "ulimit -f 1; exec '$sockfair' list -N $server --json -o '$file'"
    [ "$status" = 1 ]
    assert_one_line "cannot write $file: File too large"
    is_old
    holds out.json
}

@test "disk full: the old file stays, also where it is written in place" {
    run unshare -m bash -c "
        mount -t tmpfs -o size=64k none '$folder' && echo old >'$file'
        head -c 100000 /dev/zero >'$folder/filler'
        '$sockfair' bind-check --json {1..99} -o '$file'; echo status \$?; cat '$file'; ls -A '$folder'
        touch '$BATS_TEST_TMPDIR/mount'; mount --bind '$file' '$BATS_TEST_TMPDIR/mount'
        '$sockfair' bind-check --json {1..99} -o '$BATS_TEST_TMPDIR/mount'; echo status \$?; cat '$file'"
    [[ $output == *"cannot write $file: No space left on device"*"status 1"$'\n'"old"$'\n'"filler"$'\n'"out.json"$'\n'*"cannot write $BATS_TEST_TMPDIR/mount: No space left on device"*"status 1"$'\n'"old" ]] ||
        { echo "${output::2000}"; return 1; }
}

@test "kill -9 leaves the old file and nothing beside it" {
    "$sockfair" watch -d 1000 --json -o "$file" 2>"$BATS_TEST_TMPDIR/says" &
    watch=$!
    eventually grep -q '^watching' "$BATS_TEST_TMPDIR/says"
    end "$watch"
    watch=
    is_old
    holds out.json
}

@test "a file system without unnamed files: nothing is left beside, on success, error, Ctrl-C, a second signal" {
    without_tmpfile "$sockfair" list -P 1 --json -o "$file"
    is_result
    holds out.json
    echo old >"$file"
    run without_tmpfile "$sockfair" run shared-accept --bind 192.0.2.1 -o "$file"
    [ "$status" = 1 ]
    is_old
    holds out.json
    py "$BATS_TEST_DIRNAME/interrupted.py" "$BATS_TEST_DIRNAME/without_tmpfile.py" "$sockfair" run shared-accept --serve-only --json -o "$file"
    is_old
    holds out.json
}

# bats test_tags=slow
@test "Ctrl-C or SIGTERM while a pipe is full: the result so far, whole; a second signal ends at once; a reader that is gone is one line" {
    py "$BATS_TEST_DIRNAME/slow_reader.py" "$sockfair"
}

# bats test_tags=slow
@test "15,000 sockets of one user: a document of at most 8 MB, in which another's port is, and the rest added up" {
    serve '
def crowd():
    os.setresuid(65534, 65534, 65534)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    keep.extend(udp(port) for port in range(2000, 17000))
    os.write(there, b"x")
    idle()
wait, there = os.pipe()
thread(receives, udp(17000))
process(crowd)
os.read(wait, 1)' unshare -n sh -c 'ip link set lo up; ulimit -n 20000; exec "$0" "$@"'
    watch_begin -N $server --json --no-wait --no-serve
    clients 'send(17000, 100)
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in range(2000, 4000): c.sendto(b"x", ("127.0.0.1", port))' nsenter -n -t $server
    watch_end
    for rows in '' '--rows 10' '--rows 20000'; do
        "$sockfair" list -N $server --json $rows >"$folder/list$rows"
        jq -e '(.endpoints | length) + .omitted.endpoints == 15001 and
               ([.endpoints[].sockets | length] | add) + .omitted.sockets == 15001 and any(.endpoints[]; .port == 17000 and (.sockets[0].holders | length) >= 1)' "$folder/list$rows"
    done
    [ "$(stat -c %s "$folder/list")" -le 8000000 ]
    [ "$(stat -c %s "$folder/list")" -ge 7000000 ]
    [ "$(stat -c %s "$folder/list--rows 20000")" -gt 8000000 ]
    "$check" "$folder/list--rows 10"
    jq -e '([.endpoints[] | .sockets, .workers | length] | add) + ([.endpoints[].sockets[].holders | length] | add) == 10' "$folder/list--rows 10"
    [ "$(stat -c %s "$out")" -le 8000000 ]
    tail -1 "$out" | jq -e '([.endpoints[] | .sockets[], .omitted | .delivered, .dropped] | add) + .omitted.delivered + .omitted.dropped == 2100 and
               ([.endpoints[] | .workers[], .omitted | .received] | add) + .omitted.received == 100 and .lost.counts == 0'
    jq -e '.omitted.endpoints > 5000 and any(.endpoints[]; .port == 17000 and .sockets[0].received == 100 and .workers[0].received == 100)' "$out"
    # A comparison says that it is not of all of them.
    jq -c '.endpoints |= map(select(.port == 17000))' "$out" >"$folder/few"
    "$sockfair" compare "$folder/few" "$folder/few" | grep -E '^ +without [0-9,]+ of its ports, which the file leaves out'
    "$sockfair" compare --json "$folder/few" | jq -e '.sides[0].omitted_endpoints > 5000'
    refused 1 "does not list that port, but leaves out" compare "$folder/few:2000"
}
