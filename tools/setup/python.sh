#!/usr/bin/env bash
# Prints the path of a Python >= 3.11; PYTHON in the environment goes first.
set -euo pipefail

for name in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11; do
    # What sys.executable says, since a shim of a version manager may change its mind with the working directory.
    if path=$("$name" -c 'import sys; assert sys.version_info >= (3, 11); print(sys.executable)' 2>/dev/null); then
        echo "$path"
        exit
    fi
done
echo "candy-agent: no Python >= 3.11 was found: install Debian's python3, or name one with PYTHON=/path/to/python." >&2
exit 1
