#!/usr/bin/env bash
# Unpacks Debian packages and what they need into an empty root, without a shell or a package manager: root.sh FOLDER PACKAGE…
#
# No maintainer script runs; the few files that these would have made are written here. What image scanners read to know
# which packages are in an image without dpkg stands in var/lib/dpkg/status.d, one file a package.
set -euo pipefail

root=$1
shift
# Asked for by maintainer scripts alone, which do not run.
unneeded='debconf|debconf-2.0|cdebconf|perl-base|dpkg|install-info|libpam-.*|adduser|init-system-helpers'

# The closure of Depends and Pre-Depends; of alternatives the first.
wanted=() queue=("$@")
declare -A seen=()
while [[ ${#queue[@]} -gt 0 ]]; do
    package=${queue[0]}
    queue=("${queue[@]:1}")
    [[ -n ${seen[$package]:-} || $package =~ ^($unneeded)$ ]] && continue
    seen[$package]=1
    wanted+=("$package")
    fields=$(apt-cache show --no-all-versions "$package" | sed -nE 's/^(Pre-)?Depends: //p')
    while read -r name; do
        [[ -n $name ]] && queue+=("$name")
    done < <(tr ',' '\n' <<<"$fields" | sed -E 's/\|.*//; s/[ (:].*//2; s/^ *//; s/[ (:].*//')
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"
(cd "$scratch" && apt-get download --quiet -o APT::Sandbox::User=root "${wanted[@]}" >/dev/null)

mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib,usr/lib64,etc/ssl/certs,var/lib/dpkg/status.d,tmp,home/candy}
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
for file in "$scratch"/*.deb; do
    dpkg-deb --fsys-tarfile "$file" | tar --extract --directory "$root" --keep-directory-symlink --no-same-owner
    dpkg-deb --field "$file" >"$root/var/lib/dpkg/status.d/$(dpkg-deb --field "$file" Package)"
done
# Licences stay; what only people at a terminal read goes.
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/doc" -type d -empty -delete
rm -rf "$root"/usr/share/{man,info,lintian,locale,bash-completion,bug,pixmaps,applications}

cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
ln -s python3 "$root/usr/bin/python" 2>/dev/null || true
printf 'root:x:0:0:root:/:/sbin/nologin\ncandy:x:65532:65532:candy:/home/candy:/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\ncandy:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
chmod 1777 "$root/tmp"
chown 65532:65532 "$root/home/candy"
