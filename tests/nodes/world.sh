#!/bin/bash
# world.sh DIR BIN: for watch.sh, as the first process of the world: a control
# plane, two registries with the images, three nodes. It ends only when it is ended.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"
dir=$1 bin=$2
cd "$dir"

# A kubelet wants an address that is not the loopback's.
ip link set lo up
ip link add nodes type bridge
ip link set nodes up
# The address of the Service "kubernetes", as pods are told it: what kube-proxy
# would lead to the API server is an address of the world's own, and the server
# listens on the Service's port.
ip address add 10.96.0.1/32 dev lo
# Pods resolve names as in any cluster: those of the registries, and those of
# Services as tests make them known, in a file of DIR/names each.
ip address add 10.96.0.10/32 dev lo
ip address add 10.96.0.20/32 dev lo
mkdir -p names
dnsmasq --keep-in-foreground --user=root --no-resolv --no-hosts --bind-interfaces --listen-address=10.96.0.10 --pid-file= \
    --local-ttl=1 --hostsdir="$dir/names" --address=/quay.io/docker.io/10.96.0.20 --log-facility="$dir/dnsmasq.log" &
socat TCP-LISTEN:80,bind=10.96.0.20,fork,reuseaddr TCP:127.0.0.1:5000 &

registry() { # NAME PORT AUTH: the real one, with its storage in DIR
    mkdir -p "registry/$1"
    cat >"registry/$1.yaml" <<C
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $dir/registry/$1}, delete: {enabled: true}}
http: {addr: "127.0.0.1:$2"}
$3
C
    OTEL_TRACES_EXPORTER=none "$bin/registry" serve "registry/$1.yaml" >"registry/$1.log" 2>&1 &
    until curl -s -o /dev/null "http://127.0.0.1:$2/v2/"; do sleep 0.1; done
}
mkdir -p registry
registry public 5000 ""
# The password is: correct
# shellcheck disable=SC2016
echo 'puller:$2y$05$roundsroundsroundsroueYzxqGlC3991uEJcQ03tpDmYz/jI1yYu' >registry/htpasswd
registry private 5001 "auth: {htpasswd: {realm: private, path: $dir/registry/htpasswd}}"
"$here/images.sh" "$dir/images" "$bin" 127.0.0.1:5000 127.0.0.1:5001 &
images=$!

# Each node as its kubelet authenticates: the node authorizer lets it see what its pods need.
: >node-tokens.csv
for node in "${nodes[@]}"; do
    token=$(</proc/sys/kernel/random/uuid)
    echo "$token,system:node:$node,node-$node,\"system:nodes\"" >>node-tokens.csv
    mkdir -p "nodes/$node"
    echo "$token" >"nodes/$node/token"
done
ROUNDS_TOKENS=$dir/node-tokens.csv ROUNDS_APISERVER_PORT=443 ROUNDS_APISERVER_FLAGS="--bind-address 0.0.0.0" \
    ROUNDS_KCM_FLAGS="--node-monitor-grace-period 30s --node-startup-grace-period 60s" \
    "$here/../cluster/up.sh" "$dir/control-plane"
wait "$images"

kubectl() { "$bin/kubectl" --kubeconfig control-plane/kubeconfig "$@"; }
for index in "${!nodes[@]}"; do
    node=${nodes[index]}
    ip address add "10.245.0.$((11 + index))/24" dev nodes
    sed "s/token: \"[^\"]*\"/token: \"$(<"nodes/$node/token")\"/" control-plane/kubeconfig >"nodes/$node/kubeconfig"
    "$here/node.sh" "$dir" "$bin" "$node" "$index" >"nodes/$node/console.log" 2>&1 &
done
for node in "${nodes[@]}"; do
    until kubectl get node "$node" >/dev/null 2>&1; do sleep 0.2; done
done
kubectl label node control-1 node-role.kubernetes.io/control-plane=true
kubectl wait node --all --for=condition=Ready --timeout=120s
touch up
while :; do wait -n || sleep 1; done
