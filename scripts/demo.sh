#!/usr/bin/env bash
# A real control plane with 20 fake nodes; an example NodeOp goes over them, and everything is cleaned up.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/rounds-demo.XXXXXX")
# Whatever ends this script, the servers end too.
export ROUNDS_PARENT_PID=$$
trap 'tests/cluster/down.sh "$dir" >/dev/null 2>&1 || true; rm -rf "$dir"' EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }
[[ -t 2 && -z ${NO_COLOR:-} ]] || say() { printf '\n%s\n' "$*" >&2; }

PATH=$(tests/cluster/build.sh):$PATH
say "Starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler and 20 fake nodes"
tests/cluster/up.sh "$dir" >/dev/null
export KUBECONFIG=$dir/kubeconfig
tests/cluster/nodes.sh 20 3 | kubectl create -f - >/dev/null
kubectl wait node --all --for=condition=Ready --timeout=60s >/dev/null
"$rounds" crds | kubectl apply --server-side -f - >/dev/null
kubectl create -f examples/workload.yaml >/dev/null
kubectl rollout status deployment/web --timeout=60s >/dev/null

say "\$ kubectl apply -f examples/nodeop-careful.yaml"
kubectl apply -f examples/nodeop-careful.yaml
say "\$ rounds plan"
"$rounds" plan || [[ $? == 2 ]]
say "\$ rounds run --until-settled"
"$rounds" run --until-settled --timeout 5m
say "\$ rounds status"
"$rounds" status
say "\$ rounds why node-00007"
"$rounds" why node-00007
say "\$ kubectl get nodeops"
kubectl get nodeops
