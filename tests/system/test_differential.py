#!/usr/bin/env python3
"""Random images (random_images.py), converted by gvmkit-build and unpacked by umoci: the same trees, but for what docs/convert.md says of layers.

test_differential.py BIN [COUNT [FIRST]]    COUNT images (200) with the seeds FIRST (0) and up. Needs root, for owners and devices.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import engines  # noqa: E402
import list_tree  # noqa: E402
import random_images  # noqa: E402

OPTIONS = argparse.Namespace(without=[], as_squashfs=True)
SET_GROUP_ID = 0o2000
COUNT, FIRST = 200, 0


def run(*command):
    result = subprocess.run(command, capture_output=True, timeout=300, check=False)
    if result.returncode != 0:
        raise AssertionError(f"{command}: {result.stderr.decode(errors='replace')[-1000:]}")


def listing(folder):
    entries = list(list_tree.walk(folder, "/", OPTIONS))
    groups = {}
    for entry in entries:  # names of the same inode
        status = os.lstat(os.path.join(os.fsencode(folder), entry["path"].encode("latin-1").lstrip(b"/")))
        groups.setdefault(status.st_ino, []).append(entry["path"])
    for names in groups.values():
        for entry in (entry for entry in entries if entry["path"] in names and len(names) > 1):
            entry["same as"] = names
    return {entry["path"]: entry for entry in entries}


class Differential(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="gvmkit-differential.")
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)

    def trees(self, image):
        """What umoci, and gvmkit-build and unsquashfs, make of an image."""
        for name in ("layout", "umoci", "image.gvmi", "gvmkit"):
            path = f"{self.work}/{name}"
            shutil.rmtree(path, ignore_errors=True)
            if os.path.exists(path):
                os.unlink(path)
        image.save(self.work + "/layout")
        run("umoci", "raw", "unpack", "--image", self.work + "/layout:image", self.work + "/umoci")
        run(BIN + "/gvmkit-build", "--no-lint", "--hide-progress", "--output", self.work + "/image.gvmi", self.work + "/layout")
        run("unsquashfs", "-quiet", "-no-progress", "-dest", self.work + "/gvmkit", self.work + "/image.gvmi")
        return listing(self.work + "/umoci"), listing(self.work + "/gvmkit")

    def apply_rules(self, image, expected, actual):
        """Where we differ from umoci on purpose: see "Layers" in docs/convert.md."""
        for path in image.implied_folders():
            # They have nothing from the folder around them, and no time; where the kernel makes them, they inherit setgid and the group.
            self.assertEqual((actual[path]["mode"], actual[path]["owner"], actual[path]["time"]), ("040755", "0:0", 0), path)
            self.assertEqual(int(expected[path]["mode"], 8) & ~SET_GROUP_ID, 0o040755, path)
            for key in ("mode", "owner", "time"):
                expected[path][key] = actual[path][key]
        for path in image.touched_folders():
            # The time is that of the folder's entry, whatever happened to its contents afterwards.
            self.assertEqual(actual[path]["time"], image.time_of(path), path)
            expected[path]["time"] = actual[path]["time"]

    def test_random_images_are_what_umoci_makes_of_them(self):
        entries = links = 0
        for seed in range(FIRST, FIRST + COUNT):
            with self.subTest(seed=seed):
                image = random_images.RandomImage(seed)
                expected, actual = self.trees(image)
                self.assertEqual(sorted(expected), sorted(image.paths()), "umoci's paths are not those that were meant")
                self.assertEqual(sorted(actual), sorted(expected), "paths")
                self.apply_rules(image, expected, actual)
                different = [(expected[path], actual[path]) for path in sorted(expected) if expected[path] != actual[path]]
                self.assertEqual(different[:3], [], f"{len(different)} entries differ")
                entries += len(actual)
                links += sum("same as" in entry for entry in actual.values())
        print(f"{COUNT} images with {entries} entries, {links} of them hard links", file=sys.stderr)
        self.assertGreater(entries, 5 * COUNT)
        self.assertGreater(links, COUNT // 4)

    def test_a_seed_gives_the_same_image(self):
        self.assertEqual(random_images.RandomImage(7).layers, random_images.RandomImage(7).layers)
        self.assertNotEqual(random_images.RandomImage(7).layers, random_images.RandomImage(8).layers)


if __name__ == "__main__":
    engines.require()
    BIN = os.path.abspath(sys.argv[1])
    COUNT, FIRST = (list(map(int, sys.argv[2:])) + [COUNT, FIRST][len(sys.argv) - 2:])[:2]
    os.umask(0o022)
    unittest.main(argv=sys.argv[:1], verbosity=2)
