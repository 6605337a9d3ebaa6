"""Compresses each file of /golem/input into /golem/output, and prints what it was. A result appears under its name when it is complete."""

import gzip
import hashlib
import os
import pathlib

for path in sorted(pathlib.Path("/golem/input").iterdir()):
    digest, size = hashlib.sha256(), 0
    part = pathlib.Path("/golem/output", path.name + ".part")
    with path.open("rb") as source, gzip.open(part, "wb", compresslevel=1) as target:
        while piece := source.read(1 << 20):
            digest.update(piece)
            size += target.write(piece)
    os.replace(part, part.with_suffix(".gz"))
    print(path.name, size, digest.hexdigest(), flush=True)
    path.unlink()  # its space is free for the next
