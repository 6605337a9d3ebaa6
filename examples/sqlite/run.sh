#!/bin/sh
# The data base is complete when it has left the VM. usage: run.sh IMAGE
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ya-runtime-dbg -t "$1" --workdir "$work" --exec 'python3 /app/collect.py'
head -c 15 "$work"/volumes/*/data.sqlite
echo
