#!/usr/bin/env python3
"""Measures what SPECIFICATION.md promises of thin images, as ratios to downloading the full image and starting it in the same run. The image is a
Debian with Python and numpy, filled up to 1 GiB. The server is in a network namespace behind a link of 100 Mbit/s (tbf), and waits 20 ms
before each answer, which stands for the way there and back. Needs root."""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../tests/system")]
import debian_image  # noqa: E402
from range_server import RangeServer  # noqa: E402

DEBOOTSTRAP = ["debootstrap", "--variant=minbase", "--include=python3-minimal,python3-numpy", "bookworm"]
NAMESPACE, OURS, THEIRS = "gvmkit-thin", "10.213.77.1", "10.213.77.2"
DELAY = 0.02  # s before each answer
IMPORT = ["python3", "-c", "import numpy"]
READ_ALL = ["sh", "-c", "find / -xdev -type f -exec cat {} + > /dev/null"]
BLOCK = 256 << 10


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, **options).stdout


@contextlib.contextmanager
def link(rate):
    """A namespace with an address of its own, whose answers pass at `rate`."""
    run("ip", "netns", "add", NAMESPACE)
    try:
        run("ip", "link", "add", "gvmkit-thin0", "type", "veth", "peer", "name", "gvmkit-thin1", "netns", NAMESPACE)
        run("ip", "addr", "add", OURS + "/24", "dev", "gvmkit-thin0")
        run("ip", "link", "set", "gvmkit-thin0", "up")
        run("ip", "-n", NAMESPACE, "addr", "add", THEIRS + "/24", "dev", "gvmkit-thin1")
        run("ip", "-n", NAMESPACE, "link", "set", "gvmkit-thin1", "up")
        run("ip", "netns", "exec", NAMESPACE, "tc", "qdisc", "add", "dev", "gvmkit-thin1", "root", "tbf", "rate", rate, "burst", "256kb", "latency", "50ms")
        yield
    finally:
        run("ip", "netns", "del", NAMESPACE)


@contextlib.contextmanager
def served(path, delay=DELAY):
    """A server of a file in the namespace; gives its URL and a function that tells the bytes sent so far."""
    server = subprocess.Popen(["ip", "netns", "exec", NAMESPACE, sys.executable, os.path.abspath(__file__), "--serve", path, str(delay)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()

        def sent():
            server.stdin.write("sent\n")
            server.stdin.flush()
            return int(server.stdout.readline())

        yield url, sent
    finally:
        server.stdin.close()
        server.wait()


def serve(path, delay):
    server = RangeServer(path, address=THEIRS, delay=float(delay))
    print(server.url, flush=True)
    for _ in sys.stdin:
        print(server.sent, flush=True)
    server.close()


def tar_with(tree, output, files):
    shutil.copy(tree, output)
    with tarfile.open(output, "a") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))


