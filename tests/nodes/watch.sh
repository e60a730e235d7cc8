#!/bin/bash
# watch.sh DIR BIN [PID]: for up.sh. Keeps the world, a pid, mount and network
# namespace in which everything else runs, until somebody ends this script or
# process PID has ended. Whatever ends this script ends the world, and so every
# process, mount and interface in it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"
dir=$1 bin=$2 parent=${3:-}
cd "$dir"
since=
[[ -z $parent ]] || since=$(started "$parent")
# The servers in it have nobody else to look after them.
unset ROUNDS_PARENT_PID
setpriv --pdeathsig KILL unshare --pid --fork --kill-child=KILL --mount-proc --net --propagation private \
    "$here/world.sh" "$dir" "$bin" >world.log 2>&1 &
keeper=$!
until only_child "$keeper" >world; do sleep 0.05; done
for pid in "$keeper" "$(<world)"; do echo "world $pid $(started "$pid")" >>pids; done
exec 3<> <(:) # to wait without a child process
while started "$keeper" >/dev/null; do
    if [[ $since ]] && ! alive "$parent" "$since"; then
        # Not a child of the world: it survives what it does.
        exec "$here/down.sh" "$dir"
    fi
    read -rt 0.5 -u 3 || true
done
