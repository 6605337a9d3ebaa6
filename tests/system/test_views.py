#!/usr/bin/env python3
"""A converted Debian of over 20,000 files is, entry by entry, what three engines make of it: buildah's mount, umoci's unpacked bundle, Docker's
overlay; and so sees it unsquashfs, and the kernel that mounts it in a VM. (An image with one of everything: test_convert.py.)

test_views.py BIN    (needs root; some two minutes)
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import debian_image  # noqa: E402
import engines  # noqa: E402
import views  # noqa: E402
from engines import run  # noqa: E402

LARGE = ["debootstrap", "--variant=minbase", "--include=python3,libboost1.81-dev", "bookworm"]
# In the VM, from a bind mount of the root without what the VM puts on it: every entry as find tells it, and the bytes of all files.
SEEN = ("find . -xdev ! -path ./dev/\\* ! -path ./proc/\\* ! -path ./sys/\\* -printf \"%P %y %m %U:%G %s %T@ %l\\n\" | grep -av \" d \" | LC_ALL=C sort | sha256sum; "
        "find ./usr ./special -xdev -type f 2> /dev/null | LC_ALL=C sort | tr \"\\n\" \"\\0\" | xargs -0 cat 2> /dev/null | sha256sum")


def large_image(archive, storage):
    """One layer of debootstrap's, a second that changes little."""
    buildah = ["buildah", "--root", storage + "/root", "--runroot", storage + "/run", "--storage-driver", "overlay"]
    container = debian_image.run(*buildah, "from", "scratch")
    debian_image.run(*buildah, "add", "--quiet", container, debian_image.debootstrap(LARGE), "/")
    debian_image.run(*buildah, "commit", "--quiet", container, "localhost/large:1")
    container = debian_image.run(*buildah, "from", "localhost/large:1")
    root = debian_image.run(*buildah, "mount", container)
    shutil.rmtree(root + "/usr/share/doc")
    with open(root + "/usr/include/new.h", "wb") as file:
        file.write(b"int x;\n")
    debian_image.run(*buildah, "umount", container)
    debian_image.run(*buildah, "commit", "--quiet", container, "localhost/large:2")
    debian_image.run(*buildah, "push", "--quiet", "localhost/large:2", f"docker-archive:{archive}:large:2")
    subprocess.run(["umount", storage + "/root/overlay"], stderr=subprocess.DEVNULL, check=False)  # the storage is mounted on itself


class Views(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="gvmkit-views.")
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)

    def assert_same(self, actual, expected, name):
        self.assertEqual(sorted(expected.keys() - actual.keys())[:5], [], name + ": missing there")
        self.assertEqual(sorted(actual.keys() - expected.keys())[:5], [], name + ": missing here")
        different = [(actual[path], expected[path]) for path in expected if expected[path] != actual[path]]
        self.assertEqual(different[:3], [], f"{name}: {len(different)} entries differ")

    def test_a_large_image(self):
        archive, image, unpacked = (self.work + "/" + name for name in ("large.tar", "image.gvmi", "unsquashfs"))
        large_image(archive, self.work + "/storage")
        shutil.rmtree(self.work + "/storage")
        run(BIN + "/gvmkit-build", "--no-lint", "--user", "0:0", "--output", image, archive)
        run("unsquashfs", "-quiet", "-no-progress", "-dest", unpacked, image)
        expected = views.listing(unpacked)
        self.assertGreater(len(expected), 20000)
        run(BIN + "/gvmi", "extract", "--special", "--output", self.work + "/gvmi", image)
        self.assert_same(views.listing(self.work + "/gvmi"), expected, "gvmi extract")
        self.assert_same(views.umoci(archive, self.work), expected, "umoci unpack")
        self.assert_same(views.buildah(archive, self.work), views.without_links(expected), "buildah mount")
        self.assert_same(views.docker(archive, self.work), views.without_links(expected), "Docker's overlay")
        self.compare_with_a_vm(image, unpacked)

    def compare_with_a_vm(self, image, unpacked):
        here = run("sh", "-c", SEEN, cwd=unpacked).decode()
        # The root image alone, below the overlay: its block device is mounted once more.
        command = f"mkdir -p /tmp/seen && mount -t squashfs -o ro /dev/vda /tmp/seen && cd /tmp/seen && {SEEN}"
        there = run(BIN + "/ya-runtime-dbg", "--task-package", image, "--exec", "sh -c '" + command.replace("'", "'\\''") + "'").decode()
        self.assertEqual(there, here)


if __name__ == "__main__":
    engines.require()
    BIN = os.path.abspath(sys.argv.pop(1))
    os.umask(0o022)
    unittest.main(verbosity=2)
