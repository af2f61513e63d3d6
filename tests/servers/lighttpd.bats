#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# lighttpd: a parent and four worker processes on one shared socket. It has no count over all workers: what the clients counted is compared.
load servers

# bats test_tags=vm
@test "lighttpd: what its clients count, and a parent that never accepts is no row" {
    port=$(free_port)
    mkdir "$dir/www"
    echo ok >"$dir/www/index.html"
    cat >"$dir/conf" <<END
server.port = $port
server.bind = "127.0.0.1"
server.document-root = "$dir/www"
server.errorlog = "$dir/errors"
server.upload-dirs = ( "$dir" )
server.max-worker = 4
server.listen-backlog = 1024
index-file.names = ( "index.html" )
END
    start lighttpd.log lighttpd -D -f "$dir/conf"
    server=$pid
    ready() {
        mapfile -t workers < <(children "$server")
        listens tcp "$port" && [ ${#workers[@]} = 4 ] && blocked "${workers[@]}"
    }
    within 30 ready
    watch -P "$port"
    start client.log "$here/clients.py" 127.0.0.1 "$port" "$n" 16
    within 600 gone "$pid"
    within 60 at_rest tcp "$port"
    watched shared thundering-herd
    same "answers that the clients got" "$(cat "$dir/client.log")" "$n"
    adds_up "$n"
    document "here.workers | map(.pid) | sort == ([$(IFS=,; echo "${workers[*]}")] | sort)" 'here.sockets | length == 1'
    advised 'no option of lighttpd gives each worker its own socket'
}
