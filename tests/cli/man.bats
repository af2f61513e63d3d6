#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What there is to read: the pages in user/man hold all that the code can say, README.md stays short, and what both name is there.
cd "$BATS_TEST_DIRNAME/../.."

# Those of the lines of stdin that are no tag (.It Sy CODE) of PAGE; a list of tags may be one item, with commas.
not_in() { # PAGE
    sort -u | grep -vxFf <(sed -n 's/^\.It Sy //p' "$1" | sed 's/ Pq.*//; s/ , /\n/g') || :
}

# COMMAND prints nothing. What it printed is shown.
nothing() { # COMMAND...
    run "$@"
    echo "$output"
    [ -z "$output" ]
}

@test "the pages are well-formed: mandoc has nothing to say" {
    ls user/man/sockfair-{findings,fleet,internals,method,textbook}.7 user/man/sockfair-{export,steer}.1
    nothing mandoc -T lint -W warning user/man/*.[17]
    [ "$status" = 0 ]
}

@test "sockfair-findings(7) has each finding, and no other" {
    codes() { sed -nE 's/^\t\{ "([a-z-]+)", FINDING_.*/\1/p' user/model/findings*.c | sort -u; }
    [ "$(codes | wc -l)" -ge 28 ]
    diff <(codes) <(sed -nE 's/^\.It Sy ([a-z-]+) Pq .*/\1/p' user/man/sockfair-findings.7 | sort -u)
}

@test "sockfair-findings(7) has each cause of a stall, in the order in which they are looked for" {
    causes() { sed -nE 's/^\t\{ "([a-z-]+)", (UNABLE|TO_BLAME|INNOCENT), .*/\1/p' user/model/stall_cause.c; }
    [ "$(causes | wc -l)" -ge 17 ]
    diff <(causes; echo unknown) <(sed -n '/^\.Sh CAUSES/,/^\.Sh ADVICE/s/^\.It Sy //p' user/man/sockfair-findings.7)
}

@test "sockfair-findings(7) has each program that there is advice for" {
    # PROCESS, TCP, UDP, PROGRAM, OPTION: the program's name is what readers know it by.
    programs() { sed -nE 's/^\t\{ "[^"]+", (true|false), (true|false), "([^"]+)",.*/\3/p' user/model/advice.c; }
    [ "$(programs | wc -l)" -ge 19 ]
    diff <(programs) <(sed -n '/^\.Sh ADVICE/,/^\.Sh EX/s/^\.It \([^.]*\) Ta .* Ta .*/\1/p' user/man/sockfair-findings.7 | grep -v '^Sy ')
}

@test "sockfair-method(7) has each design, and each reason why a verdict is withheld" {
    designs() { sed -nE 's/^\t\[DESIGN_[A-Z_]+\] = "([a-z-]+)",/\1/p' user/model/design.c; }
    [ "$(designs | wc -l)" -ge 15 ]
    missing() { designs | not_in user/man/sockfair-method.7; }
    nothing missing
    reasons() { sed -nE 's/^\t\[WITHHELD_[A-Z_]+\] = "([a-z-]+)",/\1/p' user/model/fairness.c; }
    [ "$(reasons | wc -l)" -ge 6 ]
    unnamed() { reasons | grep -vxFf <(sed -n 's/^\.Sy //p' user/man/sockfair-method.7) || :; }
    nothing unnamed
}

@test "sockfair-textbook(7) has each server design that run knows" {
    modes() { sed -nE 's/^\t\{ "([a-z-]+)", PROTOCOL_.*/\1/p' user/workload/modes.c; }
    [ "$(modes | wc -l)" -ge 12 ]
    missing() { modes | not_in user/man/sockfair-textbook.7; }
    nothing missing
}

