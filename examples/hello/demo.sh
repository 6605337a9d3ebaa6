#!/usr/bin/env bash
# What ./dev demo shows: a Dockerfile becomes a container image, a .gvmi and a VM that runs a command. usage: demo.sh (after ./dev build)
set -euo pipefail
cd "$(dirname "$0")/../.."

work=build/demo
bin=build/bin
mkdir -p "$work"
took=()
step() {
  local name=$1 started=$EPOCHREALTIME
  shift
  printf '\n== %s\n   $ %s\n' "$name" "$*"
  "$@"
  took+=("$(awk -v a="$started" -v b="$EPOCHREALTIME" -v name="$name" 'BEGIN { printf "%8.2f s  %s", b - a, name }')")
}

# buildah keeps its images in our own folder, so that nothing of the user's is touched.
buildah_() { buildah --root "$PWD/$work/storage" --runroot "$PWD/$work/run" --storage-driver vfs "$@"; }

build_image() {
  rm -rf "$work/context" && cp -r examples/hello "$work/context" && cp /bin/busybox "$work/context/busybox"
  buildah_ build --quiet --isolation chroot --timestamp 0 --tag hello:latest "$work/context" > /dev/null
  rm -f "$work/hello.tar"
  buildah_ push --quiet hello:latest "docker-archive:$work/hello.tar:hello:latest"
}

if [ ! -f "$work/hello.tar" ] || [ -n "$(find examples/hello /bin/busybox -newer "$work/hello.tar" -print -quit)" ]; then
  step "container image from examples/hello/Dockerfile, by buildah" build_image
fi
step "container image to .gvmi" "$bin/gvmkit-build" --output "$work/hello.gvmi" "$work/hello.tar"
rm -rf "$work/workdir"
step "a VM, a command in it, and its output" "$bin/ya-runtime-dbg" --workdir "$work/workdir" --task-package "$work/hello.gvmi" --exec /bin/hello
show_volume() {
  local file
  for file in "$work"/workdir/volumes/*/*; do printf '%s:\n' "$file" && cat "$file"; done
}
step "what the command left in the volume /golem/output" show_volume
printf '\n== how long it took\n'
printf '%s\n' "${took[@]}"
