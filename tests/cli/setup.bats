#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/setup.sh beside another apt: it waits for its turn. The real apt-get, with folders of its own, one package, and a dpkg that installs nothing.
load common

setup() {
    command -v apt-get >/dev/null || skip "no apt"
    apt=$BATS_TEST_TMPDIR/apt
    mkdir -p "$apt"/{package/DEBIAN,repository,state/lists/partial,dpkg,cache/archives/partial}
    printf '%s\n' "Package: $name" 'Version: 1' 'Architecture: all' 'Maintainer: nobody <nobody@localhost>' 'Description: for a test' >"$apt/package/DEBIAN/control"
    dpkg-deb -b "$apt/package" "$apt/repository/it.deb" >/dev/null
    (cat "$apt/package/DEBIAN/control"; echo 'Filename: ./it.deb'; stat -c 'Size: %s' "$apt/repository/it.deb"
     echo "SHA256: $(sha256sum "$apt/repository/it.deb" | cut -d' ' -f1)") >"$apt/repository/Packages"
    echo "deb [trusted=yes] file:$apt/repository ./" >"$apt/sources.list"
    : >"$apt/dpkg/status"
    printf '#!/bin/sh\necho "$@" >>%s\n' "$apt/dpkg-called" >"$apt/dpkg-bin"
    chmod 755 "$apt/dpkg-bin"
    cat >"$apt/conf" <<END
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "$apt/state";
Dir::State::status "$apt/dpkg/status";
Dir::Cache "$apt/cache";
Dir::Bin::dpkg "$apt/dpkg-bin";
Dir::Log "$apt";
APT::Sandbox::User "root";
END
    says=$BATS_TEST_TMPDIR/says
}

teardown() { end_started; }

name=sockfair-is-not-a-package

# As apt does, until it is killed. Its pid is in $server.
lock() { serve "import fcntl; keep.append(open('$1', 'w')); fcntl.lockf(keep[0], fcntl.LOCK_EX)"; }

run_setup() { # [VARIABLE=VALUE...]
    # The list of packages is one of the script's, by its name: here one from outside.
    env "$@" APT_CONFIG="$apt/conf" packages=$name "$BATS_TEST_DIRNAME/../setup.sh" packages >"$says" 2>&1 3>&-
}

installed() { grep -q -- --unpack "$apt/dpkg-called"; }

@test "the lock of the lists, then that of dpkg: it says whose it waits for, and goes on when they are free" {
    lock "$apt/state/lists/lock"
    run_setup &
    pid=$!
    eventually grep -q "^setup: waits for another apt or dpkg, 600 s at most: Could not get lock $apt/state/lists/lock" "$says"
    run ! installed
    end "$server"
    wait $pid || { cat "$says"; return 1; }
    installed
    [ "$(grep -c waits "$says")" = 1 ]
    rm "$apt/dpkg-called"
    lock "$apt/dpkg/lock-frontend"
    run_setup &
    pid=$!
    eventually grep -q "^setup: waits for another apt or dpkg, 600 s at most: Could not get lock $apt/dpkg/lock-frontend" "$says"
    end "$server"
    wait $pid || { cat "$says"; return 1; }
    installed
}

@test "a lock that is held for good: status 1 after the time limit, and the reason" {
    lock "$apt/state/lists/lock"
    status=0
    run_setup SETUP_PATIENCE=0 || status=$?
    [ "$status" = 1 ]
    grep -q 'another apt or dpkg was at work for all of 0 s; run it again when that has ended' "$says" || { cat "$says"; return 1; }
}

@test "what is no lock is no reason to wait" {
    rm "$apt/repository/Packages"
    status=0
    run_setup || status=$?
    [ "$status" = 1 ]
    grep -q 'installing failed' "$says"
    run ! grep -q waits "$says"
}

@test "a lock that can't be opened is no other apt" {
    mkdir "$apt/state/lists/lock"
    status=0
    run_setup SETUP_PATIENCE=0 || status=$?
    [ "$status" = 1 ]
    grep -q 'installing failed' "$says"
    run ! grep -q 'was at work' "$says"
}

@test "what the machine has is not removed for it" {
    printf '%s\n' 'Package: keeps-the-time' 'Status: install ok installed' 'Version: 1' 'Architecture: all' 'Maintainer: nobody <nobody@localhost>' \
        'Description: for a test' >"$apt/dpkg/status"
    sed -i '/^Version/i Conflicts: keeps-the-time' "$apt/repository/Packages"
    status=0
    run_setup || status=$?
    [ "$status" = 1 ]
    grep -q 'remove is disabled' "$says" || { cat "$says"; return 1; }
    run ! installed
}
