#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# boot.sh KERNEL SCRIPT [ARG...]: runs SCRIPT as root under the kernel called KERNEL in tests/vm/kernels, in an emulated machine that
# sees the host's root read-only, in the repo's folder. Prints what SCRIPT prints and ends with its status, or with 125
# and a last line "# boot.sh: reason" when the machine failed: it did not start (three tries), its kernel complained while SCRIPT
# ran, or SCRIPT came to no end within VM_SECONDS (default 1500; of a boot: VM_BOOT_SECONDS, 90). VM_CPUS (default 2): qemu's -smp; "2,maxcpus=240" is a machine of two CPUs on which the
# kernel itself makes room for 240. Needs root, and the packages qemu-system-common, busybox-static, cpio.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '3,8s/^# //p' "$0" >&2; exit 2; }

here=$(dirname "$(realpath "$0")")
repo=$(realpath "$here/../..")
cache=${SOCKFAIR_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/sockfair/vm}
virtiofsd=/usr/lib/qemu/virtiofsd
seconds=${VM_SECONDS:-1500} boot_seconds=${VM_BOOT_SECONDS:-90} tries=3

# In the order of loading; what a kernel has built in, or lacks, is passed over. Nothing loads modules on demand in the guest.
modules=(virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci fuse virtiofs
         inet_diag tcp_diag udp_diag unix_diag mptcp_diag veth vrf)
splat='BUG:|BUG at|Oops|cut here|Kernel panic|general protection fault|detected.* stall|soft lockup|double fault|blocked for more than|Call Trace:'

fail() { echo "# boot.sh: $*"; exit 125; }

stop() {
    kill ${vm:+"$vm"} ${files:+"$files"} 2>/dev/null || :
    wait
    vm='' files=''
}

# shellcheck disable=SC2317 # called by the trap
cleanup() {
    trap '' INT TERM HUP PIPE # a second signal must not cut this short
    stop
    rm -rf "$dir" "/run/virtiofsd/${dir//\//.}.files.pid" # virtiofsd leaves its lock behind
}

make_initramfs() { # [ARG...] of the script
    local root=$dir/initramfs number=10 module file
    mkdir -p "$root/bin" "$root/modules"
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$here/init" "$root/init"
    printf '%s\n' "$repo" "$script" >"$root/visible"
    { printf 'cd %q\n' "$repo"; printf '%q ' "$script" "$@"; } >"$root/command"
    for module in "${modules[@]}"; do
        file=$(find "$kernel" -name "$module.ko*" -print -quit)
        [ -n "$file" ] || continue
        case $file in
            *.xz) xz -dc "$file" ;;
            *.zst) zstd -dqc "$file" ;;
            *) cat "$file" ;;
        esac >"$root/modules/$((number++))-$module.ko"
    done
    (cd "$root" && find . | cpio --quiet -o -H newc) >"$dir/initramfs.cpio"
}

# The last words of the kernel, or of the emulator if it said why it won't run.
last_words() { { cat "$dir/console" "$dir/emulator" 2>/dev/null || :; } | tail -n 20 | tr -d '\r' | sed 's/^/# console: /'; }

# pdeathsig ends a process with its parent, even when that was killed without a chance to clean up.
start() {
    rm -f "$dir"/{files,out,console}
    mkfifo "$dir/out"
    setpriv --pdeathsig KILL "$virtiofsd" --socket-path="$dir/files" -o source=/ -o sandbox=chroot -o cache=always \
        >"$dir/virtiofsd" 2>&1 &
    files=$!
    for _ in {1..100}; do [ -S "$dir/files" ] && break; sleep 0.05; done
    setpriv --pdeathsig KILL timeout --foreground -k 5 "$seconds" setpriv --pdeathsig KILL \
        "${qemu[@]}" -accel tcg,thread=multi -cpu max -smp "${VM_CPUS:-2}" -m 2048 \
        -object memory-backend-memfd,id=memory,size=2048M,share=on -numa node,memdev=memory \
        -chardev socket,id=files,path="$dir/files" -device vhost-user-fs-pci,chardev=files,tag=root \
        -nodefaults -display none -no-reboot -serial file:"$dir/console" -serial stdio \
        -kernel "$image" -initrd "$dir/initramfs.cpio" \
        -append "console=ttyS0 quiet panic=-1 oops=panic mitigations=off cryptomgr.notests nokaslr" </dev/null >"$dir/out" 2>"$dir/emulator" &
    vm=$!
    exec 3<"$dir/out"
}

kernel=$(realpath "$("$here/fetch.sh" "$1")")
script=$(realpath "$2")
shift 2
[ "$(id -u)" = 0 ] || fail "needs root, to serve the host's files to the guest"
for tool in "$virtiofsd" busybox cpio xz setpriv timeout; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
done
qemu=("$cache/qemu/usr/bin/qemu-system-x86_64" -L "$cache/qemu/usr/share/qemu" -L /usr/share/seabios)
if [ ! -x "${qemu[0]}" ]; then
    qemu=(qemu-system-x86_64)
    echo "boot.sh: no newer QEMU in $cache; taking the system's, under which some kernels are unstable" >&2
fi
dir=$(mktemp -d)
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
image=$(find "$kernel" -name 'vmlinuz*' -type f -print -quit)
[ -n "$image" ] || fail "no vmlinuz in $kernel"
make_initramfs "$@"

for ((try = 1; ; try++)); do
    start
    IFS= read -r -t $boot_seconds -u 3 line && [[ $line == VM-BEGIN* ]] && break
    stop
    last_words
    [ $try -lt $tries ] || fail "the machine died before the tests began, $tries times"
    echo "# boot.sh: the machine died before the tests began; starting it again (try $((try + 1)) of $tries)"
done
boot_messages=$(stat -c %s "$dir/console")

status=''
while IFS= read -r -u 3 line || [ -n "$line" ]; do
    if [[ $line =~ ^(.*)VM-END\ status=([0-9]+)$ ]]; then
        status=${BASH_REMATCH[2]} line=${BASH_REMATCH[1]}
        [ -n "$line" ] || continue
    fi
    printf '%s\n' "$line"
done
ended=0
wait "$vm" || ended=$?

tail -c +$((boot_messages + 1)) "$dir/console" | tr -d '\r' >"$dir/messages"
if grep -qE "$splat" "$dir/messages"; then
    grep -m 1 -B 3 -A 40 -E "$splat" "$dir/messages" | sed 's/^/# console: /'
    fail "the kernel complained: $(grep -m 1 -oE "($splat).*" "$dir/messages")"
fi
[ -n "$status" ] && exit "$status"
last_words
[ $ended = 124 ] && fail "no end within $seconds seconds"
fail "the machine ended without a result"
