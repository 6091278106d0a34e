#!/usr/bin/env bash
# Sees to it that the servers of servers.txt are there and, with --kube, those of a Kubernetes cluster and the
# programs of kube-clients.txt, and, with --image, the programs of image-builders.txt.
# With --optional a missing one is told, but is no failure unless CANDY_TEST_REQUIRE=all.
set -euo pipefail
cd "$(dirname "$0")"

optional='' kube='' lists=(servers.txt)
for argument in "$@"; do
    case $argument in
        --optional) optional=yes ;;
        --kube) kube=yes lists+=(kube-clients.txt) ;;
        --image) lists+=(image-builders.txt) ;;
        *) echo "servers.sh: unknown argument $argument" >&2 && exit 2 ;;
    esac
done
status=0

missing=()
while read -r program package; do
    [[ -z $program || $program == \#* ]] && continue
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || missing+=("$package")
done < <(cat "${lists[@]}")
if [[ ${#missing[@]} != 0 ]] && ! ./apt.sh "${missing[@]}"; then
    echo "candy-agent: missing servers: install Debian's ${missing[*]} (sudo apt-get install ${missing[*]})." >&2
    status=1
fi

if [[ -n $kube ]] && ! ../testbed/kube/build.sh; then
    echo "candy-agent: no Kubernetes API server (see above): tools/testbed/README.md says where it comes from." >&2
    status=1
fi

[[ $status == 0 || ($optional && ${CANDY_TEST_REQUIRE:-} != all) ]]
