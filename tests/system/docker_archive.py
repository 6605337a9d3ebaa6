#!/usr/bin/env python3
"""docker_archive.py OUT.tar CONFIG [PROGRAM...] — writes the test image as `docker save` would.

CONFIG is the JSON of a container configuration ("User", "Env", …). The tree is the same in every image: Debian's static busybox with all
its names, two users, and files that cannot be run; and each PROGRAM in /bin, with the libraries that it needs.
"""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile

BUSYBOX = "/bin/busybox"


class Layer:
    def __init__(self):
        self.bytes = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.bytes, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name, kind=tarfile.REGTYPE, data=b"", mode=0o644, owner=0, target=""):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid, entry.linkname = kind, mode, owner, owner, target
        entry.size, entry.mtime = len(data), 1700000000
        self.tar.addfile(entry, io.BytesIO(data))

    def folder(self, name, mode=0o755, owner=0):
        self.add(name, tarfile.DIRTYPE, mode=mode, owner=owner)


def libraries(program):
    """Paths of what a program is linked with, its loader too; none of a static one."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return sorted({word for word in listing.split() if word.startswith("/")})


def tree(programs):
    layer = Layer()
    for name in ("bin", "etc", "home", "opt", "opt/bin", "var", "var/log"):
        layer.folder(name)
    layer.folder("root", 0o700)
    layer.folder("home/guest", 0o755, 1000)
    layer.folder("data", 0o750, 1000)
    layer.add("data/hidden", data=b"a volume hides me\n")
    with open(BUSYBOX, "rb") as file:
        layer.add("bin/busybox", data=file.read(), mode=0o755)
    for applet in subprocess.check_output([BUSYBOX, "--list"], text=True).split():
        if applet != "busybox":
            layer.add("bin/" + applet, tarfile.SYMTYPE, mode=0o777, target="busybox")
    files = {"bin/" + os.path.basename(program): program for program in programs}
    files.update({library.lstrip("/"): library for program in programs for library in libraries(program)})
    for name in sorted({os.path.dirname(name) for name in files} - {"bin"}):
        for depth in range(name.count("/") + 1):
            layer.folder("/".join(name.split("/")[:depth + 1]))
    for name, source in files.items():
        with open(source, "rb") as file:
            layer.add(name, data=file.read(), mode=0o755)
    layer.add("opt/bin/answer", data=b"#!/bin/sh\necho 42\n", mode=0o755)
    layer.add("bin/not-executable", data=b"#!/bin/sh\n", mode=0o644)
    layer.add("bin/not-a-program", data=b"\x7fELF but only so far", mode=0o755)
    layer.add("bin/no-interpreter", data=b"#!/no/such/shell\n", mode=0o755)
    layer.add("etc/passwd", data=b"root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000:a guest:/home/guest:/bin/sh\n  app:x:1001:1001\n")
    layer.add("etc/group", data=b"root:x:0:\nstaff:x:50:guest\nusers:x:100:root,guest\nguest:x:1000:\nshort:x:51\n")
    layer.add("var/log/access.log", tarfile.SYMTYPE, mode=0o777, target="/dev/stdout")
    layer.add("later", tarfile.SYMTYPE, mode=0o777, target="made/../made/on demand")
    layer.tar.close()
    return layer.bytes.getvalue()


def save(out, layer, config, **more):
    """Writes an image of one layer, the bytes of a tar, as a docker archive. `more` is what else its JSON says."""
    image = json.dumps({
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        **more,
    }).encode()
    config_name = hashlib.sha256(image).hexdigest() + ".json"
    manifest = [{"Config": config_name, "RepoTags": ["gvmkit-test:latest"], "Layers": ["layer/layer.tar"]}]
    archive = Layer()
    archive.add("layer/layer.tar", data=layer)
    archive.add(config_name, data=image)
    archive.add("manifest.json", data=json.dumps(manifest).encode())
    archive.tar.close()
    with open(out, "wb") as file:
        file.write(archive.bytes.getvalue())


if __name__ == "__main__":
    save(sys.argv[1], tree(sys.argv[3:]), json.loads(sys.argv[2]))
