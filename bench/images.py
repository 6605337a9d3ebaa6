#!/usr/bin/env python3
"""Measures the conversion of images, and says where its time goes. conversion: beside mksquashfs in the same run, a Debian 12 image of four
layers from its docker archive (tests/system/debian_image.py; needs root); mksquashfs gets the unpacked tree; medians, the first run of each
not counted. table: size, time and a first python3 in a VM per compressor and level. large: memory for an image of 5 GB with a file of 4 GB."""

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CHUNK = 2 << 20
LEVELS = [("gzip", 1), ("gzip", 2), ("gzip", 3), ("gzip", 6), ("gzip", 9), ("lz4", None), ("lzo", 1), ("lzo", 8), ("xz", None), ("zstd", 1), ("zstd", 3),
          ("zstd", 9), ("zstd", 19)]
# In the VM: the seconds of a first python3, from the clock that counts hundredths.
START = "sh -c 'read a x < /proc/uptime; python3 -c pass; read b x < /proc/uptime; echo $a $b'"


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def measured(*command):
    """Seconds, peak memory in bytes, and what it says on stderr."""
    with tempfile.TemporaryFile("w+") as errors:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        text = errors.read()
    if process.returncode != 0:
        raise RuntimeError(f"{command}: {text}")
    return seconds, usage.ru_maxrss * 1024, text


def converter(build, archive, output, *options):
    return [f"{build}/bin/gvmkit-build", "--force", "--hide-progress", "--no-lint", "--times", "--output", output, *options, archive]


def squasher(tree, output, *options):
    return ["mksquashfs", tree, output, "-noappend", "-no-progress", "-quiet", *options]


def compare(commands, runs):
    """Medians of the seconds, in turns; the peak memory and the last words of each."""
    results = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, command in commands.items():
            results[name].append(measured(*command))
    return {name: {"seconds": statistics.median(result[0] for result in list_[1:]), "memory": max(result[1] for result in list_),
                   "said": list_[-1][2]} for name, list_ in results.items()}


def changed_top(archive, output):
    """The archive with another content of one file of its last layer."""
    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
        config = json.load(tar.extractfile(manifest[0]["Config"]))
        layers = {name: tar.extractfile(name).read() for name in manifest[0]["Layers"]}
    last = manifest[0]["Layers"][-1]
    out = io.BytesIO()
    done = False
    with tarfile.open(fileobj=io.BytesIO(layers[last])) as old, tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in old:
            content = old.extractfile(member).read() if member.isreg() else b""
            if content and not done:
                content, done = b"changed: " + content, True
                member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    layers[last] = out.getvalue()
    config["rootfs"]["diff_ids"][-1] = "sha256:" + hashlib.sha256(layers[last]).hexdigest()
    text = json.dumps(config).encode()
    manifest[0]["Config"] = hashlib.sha256(text).hexdigest() + ".json"
    with tarfile.open(output, "w") as tar:
        for name, content in [*layers.items(), (manifest[0]["Config"], text), ("manifest.json", json.dumps(manifest).encode())]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def equal_chunks(a, b):
    def chunks(path):
        with open(path, "rb") as file:
            return [hashlib.sha256(block).digest() for block in iter(lambda: file.read(CHUNK), b"")]
    ours, theirs = chunks(a), chunks(b)
    return sum(x == y for x, y in zip(ours, theirs)), max(len(ours), len(theirs))


def first_start(build, image, runs):
    times = []
    for _ in range(runs):
        a, b = map(float, run(f"{build}/bin/ya-runtime-dbg", "--task-package", image, "--exec", START, timeout=120).stdout.split())
        times.append(b - a)
    return statistics.median(times)


