#!/bin/sh
# Packs a program as /init of an initramfs. usage: initramfs.sh PROGRAM OUTPUT
set -eu
program=$1 output=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
install -m 0755 "$program" "$work/init"
touch -d @0 "$work/init"
mkdir -p "$(dirname "$output")"
(cd "$work" && echo init | cpio --quiet --create --format=newc --owner=+0:+0 --reproducible) > "$output.new"
mv "$output.new" "$output"
