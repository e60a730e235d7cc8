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
left() { # Processes that still live, but for this one: watch.sh runs it in its own place.
    local pid start
    while read -r _ pid start; do
        if [[ $pid != "$$" ]] && alive "$pid" "$start"; then echo "$pid"; fi
    done <"$dir/pids"
}
# The kernel takes all of the world down with its first process, which is there until that is done.
end=$((SECONDS + 30))
while mapfile -t pids < <(left) && ((${#pids[@]})); do
    ((SECONDS < end)) || { echo "down.sh: these processes do not end: ${pids[*]}" >&2; exit 1; }
    kill -KILL "${pids[@]}" 2>/dev/null || true
    sleep 0.1
done
until remove_cgroups "$(<"$dir/cgroup")" 2>/dev/null; do
    ((SECONDS < end)) || { echo "down.sh: cgroup $(<"$dir/cgroup") cannot be removed" >&2; exit 1; }
    sleep 0.1
done
rm -rf "$dir"/{images,registry,up,world} "$dir"/nodes/*/{upper,work,root,containerd}
# make nodes runs as root by sudo where it is not root, in a folder of the user's.
[[ -z ${SUDO_UID:-} ]] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$dir"
rm -f "$dir/pids"
