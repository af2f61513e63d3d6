#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# The design's one direction: command -> experiment -> kernel, workload, render -> model. Nothing points back.
cd "$BATS_TEST_DIRNAME/../.."

# No line of FILE... matches PATTERN, but for those that match EXCEPT.
none() { # PATTERN EXCEPT FILE...
    local found
    found=$(grep -nE "$1" "${@:3}" | grep -vE "$2") || return 0
    echo "$found"
    return 1
}

@test "only user/kernel knows libbpf and the programs" {
    none '#include [<"](bpf/|.*skel\.h|count\.h)' 'nothing' user/main.c user/{command,experiment,model,render,workload}/*.[ch]
}

@test "the model includes nothing but itself, and does no input or output" {
    none '#include "\.\./' 'nothing' user/model/*.[ch]
    none '\b(printf|fprintf|fopen|open|read|write|time|clock_gettime)\(' 'nothing' user/model/*.c
}

@test "render, kernel and workload include of ours only the model" {
    none '#include "\.\./' '"\.\./model/' user/{render,kernel,workload}/*.[ch]
}

@test "experiments include of ours the kernel, the workloads, the model and render" {
    none '#include "\.\./' '"\.\./(kernel|workload|model|render)/' user/experiment/*.[ch]
}

@test "below user/command nothing prints to stdout" {
    none '\b(printf|puts|putchar)\(|\bstdout\b' 'nothing' user/{experiment,model,render,kernel,workload}/*.c
}
