#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# node's cluster module, four workers. Its own count: `connection` events of each worker.
load servers

node_start() { # rr|none
    port=$(free_port)
    start node.log node "$here/cluster.js" "$1" "$port"
    server=$pid
    within 60 ready
    mapfile -t workers < <(children "$server")
}

# The event loops of all wait. (node's helper threads wait for futexes.)
ready() { grep -qx listening "$dir/node.log" && blocked "$server" $(children "$server"); }

# What the workers counted, by pid, as JSON; in all in $connections.
own_counts() {
    kill -USR2 "$server"
    within 60 grep -q '^{' "$dir/node.log"
    counts=$(grep '^{' "$dir/node.log")
    connections=$(jq 'add' <<<"$counts")
    [ "$connections" -ge "$n" ] && [ "$connections" -le $((n + 16)) ] || { echo "node's connections: $counts"; return 1; }
}

# bats test_tags=vm
@test "node, round robin: the primary accepts all and hands them over" {
    node_start rr
    watch -P "$port"
    load "$n"
    own_counts
    watched
    adds_up "$connections"
    document "by_pid | with_entries(select(.value > 0)) == {\"$server\": $connections}" \
        "here.workers | map(.pid) - [$server, $(IFS=,; echo "${workers[*]}")] == []"
    # The workers serve what the primary accepts: at most what each was handed (ab does not use all).
    served "$n"
    document "here.workers | all(if .pid == $server then .served == null else .served == .handed.count and .served <= $counts[.pid | tostring] end)" \
        'here.fairness.served.bins == 4'
}

# bats test_tags=vm
@test "node, shared handles: each worker accepted what it says, the primary is no row" {
    node_start none
    watch -P "$port"
    load "$n"
    own_counts
    watched shared thundering-herd # each is woken by each: a plain epoll each
    adds_up "$connections"
    document "by_pid == $counts"
    served "$n"
    advised "'reusePort: true' in listen() (node since 22.12 and 23.1)"
}
