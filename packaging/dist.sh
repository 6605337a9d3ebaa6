#!/usr/bin/env bash
# Packs the programs of a build folder for any Linux: gvmkit-VERSION-linux-x86_64.tar.xz, to unpack anywhere and run from there; a Python wheel;
# an npm package; container images, by buildah. usage: dist.sh BUILD OUTPUT
# OUTPUT is a folder of ours: what was in it is removed. The same build gives the same bytes, with the time SOURCE_DATE_EPOCH, else that of the
# newest commit.
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: dist.sh BUILD OUTPUT" >&2; exit 2; }
build=$(realpath "$1") output=$(realpath -m "$2")
cd "$(dirname "$0")"
here=$PWD

# shellcheck disable=SC1091
. ./build_folder.sh
check_complete "$build"
version=$(version_of "$build")
when=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
name=gvmkit-$version-linux-x86_64

rm -rf --one-file-system "$output"
mkdir -p "$output/$name/runtime"
cd "$output/$name"
for program in gvmkit-build gvmi gvmkit-registry ya-runtime-dbg ya-runtime-vm; do
  strip -o "$program" "$build/bin/$program"
done
cp -r "$build"/bin/runtime/{vmlinux,initramfs,self-test.gvmi,mkfs.ext4,qemu} runtime/
cp -r "$build/share" "$here/install.sh" "$here/licences.md" "$here/../LICENSE" .
mkdir -p share/doc/gvmkit
cp -r "$build/docs" share/doc/gvmkit/html
for descriptor in ya-runtime-vm vm-nvidia; do
  sed "s/@PROJECT_VERSION@/$version/" "$here/$descriptor.json.in" > "$descriptor.json"
done
chmod -R u=rwX,go=rX .
sums=$(find . -type f -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' sha256sum)
echo "$sums" > SHA256SUMS
cd ..
tar --sort=name --mtime="@$when" --owner=0 --group=0 --numeric-owner --format=gnu -cf - "$name" | xz -6 --threads=2 > "$name.tar.xz"
"$here/packages.py" "$name" "$version" "$when" .
"$here/images.sh" "$name" "$version" "$when" .
rm -r "$name"
sums=$(sha256sum -- *)
echo "$sums" > SHA256SUMS
