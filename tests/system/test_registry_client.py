#!/usr/bin/env python3
"""gvmkit-build's pushes and `gvmi pull`, against a registry of ours: options, breaks, versions.

test_registry_client.py BIN
"""

import contextlib
import hashlib
import io
import json
import os
import pty
import random
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

import counting_proxy
import docker_archive
import other_clients
import registry_server

MIB = 1 << 20
WORKERS = 4  # connections of a push


def content(path):
    with open(path, "rb") as file:
        return file.read()


def sha3(path):
    whole = hashlib.sha3_224()
    with open(path, "rb") as file:
        while data := file.read(16 * MIB):
            whole.update(data)
    return whole.hexdigest()


class Client(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="gvmkit-client.")
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)
        self.server = registry_server.server(BIN + "/gvmkit-registry")
        self.addCleanup(self.server.remove)
        self.server.start()
        self.token = self.server.user("alice")
        self.environment = {"PATH": os.environ["PATH"], "HOME": self.work + "/home", "REGISTRY_URL": self.server.url}
        os.makedirs(self.work + "/home")

    def run_program(self, program, *arguments, check=True, stdin="", **environment):
        done = subprocess.run([program if "/" in program else f"{BIN}/{program}", *arguments], input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=300, check=False, cwd=self.work,
                              env={**self.environment, **environment})
        self.assertNotIn(done.returncode, range(-64, 0), done.stdout)
        if check:
            self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout if check else done

    def login(self):
        return {"REGISTRY_USER": "alice", "REGISTRY_TOKEN": self.token}

    def file(self, name, size):
        with open(f"{self.work}/{name}", "wb") as file:
            while size > 0:
                size -= file.write(os.urandom(min(size, 16 * MIB)))
        return f"{self.work}/{name}"

    def assert_pulls(self, what, image):
        self.run_program("gvmi", "pull", what, "--output", "pulled")
        self.assertTrue(content(self.work + "/pulled") == content(image))
        os.unlink(self.work + "/pulled")

    def test_a_converted_image_is_pushed_and_pulled(self):
        layer = docker_archive.tree([])
        docker_archive.save(self.work + "/app.tar", layer, {"Cmd": ["sh"]})
        said = self.run_program("gvmkit-build", "--output", "app.gvmi", "--push-to", "alice/app:1.0", "--extra-json-info-path", "info.json",
                                "app.tar", **self.login())
        image = self.work + "/app.gvmi"
        image_hash = sha3(image)
        descriptor = content(image + ".descr.bin")
        upload = hashlib.sha256(descriptor).hexdigest()
        for line in [f"Logging in to golem registry: {self.server.url}", f" -- image link (for use in SDK): {image_hash}",
                     " -- image validated successfully", f" -- download link: {self.server.url}/download/{upload}",
                     f"image hash: {image_hash}", "image tag: alice/app:1.0",
                     f'yapapi:   package = await vm.repo(image_tag="alice/app:1.0", repository_url="{self.server.url}")',
                     'golem-js: demand: { workload: { imageTag: "alice/app:1.0" } }']:
            self.assertIn(line + "\n", said)
        self.assertEqual(json.loads(content(self.work + "/info.json")),
                         {"hash": upload, "imagePath": "app.gvmi", "imageDescrPath": "app.gvmi.descr.bin",
                          "repoInfo": {"url": self.server.url, "user": "alice", "repo": "app", "tag": "1.0"}})
        again = self.run_program("gvmkit-build", "--output", "app.gvmi", "--push-to", "alice/app", "app.tar", **self.login())
        self.assertIn(f"Image link (for use in SDK): {image_hash}\n", again)
        self.assertIn("0 of 1 chunks", again)
        for what in ["alice/app:1.0", "alice/app", image_hash, "sha3:" + image_hash, f"{self.server.url}/download/{upload}",
                     f"{self.server.url}/v1/image/download?tag=alice/app:1.0", f"hash:sha3:{image_hash}:{self.server.url}/download/{upload}"]:
            self.assert_pulls(what, image)
        self.assertEqual(content(image + ".descr.bin"), descriptor)
        for what in ["alice/app:1.0", image_hash]:
            self.run_program("gvmi", "manifest", "create", what)
            payload = json.loads(content(self.work + "/manifest.json"))["payload"][0]
            self.assertEqual((payload["urls"], payload["hash"]), ([f"{self.server.url}/download/{upload}"], "sha3:" + image_hash))

    def test_the_login_is_kept_tried_and_forgotten(self):
        kept = self.work + "/home/.config/gvmkit/credentials.json"
        wrong = self.run_program("gvmkit-build", "--login", stdin="alice\nwrong\n", check=False)
        self.assertEqual(wrong.returncode, 1)
        self.assertFalse(os.path.exists(kept))
        self.run_program("gvmkit-build", "--login", stdin=f"alice\n{self.token}\n")
        self.assertEqual(stat.S_IMODE(os.stat(kept).st_mode), 0o600)
        self.run_program("gvmkit-build", "--login-check")
        image = self.file("a.gvmi", 100_000)
        self.run_program("gvmkit-build", "-d", image, "--push-to", "alice/kept:1")
        self.assert_pulls("alice/kept:1", image)
        # The token of one registry is not sent to another, and both variables count only together.
        other = self.run_program("gvmkit-build", "-d", image, "--push-to", "alice/kept:1", check=False, REGISTRY_URL="http://127.0.0.1:1",
                                 REGISTRY_USER="alice")
        self.assertIn("error: not logged in to http://127.0.0.1:1", other.stdout)
        self.run_program("gvmkit-build", "--logout")
        gone = self.run_program("gvmkit-build", "--login-check", check=False)
        self.assertEqual(gone.returncode, 1)
        self.assertIn("error: not logged in", gone.stdout)

    def test_a_token_that_is_typed_is_not_shown(self):
        terminal, screen = pty.openpty()
        shown = Drain(terminal)
        with subprocess.Popen([BIN + "/gvmkit-build", "--login"], env=self.environment, stdin=screen, stdout=screen, stderr=screen) as client:
            for question, answer in [("username: ", "alice"), ("access token: ", self.token)]:
                shown.wait_for(question)
                os.write(terminal, answer.encode() + b"\n")
            self.assertEqual(client.wait(60), 0)
            os.close(screen)
        self.assertIn("alice", shown.text())
        self.assertIn("successfully logged in", shown.text())
        self.assertNotIn(self.token, shown.text())

    def push_in(self, folder, image, **environment):
        return subprocess.run([BIN + "/gvmkit-build", "-d", image, "--push-to", "alice/env:1"], cwd=folder, env={**self.environment, **environment},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)

    def test_an_env_file_says_where_and_who(self):
        os.makedirs(self.work + "/a/b")
        with open(self.work + "/a/.env", "w", encoding="ascii") as file:
            file.write(f"REGISTRY_URL={self.server.url}/\nexport REGISTRY_USER=alice\nREGISTRY_TOKEN='{self.token}'\n")
        image = self.file("a.gvmi", 100_000)
        del self.environment["REGISTRY_URL"]
        done = self.push_in(self.work + "/a", image)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"registry: {self.server.url} (from {self.work}/a/.env)\n", done.stdout)
        self.assertIn(f"Uploading image to golem registry: {self.server.url}\n", done.stdout)
        os.chmod(self.work + "/a/.env", 0o664)
        done = subprocess.run([BIN + "/gvmkit-build", "--login-check"], cwd=self.work + "/a", env=self.environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        self.assertIn(f"note: {self.work}/a/.env is not used: others may write to it\n", done.stdout)
        self.assertIn("error: not logged in to https://registry.golem.network\n", done.stdout)

    def test_a_token_goes_nowhere_but_where_its_owner_said(self):
        """A stranger's .env, here or above, must not send the environment's token to its server."""
        os.makedirs(self.work + "/stranger/below")
        with contextlib.closing(counting_proxy.Proxy(self.server.url)) as stranger, open(self.work + "/stranger/.env", "w", encoding="ascii") as file:
            file.write(f"REGISTRY_URL={stranger.url}\n")
            file.flush()
            image = self.file("a.gvmi", 100_000)
            for folder in (self.work + "/stranger", self.work + "/stranger/below"):
                done = self.push_in(folder, image, **self.login())
                self.assertEqual(done.returncode, 0, done.stdout)
                self.assertIn(f"registry: {self.server.url} (from the environment)\n", done.stdout)
            self.assertEqual(stranger.bytes, 0)

    def test_a_token_is_not_sent_in_clear(self):
        image = self.file("a.gvmi", 100_000)
        done = self.push_in(self.work, image, REGISTRY_URL="http://registry.invalid", **self.login())
        self.assertEqual(done.returncode, 1)
        self.assertIn("error: no token is sent to http://registry.invalid, where anybody on the way could read it: use https, or --allow-http\n",
                      done.stdout)

    def test_what_is_refused_is_refused_before_a_byte_is_sent(self):
        image = self.file("a.gvmi", 100_000)
        for status, arguments, reason in [
                (2, ["-d", image, "--push-to", "alice/a:1", "--nologin"], "--push-to and --nologin are incompatible"),
                (2, ["-d", image, "--push"], "--push takes the name from IMAGE"),
                (2, [], "IMAGE is required"),
                (1, ["-d", image, "--push-to", "alice/../a:1"], "is not an image's name"),
                (1, ["-d", image, "--push-to", "bob/a:1"], "alice may not write to the repositories of bob"),
                (1, ["-d", image + "x", "--push", "--nologin"], "No such file"),
                (1, ["-d", self.work, "--push", "--nologin"], "not a file")]:
            done = self.run_program("gvmkit-build", *arguments, check=False, **self.login())
            self.assertEqual(done.returncode, status, done.stdout)
            self.assertIn(reason, done.stdout)
        client = self.server.client()
        self.addCleanup(client.http.close)
        self.assertEqual(client.status(hashlib.sha256(content(image + ".descr.bin")).hexdigest())["chunks"], [0])

    def test_tls_is_spoken_and_certificates_are_checked(self):
        key, certificate = self.work + "/key.pem", self.work + "/certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
                        "-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=60)
        server = registry_server.server(BIN + "/gvmkit-registry", "--tls-certificate", certificate, "--tls-key", key)
        self.addCleanup(server.remove)
        server.start()
        self.assertTrue(server.url.startswith("https://"))
        image = self.file("a.gvmi", 5_000_000)
        refused = self.run_program("gvmkit-build", "-d", image, "--push", "--nologin", check=False, REGISTRY_URL=server.url)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("certificate", refused.stdout)
        trusted = {"REGISTRY_URL": server.url, "SSL_CERT_FILE": certificate}
        self.run_program("gvmkit-build", "-d", image, "--push", "--nologin", **trusted)
        self.run_program("gvmi", "pull", sha3(image), "--output", "pulled", **trusted)
        self.assertTrue(content(self.work + "/pulled") == content(image))

    def test_an_image_that_changed_behind_its_descriptor_is_not_sent(self):
        image = self.file("a.gvmi", 100_000)
        self.run_program("gvmkit-build", "-d", image)
        times = os.stat(image)
        with open(image, "r+b") as file:
            file.write(b"another beginning")
        os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
        done = self.run_program("gvmkit-build", "-d", image, "--push", "--nologin", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is not what", done.stdout)

    def big_push(self):
        """A proxy that counts, an image of 300 MB, and the command line and the environment of a push of it in chunks of 1 MB."""
        proxy = counting_proxy.Proxy(self.server.url)
        self.addCleanup(proxy.close)
        image = self.file("big.gvmi", 300_000_000)
        command = [BIN + "/gvmkit-build", "-d", image, "--push-to", "alice/big:1", "--upload-chunk-size", "1000000",
                   "--upload-workers", str(WORKERS)]
        return proxy, image, command, {**self.environment, **self.login(), "REGISTRY_URL": proxy.url}

    def test_a_client_killed_twenty_times_sends_nothing_twice(self):
        proxy, image, command, environment = self.big_push()
        chance = random.Random(1)
        kills = 0
        while True:
            wanted = proxy.count("stored") + chance.randint(1, 12)
            with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as client:
                while client.poll() is None and (kills >= 20 or proxy.count("stored") < wanted):
                    time.sleep(0.002)
                if client.poll() is None:
                    client.send_signal(signal.SIGKILL)
                    client.wait()
                    proxy.client_killed()
                    kills += 1
                elif client.returncode == 0:
                    break
        self.assertEqual(kills, 20)
        self.assert_whole_after_kills(proxy, image, kills * WORKERS)

    def assert_whole_after_kills(self, proxy, image, under_way):
        """Of 300 chunks of 1 MB only those that were under way at a kill were sent again, and the image is whole."""
        self.assertEqual(proxy.sent_again(), [])
        self.assertLessEqual(proxy.count("sent"), 300 + under_way)
        print(f"\n{proxy.count('sent')} chunks sent for 300, {proxy.bytes / 1e6:.0f} MB for 300 MB", file=sys.stderr)
        self.assertLess(proxy.bytes, 300_000_000 + under_way * 1_000_000 + 10_000_000)
        self.assert_pulls("alice/big:1", image)
        self.assertEqual(self.server.stop(), 0)
        self.server.run("fsck")

    def test_a_push_outlives_a_server_that_is_killed_twenty_times(self):
        proxy, image, command, environment = self.big_push()
        chance = random.Random(1)
        terminal, screen = pty.openpty()
        shown = Drain(terminal)
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=screen) as client:
            os.close(screen)
            kills = 0
            while kills < 20:
                wanted = proxy.count("stored") + chance.randint(1, 12)
                while client.poll() is None and proxy.count("stored") < wanted:
                    time.sleep(0.002)
                if client.poll() is not None:
                    break
                self.server.kill()
                self.server.start()
                kills += 1
            self.assertEqual(client.wait(120), 0, shown.text())
        self.assertEqual(kills, 20)
        self.assert_whole_after_kills(proxy, image, kills * WORKERS)
        self.assertRegex(shown.text(), r"\ruploading: \d+ % of 286\.1 MiB, \d+\.\d [KM]iB/s, \d+:\d\d left\x1b\[K")

    def versions(self):
        """Two versions of one image: 40 MB of a base layer, and a top layer in which one file changes."""
        images = []
        for version in [b"one\n", b"two, and longer\n"]:
            archive = f"{self.work}/{len(images)}.tar"
            layers = [docker_archive.tree([]), self.base_layer, self.top_layer(version)]
            save_layers(archive, layers)
            image = f"{self.work}/{len(images)}.gvmi"
            self.run_program("gvmkit-build", "--output", image, archive)
            images.append(image)
        return images

    @property
    def base_layer(self):
        if not hasattr(Client, "base"):
            layer = docker_archive.Layer()
            chance = random.Random(2)
            for number in range(200):
                layer.add(f"opt/data-{number}", data=chance.randbytes(200_000))
            layer.tar.close()
            Client.base = layer.bytes.getvalue()
        return Client.base

    def top_layer(self, text):
        layer = docker_archive.Layer()
        layer.folder("app")
        layer.add("app/version", data=text)
        layer.add("app/large", data=random.Random(3).randbytes(500_000))
        layer.tar.close()
        return layer.bytes.getvalue()

    def test_a_second_version_uploads_less_than_a_quarter(self):
        first, second = self.versions()
        size = os.path.getsize(second)
        self.assertGreater(size, 40_000_000)
        for program, name in [(BIN + "/gvmkit-build", "ours"), (other_clients.uploader_0_3(), "gvmkit-build 0.3")]:
            # A registry that has seen neither.
            server = registry_server.server(BIN + "/gvmkit-registry")
            self.addCleanup(server.remove)
            proxy = counting_proxy.Proxy(server.start().url)
            self.addCleanup(proxy.close)
            sent = []
            for image in [first, second]:
                before = proxy.bytes
                self.run_program(program, "-d", image, "--push", "--nologin", REGISTRY_URL=proxy.url)
                sent.append(proxy.bytes - before)
            print(f"\n{name}: {sent[0]} bytes, then {sent[1]} of {size}", file=sys.stderr)
            self.assertGreater(sent[0], size * 0.9)
            self.assertLess(sent[1], size / 4)

    def test_a_pull_that_is_killed_goes_on(self):
        image = self.file("big.gvmi", 100_000_000)
        self.run_program("gvmkit-build", "-d", image, "--push", "--nologin")
        image_hash = sha3(image)
        proxy = counting_proxy.Proxy(self.server.url)
        self.addCleanup(proxy.close)
        part = f"{self.work}/pulled.{image_hash[:16]}.part"
        kills, size = 0, 0
        for goal in [20_000_000, 50_000_000, 80_000_000]:
            proxy.allow(goal + 5_000_000 - size)
            with subprocess.Popen([BIN + "/gvmi", "pull", image_hash, "--output", "pulled"], cwd=self.work,
                                  env={**self.environment, "REGISTRY_URL": proxy.url}) as client:
                while client.poll() is None and not (os.path.exists(part) and os.path.getsize(part) > goal):
                    pass
                kills += client.poll() is None
                client.kill()
            size = os.path.getsize(part)
            self.assertFalse(os.path.exists(self.work + "/pulled"))
        proxy.allow(float("inf"))
        self.assertEqual(kills, 3)
        self.assertGreater(size, 80_000_000)
        self.assert_pulls(image_hash, image)
        self.assertFalse(os.path.exists(part))


class Drain:
    """Reads a terminal until its other end is closed."""

    def __init__(self, fd):
        self.fd, self.bytes = fd, b""
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        with contextlib.suppress(OSError):
            while data := os.read(self.fd, 4096):
                self.bytes += data
        os.close(self.fd)

    def wait_for(self, text):
        deadline = time.monotonic() + 60
        while not self.bytes.decode().endswith(text):
            assert time.monotonic() < deadline, self.bytes
            time.sleep(0.01)

    def text(self):
        self.thread.join(10)
        return self.bytes.decode()


def save_layers(path, layers):
    """A docker archive of several layers."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]}}).encode()
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": ["versions:latest"], "Layers": names}]
    with tarfile.open(path, "w") as archive:
        for name, data in [*zip(names, layers), ("config.json", config), ("manifest.json", json.dumps(manifest).encode())]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


if __name__ == "__main__":
    registry_server.take_parameters()
    BIN = os.path.abspath(sys.argv[1])
    unittest.main(argv=sys.argv[:1], verbosity=2)
