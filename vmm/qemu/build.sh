#!/usr/bin/env bash
# Builds QEMU as VMs need it, one static program with its firmware beside it, from Debian 13's source package. usage: build.sh OUTPUT_FOLDER
#
# The result is cached in ${GVMKIT_BUILD_CACHE:-~/.cache/gvmkit-build}/qemu/<hash of all inputs>/, since the build takes some minutes. Where
# the source cannot be had, the output is a link to the system's QEMU.
set -euo pipefail

output=${1:?usage: build.sh OUTPUT_FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
cache=${GVMKIT_BUILD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gvmkit-build}/qemu
program=qemu-system-x86_64
firmware=(qboot.rom bios-256k.bin pvh.bin linuxboot_dma.bin kvmvapic.bin)
libraries=(libglib2.0-dev libseccomp-dev libcap-ng-dev libattr1-dev libfdt-dev zlib1g-dev)
meson=1.9.1 # Debian 12's is too old

# What does not change a byte of the program counts too: how it is built (count it up with a change below).
recipe=1

apt_options=(
  -o "Dir::Etc::SourceList=$here/debian.sources" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$cache/apt/lists"
  -o "Dir::Cache=$cache/apt/cache" -o APT::Sandbox::User=root
  -o Acquire::Retries=1 -o Acquire::http::Timeout=20
)

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

# The description (.dsc) of the newest source, looked up once a day.
look_up_source() {
  mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial"
  if [ -z "$(find "$cache/apt/stamp" -mtime -1 2> /dev/null)" ]; then
    # Where this fails, what was looked up earlier still counts. A failed download is a warning.
    if apt-get "${apt_options[@]}" update > "$cache/apt/log" 2>&1 && ! grep -q '^[EW]: ' "$cache/apt/log"; then touch "$cache/apt/stamp"; fi
  fi
  apt-get "${apt_options[@]}" source --print-uris qemu 2> /dev/null | grep -o '[^ ]*\.dsc .*'
}

# build FOLDER: builds in it, and leaves the results in FOLDER/result.
build() {
  local work=$1 python=$1/venv/bin/python3
  cd "$work"
  apt-get "${apt_options[@]}" source --download-only qemu
  dpkg-source --no-check -x ./*.dsc source # apt has checked it
  local patch
  for patch in "$here"/*.patch; do patch -d source -p1 < "$patch"; done
  cp "$here/devices.mak" source/configs/devices/x86_64-softmmu/gvmkit.mak
  /usr/bin/python3 -m venv venv
  venv/bin/pip install -q "meson==$meson"
  mkdir build
  cd build
  ../source/configure --python="$python" --disable-download --target-list=x86_64-softmmu --static \
    --without-default-features --without-default-devices --with-devices-x86_64=gvmkit \
    --enable-kvm --enable-tcg --enable-seccomp --enable-virtfs --enable-attr --enable-cap-ng --enable-fdt=system \
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
command -v apt-get > /dev/null || take_the_systems "its source is fetched by apt-get, which is not here"
source=$(look_up_source) || take_the_systems "its source cannot be had ($(grep -m 1 '^[EW]: ' "$cache/apt/log" || echo "apt-get knows none"))"
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
  started=$SECONDS
  (build "$work") > "$work/log" 2>&1 & build=$!
  while kill -0 "$build" 2> /dev/null; do
    # Not a wait for a condition but the beat of the progress line; `wait -n` cannot take a timeout.
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do kill -0 "$build" 2> /dev/null && sleep 1; done
    printf 'qemu: %d s, file %s\n' $((SECONDS - started)) "$(grep -o '^\[[0-9/]*\]' "$work/log" | tail -n 1 || true)"
  done
  wait "$build" || { tail -n 30 "$work/log" >&2; echo "error: qemu: the build failed" >&2; exit 1; }
  mv "$work/result" "$cache/$key" # same file system: whole or absent
fi
for name in "$program" "${firmware[@]}"; do
  [ ! -L "$output/$name" ] || rm "$output/$name"
  mkdir -p "$output"
  cmp -s "$cache/$key/$name" "$output/$name" || { cp "$cache/$key/$name" "$output/$name.new" && mv "$output/$name.new" "$output/$name"; }
done
