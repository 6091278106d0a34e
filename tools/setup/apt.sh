#!/usr/bin/env bash
# Installs Debian packages where that needs no password, without starting what they bring as system services.
# Exits 1, having changed nothing, where it may not: the caller says what to install.
set -euo pipefail

command -v apt-get >/dev/null || exit 1
as_root=()
if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || exit 1
    as_root=(sudo -n)
fi

# Debian starts a service when its package arrives, unless this file says 101: not allowed.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi

install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" </dev/null
}
echo "Installing from Debian: $*" >&2
log=$(mktemp)
# The lists may be missing or old: then once more with new ones.
if ! install "$@" >"$log" 2>&1; then
    "${as_root[@]}" apt-get update --quiet </dev/null >>"$log" 2>&1 || true
    if ! install "$@" >>"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        exit 1
    fi
fi
rm -f "$log"
