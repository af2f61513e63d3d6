#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Findings on real sockets: each is made to happen, with figures that are known, and is silent beside it, where only its cause is missing. (Those
# about how sockets were bound are in list.bats, those of our own server designs in modes.bats.)
load common
sockfair=$here

setup() { watch_setup; }

teardown() {
    [ -z "${files:-}" ] || echo "$files" >/proc/sys/fs/file-max
    [ -z "$watch" ] || end "$watch"
    for pid in "${started[@]}"; do kill -CONT "$pid" 2>/dev/null || :; done
    [ -z "${cgroup:-}" ] || echo 0 >"$cgroup/cgroup.freeze" || :
    end_started
    [ -z "${cgroup:-}" ] || eventually rmdir "$cgroup"
    assert_clean
}

# What holds for a document: `found` is the codes of its port's findings, but of CPU time, which is the machine's to spread; `finding` what one says.
words='
def here: .endpoints | if length == 1 then .[0] else error("\(length) endpoints") end;
def found: (here.findings | map(.code)) - ["cpu-uneven", "load-even"];
def finding(code): here.findings | map(select(.code == code)) | if length == 1 then .[0] else error("\(length) of \(code)") end;
def problems_of: .findings | map(select(.level == "problem") | .code);
def problems: here.findings | map(select(.level == "problem") | .code);
def row(inode): here.sockets[] | select(.inode == inode);
'

# The last document has these properties.
holds() { # FILTER...
    local filter
    [ -s "$out" ] || return # of nothing jq says that all holds
    for filter; do
        tail -n 1 "$out" | jq -e "$words $filter" >/dev/null || { echo "not so: $filter"; tail -n 1 "$out"; return 1; }
    done
}

# Those of the whole window, which ends here.
result_holds() { # FILTER...
    watch_end
    "$check" "$out"
    holds "$@"
}

# Of `list`.
list_holds() { # PORT FILTER...
    "$sockfair" list --json -P "$1" >"$out.list"
    local out=$out.list
    shift
    holds "$@"
}

# That many threads wait on each socket of the port.
waiting() { # PORT THREADS SOCKETS
    eventually list_holds "$1" "here.sockets | map(.waiting) == [range($3) | $2]"
}

# All its threads are.
stopped() { # PID
    ! grep -h '^State:' "/proc/$1/task/"*/status | grep -qv '^State:.T'
}

# From here on sockfair runs in the network namespace of that process.
move_to() { # PID
    printf '#!/bin/sh\nexec nsenter -n -t %s %q "$@"\n' "$1" "$(realpath "$sockfair")" >"$BATS_TEST_TMPDIR/sockfair"
    chmod +x "$BATS_TEST_TMPDIR/sockfair"
    sockfair=$BATS_TEST_TMPDIR/sockfair
}

loopback='import subprocess
subprocess.check_call(["ip", "link", "set", "lo", "up"])
def sysctl(name, value):
    with open("/proc/sys/net/" + name, "w") as f: f.write(str(value))
'

