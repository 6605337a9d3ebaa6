#!/usr/bin/env bash
# ./dev demo compiles what it runs, no test, fuzz target or bench, and takes at most a third of the steps of ./dev test. usage: demo_build.sh BUILD (a folder that ninja builds in)
set -euo pipefail
compile_steps() { ninja -C "$1" -t commands "$2" | grep -- ' -c ' || true; }
demo=$(compile_steps "$1" demo_programs)
all=$(compile_steps "$1" all)
demo_count=$(wc -l <<< "$demo")
all_count=$(wc -l <<< "$all")
echo "compile steps: demo $demo_count, all $all_count"
if ((demo_count * 3 > all_count)); then
  echo "error: the demo compiles more than a third of what the tests do" >&2
  exit 1
fi
grep -q '/src/cli/gvmkit_build.cpp' <<< "$demo" || { echo "error: the demo's programs are not among them" >&2; exit 1; }
if grep -E -- ' -c [^ ]*/(tests|bench)/' <<< "$demo"; then
  echo "error: the demo does not run these" >&2
  exit 1
fi
