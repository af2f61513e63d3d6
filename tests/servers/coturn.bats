#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# coturn with a network engine (--ne=1) that makes a connected UDP socket for each client, beside the one that gets the first datagram of each.
load servers
request=000100002112a442000000000000000000000000 # STUN: a binding request

@test "coturn: a connected socket for each client is no bin and no row" {
    port=$(free_port)
    start coturn.log turnserver -n --ne=1 --log-file=stdout -L 127.0.0.1 -p "$port" --no-tls --no-dtls --no-cli --no-auth --relay-threads 2 \
        --pidfile "$dir/pid" -b "$dir/db"
    server=$pid
    within 30 listens udp "$port"
    within 30 listens tcp "$port"
    watch -P "$port" -u
    same answers "$("$here/asks.py" "$port" "$n" 40 $request)" "$n"
    judged
    design alone none '[]'
    same status $status 0
    document '.lost.by_reason == {}' 'here.sockets | length == 1' 'here.connected.sockets == 40' \
        "(here.sockets | total(took)) + here.connected.received == $n"
}
