#!/usr/bin/env bash
# Resolves the dependencies of all distributions, for every Python and platform, into requirements.lock.
# `make lock ARGS=--upgrade` takes the newest versions; without it, pins that still fit are kept.
set -euo pipefail
cd "$(dirname "$0")/../.."

uv=$(tools/setup/uv.sh)
python=$(tools/setup/python.sh)
# As pip does: trust what this machine trusts, the certificate of a company's proxy among it.
export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS-true}
header='# Written by "make lock". Names, versions and hashes; no address of a package index.'

wanted=$(mktemp)
trap 'rm -f "$wanted"' EXIT
"$python" tools/setup/requirements.py >"$wanted"
"$uv" pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links --output-file requirements.lock "$@" "$wanted" >/dev/null
{ echo "$header"; cat requirements.lock; } >"$wanted"
cat "$wanted" >requirements.lock
