"""Random container images, as OCI layouts: the same seed gives the same image. All of them are legal, many are odd. A model of the tree is kept
while an image is made, so that hard links have targets and no file is a folder on the way."""

import gzip
import hashlib
import io
import json
import os
import random
import tarfile

NAMES = ["a", "b", "c", "d", "e f", "ä", "☃", "new\nline", "back\\slash", ".hidden", "..dots", "-dash", "#", "n" * 101, "m" * 200, "é" * 60]
BYTES = ["latin-\udce4", "\udcff"]  # no UTF-8, so never in a PAX header
TIMES = [0, 1, 1_000_000_000, 1_700_000_000, 2**31, 2**32 - 1, 2**32 + 5, -1, -1_000_000]
IDS = [0, 0, 1, 1000, 65534, 70000, 2_097_151, 2_097_152, 2**31, 4_000_000_000]
MODES = [0o644, 0o755, 0o700, 0o000, 0o4755, 0o2755, 0o1777, 0o7777, 0o600]
FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


class Node:
    def __init__(self, member, points_to=None):
        self.member = member  # of a hard link: its target's
        self.points_to = points_to  # of a symbolic link to a folder: that folder

    def is_folder(self):
        return self.member is None or self.member.isdir()


def shown(path):
    """As list_tree.py has it: a Latin-1 character for each byte."""
    return os.fsencode("/" + "/".join(path)).decode("latin-1")


def old_header(header):
    """A header of before POSIX: without a magic number, and a regular file has the type zero."""
    header = bytearray(header)
    if header[156:157] == b"0":
        header[156] = 0
    header[257:] = bytes(512 - 257)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def extra_header():
    """A PAX header that says nothing of the entry behind it."""
    member = tarfile.TarInfo("ignored")
    data = b"31 comment=nothing of interest\n"
    member.type, member.size = tarfile.XHDTYPE, len(data)
    return member.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


