#!/usr/bin/env bash
# Makes a release of the commit that is checked out: release.sh VERSION [--dry-run]. docs/releasing.md has the steps.
#
# Everything is done in a work tree of its own. Commit, tag and dist/VERSION come to the checkout at the very end, so that
# a release that fails leaves nothing behind. With --dry-run they do not come at all. Nothing is pushed or uploaded.
set -euo pipefail
cd "$(dirname "$0")/../.."
checkout=$PWD

fail() {
    echo "release.sh: $*" >&2
    exit 1
}

version='' dry_run=''
for argument in "$@"; do
    case $argument in
        --dry-run) dry_run=yes ;;
        -*) fail "unknown option $argument" ;;
        *) version=$argument ;;
    esac
done
[[ -n $version ]] || fail "which version? make release VERSION=X.Y.Z [ARGS=--dry-run]"
[[ -z $(git status --porcelain) ]] || fail "there are changes that are not committed (git status)"
git symbolic-ref --quiet HEAD >/dev/null || fail "no branch is checked out, so nothing would hold the new commit"
! git rev-parse --quiet --verify "refs/tags/v$version" >/dev/null || fail "the tag v$version exists"
.venv/bin/python tools/setup/versions.py check "$version"

uv=$(tools/setup/uv.sh)
python=$(tools/setup/python.sh)
export UV_PYTHON_DOWNLOADS=never UV_NO_PROGRESS=1 UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS-true}
scratch=$(mktemp -d)
source=$scratch/source dist=$scratch/dist clean=$scratch/clean
trap 'git -C "$checkout" worktree remove --force "$source" 2>/dev/null || true; rm -rf "$scratch"' EXIT
git worktree add --quiet --detach "$source"
cd "$source"

echo "release.sh: versions and changelog" >&2
"$checkout/.venv/bin/python" tools/setup/versions.py set "$version"
"$checkout/.venv/bin/towncrier" build --yes --version "$version" >/dev/null
git add --all
# No hooks: they would look for .venv here.
git commit --quiet --no-verify --message "Release $version"
commit=$(git rev-parse HEAD)

echo "release.sh: sdists, and wheels from them" >&2
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH # the same commit gives the same files
for folder in . plugins/*/; do
    "$uv" build --offline --python "$checkout/.venv/bin/python" --no-build-isolation --no-sources \
        --out-dir "$dist" "$folder" >"$scratch/log" 2>&1 || {
        cat "$scratch/log" >&2
        fail "$folder does not build (see above)"
    }
done
rm -f "$dist/.gitignore"
(cd "$dist" && sha256sum -- * >"$scratch/sums" && mv "$scratch/sums" SHA256SUMS)

echo "release.sh: a clean environment with the wheels" >&2
mapfile -t names < <(basename --multiple plugins/*/)
"$python" tools/setup/requirements.py "${names[@]}" >"$scratch/wanted"
"$uv" venv --quiet --no-project --python "$python" "$clean"
# Only what ours say that they need, so that a requirement that nobody wrote down is found. Ours come without an index:
# somebody else may have taken a name there.
"$uv" pip install --quiet --python "$clean/bin/python" --constraints requirements.lock --requirement "$scratch/wanted"
"$uv" pip install --quiet --python "$clean/bin/python" --no-deps --offline "$dist"/*.whl
"$uv" pip check --quiet --python "$clean/bin/python" || fail "what the wheels require does not fit together (see above)"
agent() { (cd / && env --ignore-environment HOME="$scratch" PATH=/usr/bin:/bin "$clean/bin/candy-agent" "$@"); }
[[ $(agent --version) == "$version" ]] || fail "candy-agent --version says $(agent --version)"
plugins=$(agent plugins)
for name in "${names[@]}"; do
    # Kits announce nothing.
    [[ $name == candy-kit-* ]] || grep --quiet --extended-regexp " active +$name ${version//./\\.} " <<<"$plugins" ||
        fail "$name is not active, or not of this version:"$'\n'"$plugins"
done

cd "$checkout"
if [[ -n $dry_run ]]; then
    echo "release.sh: $version can be released. Nothing has been changed here." >&2
    exit
fi
git tag --annotate --message "Candy Agent $version" "v$version" "$commit"
git merge --quiet --ff-only "$commit" || {
    git tag --delete "v$version"
    fail "the branch has moved meanwhile: start again"
}
mkdir -p dist
rm -rf "dist/$version"
mv "$dist" "dist/$version"
echo "release.sh: commit and tag v$version are made, dist/$version is what to upload. docs/releasing.md goes on from here." >&2
