#!/bin/bash
# up.sh DIR: starts a control plane and kwok on 127.0.0.1 with everything in DIR,
# waits until it is usable and prints KUBECONFIG=... as its last line.
# The servers go on after this script ends; down.sh DIR ends them.
#
# ROUNDS_PARENT_PID       a process at whose end the cluster ends too
# ROUNDS_APISERVER_PORT   where the API server listens, if not on any free port
# ROUNDS_APISERVER_FLAGS  more flags, for the API server
# ROUNDS_KCM_FLAGS        more flags, for the controller manager
# ROUNDS_TOKENS           a file with more users: TOKEN,NAME,UID,"GROUP"
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"
: "${1:?usage: up.sh DIR}"
bin=$("$here/build.sh")
umask 077 # tokens and keys
mkdir -p "$1"
dir=$(cd "$1" && pwd)
cd "$dir"

if [[ -e pids ]]; then
    up=1
    while read -r _ pid start; do alive "$pid" "$start" || up=0; done <pids
    if ((up)); then
        echo "KUBECONFIG=$dir/kubeconfig"
        exit 0
    fi
    "$here/down.sh" "$dir"
fi

kubeconfig() { # FILE TOKEN
    cat >"$1" <<K
apiVersion: v1
kind: Config
clusters: [{name: rounds-test, cluster: {server: "https://127.0.0.1:$api", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: admin, user: {token: "$2"}}]
contexts: [{name: admin, context: {cluster: rounds-test, user: admin}}]
current-context: admin
K
}

kubectl() { "$bin/kubectl" --kubeconfig kubeconfig --request-timeout=5s "$@"; }

# until_ok COMMAND...: waits for it; fails when a server has died or 60 s are over.
until_ok() {
    local end=$((SECONDS + 60)) name pid start
    until "$@" >/dev/null 2>&1; do
        while read -r name pid start; do
            alive "$pid" "$start" || { echo "up.sh: $name has ended" >&2; return 1; }
        done <pids
        ((SECONDS < end)) || { echo "up.sh: gave up waiting for: $*" >&2; return 1; }
        sleep 0.1
    done
}

up() {
    # Test machines have more memory than cores: garbage is collected seldom.
    export GOGC=${GOGC:-400}
    # Only what an earlier run made, by name: DIR may be anything.
    rm -rf etcd etcd.log kube-apiserver.log kube-controller-manager.log kube-scheduler.log kwok.log audit.log
    : >pids

    if [[ -n ${ROUNDS_PARENT_PID:-} ]]; then
        local since
        since=$(started "$ROUNDS_PARENT_PID") || { echo "up.sh: no process $ROUNDS_PARENT_PID" >&2; return 1; }
        # First of all, for a parent that dies while we are still starting. It
        # waits without a child process (read), so that ending it leaves nothing.
        # shellcheck disable=SC2016
        launch watcher bash -c '
            . "$1/lib.sh"
            exec 3<> <(:)
            while alive "$3" "$4"; do read -rt 1 -u 3 || true; done
            exec "$1/down.sh" "$2"' watcher "$here" "$dir" "$ROUNDS_PARENT_PID" "$since"
    fi

    local etcd peer
    { read -r etcd && read -r peer && read -r api; } < <("$bin/prepare" "$dir" 3) || return
    api=${ROUNDS_APISERVER_PORT:-$api}

    # Fresh secrets for what can do anything; fixed tokens for the users of tests,
    # who may do only what a test lets them.
    local admin kcm scheduler kwok i uuid=/proc/sys/kernel/random/uuid
    admin=$(<$uuid) kcm=$(<$uuid) scheduler=$(<$uuid) kwok=$(<$uuid)
    {
        echo "$admin,admin,admin,\"system:masters\""
        echo "$kcm,system:kube-controller-manager,kcm"
        echo "$scheduler,system:kube-scheduler,scheduler"
        echo "$kwok,kwok,kwok,\"system:masters\""
        for i in {000..299}; do echo "token-rounds-$i,rounds-$i,rounds-$i,\"rounds-runners\""; done
        for i in {00..07}; do echo "token-person-$i,person-$i,person-$i,\"people\""; done
        [[ -z ${ROUNDS_TOKENS:-} ]] || cat "$ROUNDS_TOKENS"
    } >tokens.csv
    kubeconfig kubeconfig "$admin"
    kubeconfig kube-controller-manager.kubeconfig "$kcm"
    kubeconfig kube-scheduler.kubeconfig "$scheduler"
    kubeconfig kwok.kubeconfig "$kwok"

    launch etcd "$bin/etcd" --data-dir etcd --unsafe-no-fsync --log-level error \
        --listen-client-urls "http://127.0.0.1:$etcd" --advertise-client-urls "http://127.0.0.1:$etcd" \
        --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
        --initial-cluster "default=http://127.0.0.1:$peer"
    # The endpoint reconciler would refuse a loopback address for the Service
    # "kubernetes", and nobody here routes to its endpoints.
    # shellcheck disable=SC2086
    launch kube-apiserver "$bin/kube-apiserver" --etcd-servers "http://127.0.0.1:$etcd" \
        --bind-address 127.0.0.1 --secure-port "$api" --advertise-address 127.0.0.1 --endpoint-reconciler-type none \
        --tls-cert-file apiserver.crt --tls-private-key-file apiserver.key --cert-dir "$dir" \
        --service-account-key-file sa.pub --service-account-signing-key-file sa.key \
        --service-account-issuer https://kubernetes.default.svc --service-cluster-ip-range 10.96.0.0/16 \
        --authorization-mode Node,RBAC --token-auth-file tokens.csv --allow-privileged=true \
        --audit-policy-file "$here/audit-policy.yaml" --audit-log-path audit.log --audit-log-maxsize 4096 \
        ${ROUNDS_APISERVER_FLAGS:-}
    until_ok kubectl get --raw /readyz || return

    # 1000h: fake nodes have no heartbeat, so none may count as missed.
    # Port 0: nobody asks these two anything, and what does not listen cannot clash.
    # shellcheck disable=SC2086
    launch kube-controller-manager "$bin/kube-controller-manager" --kubeconfig kube-controller-manager.kubeconfig \
        --leader-elect=false --secure-port 0 --use-service-account-credentials \
        --service-account-private-key-file sa.key --root-ca-file ca.crt \
        --node-monitor-grace-period 1000h --node-startup-grace-period 1000h \
        --kube-api-qps 500 --kube-api-burst 1000 --concurrent-job-syncs 20 \
        ${ROUNDS_KCM_FLAGS:-}
    launch kube-scheduler "$bin/kube-scheduler" --kubeconfig kube-scheduler.kubeconfig \
        --leader-elect=false --secure-port 0 --kube-api-qps 500 --kube-api-burst 1000
    # No --server-address: kwok listens nowhere. Lease duration 0: no leases.
    launch kwok "$bin/kwok" --kubeconfig kwok.kubeconfig --config "$here/stages.yaml" \
        --manage-nodes-with-annotation-selector kwok.x-k8s.io/node=fake --node-lease-duration-seconds 0
    until_ok kubectl get -n kube-system serviceaccount/default || return
    until_ok kubectl get -n default serviceaccount/default configmap/kube-root-ca.crt
}

trap '"$here/down.sh" "$dir"' EXIT # whatever goes wrong, leave nothing behind
trap 'exit 130' INT TERM
# A port may be taken between our asking for it and the server's start: ask again.
for try in 1 2 3; do
    if up; then
        trap - EXIT
        echo "KUBECONFIG=$dir/kubeconfig"
        exit 0
    fi
    "$here/down.sh" "$dir"
    if ((try == 3)) || ! grep -qs "address already in use" ./*.log; then
        tail -n 5 ./*.log >&2
        exit 1
    fi
done
