#!/usr/bin/env python3
"""What a registry keeps, and for how long: --ttl, immutable tags, rules of repositories.

test_registry_rules.py BIN
"""

import calendar
import json
import os
import re
import subprocess
import time

import registry_server as registry

HOUR, DAY = 3600, 86400


def seconds_of(text):
    """Since 1970."""
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


class Rules(registry.Case):
    def setUp(self):
        super().setUp()
        self.token = self.server.user("alice")

    def attach(self, image, name, **other):
        repository, tag = name.split(":")
        code, _, body = self.client.attach(image.id, "alice", repository, tag, "alice", self.token, **other)
        return code, body.decode()

    def later(self, seconds):
        """Makes all times older."""
        for table, column in (("tags", "expires"), ("uploads", "expires"), ("tags", "changed")):
            self.server.sql(f"UPDATE {table} SET {column} = {column} - {seconds} WHERE {column} > 0")

    def wait_gone(self, path, seconds=30):
        deadline = time.monotonic() + seconds
        while self.code(path) != 404:
            self.assertLess(time.monotonic(), deadline, path + " does not go")
            time.sleep(0.1)

    def test_a_tag_with_a_time(self):
        image = self.pushed(size=1000)
        plain = self.client.get("/v1/image/descr/" + image.id)[2]
        self.assertEqual(set(json.loads(plain)), {"descriptor", "version", "status", "chunks"})
        self.assertEqual(self.attach(image, "tools:brief", ttl=HOUR, check="true")[0], 200)
        now = time.time()
        code, text = self.attach(image, "tools:brief", ttl=HOUR)
        self.assertEqual(code, 200, text)
        self.assertEqual(self.attach(image, "tools:long"), (200, "alice/tools:long is set\n"))
        expires = seconds_of(self.info("tag=alice/tools:brief")["expires"])
        self.assertTrue(now + HOUR - 2 <= expires <= time.time() + HOUR + 2, expires)
        for query in ("tag=alice/tools:long", "hash=" + image.sha3):
            self.assertEqual(set(self.info(query)), {"http", "https", "sha3", "size"})
        self.assertIn("Removed at", self.client.get("/image/alice/tools:brief")[2].decode())
        self.assertNotIn("Removed at", self.client.get("/image/alice/tools:long")[2].decode())
        self.later(HOUR - 300)
        time.sleep(1)
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:brief"), 200)
        self.later(600)
        self.wait_gone("/v1/image/info?tag=alice/tools:brief")
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:long"), 200)
        # Set again without a time, a tag stays.
        self.attach(image, "tools:brief", ttl=60)
        self.attach(image, "tools:brief")
        self.later(2 * HOUR)
        time.sleep(12)
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:brief"), 200)

    def test_an_upload_with_a_time(self):
        image = self.image(size=1000)
        code, _, body = self.client.post_form("/v1/image/push/descr", {"ttl": DAY}, image.descriptor)
        self.assertEqual(code, 200, body)
        self.client.push(image)
        self.client.wait_full(image.id)
        self.client.push_descriptor(image.descriptor)  # does not keep it
        self.assertTrue(time.time() + DAY - 60 < seconds_of(self.client.status(image.id)["expires"]) <= time.time() + DAY)
        self.later(2 * DAY)
        self.wait_gone("/v1/image/info?hash=" + image.sha3)
        self.server.run("gc")
        self.assertEqual([name for _, _, files in os.walk(self.server.chunks) for name in files], [])
        self.assertEqual(self.server.run("fsck").splitlines()[-1], "no errors found")

    def test_gc_does_it_too(self):
        image = self.pushed(size=1000)
        self.attach(image, "tools:1", ttl=60)
        self.attach(image, "tools:2")
        self.server.stop()
        self.later(100)
        audit = registry.WORK + "/gc.audit"
        self.assertIn("removed 1 tags", self.server.run("gc", "--audit-log", audit))
        with open(audit, encoding="ascii") as file:
            event = json.loads(file.read())
        self.assertEqual((event["event"], event["image"], event["by"]), ("delete", "alice/tools:1", "ttl"))
        self.client = self.server.start().client()
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:1"), 404)
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:2"), 200)

    def test_times_that_are_none(self):
        image = self.pushed(size=1000)
        for ttl in ("", "0", "59", "-1", "+60", "60s", "1e3", "315360001", "9" * 30, "\0", "6" * 4000):
            self.assertEqual(self.attach(image, "tools:1", ttl=ttl)[0], 400, ttl)
            self.assertEqual(self.client.post_form("/v1/image/push/descr", {"ttl": ttl}, image.descriptor)[0], 400, ttl)
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:1"), 404)

    def test_immutable_tags(self):
        one, two = self.pushed(size=1000), self.pushed(size=1000)
        self.attach(one, "tools:1")
        self.server.run("repo", "set", "alice/tools", "--immutable-tags", "on")
        for other in ({}, {"check": "true"}):
            code, text = self.attach(two, "tools:1", **other)
            self.assertEqual(code, 409)
            self.assertEqual(text, "alice/tools:1 is another image, and tags of this repository are immutable: choose another tag\n")
            self.assertEqual(self.attach(one, "tools:1", **other)[0], 200)
        self.assertEqual(self.attach(two, "tools:2")[0], 200)
        self.assertEqual(self.info("tag=alice/tools:1")["sha3"], one.sha3)
        self.assertIn("immutable", self.client.get("/image/alice/tools")[2].decode())
        self.server.run("repo", "set", "alice/tools", "--immutable-tags", "off")
        self.assertEqual(self.attach(two, "tools:1")[0], 200)

    def test_rules(self):
        image = self.pushed(size=1000)
        self.server.run("repo", "set", "alice/tools", "--keep", "2")
        for tag in range(5):
            self.attach(image, f"tools:{tag}")
            self.later(DAY)
        self.attach(image, "other:1")
        self.assertIn("removed 3 tags", self.server.run("gc"))
        self.assertEqual([self.code(f"/v1/image/info?tag=alice/tools:{tag}") for tag in range(5)], [404, 404, 404, 200, 200])
        self.assertEqual(self.code("/v1/image/info?tag=alice/other:1"), 200)
        self.server.run("repo", "set", "alice/tools", "--keep", "0", "--keep-younger-than", "36h")
        self.server.run("gc")
        self.assertEqual([self.code(f"/v1/image/info?tag=alice/tools:{tag}") for tag in (3, 4)], [404, 200])
        for wrong in (("--keep", "-1"), ("--keep", "x"), ("--keep", "1000001"), ("--keep-younger-than", "30"), ("--immutable-tags", "maybe"), ()):
            done = self.server.run("repo", "set", "alice/tools", *wrong, check=False)
            self.assertNotEqual(done.returncode, 0, wrong)
        self.assertNotEqual(self.server.run("repo", "set", "nobody/tools", "--keep", "1", check=False).returncode, 0)
        self.assertNotEqual(self.server.run("repo", "set", "alice/tools:1", "--keep", "1", check=False).returncode, 0)

    def test_gvmkit_build(self):
        """Ours: the option, what it prints, and what an immutable tag tells."""
        build = os.path.dirname(self.program) + "/gvmkit-build"
        if not os.path.exists(build):
            self.skipTest("gvmkit-build is not built")
        image = self.image(size=3_000_000)
        os.makedirs(registry.WORK + "/home", exist_ok=True)
        environment = {"PATH": os.environ["PATH"], "HOME": registry.WORK + "/home", "REGISTRY_URL": self.server.url, "REGISTRY_USER": "alice",
                       "REGISTRY_TOKEN": self.token}

        def run(*arguments):
            done = subprocess.run([build, "-d", image.path, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
                                  check=False, cwd=registry.WORK, env=environment)
            return done.returncode, done.stdout

        code, text = run("--push-to", "alice/tools:1", "--ttl", "7d")
        self.assertEqual(code, 0, text)
        expires = seconds_of(re.search(r"expires at (\S+)", text).group(1))
        self.assertTrue(abs(time.time() + 7 * DAY - expires) < 60)
        self.assertEqual(self.info("tag=alice/tools:1")["expires"], re.search(r"expires at (\S+)", text).group(1))
        code, text = run("--push", "--nologin", "--ttl", "12h")  # the upload has its time already
        self.assertEqual(code, 0, text)
        self.assertIn("expires at", text)
        self.assertEqual(run("--push-to", "alice/tools:1")[0], 0)
        self.assertNotIn("expires", self.info("tag=alice/tools:1"))
        for wrong in (["--ttl", "7"], ["--ttl", "10s"], ["--ttl", "x"]):
            code, text = run("--push-to", "alice/tools:1", *wrong)
            self.assertNotEqual(code, 0, text)
        self.assertNotEqual(run("--ttl", "7d")[0], 0)
        self.server.run("repo", "set", "alice/tools", "--immutable-tags", "on")
        image = self.image(size=3_000_000)
        code, text = run("--push-to", "alice/tools:1")
        self.assertEqual(code, 1)
        self.assertIn("alice/tools:1 is another image, and tags of this repository are immutable: choose another tag", text)
        self.assertEqual(self.client.status(image.id)["chunks"], [0, 0])  # nothing was sent in vain


if __name__ == "__main__":
    registry.main()
