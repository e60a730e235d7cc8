#!/bin/bash
# init.sh DIR BIN NAME INDEX: for boot.sh, as process 1 of a node: what an
# operating system does when it boots, and then containerd and a kubelet.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
. "$here/lib.sh"
dir=$1 bin=$2 name=$3 index=$4
own=$dir/nodes/$name
cgroup=$(<"$dir/cgroup")

echo "$name" >/etc/hostname
# What an upgrade has written becomes active with the next boot.
[[ -e /etc/kairos-release ]] || printf '%s\n' 'KAIROS_VERSION="v3.4.1"' 'KAIROS_FLAVOR="opensuse"' \
    'KAIROS_SOFTWARE_VERSION="v1.30.11+k3s1"' 'KAIROS_SOFTWARE_VERSION_PREFIX="k3s"' >/etc/kairos-release
[[ ! -e /oem/next-kairos-release ]] || mv /oem/next-kairos-release /etc/kairos-release
install -D "$here/images/kairos-agent" /usr/bin/kairos-agent
# The node's way to reboot: /run/systemd/system is not there. It refuses where it
# would be more than the node that goes down, and leaves word.
cat >/usr/sbin/reboot.new <<S
#!/bin/sh
ns=\$(readlink /proc/self/ns/pid)
if [ "\$(hostname)" != "$name" ] || [ "\$ns" != "$(readlink /proc/self/ns/pid)" ] || [ "\$ns" = "$(<"$dir/machine")" ]; then
    echo "reboot: \$ns is not the namespace of $name" >&2
    exit 1
fi
echo "\$0 \$*" >>$own/reboots
exec busybox reboot -f
S
chmod +x /usr/sbin/reboot.new
mv -f /usr/sbin/reboot.new /usr/sbin/reboot

# A reboot leaves no cgroups; a kubelet that finds some takes 10 s more to start.
remove_cgroups "$cgroup/$name" || echo "init.sh: cgroups of the last boot are left"
# One directory of cgroups for each node. v1: in each controller; v2: with the controllers handed down.
if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
    read -ra controllers </sys/fs/cgroup/cgroup.controllers
    mkdir -p "/sys/fs/cgroup/$cgroup/$name"
    for parent in /sys/fs/cgroup "/sys/fs/cgroup/$cgroup" "/sys/fs/cgroup/$cgroup/$name"; do
        for controller in "${controllers[@]}"; do echo "+$controller" >"$parent/cgroup.subtree_control" || true; done
    done
else
    for top in /sys/fs/cgroup/*/; do
        parent=$top
        for child in "$cgroup" "$name"; do
            mkdir -p "$parent$child" 2>/dev/null || continue
            for file in cpuset.cpus cpuset.mems; do
                [[ ! -e $parent$file ]] || cat "$parent$file" >"$parent$child/$file"
            done
            parent+=$child/
        done
    done
fi

# Images resolve verbatim: every name leads to a registry of the test's own.
mirror() { # NAME PORT
    mkdir -p "$own/certs.d/$1"
    printf 'server = "http://127.0.0.1:%s"\n[host."http://127.0.0.1:%s"]\n  capabilities = ["pull", "resolve"]\n' "$2" "$2" >"$own/certs.d/$1/hosts.toml"
}
for registry in docker.io quay.io ghcr.io registry.k8s.io; do mirror "$registry" 5000; done
for registry in registry.example.com private-registry.example.com; do mirror "$registry" 5001; done
# A pod has a /proc of its own, and on a real machine the boot id in it is the node's.
cat >"$own/boot-id-hook" <<S
#!/bin/sh
bundle=\$(sed -n 's/.*"bundle":"\([^"]*\)".*/\1/p')
exec mount --bind "$own/boot_id" "\$bundle/rootfs/proc/sys/kernel/random/boot_id"
S
chmod +x "$own/boot-id-hook"
ctr oci spec | sed "1s|{|{\"hooks\":{\"createContainer\":[{\"path\":\"$own/boot-id-hook\"}]},|" >"$own/spec.json"
cat >"$own/containerd.toml" <<C
version = 2
root = "$own/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  # A machine without CAP_SYS_RESOURCE could not start a single sandbox.
  restrict_oom_score_adj = true
  disable_apparmor = true
  sandbox_image = "registry.k8s.io/pause:3.10"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$own/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    base_runtime_spec = "$own/spec.json"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$own/certs.d"
C
cat >"$own/cni/10.conflist" <<C
{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge", "bridge": "pods$index", "isDefaultGateway": true,
 "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "10.244.$index.0/24"}]]}}]}
C
cat >"$own/kubelet.yaml" <<C
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup/$name
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%}
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
address: 10.245.0.$((11 + index))
readOnlyPort: 0
healthzPort: $((10250 + index * 10 + 1))
nodeStatusUpdateFrequency: 2s
nodeLeaseDurationSeconds: 20
syncFrequency: 2s
C
# As systemd would, whatever ends is started again.
keep() { # LOG COMMAND...
    local log=$1
    shift
    while :; do
        "$@" >>"$log" 2>&1 || echo "init.sh: $1 has ended with $?"
        sleep 0.5
    done &
}
keep "$own/containerd.log" containerd -c "$own/containerd.toml"
until [[ -S /run/containerd/containerd.sock ]]; do sleep 0.1; done
keep "$own/kubelet.log" "$bin/kubelet" --config "$own/kubelet.yaml" --kubeconfig "$own/kubeconfig" \
    --root-dir /var/lib/kubelet --hostname-override "$name" --node-ip "10.245.0.$((11 + index))"
# Process 1 also buries what is orphaned.
while :; do wait -n || sleep 1; done
