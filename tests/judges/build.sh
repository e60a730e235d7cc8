#!/bin/bash
# build.sh: builds the judges of this folder that are not in the cache yet (helm, kubeconform, and those in cmd/), and
# prints the directory that holds them as the only line on stdout. Versions: go.mod.
set -euo pipefail

binaries=(judge helm kubeconform)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# As in tests/cluster/build.sh: everything that decides what comes out is in the name.
hash=$(cat "$here/go.mod" "$here/go.sum" "$here"/cmd/*/*.go | sha256sum)
bin=${ROUNDS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rounds}/judges-${hash:0:12}/bin

missing() {
    local b
    for b in "${binaries[@]}"; do [[ -x $bin/$b ]] || echo "$b"; done
}

if [[ -n $(missing) ]]; then
    command -v go >/dev/null || {
        echo "build.sh: the judges are built from source and need Go 1.26 or later: 'go' is not on PATH" >&2
        exit 1
    }
    mkdir -p "$bin"
    exec 9>"$bin/../lock"
    flock 9 # a second build.sh waits here and then finds all in place
    if [[ -n $(missing) ]]; then
        echo "build.sh: building ${binaries[*]} (once; about 3 minutes on 2 cores)" >&2
        tmp=$(mktemp -d "$bin/../tmp.XXXXXX")
        trap 'rm -rf "$tmp"' EXIT
        cd "$here"
        # 9>&-: what go may leave running must not keep the lock.
        go build -ldflags "-s -w" -o "$tmp/" ./cmd/judge helm.sh/helm/v4/cmd/helm github.com/yannh/kubeconform/cmd/kubeconform >&2 9>&-
        # A rename within one file system: whoever looks sees all of a file or none.
        mv "$tmp"/* "$bin/"
    fi
fi
echo "$bin"
