#!/bin/sh
# 200 MB through a VM with a quarter of a GiB of memory. usage: run.sh IMAGE
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seq 26000000 | head -c 200000000 > "$work/numbers"
cat > "$work/steps" <<END
[{"deploy": {}}, {"start": {}},
 {"transfer": {"from": "file:$work/numbers", "to": "container:/golem/input/numbers"}},
 {"run": {"entry_point": "/usr/bin/env", "args": ["python3", "/app/digest.py"], "capture": {"stdout": {"stream": {}}}}},
 {"transfer": {"from": "container:/golem/output/numbers.gz", "to": "file:$work/numbers.gz"}}]
END
ya-runtime-dbg -t "$1" --script "$work/steps" -- --storage-gib 1 > "$work/results"
grep -o "numbers [0-9]* $(sha256sum < "$work/numbers" | cut -c1-64)" "$work/results" | cut -c1-17
gzip -dc "$work/numbers.gz" | cmp - "$work/numbers" && echo "the same"
