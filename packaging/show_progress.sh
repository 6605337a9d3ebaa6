# Tells how far a long build is. To be sourced.
# shellcheck shell=bash

# show_progress NAME PID STATE...: until that child of ours has ended, prints every 15 s what the command STATE says; its exit code.
show_progress() {
  local name=$1 build=$2 started=$SECONDS
  shift 2
  while kill -0 "$build" 2> /dev/null; do
    # Not a wait for a condition but the beat of the progress line; `wait -n` cannot take a timeout.
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do kill -0 "$build" 2> /dev/null && sleep 1; done
    printf '%s: %d s, %s\n' "$name" $((SECONDS - started)) "$("$@")"
  done
  wait "$build"
}

# latest_step LOG: the last line of ninja's or ours that names a step.
latest_step() { grep -o '^\(\[[0-9/]*\]\|== .*\)' "$1" | tail -n 1 || true; }
