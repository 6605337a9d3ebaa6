#!/usr/bin/env python3
"""gvmkit-build over a Debian 12 image of four layers: what buildah mounts, umoci unpacks and Docker's overlay shows, what unsquashfs unpacks
and what a VM shows are one tree.

test_convert.py BIN    (needs root, for the engines and for unpacking; the conversion itself runs as nobody)
"""

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import engines  # noqa: E402
import views  # noqa: E402
from engines import run  # noqa: E402
from views import LISTER, lines  # noqa: E402

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]


def trailer(path):
    """The configuration of a .gvmi, read as docs/spec/gvmi.md has it and not with our own reader."""
    with open(path, "rb") as file:
        content = file.read()
    length = int(content[-8:])
    configuration = content[-8 - length:-8]
    assert int.from_bytes(content[-12 - length:-8 - length], "little") == zlib.crc32(configuration)
    return json.loads(configuration), content[:-12 - length]


class Convert(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        # Not below the build folder, which nobody may not enter.
        cls.work = tempfile.mkdtemp(prefix="gvmkit-convert.")
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        os.chmod(cls.work, 0o755)
        cls.output = cls.work + "/output"
        os.mkdir(cls.output)
        os.chown(cls.output, 65534, 65534)
        cls.archive = cls.work + "/debian.tar"
        run(sys.executable, HERE + "/debian_image.py", cls.archive, cls.work + "/storage")
        os.chmod(cls.archive, 0o644)
        shutil.rmtree(cls.work + "/storage")
        cls.image = cls.output + "/debian.gvmi"
        cls.said = cls.build("--output", cls.image, cls.archive)

    @classmethod
    def build(cls, *arguments):
        return run(*NOBODY, BIN + "/gvmkit-build", "--no-lint", *arguments, cwd=cls.output).decode()

    @classmethod
    def layers(cls):
        with tarfile.open(cls.archive) as outer:
            manifest = json.load(outer.extractfile("manifest.json"))
            for name in manifest[0]["Layers"]:
                with tarfile.open(fileobj=outer.extractfile(name)) as layer:
                    yield layer.getnames()

    @staticmethod
    def content(path):
        with open(path, "rb") as file:
            return file.read()

    def mounted(self, *options):
        """What buildah mounts. Its vfs driver has whole trees, where overlay would show a lower layer's link counts."""
        if not hasattr(Convert, "vfs"):
            storage = self.work + "/vfs"
            buildah = ["buildah", "--root", storage, "--runroot", self.work + "/vfs-run", "--storage-driver", "vfs"]
            container = run(*buildah, "from", "--quiet", "docker-archive:" + self.archive).decode().strip()
            Convert.vfs = run(*buildah, "mount", container).decode().strip()
        return views.listing(Convert.vfs, *options)

    def assert_same_tree(self, expected, actual):
        self.assertEqual(sorted(expected.keys() - actual.keys()), [], "missing")
        self.assertEqual(sorted(actual.keys() - expected.keys()), [], "too much")
        different = [(expected[path], actual[path]) for path in expected if expected[path] != actual[path]]
        self.assertEqual(different[:5], [], f"{len(different)} entries differ")

    def test_the_image_has_what_is_to_be_tested(self):
        layers = list(self.layers())
        self.assertEqual(len(layers), 4)
        self.assertGreaterEqual(sum("/.wh." in name and not name.endswith(".wh..wh..opq") for name in layers[2]), 6)
        self.assertGreaterEqual(sum(name.endswith("/.wh..wh..opq") for name in layers[3]), 3)
        expected = self.mounted()
        self.assertGreater(len(expected), 5000)
        self.assertEqual(expected["/special/links/e"]["links"], 2)
        self.assertEqual(expected["/special/links/c"]["links"], 2)
        self.assertIn("security.capability", expected["/special/capable"]["attributes"])
        self.assertEqual(expected["/special/block"]["device"], "259:70000")

    def test_unpacked_it_is_what_buildah_mounts(self):
        folder = self.work + "/unpacked"
        run("unsquashfs", "-quiet", "-no-progress", "-dest", folder, self.image)
        self.assert_same_tree(self.mounted(), views.listing(folder))

    def test_unpacked_it_is_what_umoci_and_docker_make_of_it(self):
        expected = self.mounted()
        self.assert_same_tree(expected, views.umoci(self.archive, self.work))
        self.assert_same_tree(views.without_links(expected), views.docker(self.archive, self.work))

    def test_in_a_vm_it_is_what_buildah_mounts(self):
        image = self.output + "/root.gvmi"
        self.build("--output", image, "--user", "0:0", self.archive)
        debugger = [BIN + "/ya-runtime-dbg", "--task-package", image, "--exec"]
        self.assertEqual(run(*debugger, 'python3 -c "print(6*7)"'), b"42\n")
        with open(LISTER, "rb") as file:
            code = base64.b64encode(file.read()).decode()
        # What the VM has of its own; it also sees to it that all may write to /tmp, whose link count the overlay then hides.
        own = ["/proc", "/sys", "/dev", "/data", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/mtab", "/tmp/."]
        without = " ".join("--without " + path for path in own)
        listing = run(*debugger, f"python3 -B -c 'import base64; exec(base64.b64decode(\"{code}\"))' / --as-squashfs {without}")
        self.assert_same_tree(self.mounted(*without.split()), lines(listing))

    def test_every_compressor_is_read_by_others(self):
        """unsquashfs, our own reader and the kernel in the VM."""
        expected = self.mounted()
        file = "/usr/bin/python3.11"
        content = hashlib.sha256(self.content(Convert.vfs + file)).hexdigest()
        for method, level in [("gzip", "9"), ("lzo", "1"), ("lz4", None), ("xz", None), ("zstd", "1")]:
            image = f"{self.output}/{method}.gvmi"
            self.build("--output", image, "--user", "0:0", "--compression-method", method, *(["--compression-level", level] if level else []),
                       self.archive)
            verified = json.loads(run(BIN + "/gvmi", "verify", "--json", image))
            self.assertEqual(verified["hash"], hashlib.sha3_224(self.content(image)).hexdigest())
            folder = f"{self.work}/{method}"
            run("unsquashfs", "-quiet", "-no-progress", "-dest", folder, image)
            self.assert_same_tree(expected, views.listing(folder))
            shutil.rmtree(folder)
            seen = run(BIN + "/ya-runtime-dbg", "--task-package", image, "--exec", "sha256sum " + file).decode()
            self.assertEqual(seen.split()[0], content, method)

    def test_the_configuration_is_the_images(self):
        configuration, _ = trailer(self.image)
        with tarfile.open(self.archive) as outer:
            image_id = hashlib.sha256(outer.extractfile(json.load(outer.extractfile("manifest.json"))[0]["Config"]).read()).hexdigest()
        self.assertEqual(configuration["Image"], image_id)
        self.assertEqual(configuration["User"], "nobody")
        self.assertEqual(configuration["Cmd"], ["python3"])
        self.assertEqual(configuration["Entrypoint"], ["/usr/bin/env"])
        self.assertEqual(configuration["Env"], ["GREETING=hello world"])
        self.assertEqual(configuration["Volumes"], {"/data": {}})
        self.assertNotIn(None, configuration.values())

    def test_it_says_what_it_did(self):
        with open(self.image, "rb") as file:
            image_hash = hashlib.sha3_224(file.read()).hexdigest()
        self.assertIn("2 times before 1970 or after 2106 clamped", self.said)
        self.assertIn(f"image hash: {image_hash}\n", self.said)
        self.assertIn("up to date", self.build("--output", self.image, self.archive))
        self.assertNotIn("up to date", self.build("--output", self.image, "--force", self.archive))

    def test_a_layout_and_an_archive_give_the_same_bytes(self):
        parts = []
        for target in ["oci:" + self.work + "/layout:debian:12", "oci-archive:" + self.work + "/oci.tar:debian:12"]:
            run("skopeo", "copy", "--quiet", "docker-archive:" + self.archive, target)
            path = target.split(":")[1]
            run("chmod", "-R", "a+rX", path)
            image = self.output + "/oci.gvmi"
            self.build("--force", "--output", image, path)
            parts.append(trailer(image)[1])
        self.assertTrue(parts[0] == parts[1], "layout and archive differ")
        self.assertTrue(parts[0] == trailer(self.image)[1], "OCI and docker archive differ")

    def test_options_change_the_configuration(self):
        self.build("--env", "A=1", "--env", "GREETING=", "--vol", "/more", "--entrypoint", "/bin/sh", "--user", "1:2", "--compression-level", "1",
                   self.archive)
        (name,) = [name for name in os.listdir(self.output) if name.startswith("debian-layers-12-") and name.endswith(".gvmi")]
        configuration, _ = trailer(os.path.join(self.output, name))
        self.assertEqual(name, f"debian-layers-12-{configuration['Image'][:10]}.gvmi")
        self.assertEqual(configuration["Env"], ["GREETING=", "A=1"])
        self.assertEqual(configuration["Volumes"], {"/data": {}, "/more": {}})
        self.assertEqual(configuration["Entrypoint"], ["/bin/sh"])
        self.assertNotIn("Cmd", configuration)
        self.assertEqual(configuration["User"], "1:2")

    def archive_of(self, entries):
        """A docker archive of one layer."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for entry in entries:
                member = tarfile.TarInfo(entry[0])
                member.type, member.linkname = entry[1] if len(entry) > 1 else (tarfile.REGTYPE, "")
                tar.addfile(member)
        config = {"architecture": "amd64", "os": "linux",
                  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()]}}
        files = {"manifest.json": json.dumps([{"Config": "c.json", "RepoTags": ["bad:1"], "Layers": ["l.tar"]}]).encode(),
                 "c.json": json.dumps(config).encode(), "l.tar": layer.getvalue()}
        path = self.work + "/hostile.tar"
        with tarfile.open(path, mode="w") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        return path

    def assert_refused(self, archive, reason):
        before = sorted(os.listdir(self.output))
        result = subprocess.run([*NOBODY, BIN + "/gvmkit-build", archive], cwd=self.output, capture_output=True, timeout=60, check=False)
        self.assertEqual(result.returncode, 1)
        self.assertTrue(result.stderr.startswith(b"error: cannot convert " + archive.encode()), result.stderr)
        self.assertIn(reason, result.stderr.decode())
        self.assertEqual(result.stderr.count(b"\n"), 1)
        self.assertEqual(result.stdout, b"")
        self.assertEqual(sorted(os.listdir(self.output)), before)

    def test_hostile_layers_are_refused_or_contained(self):
        self.assert_refused(self.archive_of([("../x",)]), 'layer 1 (sha256:')
        self.assert_refused(self.archive_of([("../x",)]), '"../x": it leads out of the image')
        self.assert_refused(self.archive_of([("a/../../x",)]), "it leads out of the image")
        self.assert_refused(self.archive_of([("h", (tarfile.LNKTYPE, "../../etc/passwd"))]), "it leads out of the image")
        self.assert_refused(self.archive_of([("h", (tarfile.LNKTYPE, "/etc/passwd"))]), "there is no such file")
        self.assert_refused(self.archive_of([("n" * 100000,)]), "a path of 100000 bytes")
        self.assert_refused(self.archive_of([("a", (tarfile.SYMTYPE, "b")), ("b", (tarfile.SYMTYPE, "a")), ("a/x",)]), "too many symbolic links")
        self.build("--force", "--output", "contained.gvmi",
                   self.archive_of([("/etc/absolute",), ("out", (tarfile.SYMTYPE, "../../../tmp")), ("out/through",)]))
        listing = run("unsquashfs", "-ls", "-dest", "", self.output + "/contained.gvmi").decode().split()
        self.assertEqual(listing, ["/etc", "/etc/absolute", "/out", "/tmp", "/tmp/through"])

    def test_broken_archives_are_refused(self):
        with open(self.archive, "rb") as file:
            start = file.read(10_000_000)
        broken = self.work + "/broken.tar"
        for content, reason in [(start, "Truncated"), (b"no archive at all" * 1000, "not a tar"), (b"", "neither an image archive")]:
            with open(broken, "wb") as file:
                file.write(content)
            self.assert_refused(broken, reason)
        self.assert_refused(self.work + "/missing.tar", "No such file or directory")


if __name__ == "__main__":
    engines.require()
    BIN = os.path.abspath(sys.argv.pop(1))
    os.umask(0o022)
    unittest.main(verbosity=2)
