#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fetch.sh NAME: unpacks the kernel called NAME in tests/vm/kernels (and the emulator that boots it) below the cache, and prints
# the folder of the kernel. Nothing is installed: apt runs with a private source list, state and cache, made from the
# machine's own mirror. An unreachable mirror is an error with its reason; what is cached already is used as it is.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
cache=${SOCKFAIR_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sockfair/vm}
die() { echo "fetch.sh: $*" >&2; exit 1; }

mirror() {
    local sites
    sites=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | sort -u)
    grep -m1 -E '/debian/?$' <<<"$sites" || die "no Debian mirror among this machine's apt sources"
}


apt_options() { # SUITE -> fills the array `opts`
    local dir=$cache/apt/$1
    opts=(-q -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null
          -o Dir::State="$dir/state" -o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache"
          -o Dir::Etc::preferences=/dev/null -o Acquire::Retries=3 -o APT::Sandbox::User=root)
}

update() { # SUITE
    local dir=$cache/apt/$1
    apt_options "$1"
    mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial"
    : >"$dir/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $1 main" >"$dir/sources.list"
    apt-get "${opts[@]}" -o APT::Update::Error-Mode=any update >"$dir/log" 2>&1 ||
        die "apt-get update for $1 failed: $(grep -m1 -E '^(E|W|Err)' "$dir/log" || tail -1 "$dir/log")"
}

unpack() { # SUITE FOLDER PACKAGE...
    local suite=$1 into=$2 tmp
    shift 2
    apt_options "$suite"
    mkdir -p "$cache"
    tmp=$(mktemp -d "$cache/unpack.XXXXXX")
    (cd "$tmp" && apt-get "${opts[@]}" download "$@" >log 2>&1) ||
        { tail -2 "$tmp/log" >&2; rm -rf "$tmp"; die "download of $* from $suite failed"; }
    for deb in "$tmp"/*.deb; do dpkg-deb -x "$deb" "$tmp/root" || die "cannot unpack $deb"; done
    rm -rf "$into"
    mv "$tmp/root" "$into"
    rm -rf "$tmp"
}

kernel() { # NAME
    local suite prefix version packages=()
    read -r suite prefix < <(awk -v n="$1" '$1 == n { print $2, $3 }' "$here/kernels") || :
    [ -n "${suite:-}" ] || die "no kernel is called $1: see tests/vm/kernels"
    [ -e "$cache/kernel-$1" ] && { echo "$cache/kernel-$1"; return; }
    update "$suite"
    version=$(apt-cache "${opts[@]}" pkgnames linux-image- | sed -n "s/^linux-image-\(${prefix//./\\.}[.-].*cloud-amd64\)\$/\1/p" |
              grep -vE 'unsigned|rt-' | sort -V | tail -1)
    [ -n "$version" ] || die "$suite has no linux-image-$prefix*-cloud-amd64"
    # From 7.x on linux-image is a shell around linux-binary and linux-modules.
    for part in image binary modules; do
        apt-cache "${opts[@]}" show "linux-$part-$version" >/dev/null 2>&1 && packages+=("linux-$part-$version")
    done
    unpack "$suite" "$cache/kernel-$1" "${packages[@]}"
    echo "$cache/kernel-$1"
}

# QEMU 7.2 of Debian 12 runs stale code after a 6.12 kernel patches itself (an Oops at boot or later); 10.0 does not.
emulator() {
    [ -e "$cache/qemu" ] && return
    local suite=bookworm-backports
    update $suite
    unpack $suite "$cache/qemu" qemu-system-x86/$suite qemu-system-common/$suite qemu-system-data/$suite
}

exec 9>"$(mkdir -p "$cache" && echo "$cache/lock")"
flock 9
(emulator) || echo "fetch.sh: no newer QEMU: the system's must do" >&2
kernel "$1"
