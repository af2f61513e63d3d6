#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Go programs (server.go): the runtime's threads take turns at waiting for all sockets of the process, so which of them took what says nothing.
load servers

setup_file() {
    GOCACHE=$BATS_FILE_TMPDIR/cache GOPATH=$BATS_FILE_TMPDIR GO111MODULE=off go build -o "$BATS_FILE_TMPDIR/server" "$BATS_TEST_DIRNAME/server.go"
}

go_start() { # MODE PROTOCOL
    port=$(free_port)
    start go.log env GOMAXPROCS=4 "$BATS_FILE_TMPDIR/server" "$1" "127.0.0.1:$port"
    server=$pid
    within 30 listens "$2" "$port"
}

@test "Go, net/http on one listener: the process is the worker, and nothing can be uneven" {
    go_start one tcp
    watch_clients "$n"
    design turns none '[]'
    document "here.workers | all(.pid == $server)" 'here.design.words == "1 process whose threads take turns"'
    same status $status 0
    grep -q 'so nothing there can be uneven' "$dir/watch.log"
}

@test "Go, net/http on three SO_REUSEPORT listeners: the sockets are compared, not the threads" {
    go_start three tcp
    watch_clients "$n"
    design turns sockets '[]'
    document 'here.sockets | length == 3 and all(.reuseport)' 'here.fairness.sockets | .bins == 3 and .verdict == "even"'
    same status $status 0
}

@test "Go, UDP: goroutines that read from one socket are one worker" {
    go_start udp udp
    watch -P "$port"
    same answers "$("$here/asks.py" "$port" "$n" 64)" "$n"
    within 60 at_rest udp "$port"
    judged
    adds_up "$n"
    design turns none '[]'
    same status $status 0
}
