#!/usr/bin/env bash
# Every check that starts no agent. All of them are run, so that one run tells everything that is wrong.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
bin=$PWD/.venv/bin
failed=()

check() {
    local name=$1
    shift
    if output=$("$@" 2>&1); then
        echo "ok      $name"
    else
        failed+=("$name")
        printf 'FAILED  %s\n%s\n' "$name" "$output"
    fi
}

types() {
    # One run for each tests folder: their modules would else share the name "tests". MYPYPATH has every folder
    # that holds packages; without it mypy takes tools/bench/src/candy_bench for tools.bench.src.candy_bench.
    local status=0 sources=() folder MYPYPATH=$PWD:$PWD/tools/setup
    for folder in {plugins,contrib,tools}/*/src; do
        [[ -d $folder ]] && sources+=("$folder") && MYPYPATH+=:$PWD/$folder
    done
    export MYPYPATH
    "$bin/mypy" candy_core "${sources[@]}" tools/setup tests || status=1
    for folder in plugins/*/tests contrib/plugin-template; do
        [[ -n $(find "$folder" -name '*.py' -print -quit 2>/dev/null) ]] || continue
        (cd "$folder" && "$bin/mypy" --config-file "$OLDPWD/pyproject.toml" --cache-dir "$OLDPWD/.mypy_cache" .) || status=1
    done
    return $status
}

changelog() {
    "$bin/towncrier" build --draft --version next
}

check "ruff" "$bin/ruff" check --quiet .
check "ruff format" "$bin/ruff" format --quiet --diff .
check "mypy" types
check "imports (import-linter)" "$bin/lint-imports" --no-cache
check "licences" "$bin/python" tools/setup/licences.py
check "changelog fragments" changelog
check "documents and citations" "$bin/python" -m pytest -q -n0 -p no:cacheprovider tests/docs

if [[ ${#failed[@]} != 0 ]]; then
    echo "make check: failed: ${failed[*]}" >&2
    exit 1
fi
