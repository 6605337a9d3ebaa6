#!/usr/bin/env bash
# Builds the guest kernel: an uncompressed x86-64 vmlinux with a PVH entry, from Debian's linux-source package and the
# configuration beside this script. usage: build.sh OUTPUT
#
# The result is cached in ${GVMKIT_BUILD_CACHE:-~/.cache/gvmkit-build}/kernel/<hash of all inputs>/, since the build takes
# some six minutes on two cores.
set -euo pipefail

output=${1:?usage: build.sh OUTPUT}
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck disable=SC1091
. "$here/../../packaging/show_progress.sh"
source=$(find /usr/src -maxdepth 1 -name 'linux-source-*.tar.xz' 2>/dev/null | sort -V | tail -n 1)
[ -n "$source" ] || { echo "error: guest kernel: no /usr/src/linux-source-*.tar.xz; install Debian's linux-source" >&2; exit 1; }
package=$(basename "$source" .tar.xz)

# Everything that can change a byte of the kernel: how it is built (count it up with a change below), what we ask for, the source, the compiler.
recipe=1
key=$({ echo "$recipe"; grep "^CONFIG_" "$here/config"; dpkg-query -W -f '${Version}' "$package"; gcc --version | head -n 1; ld --version | head -n 1; } | sha256sum | cut -c1-32)
cache=${GVMKIT_BUILD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gvmkit-build}/kernel/$key
if [ ! -f "$cache/vmlinux" ]; then
  echo "guest kernel: building $package (once; some six minutes on two cores)"
  mkdir -p "$cache"
  work=$(mktemp -d "$cache/build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  tar -xf "$source" -C "$work" --strip-components=1
  export KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=gvmkit KBUILD_BUILD_HOST=gvmkit KBUILD_BUILD_VERSION=1
  make -s -C "$work" KCONFIG_ALLCONFIG="$here/config" allnoconfig > "$work/log" 2>&1

  # A symbol that Kconfig dropped silently would be a feature missing in every VM.
  missing=$(grep '^CONFIG_' "$here/config" | grep -vxFf "$work/.config" || true)
  [ -z "$missing" ] || { echo "error: guest kernel: $package does not take: $missing" >&2; exit 1; }

  files_built() { echo "$(grep -c '^  [A-Z]' "$work/log" || true) of about 2260 files"; }
  make -C "$work" -j "$(nproc)" vmlinux > "$work/log" 2>&1 &
  show_progress "guest kernel" $! files_built || { tail -n 30 "$work/log" >&2; echo "error: guest kernel: the build failed" >&2; exit 1; }
  objcopy --strip-debug "$work/vmlinux" "$work/vmlinux.stripped"
  mv "$work/vmlinux.stripped" "$cache/vmlinux"  # same file system: whole or absent
fi
mkdir -p "$(dirname "$output")"
cmp -s "$cache/vmlinux" "$output" || { cp "$cache/vmlinux" "$output.new" && mv "$output.new" "$output"; }
