#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The full-screen view of `watch` in a terminal: tmux, with a server of its own.
load common
sockfair=$here

setup() {
    command -v tmux >/dev/null || skip "no tmux"
    terminal=sockfair-test-$$-$BATS_TEST_NUMBER
    term_out=$BATS_TEST_TMPDIR
}

teardown() {
    tmux -L "$terminal" kill-server 2>/dev/null || :
    end_started
    assert_clean
}

t() { tmux -L "$terminal" "$@"; }

# What the terminal shows.
shown() { t capture-pane -p; }
shows() { shown | grep -qE -- "$1"; }
shows_not() { ! shows "$1"; }
# The same, waited for; the page if it never comes.
see() { eventually shows "$1" || { echo "no '$1' in:"; shown; return 1; }; }
see_no() { eventually shows_not "$1" || { echo "still '$1' in:"; shown; return 1; }; }
key() { t send-keys "$@"; }
alternate_is() { [ "$(t display -p '#{alternate_on}')" = "$1" ]; }
no_session() { ! t has-session 2>/dev/null; }
exists() { [ -s "$1" ]; }

# A shell in a terminal of that size, in which the view runs. What comes before and after it is written to files.
view() { # COLUMNS ROWS OPTION...
    local columns=$1 rows=$2
    shift 2
    cat >"$term_out/script" <<END
stty -a >'$term_out/before'
'$sockfair' watch $* 2>'$term_out/says' &
pid=\$!
echo \$pid >'$term_out/pid'
fg >/dev/null
echo \$? >'$term_out/status.part'
stty -a >'$term_out/after'
mv '$term_out/status.part' '$term_out/status'
END
    # A bash with job control, as people have; UTF-8, so that bars are bars.
    LC_ALL=C.UTF-8 tmux -L "$terminal" -f /dev/null new-session -d -x "$columns" -y "$rows" \
        "env LC_ALL=C.UTF-8 bash --norc -m '$term_out/script'; cat '$term_out/status' | sed 's/^/status /'; exec sleep 1000" 3>&-
    eventually alternate_is 1
}

# The view is gone with that status, the terminal is as it was, and the last table stands on it.
left_clean() { # STATUS
    eventually exists "$term_out/status"
    [ "$(cat "$term_out/status")" = "$1" ] || { cat "$term_out/status" "$term_out/says"; return 1; }
    # But for its size, which may have changed.
    diff <(sed 's/rows.*columns [0-9]*;//' "$term_out/before") <(sed 's/rows.*columns [0-9]*;//' "$term_out/after")
    alternate_is 0
    [ "$(t display -p '#{cursor_flag}')" = 1 ]
    see "status $1"
    t capture-pane -p -S -100 | grep -q 'the whole window of' # it may be longer than the page
    [ ! -s "$term_out/says" ] || { cat "$term_out/says"; return 1; }
}

@test "80x24 and 200x50: the port, its workers, what the keys do" {
    serve_mode reuseport --port 8120 -w 3
    for size in "80 24" "200 50"; do
        view $size -P 8120 0.2
        see '127.0.0.1:8120'
        see 'q quit.*h help'
        clients 'visit(8120, 30)'
        key 3
        for worker in worker-0 worker-1 worker-2; do see "$worker"; done
        [ "$(shown | grep -c worker-0)" = 1 ]
        shown | tail -1 | grep -q 'q quit'
        [ "$(shown | wc -l)" = "${size#* }" ]
        key q
        left_clean 0
        t kill-server
        rm "$term_out/status"
        eventually no_session
    done
}

