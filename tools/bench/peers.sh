#!/usr/bin/env bash
# Makes an environment of their own for parallel-ssh and clush, and prints its folder: they bring a gevent that not every
# platform has wheels for, and licences that nothing of the agent's should depend on. From wheels only.
set -euo pipefail
cd "$(dirname "$0")/../.."

uv=$(tools/setup/uv.sh)
pins=$PWD/tools/bench/peers.txt
folder=$PWD/.cache/bench-peers
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS-true}

if [[ ${1:-} == --lock ]]; then
    "$uv" pip compile --quiet --no-config --universal --python-version 3.11 --only-binary :all: --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --output-file "$pins" tools/bench/peers.in >/dev/null
    exit
fi
if ! cmp --quiet "$pins" "$folder/peers.txt"; then
    "$uv" venv --quiet --clear --python .venv/bin/python "$folder" >&2
    "$uv" pip install --quiet --python "$folder/bin/python" --only-binary :all: --require-hashes --requirement "$pins" >&2
    cp "$pins" "$folder/peers.txt"
fi
echo "$folder"
