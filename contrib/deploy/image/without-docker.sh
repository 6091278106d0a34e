#!/usr/bin/env bash
# Builds the image where there is no Docker and no registry of images: without-docker.sh TAG [--build-arg NAME=VALUE]…
#
# buildah builds it from the Dockerfile as it is; the base image is made of Debian's packages first. STORE is where images
# are kept (default: a folder of the cache). Prints the command line by which buildah finds them. Needs root, buildah and
# mmdebstrap. What this machine trusts (certificates), and where its apt looks, is lent to the build and stays out of the image.
set -euo pipefail
cd "$(dirname "$0")/../../.."

if [[ $# == 0 || $1 == -* ]]; then
    echo "usage: contrib/deploy/image/without-docker.sh TAG [--build-arg NAME=VALUE]…" >&2
    exit 2
fi
tag=$1
shift
for program in buildah mmdebstrap; do
    if ! command -v "$program" >/dev/null; then
        echo "without-docker.sh: $program is missing: sudo apt-get install $program" >&2
        exit 1
    fi
done
if [[ $EUID != 0 ]]; then
    echo "without-docker.sh: needs root, to make the root of an image: run it with sudo" >&2
    exit 1
fi
cache=${XDG_CACHE_HOME:-$HOME/.cache}/candy-agent
store=${STORE:-$cache/images}
mkdir -p "$cache" "$store"
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
run=(buildah --root "$store/images" --runroot "$store/run")
base=localhost/debian:12-slim

exec 9>"$store/lock"
flock 9
if ! "${run[@]}" inspect --type image "$base" >/dev/null 2>&1; then
    if [[ ! -f $cache/debian-12.tar ]]; then
        # ca-certificates, since what is lent below stands in the way of installing it.
        mmdebstrap --quiet --variant=minbase --include=ca-certificates bookworm "$cache/debian-12.tar.part" >&2
        mv "$cache/debian-12.tar.part" "$cache/debian-12.tar"
    fi
    container=$("${run[@]}" from scratch)
    "${run[@]}" add --quiet "$container" "$cache/debian-12.tar" / >&2
    "${run[@]}" commit --quiet --rm "$container" "$base" >&2
fi
lent=()
for folder in /etc/ssl/certs /usr/share/ca-certificates /usr/local/share/ca-certificates /etc/apt/sources.list.d \
    /etc/apt/apt.conf.d; do
    [[ -d $folder ]] && lent+=(--volume "$folder:$folder:ro")
done
"${run[@]}" bud "${lent[@]}" --build-arg DEBIAN="$base" --tag "$tag" "$@" . >&2
"${run[@]}" rmi --prune >/dev/null # the build before this one
echo "${run[*]}"
