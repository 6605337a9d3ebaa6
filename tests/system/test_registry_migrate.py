#!/usr/bin/env python3
"""`gvmkit-registry migrate`: a folder with SQLite to PostgreSQL and S3, and back, killed in the middle, while the source serves reads.

test_registry_migrate.py BIN --pair
"""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

import registry_server as registry
import s3_server


class Migrate(registry.Case):
    """The source is a folder."""

    def setUp(self):
        self.cluster, self.store = registry.Server.cluster, registry.Server.store
        registry.Server.store = None
        self.server = registry.Server(self.program)
        registry.Server.store = self.store
        self.addCleanup(self.server.remove)
        self.server.start()
        self.client = self.server.client()

    def fill(self):
        """Everything that a registry has, and images that share chunks."""
        self.token = self.server.user("alice", "--quota", "1GB")
        self.server.user("bob")
        first = self.tagged(self.token, size=24 << 20, chunk_size=1 << 20)
        images = [first] + [self.tagged(self.token, repository="other", tag=f"{number}", size=2_000_000) for number in range(3)]
        path = f"{registry.WORK}/{random.getrandbits(64):x}"
        shutil.copy(first.path, path)
        with open(path, "ab") as file:
            file.write(os.urandom(100))
        images.append(registry.Image(path, 1 << 20))
        self.client.push(images[-1])
        self.client.wait_full(images[-1].id)
        self.half = self.image()
        self.client.push_descriptor(self.half.descriptor)
        self.client.push_chunk(self.half, 1)
        self.server.run("block", "add", "ab" * 32, "--reason", "a\tlong 'reason' \\x00 of ünicode")
        self.info("tag=alice/tools:1.0&count=true")
        self.assertEqual(self.server.stop(), 0)  # saves the count
        return images

    def read_only(self):
        self.server.options = ("--read-only",)
        self.client = self.server.start().client()

    def command(self, source, target):
        options = [self.program, "migrate", *source.place(), *source.store_options, "--to-data", target.data]
        options += ["--to-db", target.db] if target.db else []
        return options + [option.replace("--", "--to-", 1) for option in target.store_options]

    def migrate(self, source, target, check=True):
        done = subprocess.run(self.command(source, target), capture_output=True, text=True, timeout=300, check=False, env=dict(os.environ, **s3_server.KEYS))
        self.assertEqual(done.returncode == 0, check, done.stderr)
        return done.stdout if check else done.stderr

    def kill_in_the_middle(self, source, target, enough):
        process = subprocess.Popen(self.command(source, target), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, **s3_server.KEYS))
        deadline = time.monotonic() + 60
        while not enough() and process.poll() is None:
            self.assertLess(time.monotonic(), deadline)
        process.kill()
        return process.wait(20) == -signal.SIGKILL

    def stored(self, server):
        return sum(len(files) for _, _, files in os.walk(server.chunks))

    def other(self, like=None):
        """On PostgreSQL and S3, or, with `like` a folder, there."""
        if like:
            registry.Server.store = None
        target = registry.Server(self.program, db=None if like else registry.new_db(), data=like)
        registry.Server.store = self.store
        self.addCleanup(target.remove)
        return target

    def assert_same(self, server, images):
        client = server.client()
        for image in images:
            self.assertEqual(registry.sha3(client.get("/download/" + image.id)[2]), image.sha3)
        self.assertEqual(client.status(self.half.id)["chunks"], [0, 1, 0])
        self.assertEqual(client.post_json("/auth/pat/login", {"username": "alice", "password": self.token})[0], 200)
        self.assertEqual(server.run("fsck"), "no errors found\n")
        listings = [server.run(*command) for command in (("repo", "list"), ("user", "list"), ("token", "list", "alice"), ("block", "list"))]
        self.assertIn("1 uses", listings[0])
        return listings

    def test_there_and_back(self):
        images = self.fill()
        with sqlite3.connect(self.server.data + "/registry.sqlite") as rows:
            tables = [name for name, in rows.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
            counts = {table: rows.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables}
        self.assertGreater(counts["upload_chunks"], 30)
        self.read_only()
        target = self.other()
        # Readers see nothing of it; writers are told to come again.
        stop, wrong = threading.Event(), []
        def read():
            client = self.server.client()
            while not stop.is_set():
                code, _, body = client.get("/download/" + images[1].id)
                if (code, registry.sha3(body)) != (200, images[1].sha3):
                    wrong.append(code)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            self.assertTrue(self.kill_in_the_middle(self.server, target, lambda: self.stored(target) >= 5))
            there = self.stored(target)
            self.assertEqual(self.cluster.sql("SELECT COUNT(*) FROM uploads", target.db.rsplit("%3D", 1)[1]) if self.tables(target) else "0", "0")
            said = self.migrate(self.server, target)
        finally:
            stop.set()
            reader.join()
        self.assertEqual(wrong, [])
        code, headers, _ = self.client.push_descriptor(self.half.descriptor)
        self.assertEqual((code, headers["Retry-After"]), (503, "60"))
        total = self.stored(self.server)
        self.assertRegex(said, rf"^copied \d+ chunks of [\d.]+ MiB, \d+ were there; {sum(counts.values())} rows; all compared\n$")
        copied, before = int(said.split()[1]), int(said.split(" were")[0].split()[-1])
        self.assertEqual(copied + before, total)
        self.assertGreaterEqual(before, min(there, 5))
        schema = target.db.rsplit("%3D", 1)[1]
        self.assertEqual({table: int(self.cluster.sql(f"SELECT COUNT(*) FROM {table}", schema)) for table in tables}, counts)
        # Once more: nothing is left to do.
        self.assertIn(f"copied 0 chunks of 0 B, {total} were there; {sum(counts.values())} rows", self.migrate(self.server, target))
        self.server.options = ()
        self.server.stop()
        here = self.assert_same(self.server.start(), images)
        self.server.stop()
        self.assertEqual(self.assert_same(target.start(), images), here)
        # It is a registry like any: what is counted goes on.
        target.run("token", "create", "alice")
        self.client = target.client()
        self.tagged(self.token, tag="2.0")
        self.assertEqual(self.client.push(self.half), [0, 2])
        self.client.wait_full(self.half.id)
        self.half = self.image()
        self.client.push_descriptor(self.half.descriptor)
        self.client.push_chunk(self.half, 1)
        self.assertEqual(target.stop(), 0)

        # And back, into another folder.
        target.options = ("--read-only",)
        target.start()
        back = self.other(tempfile.mkdtemp(dir=registry.WORK))
        self.assertTrue(self.kill_in_the_middle(target, back, lambda: self.stored(back) >= 5))
        self.migrate(target, back)
        self.assertEqual(target.stop(), 0)
        target.options = ()
        there = self.assert_same(target.start(), images)
        self.assertEqual(self.assert_same(back.start(), images), there)
        self.assertEqual(os.listdir(back.data + "/incoming"), [])
        back.run("token", "create", "alice")
        self.client = back.client()
        self.tagged(self.token, tag="3.0")

    def tables(self, target):
        schema = target.db.rsplit("%3D", 1)[1]
        return self.cluster.sql(f"SELECT 1 FROM pg_tables WHERE schemaname = '{schema}' AND tablename = 'uploads'", schema)

    def test_only_the_store_moves(self):
        images = self.fill()
        self.read_only()
        target = self.other()
        target.data, target.db = self.server.data, None
        self.assertRegex(self.migrate(self.server, target), r"^copied \d+ chunks of [\d.]+ MiB, 0 were there; 0 rows; all compared\n$")
        self.server.stop()
        self.server.options, self.server.store_options, self.server.environment = (), target.store_options, target.environment
        self.assert_same(self.server.start(), images)

    def test_what_is_refused(self):
        self.fill()
        self.read_only()
        self.assertIn("are the same registry", self.migrate(self.server, self.server, check=False))
        target = self.other()
        self.migrate(self.server, target)
        target.run("user", "add", "carol")
        self.assertIn("has rows already, and others than the source", self.migrate(self.server, target, check=False))
        # A folder that another one serves.
        served = self.other(tempfile.mkdtemp(dir=registry.WORK))
        served.start()
        self.assertIn("is in use by another gvmkit-registry", self.migrate(self.server, served, check=False))
        # A chunk that is broken at either place.
        for where in (self.server, target):
            folder = next(folder for folder, _, files in os.walk(where.chunks) if files)
            name = os.listdir(folder)[0]
            with open(f"{folder}/{name}", "rb") as file:
                whole = file.read()
            with open(f"{folder}/{name}", "r+b") as file:
                file.write(b"broken")
            again = self.other() if where is self.server else target
            self.assertRegex(self.migrate(self.server, again, check=False), rf"chunk {name} ")
            with open(f"{folder}/{name}", "r+b") as file:
                file.write(whole)


registry.main()