@test "keys: tabs, sort, freeze, help, reset; unknown ones do nothing" {
    serve_mode reuseport --port 8120 -w 3
    view 100 30 -P 8120 0.2
    inode=$(ss -Hltne 'sport = :8120' | grep -oE 'ino:[0-9]+' | cut -d: -f2 | head -1)
    key 2; see "${inode:0:7}" # the column may be narrower
    key 3; see worker-1
    key 4; see "sockfair +$server|$server +sockfair"; see_no worker-1
    key 1; see '127.0.0.1:8120'
    key 3; key s; see worker-1; key s; see worker-1; key x; see worker-1
    key h; see 'keep this picture'; see 'anew'
    key h; see_no 'keep this picture'
    key 1
    # Frozen, it shows what was; then what has come meanwhile.
    clients 'visit(8120, 40)'
    see '(^|[^0-9])40([^0-9]|$)'
    key f; see '[Ff]rozen|FROZEN'
    clients 'visit(8120, 1960)'
    shows_not '2,000'; see '(^|[^0-9])40([^0-9]|$)'
    key f; see '2,000'
    key q
    left_clean 0
    t capture-pane -p -S -100 | grep -q '2,000 in all'
}

@test "a port that is steered says by whom and since when, until it ends" {
    serve_mode reuseport --port 8120 -w 3
    view 100 30 -P 8120 0.2
    see '127.0.0.1:8120'
    shows_not 'steered by'
    "$everywhere" steer -P 8120 -N /proc/self/ns/net --before 0 --after 0 --force >"$term_out/steer" 2>&1 3>&- &
    steering=$!
    started+=($steering)
    see "steered by sockfair \(pid $steering\) since [0-2][0-9]:[0-5][0-9]:[0-5][0-9] UTC"
    key 3; see "steered by sockfair \(pid $steering\)"
    "$sockfair" list -P 8120 | grep -q "steered by sockfair (pid $steering) since"
    kill -TERM "$steering"
    see_no 'steered by'
    key q
    left_clean 0
}

# bats test_tags=slow
@test "resized to 20x5 and back: goes on" {
    serve_mode shared-accept --port 8120 -w 2
    view 80 24 -P 8120 0.2
    see '127.0.0.1:8120'
    for size in "20 5" "3 2" "80 24" "200 50"; do
        t resize-window -x ${size% *} -y ${size#* }
        eventually [ "$(t display -p '#{window_width} #{window_height}')" = "$size" ]
        kill -0 "$(cat "$term_out/pid")"
    done
    see '127.0.0.1:8120'
    see 'q quit'
    key q
    left_clean 0
}

# bats test_tags=slow
@test "SIGTERM, SIGINT, SIGHUP, Ctrl-C: the terminal is left clean, with the result" {
    serve_mode shared-accept --port 8120 -w 2
    for signal in TERM INT HUP C-c; do
        view 80 24 -P 8120 0.2
        see '127.0.0.1:8120'
        case $signal in C-c) key C-c ;; *) kill -$signal "$(cat "$term_out/pid")" ;; esac
        left_clean 0
        t kill-server
        rm "$term_out/status"
        eventually no_session
    done
}

# bats test_tags=slow
@test "Ctrl-Z gives the terminal back, fg takes it again" {
    serve_mode shared-accept --port 8120 -w 2
    t -f /dev/null new-session -d -x 100 -y 30 "env LC_ALL=C.UTF-8 PS1='prompt> ' bash --norc -i" 3>&-
    see 'prompt>'
    key "'$sockfair' watch -P 8120 0.2" Enter
    eventually alternate_is 1
    see '127.0.0.1:8120'
    key C-z
    eventually alternate_is 0
    see 'Stopped'
    key fg Enter
    eventually alternate_is 1
    see '127.0.0.1:8120'
    key q
    eventually alternate_is 0
    see 'the whole window of'
}

@test "the terminal goes away: the program ends" {
    view 80 24 -P 8121 0.2
    see 'waiting'
    pid=$(cat "$term_out/pid")
    t kill-server
    eventually ended "$pid"
}
ended() { ! kill -0 "$1" 2>/dev/null; }

# bats test_tags=slow
@test "a terminal of no known type: says so, and prints tables" {
    t -f /dev/null new-session -d -x 100 -y 30 "env TERM=nosuchterm '$sockfair' watch -P 8121 0.2 2; exec sleep 1000" 3>&-
    see "no full-screen view: the terminal type 'nosuchterm' is not known"
    see 'the whole window of'
    alternate_is 0
}
