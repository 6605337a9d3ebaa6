#!/usr/bin/env python3
"""Lists a file tree as sorted JSON lines: what two equal trees have in common, and nothing of the file system they are on.

list_tree.py ROOT [--without PATH]... [--as-squashfs]

--without     leaves out PATH (from the root), what is below it, and its folder's time and link count
--as-squashfs what squashfs cannot hold is shown as it would be there: times clamped to 1970..2106, POSIX ACLs left out

Needs nothing but Python's standard library, since it also runs inside a VM.
"""

import argparse
import hashlib
import json
import os
import stat


def text(name):
    """Names are bytes; Latin-1 has a character for each."""
    return os.fsencode(name).decode("latin-1")


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def attributes(path, as_squashfs):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return {}
    return {
        text(name): os.getxattr(path, name, follow_symlinks=False).hex()
        for name in names
        if not (as_squashfs and name.startswith("system."))
    }


def describe(path, shown, options):
    status = os.lstat(path)
    mode = status.st_mode
    time = int(status.st_mtime_ns // 1_000_000_000)
    line = {
        "path": text(shown),
        "mode": f"{mode:06o}",
        "owner": f"{status.st_uid}:{status.st_gid}",
        "time": min(max(time, 0), 0xFFFFFFFF) if options.as_squashfs else time,
        "links": status.st_nlink,
        "attributes": attributes(path, options.as_squashfs),
    }
    if any(os.path.dirname(left_out) == shown for left_out in options.without):
        del line["time"], line["links"]
    if stat.S_ISREG(mode):
        line["size"] = status.st_size
        line["sha256"] = sha256(path)
    elif stat.S_ISLNK(mode):
        line["target"] = text(os.readlink(path))
    elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        line["device"] = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    return line


def walk(root, shown, options):
    yield describe(root, shown, options)
    if not stat.S_ISDIR(os.lstat(root).st_mode):
        return
    for name in sorted(os.listdir(root), key=os.fsencode):
        below = os.path.join(shown, name)
        if below not in options.without:
            yield from walk(os.path.join(root, name), below, options)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--as-squashfs", action="store_true")
    options = parser.parse_args()
    for line in walk(options.root, "/", options):
        print(json.dumps(line, sort_keys=True))


if __name__ == "__main__":
    main()
