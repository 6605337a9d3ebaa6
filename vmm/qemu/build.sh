#!/usr/bin/env bash
# Builds QEMU as VMs need it, one static program with its firmware beside it, from Debian 13's source package. usage: build.sh OUTPUT_FOLDER
#
# The result is cached in ${GVMKIT_BUILD_CACHE:-~/.cache/gvmkit-build}/qemu/<hash of all inputs>/, since the build takes some minutes. Where
# the source cannot be had, the output is a link to the system's QEMU.
set -euo pipefail

output=${1:?usage: build.sh OUTPUT_FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
cache=${GVMKIT_BUILD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gvmkit-build}/qemu
# shellcheck disable=SC2034  # debian_source.sh reads it
sources=$here/debian.sources
# shellcheck disable=SC1091
. "$here/../../packaging/debian_source.sh"
# shellcheck disable=SC1091
. "$here/../../packaging/show_progress.sh"
program=qemu-system-x86_64
firmware=(qboot.rom bios-256k.bin pvh.bin linuxboot_dma.bin kvmvapic.bin)
libraries=(libglib2.0-dev libseccomp-dev libcap-ng-dev libattr1-dev libfdt-dev zlib1g-dev)
meson=1.9.1 # Debian 12's is too old

# Everything that can change a byte: how it is built (count it up with a change below), what we ask for, the source, the compiler.
recipe=3

# The output where there is no QEMU of ours. Says why.
take_the_systems() {
  local found
  found=$(command -v "$program") || { echo "error: qemu: $1, and there is no $program on this system" >&2; exit 1; }
  echo "qemu: $1; VMs will run by $found, which must be 7.2 or newer"
  rm -rf "$output"
  mkdir -p "$output"
  ln -s "$found" "$output/$program"
  exit 0
}

# build FOLDER: builds in it, and leaves the results in FOLDER/result.
build() {
  local work=$1 python=$1/venv/bin/python3
  cd "$work"
  fetch_source qemu source
  local patch
  for patch in "$here"/*.patch; do patch -d source -p1 < "$patch"; done
  cp "$here/devices.mak" source/configs/devices/x86_64-softmmu/gvmkit.mak
  /usr/bin/python3 -m venv venv
  venv/bin/pip install -q "meson==$meson"
  mkdir build
  cd build
  # Every VM has what of the program it touches in memory; so trace points, and functions that nothing calls, are left out. Messages name
  # sources; where these were when they were built is no part of that.
  ../source/configure --python="$python" --disable-download --target-list=x86_64-softmmu --static \
    --without-default-features --without-default-devices --with-devices-x86_64=gvmkit \
    --enable-kvm --enable-tcg --enable-seccomp --enable-virtfs --enable-attr --enable-cap-ng --enable-fdt=system \
    --enable-trace-backends=nop --extra-cflags="-ffunction-sections -fdata-sections -ffile-prefix-map=$work=/qemu" --extra-ldflags=-Wl,--gc-sections \
    --disable-install-blobs --disable-docs --disable-tools --disable-guest-agent --disable-debug-info
  ninja "$program"
  # configure leaves these out where the compiler cannot link 32-bit programs, which they are not.
  printf '%s=%s\n' TOPSRC_DIR "$work/source" CC gcc OBJCOPY objcopy PYTHON "$python" > pc-bios/optionrom/config.mak
  make -C pc-bios/optionrom
  "$work/venv/bin/meson" setup ../qboot ../source/roms/qboot
  ninja -C ../qboot
  mkdir ../result
  cp pc-bios/optionrom/{pvh,linuxboot_dma,kvmvapic}.bin ../result
  cp ../qboot/bios.bin ../result/qboot.rom
  cp /usr/share/seabios/bios-256k.bin ../result
  strip -o "../result/$program" "$program"
}

mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9 # another build may be at it
source=$(describe_sources qemu) || take_the_systems "its source cannot be had ($(source_trouble))"
key=$({
  echo "$recipe $meson $source"
  cat "$here/devices.mak" "$here"/*.patch
  dpkg-query -W "${libraries[@]}" seabios libc6-dev
  gcc --version | head -n 1
  ld --version | head -n 1
} | sha256sum | cut -c1-32)

if [ ! -d "$cache/$key" ]; then
  echo "qemu: building ${source%% *} (once; some four minutes on two cores)"
  work=$(mktemp -d "$cache/build.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  (build "$work") > "$work/log" 2>&1 &
  show_progress qemu $! latest_step "$work/log" || { tail -n 30 "$work/log" >&2; echo "error: qemu: the build failed" >&2; exit 1; }
  mv "$work/result" "$cache/$key" # same file system: whole or absent
fi
mkdir -p "$output"
for name in "$program" "${firmware[@]}"; do
  [ ! -L "$output/$name" ] || rm "$output/$name"
  cmp -s "$cache/$key/$name" "$output/$name" || { cp "$cache/$key/$name" "$output/$name.new" && mv "$output/$name.new" "$output/$name"; }
done
