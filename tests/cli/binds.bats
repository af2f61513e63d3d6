#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# `sockfair binds` beside a C program and real servers. Calls of every kind, and what is lost: tests/binds.py. Each test has a network namespace of its own.
load common

setup() {
    netns=sf-binds-$$-$BATS_TEST_NUMBER
    ip netns add "$netns"
    ip -n "$netns" link set lo up
    inside=(ip netns exec "$netns")
    out=$BATS_TEST_TMPDIR/out
    watch=
}

teardown() {
    [ -z "$watch" ] || end "$watch"
    end_started
    ip netns del "$netns"
    assert_clean
}

# In the background, until it says that it watches. Our namespace's calls alone.
binds_begin() { # OPTION...
    "$sockfair" binds -N "$netns" "$@" >"$out" 2>"$out.says" 3>&- &
    watch=$!
    eventually grep -q '^watching binds' "$out.says" || { cat "$out.says"; return 1; }
}

# Asks for the totals.
binds_end() {
    local status=0
    kill -INT "$watch"
    wait "$watch" || status=$?
    watch=
    [ $status = 0 ] || { echo "status $status"; cat "$out.says"; return 1; }
}

says() { grep -qF -- "$1" "$out" || { echo "no '$1' in:"; cat "$out"; return 1; }; }

# All of it is the totals: nobody did anything wrong.
says_nothing_but_totals() {
    [ "$(wc -l <"$out")" -le 2 ] && grep -qE '^[0-9,]+ binds? and [0-9,]+ listens? seen .*: 0 failed, 0 look wrong; .* lost 0$' "$out" || { cat "$out"; return 1; }
}

# A server in the background, in the namespace.
server() { # COMMAND...
    "${inside[@]}" setpriv --pdeathsig KILL "$@" >"$BATS_TEST_TMPDIR/server" 2>&1 3>&- &
    server=$!
    started+=("$server")
}

listens() { # PORT...
    local port
    for port; do "${inside[@]}" ss -Hltn "sport = $port" | grep -q . || return 1; done
}

nginx_conf() { # DIRECTIVES-OF-SERVER
    mkdir -p "$BATS_TEST_TMPDIR/nginx"
    cat >"$BATS_TEST_TMPDIR/nginx/conf" <<END
daemon off;
user root;
worker_processes 4;
pid $BATS_TEST_TMPDIR/nginx/pid;
error_log $BATS_TEST_TMPDIR/nginx/errors;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $BATS_TEST_TMPDIR/nginx/body;
    proxy_temp_path $BATS_TEST_TMPDIR/nginx/proxy;
    fastcgi_temp_path $BATS_TEST_TMPDIR/nginx/fastcgi;
    uwsgi_temp_path $BATS_TEST_TMPDIR/nginx/uwsgi;
    scgi_temp_path $BATS_TEST_TMPDIR/nginx/scgi;
    server { $1 location / { return 200; } }
}
END
}

nginx_start() { server nginx -p "$BATS_TEST_TMPDIR/nginx" -e stderr -c "$BATS_TEST_TMPDIR/nginx/conf"; }

# Ends it in an orderly way: its workers too.
nginx_end() {
    kill -TERM "$server"
    wait "$server" || :
}

@test "a C program that forgets htons() is named, with its pid and the port that it meant" {
    cat >"$BATS_TEST_TMPDIR/forgets.c" <<'END'
#include <arpa/inet.h>
#include <stdio.h>
int main(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = 81 };
	int s = socket(AF_INET, SOCK_STREAM, 0);

	return bind(s, (struct sockaddr *)&a, sizeof(a)) || listen(s, 5) || puts("ready") < 0 || fflush(stdout) || getchar() == 0;
}
END
    gcc -o "$BATS_TEST_TMPDIR/forgets" "$BATS_TEST_TMPDIR/forgets.c"
    binds_begin
    server sh -c "exec sleep 30 | exec $BATS_TEST_TMPDIR/forgets"
    eventually listens 20736
    pid=$("${inside[@]}" ss -Hltnp 'sport = 20736' | sed -E 's/.*"forgets",pid=([0-9]+).*/\1/')
    eventually grep -q htons "$out"
    binds_end
    says " forgets (pid $pid) listen tcp 0.0.0.0:20736 backlog 5: worked"
    says '81 without htons() is 20736'
    grep -qE '^1 bind and 1 listen seen in .*: 0 failed, 1 looks wrong' "$out"
}

@test "a normal start of nginx gives no line: IPv4 and IPv6, with reuseport and without" {
    nginx_conf 'listen 80; listen [::]:80 ipv6only=on; listen 8080 reuseport; listen [::]:8080 ipv6only=on reuseport; listen 127.0.0.1:8081;'
    binds_begin
    nginx_start
    eventually listens 80 8080 8081
    sleep 0.5
    binds_end
    nginx_end
    says_nothing_but_totals
}

