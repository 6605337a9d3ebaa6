#!/usr/bin/env python3
"""gvmkit-registry on a data base that an older one has made.

test_registry_server_migration.py BIN
"""

import hashlib
import os
import random
import sqlite3
import subprocess
import time

import registry_server as registry
from sanitized import memory_limit

HERE = os.path.dirname(os.path.abspath(__file__))
UPLOADS, CHUNKS = 200, 1000


class Migration(registry.Case):
    def old_database(self, image):
        """Of version 1, with an image that is stored and tagged, and the descriptors of strangers."""
        self.assertEqual(self.server.stop(), 0)
        for name in os.listdir(self.server.data):
            if name.startswith("registry.sqlite"):
                os.remove(os.path.join(self.server.data, name))
        db = sqlite3.connect(self.server.data + "/registry.sqlite")
        with open(HERE + "/../unit/registry/server/version_1.sql", encoding="ascii") as file:
            db.executescript("PRAGMA journal_mode = WAL;" + file.read())
        uploads, ties = [(image.id, image.descriptor, image.sha3, image.size, 1)], [(chunk, image.id) for chunk in image.chunks]
        numbers = random.Random(1)
        for _ in range(UPLOADS):
            chunks = [numbers.randbytes(32).hex() for _ in range(CHUNKS)]
            descriptor = registry.describe(CHUNKS << 16, 1 << 16, "0" * 56, chunks)
            upload = hashlib.sha256(descriptor).hexdigest()
            uploads.append((upload, descriptor, "0" * 56, CHUNKS << 16, 0))
            ties += [(chunk, upload) for chunk in chunks]
        db.executemany("INSERT INTO uploads (id, descriptor, sha3, size, state, touched) VALUES (?, ?, ?, ?, ?, 1)", uploads)
        db.executemany("INSERT OR IGNORE INTO upload_chunks VALUES (?, ?)", sorted(ties))
        db.execute("INSERT INTO users VALUES ('alice', NULL, 0)")
        db.execute("INSERT INTO repositories VALUES (1, 'alice', 'tools')")
        db.execute("INSERT INTO tags VALUES (1, '1.0', ?, 0)", (image.id,))
        db.commit()
        db.close()

    def begin(self):
        """A start that is killed in the middle of the migration."""
        process = subprocess.Popen([self.program, "serve", "--data", self.server.data, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        log, deadline = self.server.data + "/registry.sqlite-wal", time.monotonic() + 60
        while not os.path.exists(log) or os.path.getsize(log) < random.randrange(1 << 20, 20 << 20):
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(process.poll(), "it ended before it was killed")
        process.kill()
        said, errors = process.communicate(timeout=30)
        self.assertEqual(said, "")
        self.assertRegex(errors, r"bringing the data base from version 1 to \d+;")

    def test_a_kill_in_the_middle_leaves_the_old_one(self):
        image = self.pushed()
        self.old_database(image)
        for _ in range(3):
            self.begin()
            db = sqlite3.connect(self.server.data + "/registry.sqlite")
            self.assertEqual(db.execute("PRAGMA user_version").fetchone(), (1,))
            self.assertEqual(db.execute("SELECT COUNT(*) FROM upload_chunks").fetchone(), (UPLOADS * CHUNKS + len(image.chunks),))
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            db.close()
        self.server.start()
        memory = self.server.memory()
        print(f"memory of a start that brings {UPLOADS * CHUNKS:,} rows up to date: {memory >> 20} MiB")
        self.assertLess(memory, memory_limit(100 << 20))
        self.client = self.server.client()
        self.assertEqual(self.info("tag=alice/tools:1.0")["sha3"], image.sha3)
        self.assertEqual(registry.sha3(self.client.get("/download/" + image.id)[2]), image.sha3)
        self.assertEqual(self.server.run("fsck"), "no errors found\n")
        self.server.run("gc", "--keep-anonymous", "1")  # beside the server's own
        deadline = time.monotonic() + 60
        db = sqlite3.connect(self.server.data + "/registry.sqlite")
        while db.execute("SELECT COUNT(*) FROM uploads").fetchone() != (1,):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertEqual(db.execute("SELECT COUNT(*) FROM chunks").fetchone(), (len(image.chunks),))
        db.close()
        self.assertEqual(self.server.run("fsck"), "no errors found\n")
        self.assertEqual(self.server.stop(), 0)

    def test_a_token_is_all_that_is_printed(self):
        """The data base may be brought up to date by any command, also by one whose output a script reads."""
        self.old_database(self.pushed())
        made = subprocess.run([self.program, "token", "create", "alice", "--data", self.server.data], capture_output=True, text=True, timeout=120,
                              check=True)
        self.assertEqual(len(made.stdout.split()), 1, made.stdout)
        self.assertIn("the data base is up to date", made.stderr)


registry.main()