def large_archive(path):
    """An image of 5 GB with one file of 4 GB."""
    block = os.urandom(1 << 19) + bytes(1 << 19)
    sizes = [4 << 30, *[16 << 20] * 64]

    class Content(io.RawIOBase):
        def __init__(self, number):
            self.head = number.to_bytes(8, "little")
            self.blocks = 0

        def read(self, size=-1):  # tarfile copies in pieces of 16 KiB: 64 to a block, each with a number of its own
            self.blocks += 1
            start = self.blocks * 16384 % (1 << 20)
            return (self.head + self.blocks.to_bytes(8, "little") + block[start + 16:start + size] + bytes(size))[:size]

    layer = path + ".layer"
    with tarfile.open(layer, "w") as tar:
        for number, size in enumerate(sizes):
            member = tarfile.TarInfo(f"file-{number}")
            member.size = size
            tar.addfile(member, Content(number))
    with open(layer, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else run("sha256sum", layer).stdout.split()[0]
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["large:1"], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        tar.add(layer, "layer.tar")
        for name, content in [("config.json", config), ("manifest.json", manifest)]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    os.unlink(layer)


def large(options, work, figures):
    large_archive(work + "/large.tar")
    seconds, memory, said = measured(*converter(options.build, work + "/large.tar", work + "/large.gvmi"))
    figures["large"] = {"seconds": seconds, "memory": memory}
    print(f"\n5 GB with a file of 4 GB: {seconds:.1f} s, peak memory {mib(memory)}\n{said.rstrip()}")
    os.unlink(work + "/large.tar")
    os.unlink(work + "/large.gvmi")


def mib(size):
    return f"{size / (1 << 20):,.1f} MiB"


def conversion(options, work, figures):
    build, archive, tree = options.build, options.archive, work + "/tree"
    ours, zstd, lzo, zstd3 = (f"{work}/{name}" for name in ("default.gvmi", "zstd.gvmi", "lzo.squashfs", "zstd.squashfs"))
    run(*converter(build, archive, ours))
    run("unsquashfs", "-quiet", "-no-progress", "-dest", tree, ours)
    results = compare({
        "gvmkit-build": converter(build, archive, ours),
        "gvmkit-build zstd": converter(build, archive, zstd, "--compression-method", "zstd"),
        "mksquashfs lzo": squasher(tree, lzo, "-comp", "lzo"),
        "mksquashfs zstd 3": squasher(tree, zstd3, "-comp", "zstd", "-Xcompression-level", "3"),
    }, options.runs)
    print(f"\n{'':22}{'seconds':>9}{'size':>14}{'peak memory':>14}")
    for (name, result), path in zip(results.items(), (ours, zstd, lzo, zstd3)):
        result["bytes"] = os.path.getsize(path)
        print(f"{name:22}{result['seconds']:>9.2f}{mib(result['bytes']):>14}{mib(result['memory']):>14}")
    lzo_ratio = results["mksquashfs lzo"]["seconds"] / results["gvmkit-build"]["seconds"]
    zstd_ratio = results["gvmkit-build zstd"]["seconds"] / results["mksquashfs zstd 3"]["seconds"]
    print(f"gvmkit-build is {lzo_ratio:.1f} times faster than mksquashfs with lzo; with zstd it takes {zstd_ratio:.2f} times as long as mksquashfs "
          "with zstd 3")
    for name in ("gvmkit-build", "gvmkit-build zstd"):
        print(name + ", the last run: " + results[name]["said"].rstrip().split("\nnote:")[0].replace("\n", "; "))
    other = work + "/changed.tar"
    # In a process of its own: a program's peak memory, as the kernel counts it, begins with that of the process that starts it.
    changing = multiprocessing.Process(target=changed_top, args=(archive, other))
    changing.start()
    changing.join()
    if changing.exitcode != 0:
        raise RuntimeError("the archive cannot be changed")
    run(*converter(build, other, work + "/changed.gvmi"))
    equal, total = equal_chunks(ours, work + "/changed.gvmi")
    print(f"after a change of one file of the top layer {equal} of {total} chunks of 2 MiB are the same")
    figures.update(conversion=results, lzo_ratio=lzo_ratio, zstd_ratio=zstd_ratio, equal_chunks=equal, chunks=total)


def table(options, work, figures):
    build, runs = options.build, min(options.runs, 3)
    print(f"\n{'method, level':16}{'size':>12}{'seconds':>10}{'python3 -c pass in the VM':>28}")
    rows = []
    for method, level in LEVELS:
        if options.methods and method not in options.methods:
            continue
        image = work + "/table.gvmi"
        choice = ["--compression-method", method, *(["--compression-level", str(level)] if level else []), "--user", "0:0"]
        seconds = statistics.median(measured(*converter(build, options.archive, image, *choice))[0] for _ in range(runs))
        rows.append({"method": method, "level": level, "bytes": os.path.getsize(image), "seconds": seconds,
                     "start": first_start(build, image, runs)})
        print(f"{method + ' ' + str(level or ''):16}{mib(rows[-1]['bytes']):>12}{seconds:>10.2f}{rows[-1]['start']:>26.2f} s", flush=True)
    figures["table"] = rows


PARTS = {"conversion": conversion, "table": table, "large": large}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="PARTS", type=lambda text: text.split(","), default=list(PARTS),
                        help="some of " + ",".join(PARTS) + "; large needs 14 GB of disk")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--methods", metavar="NAMES", type=lambda text: text.split(","), help="the table of some compressors only")
    parser.add_argument("--archive", metavar="FILE", help="the image's docker archive: made where it is missing, and kept")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--build", default=os.path.join(HERE, "../build"), type=os.path.abspath, help="the build folder")
    options = parser.parse_args()
    if set(options.only) - set(PARTS):
        parser.error("--only takes " + ",".join(PARTS))
    figures = {}
    work = tempfile.mkdtemp(dir=options.build, prefix="bench-images-")
    options.archive = options.archive or work + "/debian.tar"
    try:
        if set(options.only) != {"large"} and not os.path.exists(options.archive):
            run(sys.executable, os.path.join(HERE, "../tests/system/debian_image.py"), options.archive, work + "/storage")
            shutil.rmtree(work + "/storage")
        for name in options.only:
            PARTS[name](options, work, figures)
    finally:
        shutil.rmtree(work)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=2)


if __name__ == "__main__":
    main()
