# Looks whether a node needs the upgrade, before anything is touched; the host is mounted read-only.
#   sh -c <this> preflight active|recovery|both any|no-downgrade
# Exit 0 in silence: go on. Exit 0 with a termination message: the node is skipped. Exit 1 with one: it is refused.
set -eu
what=$1 allowed=$2
log=${TERMINATION_LOG:-/dev/termination-log}
image=$(release_below "${IMAGE_ROOT:-}")
host=$(release_below "${HOST_DIR:-/host}")
new=$(version_in "$image")
old=$(version_in "$host")
echo "this image is ${new:-of no known version}, the node runs ${old:-no known version}" >&2

# Two unknown versions are not equal. Which version the recovery system has is not told by the running one.
if [ "$what" != recovery ] && [ -n "$new" ] && [ "$new" = "$old" ]; then
    echo "node is already at $old" >"$log"
    exit 0
fi
if [ "$allowed" = no-downgrade ] && is_older "$image" "$host"; then
    echo "$new is older than $old, which the node runs, and rollout.allowDowngrade is false" >"$log"
    exit 1
fi
