# Installs the system in this container's root on the host, which is mounted below $HOST_DIR.
#   sh -c <this> upgrade active|recovery|both checked|forced quiet|debug [path not to install]...
# The termination message tells what is installed now; it begins with "upgraded to", "downgraded to" or "already at"
# where the version is known.
set -eu
what=$1 checks=$2 talk=$3
shift 3
root=${HOST_DIR:-/host}
# This container's own root, unless somebody tries the script out: then nothing else is touched.
self=${IMAGE_ROOT:-}
# Opened now: the host's /dev comes to lie over it.
exec 3>"${TERMINATION_LOG:-/dev/termination-log}"
[ "$talk" = quiet ] || set -x

image=$(release_below "$self")
host=$(release_below "$root")
new=$(version_in "$image")
old=$(version_in "$host")
echo "upgrade of the $what system from ${old:-an unknown version} to ${new:-an unknown version}" >&2

# The node was looked at before it was drained; somebody may have been quicker. Two unknown versions are not equal.
if [ "$checks" = checked ] && [ "$what" = active ] && [ -n "$new" ] && [ "$new" = "$old" ]; then
    echo "already at $new" >&3
    exit 0
fi
told="upgraded; the image tells no version"
[ -z "$new" ] || told="upgraded to $new"
if [ "$checks" = checked ] && [ "$what" != recovery ] && is_older "$image" "$host"; then
    told="downgraded to $new from $old"
    echo "warning: $new is older than $old" >&2
fi

fail() {
    echo "$1" >&3
    echo "$1" >&2
    exit 1
}

# The host's devices, its runtime state, and for UKI its firmware variables.
for directory in dev run sys; do
    if [ ! -d "$root/$directory" ]; then
        echo "the host has no /$directory" >&2
    elif ! mount --rbind "$root/$directory" "$self/$directory"; then
        [ "$directory" = sys ] || fail "the host's /$directory cannot be mounted"
    fi
done

# From paths to arguments: each path is one, whatever characters are in it.
set -- /etc/hostname /etc/hosts "$@"
count=$#
while [ "$count" -gt 0 ]; do
    set -- "$@" --exclude-path "$1"
    shift
    count=$((count - 1))
done

agent() {
    if [ "$talk" = debug ]; then set -- --debug upgrade "$@"; else set -- upgrade "$@"; fi
    echo "kairos-agent $*" >&2
    kairos-agent "$@" 3>&- || fail "kairos-agent upgrade failed with exit code $?"
}

case $what in recovery | both) agent --recovery --source "dir:$self/" "$@" ;; esac
case $what in active | both) agent --source "dir:$self/" "$@" ;; esac
echo "$told" >&3
