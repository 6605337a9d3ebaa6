#!/bin/sh
# A container in the VM, of an image that is made there: nothing is pulled. usage: run.sh IMAGE
set -eu
export YA_RUNTIME_VOLUME_OVERRIDE='{"/var/lib/docker": {"storage": {"size": "1 GiB"}}}'
ya-runtime-dbg -t "$1" --exec '
  start-docker
  mkdir -p /tmp/root/bin && cp /bin/busybox /tmp/root/bin/sh
  tar -C /tmp/root -c . | docker import - small > /dev/null
  docker info --format "{{.Driver}}"
  docker run --rm --network none --memory 64m small /bin/sh -c "echo hello from a container"' -- --mem-gib 1 --storage-gib 2 --cpu-cores 2
