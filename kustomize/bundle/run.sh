#!/bin/bash
# What kairos-agent runs of this bundle, in its folder: puts the manifests where k3s or k0s of this node apply them from.
# The cloud-config may say which, under `kairosOperator`: manifest_dir, or k0s: true, or k3s: true.
set -euo pipefail

# BUNDLE_ROOT is for tests.
root=${BUNDLE_ROOT:-}
k0s=$root/var/lib/k0s/manifests/kairos-operator
k3s=$root/var/lib/rancher/k3s/server/manifests

config() {
    local value
    value=$(kairos-agent config get "kairosOperator.$1" 2>/dev/null | tr -d '\n') || return 0
    [[ $value == null ]] || echo "$value"
}

dir=$(config manifest_dir)
if [[ -n $dir ]]; then
    dir=$root$dir
elif [[ $(config k0s) == true ]]; then
    dir=$k0s
elif [[ $(config k3s) == true ]]; then
    dir=$k3s
elif command -v k0s >/dev/null; then
    dir=$k0s
elif command -v k3s >/dev/null; then
    dir=$k3s
else
    echo "neither k0s nor k3s is on this node: set kairosOperator.manifest_dir, kairosOperator.k0s or kairosOperator.k3s in the cloud-config" >&2
    exit 1
fi
mkdir -p "$dir"
cp -f assets/* "$dir/"