class Bench:
    def __init__(self, build, work, mib):
        self.bin, self.work, self.mib = build + "/bin", work, mib
        self.caches = 0
        tree = debian_image.debootstrap(DEBOOTSTRAP)
        dice = random.Random(1)
        ballast = {"opt/app": dice.randbytes(2 << 20)}
        self.full = self.convert(tree, "full", ballast)
        missing = (mib << 20) - os.path.getsize(self.full)
        ballast |= {f"opt/ballast{i}": dice.randbytes(min(64 << 20, missing - (i << 26))) for i in range(-(-missing // (64 << 20)))}
        self.full = self.convert(tree, "full", ballast)
        ballast["opt/app"] = dice.randbytes(2 << 20)
        self.second = self.convert(tree, "second", ballast)
        self.templates = work + "/templates"
        run(self.bin + "/ya-runtime-vm", "--accel", "tcg", "--cache-dir", self.templates, "template", "warm")

    def convert(self, tree, name, files):
        tar, output = f"{self.work}/{name}.tar", f"{self.work}/{name}.gvmi"
        tar_with(tree, tar, files)
        run(self.bin + "/gvmkit-build", "--force", "--hide-progress", "--no-lint", "--output", output, "rootfs:" + tar)
        os.unlink(tar)
        return output

    def thin(self, full, url, *options):
        output = f"{self.work}/thin.gvmi"
        run(self.bin + "/gvmi", "thin", full, "-o", output, "--url", url, *options)
        return output

    def fresh_cache(self):
        self.caches += 1
        folder = f"{self.work}/cache{self.caches}"
        shutil.copytree(self.templates, folder)
        return folder

    def vm(self, image, command, cache, *options):
        """Seconds from the start of the runtime to the end of the command."""
        begin = time.monotonic()
        run(self.bin + "/ya-runtime-vm", "--accel", "tcg", "--cache-dir", cache, "--thin-allow", THEIRS, *options, "-t", image, "run", "--", *command)
        return time.monotonic() - begin

    def download(self, url):
        target = self.work + "/downloaded.gvmi"
        begin = time.monotonic()
        run("curl", "-sf", "-o", target, url)
        return target, time.monotonic() - begin

    def drop(self, cache):
        shutil.rmtree(cache)


def part_start(bench, runs):
    """The first numpy on a slow link, and a command that reads everything."""
    with link("100mbit"), served(bench.full) as (url, _):
        downloaded, seconds = bench.download(url)
        templates = bench.fresh_cache()
        whole = seconds + statistics.median(bench.vm(downloaded, IMPORT, templates) for _ in range(runs))
        results = {}
        for name, options in (("thin", ()), ("recorded", ("--record", "python3 -c 'import numpy'"))):
            image = bench.thin(bench.full, url, *options)
            seen = []
            for _ in range(runs):
                cache = bench.fresh_cache()
                seen.append(bench.vm(image, IMPORT, cache))
                bench.drop(cache)
            results[name] = statistics.median(seen)
            print(f"first numpy, {name}: {results[name]:.1f} s, {results[name] / whole:.1%} of download and start ({whole:.1f} s)", flush=True)
        everything = seconds + bench.vm(downloaded, READ_ALL, templates)
        cache = bench.fresh_cache()
        thin = bench.vm(bench.thin(bench.full, url), READ_ALL, cache)
        print(f"reading everything: {thin:.1f} s, {thin / everything:.1%} of download and read ({everything:.1f} s)", flush=True)


def part_cached(bench, runs):
    """Once all blocks are in the cache, beside the full image as a file."""
    with link("10gbit"), served(bench.full, 0) as (url, sent):
        image, cache = bench.thin(bench.full, url), bench.fresh_cache()
        run(bench.bin + "/gvmi", "verify", image, env=dict(os.environ, XDG_CACHE_HOME=bench.work + "/filled"))
        os.rename(bench.work + "/filled/gvmkit/blocks", cache + "/blocks")
        before = sent()
        for name, command in (("start and numpy", IMPORT), ("read of everything", READ_ALL)):
            ours, theirs = [], []
            for _ in range(runs):
                ours.append(bench.vm(image, command, cache))
                theirs.append(bench.vm(bench.full, command, cache))
            rate = statistics.median(theirs) / statistics.median(ours)
            print(f"cached, {name}: {statistics.median(ours):.2f} s, {rate:.0%} of the rate from a file ({statistics.median(theirs):.2f} s)", flush=True)
        print(f"fetched meanwhile: {sent() - before} bytes", flush=True)
        bench.drop(cache)


def part_many(bench, count):
    """Cold VMs at once on one host."""
    with link("100mbit"), served(bench.full) as (url, sent):
        image, cache = bench.thin(bench.full, url, "--record", "python3 -c 'import numpy'"), bench.fresh_cache()
        ready = []
        threads = [threading.Thread(target=lambda: ready.append(bench.vm(image, IMPORT, cache, "--thin-fetch", "needed"))) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        blocks = sum(len([n for n in names if len(n) == 62]) for _, _, names in os.walk(cache + "/blocks"))
        ready.sort()
        half, most = ready[len(ready) // 2], ready[int(len(ready) * 0.95)]
        print(f"{count} cold VMs: ready after {half:.1f} s (p50), {most:.1f} s (p95, {most / half:.2f} times); the link carried "
              f"{sent() / BLOCK / max(1, blocks):.3f} times the {blocks} blocks of the cache", flush=True)
        bench.drop(cache)


def part_second(bench):
    """A second version of which one file changed."""
    cache = bench.fresh_cache()
    with link("10gbit"):
        with served(bench.full, 0) as (url, _):
            bench.vm(bench.thin(bench.full, url), READ_ALL, cache)
        with served(bench.second, 0) as (url, sent):
            bench.vm(bench.thin(bench.second, url), READ_ALL, cache)
            print(f"a second version: {sent() / os.path.getsize(bench.second):.1%} of its bytes were fetched", flush=True)
    bench.drop(cache)


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--serve":
        return serve(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="start,cached,many,second", help="which, separated by commas (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each start (%(default)s)")
    parser.add_argument("--mib", type=int, default=1024, help="size of the image (%(default)s)")
    parser.add_argument("--vms", type=int, default=16, help="cold VMs at once (%(default)s)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-thin.", dir=os.path.join(HERE, "../build")) as work:
        bench = Bench(os.path.abspath(os.path.join(HERE, "../build")), work, options.mib)
        print(json.dumps({"image": os.path.getsize(bench.full), "cores": os.cpu_count(), "load": os.getloadavg()[0]}))
        parts = {"start": lambda: part_start(bench, options.runs), "cached": lambda: part_cached(bench, options.runs),
                 "many": lambda: part_many(bench, options.vms), "second": lambda: part_second(bench)}
        for part in options.parts.split(","):
            parts[part]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
