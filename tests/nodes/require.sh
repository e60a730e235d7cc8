#!/bin/bash
# require.sh: what nodes need and the machine lacks is installed as Debian
# packages, or named; nothing is skipped.
set -euo pipefail

# The program, and the package that has it.
programs="containerd=containerd ctr=containerd runc=runc /usr/lib/cni/bridge=containernetworking-plugins
busybox=busybox-static curl=curl ip=iproute2 tar=tar sysctl=procps"
missing=()
for pair in $programs; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
done
# An image has nothing but busybox in it.
if ldd "$(command -v busybox)" >/dev/null 2>&1; then missing+=(busybox-static); fi
((${#missing[@]})) || exit 0
echo "require.sh: installing ${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y --no-install-recommends "${missing[@]}"; }
{ install || { apt-get update && install; }; } >"$log" 2>&1 && exit 0
tail -n 20 "$log" >&2
echo "require.sh: real nodes need the Debian packages ${missing[*]}, and apt-get could not install them (see above)" >&2
exit 1
