#!/bin/bash
# down.sh DIR: ends the cluster that up.sh started in DIR: exactly the recorded
# processes. Logs and data stay. Fine to run twice.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"
dir=${1:?usage: down.sh DIR}
[[ -e $dir/pids ]] || exit 0

signal() { # SIGNAL: to whatever still lives; fails if nothing does
    local pid start some=1
    while read -r _ pid start; do
        # The watcher runs this script in its own place (exec).
        [[ $pid != "$$" ]] || continue
        alive "$pid" "$start" || continue
        some=0
        kill "-$1" "$pid" 2>/dev/null || true
    done <"$dir/pids"
    return $some
}

signal TERM || true
signal CONT || true # a test may have frozen one with STOP
for ((i = 0; i < 10; i++)); do
    signal 0 || break
    sleep 0.1
done
# An API server with open watches takes long to end; nothing here is worth the wait.
signal KILL || true
while signal 0; do sleep 0.05; done
rm -f "$dir/pids"
