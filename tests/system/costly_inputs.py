#!/usr/bin/env python3
"""Small inputs that ask for much time, memory or output: each kind in any size.

costly_inputs.py KIND SIZE OUT    writes one and prints the command that is to be measured.
"""

import bz2
import gzip
import hashlib
import io
import itertools
import json
import sys
import tarfile
import zlib

from raw_squashfs import RawSquashfs

MIB = 1 << 20


def entry(name, kind=tarfile.REGTYPE, data=b"", target="", size=None, **pax):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, len(data) if size is None else size
    member.pax_headers = {key: str(value) for key, value in pax.items()}
    return member.tobuf(tarfile.PAX_FORMAT) + data + bytes(-len(data) % 512)


def packed(path, pieces):
    """Writes the pieces and the end of a tar, compressed."""
    compressor = zlib.compressobj(6, wbits=31)
    with open(path, "wb") as file:
        for piece in itertools.chain(pieces, [bytes(1024)]):
            file.write(compressor.compress(piece))
        file.write(compressor.flush())


def write_zeros(path, start, mib, compress):
    """A tar that ends with so many zeros, in parts of 4 MiB, of which only one has to be compressed."""
    part = compress(bytes(4 * MIB))
    write(path, compress(start) + part * (mib // 4) + compress(bytes(mib % 4 * MIB + 1024)))


def archive(path, layers, blobs):
    """A docker archive: `layers` are names of the `blobs`, which are tars, packed or not."""
    plain = {name: gzip.decompress(blob) if blob[:2] == b"\x1f\x8b" else blob for name, blob in blobs.items()}
    config = {"os": "linux", "architecture": "amd64", "config": {},
              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(plain[name]).hexdigest() for name in layers]}}
    members = {"manifest.json": json.dumps([{"Config": "c.json", "RepoTags": None, "Layers": layers}]).encode(), "c.json": json.dumps(config).encode()}
    with open(path, "wb") as file:
        for name, data in {**members, **blobs}.items():
            file.write(entry(name, data=data))
        file.write(bytes(1024))


# Each writes `path` and returns nothing; `size` is in the unit that KINDS says.

def attributes(path, size):
    value = "A" * 65000
    packed(path, (entry(f"etc/{i}", **{f"SCHILY.xattr.user.a{n}": value for n in range(15)}) for i in range(size)))


def holes(path, size):
    data = b"1\n%d\n0\n" % (size << 30)
    member = entry("etc/GNUSparseFile.0/hole", data=data.ljust(512, b"\0"), **{"GNU.sparse.major": 1, "GNU.sparse.minor": 0, "GNU.sparse.name": "etc/hole",
                                                                             "GNU.sparse.realsize": size << 30})
    packed(path, [member])


def zero_files(path, size):
    write_zeros(path, entry("etc/zeros", size=size * MIB), size, gzip.compress)


def zeros_behind(path, size):
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["a:b"], "Layers": []}]).encode()
    config = b'{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}'
    start = entry("manifest.json", data=manifest) + entry("c.json", data=config) + entry("zeros", size=size * MIB)
    write_zeros(path, start, size, bz2.compress)


def same_layer(path, size):
    blob = gzip.compress(entry("etc/x", data=b"x") + bytes(1024) + bytes(4 * MIB), 9, mtime=0)
    archive(path, ["l"] * size, {"l": blob})


def opaque_markers(path, size):
    """Wide and deep: in the layer that has the files."""
    files = b"".join(entry(f"wide/{i}") + entry("deep/" + "d/" * (i % 100) + "x") for i in range(size))
    markers = b"".join(entry("wide/.wh..wh..opq") + entry("deep/.wh..wh..opq") + entry(".wh..wh..opq") for _ in range(size))
    archive(path, ["a", "b"], {"a": gzip.compress(files + bytes(1024), 1), "b": gzip.compress(files + markers + bytes(1024), 1)})


def whiteouts(path, size):
    files = b"".join(entry(f"wide/{i}") for i in range(size))
    archive(path, ["l"], {"l": gzip.compress(files + b"".join(entry(".wh.wide") for _ in range(size)) + bytes(1024), 1)})


