#!/usr/bin/env python3
"""gvmkit-registry serve --redirect on a real S3 server: downloads of popular images are sent to one object in the store.

test_registry_redirect.py BIN --s3|--pair
"""

import base64
import concurrent.futures
import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.parse

import registry_server as registry
import s3_server
from store_proxy import StoreProxy

BIN = os.path.abspath(sys.argv[1])
sha3, fetch = registry.sha3, registry.fetch


class Redirect(registry.Case):
    options = ("--redirect", "1GB")

    def setUp(self):
        super().setUp()
        self.composed = os.path.dirname(self.server.chunks) + "/composed"

    def objects(self):
        with contextlib.suppress(FileNotFoundError):
            return sorted(os.listdir(self.composed))
        return []

    def wait(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def location(self, path):
        """Where an image is once it is composed; asks often enough for that."""
        deadline = time.monotonic() + 20
        while True:
            code, headers, body = self.client.get(path)
            if code == 302:
                self.assertEqual((body, headers["Cache-Control"]), (b"", "no-store"))
                return headers["Location"]
            self.assertEqual(code, 200, body)
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def streams(self, image):
        code, _, body = self.client.get("/download/" + image.id)
        self.assertEqual(code, 200)
        self.assertEqual(sha3(body), image.sha3)


class Downloads(Redirect):
    def test_the_first_are_streamed(self):
        image = self.pushed(size=45_000_000)
        path = "/download/" + image.id
        self.streams(image)
        self.assertEqual(self.client.get(path, Range="bytes=5-9")[0], 206)  # does not count
        time.sleep(0.5)
        self.assertEqual(self.objects(), [])
        url = self.location(path)
        self.assertTrue(url.startswith(registry.Server.store.url + "/images/"), url)
        self.assertEqual(re.search("X-Amz-Expires=([0-9]+)", url)[1], "60")
        self.assertNotIn(image.id, url)
        self.assertNotIn(s3_server.KEYS["AWS_SECRET_ACCESS_KEY"], urllib.parse.unquote(url))
        code, headers, body = fetch(url)
        self.assertEqual((code, headers["Content-Type"], sha3(body)), (200, "application/octet-stream", image.sha3))
        with open(image.path, "rb") as file:
            content = file.read()
        for text in ("3000000-", "16777210-16777220", "-7"):
            code, headers, _ = self.client.get(path, Range="bytes=" + text)
            self.assertEqual(code, 302)
            code, headers, body = fetch(headers["Location"], Range="bytes=" + text)
            first, last = re.fullmatch("bytes ([0-9]+)-([0-9]+)/45000000", headers["Content-Range"]).groups()
            self.assertEqual((code, body), (206, content[int(first):int(last) + 1]))
        # What the store cannot answer as we do is answered here.
        code, headers, _ = self.client.request("HEAD", path)
        self.assertEqual((code, headers["Content-Length"], headers["ETag"]), (200, "45000000", f'"{image.sha3}"'))
        self.assertEqual(self.client.get(path, Range="bytes=5-9", **{"If-Range": f'"{image.sha3}"'})[0], 206)
        code, headers, _ = self.client.get(path, Origin="https://example.org")
        self.assertEqual((code, headers["Access-Control-Allow-Origin"]), (200, "*"))
        self.assertIn("no errors found", self.server.run("fsck"))
        self.assertEqual(self.server.run("fsck").count("object"), 0)
        self.assertRegex(self.server.metrics(), "gvmkit_registry_redirects_total [1-9]")

    def test_a_changed_url_is_refused_by_the_store(self):
        image = self.pushed()
        url = self.location("/download/" + image.id)
        changed = url[:-1] + ("1" if url[-1] == "0" else "0")
        other = url.replace("/composed/", "/chunks/")
        longer = url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")
        self.assertEqual([fetch(text)[0] for text in (url, changed, other, longer)], [200, 403, 403, 403])
        self.assertEqual([fetch(url, method)[0] for method in ("PUT", "DELETE")], [403, 403])

    def test_many_at_once_have_it_composed_once(self):
        image = self.pushed(size=40_000_000)

        def pull(_):
            code, headers, body = self.server.client().get("/download/" + image.id)
            return sha3(body if code == 200 else fetch(headers["Location"])[2])

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertEqual(set(pool.map(pull, range(40))), {image.sha3})
        self.location("/download/" + image.id)
        self.assertEqual(len(self.objects()), 1)
        self.assertEqual(sum(map(int, re.findall("gvmkit_registry_images_composed_total ([0-9]+)", self.server.metrics()))), 1)


class End(Redirect):
    options = ("--redirect", "1GB", "--link-ttl", "4s")

    def test_a_blocked_image(self):
        image = self.pushed()
        for hash_ in (image.id, image.sha3, image.chunks[1]):
            path = "/download/" + image.id
            url = self.location(path)
            self.assertEqual(len(self.objects()), 1)
            self.server.run("block", "add", hash_)
            self.assertEqual(self.code(path), 451)
            self.wait(lambda: not self.objects(), 5)
            self.assertEqual(fetch(url)[0], 404)
            self.server.run("block", "delete", hash_)
            self.streams(image)

    def private(self, token):
        self.assertEqual(self.client.post_form("/v1/repository/settings", {"username": "alice", "repository": "own", "login": "alice",
                                                                           "token": token, "private": "true"})[0], 200)
        return self.pushed(attached=("alice", "own", "1", token))

    def link(self, token):
        login = "Basic " + base64.b64encode(f"alice:{token}".encode()).decode()
        code, _, body = self.client.get("/v1/image/info?tag=alice/own:1", Authorization=login)
        self.assertEqual(code, 200, body)
        return urllib.parse.urlsplit(json.loads(body)["http"]).path

    def test_a_private_image(self):
        token = self.server.user("alice")
        image = self.private(token)
        self.assertEqual(self.code("/download/" + image.id), 404)
        for _ in range(3):
            link = self.link(token)
            self.client.get(link)
        self.wait(lambda: self.objects() and self.client.get(self.link(token))[0] == 302)
        link = self.link(token)
        url = self.location(link)
        self.assertNotIn(image.id, url)
        self.assertLessEqual(int(re.search("X-Amz-Expires=([0-9]+)", url)[1]), 4)
        self.assertEqual(sha3(fetch(url)[2]), image.sha3)
        self.assertEqual(self.code("/download/" + image.id), 404)
        self.assertEqual(self.code(link[:-1] + ("1" if link[-1] == "0" else "0")), 404)
        time.sleep(5)
        self.assertEqual((self.code(link), fetch(url)[0]), (403, 403))
        # Links that are ended take the object along, and so does the last tag.
        for end in (("repo", "set", "alice/own", "--end-links"), ("repo", "delete", "alice/own:1")):
            self.wait(lambda: self.client.get(self.link(token))[0] == 302)
            url = self.location(self.link(token))
            self.server.run(*end)
            self.wait(lambda: not self.objects(), 3)
            self.assertEqual(fetch(url)[0], 404)

    def test_an_image_whose_time_is_over(self):
        image = self.image()
        self.assertEqual(self.client.post_form("/v1/image/push/descr?ttl=60", {}, image.descriptor)[0], 200)
        self.client.push(image)
        self.client.wait_full(image.id)
        self.location("/download/" + image.id)
        self.server.sql("UPDATE uploads SET expires = 1")
        self.wait(lambda: not self.objects(), 15)
        self.assertEqual(self.code("/download/" + image.id), 404)


class Quota(Redirect):
    options = ("--redirect", "12MB")

    def test_what_was_not_used_for_longest_goes(self):
        first, second, third = (self.pushed() for _ in range(3))
        for image in (first, second):
            self.location("/download/" + image.id)
        kept = set(self.objects())
        self.assertEqual(len(kept), 2)
        for _ in range(6):
            self.streams(third)  # the others are in use
        time.sleep(1)
        self.assertEqual(set(self.objects()), kept)
        self.server.sql(f"UPDATE composed SET used = used - 1000 WHERE upload = '{first.id}'")
        self.location("/download/" + third.id)
        self.assertEqual((len(self.objects()), len(kept & set(self.objects()))), (2, 1))
        self.assertEqual(self.code("/download/" + second.id), 302)
        self.streams(first)

    def test_what_is_larger_than_the_quota_is_streamed(self):
        image = self.pushed(size=13_000_000)
        for _ in range(6):
            self.streams(image)
        self.assertEqual(self.objects(), [])


class Maintenance(Redirect):
    def test_fsck_and_gc_know_the_objects(self):
        image = self.pushed()
        self.location("/download/" + image.id)
        name = self.objects()[0]
        with open(f"{self.composed}/{name}", "r+b") as file:
            file.seek(4_000_000)
            byte = file.read(1)
            file.seek(4_000_000)
            file.write(bytes([byte[0] ^ 1]))
        self.assertIn("no errors found", self.server.run("fsck", "--quick"))
        done = self.server.run("fsck", check=False)
        self.assertIn(f"the object {name} of image {image.sha3}: its SHA3-224 is not the image's\n", done.stdout)
        os.truncate(f"{self.composed}/{name}", 5)
        self.assertIn("it has a wrong length", self.server.run("fsck", "--quick", check=False).stdout)
        os.unlink(f"{self.composed}/{name}")
        done = self.server.run("fsck", "--quick", "--repair", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"the object {name} of image {image.sha3}: it is missing\n", done.stdout)
        self.streams(image)
        with open(f"{self.composed}/strange", "wb") as file:
            file.write(b"x")
        self.assertIn("the object strange is no image's; gc removes it\n", self.server.run("fsck"))
        self.assertRegex(self.server.run("gc"), "removed [12] objects of images")  # the server may have removed the other one
        self.assertEqual(self.objects(), [])
        self.location("/download/" + image.id)
        self.assertNotIn("objects", self.server.run("gc"))
        self.server.sql("UPDATE composed SET used = used - 8 * 86400")
        self.server.run("gc")
        self.wait(lambda: not self.objects())
        self.streams(image)


class Kills(registry.Case):
    """The registry reaches its store through a proxy, and clients without it."""

    options = ("--redirect", "1GB")

    def setUp(self):
        store = registry.Server.store
        self.proxy = StoreProxy(store.port)
        self.addCleanup(self.proxy.close)
        self.server = registry.Server(self.program, *self.options, "--s3-public-endpoint", store.url, db=registry.new_db())
        self.addCleanup(self.server.remove)
        self.server.store_options[self.server.store_options.index("--s3-endpoint") + 1] = f"http://127.0.0.1:{self.proxy.port}"
        self.server.start()
        self.client = self.server.client()
        self.composed = os.path.dirname(self.server.chunks) + "/composed"

    objects, wait, location, streams = Redirect.objects, Redirect.wait, Redirect.location, Redirect.streams

    def uploads(self):
        """The ids of uploads in parts that the store has."""
        code, _, body = self.ask(f"/images/?prefix={urllib.parse.quote(os.path.relpath(self.composed, registry.Server.store.root), '')}&uploads=")
        self.assertEqual(code, 200, body)
        return re.findall(b"<UploadId>(.*?)</UploadId>", body)

    def ask(self, path):
        keys = s3_server.KEYS
        done = subprocess.run(["curl", "--silent", "--show-error", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
                               f"{keys['AWS_ACCESS_KEY_ID']}:{keys['AWS_SECRET_ACCESS_KEY']}", "--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
                               "--write-out", "%{http_code}", registry.Server.store.url + path], capture_output=True, timeout=60, check=True)
        return int(done.stdout[-3:]), None, done.stdout[:-3]

    def half_composed(self):
        """An image of which the second part hangs at the store."""
        image = self.pushed(size=45_000_000)
        self.proxy.fault = lambda method, path: "hang" if "partNumber=2" in path else None
        for _ in range(3):
            self.streams(image)
        self.wait(lambda: any("partNumber=2" in path for _, path in self.proxy.requests))
        self.assertEqual((len(self.uploads()), self.objects()), (1, []))
        return image

    def kill(self):
        self.server.kill()
        self.proxy.fault = lambda method, path: None

    def test_the_next_server_ends_what_a_killed_one_began(self):
        image = self.half_composed()
        self.kill()
        self.client = self.server.start().client()
        for _ in range(4):
            self.streams(image)
        self.assertEqual(len(self.uploads()), 1, "the claim still holds")
        self.server.sql("UPDATE composed SET until = 1")
        self.wait(lambda: not self.uploads())
        self.location("/download/" + image.id)
        self.assertEqual((self.uploads(), len(self.objects())), ([], 1))
        self.assertNotIn("object", self.server.run("fsck"))

    def test_gc_ends_what_no_row_knows(self):
        self.half_composed()
        self.kill()
        self.server.sql("DELETE FROM composed")
        self.assertIn("is no image's; gc removes it", self.server.run("fsck"))
        self.assertIn("removed 1 objects", self.server.run("gc"))
        self.assertEqual(self.uploads(), [])

    def test_an_image_that_is_blocked_while_it_is_composed(self):
        image = self.half_composed()
        self.server.run("block", "add", image.sha3)
        self.wait(lambda: not self.uploads(), 5)
        self.assertEqual(self.objects(), [])

    def test_keys_that_may_not_list_uploads(self):
        """Old ones, for a registry that sends nobody to the store: what is whole is removed all the same."""
        self.proxy.fault = lambda method, path: "deny" if method == "GET" and "uploads=" in path else None
        image = self.pushed()
        self.location("/download/" + image.id)
        self.assertIn("removed 0 uploads", self.server.run("gc"))
        self.assertIn("no errors found", self.server.run("fsck"))
        self.server.run("block", "add", image.sha3)
        self.wait(lambda: not self.objects(), 5)

    def test_wrong_bytes_are_not_composed(self):
        image = self.pushed()
        for _ in range(2):
            self.streams(image)
            self.proxy.fault = lambda method, path: "wrong" if "/chunks/" in path and self.is_composed(path) else None
        self.wait(lambda: any("uploadId=" in path and method == "DELETE" for method, path in self.proxy.requests))
        self.proxy.fault = lambda method, path: None
        self.wait(lambda: not self.uploads())
        self.assertEqual(self.objects(), [])

    def is_composed(self, path):
        """Whether the verification and both downloads have read this chunk: then it is the composer that asks."""
        return sum(seen == ("GET", path) for seen in self.proxy.requests) > 3

    def test_a_login_stays_with_the_registry(self):
        """Clients that follow: `gvmi pull`, curl with a login, and what the exe-unit does."""
        image = self.pushed()
        proxy = StoreProxy(registry.Server.store.port)
        self.addCleanup(proxy.close)
        self.server.stop()
        self.server.options = (*self.options, "--s3-public-endpoint", f"http://127.0.0.1:{proxy.port}")
        self.client = self.server.start().client()
        token = self.server.user("alice")
        path = "/download/" + image.id
        self.location(path)
        output = registry.WORK + "/pulled"
        for what in ("sha3:" + image.sha3, self.server.url.replace("//", f"//alice:{token}@") + path):
            proxy.requests.clear()
            done = subprocess.run([BIN + "/gvmi", "pull", what, "-o", output], capture_output=True, text=True, timeout=60, check=False,
                                  env=dict(os.environ, REGISTRY_URL=self.server.url, REGISTRY_USER="alice", REGISTRY_TOKEN=token))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(registry.Image(output).sha3, image.sha3)
            os.unlink(output)
            self.assertEqual([method for method, _ in proxy.requests], ["GET"])
        subprocess.run(["curl", "--silent", "--fail", "--location", "--user", "alice:" + token, "--output", output, self.server.url + path],
                       timeout=60, check=True)
        self.assertEqual(registry.Image(output).sha3, image.sha3)
        self.assertEqual(proxy.logins, 0)
        # The exe-unit: HEAD, then GET with a Range once something has come.
        code, headers, _ = self.client.request("HEAD", path)
        self.assertEqual((code, int(headers["Content-Length"])), (200, image.size))
        subprocess.run(["curl", "--silent", "--fail", "--location", "--max-redirs", "10", "--range", "1000-", "--output", output,
                        self.server.url + path], timeout=60, check=True)
        with open(image.path, "rb") as whole, open(output, "rb") as part:
            self.assertEqual(whole.read()[1000:], part.read())


registry.main()
