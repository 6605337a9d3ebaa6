#!/usr/bin/env python3
"""gvmkit-build takes the same image from wherever it is: archives of every kind, a root file system, a real Docker engine and Podman service,
a registry with TLS and passwords, a Dockerfile through docker, podman and buildah.

test_sources.py BIN    (needs root, for the engines)
"""

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import docker_archive  # noqa: E402
import engines  # noqa: E402
from engines import run  # noqa: E402

CONFIG = {"User": "guest", "Env": ["A=1"], "Cmd": ["/bin/sh"], "Volumes": {"/data": {}}, "Labels": {"l": "x"}, "StopSignal": "SIGINT",
          "WorkingDir": "/home/guest", "ExposedPorts": {"80/tcp": {}}, "Healthcheck": {"Test": ["CMD", "true"]}}


def top_layer(content):
    layer = docker_archive.Layer()
    layer.add("top", data=content)
    layer.add("etc/.wh.group")
    layer.tar.close()
    return layer.bytes.getvalue()


def write_tar(path, files):
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def digest(content):
    return hashlib.sha256(content).hexdigest()


def save(path, layers, name):
    """A docker archive of the layout that Docker had until version 24."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": CONFIG, "created": "2024-01-01T00:00:00Z",
                         "history": [{"created": "2024-01-01T00:00:00Z"} for _ in layers],
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest(layer) for layer in layers]}}).encode()
    files = [(f"{digest(layer)}/layer.tar", layer) for layer in layers] + [(digest(config) + ".json", config)]
    manifest = [{"Config": digest(config) + ".json", "RepoTags": [name], "Layers": [name for name, _ in files[:-1]]}]
    write_tar(path, [*files, ("manifest.json", json.dumps(manifest).encode())])


class Sources(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="gvmkit-sources.")
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        base = docker_archive.tree([])
        cls.archive = cls.work + "/one.tar"
        cls.other = cls.work + "/two.tar"
        save(cls.archive, [base, top_layer(b"one\n")], "gvmkit-source:1")
        save(cls.other, [base, top_layer(b"two\n")], "gvmkit-source:2")
        cls.expected = cls.build(cls.archive)

    @classmethod
    def build(cls, *arguments, environment=None):
        """The bytes of the .gvmi."""
        output = cls.work + "/out.gvmi"
        subprocess.run([BIN + "/gvmkit-build", "--force", "--no-lint", "--output", output, *arguments], check=True, stdout=subprocess.DEVNULL,
                       env=environment, timeout=300)
        with open(output, "rb") as file:
            return file.read()

    def refused(self, *arguments, environment=None):
        """What it says when it fails; it leaves nothing behind."""
        folder = tempfile.mkdtemp(dir=self.work)
        done = subprocess.run([BIN + "/gvmkit-build", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
                              check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(os.listdir(folder), [])
        return done.stderr

    def assert_same(self, image):
        self.assertEqual(hashlib.sha256(image).hexdigest(), hashlib.sha256(self.expected).hexdigest())

    def gvmi(self, *arguments):
        return run(BIN + "/gvmi", *arguments).decode()

    def test_the_configuration_is_kept(self):
        self.build(self.archive)
        config = json.loads(self.gvmi("inspect", "--json", self.work + "/out.gvmi"))["config"]
        del config["Image"]
        self.assertEqual(config, CONFIG)

    def test_a_docker_engine(self):
        with engines.docker(self.work + "/docker") as path:
            environment = dict(os.environ, DOCKER_HOST="unix://" + path)
            run("docker", "load", "--input", self.archive, env=environment)
            self.assert_same(self.build("gvmkit-source:1", environment=environment))
            self.assert_same(self.build("docker-daemon:gvmkit-source:1", environment=environment))
            saved = self.work + "/saved.tar"
            run("docker", "save", "--output", saved, "gvmkit-source:1", env=environment)
            self.assert_same(self.build(saved))
            self.assertIn("does not have it", self.refused("docker-daemon:gvmkit-source:9", environment=environment))
            self.dockerfile("docker", environment)

            container = run("docker", "create", "gvmkit-source:1", env=environment).decode().strip()
            flat = self.work + "/flat.tar"
            run("docker", "export", "--output", flat, container, env=environment)
            self.build(flat)
            self.assertIn("/top\n", self.gvmi("ls", self.work + "/out.gvmi"))
            self.assertEqual(self.gvmi("cat", self.work + "/out.gvmi", "/top"), "one\n")

    def test_a_podman_service(self):
        with engines.podman(self.work + "/podman") as (path, podman):
            environment = dict(os.environ, DOCKER_HOST="unix://" + path)
            run(*podman, "load", "--input", self.archive, stderr=subprocess.DEVNULL)
            self.assert_same(self.build("gvmkit-source:1", environment=environment))
            saved = self.work + "/podman.tar"
            for form in ("docker-archive", "oci-archive"):
                run(*podman, "save", "--quiet", "--format", form, "--output", saved, "localhost/gvmkit-source:1")
                self.assertEqual(self.tree_of(self.build(saved)), self.tree_of(self.expected))
                os.unlink(saved)

    def dockerfile(self, builder, environment=None):
        folder = tempfile.mkdtemp(dir=self.work)
        shutil.copy("/bin/busybox", folder + "/busybox")
        with open(folder + "/Dockerfile", "w", encoding="utf-8") as file:
            file.write('FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "mkdir", "/made"]\nENV X=1\nVOLUME /data\n'
                       'CMD ["/bin/busybox", "true"]\n')
        subprocess.run([BIN + "/gvmkit-build", "--force", "--output", self.work + "/out.gvmi", "--dockerfile", folder, "--builder", builder,
                        "gvmkit-built:1"], check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300)
        self.assertIn("/made\n", self.gvmi("ls", self.work + "/out.gvmi"))
        config = json.loads(self.gvmi("inspect", "--json", self.work + "/out.gvmi"))["config"]
        self.assertEqual(config["Cmd"], ["/bin/busybox", "true"])
        self.assertEqual(config["Volumes"], {"/data": {}})
        self.assertIn("X=1", config["Env"])
        with open(folder + "/Dockerfile", "w", encoding="utf-8") as file:
            file.write("FROM scratch\nCOPY missing /\n")
        self.assertIn("failed with exit code", self.refused("--dockerfile", folder, "--builder", builder, environment=environment))

    def test_a_dockerfile_by_podman_and_buildah(self):
        storage = self.work + "/storage.conf"
        with open(storage, "w", encoding="utf-8") as file:
            file.write(f'[storage]\ndriver = "vfs"\ngraphroot = "{self.work}/built"\nrunroot = "{self.work}/built-run"\n')
        environment = dict(os.environ, CONTAINERS_STORAGE_CONF=storage)
        for builder in ("podman", "buildah"):
            self.dockerfile(builder, environment)

    def test_a_registry(self):
        with engines.Registry(self.work + "/registry").serving() as registry:
            environment = registry.environment()
            name = registry.host + "/some/image"
            for tag, archive in (("1", self.archive), ("2", self.other)):
                run("skopeo", "copy", "--quiet", "docker-archive:" + archive, f"docker://{name}:{tag}", env=environment)
            self.assert_same(self.build(f"docker://{name}:1", environment=environment))
            self.assert_same(self.build(f"{name}:1", environment=environment))
            pulled = json.loads(run("skopeo", "inspect", f"docker://{name}:1", env=environment))["Digest"]
            self.assert_same(self.build(f"docker://{name}@{pulled}", environment=environment))

            # Of the second image only its own layer is fetched.
            layers = [layer["digest"] for layer in
                      json.loads(run("skopeo", "inspect", "--raw", f"docker://{name}:2", env=environment))["layers"]]
            before = len(registry.requests())
            self.build(f"docker://{name}:2", environment=environment)
            fetched = [path.rsplit("/", 1)[1] for path in registry.requests()[before:]]
            self.assertNotIn(layers[0], fetched)
            self.assertIn(layers[1], fetched)

            # What the cache holds is checked, and fetched again where it is damaged.
            cached = f"{registry.folder}/cache/gvmkit/layers/blobs/sha256/{layers[1].split(':')[1]}"
            with open(cached, "r+b") as file:
                file.write(b"damaged")
            self.build(f"docker://{name}:2", environment=environment)

            self.assertIn("the registry has no such image", self.refused(f"docker://{name}:3", environment=environment))
            self.assertIn("refuses the login", self.refused(f"docker://{name}:1", environment=registry.environment("wrong")))
            environment = registry.environment()
            stored = f"{registry.folder}/data/docker/registry/v2/blobs/sha256/{layers[1].split(':')[1][:2]}/{layers[1].split(':')[1]}/data"
            with open(stored, "r+b") as file:
                file.write(b"damaged")
            os.unlink(cached)
            self.assertIn("the registry sent something damaged", self.refused(f"docker://{name}:2", environment=environment))

    def tree_of(self, image):
        path = tempfile.mktemp(dir=self.work)
        with open(path, "wb") as file:
            file.write(image)
        return self.gvmi("ls", "--json", "--recursive", path)

    def test_every_kind_of_archive(self):
        """skopeo's, buildah's and umoci's are real; Docker's newest layout and kaniko's are made by hand."""
        layout = self.work + "/layout"
        run("skopeo", "copy", "--quiet", "docker-archive:" + self.archive, f"oci:{layout}:1")
        expected = self.tree_of(self.expected)
        self.assertEqual(self.tree_of(self.build(layout)), expected)
        # Layers compressed by another, and the whole archive too.
        zstd = self.work + "/zstd"
        run("skopeo", "copy", "--quiet", "--dest-compress-format", "zstd", "docker-archive:" + self.archive, f"oci:{zstd}:1")
        self.assertEqual(self.tree_of(self.build(zstd)), expected)
        for compressor in ("gzip", "zstd"):
            packed = self.work + "/packed.tar"
            with open(packed, "wb") as file:
                subprocess.run([compressor, "-c", self.archive], stdout=file, check=True)
            self.assert_same(self.build(packed))

        newest = self.work + "/newest.tar"
        with tarfile.open(self.archive) as old:
            manifest = json.load(old.extractfile("manifest.json"))
            blobs = {name: old.extractfile(name).read() for name in [manifest[0]["Config"], *manifest[0]["Layers"]]}
        paths = {name: "blobs/sha256/" + digest(content) for name, content in blobs.items()}
        manifest[0]["Config"] = paths[manifest[0]["Config"]]
        manifest[0]["Layers"] = [paths[name] for name in manifest[0]["Layers"]]
        write_tar(newest, [*((paths[name], content) for name, content in blobs.items()), ("manifest.json", json.dumps(manifest).encode()),
                           ("index.json", b'{"schemaVersion":2,"manifests":[]}'), ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')])
        self.assert_same(self.build(newest))

        # umoci: unpacked, changed, packed again as a third layer.
        bundle = self.work + "/bundle"
        run("umoci", "unpack", "--image", layout + ":1", bundle)
        with open(bundle + "/rootfs/by-umoci", "wb") as file:
            file.write(b"umoci\n")
        run("umoci", "repack", "--image", layout + ":umoci", bundle)
        self.build(f"oci:{layout}:umoci")
        self.assertEqual(self.gvmi("cat", self.work + "/out.gvmi", "/by-umoci"), "umoci\n")

    def test_one_layer_by_zstd_as_kaniko_makes_it(self):
        layer = docker_archive.tree([])
        packed = subprocess.run(["zstd", "-c"], input=layer, stdout=subprocess.PIPE, check=True).stdout
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": CONFIG,
                             "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest(layer)]}}).encode()
        manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                               "config": {"digest": "sha256:" + digest(config), "size": len(config)},
                               "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": "sha256:" + digest(packed),
                                           "size": len(packed)}]}).encode()
        attestation = {"digest": "sha256:" + digest(b"x"), "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
                       "platform": {"os": "unknown", "architecture": "unknown"}}
        index = {"schemaVersion": 2, "manifests": [{"digest": "sha256:" + digest(manifest), "size": len(manifest),
                                                    "platform": {"os": "linux", "architecture": "amd64"}}, attestation]}
        path = self.work + "/kaniko.tar"
        write_tar(path, [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), ("index.json", json.dumps(index).encode()),
                         *(("blobs/sha256/" + digest(blob), blob) for blob in (config, manifest, packed))])
        self.build(path)
        self.assertIn("busybox", self.gvmi("ls", self.work + "/out.gvmi", "/bin"))
        self.assertIn("no image for linux/arm64", self.refused("--platform", "linux/arm64", path))

    def test_a_folder_and_a_flat_tar_of_one(self):
        folder = self.work + "/root"
        os.makedirs(folder + "/etc/d")
        with open(folder + "/etc/file", "wb") as file:
            file.write(b"content\n")
            file.truncate(5_000_000)
        os.link(folder + "/etc/file", folder + "/etc/d/link")
        os.symlink("../nowhere", folder + "/etc/d/symlink")
        os.mkfifo(folder + "/etc/fifo")
        os.mknod(folder + "/etc/null", 0o020666, os.makedev(1, 3))
        os.setxattr(folder + "/etc/file", "user.a", b"b")
        os.chown(folder + "/etc/d", 70000, 80000)
        flat = self.work + "/root.tar"
        run("tar", "--xattrs", "--format=pax", "--sparse", "-C", folder, "-cf", flat, ".")
        listing = run(sys.executable, HERE + "/list_tree.py", folder, "--as-squashfs")
        for source in (folder, flat, "rootfs:" + folder):
            self.build(source)
            unpacked = tempfile.mkdtemp(dir=self.work) + "/x"
            run("unsquashfs", "-quiet", "-no-progress", "-dest", unpacked, self.work + "/out.gvmi")
            self.assertEqual(run(sys.executable, HERE + "/list_tree.py", unpacked, "--as-squashfs"), listing, source)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(folder + "/etc/socket")
        self.build(folder)
        self.assertTrue(self.gvmi("ls", "-l", self.work + "/out.gvmi", "/etc/socket").startswith("srwx"))

    def test_a_wrong_guess_is_explained(self):
        other = self.work + "/other.tar"
        write_tar(other, [("readme", b"x")])
        self.assertIn("neither an image archive (no manifest.json or index.json) nor a root file system", self.refused(other))
        folder = tempfile.mkdtemp(dir=self.work)
        with open(folder + "/Dockerfile", "wb"):
            pass
        self.assertIn("--dockerfile " + folder, self.refused(folder))
        self.assertIn("No such file or directory", self.refused("./missing.tar"))
        self.assertIn("not a tar", self.refused(sys.executable))
        environment = dict(os.environ, DOCKER_HOST="unix:///nowhere", PATH="/nowhere")
        self.assertIn("there is no skopeo", self.refused("python:3.12", environment=environment))


if __name__ == "__main__":
    engines.require()
    BIN = os.path.abspath(sys.argv.pop(1))
    os.umask(0o022)
    unittest.main(verbosity=2)
