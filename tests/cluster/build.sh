#!/bin/bash
# build.sh [BINARY...]: builds what a test cluster needs and is not in the cache
# yet, and prints the directory that holds it as the only line on stdout.
# BINARY: more than the default: kubelet, registry.
set -euo pipefail

kubernetes=v1.35.4 # as required in go.mod; stamped into the binaries, else they report v0.0.0
kwok=v0.7.0
registry=v3.1.2
binaries=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl prepare kwok "$@")

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# Everything that decides what comes out is in the name, so a cache directory
# never has to be judged stale, and two checkouts can share one cache.
hash=$(cat "$here/go.mod" "$here/go.sum" "$here"/cmd/*/main.go <(echo "$kubernetes $kwok $registry") | sha256sum)
bin=${ROUNDS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rounds}/servers-$kubernetes-${hash:0:12}/bin

missing() {
    local b
    for b in "${binaries[@]}"; do [[ -x $bin/$b ]] || echo "$b"; done
}

if [[ -n $(missing) ]]; then
    command -v go >/dev/null || {
        echo "build.sh: the test cluster is built from source and needs Go 1.26 or later: 'go' is not on PATH" >&2
        exit 1
    }
    mkdir -p "$bin"
    exec 9>"$bin/../lock"
    flock 9 # a second build.sh waits here and then finds all in place
    mapfile -t todo < <(missing)
    if ((${#todo[@]})); then
        echo "build.sh: building ${todo[*]} (once; all of it takes about 6 minutes on 2 cores)" >&2
        tmp=$(mktemp -d "$bin/../tmp.XXXXXX")
        trap 'rm -rf "$tmp"' EXIT
        cd "$here"
        ldflags="-s -w -X k8s.io/component-base/version.gitVersion=$kubernetes"
        mains=()
        for b in "${todo[@]}"; do
            [[ $b == kwok || $b == registry ]] || mains+=("./cmd/$b")
        done
        # 9>&-: what go may leave running must not keep the lock.
        ((${#mains[@]} == 0)) || go build -ldflags "$ldflags" -o "$tmp/" "${mains[@]}" >&2 9>&-
        # Those whose own go.mod says it all.
        install() { GOBIN=$tmp go install -ldflags "-s -w" "$1" >&2 9>&-; }
        [[ " ${todo[*]} " != *" kwok "* ]] || install "sigs.k8s.io/kwok/cmd/kwok@$kwok"
        [[ " ${todo[*]} " != *" registry "* ]] || install "github.com/distribution/distribution/v3/cmd/registry@$registry"
        # A rename within one file system: whoever looks sees all of a file or none.
        mv "$tmp"/* "$bin/"
    fi
fi
echo "$bin"
