#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The design's one direction: command -> experiment, steer, export -> collect, workload, render -> attach,
# bind -> model. Nothing points back.
cd "$BATS_TEST_DIRNAME/../.."

# FOLDER includes of ours itself and FOLDERS... alone.
includes_only() { # FOLDER FOLDERS...
    local folder=$1 allowed found
    shift
    allowed=$(IFS='|'; echo "$*")
    ls user/"$folder"/*.[ch] >/dev/null || return
    found=$(grep -nE '#include "\.\./' user/"$folder"/*.[ch] | grep -vE "\"\.\./(${allowed:-none})/") || return 0
    echo "$found"
    return 1
}

# No line of FILE... matches PATTERN.
none() { # PATTERN FILE...
    local found status=0
    found=$(grep -nE "$1" "${@:2}") || status=$?
    echo "$found"
    [ $status = 1 ] # 2: a file or folder is missing
}

@test "only attach and collect know libbpf and the programs" {
    none '#include [<"]([.a-z/]*bpf/|.*skel\.h|[a-z_]*_record\.h|count\.h|holders\.h|shares\.h)' \
        user/main.c user/{bind,command,experiment,export,model,render,workload}/*.[ch]
    none '#include [<"]([.a-z/]*bpf/|.*skel\.h|[a-z_]*_record\.h)' user/steer/*.[ch]
    for folder in user/*/; do
        case $folder in
            user/attach/ | user/bind/ | user/collect/ | user/command/ | user/dist/ | user/experiment/ | user/export/ | user/man/ | user/model/ | user/render/ | user/steer/ | user/workload/) ;;
            *) echo "what may $folder include?"; return 1 ;;
        esac
    done
}

@test "the model includes nothing but itself, and does no input or output" {
    includes_only model
    none '\b(printf|fprintf|fopen|open|read|write|time|clock_gettime)\(' user/{model,bind}/*.c
}

@test "bind, attach, render and workload include of ours the model, and render bind" {
    includes_only bind model
    includes_only attach model
    includes_only workload model
    includes_only render model bind
}

@test "collect includes of ours how programs get into the kernel, bind and the model" {
    includes_only collect attach bind model
}

@test "experiments include of ours all but commands" {
    includes_only experiment attach collect workload bind model render
}

@test "steering includes of ours how programs get into the kernel, what collects, and the model" {
    includes_only steer attach collect model
}

@test "exporting includes of ours how programs get into the kernel, what collects, and the model" {
    includes_only export attach collect model
}

@test "below user/command nothing prints to stdout" {
    none '\b(printf|puts|putchar)\(|\bstdout\b' user/{attach,bind,collect,experiment,export,model,render,steer,workload}/*.c
}

@test "a function's name, and a structure's, means one thing in all of bpf/ and user/" {
    defined() { # the functions that FILE defines, each once
        sed -nE 's/^(static |const |unsigned |struct |enum |__always_inline |__noinline |[a-z_0-9]+ )+\**([a-z][a-z_0-9]*)\(.*[^;]$/\2/p' "$1" | sort -u
    }
    functions=$(for file in bpf/*.[ch] user/*/*.c; do defined "$file"; done | sort)
    [ "$(wc -l <<<"$functions")" -gt 1500 ]
    run uniq -d <<<"$functions"
    [ -z "$output" ]
    structures=$(grep -hoE '^struct [a-z_0-9]+ \{' bpf/*.[ch] user/*/*.[ch] | sort)
    [ "$(wc -l <<<"$structures")" -gt 200 ]
    run uniq -d <<<"$structures"
    echo "$output"
    [ -z "$output" ]
}