@test "nginx on a port that is in use: who has it is named" {
    "${inside[@]}" setpriv --pdeathsig KILL /usr/bin/python3 -m http.server -b 0.0.0.0 8080 >/dev/null 2>&1 3>&- &
    holder=$!
    started+=("$holder")
    eventually listens 8080
    nginx_conf 'listen 8080;'
    binds_begin
    nginx_start
    eventually grep -q EADDRINUSE "$out"
    binds_end
    says "nginx (pid $server) bind tcp 0.0.0.0:8080: EADDRINUSE, SO_REUSEADDR"
    says "python3 (pid $holder, uid 0"
    says " listens on 0.0.0.0:8080 without SO_REUSEPORT; SO_REUSEADDR does not help beside one that listens"
}

@test "normal starts of haproxy, lighttpd, unbound and node give no line" {
    local d=$BATS_TEST_TMPDIR
    printf 'global\n nbthread 2\ndefaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\nfrontend f\n bind :8090\n bind [::]:8090 v6only\n' >"$d/haproxy"
    printf 'server.document-root = "%s"\nserver.port = 8091\n' "$d" >"$d/lighttpd"
    printf 'server:\n username: ""\n chroot: ""\n directory: "%s"\n pidfile: ""\n do-daemonize: no\n use-syslog: no\n interface: 127.0.0.1@8092\n interface: ::1@8092\n num-threads: 4\n so-reuseport: yes\nremote-control:\n control-enable: no\n' "$d" >"$d/unbound"
    binds_begin
    server haproxy -db -f "$d/haproxy"
    server lighttpd -D -f "$d/lighttpd"
    server unbound -d -c "$d/unbound"
    server node -e 'require("http").createServer().listen(8093)'
    eventually listens 8090 8091 8092 8093
    sleep 0.5
    binds_end
    says_nothing_but_totals
}

@test "lines fit a terminal of 80 columns, and names can't command it" {
    "${inside[@]}" script -qec "stty cols 80; $sockfair binds -N $netns 2>&1" /dev/null >"$out" 3>&- </dev/null &
    watch=$!
    eventually grep -q '^watching binds' "$out"
    clients 'import ctypes, os, socket
open("/proc/self/comm", "wb").write(b"\x1b[31mred")
a = socket.create_server(("127.0.0.1", 8094))
if not os.fork():
    a.close()
    try: socket.create_server(("127.0.0.1", 8094))
    except OSError: os._exit(0)
time.sleep(0.4)' "${inside[@]}"
    eventually grep -q 'its parent' "$out"
    end "$watch" TERM
    watch=
    says ' ?[31mred (pid'
    says 'its parent ?[31mred (pid'
    ! sed 's/\x1b\[[0-9]*m//g; s/\r$//' "$out" | grep -v '^watching' | grep -E '.{81}'
}

@test "-d ends it, -o takes the result, and each document is one line of the schema" {
    "$sockfair" binds -N "$netns" -d 0.1 -j -o "$out.brief" 2>"$out.says"
    [ "$(jq -r .kind "$out.brief")" = totals ]
    "$sockfair" binds -N "$netns" --all -d 1000 -j -o "$out" 2>"$out.says" 3>&- &
    watch=$!
    eventually grep -q '^watching binds' "$out.says"
    clients 'import socket
socket.create_server(("127.0.0.1", 8095))' "${inside[@]}"
    kill -INT "$watch"
    wait "$watch"
    watch=
    "$sockfair" --schema binds >"$BATS_TEST_TMPDIR/schema"
    /usr/bin/python3 - "$BATS_TEST_TMPDIR/schema" "$out" <<'END'
import json, sys, jsonschema
schema, documents = json.load(open(sys.argv[1])), [json.loads(line) for line in open(sys.argv[2])]
for d in documents:
    jsonschema.Draft202012Validator(schema).validate(d)
assert [d["kind"] for d in documents] == ["bind", "listen", "totals"], documents
END
}

@test "killed, it leaves nothing behind" {
    binds_begin
    kill -KILL "$watch"
    wait "$watch" || :
    watch=
    assert_clean
}

@test "wrong calls, and missing rights: one line" {
    refused 2 "takes no argument, but got '80'" binds 80
    refused 2 "there is no backend 'x'" binds --backend x
    refused 2 '--duration takes a number' binds -d 0
    refused 1 'there is no process 4194304' binds -p 4194304
    run setpriv --reuid 65534 --regid 65534 --clear-groups "$sockfair" binds -d 1
    [ "$status" = 1 ]
    assert_one_line 'CAP_BPF'
}

@test "a queue that is full is told at once, and reading goes on" {
    SOCKFAIR_QUEUE=3 binds_begin
    kill -STOP "$watch"
    "${inside[@]}" /usr/bin/python3 -c '
import socket
with socket.create_server(("127.0.0.1", 8120)):
    for i in range(20):
        try:
            socket.create_server(("127.0.0.1", 8120))
        except OSError:
            pass'
    kill -CONT "$watch"
    binds_end
    [ "$(grep -c 'bind tcp 127.0.0.1:8120: EADDRINUSE' "$out")" = 20 ] || { cat "$out"; return 1; }
    grep -q ': 20 failed, .* lost 0$' "$out"
}
