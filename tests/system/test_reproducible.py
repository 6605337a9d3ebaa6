#!/usr/bin/env python3
"""The same image gives the same file, wherever and however it is converted; a small change of an image changes little of the file.

test_reproducible.py BIN
"""

import gzip
import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from test_sources import save, write_tar  # noqa: E402

CHUNK = 2 << 20  # bytes that an upload is made of


def layer(files):
    """A tar of names and contents, with folders as they come."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for i, (name, content) in enumerate(files):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uid, member.mode = len(content), 1_600_000_000 + i, 1000 + i % 7, 0o644
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def some_files(folder, count, largest, seed):
    """Files that compress to about half."""
    source = random.Random(seed)
    return [(f"{folder}/d{i % 17}/f{i}", source.randbytes(source.randint(0, largest) // 2).hex().encode()) for i in range(count)]


class Reproducible(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="gvmkit-reproducible.")
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        os.chmod(cls.work, 0o755)
        cls.layers = [layer(some_files("base", 300, 300_000, 1)), layer(some_files("middle", 100, 100_000, 2)),
                      layer(some_files("top", 50, 50_000, 3))]
        cls.archive = cls.work + "/image.tar"
        save(cls.archive, cls.layers, "gvmkit-reproducible:1")
        os.chmod(cls.archive, 0o644)

    def build(self, archive, *arguments, prefix=(), folder=None, **options):
        folder = folder or tempfile.mkdtemp(dir=self.work)
        os.chmod(folder, 0o777)
        output = folder + "/out.gvmi"
        subprocess.run([*prefix, BIN + "/gvmkit-build", "--no-lint", "--output", output, *arguments, archive], check=True, cwd=folder,
                       stdout=subprocess.DEVNULL, timeout=120, **options)
        with open(output, "rb") as file:
            return file.read()

    def test_any_machine_gives_the_same(self):
        """Folder, user, umask, time zone, locale, number of cores, time of day."""
        expected = hashlib.sha3_224(self.build(self.archive)).hexdigest()

        def same(**options):
            self.assertEqual(hashlib.sha3_224(self.build(self.archive, **options)).hexdigest(), expected, options)
        same(prefix=["taskset", "-c", "0"])
        same(env=dict(os.environ, TZ="Asia/Kathmandu", LC_ALL="tr_TR.UTF-8", LANG="de_DE.UTF-8"))
        same(env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
        same(umask=0o077)
        if os.geteuid() == 0:
            same(prefix=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])

    def test_every_compressor_gives_the_same_at_any_number_of_cores(self):
        small = self.work + "/small.tar"
        save(small, self.layers[1:], "x:1")
        for method in ("gzip", "lzo", "lz4", "xz", "zstd"):
            images = [self.build(small, "--compression-method", method, prefix=prefix) for prefix in ((), ("taskset", "-c", "0"))]
            self.assertTrue(images[0] == images[1], method)

    def test_layers_compressed_by_others_give_the_same(self):
        """The names and digests of blobs may change, and the image's id with the manifest: the configuration, which has the id, stays."""
        expected = self.build(self.archive)
        with tarfile.open(self.archive) as tar:
            files = [(name, tar.extractfile(name).read()) for name in tar.getnames()]
        compressors = [lambda data: gzip.compress(data, 1), lambda data: gzip.compress(data, 9),
                       lambda data: subprocess.run(["zstd", "-c", "-q"], input=data, stdout=subprocess.PIPE, check=True).stdout,
                       lambda data: subprocess.run(["xz", "-c", "-1"], input=data, stdout=subprocess.PIPE, check=True).stdout]
        for compress in compressors:
            path = self.work + "/packed.tar"
            write_tar(path, [(name, compress(content) if name.endswith("layer.tar") else content) for name, content in files])
            self.assertTrue(self.build(path) == expected)

    def test_a_change_at_the_top_leaves_what_is_below(self):
        before = self.build(self.archive)
        for change in ([("top/d3/f3", b"changed\n")], [*some_files("top", 50, 50_000, 3)[:-1], ("top/new", bytes(range(256)) * 300)]):
            other = self.work + "/changed.tar"
            save(other, [*self.layers[:2], layer(change)], "gvmkit-reproducible:2")
            after = self.build(other)
            chunks = [{hashlib.sha256(image[i:i + CHUNK]).digest() for i in range(CHUNK, len(image), CHUNK)} for image in (before, after)]
            share = len(chunks[0] & chunks[1]) / max(map(len, chunks))
            self.assertGreaterEqual(share, 0.8)

    def test_equal_files_are_stored_once(self):
        content = random.Random(4).randbytes(3_000_000)
        once, twice = self.work + "/once.tar", self.work + "/twice.tar"
        save(once, [layer([("a", content)])], "x:1")
        save(twice, [layer([("a", content), ("b", content)]), layer([("c", content)])], "x:1")
        self.assertLess(len(self.build(twice)) - len(self.build(once)), 100_000)


def written(process, folder):
    """Bytes of the file that it writes in a folder, which has no name until it is whole."""
    own = f"/proc/{process.pid}/fd/"
    try:
        return max((os.stat(own + fd).st_size for fd in os.listdir(own) if os.readlink(own + fd).startswith(folder + "/")), default=0)
    except OSError:  # closed or ended meanwhile
        return 0


class Leftovers(unittest.TestCase):
    """What is not finished leaves nothing."""

    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="gvmkit-leftovers.")
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)
        self.archive = self.work + "/image.tar"
        save(self.archive, [layer([("a", random.Random(5).randbytes(60_000_000))])], "x:1")
        os.mkdir(self.work + "/out")

    def test_an_interrupt_leaves_nothing(self):
        import signal  # pylint: disable=import-outside-toplevel
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = subprocess.Popen([BIN + "/gvmkit-build", "--no-lint", "--compression-method", "xz", "--output", "x.gvmi", self.archive],
                                       cwd=self.work + "/out", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            while process.poll() is None and written(process, self.work + "/out") < 1_000_000:
                pass
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 1)
            self.assertIn(b"interrupted", errors)
            self.assertEqual(os.listdir(self.work + "/out"), [])

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to mount a small file system")
    def test_a_full_disk_leaves_nothing(self):
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", self.work + "/out"], check=True)
        try:
            done = subprocess.run([BIN + "/gvmkit-build", "--no-lint", "--output", "x.gvmi", self.archive], cwd=self.work + "/out",
                                  capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("No space left on device", done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertEqual(os.listdir(self.work + "/out"), [])
        finally:
            subprocess.run(["umount", self.work + "/out"], check=True)


if __name__ == "__main__":
    BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
