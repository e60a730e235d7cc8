# Has a k3OS node, mounted below $HOST_DIR, upgrade itself with its own k3os; the reboot comes after that.
#   sh -c <this> k3os VERSION [CHANNEL]
# The termination message tells what is installed now.
set -eu
version=$1 channel=${2:-}
root=${HOST_DIR:-/host}
# Opened now: what k3os mounts may come to lie over it.
exec 3>"${TERMINATION_LOG:-/dev/termination-log}"

set -- --version "$version" --remount --kernel --rootfs --sync
[ -z "$channel" ] || set -- --channel "$channel" "$@"
chroot "$root" k3os ops upgrade "$@" || {
    code=$?
    echo "k3os ops upgrade to $version failed with exit code $code" >&3
    exit "$code"
}
installed=$(readlink "$root/k3os/system/k3os/current" || true)
installed=${installed##*/}
if [ "$installed" != "$version" ]; then
    echo "k3os ops upgrade succeeded, but ${installed:-nothing} is installed and not $version" >&3
    exit 1
fi
echo "upgraded to $version" >&3
