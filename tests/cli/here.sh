#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# sockfair, for tests that have a network namespace of their own: commands that look into all of them look into this one, unless one is named.
case $1 in
    list | watch | binds | export)
        [[ " $* " == *" -N"* || " $* " == *" --netns"* ]] || set -- "$1" -N "$(stat -L -c %i /proc/self/ns/net)" "${@:2}"
        ;;
esac
exec "${BASH_SOURCE[0]%/*}/../../sockfair" "$@"
