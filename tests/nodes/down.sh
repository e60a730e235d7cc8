#!/bin/bash
# down.sh DIR: ends what up.sh started in DIR, and leaves nothing of it but logs.
# Fine to run twice, and after a crash of whoever ran the tests.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"
dir=${1:?usage: down.sh DIR}
[[ -d $dir ]] || exit 0
# The world's own end and somebody's next start may meet here.
exec 9>"$dir/lock"
flock 9
[[ -e $dir/pids ]] || exit 0
while read -r _ pid start; do
    [[ $pid != "$$" ]] || continue
    if alive "$pid" "$start"; then kill -KILL "$pid" 2>/dev/null || true; fi
done <"$dir/pids"
# The kernel takes the world down with its first process; that this is over shows
# in its cgroups, which cannot be removed as long as a process is in one.
end=$((SECONDS + 30))
until remove_cgroups "$(<"$dir/cgroup")" 2>/dev/null; do
    ((SECONDS < end)) || { echo "down.sh: processes are left in cgroup $(<"$dir/cgroup")" >&2; exit 1; }
    sleep 0.2
done
rm -rf "$dir"/{images,registry,up,world} "$dir"/nodes/*/{upper,work,root,containerd}
# make nodes runs as root by sudo where it is not root, in a folder of the user's.
[[ -z ${SUDO_UID:-} ]] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$dir"
rm -f "$dir/pids"
