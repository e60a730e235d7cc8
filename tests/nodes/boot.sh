#!/bin/bash
# boot.sh DIR BIN NAME INDEX: for node.sh, as the first process of a node, in pid,
# mount and uts namespaces of its own: makes the node's own tree, an overlay over
# the machine's, and becomes its init.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$1 bin=$2 name=$3
own=$dir/nodes/$name
machine=$(<"$dir/machine")

# A node is never what the machine runs in: a reboot ends the namespace that it is called in.
namespace=$(readlink /proc/self/ns/pid)
if [[ $$ != 1 || -z $machine || $namespace == "$machine" || $namespace == "pid:[4026531836]" ]]; then
    echo "boot.sh: process $$ in $namespace is not the first one of a node" >&2
    exit 1
fi

hostname "$name"
root=$own/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$own/upper,workdir=$own/work" "$root"
mount -t proc proc "$root/proc"
for path in /sys /dev; do mount --rbind "$path" "$root$path"; done
for path in /run /tmp; do mount -t tmpfs tmpfs "$root$path"; done # a reboot clears both
for path in "$dir" "$bin" "$(dirname "$here")"; do
    mkdir -p "$root$path"
    mount --bind "$path" "$root$path"
done
cd "$root"
pivot_root . .
umount -l .
cd /
mount --make-rshared /

# A boot id of its own; and files in place of what a kubelet, or a test, would set for the whole machine.
mkdir -p /run/kernel /run/udev /run/rounds-test
mount --bind "$own/boot_id" /proc/sys/kernel/random/boot_id
while read -r setting value; do
    echo "$value" >"/run/kernel/${setting//\//.}"
    mount --bind "/run/kernel/${setting//\//.}" "/proc/sys/$setting"
done <<'S'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
fs/inotify/max_user_instances 128
S
exec "$here/init.sh" "$@"
