# Shared by up.sh and down.sh, and by those of tests/nodes/. DIR/pids has one line per process: name pid start.
# The start time (clock ticks since boot) tells a process from a later one that
# was given the same pid, so nothing of somebody else's is ever signalled.
# shellcheck shell=bash

# started PID: its start time; fails if it is gone or a zombie.
started() {
    local stat fields
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    read -ra fields <<<"${stat##*) }" # the name in parentheses may have spaces
    [[ ${fields[0]} != Z ]] && echo "${fields[19]}"
}

# alive PID START
alive() { [[ $(started "$1") == "$2" ]]; }

# launch NAME COMMAND...: in a session of its own, so that Ctrl-C in the terminal
# does not reach it, and with no file of ours open, so that a caller that reads
# our output sees its end. Recorded in ./pids; its pid is in $last.
launch() {
    local name=$1
    shift
    setsid "$@" </dev/null >"$name.log" 2>&1 &
    last=$!
    echo "$name $last $(started $last)" >>pids
}
