#!/bin/bash
# nodes.sh COUNT [CONTROL_PLANES] [PREFIX] [LABEL=VALUE...]: prints a List of fake
# nodes PREFIX-00000... for `kubectl create -f -`; the first CONTROL_PLANES of them
# are control planes. Env IMAGES=N: each node reports N images, as a used one does.
set -euo pipefail
count=${1:?usage: nodes.sh COUNT [CONTROL_PLANES] [PREFIX] [LABEL=VALUE...]}
planes=${2:-0} prefix=${3:-node}
shift $(($# < 3 ? $# : 3))

extra=
for label in "$@"; do extra+=",\"${label%%=*}\":\"${label#*=}\""; done
images=
for ((i = 0; i < ${IMAGES:-0}; i++)); do
    printf -v image '{"names":["registry.example/team/app-%03d@sha256:%064d","registry.example/team/app-%03d:v1.%d"],"sizeBytes":%d}' \
        "$i" "$i" "$i" "$i" $((100000000 - i))
    images+=${images:+,}$image
done
resources='{"cpu":"32","memory":"256Gi","pods":"250"}'

echo '{"apiVersion":"v1","kind":"List","items":['
for ((i = 0; i < count; i++)); do
    printf -v name '%s-%05d' "$prefix" "$i"
    role=
    ((i >= planes)) || role=',"node-role.kubernetes.io/control-plane":"true"'
    read -r boot </proc/sys/kernel/random/uuid
    ((i == 0)) || echo ,
    printf '{"apiVersion":"v1","kind":"Node","metadata":{"name":"%s","annotations":{"kwok.x-k8s.io/node":"fake"},"labels":{%s}},"status":{"capacity":%s,"allocatable":%s,"images":[%s],"nodeInfo":{%s}}}' "$name" \
        "\"kubernetes.io/hostname\":\"$name\",\"kubernetes.io/os\":\"linux\",\"kubernetes.io/arch\":\"amd64\",\"kairos.io/managed\":\"true\",\"topology.kubernetes.io/zone\":\"z$((i % 3))\"$role$extra" \
        "$resources" "$resources" "$images" \
        "\"architecture\":\"amd64\",\"bootID\":\"$boot\",\"containerRuntimeVersion\":\"containerd://2.1.4\",\"kernelVersion\":\"6.1.0-fake\",\"kubeProxyVersion\":\"\",\"kubeletVersion\":\"v1.35.4\",\"machineID\":\"$boot\",\"operatingSystem\":\"linux\",\"osImage\":\"Kairos v3.5.0 (fake)\",\"systemUUID\":\"$boot\""
done
echo ']}'
