#!/usr/bin/env bash
# Makes etcd, kube-apiserver and kube-controller-manager for the tests out of Debian 12's own packages, once, into a
# cache folder outside the checkout. Needs apt's programs, flock and the network; no root, and installs nothing.
# Some 4 minutes on 2 cores, 120 MB of downloads, 0.8 GB of memory, and 1.8 GB on disk that are given back at the end.
#
# Where KUBEBUILDER_ASSETS names a folder with etcd and kube-apiserver (envtest's convention), nothing is built.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

# Where candy_testbed.kube looks, too. A recipe that gives other programs gets another name.
recipe=$(<"$here/../src/candy_testbed/kube/recipe.txt")
base=${XDG_CACHE_HOME:-~/.cache}/candy-agent/kube
home=$base/$recipe
programs=(etcd kube-apiserver kube-controller-manager)

say() { echo "kube: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
    for program in etcd kube-apiserver; do
        [[ -x $KUBEBUILDER_ASSETS/$program ]] || fail "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS has no $program: correct it, or unset it to build them."
    done
    exit
fi
# The folder appears when all that is in it is there.
[[ -d $home ]] && exit

for tool in apt-get dpkg flock sha256sum; do
    command -v "$tool" >/dev/null || fail "no $tool: they are built on Debian alone. Elsewhere set KUBEBUILDER_ASSETS to a folder with etcd and kube-apiserver."
done
mkdir -p "$base"
exec 9>"$base/.lock"
flock --nonblock 9 || {
    say "waiting for another build …"
    flock 9
}
[[ -d $home ]] && exit

# Also what a build left that was killed: whoever has the lock is alone.
scratch=$base/.building
trap 'rm -rf "$scratch"' EXIT
rm -rf "$scratch"
mkdir "$scratch"

say "building ${programs[*]} $recipe, once; some minutes …"
started=$SECONDS
"$here/fetch.sh" "$scratch"
"$here/compile.sh" "$scratch"
mkdir "$scratch/done"
for program in "${programs[@]}"; do
    mv "$scratch/out/$program" "$scratch/done/"
    # Not only there: it runs on this machine.
    "$scratch/done/$program" --version >/dev/null
done
mv "$scratch/done" "$home"
say "built in $((SECONDS - started)) s: $home"
