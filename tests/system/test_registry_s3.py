#!/usr/bin/env python3
"""gvmkit-registry on an S3 store that fails in every way, and thin images from it. The suites of the registry run on such a store, too.

test_registry_s3.py BIN --s3
"""

import contextlib
import hashlib
import http.client
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

import registry_server as registry
import s3_server
from store_proxy import StoreProxy

BIN = os.path.abspath(sys.argv[1])
LONGEST = 20  # seconds until a store that does not answer is given up, with some room for a slow machine


class Faults(registry.Case):
    """The registry reaches its store through a proxy."""

    def setUp(self):
        self.proxy = StoreProxy(registry.Server.store.port)
        self.addCleanup(self.proxy.close)
        self.server = registry.Server(self.program, *self.options)
        self.addCleanup(self.server.remove)
        self.server.store_options[self.server.store_options.index("--s3-endpoint") + 1] = f"http://127.0.0.1:{self.proxy.port}"
        self.server.start()
        self.client = self.server.client()

    def refused(self, answer):
        code, headers, body = answer
        self.assertEqual(code, 503, body)
        self.assertEqual(headers["Retry-After"], "5")

    def assert_whole(self, image):
        self.assertEqual(registry.sha3(self.client.get("/download/" + image.id)[2]), image.sha3)

    def test_slow_downs_and_cut_answers_are_not_seen(self):
        dice = random.Random(3)
        self.proxy.fault = lambda method, path: dice.choice([None] * 5 + ["slow down", "cut"])
        image = self.pushed(size=40 << 20, chunk_size=1 << 20)
        self.assert_whole(image)
        self.assertGreater(len(self.proxy.requests), 100)

    def test_a_store_that_is_down(self):
        image, half = self.pushed(), self.image()
        self.client.push_descriptor(half.descriptor)
        for fault in ("slow down", "hang"):
            self.proxy.fault = lambda method, path, fault=fault: fault
            for ask in (lambda: self.client.push_chunk(half, 0), lambda: self.client.get("/download/" + image.id)):
                begin = time.monotonic()
                self.refused(ask())
                self.assertLess(time.monotonic() - begin, 4 * LONGEST)
            # What needs no chunk is answered.
            self.assertEqual(self.client.request("HEAD", "/download/" + image.id)[0], 200)
            self.assertEqual(self.code("/v1/image/info?hash=" + image.sha3), 200)
            self.assertEqual(self.code("/healthz"), 200)
            self.assertEqual(self.client.status(image.id)["status"], "full")
        self.proxy.fault = lambda method, path: None
        time.sleep(2)
        self.refused_is_over(image)
        self.assertEqual(self.client.push(half), [0, 1, 2])
        self.client.wait_full(half.id)
        self.assert_whole(half)

    def refused_is_over(self, image):
        deadline = time.monotonic() + LONGEST
        while self.code("/download/" + image.id) != 200:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def test_a_download_from_a_store_that_hangs_is_answered(self):
        """After 4 s; clients wait 5 s for an answer's head."""
        image = self.pushed()
        self.proxy.fault = lambda method, path: "hang"
        begin = time.monotonic()
        self.refused(self.client.get("/download/" + image.id))
        print(f"a store that hangs is given up after {time.monotonic() - begin:.1f} s")
        self.assertLess(time.monotonic() - begin, LONGEST)

    def test_wrong_bytes_reach_nobody_whole(self):
        image = self.pushed()
        self.proxy.fault = lambda method, path: "wrong"
        with self.assertRaises(http.client.IncompleteRead) as caught:
            self.client.get("/download/" + image.id)
        self.assertLess(len(caught.exception.partial), image.chunk_size)

    def test_a_push_that_is_checked_from_wrong_bytes_is_not_full(self):
        self.proxy.fault = lambda method, path: "wrong"
        image = self.image()
        self.client.push(image)
        time.sleep(1)
        self.assertEqual(self.client.status(image.id)["status"], "partial")

    def test_a_store_that_starts_later(self):
        self.server.stop()
        self.proxy.fault = lambda method, path: "slow down"
        self.client = self.server.start().client()
        image = self.image()
        self.assertEqual(self.client.push_descriptor(image.descriptor)[0], 200)
        self.proxy.fault = lambda method, path: None
        self.client.push(image)
        self.client.wait_full(image.id)
        self.assert_whole(image)

    def test_a_status_asks_for_each_chunk_once(self):
        image = self.image(size=64 << 18, chunk_size=1 << 18)
        self.client.push_descriptor(image.descriptor)
        for number in range(0, 64, 2):
            self.client.push_chunk(image, number)
        self.proxy.requests.clear()
        begin = time.monotonic()
        for _ in range(20):
            self.assertEqual(self.client.status(image.id)["chunks"], [1, 0] * 32)
        seconds = time.monotonic() - begin
        heads = [path for method, path in self.proxy.requests if method == "HEAD"]
        self.assertLess(len(heads), 64 + 33 * (seconds + 2), f"in {seconds} s")  # what is missing is looked for once a second


