#!/usr/bin/env bash
# Fetches from Debian into the folder $1: go/ (Kubernetes' sources as a GOPATH), root/ (Go and etcd as unpacked packages).
# It goes through an apt view of its own, made of the system's sources with deb-src added; the system's stays as it is.
set -euo pipefail
cd "$1"
sha256=b83c0780efb182d928dc63d46488a847f161f04e40a94b96bf5247dd671ecdfc
packages=(golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev etcd-server)

say() { echo "kube: $*" >&2; }

mkdir -p apt/sources apt/lists/partial apt/cache/archives/partial packages root source
if grep -qs '^Types:' /etc/apt/sources.list.d/debian.sources; then
    sed -E 's/^Types:.*/Types: deb deb-src/' /etc/apt/sources.list.d/debian.sources >apt/sources/debian.sources
elif grep -qsE '^deb\s' /etc/apt/sources.list; then
    sed -nE '/^deb\s/{p; s/^deb/deb-src/p}' /etc/apt/sources.list >apt/sources/debian.list
else
    say "neither /etc/apt/sources.list.d/debian.sources nor /etc/apt/sources.list names Debian's archive."
    exit 1
fi
view=(
    -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$PWD/apt/sources"
    -o Dir::State::Lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt/cache"
    -o APT::Sandbox::User=root -o Acquire::Languages=none
    -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30
)
# What apt has to say is shown when it fails.
log=$PWD/apt/log
quietly() { "$@" </dev/null >>"$log" 2>&1; }

say "fetching sources and Go through apt …"
# That one of several archives is out of reach is no failure yet: what counts is whether the packages are had.
quietly apt-get "${view[@]}" update || true
if ! (cd source && quietly apt-get "${view[@]}" source --download-only kubernetes) ||
    ! (cd packages && quietly apt-get "${view[@]}" download "${packages[@]}"); then
    cat "$log" >&2
    say "apt does not give Debian 12's source package kubernetes and ${packages[*]} (see above)."
    exit 1
fi

found=(source/kubernetes_1.20.5+really1.20.2.orig.tar.*)
if ! echo "$sha256  ${found[0]}" | sha256sum --check --quiet >&2; then
    say "these are not the sources that the recipe is for: $(cd source && echo *)"
    exit 1
fi
for package in packages/*.deb; do
    dpkg -x "$package" root
done
mkdir -p go/src/k8s.io/kubernetes
tar -xf "${found[0]}" -C go/src/k8s.io/kubernetes --strip-components=1
rm -rf apt packages source
