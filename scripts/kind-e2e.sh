#!/usr/bin/env bash
# kind-e2e.sh CONTEXT: installs Rounds as people do, carries an operation through, and removes it; by kubectl's CONTEXT, and no
# other. The node of a kind cluster cannot be rebooted: `make nodes` has nodes that can.
set -euo pipefail
context=${1:?"usage: scripts/kind-e2e.sh CONTEXT"}
cd "$(dirname "$0")/.."
kubectl() { command kubectl --context "$context" "$@"; }

kubectl apply --server-side -k kustomize/default
kubectl wait crd nodeops.operator.kairos.io --for=condition=Established --timeout=60s
kubectl apply --server-side -f examples/nodeop-hello.yaml
if ! kubectl wait -f examples/nodeop-hello.yaml --for=condition=Ready --timeout=5m; then
    kubectl -n rounds-system logs --selector=app.kubernetes.io/name=rounds --tail=50 || true
    kubectl get -f examples/nodeop-hello.yaml -o yaml
    exit 1
fi
kubectl delete -f examples/nodeop-hello.yaml --timeout=60s
kubectl delete -k kustomize/default --timeout=120s
if kubectl get nodes -o yaml | grep operator.kairos.io/operation; then
    echo "a node is still locked" >&2
    exit 1
fi
