#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# setup.sh build|check|test: installs the Debian packages that are missing for that. Asks nothing, installs nothing twice; elsewhere
# than on Debian it prints the names and stops.
set -euo pipefail

build=(gcc make clang llvm bpftool libc6-dev linux-libc-dev libbpf-dev libelf-dev zlib1g-dev libjansson-dev libgsl-dev liburing-dev
       libcap-dev libncurses-dev libmicrohttpd-dev libseccomp-dev)
check=("${build[@]}" libcmocka-dev bats jq python3 python3-jsonschema curl tmux mandoc iproute2 procps
       clang-format clang-tidy shellcheck)
servers=(nginx haproxy lighttpd unbound apache2 redis-server postgresql pdns-recursor coturn
         bind9 memcached mosquitto nsd openssh-server prometheus rsync tinyproxy)
# Of these a machine may have one of another name, which they would take the place of: its clock has to be kept on.
declare -A only_one=([chrony]=time-daemon [vsftpd]=ftp-server)
for package in "${!only_one[@]}"; do
    dpkg-query -W -f '${db:Status-Status} ${Provides}\n' 2>/dev/null | grep "^installed .*${only_one[$package]}" >/dev/null || servers+=("$package")
done
# shellcheck disable=SC2034 # wanted is one of them, by name
test=("${check[@]}" libclang-rt-dev qemu-system-x86 qemu-system-common busybox-static cpio xz-utils zstd gzip
      "${servers[@]}" python3-prometheus-client dnsmasq-base nodejs golang-go gunicorn wrk apache2-utils dnsperf strace
      python3-yaml openssl systemd)
# shellcheck disable=SC2034
bench=("${build[@]}" jq python3 procps bpftrace bpfcc-tools libbpf-tools linux-perf strace nginx redis-server memcached unbound
       dnsperf wrk apache2-utils prometheus)
declare -n wanted=$1

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    # A Debian name says enough elsewhere too; what matters is that the tools and libraries are there.
    echo "setup: not a Debian system; install what these Debian packages hold, then run make: ${wanted[*]}" >&2
    exit 1
fi

missing=()
for package in "${wanted[@]}"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "setup: needs root to install: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
echo "setup: apt-get install ${missing[*]}"
log=$(mktemp) policy=
cleanup() {
    rm -f "$log"
    [ -z "$policy" ] || "${as_root[@]}" rm -f "$policy"
}
trap cleanup EXIT

# The tests want the servers' programs. As services of this machine those are not to run: not now (Debian asks policy-rc.d before it starts
# one), and not after the next boot.
services=()
for package in "${missing[@]}"; do
    [[ " ${servers[*]} " == *" $package "* ]] || continue
    case $package in
        bind9) services+=(named.service) ;;
        openssh-server) services+=(ssh.service) ;;
        *) services+=("$package.service") ;;
    esac
done
if [ ${#services[@]} -gt 0 ] && [ ! -e /usr/sbin/policy-rc.d ]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
fi
# While another apt or dpkg is at work, as on a machine that has just begun its first boot, its turn comes first. DPkg::Lock::Timeout waits for one lock of several.
patience=${SETUP_PATIENCE:-600}
apt_get() { # ARGUMENT...
    # Not all that can't be locked is: "Unable to acquire" alone may be a folder that is not there, or can't be written.
    local lock='Could not get lock|was locked by another process|is another process using it' said=
    # Where dpkg would ask what to do with a changed file, it ends: nobody would see the question.
    until "${as_root[@]}" env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get "$@" >"$log" 2>&1 </dev/null; do
        grep -qE "$lock" "$log" || return 1
        if [ "$SECONDS" -ge "$patience" ]; then
            echo "setup: another apt or dpkg was at work for all of $patience s; run it again when that has ended" >>"$log"
            return 1
        fi
        [ -n "$said" ] || echo "setup: waits for another apt or dpkg, $patience s at most: $(grep -m1 -E "$lock" "$log" | sed 's/^E: //')"
        said=yes
        sleep 0.5
    done
}
install() { apt_get install -y --no-install-recommends --no-remove "${missing[@]}"; }
install || { apt_get update && install; } || { tail -5 "$log" >&2; echo "setup: installing failed" >&2; exit 1; }
if [ ${#services[@]} -gt 0 ] && command -v systemctl >/dev/null; then
    for service in "${services[@]}"; do
        "${as_root[@]}" systemctl --quiet disable "$service" >"$log" 2>&1 || { cat "$log" >&2; echo "setup: could not disable $service" >&2; }
    done
fi
