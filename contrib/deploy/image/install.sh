#!/usr/bin/env bash
# Installs the core and the named distributions of plugins into a folder: install.sh FOLDER NAME…
# What comes from elsewhere is what requirements.lock has, hashes included; ours are built from this checkout.
set -euo pipefail
cd "$(dirname "$0")/../../.."

home=$1
shift
uv=$(tools/setup/uv.sh)
python=$(tools/setup/python.sh)
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_NO_CACHE=1 UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS-true}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" tools/setup/requirements.py "$@" >"$scratch/wanted"
echo hatchling >"$scratch/builder"
# Before anything is built: a name that is not there ends it here.
mapfile -t own < <("$python" tools/setup/requirements.py --own "$@")
[[ ${#own[@]} -gt 0 ]]

"$uv" venv --quiet --python "$python" "$scratch/build"
"$uv" pip install --quiet --python "$scratch/build/bin/python" --constraints requirements.lock --requirement "$scratch/builder"
for folder in "${own[@]}"; do
    (cd "$folder" && "$uv" build --quiet --wheel --python "$scratch/build/bin/python" --no-build-isolation --no-sources \
        --out-dir "$scratch/wheels")
done

"$uv" venv --quiet --python "$python" --no-project "$home"
"$uv" pip install --quiet --python "$home/bin/python" --compile-bytecode --constraints requirements.lock \
    --requirement "$scratch/wanted"
"$uv" pip install --quiet --python "$home/bin/python" --compile-bytecode --no-deps "$scratch"/wheels/*.whl
# Nobody activates this environment, or changes it.
rm -f "$home"/bin/{activate,deactivate,pydoc}* "$home/.lock"
# Tests that a dependency brings along: nobody runs them here.
find "$home"/lib -type d -name tests -prune -exec rm -rf {} +
