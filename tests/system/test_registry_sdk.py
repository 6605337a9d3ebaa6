#!/usr/bin/env python3
"""Real clients, unchanged, against a registry of ours: yapapi and golem-js resolve images, gvmkit-build 0.3 pushes them.

test_registry_sdk.py BIN
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import other_clients
import registry_server

HERE = os.path.dirname(os.path.abspath(__file__))


def run(*command, check=True, timeout=120, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False, **options)
    assert not check or done.returncode == 0, done
    return done.stdout if check else done


def content(path):
    with open(path, "rb") as file:
        return file.read()


def sha3(data):
    return hashlib.sha3_224(data).hexdigest()


class Sdk(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="gvmkit-sdk.")
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        cls.server = registry_server.server(BIN + "/gvmkit-registry")
        cls.addClassCleanup(cls.server.remove)
        cls.server.start()
        cls.token = cls.server.user("alice")
        cls.image = cls.work + "/app.gvmi"
        run(sys.executable, HERE + "/docker_archive.py", cls.work + "/app.tar", '{"Cmd":["sh"]}')
        run(BIN + "/gvmkit-build", "--output", cls.image, cls.work + "/app.tar")
        cls.sha3 = sha3(content(cls.image))
        cls.push(BIN + "/gvmkit-build", "--push-to", "alice/app:1.0")

    @classmethod
    def environment(cls, **more):
        return {"PATH": os.environ["PATH"], "HOME": cls.work, "REGISTRY_URL": cls.server.url, "REGISTRY_USER": "alice",
                "REGISTRY_TOKEN": cls.token, **more}

    @classmethod
    def push(cls, program, *arguments, image=None):
        return run(program, "--direct-file-upload", image or cls.image, *arguments, env=cls.environment(), cwd=cls.work)

    def package(self):
        with urllib.request.urlopen(f"{self.server.url}/v1/image/info?hash={self.sha3}&dev=true") as answer:
            return f"hash:sha3:{self.sha3}:{json.load(answer)['http']}"

    def assert_downloads(self, package):
        """Its URL gives the image that its hash says."""
        _, _, image_hash, url = package.split(":", 3)
        with urllib.request.urlopen(url) as answer:
            self.assertEqual(sha3(answer.read()), image_hash)

    def yapapi(self, url=None, **arguments):
        return run(other_clients.python(), HERE + "/resolve_yapapi.py", url or self.server.url,
                   *(f"{name}={value}" for name, value in arguments.items())).strip()

    def golem_js(self, url=None, **config):
        return json.loads(run("node", HERE + "/resolve_golem_js.cjs", json.dumps(config), cwd=other_clients.node_folder(),
                              env={"PATH": os.environ["PATH"], "GOLEM_REGISTRY_URL": url or self.server.url}))

    def test_yapapi_resolves_a_tag_and_a_hash(self):
        url = self.package().split(":", 3)[3]
        for arguments in [{"image_tag": "alice/app:1.0"}, {"image_hash": self.sha3}, {"image_hash": self.sha3, "image_url": url}]:
            package = self.yapapi(**arguments)
            self.assertEqual(package, self.package())
            self.assert_downloads(package)

    def test_golem_js_resolves_a_tag_and_a_hash(self):
        for config in [{"imageTag": "alice/app:1.0"}, {"imageHash": self.sha3}]:
            package = self.golem_js(**config)["golem.srv.comp.task_package"]
            self.assertEqual(package, self.package())
            self.assert_downloads(package)

    def test_both_resolve_what_gvmi_serve_offers(self):
        with subprocess.Popen([BIN + "/gvmi", "serve", "--listen", "127.0.0.1:0", self.image], stdout=subprocess.PIPE, text=True) as server:
            try:
                url, lines = None, []
                for line in server.stdout:
                    lines.append(line.strip())
                    if line.startswith("serving on "):
                        url = line.split()[2]
                        break
                self.assertIn("image hash: " + self.sha3, lines)
                self.assertIn(f'yapapi:   package = await vm.repo(image_tag="local/app:latest", repository_url="{url}")', lines)
                package = f"hash:sha3:{self.sha3}:{url}/download/{self.sha3}/app.gvmi"
                self.assertIn("URL:      " + package.split(":", 3)[3], lines)
                self.assertEqual(self.yapapi(url, image_tag="local/app:latest"), package)
                self.assertEqual(self.yapapi(url, image_hash=self.sha3), package)
                self.assertEqual(self.golem_js(url, imageTag="local/app:latest")["golem.srv.comp.task_package"], package)
                self.assertEqual(self.golem_js(url, imageHash=self.sha3)["golem.srv.comp.task_package"], package)
                image_url = package.split(":", 3)[3]
                self.assertEqual(self.yapapi(url, image_hash=self.sha3, image_url=image_url), package)
                self.assert_downloads(package)
                part = urllib.request.Request(image_url, headers={"Range": "bytes=1000-"})  # as a provider goes on
                with urllib.request.urlopen(part) as answer:
                    self.assertEqual((answer.status, answer.read()), (206, content(self.image)[1000:]))
                for path in ("/v1/image/info?hash=" + self.sha3, f"/download/{self.sha3}/app.gvmi"):
                    with urllib.request.urlopen(url + path, timeout=60) as answer:  # golem-js in a browser
                        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "*")
            finally:
                server.terminate()
                self.assertEqual(server.wait(60), 0)

    def test_uploader_0_3_pushes_anonymously_and_to_a_tag(self):
        for number, arguments in enumerate([["--push", "--nologin"], ["--push-to", "alice/theirs:2"]]):
            image = f"{self.work}/theirs-{number}.gvmi"
            shutil.copy(self.image, image)
            with open(image, "r+b") as file:  # another image each time, of several chunks
                file.seek(200)
                file.write(os.urandom(5_000_000))
            image_hash = sha3(content(image))
            said = self.push(other_clients.uploader_0_3(), *arguments, image=image)
            self.assertIn("image validated successfully", said)
            self.assert_downloads(self.yapapi(image_hash=image_hash))
            if number == 1:
                self.assertEqual(self.yapapi(image_tag="alice/theirs:2").split(":")[2], image_hash)
            pulled = f"{self.work}/pulled-{number}.gvmi"
            run(BIN + "/gvmi", "pull", image_hash, "--output", pulled, env=self.environment())
            self.assertEqual(content(pulled), content(image))

    def test_both_uploaders_know_each_others_descriptors_and_chunks(self):
        image = self.work + "/shared.gvmi"
        with open(image, "wb") as file:
            file.write(os.urandom(7_000_000))
        theirs = run(other_clients.uploader_0_3(), "-d", image, env=self.environment(), cwd=self.work)
        image_hash = sha3(content(image))
        self.assertIn(" -- image link (for use in SDK): " + image_hash, theirs)
        descriptor = content(image + ".descr.bin")
        ours = self.push(BIN + "/gvmkit-build", "--push", "--nologin", image=image)
        self.assertIn("Image link (for use in SDK): " + image_hash, ours)
        self.assertEqual(content(image + ".descr.bin"), descriptor)
        os.unlink(image + ".descr.bin")
        self.push(BIN + "/gvmkit-build", image=image)
        self.assertEqual(content(image + ".descr.bin"), descriptor)
        self.assertIn("image already uploaded", self.push(other_clients.uploader_0_3(), "--push", "--nologin", image=image))

    def test_uploader_0_3_is_refused_with_a_reason(self):
        done = run(other_clients.uploader_0_3(), "-d", self.image, "--push-to", "bob/app:1", env=self.environment(), cwd=self.work, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("alice may not write to the repositories of bob", done.stdout)


if __name__ == "__main__":
    registry_server.take_parameters()
    BIN = os.path.abspath(sys.argv[1])
    unittest.main(argv=sys.argv[:1], verbosity=2)
