#!/usr/bin/env bash
# Both commands of the README in a new Debian 12 that has git and nothing of ours: debootstrap, a clone of HEAD, ./dev demo, ./dev test.
# Needs root. Leaves no mount, no process and no folder. usage: fresh.sh [CACHE]
# CACHE, a folder of this machine's, is ~/.cache in the new Debian. With a full one nothing is built twice: neither the guest kernel, QEMU and
# the libraries nor, by ccache, what a clone in /root/gvmkit has compiled.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "error: it needs root, for the new Debian" >&2; exit 1; }

# inside ROOT COMMIT CACHE: runs in a mount and PID namespace of its own.
inside() {
  local debian=$1 cache=$3
  mount --make-rprivate /
  mount --bind "$debian" "$debian"  # buildah needs a / that is a mount point
  mount -t proc proc "$debian/proc"
  mount --rbind /sys "$debian/sys"
  mount --rbind /dev "$debian/dev"
  mount -t tmpfs tmpfs "$debian/run"
  cp --dereference /etc/resolv.conf "$debian/etc/resolv.conf"
  mkdir "$debian/origin"
  mount --bind . "$debian/origin"
  if [ -n "$cache" ]; then
    mkdir "$debian/root/.cache"
    mount --bind "$cache" "$debian/root/.cache"
  fi
  # This machine's own certificate authorities: its way to the package registries may need them. pip and npm have lists of their own.
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$debian/usr/local/share/ca-certificates/" \;
  local bundle=/etc/ssl/certs/ca-certificates.crt
  # A chroot would not do: the kernel lets no process in it make a user namespace, which QEMU's confinement needs.
  cd "$debian"
  mkdir old
  pivot_root . old
  exec chroot . /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 PIP_CERT=$bundle NODE_EXTRA_CA_CERTS=$bundle \
    bash -euo pipefail -c "
    umount --lazy /old
    rmdir /old
    update-ca-certificates > /dev/null
    git config --global --add safe.directory '*'
    git clone -q /origin /root/gvmkit
    cd /root/gvmkit
    git checkout -q $2
    time ./dev demo
    time ./dev test"
}

if [ "${1:-}" = inside ]; then
  inside "$2" "$3" "$4"
  exit
fi

cache=${1:+$(realpath -e "$1")}  # a missing folder is an error now, not after debootstrap
debian=build/fresh/debian
rm -rf --one-file-system build/fresh
mkdir -p "$debian"
echo "Debian 12 by debootstrap in $debian"
debootstrap --variant=minbase --include=git,ca-certificates bookworm "$debian" > build/fresh/debootstrap.log
unshare --mount --pid --fork --kill-child "$PWD/tests/fresh.sh" inside "$PWD/$debian" "$(git rev-parse HEAD)" "$cache"
rm -rf --one-file-system build/fresh
