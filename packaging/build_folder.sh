# What a build folder holds. To be sourced.
# shellcheck shell=bash

# version_of BUILD
version_of() { sed -nE 's/^CMAKE_PROJECT_VERSION:.*=(.*)/\1/p' "$1/CMakeCache.txt"; }

# check_complete BUILD: its programs must run on any Linux and its site must be there, or this script ends.
check_complete() {
  if [ ! -x "$1/bin/runtime/mkfs.ext4" ] || [ -L "$1/bin/runtime/qemu/qemu-system-x86_64" ]; then
    echo "error: this build has no static programs, or no QEMU of its own, so it does not run anywhere" >&2
    exit 1
  fi
  if [ ! -f "$1/docs/index.html" ]; then
    echo "error: this build has no site: ./dev docs makes it" >&2
    exit 1
  fi
}
