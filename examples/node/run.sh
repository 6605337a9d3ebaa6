#!/bin/sh
# A file on standard input, the result from the volume's folder. usage: run.sh IMAGE
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'apples,3\npears,4\napples,39\n' |
  ya-runtime-dbg -t "$1" --workdir "$work" --exec 'cat > /golem/input/fruit.csv && node sum.mjs' -- --mem-gib 0.5
cat "$work"/volumes/*/sums.json
echo
