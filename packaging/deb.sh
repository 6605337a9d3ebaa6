#!/usr/bin/env bash
# Makes the Debian packages gvmkit and gvmkit-registry of what a build folder holds. usage: deb.sh BUILD OUTPUT
# OUTPUT is a folder of ours: what was in it is removed.
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: deb.sh BUILD OUTPUT" >&2; exit 2; }
build=$(realpath "$1") output=$(realpath -m "$2")
cd "$(dirname "$0")"

# shellcheck disable=SC1091
. ./build_folder.sh
version=$(version_of "$build")
[ "$(dpkg-parsechangelog --file debian/changelog --show-field Version)" = "$version" ] ||
  { echo "error: packaging/debian/changelog is not of version $version" >&2; exit 1; }

check_complete "$build"

rm -rf --one-file-system "$output"
mkdir -p "$output/source"
cp -r debian ../docs ../README.md "$output/source/"
cd "$output/source"
GVMKIT_BUILD=$build dpkg-buildpackage --build=binary --no-check-builddeps --no-sign > "$output/log" 2>&1 ||
  { tail -n 30 "$output/log" >&2; echo "error: dpkg-buildpackage failed" >&2; exit 1; }
cd ..
rm -rf source
