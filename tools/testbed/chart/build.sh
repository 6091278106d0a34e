#!/usr/bin/env bash
# Compiles render.go, once, into a cache folder outside the checkout, with Go and sprig as Debian has them: helm's own
# template engine, where helm itself is not to be had. Installs nothing. Prints the path of the program.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
base=${XDG_CACHE_HOME:-$HOME/.cache}/candy-agent/chart
home=$base/$(sha256sum "$here/render.go" | cut -c1-12)
packages=(golang-1.19-go golang-1.19-src golang-github-masterminds-sprig-dev golang-github-masterminds-semver-dev
    golang-github-masterminds-goutils-dev golang-github-huandu-xstrings-dev golang-github-google-uuid-dev
    golang-github-imdario-mergo-dev golang-github-shopspring-decimal-dev golang-github-mitchellh-copystructure-dev
    golang-github-mitchellh-reflectwalk-dev golang-github-spf13-cast-dev golang-golang-x-crypto-dev
    golang-k8s-sigs-yaml-dev golang-gopkg-yaml.v2-dev)

say() { echo "chart: $*" >&2; }

mkdir -p "$base"
exec 9>"$base/.lock"
flock 9
if [[ ! -x $home/render ]]; then
    scratch=$base/.building
    trap 'rm -rf "$scratch"' EXIT
    rm -rf "$scratch"
    mkdir -p "$scratch"/{packages,root,out,src/render,tmp}
    say "building the renderer of charts, once …"
    download() { (cd "$scratch/packages" && apt-get download -o APT::Sandbox::User=root --quiet "${packages[@]}") >"$scratch/log" 2>&1; }
    download || { apt-get update --quiet >/dev/null 2>&1; download; } || {
        cat "$scratch/log" >&2
        say "apt does not give Debian 12's ${packages[*]} (see above)."
        exit 1
    }
    for package in "$scratch"/packages/*.deb; do dpkg -x "$package" "$scratch/root"; done
    export GOROOT=$scratch/root/usr/lib/go-1.19 GOPATH=$scratch:$scratch/root/usr/share/gocode
    export GOCACHE=$scratch/cache GOTMPDIR=$scratch/tmp GO111MODULE=off CGO_ENABLED=0 GOFLAGS='' GOENV=off
    unset GOOS GOARCH GOAMD64 GOEXPERIMENT
    # Debian keeps the standard library's sources elsewhere and leads to them by absolute links.
    if [[ -L $GOROOT/src ]]; then ln -sfn "$scratch/root/usr/share/go-1.19/src" "$GOROOT/src"; fi
    cp "$here/render.go" "$scratch/src/render/"
    "$GOROOT/bin/go" build -trimpath -ldflags '-s -w' -o "$scratch/out/render" render >&2
    rm -rf "$home"
    mv "$scratch/out" "$home"
fi
echo "$home/render"
