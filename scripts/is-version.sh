#!/usr/bin/env bash
# is-version.sh TAG: whether this checkout is of that version: the program, the images in all manifests, the chart, and what
# the documents tell people to fetch.
set -euo pipefail
tag=${1:?"usage: scripts/is-version.sh TAG"}
cd "$(dirname "$0")/.."
others=0
# is FILE PATTERN: every line of the file with the pattern is of this version, and there is one.
is() {
    local lines
    lines=$(grep -En -- "$2" "$1" || true)
    if [[ -z $lines ]] || grep -Evq -- "${tag//./\\.}([^0-9A-Za-z.-]|\$)" <<<"$lines"; then
        echo "$1 is not of $tag: ${lines:-no line with $2}" >&2
        others=1
    fi
}
tag=${tag#v}
is Cargo.toml '^version = '
is kustomize/chart/Chart.yaml '^version: '
tag=v$tag
is kustomize/chart/Chart.yaml '^appVersion: '
for file in cronjob/runner/cronjob.yaml cronjob/loop/deployment.yaml; do is "$file" 'rounds-project/rounds:'; done
for file in kustomize/argocd/rounds.yaml kustomize/flux/rounds.yaml; do is "$file" '(targetRevision|tag): '; done
for file in docs/github-actions/*.yml; do is "$file" 'cargo install'; done
is docs/gitops.md '\?ref='
exit "$others"
