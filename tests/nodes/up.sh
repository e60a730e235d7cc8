#!/bin/bash
# up.sh DIR: starts a control plane and three real nodes with everything in DIR,
# waits until they are Ready and prints what is needed to use them. They live in
# namespaces of their own and go on after this script ends; down.sh DIR ends them.
#
# ROUNDS_BINARY      the program that becomes Rounds' own image; must be given
# ROUNDS_IMAGE       under this name
# TOOL_IMAGE         the name of the image that makes ISOs
# BUILDAH_IMAGE      the name of the image that builds images
# ROUNDS_PARENT_PID  a process at whose end all of it ends too
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"
: "${1:?usage: up.sh DIR}" "${ROUNDS_BINARY:?is not set}" "${ROUNDS_IMAGE:?is not set}" "${TOOL_IMAGE:?is not set}" "${BUILDAH_IMAGE:?is not set}"
((EUID == 0)) || { echo "up.sh: nodes need root: containerd, mounts and namespaces" >&2; exit 1; }
bin=$("$here/../cluster/build.sh" kubelet registry)
"$here/require.sh" "$bin"
umask 022
mkdir -p "$1"
dir=$(cd "$1" && pwd)
"$here/down.sh" "$dir"
# Only what an earlier run made, by name: DIR may be anything.
rm -rf "$dir"/{nodes,images,registry,names,control-plane,up,world.log}
mkdir -p "$dir/nodes"
cd "$dir"
[[ $(stat -f -c %T .) != overlayfs ]] || { echo "up.sh: $dir is on an overlay, and nodes need to make theirs on it" >&2; exit 1; }
trap '"$here/down.sh" "$dir"' EXIT # whatever goes wrong, leave nothing behind
trap 'exit 130' INT TERM

# Reboots end a pid namespace. This one is the machine's, and every way to a
# reboot compares itself with it first; see boot.sh.
readlink /proc/self/ns/pid >machine
echo "rounds-nodes-$$" >cgroup
: >pids
launch watcher "$here/watch.sh" "$dir" "$bin" "${ROUNDS_PARENT_PID:-}"
watcher=$last
end=$((SECONDS + 240))
until [[ -e up ]]; do
    if ! started "$watcher" >/dev/null || ((SECONDS > end)); then
        echo "up.sh: the nodes are not up:" >&2
        tail -n 20 world.log watcher.log nodes/*/console.log >&2
        exit 1
    fi
    sleep 0.2
done
trap - EXIT
echo "BIN=$bin"
echo "WORLD=$(<world)"
echo "KUBECONFIG=$dir/control-plane/kubeconfig"