def symlink_chain(path, size):
    """Forty links to one another, each with a long target, and `size` files by way of them."""
    links = [entry(f"s{i}", tarfile.SYMTYPE, target="./" * 2000 + (f"s{i + 1}" if i < 38 else "folder")) for i in range(39)]
    packed(path, [entry("etc/x"), *links, *(entry(f"s0/{i}") for i in range(size))])


def hard_link_chain(path, size):
    packed(path, itertools.chain([entry("etc/0", data=b"x")], (entry(f"etc/{i + 1}", tarfile.LNKTYPE, target=f"etc/{i}") for i in range(size))))


def implied_folders(path, size):
    packed(path, (entry(f"etc/{i}/" + "a/" * 2000 + "x") for i in range(size)))


def archive_names(path, size):
    manifest = json.dumps([{"Config": "c.json", "RepoTags": ["a:b"], "Layers": []}]).encode()
    config = b'{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}'
    packed(path, itertools.chain([entry("manifest.json", data=manifest), entry("c.json", data=config)],
                                 (entry(f"{i}" + "n" * 900000) for i in range(size))))


def trailer(inner):
    raw = RawSquashfs()
    return raw.image(raw.directory((0, 0)), b'{"Cmd":["/bin/sh"],"x":' + inner + b"}")


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def json_objects(path, size):
    write(path, trailer(b"[" + b",".join([b'{"":0}'] * (size * 1024 // 7)) + b"]"))


def json_lists(path, size):
    write(path, trailer(b"[" + b",".join([b"[[]]"] * (size * 1024 // 5)) + b"]"))


def json_depth(path, size):
    write(path, trailer(b"[" * size + b"]" * size))


def names(size, length=1):
    return [b"%07d" % i + b"n" * (length - 7) for i in range(size)]


def shared_listing(path, size):
    """`size` folders that have one listing of `size` names."""
    raw = RawSquashfs()
    fifo = raw.fifo()
    listing = raw.listing([(name, fifo) for name in names(size)])
    folders = [raw.directory(listing) for _ in range(size)]
    write(path, raw.image(raw.directory(raw.listing(list(zip(names(size), folders))))))


def deep_paths(path, size):
    """`size` files below a path of 3.8 KiB."""
    raw = RawSquashfs()
    fifo = raw.fifo()
    folder = raw.directory(raw.listing([(name, fifo) for name in names(size)]))
    for _ in range(15):
        folder = raw.directory(raw.listing([(b"n" * 255, folder)]))
    write(path, raw.image(folder))


def shared_target(path, size):
    """`size` names of one symbolic link with a target of 4 KiB."""
    raw = RawSquashfs()
    link = raw.symlink(b"t" * 4095)
    write(path, raw.image(raw.directory(raw.listing([(name, link) for name in names(size)]))))


def shared_blocks(path, size):
    """`size` names of one file that has a terabyte of holes."""
    raw = RawSquashfs()
    file = raw.file(1 << 40, bytes(4 << 23))
    write(path, raw.image(raw.directory(raw.listing([(name, file) for name in names(size)]))))


def shared_attributes(path, size):
    """`size` names of one file with an extended attribute of 60 KB, as a root file system to be converted first."""
    packed(path, itertools.chain([entry("etc/0", **{"SCHILY.xattr.user.a": "A" * 60000})],
                                 (entry(f"etc/{i + 1}", tarfile.LNKTYPE, target="etc/0") for i in range(size))))


def many_groups(path, size):
    """A root file system whose /etc/group lists the user in `size` thousand groups."""
    group = "".join(f"::{i + 1}:a\n" for i in range(size * 1000)).encode()
    packed(path, [entry("etc/passwd", data=b"a:x:1:0\n"), entry("etc/group", data=group)])


def many_volumes(path, size):
    """`size` thousand volumes, and as many files."""
    raw = RawSquashfs()
    fifo = raw.fifo()
    volumes = {f"/{i}": {} for i in range(size * 1000)}
    write(path, raw.image(raw.directory(raw.listing([(name, fifo) for name in names(size * 1000)])),
                          json.dumps({"Volumes": volumes}, separators=(",", ":")).encode()))


CONVERT = ["gvmkit-build", "--no-lint", "--force", "--output", "{out}", "rootfs:{in}"]
CONVERT_ARCHIVE = [*CONVERT[:-1], "{in}"]
LIST = ["gvmi", "ls", "-R", "{in}"]
LINT = ["gvmi", "lint", "{in}"]


class Kind:
    """How an input is made, the two sizes that are compared, the command, and the size beyond a limit with what the error then says."""

    def __init__(self, make, unit, sizes, command, too_large=None, error="", first=None):
        self.make, self.unit, self.sizes, self.command, self.too_large, self.error = make, unit, sizes, command, too_large, error
        self.first = first  # makes a .gvmi of the input, unmeasured


KINDS = {
    "attributes": Kind(attributes, "files, 15 attributes of 65 KB each", (15, 60), CONVERT, 100, "more than 64.0 MiB of extended attributes"),
    "holes": Kind(holes, "GiB of holes", (2, 8), CONVERT, 100, "more than 64.0 GiB of files, holes included (--limit-gib)"),
    "zeros": Kind(zero_files, "MiB of zeros in a layer", (64, 256), CONVERT),
    "bzip2": Kind(zeros_behind, "MiB of zeros behind an archive", (64, 256), [*CONVERT_ARCHIVE, "--limit-gib", "1"], 1100, "more than 1.0 GiB (--limit-gib)"),
    "same layer": Kind(same_layer, "layers of one blob, 4 MiB each", (10, 40), [*CONVERT_ARCHIVE, "--limit-gib", "1"], 300,
                       "together unpack to more than is allowed (--limit-gib)"),
    "opaque markers": Kind(opaque_markers, "files twice, 3 markers each", (1000, 16000), CONVERT_ARCHIVE),
    "whiteouts": Kind(whiteouts, "files, as many whiteouts of their folder", (2000, 32000), CONVERT_ARCHIVE),
    "symlink chain": Kind(symlink_chain, "files by way of 39 links of 4 KB", (100, 400), CONVERT, 500, "more than 64.0 MiB of symbolic links"),
    "hard link chain": Kind(hard_link_chain, "links, each to the one before", (2000, 32000), CONVERT),
    "implied folders": Kind(implied_folders, "paths of 2,000 folders", (20, 80), CONVERT, 1010, "more than 2000000 files and folders"),
    "archive names": Kind(archive_names, "names of 900 KB", (15, 60), CONVERT_ARCHIVE, 80, "more than 64.0 MiB of file names"),
    "JSON objects": Kind(json_objects, "KiB of small objects in the trailer", (16, 256), LIST, 1000, "more than 250,000 values"),
    "JSON lists": Kind(json_lists, "KiB of small lists in the trailer", (16, 256), LIST, 1000, "more than 250,000 values"),
    "JSON depth": Kind(json_depth, "lists in one another", (20, 80), LIST, 400000, "nested too deep"),
    "shared listing": Kind(shared_listing, "folders with one listing of as many names", None, LIST, 3000, "directories that share bytes"),
    "deep paths": Kind(deep_paths, "files below a path of 3.8 KB", (2000, 8000), LIST, 150000, "more than 512.0 MiB of paths"),
    "shared target": Kind(shared_target, "names of a link with 4 KB", (2000, 8000), [*LIST, "--long"], 150000, "more than 512.0 MiB of paths"),
    "shared blocks": Kind(shared_blocks, "names of 1 TiB of holes", (1, 4), ["gvmi", "verify", "{in}"], 20, "more data than the limit"),
    "shared attributes": Kind(shared_attributes, "names of an attribute of 60 KB", (200, 800), [*LIST, "--json"], 1200,
                              "more than 64.0 MiB of extended attributes", first=CONVERT),
    "groups": Kind(many_groups, "thousand groups of a user", (50, 800), LINT, first=[*CONVERT, "--user", "a"]),
    "volumes": Kind(many_volumes, "thousand volumes and files", (5, 60), LINT),
}


def main():
    kind, size, out = KINDS[sys.argv[1]], int(sys.argv[2]), sys.argv[3]
    kind.make(out, size)
    for command in filter(None, [kind.first, kind.command]):
        print(" ".join(command).replace("{in}", out).replace("{out}", out + ".gvmi"))


if __name__ == "__main__":
    main()