@test "sockfair-steer(1) has each reason why a port is refused" {
    codes() { { sed -nE 's/^.*refuse\(plan, "([a-z-]+)".*/\1/p' user/model/steer_plan.c; sed -nE 's/^\t\[DESIGN_[A-Z_]+\] = \{ "([a-z-]+)".*/\1/p' user/model/steer_plan.c; } | sort -u; }
    [ "$(codes | wc -l)" -ge 18 ]
    diff <(codes) <(sed -n '/^\.Sh WHAT IS REFUSED/,/^\.Sh LIMITS/s/^\.It Sy //p' user/man/sockfair-steer.1 | sed 's/ , /\n/g' | sort)
}

@test "sockfair-fleet(7) has each rule and each alert, in their order" {
    rules() { sed -nE "s/^ +- $1: //p" user/dist/prometheus/sockfair.rules.yml; }
    [ "$(rules alert | wc -l)" -ge 10 ]
    diff <(rules record) <(sed -n '/^\.Sh RECORDING/,/^\.Sh ALERTS/s/^\.It Sy //p' user/man/sockfair-fleet.7)
    diff <(rules alert) <(sed -n '/^\.Sh ALERTS/,/^\.Sh BOARD/s/^\.It Sy \(.*\) Pq .*/\1/p' user/man/sockfair-fleet.7)
}

@test "make install brings the program, its schemas and its pages" {
    env -u MAKEFLAGS -u MAKELEVEL make -o sockfair install DESTDIR="$BATS_TEST_TMPDIR" PREFIX=/usr
    [ -x "$BATS_TEST_TMPDIR/usr/bin/sockfair" ]
    diff <(cd user/render && ls ./*.schema.json) <(cd "$BATS_TEST_TMPDIR/usr/share/sockfair" && ls ./*.json)
    diff <(cd user/dist && find . -type f -printf '%f\n' | sort) <(cd "$BATS_TEST_TMPDIR/usr" && find share/sockfair/*/ lib -type f -printf '%f\n' | sort)
    diff <(cd user/man && ls) <(cd "$BATS_TEST_TMPDIR/usr/share/man" && ls man1 man7 | grep sockfair | sort)
}

@test "README.md is read to its end: at most 150 lines of at most 120 columns" {
    [ "$(wc -l <README.md)" -le 150 ]
    [ "$(LC_ALL=C.UTF-8 wc -L <README.md)" -le 120 ]
}

@test "what README.md and tests/README.md tell to run or to look at is there" {
    targets() { grep -ohE '`make [a-z]+|^make [a-z]+' README.md tests/README.md | sed 's/.*make //' | sort -u; }
    [ "$(targets | wc -l)" -ge 5 ]
    unknown() { targets | grep -vxFf <(sed -nE 's/^([a-z]+):.*/\1/p' Makefile) || :; }
    nothing unknown
    paths() {
        grep -ohE '(^|[^./A-Za-z])(tests|user|bpf|vmlinux)/[A-Za-z0-9_/.*-]*[A-Za-z0-9_/*]' README.md tests/README.md user/man/*.[17] | sed 's/^[^a-z]//'
        grep -oE '`((unit|cli|servers|vm|bench|fuzz)/[^` ]+|[a-z_]+\.py)`' tests/README.md | sed 's|`||g; s|^|tests/|'
    }
    [ "$(paths | wc -l)" -ge 80 ]
    gone() { paths | sort -u | while read -r path; do compgen -G "$path" >/dev/null || echo "$path"; done; }
    nothing gone
}

@test "tests/README.md names each file with tests" {
    files() {
        ls tests/unit/test_*.c tests/{cli,servers}/*.bats tests/vm/guest*.sh tests/bench/*.sh
        grep -lE '^"""[a-z_]+\.py .*(CASE|SERVER)\.\.\.\]' tests/*.py
    }
    [ "$(files | wc -l)" -ge 80 ]
    unnamed() { files | sed 's|.*/||' | grep -vxFf <(grep -oE '[A-Za-z0-9_-]+\.(c|bats|sh|py)' tests/README.md) || :; }
    nothing unnamed
}
