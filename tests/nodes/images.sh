#!/bin/bash
# images.sh DIR BIN PUBLIC PRIVATE: makes the images of the tests in DIR and pushes
# them to the two registries, HOST:PORT each. Nothing comes from anywhere else: a
# root folder becomes one layer, and that with two JSON documents an image.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
cd "$1"
bin=$2 public=$3 private=$4
case $(uname -m) in x86_64) architecture=amd64 ;; aarch64) architecture=arm64 ;; *) architecture=$(uname -m) ;; esac

digest() { echo "sha256:$(sha256sum "$1" | cut -d' ' -f1)"; }

# The credentials that the private registry knows; the public one does not ask.
put() { curl -fsS -u puller:correct -o /dev/null "$@"; }

blob() { # REGISTRY/REPOSITORY FILE
    local at
    at=$(curl -fsS -u puller:correct -X POST -o /dev/null -w '%header{location}' "http://${1%%/*}/v2/${1#*/}/blobs/uploads/")
    put -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$2" "$at&digest=$(digest "$2")"
}

layer() { # ROOT: packed once, whatever it is called
    [[ -e $1.tar ]] || tar -C "$1" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$1.tar" .
}

push() { # ROOT REGISTRY/REPOSITORY:TAG CONFIG-FIELDS
    local repository=${2%:*} tag=${2##*:}
    layer "$1"
    printf '{"architecture":"%s","os":"linux","config":{%s},"rootfs":{"type":"layers","diff_ids":["%s"]}}' \
        "$architecture" "$3" "$(digest "$1.tar")" >config.json
    local kind=application/vnd.oci.image entry='{"mediaType":"%s","digest":"%s","size":%s}'
    # shellcheck disable=SC2059 # the entry is a format
    printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' "$kind.manifest.v1+json" \
        "$(printf "$entry" "$kind.config.v1+json" "$(digest config.json)" "$(stat -c %s config.json)")" \
        "$(printf "$entry" "$kind.layer.v1.tar" "$(digest "$1.tar")" "$(stat -c %s "$1.tar")")" >manifest.json
    blob "$repository" "$1.tar"
    blob "$repository" config.json
    put -X PUT -H "Content-Type: $kind.manifest.v1+json" --data-binary @manifest.json \
        "http://${repository%%/*}/v2/${repository#*/}/manifests/$tag"
}

# with_libraries ROOT FILE AS: the file, and what it is linked to if it is a program.
with_libraries() {
    local library
    install -D "$2" "$1$3"
    for library in $(ldd "$2" 2>/dev/null | grep -o '/[^ ]*'); do
        [[ -e $1$library ]] || install -D "$library" "$1$library"
    done
}

# Debian's static busybox, with a link for each of its commands.
shell() { # ROOT
    local applet
    mkdir -p "$1"/{bin,etc,tmp,proc,sys,dev,root,run}
    cp "$(command -v busybox)" "$1/bin/busybox"
    for applet in $(busybox --list); do [[ $applet == busybox ]] || ln -s busybox "$1/bin/$applet"; done
}
path='"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]'

shell busybox
for tag in latest 1.37; do push busybox "$public/library/busybox:$tag" "$path,\"Cmd\":[\"sh\"]"; done
push busybox "$public/pause:3.10" "$path,\"Cmd\":[\"sleep\",\"infinity\"]"

# Rounds as cronjob/Containerfile says, with the program under test, and its libraries where it is not static.
mkdir context
cp "$ROUNDS_BINARY" context/rounds
cp /etc/ssl/certs/ca-certificates.crt context/
fields=
while read -r instruction arguments; do
    case $instruction in
    '#'* | '') ;;
    FROM) [[ $arguments == scratch ]] || exit 1 ;;
    COPY) with_libraries rounds "context/${arguments% *}" "${arguments#* }" ;;
    USER) fields+="\"User\":\"$arguments\"," ;;
    ENTRYPOINT) fields+="\"Entrypoint\":$arguments," ;;
    *)
        echo "images.sh: cronjob/Containerfile: $instruction is not known here" >&2
        exit 1
        ;;
    esac
done <"$here/../../cronjob/Containerfile"
push rounds "$public/${ROUNDS_IMAGE#*/}" "${fields%,}"

