"""Squashfs images byte by byte, with no check of any kind, so that hostile ones can be made: a tree of inodes without data."""

import struct
import zlib

METADATA = 8192
NONE = 0xFFFFFFFF
NO_TABLE = 0xFFFFFFFFFFFFFFFF
DIRECTORY, FILE, SYMLINK, FIFO = 8, 9, 3, 6  # the types of inodes; the first two in their extended form
TYPES = {DIRECTORY: 1, FILE: 2, SYMLINK: 3, FIFO: 6}  # in a listing


class Table:
    """Metadata blocks that are filled one after another."""

    def __init__(self, compress=True):
        self.compress = compress
        self.done = bytearray()
        self.open = b""

    def position(self):
        return len(self.done) << 16 | len(self.open)

    def add(self, data):
        position = self.position()
        start = 0
        while start < len(data):
            room = METADATA - len(self.open)
            self.open += data[start:start + room]
            start += room
            if len(self.open) == METADATA:
                self.flush()
        return position

    def flush(self):
        if self.open:
            packed = zlib.compress(self.open, 9) if self.compress else self.open
            plain = len(packed) >= len(self.open)
            self.done += struct.pack("<H", len(self.open) | 0x8000) + self.open if plain else struct.pack("<H", len(packed)) + packed
            self.open = b""

    def bytes(self):
        self.flush()
        return bytes(self.done)


class RawSquashfs:
    def __init__(self):
        self.inodes = Table()
        self.listings = Table()
        self.count = 0

    def inode(self, kind, body, number=None):
        """Returns what a listing needs: position, number and kind."""
        self.count += 1
        number = number or self.count
        return self.inodes.add(struct.pack("<HHHHII", kind, 0o755, 0, 0, 0, number) + body), number, kind

    def fifo(self):
        return self.inode(FIFO, struct.pack("<I", 1))

    def symlink(self, target):
        return self.inode(SYMLINK, struct.pack("<II", 1, len(target)) + target)

    def file(self, size, block_sizes):
        """An extended file; `block_sizes` is what follows the inode as its list of blocks."""
        return self.inode(FILE, struct.pack("<QQQIIII", 96, size, 0, 1, NONE, 0, NONE) + block_sizes)

    def listing(self, entries):
        """Writes a directory's entries, sorted pairs of a name and an inode; returns its place and size."""
        data = []
        group, block = [], None
        for name, (position, _, kind) in entries:
            if position >> 16 != block or len(group) == 256:
                data.append((block, group))
                group, block = [], position >> 16
            group.append(struct.pack("<HhHH", position & 0xFFFF, 0, TYPES[kind], len(name) - 1) + name)
        data.append((block, group))
        text = b"".join(struct.pack("<III", len(group) - 1, block, 1) + b"".join(group) for block, group in data if group)
        return self.listings.add(text), len(text)

    def directory(self, listing):
        place, size = listing
        return self.inode(DIRECTORY, struct.pack("<IIIIHHI", 2, size + 3, place >> 16, 1, 0, place & 0xFFFF, NONE))

    def image(self, root, configuration=b"{}"):
        """The bytes of a .gvmi."""
        start = 96
        inodes, listings = self.inodes.bytes(), self.listings.bytes()
        ids = struct.pack("<H", 0x8000 | 4) + bytes(4)
        directory_table = start + len(inodes)
        id_table = directory_table + len(listings) + len(ids)
        end = id_table + 8
        superblock = struct.pack("<4sIIIIHHHHHHQQQQQQQQ", b"hsqs", self.count, 0, 131072, 0, 1, 17, 0, 1, 4, 0, root[0], end, id_table, NO_TABLE,
                                 start, directory_table, NO_TABLE, NO_TABLE)
        squashfs = superblock + inodes + listings + ids + struct.pack("<Q", id_table - len(ids))
        return squashfs + struct.pack("<I", zlib.crc32(configuration)) + configuration + b"%08d" % len(configuration)
