#!/bin/bash
# require.sh BIN: what nodes need and the machine lacks is installed as Debian
# packages, or named; nothing is skipped. nginx, which Debian would start at once,
# is only unpacked, into BIN.
set -euo pipefail

# The program, and the package that has it.
programs="containerd=containerd ctr=containerd runc=runc /usr/lib/cni/bridge=containernetworking-plugins
buildah=buildah xorriso=xorriso dnsmasq=dnsmasq-base socat=socat update-ca-certificates=ca-certificates
busybox=busybox-static curl=curl ip=iproute2 tar=tar sysctl=procps"
missing=()
for pair in $programs; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
done
# An image has nothing but busybox in it.
if ldd "$(command -v busybox)" >/dev/null 2>&1; then missing+=(busybox-static); fi
bin=$1
if ((${#missing[@]} == 0)) && [[ -x $bin/nginx ]]; then exit 0; fi
echo "require.sh: installing ${missing[*]} nginx" >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export DEBIAN_FRONTEND=noninteractive
install() {
    ((${#missing[@]} == 0)) || apt-get install -y --no-install-recommends "${missing[@]}" || return
    (cd "$work" && apt-get download nginx && dpkg-deb -x nginx_*.deb .) && mv "$work/usr/sbin/nginx" "$bin/nginx"
}
{ install || { apt-get update && install; }; } >"$work/log" 2>&1 && exit 0
tail -n 20 "$work/log" >&2
echo "require.sh: real nodes need the Debian packages ${missing[*]} nginx, and apt-get could not install them (see above)" >&2
exit 1
