# Shared by the scripts of this folder. The nodes, their names and numbers in one place.
# shellcheck shell=bash
# shellcheck source=../cluster/lib.sh disable=SC2154 # whoever reads this file knows where it is
. "$here/../cluster/lib.sh"

# The first one is a control plane, as Rounds sees it: it bears the label.
# shellcheck disable=SC2034 # used by those who read this file
nodes=(control-1 worker-1 worker-2)

# only_child PID: the one child of a process, which is where `unshare --fork` keeps what it started.
only_child() {
    local children
    { children=$(<"/proc/$1/task/$1/children"); } 2>/dev/null
    [[ $children ]] && echo "${children%% *}"
}

# remove_cgroups NAME: with all below it, in every hierarchy. Their processes are gone.
remove_cgroups() {
    local top
    for top in /sys/fs/cgroup /sys/fs/cgroup/*; do
        [[ -d $top/$1 ]] || continue
        find "$top/$1" -depth -type d -exec rmdir {} + || return
    done
}