class RandomImage:
    """The members of the layers' tars, and what becomes of them."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.nodes = {(): Node(None)}  # by canonical path; folders that no entry describes have no member
        self.upper = set()  # the paths that the current layer has made, and the folders on the way to them
        self.touched = set()  # folders whose contents changed after their own entry in a way that umoci does not hide from their times
        self.layers = []
        for _ in range(self.random.randint(1, 4)):
            self.upper = {()}
            out = io.BytesIO()
            for _ in range(self.random.randint(1, 40)):
                self.add_something(out)
            end = self.random.choice([bytes(1024)] * 5 + [bytes(10240), bytes(1024) + b"what follows the end is ignored", bytes(512)])
            self.layers.append(out.getvalue() + end)

    def chance(self, probability):
        return self.random.random() < probability

    # The model

    def folders(self):
        return sorted(path for path, node in self.nodes.items() if node.is_folder())

    def below(self, path):
        return sorted(other for other in self.nodes if len(other) > len(path) and other[:len(path)] == path)

    def remove(self, path):
        for other in [path, *self.below(path)]:
            self.nodes.pop(other, None)

    def put(self, path, node):
        for depth in range(1, len(path)):
            if path[:depth] not in self.nodes:
                self.nodes[path[:depth]] = Node(None)
                self.touched.add(path[:depth - 1])
        if not (node.is_folder() and path in self.nodes and self.nodes[path].is_folder()):
            self.remove(path)
        self.nodes[path] = node
        self.touched.discard(path)
        self.upper.update(path[:depth] for depth in range(len(path) + 1))

    def white_out(self, path, itself):
        folder = path[:-1] if itself else path  # where the marker is
        for other in reversed([path, *self.below(path)] if itself else self.below(path)):
            if other not in self.upper and self.nodes.pop(other, None) and other[:-1] != folder:
                self.touched.add(other[:-1])

    # Paths: as they are written and, canonical, what they mean

    def folder(self):
        """An existing folder, sometimes by way of a symbolic link, sometimes with names below it that no entry describes."""
        links = sorted(path for path, node in self.nodes.items() if node.points_to is not None
                       and node.points_to in self.nodes and self.nodes[node.points_to].is_folder())
        if links and self.chance(0.3):
            written = self.random.choice(links)
            canonical = self.nodes[written].points_to
        else:
            written = canonical = self.random.choice(self.folders())
        while len(written) < 4 and self.chance(0.15):
            name = self.name()
            if canonical + (name,) in self.nodes:
                break
            written, canonical = written + (name,), canonical + (name,)
        return written, canonical

    def name(self):
        return self.random.choice(NAMES[:4] if self.chance(0.7) else NAMES if self.chance(0.9) else BYTES)

    def place(self):
        """A new or an existing name in a folder."""
        while True:
            written, canonical = self.folder()
            if self.chance(0.4) and len(canonical) > 0 and written == canonical:
                return written, canonical
            if len(written) < 5:
                name = self.name()
                return written + (name,), canonical + (name,)

    def spell(self, names, folder=False):
        separator = self.random.choice(["/"] * 8 + ["//", "/./"])
        if names and self.chance(0.05):
            at = self.random.randrange(len(names))
            names = names[:at] + ("detour", "..") + names[at:]
        text = self.random.choice(["", "", "", "./", "./", "/", "/./"]) + separator.join(names)
        return text + "/" if folder and self.chance(0.7) else text or "./"

    # Entries

    def member(self, written, kind):
        member = tarfile.TarInfo(self.spell(written, kind == tarfile.DIRTYPE))
        member.type = kind
        member.mode = self.random.choice(MODES)
        member.uid, member.gid = self.random.choice(IDS), self.random.choice(IDS)
        member.uname, member.gname = self.random.choice([("", ""), ("root", "root"), ("nobody", "ignored")])
        member.mtime = self.random.choice(TIMES)
        if kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
            member.devmajor, member.devminor = self.random.choice([(1, 3), (259, 70000), (4000, 5)])
        return member

    def write(self, out, member, data=b""):
        member.size = len(data)
        kinds = self.random.sample([*FORMATS, "old"], 4)
        if any("\udc80" <= c <= "\udcff" for c in member.name + member.linkname):
            kinds = [tarfile.GNU_FORMAT]
        if member.pax_headers:
            kinds = [tarfile.PAX_FORMAT]
        for kind in kinds:
            try:
                if kind == "old":
                    if len(os.fsencode(member.name)) > 100 or member.type not in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE):
                        continue
                    header = old_header(member.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape"))
                else:
                    header = member.tobuf(kind, "utf-8", "surrogateescape")
                break
            except ValueError:
                continue  # too long or too large for this kind
        if kind != tarfile.PAX_FORMAT and self.chance(0.05):
            out.write(extra_header())
        out.write(header + data + bytes(-len(data) % 512))

    def data(self):
        size = self.random.choice([0, 0, 1, 100, 511, 512, 513, 5000, 140_000])
        return bytes(size) if self.chance(0.2) else self.random.randbytes(min(size, 600)) * (size // 600 + 1)

    def add_something(self, out):
        choice = self.random.choices([self.add_file, self.add_folder, self.add_symlink, self.add_hard_link, self.add_special, self.add_whiteout,
                                      self.add_opaque, self.add_again], [8, 6, 4, 3, 1, 3, 1, 1])[0]
        choice(out)

    def add_file(self, out):
        written, canonical = self.place()
        member = self.member(written, tarfile.REGTYPE)
        if member.name.endswith("/"):
            member.name += canonical[-1]
        if self.chance(0.15):
            member.pax_headers["SCHILY.xattr.user.key"] = self.random.choice(["", "value", "with\0zero", "a=b\nc", "ü" * 50])
        if self.chance(0.1):
            member.mtime += 0.5
        self.write(out, member, self.data())
        self.put(canonical, Node(member))

    def add_folder(self, out):
        written, canonical = self.place() if self.chance(0.95) else ((), ())
        member = self.member(written, tarfile.DIRTYPE)
        if self.chance(0.1):
            member.pax_headers["SCHILY.xattr.user.folder"] = "yes"
        self.write(out, member)
        self.put(canonical, Node(member))

    def add_symlink(self, out):
        written, canonical = self.place()
        member = self.member(written, tarfile.SYMTYPE)
        points_to = None
        if self.chance(0.6):
            points_to = self.random.choice(self.folders())
            up = len(canonical) - 1
            member.linkname = "/".join(("..",) * up + points_to) if self.chance(0.5) else "/" + "/".join(points_to)
            member.linkname = member.linkname or "."
            if points_to[:len(canonical)] == canonical:
                points_to = None  # the folder gives way to the link
        else:
            member.linkname = self.random.choice(["nowhere", "../../../..", "/", "/etc/passwd", "t" * 150, "./x", "self", "latin-\udce4"])
        self.write(out, member)
        self.put(canonical, Node(member, points_to))

    def add_hard_link(self, out):
        targets = sorted(path for path, node in self.nodes.items() if not node.is_folder())
        if not targets:
            return
        target = self.random.choice(targets)
        written, canonical = self.place()
        if target[:len(canonical)] == canonical:
            return  # it would replace its target
        node = self.nodes[target]
        member = self.member(written, tarfile.LNKTYPE)
        for key in ("mode", "uid", "gid", "mtime"):  # as every program that writes tars does
            setattr(member, key, getattr(node.member, key))
        member.mtime = int(member.mtime)
        member.linkname = self.spell(target)
        self.write(out, member)
        self.put(canonical, Node(node.member, node.points_to if len(target) == len(canonical) else None))

    def add_special(self, out):
        written, canonical = self.place()
        member = self.member(written, self.random.choice([tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]))
        self.write(out, member)
        self.put(canonical, Node(member))

    def add_whiteout(self, out):
        written, canonical = self.folder()
        names = sorted({path[len(canonical)] for path in self.below(canonical)})
        name = self.random.choice(names) if names and self.chance(0.9) else "nothing"
        if len(os.fsencode(name)) > 250:
            return
        self.write(out, self.member(written + (".wh." + name,), tarfile.REGTYPE))
        self.white_out(canonical + (name,), True)

    def add_opaque(self, out):
        written, canonical = self.folder()
        self.write(out, self.member(written + (".wh..wh..opq",), tarfile.REGTYPE))
        self.white_out(canonical, False)

    def add_again(self, out):
        """An entry of a path that the same layer has already: the last one counts."""
        files = sorted(path for path in self.upper if path in self.nodes and self.nodes[path].member is not None and self.nodes[path].member.isreg())
        if files:
            path = self.random.choice(files)
            member = self.member(path, tarfile.REGTYPE)
            member.name = "/".join(path)
            self.write(out, member, self.data())
            self.put(path, Node(member))

    # What the test needs to know

    def implied_folders(self):
        """Those that no entry describes."""
        return {shown(path) for path, node in self.nodes.items() if node.member is None}

    def touched_folders(self):
        return {shown(path) for path in self.touched if path in self.nodes}

    def time_of(self, path):
        """Of a folder, as a squashfs has it."""
        node = next(node for names, node in self.nodes.items() if shown(names) == path)
        return 0 if node.member is None else min(max(int(node.member.mtime), 0), 2**32 - 1)

    def paths(self):
        return {shown(path) for path in self.nodes}

    def save(self, folder):
        """Writes an OCI layout whose image has the name `image`."""
        os.makedirs(folder + "/blobs/sha256")

        def blob(data, media_type):
            digest = hashlib.sha256(data).hexdigest()
            with open(f"{folder}/blobs/sha256/{digest}", "wb") as file:
                file.write(data)
            return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": "sha256:" + digest, "size": len(data)}

        layers = [blob(gzip.compress(layer, 1, mtime=0), "layer.v1.tar+gzip") if self.chance(0.5) else blob(layer, "layer.v1.tar")
                  for layer in self.layers]
        config = {"architecture": "amd64", "os": "linux", "config": {},
                  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in self.layers]}}
        manifest = {"schemaVersion": 2, "config": blob(json.dumps(config).encode(), "config.v1+json"), "layers": layers}
        index = blob(json.dumps(manifest).encode(), "manifest.v1+json")
        index["annotations"] = {"org.opencontainers.image.ref.name": "image"}
        for name, content in [("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", {"schemaVersion": 2, "manifests": [index]})]:
            with open(f"{folder}/{name}", "w", encoding="utf-8") as file:
                json.dump(content, file)
