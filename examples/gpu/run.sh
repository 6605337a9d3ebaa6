#!/bin/sh
# Here without a card. usage: run.sh IMAGE
set -eu
ya-runtime-dbg -t "$1" --exec 'python3 /app/cards.py 2>&1' || echo "exit code $?"
