#!/usr/bin/env bash
# ./dev demo compiles what it runs: no test, no fuzz target and no bench. usage: demo_build.sh BUILD (a folder that ninja builds in)
set -euo pipefail
compile_steps() { ninja -C "$1" -t commands "$2" | grep -- ' -c ' || true; }
demo=$(compile_steps "$1" demo_programs)
all=$(compile_steps "$1" all)
echo "compile steps: demo $(wc -l <<< "$demo"), all $(wc -l <<< "$all")"
grep -q '/src/cli/gvmkit_build.cpp' <<< "$demo" || { echo "error: the demo's programs are not among them" >&2; exit 1; }
if grep -E -- ' -c [^ ]*/(tests|bench)/' <<< "$demo"; then
  echo "error: the demo does not run these" >&2
  exit 1
fi
