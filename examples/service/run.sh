#!/bin/sh
# Starts the VM with its entrypoint, as a requestor does by start("start-entrypoint"). usage: run.sh IMAGE
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat > "$work/client" <<'END'
import time, urllib.request

def ask(data=None):
    return urllib.request.urlopen("http://127.0.0.1:8000", data).read().decode()

while True:  # until the service listens
    try:
        ask()
        break
    except OSError:
        time.sleep(0.2)
ask(b"a note")
ask(b"another one")
print(ask(), end="")
END
ya-runtime-dbg -t "$1" --workdir "$work/vm" --start-arg start-entrypoint --exec 'id -un && exec python3 -' < "$work/client"
grep -m 1 listening "$work/vm/logs/entrypoint.log"
