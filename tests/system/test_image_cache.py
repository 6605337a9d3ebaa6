#!/usr/bin/env python3
"""ya-runtime-dbg takes container images: each is converted into a cache once, whole or not at all, and again only where its file is damaged.

test_image_cache.py BIN
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

import docker_archive

BIN = ""
DEADLINE = 300  # only tells a hang from a slow machine
GIB = 1 << 30


def save(path, files, name="cached:1"):
    """A docker archive of busybox and files by name."""
    top = docker_archive.Layer()
    for file, content in files.items():
        top.add(file, data=content)
    top.tar.close()
    layers = [docker_archive.tree([]), top.bytes.getvalue()]
    digests = [hashlib.sha256(layer).hexdigest() for layer in layers]
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/sh"]},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest for digest in digests]}}).encode()
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": [digest + ".tar" for digest in digests]}]
    members = {digest + ".tar": layer for digest, layer in zip(digests, layers)}
    members |= {"config.json": config, "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(path, "w") as tar:
        for member, content in members.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


class ImageCache(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="gvmkit-image-cache.")
        cls.addClassCleanup(shutil.rmtree, cls.work)
        cls.archive = cls.work + "/one.tar"
        save(cls.archive, {"top": b"one\n"})
        cls.big = cls.work + "/big.tar"
        save(cls.big, {"big": os.urandom(96 << 20)})
        cls.runtime = cls.work + "/runtime"  # tells which image it was given, and fails
        with open(cls.runtime, "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\necho "given: $4" >&2\nexit 3\n')
        os.chmod(cls.runtime, 0o755)

    def setUp(self):
        self.cache = tempfile.mkdtemp(dir=self.work)
        self.images = self.cache + "/gvmkit/images"
        self.environment = dict(os.environ, XDG_CACHE_HOME=self.cache)

    def start(self, image, *arguments):
        command = [BIN + "/ya-runtime-dbg", "-r", self.runtime, "-t", image, "--exec", "true", *arguments]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                env=self.environment)

    def run_image(self, image, *arguments):
        """What it says, and the file that the runtime was given; none where it got none."""
        _, said = self.start(image, *arguments).communicate(timeout=DEADLINE)
        given = [line.partition("given: ")[2] for line in said.splitlines() if "given: " in line]
        return said, given[0] if given else None

    def cached(self):
        return sorted(name for name in os.listdir(self.images) if name != "lock")

    def assert_converted_once(self, image):
        said, first = self.run_image(image)
        self.assertRegex(said, r"(?m)^converting .*… \(\d+\.\d s\)$")
        subprocess.run([BIN + "/gvmi", "verify", first], check=True, stdout=subprocess.DEVNULL, timeout=DEADLINE)
        inode = os.stat(first).st_ino
        said, second = self.run_image(image)
        self.assertNotIn("converting", said)
        self.assertEqual((second, os.stat(second).st_ino), (first, inode))
        self.assertEqual([os.path.basename(first)], self.cached())
        return first

    def test_a_docker_archive(self):
        first = self.assert_converted_once(self.archive)
        other = self.work + "/other.tar"
        save(other, {"top": b"two\n"})
        self.assertNotEqual(self.run_image(other)[1], first)

    def test_an_oci_layout(self):
        layout = self.work + "/layout"
        subprocess.run(["skopeo", "copy", "--quiet", "docker-archive:" + self.archive, f"oci:{layout}:one"], check=True, timeout=DEADLINE)
        self.assert_converted_once(layout)

    def test_a_root_file_system(self):
        root = self.work + "/root"
        os.makedirs(root + "/bin")
        shutil.copy("/bin/busybox", root + "/bin/busybox")
        first = self.assert_converted_once(root)
        with open(root + "/new", "w", encoding="utf-8") as file:
            file.write("x")
        self.assertNotEqual(self.run_image(root)[1], first)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("buildah"), "needs root, for buildah")
    def test_a_folder_with_a_dockerfile(self):
        folder = tempfile.mkdtemp(dir=self.work)
        storage = folder + ".conf"
        with open(storage, "w", encoding="utf-8") as file:
            file.write(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}.root"\nrunroot = "{folder}.run"\n')
        tools = folder + ".bin"  # no docker and no podman
        os.mkdir(tools)
        os.symlink(shutil.which("buildah"), tools + "/buildah")
        self.environment |= {"CONTAINERS_STORAGE_CONF": storage, "PATH": tools}
        shutil.copy("/bin/busybox", folder + "/busybox")
        with open(folder + "/Dockerfile", "w", encoding="utf-8") as file:
            file.write("FROM scratch\nCOPY busybox /bin/busybox\nENV X=1\n")
        self.assert_converted_once(folder)

    def test_a_gvmi_is_used_as_it_is(self):
        converted = self.run_image(self.archive)[1]
        for name in ("plain.gvmi", "without-extension"):
            path = shutil.copy(converted, self.work + "/" + name)
            said, given = self.run_image(path)
            self.assertEqual(given, path)
            self.assertNotIn("converting", said)

    def test_two_at_once_convert_once(self):
        said = "".join(process.communicate(timeout=DEADLINE)[1] for process in [self.start(self.big) for _ in range(2)])
        self.assertEqual((said.count("converting"), said.count("given: ")), (1, 2), said)

    def test_what_is_ended_in_the_middle_leaves_nothing(self):
        for number in (signal.SIGKILL, signal.SIGTERM):
            process = self.start(self.big)
            descriptors = f"/proc/{process.pid}/fd"

            def writes():
                links = []
                for name in os.listdir(descriptors):
                    try:
                        links.append(os.readlink(descriptors + "/" + name))
                    except FileNotFoundError:
                        pass
                return any(link.startswith(self.images + "/") and "lock" not in link for link in links)
            deadline = time.monotonic() + DEADLINE
            while not writes():
                self.assertIsNone(process.poll(), "it ended before it was killed")
                self.assertLess(time.monotonic(), deadline)
            process.send_signal(number)
            _, said = process.communicate(timeout=DEADLINE)
            self.assertNotIn("given", said)
            if number == signal.SIGTERM:
                self.assertRegex(said, f"^error: cannot convert {self.big}: .*interrupted\n$")
            self.assertEqual(self.cached(), [])
        self.assertIsNotNone(self.run_image(self.big)[1])

    def test_a_damaged_file_is_made_anew(self):
        path = self.run_image(self.archive)[1]
        with open(path, "rb") as file:
            whole = file.read()
        for damaged in (whole[:-1], whole[:1000], b"", whole[:-20] + b"x" * 20):
            with open(path, "wb") as file:
                file.write(damaged)
            self.assertIn("converting", self.run_image(self.archive)[0])
            with open(path, "rb") as file:
                self.assertEqual(file.read(), whole)

    def test_what_was_used_longest_ago_goes_first(self):
        os.makedirs(self.images)
        for age, name in enumerate(("new", "middle", "old", "used")):
            path = f"{self.images}/{name}.gvmi"
            with open(path, "wb") as file:
                file.truncate(4 * GIB)
            os.utime(path, (time.time() - 1000 * (age + 1),) * 2)
        with open(self.images + "/used.gvmi", "rb") as used:
            fcntl.flock(used, fcntl.LOCK_SH)
            path = self.run_image(self.archive)[1]
            self.assertEqual(self.cached(), sorted([os.path.basename(path), "new.gvmi", "middle.gvmi", "used.gvmi"]))

    def test_errors_name_the_image(self):
        for image, reason in ((self.work + "/missing", "No such file or directory"), (sys.executable, "not a tar")):
            said, given = self.run_image(image)
            self.assertRegex(said, f"^error: cannot convert {image}: .*{reason}")
            self.assertEqual((given, said.count("\n")), (None, 1))

    def test_it_runs(self):
        command = [BIN + "/ya-runtime-dbg", "-t", self.archive, "--exec", "cat /top", "--", "--accel", "tcg"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=self.environment, timeout=DEADLINE, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, b"one\n"), done.stderr)


if __name__ == "__main__":
    BIN = os.path.abspath(sys.argv.pop(1))
    os.umask(0o022)
    unittest.main(verbosity=2)
