#!/usr/bin/env bash
# Makes the image that `ya-runtime-vm test` runs: one static program and a volume. usage: build.sh PROGRAM GVMKIT_BUILD OUTPUT
set -euo pipefail
program=$1 gvmkit_build=$2 output=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
pack() { tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar -cf "$@"; }

install -m 0755 "$program" self-test
pack layer.tar self-test
digest=$(sha256sum layer.tar)
cat > config.json <<JSON
{"architecture":"amd64","os":"linux",
 "config":{"Cmd":["/self-test"],"Volumes":{"/golem/volume":{}}},
 "rootfs":{"type":"layers","diff_ids":["sha256:${digest%% *}"]}}
JSON
echo '[{"Config":"config.json","RepoTags":["gvmkit/self-test:latest"],"Layers":["layer.tar"]}]' > manifest.json
pack image.tar manifest.json config.json layer.tar
mkdir -p "$(dirname "$output")"
"$gvmkit_build" --force --hide-progress --output "$output" image.tar > /dev/null
