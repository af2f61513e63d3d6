#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The design of a port is recognised beside real servers, and what is said fits it: no verdict over rows that are no workers, no advice that can't be followed.
load servers

apache() { # prefork|event
    mkdir "$dir/apache"
    cat >"$dir/apache/conf" <<END
ServerRoot $dir/apache
ServerName localhost
Listen 127.0.0.1:$port
PidFile $dir/apache/pid
ErrorLog $dir/apache/errors
User nobody
Group nogroup
LoadModule mpm_$1_module /usr/lib/apache2/modules/mod_mpm_$1.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
Redirect 204 /
END
    cat >>"$dir/apache/conf"
    start apache.log apache2 -D FOREGROUND -d "$dir/apache" -f "$dir/apache/conf"
    server=$pid
}

@test "apache prefork: its children are the workers, the parent none" {
    port=$(free_port)
    apache prefork <<<$'AcceptFilter http none\nStartServers 4\nMinSpareServers 4\nMaxSpareServers 4\nServerLimit 4\nMaxRequestWorkers 4'
    within 30 serving 4
    watch_clients "$n"
    design shared-accept workers '[]'
    document "(here.workers | map(.pid) | unique | sort) == ([$(children "$server" | paste -sd,)] | sort)" 'here.fairness.workers.bins == 4'
    verdict_is_status
}

# They wait in a plain epoll each, mostly too busy for each connection to wake all three; where they are not, that is told. Each has TCP_DEFER_ACCEPT, as apache's default is: the
# kernel counts a drop for each ACK that it withholds until the request is there.
@test "apache event: one thread of each process accepts, its others serve" {
    port=$(free_port)
    apache event <<<$'StartServers 3\nServerLimit 3\nThreadsPerChild 8\nMaxRequestWorkers 24\nMinSpareThreads 24\nMaxSpareThreads 24'
    within 30 serving 3
    watch_clients "$n"
    design shared-epoll workers '[]' thundering-herd
    document 'here.design.words == "3 processes on one socket, an epoll each"' 'here.fairness.workers.bins == 3' \
        'here.sockets[0] | .drops > 0.9 * .accepted and .withheld == {least: .drops, most: .drops} and .half_open.highest <= 8'
    verdict_is_status
    advised "'ListenCoresBucketsRatio 1' (Apache httpd since 2.4.13), though one for each CPU, not for each worker"
}

@test "gunicorn: workers share one socket, with --reuse-port too" {
    printf 'def app(environ, start_response):\n    start_response("200 OK", [("Content-Length", "3")])\n    return [b"ok\\n"]\n' >"$dir/app.py"
    for option in '' --reuse-port; do
        port=$(free_port)
        # shellcheck disable=SC2086
        start gunicorn.log gunicorn --chdir "$dir" -w 4 -b "127.0.0.1:$port" $option app:app
        server=$pid
        within 30 serving 4
        watch_clients 2000
        design shared-poll workers '[]'
        document 'here.sockets | length == 1' 'here.design.evidence.processes == 4' 'here.fairness.workers.bins == 4' \
            "([here.findings[].code] | index(\"lone-reuseport\") != null) == (\"$option\" != \"\")"
        verdict_is_status
        advised 'no option of gunicorn gives each worker its own socket; several gunicorns of one worker each do, with --reuse-port'
    done
}

@test "redis: one thread does it all, and there is nothing to be uneven" {
    port=$(free_port)
    start redis.log redis-server --bind 127.0.0.1 --port "$port" --save '' --dir "$dir"
    server=$pid
    within 30 listens tcp "$port"
    watch -P "$port"
    ping() {
        for _ in {1..200}; do
            exec 7<>"/dev/tcp/127.0.0.1/$port"
            echo PING >&7
            read -r answer <&7
            exec 7>&-
            [[ $answer == +PONG* ]]
        done
    }
    ping
    within 60 at_rest tcp "$port"
    judged
    adds_up 200
    design alone none '[]'
    same "status" $status 0
}

@test "postgresql: a process for each connection: no workers, no verdict" {
    port=$(free_port)
    local bin as
    bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
    as=(setpriv --reuid postgres --regid postgres --clear-groups)
    mkdir "$dir/pg"
    chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR"
    chown postgres "$dir/pg"
    (cd / && "${as[@]}" "$bin/initdb" --no-sync -A trust -U postgres -D "$dir/pg/data") >"$dir/initdb" 2>&1 || { cat "$dir/initdb"; return 1; }
    start postgres.log "${as[@]}" "$bin/postgres" -D "$dir/pg/data" -c listen_addresses=127.0.0.1 -c port="$port" -c unix_socket_directories="$dir/pg" -c fsync=off
    server=$pid
    within 60 "$bin/pg_isready" -q -h 127.0.0.1 -p "$port"
    within 60 at_rest tcp "$port"
    echo 'select 1' >"$dir/sql"
    watch -P "$port"
    "$bin/pgbench" -h 127.0.0.1 -p "$port" -U postgres -n -C -c 4 -t 25 -f "$dir/sql" postgres >"$dir/pgbench" 2>&1 || { cat "$dir/pgbench"; return 1; }
    within 60 at_rest tcp "$port"
    judged
    document '(here.workers | total(took)) >= 100' '.lost.by_reason == {}'
    design per-connection none '[]'
    same "status" $status 0
}
