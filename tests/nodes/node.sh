#!/bin/bash
# node.sh DIR BIN NAME INDEX: for world.sh, the machine of one node: boots it, and
# boots it again when it has gone down, however that happened. In DIR/nodes/NAME:
#   boots   a line "up BOOT-ID" and a line "down HOW" for each boot: rebooted, by
#           reboot(2) in its pid namespace, or died
#   plug    the pid of the node's first process, for the world
#   hold    as long as it is there, the node stays down
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"
dir=$1 name=$3
own=$dir/nodes/$name
mkdir -p "$own"/{upper,work,root,containerd,cni}
while :; do
    if [[ -e $own/hold ]]; then sleep 0.2; continue; fi
    cat /proc/sys/kernel/random/uuid >"$own/boot_id"
    echo "up $(<"$own/boot_id")" >>"$own/boots"
    unshare --pid --fork --kill-child=KILL --mount --uts --propagation private "$here/boot.sh" "$@" &
    keeper=$!
    until only_child "$keeper" >"$own/plug" || ! started "$keeper" >/dev/null; do sleep 0.05; done
    code=0
    wait "$keeper" || code=$?
    : >"$own/plug"
    # The kernel ends a namespace that reboots with SIGHUP.
    how=died
    ((code != 129)) || how=rebooted
    echo "down $how" >>"$own/boots"
    sleep 0.5
done
