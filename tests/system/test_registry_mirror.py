#!/usr/bin/env python3
"""A gvmkit-registry that mirrors another one: --upstream. The other one is a real registry, or a program of ours that breaks in every way.

test_registry_mirror.py BIN [--postgres]
"""

import concurrent.futures
import contextlib
import http.server
import json
import os
import re
import sqlite3
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import registry_server as registry

MIB = 1 << 20
SECONDS = 60  # after which something hangs


class Upstream:
    """Images by tag and hash, and what it was asked. `spoil` gets a download's bytes and returns those that are sent; `cut` is how many bytes of a
    download come before the connection ends, each time; `gate` holds downloads back after their first half."""

    def __init__(self):
        self.images, self.tags, self.asked, self.lock = {}, {}, [], threading.Lock()
        self.spoil, self.cut, self.gate = lambda data: data, None, threading.Event()
        self.gate.set()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.gate.set()
        self.server.shutdown()
        self.server.server_close()

    def add(self, tag, data, sha3=None):
        sha3 = sha3 or registry.sha3(data)
        self.images[sha3] = data
        self.tags[tag] = sha3
        return sha3

    def count(self, what):
        with self.lock:
            return sum(1 for path in self.asked if what in path)

    def handler(upstream):  # noqa: N805
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                with upstream.lock:
                    upstream.asked.append(self.path)
                with contextlib.suppress(OSError):
                    self.info() if "/info?" in self.path else self.download()

            def info(self):
                wanted = urllib.parse.parse_qs(self.path.split("?", 1)[1])
                sha3 = wanted["hash"][0] if "hash" in wanted else upstream.tags.get(wanted["tag"][0])
                if sha3 not in upstream.images:
                    self.send_error(404)
                    return
                url = f"{upstream.url}/download/{sha3}"
                body = json.dumps({"http": url, "https": url, "sha3": sha3, "size": len(upstream.images[sha3])}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def download(self):
                data = upstream.spoil(upstream.images[self.path.rsplit("/", 1)[1]])
                asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
                first = int(asked[1]) if asked else 0
                self.send_response(206 if asked else 200)
                if asked:
                    self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
                self.send_header("Content-Length", str(len(data) - first))
                self.end_headers()
                half = max(first, len(data) // 2)
                end = len(data) if upstream.cut is None else min(len(data), first + upstream.cut)
                self.wfile.write(data[first:min(half, end)])
                self.wfile.flush()
                upstream.gate.wait(SECONDS)
                self.wfile.write(data[half:end])
                self.close_connection = True
        return Handler


class OfAnUpstream(registry.Case):
    quota = "100MiB"

    def setUp(self):
        self.upstream = Upstream()
        self.addCleanup(lambda: self.upstream and self.upstream.stop())
        self.serve(self.upstream.url)

    def serve(self, upstream):
        self.server = registry.server(self.program, "--upstream", upstream, "--upstream-quota", self.quota)
        self.addCleanup(self.server.remove)
        self.server.start()
        self.client = self.server.client()

    def sql(self, text):
        if registry.Server.cluster:
            registry.Server.cluster.sql(text, re.search("search_path%3D([a-z0-9_]+)", self.server.db)[1])
        else:
            with contextlib.closing(sqlite3.connect(self.server.data + "/registry.sqlite", timeout=SECONDS)) as db, db:
                db.execute(text)

    def pull(self, query):
        """What a client does: the image's bytes, or the status of the refusal."""
        try:
            with urllib.request.urlopen(f"{self.server.url}/v1/image/info?{query}", timeout=SECONDS) as answer:
                info = json.load(answer)
        except urllib.error.HTTPError as e:
            return e.code
        with urllib.request.urlopen(info["http"], timeout=SECONDS) as answer:
            data = answer.read()
        self.assertEqual((registry.sha3(data), len(data)), (info["sha3"], info["size"]))
        return data

    def chunks(self):
        return sorted(name for _, _, names in os.walk(self.server.data + "/chunks") for name in names)


class Mirror(OfAnUpstream):
    def test_fifty_clients_at_once_and_one_download(self):
        data = os.urandom(5 * MIB + 7)
        sha3 = self.upstream.add("alice/tools:1.0", data)
        self.upstream.gate.clear()
        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            pulls = [pool.submit(self.pull, "tag=alice/tools:1.0" if i % 2 else "hash=" + sha3) for i in range(50)]
            while self.upstream.count("/download/") == 0:
                time.sleep(0.01)
            self.assertFalse(any(pull.done() for pull in pulls))
            self.assertEqual(self.code("/healthz"), 200)
            self.assertEqual(self.client.get(f"/image.{'0' * 56}.link")[0], 404)
            self.upstream.gate.set()
            for pull in pulls:
                self.assertTrue(pull.result(SECONDS) == data)
        self.assertEqual((self.upstream.count("/download/"), self.upstream.count("?hash=" + sha3), self.upstream.count("?tag=")), (1, 1, 1))
        self.assertTrue(self.pull("tag=alice/tools:1.0") == data)
        self.assertEqual(self.upstream.count(sha3), 2)
        self.assertEqual(self.pull("tag=alice/other:1.0"), 404)
        # It stays, though nobody has tagged it, and the server that fetched it ends.
        self.server.run("gc", "--keep-anonymous", "0")
        self.server.stop()
        self.assertFalse([name for name in os.listdir(self.server.data) if name.startswith("mirror")])
        self.server.start()
        self.assertTrue(self.pull("hash=" + sha3) == data)
        self.assertEqual(self.server.run("fsck"), "no errors found\n")

    def test_nobody_gets_a_wrong_byte(self):
        data = os.urandom(3 * MIB)
        sha3 = self.upstream.add("alice/tools:1.0", data)
        for spoil in (lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[:-1], lambda data: data + b"x", lambda _: b""):
            self.upstream.spoil = spoil
            self.assertIn(self.pull("hash=" + sha3), (502, 503))
            self.assertEqual(self.chunks(), [])
        self.upstream.spoil = lambda data: data
        self.assertTrue(self.pull("tag=alice/tools:1.0") == data)
        # A tag on a hash that its image does not have.
        self.upstream.add("alice/liar:1.0", data, sha3="0" * 56)
        self.assertEqual(self.pull("tag=alice/liar:1.0"), 502)

    def test_goes_on_where_a_transfer_breaks(self):
        data = os.urandom(7 * MIB)
        sha3 = self.upstream.add("alice/tools:1.0", data)
        self.upstream.cut = 2 * MIB
        self.assertTrue(self.pull("hash=" + sha3) == data)
        self.assertEqual(self.upstream.count("/download/"), 4)
        # One that never advances is given up.
        other = self.upstream.add("alice/never:1.0", os.urandom(3 * MIB))
        self.upstream.cut = 10
        self.assertEqual(self.pull("hash=" + other), 503)

    def test_works_without_the_upstream_for_what_is_there(self):
        data = os.urandom(MIB)
        sha3 = self.upstream.add("alice/tools:1.0", data)
        self.assertTrue(self.pull("tag=alice/tools:1.0") == data)
        self.upstream.stop()
        self.upstream = None
        self.sql("UPDATE mirrored_tags SET asked = asked - 3600")
        for query in ("tag=alice/tools:1.0", "hash=" + sha3, "tag=alice/tools:1.0"):
            self.assertTrue(self.pull(query) == data, query)
        self.assertEqual(self.pull("tag=alice/unknown:1.0"), 503)
        self.assertEqual(self.pull("hash=" + "1" * 56), 503)

    def test_a_tag_moves_within_a_minute_and_goes(self):
        first, second = os.urandom(1000), os.urandom(2000)
        self.upstream.add("alice/tools:1.0", first)
        self.assertEqual(self.pull("tag=alice/tools:1.0"), first)
        self.upstream.add("alice/tools:1.0", second)
        self.assertEqual(self.pull("tag=alice/tools:1.0"), first)
        self.sql("UPDATE mirrored_tags SET asked = asked - 61")
        self.assertEqual(self.pull("tag=alice/tools:1.0"), second)
        self.upstream.tags.clear()
        self.sql("UPDATE mirrored_tags SET asked = asked - 61")
        self.assertEqual(self.pull("tag=alice/tools:1.0"), 404)

    def test_images_of_its_own_come_first(self):
        token = self.server.user("alice")
        mine = self.tagged(token, size=100)
        self.upstream.add("alice/tools:1.0", os.urandom(200))
        with open(mine.path, "rb") as file:
            self.assertEqual(self.pull("tag=alice/tools:1.0"), file.read())
        self.assertEqual(self.upstream.asked, [])

    def test_what_is_blocked_is_not_fetched(self):
        sha3 = self.upstream.add("alice/tools:1.0", os.urandom(1000))
        self.server.run("block", "add", sha3)
        self.assertEqual(self.pull("tag=alice/tools:1.0"), 451)
        self.assertEqual(self.upstream.count("/download/"), 0)

    def test_a_real_registry_as_the_upstream(self):
        upstream = registry.Server(self.program)
        self.addCleanup(upstream.remove)
        upstream.start()
        token = upstream.user("alice")
        image = self.image()
        upstream.client().push(image)
        upstream.client().wait_full(image.id)
        self.assertEqual(upstream.client().attach(image.id, "alice", "tools", "1.0", "alice", token)[0], 200)
        self.serve(upstream.url + "/")
        with open(image.path, "rb") as file:
            self.assertTrue(self.pull("tag=alice/tools:1.0") == file.read())
        # The same upload as there, so that a link is good at both.
        self.assertTrue(self.info("tag=alice/tools:1.0")["http"].endswith("/download/" + image.id))


class Room(OfAnUpstream):
    quota = "2500KiB"

    def test_the_image_that_was_not_used_for_longest_goes(self):
        images = [os.urandom(MIB) for _ in range(4)]
        hashes = [self.upstream.add(f"alice/tools:{i}", data) for i, data in enumerate(images)]
        for sha3 in hashes[:2]:
            self.assertIsInstance(self.pull("hash=" + sha3), bytes)
            self.sql("UPDATE mirrored SET used = used - 100")
        self.assertIsInstance(self.pull("hash=" + hashes[0]), bytes)  # used again
        token = self.server.user("alice")
        kept = self.info("hash=" + hashes[1])["http"].rsplit("/", 1)[1]
        self.sql("UPDATE mirrored SET used = used - 200 WHERE upload = '%s'" % kept)
        self.assertEqual(self.client.attach(kept, "alice", "kept", "1", "alice", token)[0], 200)
        self.assertEqual(len(self.chunks()), 2)
        self.assertTrue(self.pull("hash=" + hashes[2]) == images[2])
        self.assertEqual(len(self.chunks()), 3)  # the second one is alice's now, and not the mirror's any more
        self.sql("UPDATE mirrored SET used = used - 100 WHERE upload <> '%s'" % self.info("hash=" + hashes[2])["http"].rsplit("/", 1)[1])
        self.assertTrue(self.pull("hash=" + hashes[3]) == images[3])
        self.assertEqual(len(self.chunks()), 3)  # the first one has gone
        self.upstream.stop()
        self.upstream = None
        self.assertEqual([self.pull("hash=" + sha3) for sha3 in hashes], [503, *images[1:]])
        self.assertEqual(self.server.run("fsck"), "no errors found\n")

    def test_an_image_above_the_quota_is_refused_before_a_byte_comes(self):
        sha3 = self.upstream.add("alice/large:1.0", os.urandom(3 * MIB))
        self.assertEqual(self.pull("hash=" + sha3), 502)
        self.assertEqual(self.upstream.count("/download/"), 0)


if __name__ == "__main__":
    registry.main()
