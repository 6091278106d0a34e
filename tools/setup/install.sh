#!/usr/bin/env bash
# Makes .venv: the dependencies as requirements.lock has them, and the core and every plugin in editable form.
#
# Why requirements.lock and not uv.lock: uv.lock records the download address of each file, and so ties every checkout
# to one package index. Here are only names, versions and hashes; any index or mirror that has the same files will do.
set -euo pipefail
cd "$(dirname "$0")/../.."

uv=$(tools/setup/uv.sh)
python=$(tools/setup/python.sh)
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1
# As pip does: trust what this machine trusts, the certificate of a company's proxy among it.
export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS-true}

if ! .venv/bin/python -c 'import sys; assert sys.version_info >= (3, 11)' 2>/dev/null; then
    rm -rf .venv
    "$uv" venv --quiet --python "$python" .venv
fi
"$uv" pip install --quiet --python .venv/bin/python --require-hashes --requirement requirements.lock

# Whatever of ours is not in the checkout any more.
while read -r name place; do
    [[ -f $place/pyproject.toml ]] || "$uv" pip uninstall --quiet --python .venv/bin/python "$name"
done < <("$uv" pip list --quiet --python .venv/bin/python --editable --format json |
    .venv/bin/python -c 'import json, sys; [print(p["name"], p["editable_project_location"]) for p in json.load(sys.stdin)]')

editable=(--editable .)
for project in {plugins,contrib,tools}/*/pyproject.toml; do
    # The template is for copying; an agent that has it would offer what it announces.
    [[ -f $project && $project != contrib/plugin-template/* ]] && editable+=(--editable "$(dirname "$project")")
done
# hatchling is in the lock, so that nothing is downloaded to build these.
"$uv" pip install --quiet --python .venv/bin/python --no-sources --no-deps --no-build-isolation "${editable[@]}"
