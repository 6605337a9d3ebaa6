#!/bin/sh
# As a requestor runs it: a file in, the command, a file out. usage: run.sh IMAGE
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'apples,3\npears,4\napples,39\n' > "$work/fruit.csv"
cat > "$work/steps" <<END
[{"deploy": {}}, {"start": {}},
 {"transfer": {"from": "file:$work/fruit.csv", "to": "container:/golem/input/fruit.csv"}},
 {"run": {"entry_point": "/usr/bin/env", "args": ["python3", "report.py"]}},
 {"transfer": {"from": "container:/golem/output/report.txt", "to": "file:$work/report.txt"}}]
END
ya-runtime-dbg -t "$1" --script "$work/steps" > "$work/results"
cat "$work/report.txt"
