#!/usr/bin/env bash
# bundle.sh DIR: writes the bundle that Kairos nodes install Rounds by into DIR: run.sh, assets/kairos-operator.yaml, and
# the Containerfile to make an image of them. Without the image, assets/kairos-operator.yaml alone can be put into
# /var/lib/rancher/k3s/server/manifests/ or /var/lib/k0s/manifests/kairos-operator/. KUBECTL names another kubectl.
set -euo pipefail
dir=${1:?"usage: scripts/bundle.sh DIR"}
bundle=$(cd "$(dirname "$0")/../kustomize/bundle" && pwd)
mkdir -p "$dir/assets"
"${KUBECTL:-kubectl}" kustomize "$bundle" >"$dir/assets/kairos-operator.yaml"
cp "$bundle/run.sh" "$bundle/Containerfile" "$dir/"
