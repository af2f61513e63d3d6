# SPDX-License-Identifier: GPL-2.0-or-later
# For the bats files of this folder.
sockfair=$BATS_TEST_DIRNAME/../../sockfair
check=$BATS_TEST_DIRNAME/../check_results.py
n=${SOCKFAIR_TEST_N:-20000}

# Everything that a command could leave behind: our programs in the kernel, workers and clients.
leftovers() {
    bpftool prog show | grep -oE 'name ([fkt]+_|name_listener)[a-z0-9_]*' || :
    ps -eo pid=,comm= | grep -E ' (sockfair|worker-)' || :
    ls -d /tmp/sockfair* 2>/dev/null || :
}

# Nothing is left, within 3 s: the kernel frees programs a grace period after their last user.
assert_clean() {
    local i
    for i in {1..60}; do
        [ -z "$(leftovers)" ] && return 0
        sleep 0.05
    done
    leftovers
    return 1
}

# One line on stderr, that begins with the program's name and holds TEXT.
assert_one_line() { # TEXT
    [ "$(wc -l <<<"$output")" = 1 ] && [[ $output == sockfair*"$1"* ]] || { echo "not one line with '$1': $output"; return 1; }
}
bats_require_minimum_version 1.5.0
