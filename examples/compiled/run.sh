#!/bin/sh
# The image has no shell, so the program is named by its path and gets a list of arguments, as from a requestor. usage: run.sh IMAGE
set -eu
ya-runtime-dbg -t "$1" --exec-mode exec --exec '/bin/primes 200000' -- --cpu-cores 2
