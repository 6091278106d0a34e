#!/usr/bin/env bash
# Compiles what fetch.sh put into the folder $1; etcd, kube-apiserver and kube-controller-manager are then in out/.
set -euo pipefail
cd "$1"
folder=$PWD
version=v1.20.2

say() { echo "kube: $*" >&2; }

# GOPATH mode: with modules Go refuses the go.mod of these sources. Nothing of the user's own Go is used or written.
export GOROOT=$folder/root/usr/lib/go-1.19 GOPATH=$folder/go GOCACHE=$folder/cache GOTMPDIR=$folder/tmp
export GO111MODULE=off CGO_ENABLED=0 GOFLAGS='' GOENV=off
unset GOOS GOARCH GOAMD64 GOEXPERIMENT
PATH=$GOROOT/bin:$PATH
mkdir -p "$GOTMPDIR" out
# Debian keeps the standard library's sources elsewhere and leads to them by absolute links.
if [[ -L $GOROOT/src ]]; then
    ln -sfn "$folder/root/usr/share/go-1.19/src" "$GOROOT/src"
fi

cd go/src/k8s.io/kubernetes
# The copy that comes along crashes with Go >= 1.18; Debian's does not.
rm -rf vendor/github.com/modern-go/reflect2
cp -r "$folder/root/usr/share/gocode/src/github.com/modern-go/reflect2" vendor/github.com/modern-go/

say "generating the OpenAPI definitions, which the tarball lacks …"
go build -o "$folder/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
inputs=$(grep -rlE --include='*.go' '// \+k8s:openapi-gen=' vendor/k8s.io/*/ pkg cmd plugin |
    grep -vE '^vendor/k8s.io/(code-generator|sample-apiserver)/' |
    xargs -n 1 dirname | sed 's#//*#/#g; s#^#k8s.io/kubernetes/#' | LC_ALL=C sort -u | paste -sd ,)
"$folder/openapi-gen" -i "$inputs" -p k8s.io/kubernetes/pkg/generated/openapi -O zz_generated.openapi \
    -h vendor/k8s.io/code-generator/hack/boilerplate.go.txt -r "$folder/violations"
# As Kubernetes' own build does: other exceptions than the known ones mean that the inputs were not the right ones.
cmp "$folder/violations" api/api-rules/violation_exceptions.list

say "compiling kube-apiserver and kube-controller-manager …"
flags='-s -w'
for package in component-base/version client-go/pkg/version; do
    for variable in gitVersion=$version gitMajor=1 gitMinor=20; do
        flags+=" -X k8s.io/kubernetes/vendor/k8s.io/$package.$variable"
    done
done
go build -trimpath -tags providerless -ldflags "$flags" -o "$folder/out/" ./cmd/kube-apiserver ./cmd/kube-controller-manager
cp "$folder/root/usr/bin/etcd" "$folder/out/"
