#!/usr/bin/env bash
# images.sh BIN OUT TEST_VM: makes the small images that the system tests run: one tree (docker_archive.py) under several configurations.
set -euo pipefail
bin=$1
out=$2
here=$(dirname "$0")
mkdir -p "$out"

# make NAME CONFIG [PROGRAM...]
make() {
  python3 "$here/docker_archive.py" "$out/$1.tar" "${@:2}"
  "$bin/gvmkit-build" --force --hide-progress --no-lint --output "$out/$1.gvmi" "$out/$1.tar" > /dev/null
  rm "$out/$1.tar"
}

make plain '{}'
make curl '{}' "$(command -v curl)"
make ssh '{}' "$(command -v ssh-keygen)" "$(command -v uuidgen)"
# shellcheck disable=SC2016  # JSON, not shell
make configured '{
  "User": "guest",
  "Env": ["COLOUR=deep red", "PATH=/opt/bin:/bin", "EMPTY=", "BYTES=\u0001\t\nż\""],
  "WorkingDir": "/home/guest/made/by/us",
  "Volumes": {"/data": {}, "/golem/output": {}},
  "Entrypoint": ["/bin/sh", "-c", "echo started as $0 with $*", "entry"],
  "Cmd": ["one", "two words"]
}'
make command '{"Cmd": ["/bin/sh", "-c", "echo failing >&2; exit 9"]}'
make broken-entrypoint '{"Entrypoint": ["/no/such/entrypoint"]}'
make flood '{"Entrypoint": ["/bin/sh", "-c", "yes line | head -c 24000000; echo; echo the end; exit 3"]}'
make user-uid '{"User": "1000"}'
make user-uid-gid '{"User": "1000:50"}'
make user-name-group '{"User": "guest:staff"}'
make user-short-lines '{"User": "app:short"}'
make user-unknown-uid '{"User": "4242"}'
make user-unknown-name '{"User": "nobody-knows"}'
# In the place of the self-test image (test_causes.cpp).
make hangs '{"Cmd": ["/bin/sleep", "1000"]}'
make silent '{"Cmd": ["/bin/true"]}'
make fails '{"Cmd": ["/bin/sh", "-c", "echo the disk is odd >&2; exit 3"]}'
# A program of the unit tests, for what only a VM's kernel lets it do (test_confinement.cpp).
make unit '{}' "$3"
