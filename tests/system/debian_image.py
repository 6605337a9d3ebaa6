#!/usr/bin/env python3
"""Makes a Debian 12 image of four layers with buildah, as a docker archive: debootstrap with python3 and one of everything that a file system
has; a layer that adds; one that deletes; one that replaces directories by opaque ones. Needs root.

debian_image.py ARCHIVE STORAGE

The result of debootstrap is kept in $GVMKIT_BUILD_CACHE (~/.cache/gvmkit-build).
"""

import hashlib
import os
import shutil
import struct
import subprocess
import sys

DEBOOTSTRAP = ["debootstrap", "--variant=minbase", "--include=python3", "bookworm"]
LONG_NAME = "n" * 255
DEEP = "/".join(["deep-" + "d" * 90] * 8)


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout.decode().strip()


def cached_tree(recipe, make):
    """The tar of the folder that make(folder) fills, from the build cache where one of this recipe is there."""
    cache = os.environ.get("GVMKIT_BUILD_CACHE") or os.path.expanduser("~/.cache/gvmkit-build")
    key = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    tar = os.path.join(cache, f"debootstrap-{key}.tar")
    if os.path.exists(tar):
        return tar
    folder = f"{tar}.{os.getpid()}.d"
    os.makedirs(cache, exist_ok=True)
    try:
        make(folder)
        shutil.rmtree(folder + "/var/cache/apt/archives", ignore_errors=True)
        run("tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", folder, "-cf", f"{tar}.{os.getpid()}", ".")
        os.rename(f"{tar}.{os.getpid()}", tar)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tar


def debootstrap(command=None):
    """The tar of a fresh Debian."""
    command = command or DEBOOTSTRAP
    return cached_tree(" ".join(command), lambda folder: run(*command, folder))