# bats test_tags=slow
@test "stalled-socket: who is stopped, what is queued; silent under the same load and once it goes on; never beside even" {
    serve 's = tcp(8300, reuseport=True); thread(accepts, s)
print("said", os.fstat(s.fileno()).st_ino)'
    stopped=$server inode=$said
    serve 'thread(accepts, tcp(8300, reuseport=True))'
    waiting 8300 1 2
    watch_begin -P 8300 -i 0.2 --json
    clients 'visit(8300, 600); stay(8300, 40)'
    list_holds 8300 'found == []'
    result_holds 'found == ["even"]' 'here.findings[0].evidence | .bins == 2 and .events == 640'
    [ "$(jq -s "$words map(select(.endpoints | length == 1) | problems) | add" -c "$out")" = '[]' ]

    watch_begin -P 8300 -i 0.2 --json
    clients 'visit(8300, 600)'
    kill -STOP "$stopped"
    serve 'ask(8300, 40)'
    eventually holds "finding(\"stalled-socket\").evidence | .pid == $stopped and .queued > 0 and .stalled_seconds >= 0.5"
    list_holds 8300 'found == ["stalled-socket"]' "finding(\"stalled-socket\") | .evidence.pid == $stopped and
        (.text | contains(\"python3 $stopped is stopped (SIGSTOP)\") and contains(\"(inode $inode)\"))"
    result_holds 'found == ["stalled-socket"] and here.fairness.workers.verdict == "even"' \
        "row($inode) as \$s | finding(\"stalled-socket\") | .cookie == \$s.cookie and (.evidence | .pid == $stopped and .sockets == 2 and
         .queued == \$s.queue.length and .queued == \$s.arrived - \$s.accepted and .queued_before > 0 and .queued_before <= .queued)" \
        "finding(\"stalled-socket\") | .text | test(\"^[0-9]+ connections queued on socket [0-9]+ .inode $inode., none taken for .*: python3 $stopped is stopped .SIGSTOP.; continue it\")" \
        'here.sockets | map(.accepted + .queue.length) | add == 640'

    kill -CONT "$stopped"
    eventually list_holds 8300 'found == [] and (here.sockets | all(.queue.length == 0))'
    watch_begin -P 8300 --json
    clients 'visit(8300, 20)'
    result_holds 'problems == []'
}

# bats test_tags=slow
@test "was-stalled: a worker that was stopped and goes on is told of the whole window, and so is what it let come; silent of others, of an idle one, a burst and a start" {
    serve 's = tcp(8303, reuseport=True, backlog=7); thread(accepts, s)
print("said", os.fstat(s.fileno()).st_ino)'
    stopped=$server inode=$said
    serve 'thread(accepts, tcp(8303, reuseport=True))'
    waiting 8303 1 2
    watch_begin -P 8303 --json
    clients 'visit(8303, 300)'
    kill -STOP "$stopped"
    eventually stopped "$stopped"
    serve 'for _ in range(100): thread(visit, 8303, 1)' # more than its queue holds
    sleep 4
    kill -CONT "$stopped"
    eventually list_holds 8303 'here.sockets | all(.queue.length == 0)'
    clients 'visit(8303, 300)'
    result_holds 'problems == ["was-stalled"] and found == ["was-stalled"] and here.fairness.workers.verdict == "even"' \
        "row($inode) as \$s | finding(\"was-stalled\") | .cause == \"stopped\" and .cookie == \$s.cookie and
         .evidence.pid == $stopped and .evidence.seconds >= 1 and .evidence.seconds < 6 and .evidence.queued == 8 and .evidence.drops > 0 and
         .evidence.seconds == \$s.queue.stall.seconds and \$s.queue.stall.over and \$s.queue.stalled_seconds == 0 and
         .evidence.wait_max_ns == \$s.wait_ns.max and .evidence.wait_max_ns >= 3.9e9 and
         (.text | test(\"^nothing was taken from socket [0-9]+ .inode $inode. for at least .* dropped, the longest wait .*: python3 $stopped was stopped .SIGSTOP.; look for what stopped it$\"))" \
        "[here.sockets[] | select(.inode != $inode) | .queue.stall] == [null]"
    end_started

    serve 'def begins(s):
    select.select([s], [], [])
    time.sleep(2) # it has much to read before it can serve
    accepts(s)
thread(accepts, tcp(8304))
signal.signal(signal.SIGUSR1, lambda *_: thread(begins, tcp(8305)))'
    watch_begin -P 8304,8305 --json
    clients 'ask(8304, 60)'
    kill -USR1 "$server"
    eventually list_holds 8305 'here.sockets | length == 1'
    clients 'visit(8305, 3)'
    sleep 1.5
    clients 'ask(8304, 60)'
    result_holds '[.endpoints[] | problems_of] == [[], []]' '[.endpoints[].sockets[] | .wait_ns.max > 1.5e9] == [false, true]'
}

@test "worker-stopped: one of several on a socket that holds connections is told; silent before and once it goes on" {
    serve 's = tcp(8306)
def serves(e):
    while True:
        for fd, events in e.poll():
            if fd == s.fileno():
                try:
                    keep.append(s.accept()[0])
                except BlockingIOError:
                    continue
                keep[-1].sendall(STAYS)
for i in range(2): process(lambda: serves(epoll_of(s)))'
    watch_begin -P 8306 -i 0.5 --json
    serve 'stay(8306, 60)'
    eventually holds 'here.workers | map(.open) | add == 60 and min > 0' ||
        skip "one worker took all"
    stopped=$(tail -n 1 "$out" | jq '.endpoints[0].workers | max_by(.open) | .pid')
    holds 'found | index("worker-stopped") == null'
    kill -STOP "$stopped"
    eventually holds "finding(\"worker-stopped\") | .cause == \"stopped\" and .evidence.pid == $stopped and .evidence.open > 0 and
        (.text | test(\"^python3 $stopped is stopped .SIGSTOP.: it takes nothing, and [0-9]+ open connections? of it gets? no answer; continue it .kill -CONT $stopped.\"))"
    kill -CONT "$stopped"
    eventually holds 'found | index("worker-stopped") == null'
}

# What keeps the holder of each of these ports from taking what is queued, as `watch` says it.
causes_are() { # CAUSE...  from port 8320 on
    holds "[.endpoints[] | {port, found: [.findings[] | select(.level == \"problem\") | .cause // .code]}] | sort_by(.port) | map(.found | join(\" \"))
        == ($(printf '%s\n' "$@" | jq -R . | jq -sc .) | map(if . == \"-\" then \"\" else . end))"
}

# A process each, which takes three connections and then no more, for a reason of its own; the last one goes on.
@test "stalled-socket: its cause is found: descriptors, an epoll's way to report, a thread that ended, a timer, a service, a debugger; silent where all is taken" {
    serve "$(cat <<'SERVERS'
def limited(free):
    fd = os.dup(0)
    os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (fd + free, 4096))

def takes(s, n):
    for _ in range(n):
        keep.append(s.accept()[0])

def insists(s, backs_off=False):
    while True:
        try:
            takes(s, 1)
        except OSError as error:
            if error.errno != errno.EMFILE: raise
            time.sleep(0.05)

def at_limit(s):
    limited(3)
    insists(s)

def reserved(s):  # by a thread that sleeps in accept(): /proc/PID/fd does not have it
    other = tcp(0)
    limited(4)
    thread(takes, other, 1)
    insists(s)

def not_quite(s):
    limited(4)
    takes(s, 3)
    time.sleep(100)

def epoll_once(s, events):
    e = select.epoll()
    s.setblocking(False)
    e.register(s, events)
    while len(keep) < 3:
        e.poll()
        takes(s, 1)
    while True: e.poll()  # what comes is reported; what is there is not

def takes_out(s, events):
    e = select.epoll()
    e.register(s, select.EPOLLIN)
    while len(keep) < 3:
        e.poll()
        takes(s, 1)
    if events is None: e.unregister(s)
    else: e.modify(s, events)
    while True: e.poll()

def thread_ends(s):
    t = thread(takes, s, 3)
    t.join()
    threading.Event().wait()

def of_four(s):
    for i in range(3): thread(threading.Event().wait)
    takes(s, 3)
    threading.Event().wait()

def beside_others(s):
    def rests():
        takes(s, 3)
        time.sleep(100)
    for i in range(3): thread(threading.Event().wait)
    thread(rests).join()

def traced(s):
    takes(s, 3)
    if not os.fork():
        s.close()
        libc = ctypes.CDLL(None)
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        libc.ptrace(16, os.getppid(), None, None)  # PTRACE_ATTACH
        time.sleep(100)
    time.sleep(100)

def keeps(s): time.sleep(100)

whys = [(at_limit,), (reserved,), (not_quite,), (epoll_once, select.EPOLLIN | select.EPOLLET), (takes_out, select.EPOLLIN | select.EPOLLONESHOT),
        (takes_out, None), (takes_out, select.EPOLLPRI), (thread_ends,), (of_four,), (beside_others,), (keeps,), (traced,), (accepts,)]
for i, (why, *more) in enumerate(whys):
    s = tcp(8320 + i)
    process(why, s, *more, name="systemd" if why is keeps else None)
    s.close()
SERVERS
)"
    watch_begin -P 8320-8332 -i 0.2 --json
    serve 'for port in range(8320, 8333): ask(port, 6)'
    eventually causes_are descriptors descriptors asleep epoll-edge epoll-oneshot epoll-without epoll-events thread-ended asleep asleep service traced -
    holds '[.endpoints[] | select(.port == 8329) | .findings[].text | contains("has the thread that takes from it asleep in a timer (")] == [true]' '[.endpoints[].findings[] | select(.cause == "descriptors") | .text | test("has all ([0-9]+) of its descriptors in use .RLIMIT_NOFILE [0-9]+.: accept.. fails with EMFILE; raise")] == [true, true]'
}

@test "list: what can't take anything is stalled: frozen by its cgroup, out of descriptors; silent once it is thawed, and with a descriptor free" {
    local root
    root=$(ls -d /sys/fs/cgroup/unified /sys/fs/cgroup 2>/dev/null | while read -r each; do [ ! -e "$each/cgroup.procs" ] || { echo "$each"; break; }; done)
    [ -w "$root/cgroup.procs" ] || skip "no cgroup v2 that can be written to"
    cgroup=$root/sockfair-test.$$
    mkdir "$cgroup"
    serve 'thread(accepts, tcp(8337))'
    echo "$server" >"$cgroup/cgroup.procs"
    echo 1 >"$cgroup/cgroup.freeze"
    eventually grep -qx 'frozen 1' "$cgroup/cgroup.events"
    serve 'ask(8337, 2)'
    list_holds 8337 'found == ["stalled-socket"]' 'finding("stalled-socket") | .cause == "frozen" and (.text | contains("is frozen, as all of its cgroup; thaw it"))'
    echo 0 >"$cgroup/cgroup.freeze"
    eventually list_holds 8337 'found == []'

    serve 's = tcp(8338)
free = os.dup(0)
os.close(free)
os.dup2(0, free + 1) # not the one that the kernel would have given
ask(8338, 1)
print("said", free + 2)'
    prlimit --pid "$server" --nofile="$said:4096"
    list_holds 8338 'found == ["stalled-socket"]' "finding(\"stalled-socket\") | .cause == \"descriptors\" and .evidence.descriptors == $said and
        (.text | contains(\"has all $said of its descriptors in use (RLIMIT_NOFILE $said)\"))"
    prlimit --pid "$server" --nofile="$((said + 1)):4096"
    list_holds 8338 'found == []'

    # The parent keeps the sockets of its children, and each of these has inherited both.
    serve 'sockets = [tcp(8347, reuseport=True), tcp(8347, reuseport=True)]
print("said", *[process(accepts, s) for s in sockets])'
    waiting 8347 1 2
    kill -STOP "${said%% *}"
    clients 'ask(8347, 40)'
    list_holds 8347 'found == ["stalled-socket"]' "finding(\"stalled-socket\") | .cause == \"stopped\" and .evidence.pid == ${said%% *} and .evidence.queued > 0"
    kill -CONT "${said%% *}"
    eventually list_holds 8347 'found == []'

    # The kernel searches from the first on, and all after it, 140 words of its table, are in use.
    serve 's = tcp(8339)
ask(8339, 1)
resource.setrlimit(resource.RLIMIT_NOFILE, (9000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
first = os.dup(0)
while os.dup(0) < 8999:
    pass
os.close(first)
os.dup2(0, first)'
    list_holds 8339 'found == ["stalled-socket"]' 'finding("stalled-socket") | .cause == "descriptors" and .evidence.descriptors == 9000'
    prlimit --pid "$server" --nofile=9001:
    list_holds 8339 'found == []'
}

# Servers that take three connections and then no more.
takes_three='
def takes_three(s):
    for i in range(3): keep.append(s.accept()[0])

def spins(s):
    takes_three(s)
    os.setpriority(os.PRIO_PROCESS, 0, -20)  # what runs beside takes it no CPU
    while True: pass
'

# bats test_tags=alone
@test "stalled-socket: a thread that runs, or hangs in vfork(), takes none; silent where all is taken" {
    serve "$takes_three"'
def hangs(s):
    takes_three(s)
    libc = ctypes.PyDLL(None)
    clone = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
    if libc.syscall(clone, 0x4000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:  # CLONE_VFORK: the parent waits for its end
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        s.close()
        time.sleep(100)

for port, does in (8344, spins), (8345, hangs), (8346, accepts):
    s = tcp(port)
    process(does, s)
    s.close()'
    watch_begin -P 8344-8346 -i 0.2 --json
    serve 'for port in range(8344, 8347): ask(port, 6)'
    eventually causes_are busy uninterruptible -
    holds '[.endpoints[] | select(.port == 8344) | .findings[] | select(.cause == "busy") | .text | test("is busy .[0-9]+ % of a CPU., but takes none")] == [true]' \
        '[.endpoints[] | select(.port == 8345) | .findings[] | select(.cause == "uninterruptible") | (.text | contains("hangs, uninterruptible")) and .evidence.uninterruptible == 1] == [true]'
}

# bats test_tags=alone
@test "stalled-socket: the machine has as many files open as fs.file-max allows; not of a process that it does not apply to" {
    serve 'def insists(s, uid):
    os.setresuid(uid, uid, uid)
    while True:
        try:
            keep.append(s.accept()[0])
        except OSError as error:
            if error.errno != errno.ENFILE: raise
            time.sleep(0.05)

for port, uid in (8349, 65534), (8350, 0):
    s = tcp(port)
    process(insists, s, uid)
    s.close()'
    watch_begin -P 8349,8350 -i 0.2 --json
    files=$(cat /proc/sys/fs/file-max)
    echo 1 >/proc/sys/fs/file-max # of those who are not root
    serve 'for port in 8349, 8350: ask(port, 3)'
    eventually causes_are files -
    holds '[.endpoints[].findings[] | select(.cause == "files") | (.text | contains("has as many open as fs.file-max (1) allows: accept() fails with ENFILE")) and .evidence.files == 1] == [true]'
    echo "$files" >/proc/sys/fs/file-max
    eventually causes_are - -
}

# bats test_tags=slow
@test "backlog-small: drops at a full queue, and what sets its limit; silent with a larger one" {
    serve 'thread(accepts_slowly, tcp(8301, backlog=2), 0.05)'
    watch_begin -P 8301 -i 0.2 --json
    serve 'knock(8301, 30)'
    # What is queued is 3: the limit is 2.
    eventually grep -q backlog-small "$out"
    end "$server"
    result_holds 'here.sockets[0] as $s | finding("backlog-small").evidence | .drops == $s.drops and .drops >= 20 and .limit == 2 and .highest == 3 and
        .somaxconn == '"$(cat /proc/sys/net/core/somaxconn)" \
        'finding("backlog-small").text | contains("its limit is 2 (N holds N + 1): listen()'\''s backlog sets it")'
    end_started

    serve 'thread(accepts_slowly, tcp(8301, backlog=100), 0)'
    watch_begin -P 8301 --json
    clients 'visit(8301, 1); ask(8301, 30)'
    eventually list_holds 8301 'here.sockets[0].queue.length == 0'
    result_holds 'problems == []' 'here.sockets[0] | .accepted == 31 and .drops == 0 and .queue.limit == 100'
}

@test "queue-near-limit: the queue was full and nothing was dropped: said afterwards; a note where there was room; silent with three quarters of it free" {
    serve 'for port in range(8333, 8336): thread(accepts_for_good, tcp(port, backlog=7))'
    watch_begin -P 8333,8334,8335 --json
    kill -STOP "$server"
    eventually stopped "$server"
    clients 'for port, count in (8333, 8), (8334, 6), (8335, 5): ask(port, count)'
    kill -CONT "$server"
    eventually list_holds 8333,8334,8335 '[.endpoints[].sockets[].queue.length] == [0, 0, 0]'
    result_holds '[.endpoints[] | .findings | map(select(.code == "queue-near-limit")) | map(.level, .evidence.highest, .evidence.limit)] ==
        [["problem", 8, 7], ["note", 6, 7], []]' '[.endpoints[].findings[] | select(.code == "queue-near-limit") | .text |
        (contains(" was full") and contains("its longest was 8, its limit is 7 (N holds N + 1)")), contains(" was nearly full: its longest was 6, its limit is 7")] ==
        [true, false, false, true]'
}

# bats test_tags=slow
@test "backlog-small: net.core.somaxconn caps it, in a namespace of its own; from outside it can't be told" {
    serve "$loopback"'sysctl("core/somaxconn", 2)
thread(accepts_slowly, tcp(8301, backlog=100), 0.05)' unshare -n
    inner=$server
    for where in outside inside; do
        [ $where = outside ] || move_to "$inner"
        watch_begin -P 8301 -N "$inner" -i 0.2 --json
        serve 'knock(8301, 30)' nsenter -n -t "$inner"
        eventually grep -q backlog-small "$out"
        end "$server"
        result_holds 'finding("backlog-small").evidence | .limit == 2 and .highest == 3 and .drops > 0'
        case $where in
            outside) holds 'finding("backlog-small") | .evidence.somaxconn == null and (.text | contains("raise listen()'\''s backlog (and net.core.somaxconn"))' ;;
            inside) holds 'finding("backlog-small") | .evidence.somaxconn == 2 and (.text | contains("net.core.somaxconn caps it"))' ;;
        esac
    done
}

# bats test_tags=slow
@test "accepted-dead: five that were reset in the queue; silent with four, and with a worker that takes them first" {
    serve 's = tcp(8302); thread(accepts_dead, s)'
    waiting 8302 1 1
    for dead in 5 4; do
        watch_begin -P 8302 --json
        kill -STOP "$server"
        eventually stopped "$server"
        clients "ask(8302, $dead); time.sleep(0.15); reset()" # who gives up has waited
        kill -CONT "$server"
        eventually list_holds 8302 'here.sockets[0] | .queue.length == 0 and .waiting == 1' # it may look as if it still waited
        case $dead in
            5) result_holds 'finding("accepted-dead").evidence | .reset == 5 and .accepted == 5 and .wait_max_ns >= 150e6' ;;
            4) result_holds 'problems == []' 'here.sockets[0] | .accepted == 4 and .reset_queued == 4' ;;
        esac
    done
    watch_begin -P 8302 --json
    clients 'ask(8302, 10)
for c in keep: c.recv(1)
reset()'
    result_holds 'problems == []' 'here.sockets[0] | .accepted == 10 and .reset_queued == 0'
}

@test "group-joined: another program, from elsewhere a second one, is told with its pid and when; silent for children and a process's own further sockets" {
    serve 'def child():
    named("child")
    thread(accepts, tcp(8336, reuseport=True))
    idle()
thread(accepts, tcp(8336, reuseport=True))
signal.signal(signal.SIGUSR1, lambda *_: (thread(accepts, tcp(8336, reuseport=True)), process(child)))'
    first=$server
    watch_begin -P 8336 -i 0.2 --json
    kill -USR1 "$first"
    eventually holds 'here.sockets | length == 3'
    holds 'found | index("group-joined") == null'
    serve 'named("other"); thread(accepts, tcp(8336, reuseport=True))'
    other=$server
    serve 'process(lambda: accepts(tcp(8336, reuseport=True)))'
    eventually holds 'here.sockets | length == 5'
    result_holds "[here.findings[] | select(.code == \"group-joined\")] | length == 2 and
        (.[0] | .level == \"problem\" and .evidence.pid == $other and .evidence.sockets == 1 and .evidence.group_sockets == 5 and .evidence.seen_seconds > 0 and
         (.text | startswith(\"other $other joined the SO_REUSEPORT group of python3 $first (\"))) and
        (.[1] | .level == \"note\" and (.text | startswith(\"python3 \")))"
}

# bats test_tags=slow
@test "closed-with-queue: what was in it; silent when it is empty, and when it moves to another socket" {
    grep -q reuseport_migrate_sock /proc/kallsyms || skip "this kernel can't migrate (5.14)"
    serve "$loopback"'thread(accepts, tcp(8303, reuseport=True))' unshare -n
    inner=$server
    move_to "$inner"
    for migrate in 0 1; do
        [ $migrate = 0 ] || nsenter -n -t "$inner" sysctl -q -w net.ipv4.tcp_migrate_req=1
        serve 'keep.append(tcp(8303, reuseport=True)); print("said", os.fstat(keep[0].fileno()).st_ino)' nsenter -n -t "$inner"
        closing=$server inode=$said
        watch_begin -P 8303 --json
        serve 'ask(8303, 20)' nsenter -n -t "$inner"
        client=$server
        queued="(row($inode).arrived)"
        end "$closing"
        case $migrate in
            0) result_holds "$queued as \$n | \$n > 0 and (finding(\"closed-with-queue\") | .evidence.reset == \$n and .evidence.migrated == 0 and
                             (.text | contains(\"(inode $inode) was closed with a queue\") and contains(\"tcp_migrate_req=1\")))" ;;
            1) result_holds 'problems == []' "$queued as \$n | \$n > 0 and (row($inode) | .migrated == \$n and .dropped_closing == 0)" ;;
        esac
        end "$client"
    done
    serve 's = tcp(8304); thread(accepts, s)' nsenter -n -t "$inner"
    watch_begin -P 8304 --json
    clients 'visit(8304, 20)' nsenter -n -t "$inner"
    end "$server"
    result_holds 'problems == []' 'here.sockets[0] | .ended and .accepted == 20'
}

# bats test_tags=slow
@test "syn-queue-full: SYNs that nobody answers, without cookies; with cookies a note, and no client is lost" {
    serve 'nowhere()
with open("/proc/sys/net/ipv4/tcp_syncookies", "w") as f: f.write("0")
s = tcp(8305, "10.9.9.1", backlog=8); thread(accepts, s)' unshare -n
    inner=$server
    move_to "$inner"
    watch_begin -P 8305 --json
    clients 'visit(8305, 5, "10.9.9.1"); flood(8305, 6)' nsenter -n -t "$inner"
    list_holds 8305 'found == []' 'here.sockets[0].half_open | .length == 6 and .limit == 8 and .highest == 6'
    clients 'flood(8305, 30)' nsenter -n -t "$inner" # six of them as before
    list_holds 8305 'problems == ["syn-queue-full"]' # they are given up after 7 s
    result_holds 'here.sockets[0] as $s | finding("syn-queue-full") | .cookie == $s.cookie and $s.half_open.highest == .evidence.half_open and
        (.evidence | .half_open >= 8 and .half_open <= 9 and .limit == 8 and .namespace_refused == 30 - .half_open) and (.text | contains("listen()'\''s backlog"))' \
        '.namespaces | length == 1 and (.[0] | .request_queue_full_drops == .listen_drops and .listen_overflows == 0 and .tcp_syncookies == 0)' \
        'here.sockets[0] | .accepted == 5 and .withheld == null and .drops >= 21'

    nsenter -n -t "$inner" sysctl -q -w net.ipv4.tcp_syncookies=1
    watch_begin -P 8305 --json
    clients 'flood(8305, 30, 30000); visit(8305, 5, "10.9.9.1")' nsenter -n -t "$inner"
    result_holds 'problems == []' 'finding("syn-cookies").evidence | .namespace_cookies >= 5 and .limit == 8' 'here.sockets[0] | .accepted == 5 and .drops == 0'
}

# bats test_tags=slow
@test "withheld ACKs are no drops; clients that say nothing fill the request queue, and are reset when it closes" {
    serve "$loopback"'sysctl("ipv4/tcp_syncookies", 0)
s = defers(tcp(8306, backlog=8), 120); thread(accepts, s)' unshare -n
    inner=$server
    move_to "$inner"
    watch_begin -P 8306 --json
    clients 'visit(8306, 20)' nsenter -n -t "$inner"
    serve 'say_nothing(8306, 5)' nsenter -n -t "$inner"
    eventually list_holds 8306 'problems == []' 'here.sockets[0] | .half_open.length == 5 and .withheld.most == .drops and .drops >= 5' '.namespaces[0].listen_drops == 0'
    serve 'say_nothing(8306, 3)' nsenter -n -t "$inner"
    serve 'knock(8306, 10)' nsenter -n -t "$inner"
    eventually list_holds 8306 'problems == ["syn-queue-full"]'
    end "$server" # it would try again while counters are read
    result_holds 'finding("syn-queue-full") | .evidence.namespace_refused > 0 and (.text | contains("clients that send nothing stay up to 127 s (TCP_DEFER_ACCEPT)"))' \
        '.namespaces[0].request_queue_full_drops as $n | here.sockets[0] | .accepted >= 20 and .withheld.least == .withheld.most and .withheld.most >= 8 and .drops - .withheld.most == $n'

    watch_begin -P 8306 --json
    eventually list_holds 8306 'here.sockets[0].half_open.length >= 8'
    end "$inner"
    result_holds 'found == ["closed-handshaking"]' 'finding("closed-handshaking").evidence.half_open >= 8' 'here.sockets[0].ended'
}

# bats test_tags=slow
@test "slow-worker: the socket and the thread whose connections wait; silent without it, and on a shared socket" {
    for slow in 1 ''; do
        "$sockfair" run reuseport --work 500 ${slow:+--slow-worker 1} -n $((slow ? 1200 : 4000)) -w 4 --json >"$out"
        holds '.window.seconds > 0.9' # in less than that it is never said
        case $slow in
            1) holds 'here.workers[1] as $w | finding("slow-worker") | .cookie == $w.cookie and (.evidence | .tid == $w.tid and .sockets == 4 and
                      .connections == $w.accepted and .wait_mean_ns > 2.5 * .others_mean_ns and .wait_p99_ns > 0)' ;;
            *) holds 'found | index("slow-worker") == null' ;;
        esac
    done
    "$sockfair" run shared-accept --work 500 --slow-worker 1 -n 1200 -w 4 --json >"$out"
    holds 'found | index("slow-worker") == null' 'here.workers[1].accepted < 240' # it takes less
}

# bats test_tags=slow
@test "serving-uneven: one of two threads gets nine in ten; silent when they take turns" {
    for turn in 10 2; do
        serve "thread(hands_on, tcp(8304), lambda n: n % $turn == 0)"
        watch_begin -P 8304 --json
        clients 'visit(8304, 600)'
        case $turn in
            10) result_holds 'found == ["serving-uneven"]' 'finding("serving-uneven").evidence | .bins == 2 and .events == 600 and .cv == 0.8 and .max_over_mean == 1.8' ;;
            2) result_holds 'found == ["even"]' ;;
        esac
        end "$server"
    done
}

# bats test_tags=slow
@test "open-uneven: one of two sockets' workers keeps its connections; silent when both do, or none" {
    for work in "accepts_for_good accepts" "accepts_for_good accepts_for_good" "accepts accepts"; do
        # The file limit is above 600.
        serve "thread(${work% *}, tcp(8305, reuseport=True))"
        keeper=$server
        serve "thread(${work#* }, tcp(8305, reuseport=True))"
        other=$server
        waiting 8305 1 2
        watch_begin -P 8305 --json
        serve 'stay(8305, 600)'
        case $work in
            *good\ accepts) result_holds 'found == ["open-uneven"]' "(here.workers[] | select(.pid == $keeper) | .accepted) as \$n |
                              finding(\"open-uneven\").evidence | .bins == 2 and .events == \$n and .idle == 1 and .max_over_mean == 2" ;;
            *good) result_holds 'found == ["even"]' 'here.workers | map(.open) | add == 600' ;;
            *) result_holds 'found == ["even"]' 'here.workers | map(.open) | add == 0' ;;
        esac
        end "$server"
        end "$keeper"
        end "$other"
    done
}

@test "lone-reuseport: SO_REUSEPORT on one socket of two threads; silent with two sockets" {
    serve 's = tcp(8306, reuseport=True)
thread(accepts, s)
thread(accepts, s)
for i in range(2):
    s = tcp(8307, reuseport=True)
    thread(accepts, s)
    thread(accepts, s)'
    waiting 8306 2 1
    list_holds 8306 'found == ["lone-reuseport"]' 'here.sockets[0].cookie as $c | finding("lone-reuseport") | .cookie == $c and
        .evidence == { threads: 2, processes: 1 }'
    waiting 8307 2 2
    list_holds 8307 'found == ["shared-socket"]'
}

# bats test_tags=slow
@test "shared-socket: two threads block on one, before there is work; silent with one, and when the work is even" {
    serve 's = tcp(8306)
thread(accepts, s)
thread(accepts, s)
thread(accepts, tcp(8307))'
    waiting 8306 2 1
    list_holds 8306 'found == ["shared-socket"]' 'here.findings[0].evidence == { sockets: 1, workers: 2, processes: 1 }'
    waiting 8307 1 1
    list_holds 8307 'found == []'
    watch_begin -P 8306 --json
    clients 'visit(8306, 600)'
    result_holds 'here.fairness.workers.verdict == "even"' 'found == ["even"]'
}

# bats test_tags=slow
@test "few-clients: two ports' datagrams over eight sockets; silent with 1,024" {
    "$sockfair" run udp-reuseport --flows 2 -n 4000 --json >"$out"
    holds 'here.findings | map(.code) == ["few-clients"]' 'finding("few-clients").evidence | .flows == 2 and .datagrams == 4000 and .sockets == 8 and .idle >= 6'
    "$sockfair" run udp-reuseport --flows 1024 -n 4000 --json >"$out"
    holds 'found | index("few-clients") == null'
}

@test "steered: SO_INCOMING_CPU on one of two sockets; silent without" {
    serve 'for port in 8307, 8308:
    for i in range(2):
        s = tcp(port, reuseport=True)
        if port == 8308 and i:
            s.setsockopt(socket.SOL_SOCKET, 49, 0)
        thread(accepts, s)'
    for port in 8307 8308; do waiting $port 1 2; done
    list_holds 8307 'found == []'
    list_holds 8308 'found == ["steered"]' 'finding("steered").evidence == { sockets: 2, by_program: 0, by_cpu: 1 }'
}

@test "steered: what a classic program can pick of four sockets: by CPU, always one, none; by the packet that is not known" {
    serve 'import ctypes, struct
def attach(s, *program):
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in program))
    s.setsockopt(socket.SOL_SOCKET, 51, struct.pack("HP", len(program), ctypes.addressof(code)))
programs = { 8340: [(0x20, 0, 0, 0xfffff024), (0x16, 0, 0, 0)], 8341: [(6, 0, 0, 1)], 8342: [(6, 0, 0, 9)], 8343: [(0x30, 0, 0, 0), (0x16, 0, 0, 0)] }
for port, program in programs.items():
    for i in range(4):
        s = tcp(port, reuseport=True)
        thread(accepts, s)
    attach(s, *program)'
    for port in 8340 8341 8342 8343; do waiting $port 1 4; done
    cpus=$(getconf _NPROCESSORS_CONF)
    list_holds 8340 'found == ["steered"]' "finding(\"steered\").evidence | .by_program == 4 and .can_pick == ([4, $cpus] | min)"
    list_holds 8341 'finding("steered") | .evidence.can_pick == 1 and (.text | contains("always the same one"))'
    list_holds 8342 'finding("steered") | .evidence.can_pick == 0 and (.text | contains("so the hash picks"))'
    list_holds 8343 'finding("steered") | .evidence.can_pick == null and (.text | contains("an index beyond the group goes by the hash"))'
}

# bats test_tags=slow
@test "too-few: says how many would do; those do" {
    "$sockfair" run reuseport -n 100 --json >"$out"
    holds 'found == ["too-few"]' 'finding("too-few") | (.evidence | .seen == 100 and .bins == 8 and .needed > 700) and
        (.evidence.needed as $n | .text | endswith(": \($n) would do"))' || holds 'here.fairness.workers.verdict == "uneven"' # chance: 1 in 1,000
    needed=$(jq '.endpoints[0].findings[0].evidence.needed' "$out")
    "$sockfair" run reuseport -n $((needed - 1)) --json >"$out"
    holds 'here.fairness.workers.verdict == "too-few"' 'found | index("too-few")'
    "$sockfair" run reuseport -n "$needed" --json >"$out"
    holds 'found | index("too-few") == null'
}

# bats test_tags=slow
@test "thundering-herd: three epolls on one socket; silent with EPOLLEXCLUSIVE, with a shared epoll, with two" {
    for case in 'True, 3, select.EPOLLIN' 'True, 3, EXCLUSIVE' 'False, 3, select.EPOLLIN' 'True, 2, select.EPOLLIN'; do
        serve "own, threads, events = $case
s = tcp(8309)
e = epoll_of(s, events)
for i in range(threads): thread(accepts_by, epoll_of(s, events) if own and i else e, s)"
        waiting 8309 "$(cut -d' ' -f2 <<<"${case//,/}")" 1
        watch_begin -P 8309 --json
        clients 'for i in range(100): # one after the other: they all sleep again
    visit(8309, 1)
    time.sleep(0.005)'
        case $case in
            'True, 3, select.EPOLLIN') result_holds 'here.sockets[0].cookie as $c | finding("thundering-herd") | .cookie == $c and
                                                     (.evidence | .workers == 3 and .connections == 100 and
                                                     .woken >= 200 and .in_vain_each_at_most >= 1 and .in_vain_each_at_most <= 2)' ;;
            *) result_holds 'found | index("thundering-herd") == null' ;;
        esac
        end "$server"
    done
}

# bats test_tags=slow
@test "wake-order: of four with EPOLLEXCLUSIVE the first takes nearly all; silent with a socket each" {
    for shared in True False; do
        serve "one = tcp(8310, reuseport=True)
for i in range(4):
    s = one if $shared or not i else tcp(8310, reuseport=True)
    thread(accepts_by, epoll_of(s, EXCLUSIVE), s)"
        case $shared in True) waiting 8310 4 1 ;; *) waiting 8310 1 4 ;; esac
        watch_begin -P 8310 --json
        clients 'visit(8310, 800)'
        case $shared in
            True) result_holds 'here.fairness.workers.verdict == "uneven"' '(here.workers | max_by(.accepted)) as $w | here.sockets[0].cookie as $c |
                    finding("wake-order") | .cookie == $c and (.evidence | .workers == 4 and .exclusive_epolls == 4 and .accepted == 800 and
                    .busiest_tid == $w.tid and .busiest_accepted == $w.accepted)' ;;
            *) result_holds 'found | index("wake-order") == null' ;;
        esac
        end "$server"
    done
}
