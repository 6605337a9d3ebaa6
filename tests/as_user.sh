#!/usr/bin/env bash
# as_user.sh BUILD COMMAND...: runs a command on a build as an ordinary user (nobody, in no group) who has no access to /dev/kvm. As root.
# That user gets a copy of what tests write to, build/tests and build/Testing, in the places of the real ones, and a home in BUILD/as-user, where
# what the tests install stays for the next time. The checkout must lie where others can read it.
set -euo pipefail
[ "$(id -u)" -eq 0 ] || { echo "error: only root can become another user" >&2; exit 1; }
if [ "${AS_USER_INSIDE:-}" != yes ]; then
  AS_USER_INSIDE=yes exec unshare --mount -- "$0" "$@"
fi
build=$(realpath "$1")
shift
own=$build/as-user
as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups -- env -u AS_USER_INSIDE "HOME=$own/home" "TMPDIR=/tmp")
mount --make-rprivate /
mkdir -p "$own/home"
"${as_user[@]}" test -x "$build/tests" || { echo "error: $build cannot be reached by other users" >&2; exit 1; }
for part in tests Testing; do
  rm -rf --one-file-system "${own:?}/$part"
  mkdir -p "$build/$part" "$own/$part"
  # Not the work of earlier runs, which may hold what a guest has made.
  tar -C "$build/$part" --exclude=./work --exclude=./cache -cf - . | tar -C "$own/$part" -xf -
done
chown -R 65534:65534 "$own"
for part in tests Testing; do mount --bind "$own/$part" "$build/$part"; done
if [ -e /dev/kvm ]; then
  rm -f "$own/kvm"
  mknod -m 600 "$own/kvm" c 10 232
  mount --bind "$own/kvm" /dev/kvm
fi
exec "${as_user[@]}" "$@"