class Tree:
    """A folder as the root of paths."""

    def __init__(self, root):
        self.root = root

    def path(self, name):
        return os.path.join(os.fsencode(self.root), os.fsencode(name))

    def write(self, name, content=b"x\n", mode=0o644, owner=(0, 0), time=None):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        os.chown(path, *owner)
        os.chmod(path, mode)
        if time is not None:
            os.utime(path, (time, time))

    def link(self, old, new):
        os.link(self.path(old), self.path(new))

    def symlink(self, target, name):
        os.symlink(target, self.path(name))

    def attribute(self, name, key, value):
        os.setxattr(self.path(name), key, value, follow_symlinks=False)

    def remove(self, name):
        path = self.path(name)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def everything(tree):
    """One of everything that a file system has, below /special."""
    os.makedirs(tree.path("special/sub"))
    for i, mode in enumerate([0o0, 0o111, 0o400, 0o4755, 0o2755, 0o6711, 0o1777, 0o7777]):
        tree.write(f"special/mode-{i}", mode=mode)
    tree.write("special/owner", owner=(12345, 54321))
    tree.write("special/high-owner", owner=(4000000000, 4294967290))
    os.chmod(tree.path("special/sub"), 0o3751)
    os.chown(tree.path("special/sub"), 7, 8)

    tree.write("special/links/a", b"linked\n")
    tree.link("special/links/a", "special/links/b")
    tree.link("special/links/a", "special/links/c")
    tree.link("special/links/a", "special/sub/d")

    os.mkfifo(tree.path("special/fifo"), 0o620)
    os.mknod(tree.path("special/null"), 0o020666, os.makedev(1, 3))
    os.mknod(tree.path("special/block"), 0o060660, os.makedev(259, 70000))
    tree.symlink("/absolute", "special/absolute")
    tree.symlink("nowhere", "special/dangling")
    tree.symlink("t" * 4000, "special/long-target")
    tree.symlink("loop", "special/loop")
    tree.symlink(b"\xff\xe9", "special/bytes-target")

    for name in [b"latin-\xe9", b"bytes-\xff\xfe", "composed-\u00e9".encode(), "decomposed-e\u0301".encode(), b"new\nline", b"back\\slash",
                 LONG_NAME.encode(), b" blank ", b"-dash"]:
        tree.write(b"special/names/" + name, name)
        tree.symlink(name, b"special/names/to-" + name[:200])
    tree.write(f"special/{DEEP}/file", b"deep\n")

    tree.write("special/sparse")
    with open(tree.path("special/sparse"), "r+b") as file:
        for offset in [5_000_000, 5_131_072, 99_999_999]:
            file.seek(offset)
            file.write(b"data at %d" % offset)
        file.truncate(200_000_000)
    tree.write("special/zeros", bytes(1_000_000))
    tree.write("special/empty", b"")
    for size in [131071, 131072, 131073, 262144]:
        tree.write(f"special/size-{size}", os.urandom(1000) * (size // 1000) + b"e" * (size % 1000))

    tree.write("special/capable")
    tree.attribute("special/capable", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
    for name in ["special/owner", "special/sub"]:
        tree.attribute(name, "user.text", b"value")
        tree.attribute(name, "user.bytes", b"\x00\xff\n=")
        tree.attribute(name, b"user.\xe9", b"v")
    tree.attribute("special/owner", "user.large", b"v" * 2000)
    # user::rw-, user:1000:rw-, group::r--, mask::rw-, other::r--
    acl = struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *entry) for entry in [(1, 6, 2**32 - 1), (2, 6, 1000), (4, 4, 2**32 - 1), (16, 6, 2**32 - 1), (32, 4, 2**32 - 1)])
    tree.attribute("special/owner", "system.posix_acl_access", acl)

    tree.write("special/before-1970", time=-600_000_000)
    tree.write("special/after-2106", time=5_000_000_000)
    tree.write("special/fraction", time=1_000_000_000.75)
    os.utime(tree.path("special/sub"), (981173106, 981173106))


def base(tree):
    run("tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-C", tree.root, "-xf", debootstrap())
    everything(tree)


def adds(tree):
    tree.write("added/file", b"added\n", owner=(1000, 1000))
    tree.write("usr/local/bin/tool", b"#!/bin/sh\necho tool\n", mode=0o755)
    tree.link("special/links/a", "special/links/e")  # across layers: a and e are one file now, b, c and d another
    os.chmod(tree.path("special/mode-0"), 0o640)
    os.chown(tree.path("special/names"), 9, 9)
    tree.remove("special/empty")
    tree.write("special/empty/now-a-folder/file")
    tree.remove("special/size-262144")
    tree.symlink("sub", "special/size-262144")


def deletes(tree):
    for name in ["usr/share/doc", "special/links/b", "special/null", "special/mode-1", "added/file", "special/long-target",
                 b"special/names/latin-\xe9", "special/" + DEEP.split("/")[0]]:
        tree.remove(name)
    tree.remove("special/zeros")
    tree.write("special/zeros", b"not zeros\n")


def replaces(tree):
    """A directory that is removed and made anew is opaque in an overlay."""
    for name in ["usr/share/locale", "special/names", "etc/cron.daily"]:
        tree.remove(name)
        tree.write(name + "/only/new", name.encode())
    tree.remove("special/empty")
    tree.write("special/empty", b"a file again\n")


def main():
    archive, storage = sys.argv[1:]
    buildah = ["buildah", "--root", storage + "/root", "--runroot", storage + "/run", "--storage-driver", "overlay"]
    image = "scratch"
    try:
        for number, layer in enumerate([base, adds, deletes, replaces]):
            container = run(*buildah, "from", image)
            layer(Tree(run(*buildah, "mount", container)))
            if number == 3:
                run(*buildah, "config", "--cmd", "python3", "--entrypoint", '["/usr/bin/env"]', "--env", "GREETING=hello world",
                    "--user", "nobody", "--workingdir", "/special", "--volume", "/data", container)
            run(*buildah, "umount", container)
            image = f"localhost/debian-layers:{number + 1}"
            run(*buildah, "commit", "--quiet", container, image)
        run(*buildah, "push", "--quiet", image, f"docker-archive:{archive}:debian-layers:12")
    finally:
        subprocess.run([*buildah, "umount", "--all"], stdout=subprocess.DEVNULL, check=False)
        # The storage is mounted on itself.
        subprocess.run(["umount", storage + "/root/overlay"], stderr=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    main()
