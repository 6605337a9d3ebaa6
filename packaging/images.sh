#!/usr/bin/env bash
# Makes container images of the unpacked archive for any Linux, as OCI layouts in a tar: gvmkit-tools and gvmkit-registry. The same input gives the
# same bytes. usage: images.sh FOLDER VERSION SECONDS_SINCE_1970 OUTPUT
set -euo pipefail
[ $# -eq 4 ] || { echo "usage: images.sh FOLDER VERSION SECONDS_SINCE_1970 OUTPUT" >&2; exit 2; }
folder=$(realpath "$1") version=$2 when=$3 output=$(realpath "$4")
[ "$(id -u)" -eq 0 ] || exec buildah unshare "$0" "$@" # a user's buildah needs a namespace of its own
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

own_buildah() { buildah --root "$work/root" --runroot "$work/run" --storage-driver vfs "$@"; }

# make NAME ROOT ARGUMENT...: an image whose files are those of ROOT; the arguments are buildah config's.
make() {
  local name=$1 root=$2 container
  shift 2
  find "$root" -exec touch --no-dereference --date "@$when" {} +
  container=$(own_buildah from --quiet scratch)
  own_buildah config --created-by gvmkit --annotation "org.opencontainers.image.version=$version" \
    --annotation org.opencontainers.image.licenses=GPL-3.0-or-later "$@" "$container"
  own_buildah copy --quiet "$container" "$root" / > /dev/null
  own_buildah commit --quiet --timestamp "$when" "$container" "oci:$work/$name:$name:$version" > /dev/null
  own_buildah rm "$container" > /dev/null
  tar --sort=name --mtime="@$when" --owner=0 --group=0 --numeric-owner --format=gnu -C "$work/$name" -cf "$output/$name-$version-oci.tar" .
}

# Certificates are the user's to mount, at one of the places where distributions have them.
mkdir -p "$work/tools/usr/local/bin" "$work/tools/tmp" "$work/registry/usr/local/bin" "$work/registry/data"
chmod 1777 "$work/tools/tmp"
cp -r "$folder"/{gvmkit-build,gvmi,ya-runtime-dbg,ya-runtime-vm,runtime,licences.md} "$work/tools/usr/local/bin"
cp "$folder"/{gvmkit-registry,licences.md} "$work/registry/usr/local/bin"
mkdir -p "$work/registry/usr/local/share"
cp -r "$folder/share/doc/gvmkit/html" "$work/registry/usr/local/share/docs"
make gvmkit-tools "$work/tools" --env PATH=/usr/local/bin --env TMPDIR=/tmp --env HOME=/tmp --workingdir /work --cmd '["/usr/local/bin/gvmkit-build", "--help"]'
make gvmkit-registry "$work/registry" --env PATH=/usr/local/bin --port 8080 --volume /data \
  --entrypoint '["/usr/local/bin/gvmkit-registry"]' --cmd 'serve --data /data --listen 0.0.0.0:8080 --docs /usr/local/share/docs'
