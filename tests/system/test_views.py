#!/usr/bin/env python3
"""A converted image is, entry by entry, what three engines make of it: buildah's mount, umoci's unpacked bundle, Docker's overlay; and so sees
it unsquashfs, and the kernel that mounts it in a VM. Two images: debian_image.py's, which has one of everything, and a Debian with Boost's
headers of over 20,000 files.

test_views.py BIN    (needs root; some three minutes)
"""

import json
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
from engines import run  # noqa: E402

LISTER = os.path.join(HERE, "list_tree.py")
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


def listing(folder, links=True):
    """By path, without the root, which no layer describes. An overlay shows a lower layer's link counts."""
    out = run(sys.executable, LISTER, folder, "--as-squashfs")
    entries = {entry["path"]: entry for entry in map(json.loads, out.splitlines())}
    del entries["/"]
    for entry in entries.values():
        if not links:
            del entry["links"]
    return entries


class Views(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="gvmkit-views.")
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)

    def assert_same(self, actual, name):
        expected = self.expected
        if any("links" not in entry for entry in actual.values()):
            expected = {path: {key: value for key, value in entry.items() if key != "links"} for path, entry in expected.items()}
        self.assertEqual(sorted(expected.keys() - actual.keys())[:5], [], name + ": missing there")
        self.assertEqual(sorted(actual.keys() - expected.keys())[:5], [], name + ": missing here")
        different = [(actual[path], expected[path]) for path in expected if expected[path] != actual[path]]
        self.assertEqual(different[:3], [], f"{name}: {len(different)} entries differ")

    def compare(self, archive):
        image = self.work + "/image.gvmi"
        run(BIN + "/gvmkit-build", "--no-lint", "--user", "0:0", "--output", image, archive)
        self.unpacked = self.work + "/unsquashfs"
        run("unsquashfs", "-quiet", "-no-progress", "-dest", self.unpacked, image)
        self.expected = listing(self.unpacked)
        run(BIN + "/gvmi", "extract", "--output", self.work + "/gvmi", image)
        self.assert_same(listing(self.work + "/gvmi"), "gvmi extract")
        self.buildah(archive)
        self.umoci(archive)
        self.docker(archive)
        self.virtual_machine(image)

    def buildah(self, archive):
        buildah = ["buildah", "--root", self.work + "/vfs", "--runroot", self.work + "/vfs-run", "--storage-driver", "vfs"]
        container = run(*buildah, "from", "--quiet", "docker-archive:" + archive).decode().strip()
        self.assert_same(listing(run(*buildah, "mount", container).decode().strip()), "buildah mount")
        run(*buildah, "umount", container)

    def umoci(self, archive):
        layout = self.work + "/layout"
        run("skopeo", "copy", "--quiet", "docker-archive:" + archive, f"oci:{layout}:1")
        run("umoci", "unpack", "--image", layout + ":1", self.work + "/bundle")
        self.assert_same(listing(self.work + "/bundle/rootfs"), "umoci unpack")

    def docker(self, archive):
        with engines.docker(self.work + "/docker") as path:
            environment = dict(os.environ, DOCKER_HOST="unix://" + path)
            name = run("docker", "load", "--quiet", "--input", archive, env=environment).decode().splitlines()[0].split(": ", 1)[1]
            inspected = json.loads(run("docker", "image", "inspect", name, env=environment))[0]["GraphDriver"]
            self.assertEqual(inspected["Name"], "overlay2")
            layers = [inspected["Data"]["UpperDir"], *inspected["Data"].get("LowerDir", "").split(":")]
            merged = self.work + "/merged"
            os.mkdir(merged)
            run("mount", "-t", "overlay", "overlay", "-o", "ro,lowerdir=" + ":".join(layer for layer in layers if layer), merged)
            try:
                self.assert_same(listing(merged, links=False), "Docker's overlay")
            finally:
                run("umount", merged)

    def virtual_machine(self, image):
        here = run("sh", "-c", SEEN, cwd=self.unpacked).decode()
        # The root image alone, below the overlay: its block device is mounted once more.
        command = f"mkdir -p /tmp/seen && mount -t squashfs -o ro /dev/vda /tmp/seen && cd /tmp/seen && {SEEN}"
        there = run(BIN + "/ya-runtime-dbg", "--task-package", image, "--exec", "sh -c '" + command.replace("'", "'\\''") + "'").decode()
        self.assertEqual(there, here)

    def test_one_of_everything(self):
        archive = self.work + "/debian.tar"
        run(sys.executable, HERE + "/debian_image.py", archive, self.work + "/storage")
        shutil.rmtree(self.work + "/storage")
        self.compare(archive)

    def test_a_large_image(self):
        archive = self.work + "/large.tar"
        large_image(archive, self.work + "/storage")
        shutil.rmtree(self.work + "/storage")
        self.compare(archive)
        self.assertGreater(len(self.expected), 20000)


if __name__ == "__main__":
    engines.require()
    BIN = os.path.abspath(sys.argv.pop(1))
    os.umask(0o022)
    unittest.main(verbosity=2)
