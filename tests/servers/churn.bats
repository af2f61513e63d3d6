#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What happens to sockets and servers while somebody watches: handed over, kept over exec, activated, moved, ended, in containers. The clients'
# counts are exact (clients.py).
load servers
count=200

setup() { port=$(free_port) group=''; }

teardown() {
    stop_all
    [ -z "$group" ] || rmdir "$group"
}

# Starts a server of churn.py that listens at $port; its pid is in $pid, what it says in $said.
serve() { # WHAT
    said=$dir/server.${#started[@]}
    start "${said##*/}" "$here/churn.py" "$1" "$port"
    within 30 grep -q '^listens' "$said"
}

# COUNT answers to COUNT connections.
ask() { # COUNT [COMMAND that runs the client...]
    local count=$1
    shift
    same answers "$("$@" "$here/clients.py" 127.0.0.1 "$port" "$count" 4)" "$count"
}

# A server with its pid and the count of what it accepted, in any order. The rows of a process are added up.
accepted_by() { # PID COUNT...
    local want='' sep=''
    while [ $# -gt 0 ]; do
        want+="$sep\"$1\": $2" sep=', '
        shift 2
    done
    document "(by_pid | with_entries(select(.value > 0))) == {$want}"
}

ended() { # PID: its rows say so
    document "here.workers | map(select(.pid == $1)) | length > 0 and all(.ended)"
}

lives() { # PID
    document "here.workers | map(select(.pid == $1)) | length > 0 and all(.ended | not)"
}

@test "a server that starts after the watch is counted from its first connection" {
    watch -P "$port"
    serve serve
    ask $count
    watched
    adds_up $count
    accepted_by "$pid" $count
}

@test "a listening socket handed over (SCM_RIGHTS): one socket, each process has what it accepted" {
    serve handover
    watch -P "$port"
    ask $count
    kill -USR1 "$pid"
    within 30 grep -q '^handed over' "$said"
    ask $((2 * count))
    watched
    adds_up $((3 * count))
    accepted_by "$pid" $count "$(children "$pid")" $((2 * count))
    document 'here.sockets | length == 1'
}

@test "exec that keeps the descriptor: the same process goes on, no count is split or lost" {
    serve reexec
    watch -P "$port"
    ask $count
    kill -USR1 "$pid"
    within 30 grep -q '^serves' "$said"
    ask $count
    watched
    adds_up $((2 * count))
    accepted_by "$pid" $((2 * count))
    document 'here.sockets | length == 1'
    lives "$pid"
}

@test "socket activation: the service is credited, not the process that listened" {
    serve activate
    watch -P "$port"
    ask $count
    watched
    adds_up $count
    service=$(children "$pid")
    accepted_by "$service" $count
    lives "$service"
}

@test "a port that moves to another process: two sockets, the first one's counts stay its own" {
    serve serve
    first=$pid
    watch -P "$port"
    ask $count
    kill "$first"
    wait "$first"
    serve serve
    ask $((2 * count))
    watched
    adds_up $((3 * count))
    accepted_by "$first" $count "$pid" $((2 * count))
    document 'here.sockets | map(.arrived) | sort == '"[$count, $((2 * count))]"
    ended "$first"
    lives "$pid"
}

# The next process of the kernel's gets that pid, where nobody else is faster.
@test "a pid that another server gets: two workers, not one" {
    [ -w /proc/sys/kernel/ns_last_pid ] || skip "this kernel can't be told which pid comes next"
    serve serve
    first=$pid
    watch -P "$port"
    ask $count
    kill "$first"
    wait "$first"
    for _ in {1..50}; do
        echo $((first - 1)) >/proc/sys/kernel/ns_last_pid
        start again "$here/churn.py" serve "$port"
        [ "$pid" != "$first" ] || break
        kill "$pid"
        wait "$pid" || :
    done
    [ "$pid" = "$first" ] || skip "others took the pid, 50 times"
    within 30 grep -q '^listens' "$dir/again"
    ask $((2 * count))
    watched
    adds_up $((3 * count))
    document "here.workers | map([.pid, .accepted, .ended]) | sort == [[$first, $count, true], [$first, $((2 * count)), false]]"
}

@test "generations of servers on one port: each has its rows, all marked as ended" {
    watch -P "$port"
    start generations "$here/churn.py" generations "$port" 100
    within 120 grep -q '^all ended' "$dir/generations"
    watched
    adds_up 300
    document 'here.sockets | length == 100 and all(.arrived == 3)' 'here.workers | all(.accepted == 3 and .ended)' \
        "here.workers | map(.pid) | sort == ([$(awk '/^ended/ { printf "%s%s", sep, $2; sep = "," }' "$dir/generations")] | sort)"
}

@test "-p: the process alone, also when it ends" {
    serve serve
    other=$pid other_port=$port
    port=$(free_port)
    serve serve
    watch -p "$pid"
    ask $count
    kill "$pid"
    wait "$pid"
    asked=$port port=$other_port
    ask $count
    port=$asked
    watched
    adds_up $count
    accepted_by "$pid" $count
    ended "$pid"
    document ".endpoints | all(.port != $other_port)"
}

# A server in a network and a pid namespace of its own, at the port of one outside. Its pids: $inner as the host sees it, 1 inside.
contain() {
    serve serve
    outer=$pid
    start container setpriv --pdeathsig KILL unshare -n -p -f --mount-proc --kill-child \
        sh -c "ip link set lo up && exec '$here/churn.py' serve $port"
    within 30 grep -q '^listens 1$' "$dir/container"
    inner=$(children "$pid")
    netns=$(stat -L -c %i "/proc/$inner/ns/net")
    host=$(stat -L -c %i /proc/self/ns/net)
}

# bats test_tags=vm
@test "a container: its network namespace, the host's pids and its own, beside the same port outside" {
    contain
    watch -P "$port"
    ask $count
    ask $((2 * count)) nsenter -n -t "$inner"
    watched
    document '.lost.total == 0' '[.endpoints[] | select(.port == $port)] | length == 2' \
        ".endpoints | map(select(.netns == $netns)) | map(.workers[] | [.pid, .pid_inside, .accepted]) == [[$inner, 1, $((2 * count))]]" \
        ".endpoints | map(select(.netns == $netns) | .sockets | total(.arrived)) == [$((2 * count))]" \
        ".endpoints | map(select(.netns == $host)) | map(.workers[] | [.pid, .accepted]) == [[$outer, $count]]"
}

@test "-N by pid, path and inode: that network namespace alone" {
    contain
    for which in "$inner" "/proc/$inner/ns/net" "$netns"; do
        watch -P "$port" -N "$which"
        ask $count
        ask 10 nsenter -n -t "$inner"
        watched
        adds_up 10
        accepted_by "$inner" 10
        document "here.netns == $netns"
    done
}

@test "-c: the processes of that cgroup alone, named by its path" {
    mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/self/mounts)
    [ -n "$mount" ] || skip "no cgroup v2 is mounted"
    mkdir "$mount/sockfair-test-$$" || skip "can't make a cgroup"
    group=$mount/sockfair-test-$$
    serve serve
    echo "$pid" >"$group/cgroup.procs"
    inside=$pid inside_port=$port
    port=$(free_port)
    serve serve
    watch -P "$inside_port,$port" -c "$group"
    ask $count
    port=$inside_port
    ask 10
    watched
    adds_up 10
    document '[.endpoints[].workers[]] | total(.accepted) == 10' "here.workers | map([.pid, .cgroup]) == [[$inside, \"/sockfair-test-$$\"]]"
}
