#!/usr/bin/env bash
# Prints the path of uv: the one on PATH, else one of our own in .cache/uv, installed on the first call.
set -euo pipefail
cd "$(dirname "$0")/../.."

if found=$(command -v uv) && "$found" --version >/dev/null 2>&1; then
    echo "$found"
    exit
fi

home=.cache/uv
uv=$PWD/$home/bin/uv
pinned=tools/setup/uv-requirements.txt
# Whether what is there is what the pin asks for.
mark=$home/.installed
if [[ -x $uv ]] && cmp -s "$pinned" "$mark"; then
    echo "$uv"
    exit
fi

python=$(tools/setup/python.sh)
rm -rf "$home"
mkdir -p "$(dirname "$home")"
{
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv "$home"
        "$home/bin/python" -m pip install --quiet --require-hashes --requirement "$pinned"
    elif "$python" -m pip --version >/dev/null 2>&1; then
        # Debian without python3-venv. --target leaves the system's own packages alone.
        "$python" -m pip install --quiet --require-hashes --requirement "$pinned" --target "$home"
    elif tools/setup/apt.sh python3-venv; then
        "$python" -m venv "$home"
        "$home/bin/python" -m pip install --quiet --require-hashes --requirement "$pinned"
    else
        echo "candy-agent: $python has neither venv nor pip: install Debian's python3-venv (or uv) and run make again." >&2
        exit 1
    fi
} >&2
cp "$pinned" "$mark"
echo "$uv"