class Places(registry.Case):
    def fails(self, *options, environment=None):
        data = tempfile.mkdtemp(dir=registry.WORK)
        done = subprocess.run([self.program, "serve", "--data", data, "--listen", "127.0.0.1:0", *options], capture_output=True, text=True,
                              env=environment or self.server.environment, timeout=60, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def test_what_cannot_be_a_store(self):
        store = registry.Server.store
        self.assertRegex(self.fails(*store.options("../x")), 'bad store "s3://images/../x"')
        self.assertIn("is not s3://BUCKET/PREFIX", self.fails("--store", "http://images"))
        self.assertIn("NoSuchBucket", self.fails("--store", "s3://other", *store.options("x")[2:]))
        keys = dict(self.server.environment, AWS_SECRET_ACCESS_KEY="wrong")
        self.assertIn("SignatureDoesNotMatch", self.fails(*store.options("x"), environment=keys))
        self.assertNotIn("wrong", self.fails(*store.options("x"), environment=keys))
        keys = {"HOME": registry.WORK, "PATH": os.environ["PATH"]}
        self.assertIn("no keys for the S3 store", self.fails(*store.options("x"), environment=keys))

    def test_keys_from_the_tools_file(self):
        path = registry.WORK + "/credentials"
        with open(path, "w", encoding="ascii") as file:
            file.write(f"[other]\naws_access_key_id = no\n[registry]\naws_access_key_id={s3_server.KEYS['AWS_ACCESS_KEY_ID']}\n"
                       f"aws_secret_access_key = {s3_server.KEYS['AWS_SECRET_ACCESS_KEY']}\n")
        self.server.stop()
        plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        self.server.environment = dict(plain, AWS_SHARED_CREDENTIALS_FILE=path, AWS_PROFILE="registry")
        self.client = self.server.start().client()
        image = self.pushed()
        self.assertEqual(registry.sha3(self.client.get("/download/" + image.id)[2]), image.sha3)

    def test_fsck_lists_what_no_row_knows(self):
        self.pushed()
        orphan = os.urandom(1000)
        name = hashlib.sha256(orphan).hexdigest()
        os.makedirs(f"{self.server.chunks}/{name[:2]}", exist_ok=True)
        for path in (f"{name[:2]}/{name}", "strange"):
            with open(f"{self.server.chunks}/{path}", "wb") as file:
                file.write(orphan)
        found = self.server.run("fsck")
        self.assertIn(f"chunk {name} (1000 bytes) is in no upload; gc removes it\n", found)
        self.assertRegex(found, r"s3://images/[0-9a-f]+/registry/chunks/strange is none of the registry's\n")
        self.assertTrue(found.endswith("no errors found\n"))
        self.assertIn("1 chunks of 1000 B", self.server.run("gc"))
        self.assertNotIn(name, self.server.run("fsck"))


class ThinImage(registry.Case):
    def run_program(self, name, *arguments, **options):
        done = subprocess.run([f"{BIN}/{name}", *arguments], capture_output=True, timeout=300, check=False, **options)
        self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace"))
        return done.stdout.decode()

    def prepare(self):
        """Before the VM starts."""

    def test_a_thin_image_runs_from_the_store(self):
        work = tempfile.mkdtemp(dir=registry.WORK)
        os.makedirs(work + "/tree/bin")
        os.makedirs(work + "/tree/data")
        for name in ("sh", "sha256sum"):
            shutil.copy("/bin/busybox", f"{work}/tree/bin/{name}")
        content = os.urandom(6 << 20)
        with open(work + "/tree/data/file", "wb") as file:
            file.write(content)
        token = self.server.user("alice")
        environment = dict(os.environ, REGISTRY_URL=self.server.url, REGISTRY_USER="alice", REGISTRY_TOKEN=token)
        self.run_program("gvmkit-build", "--hide-progress", "--no-lint", "--thin", "--push-to", "alice/thin:1", "-o", work + "/image.gvmi",
                         f"rootfs:{work}/tree", env=environment)
        self.run_program("gvmi", "pull", "alice/thin:1", "-o", work + "/thin.gvmi", env=environment)
        self.assertLess(os.path.getsize(work + "/thin.gvmi"), 100_000)
        self.prepare()
        seen = self.run_program("ya-runtime-vm", "--accel", "tcg", "--cache-dir", work + "/cache", "--thin-allow", "127.0.0.1", "-t", work + "/thin.gvmi",
                                "run", "--", "/bin/sh", "-c", "sha256sum /data/file")
        self.assertEqual(seen.split()[0], hashlib.sha256(content).hexdigest())


class SentThinImage(ThinImage):
    """The parts that the VM reads are sent by the store itself."""

    options = ("--redirect", "1GB")

    def prepare(self):
        with contextlib.closing(sqlite3.connect(self.server.data + "/registry.sqlite")) as data_base:
            ids = [row[0] for row in data_base.execute("SELECT id FROM uploads")]
        deadline = time.monotonic() + LONGEST
        for path in ("/download/" + name for name in ids):
            while self.code(path) != 302:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.1)

    def tearDown(self):
        super().tearDown()
        self.assertRegex(self.server.metrics(), "gvmkit_registry_redirects_total ([5-9]|[1-9][0-9])")


registry.main()