# A stand-in for Alpine: what is installed in it writes down how it is called. Its
# sh is not busybox', which would take its own commands for these.
shell alpine
rm alpine/bin/sh
with_libraries alpine "$(command -v dash)" /bin/sh
install -D "$here/images/apk" alpine/sbin/apk
install -D "$here/images/mount" alpine/usr/local/sbin/mount
push alpine "$public/library/alpine:latest" "$path,\"Cmd\":[\"sh\"]"

# Stand-ins for Kairos images.
kairos() { # VERSION REGISTRY/REPOSITORY:TAG
    if [[ ! -e kairos-$1 ]]; then
        shell "kairos-$1"
        install -D "$here/images/kairos-agent" "kairos-$1/usr/bin/kairos-agent"
        printf '%s\n' "KAIROS_VERSION=\"$1\"" 'KAIROS_FLAVOR="opensuse"' \
            'KAIROS_SOFTWARE_VERSION="v1.30.11+k3s1"' 'KAIROS_SOFTWARE_VERSION_PREFIX="k3s"' >"kairos-$1/etc/kairos-release"
    fi
    push "kairos-$1" "$2" "$path,\"Cmd\":[\"sh\"]"
}
tag() { echo "kairos/opensuse:leap-15.6-standard-amd64-generic-$1-k3sv1.30.11-k3s1"; } # VERSION
for version in v3.4.2 v3.5.0 v3.6.0; do kairos "$version" "$public/$(tag "$version")"; done
kairos v3.4.2 "$private/$(tag v3.4.2)"
# One whose agent fails on a node, and another one of the same version.
kairos v3.6.1 "$public/$(tag v3.6.1)-2"
cp -r kairos-v3.6.1 kairos-broken
echo worker-1 >kairos-broken/etc/breaks-on
push kairos-broken "$public/$(tag v3.6.1)" "$path,\"Cmd\":[\"sh\"]"
# For examples/nodeop-private-image.yaml.
cp -r busybox node-check
install "$here/images/node-check" node-check/node-check
push node-check "$private/tools/node-check:2.3.1" "$path"

# The images of the documents that systems are built from.
kairos v3.6.0 "$public/kairos/opensuse:leap-15.6-core-amd64-generic-v3.6.0"
shell opensuse
mkdir -p opensuse/var/log
install -D "$here/images/zypper" opensuse/usr/bin/zypper
push opensuse "$public/opensuse/leap:15.6" "$path,\"Cmd\":[\"sh\"]"

# What builds operating systems: the real buildah, and a stand-in for Kairos' own
# tool around the real xorriso. Their shell is bash, as scripts of builds want it.
bash_too() { # ROOT
    shell "$1"
    with_libraries "$1" "$(command -v bash)" /bin/bash
}
bash_too buildah
with_libraries buildah "$(command -v buildah)" /usr/bin/buildah
install -D -m 644 /etc/containers/policy.json buildah/etc/containers/policy.json
for file in registries.conf storage.conf; do install -D -m 644 "$here/etc/$file" "buildah/etc/containers/$file"; done
mkdir -p buildah/var/tmp
printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' >buildah/etc/passwd
push buildah "$public/${BUILDAH_IMAGE#*/}" "$path"
bash_too auroraboot
with_libraries auroraboot "$(command -v xorriso)" /usr/bin/xorriso
with_libraries auroraboot "$(command -v curl)" /usr/bin/curl
for tool in auroraboot luet; do install -D "$here/images/$tool" "auroraboot/usr/bin/$tool"; done
push auroraboot "$public/${TOOL_IMAGE#*/}" "$path"
# And what they are uploaded with and to: the real programs, by the names of the manifests.
shell curl
with_libraries curl "$(command -v curl)" /usr/bin/curl
for tag in latest 8.16.0; do push curl "$public/curlimages/curl:$tag" "$path,\"Entrypoint\":[\"curl\"]"; done
shell nginx
with_libraries nginx "$bin/nginx" /usr/sbin/nginx
install -D -m 644 "$here/etc/nginx.conf" nginx/etc/nginx/nginx.conf
mkdir -p nginx/{etc/nginx/upload,usr/share/nginx/html,var/cache/nginx,var/log/nginx}
push nginx "$public/library/nginx:1.28.0" "$path"
shell registry
with_libraries registry "$bin/registry" /bin/registry
install -D -m 644 "$here/etc/registry.yaml" registry/etc/distribution/config.yml
push registry "$public/library/registry:3.0.0" "$path,\"Entrypoint\":[\"registry\",\"serve\",\"/etc/distribution/config.yml\"]"
