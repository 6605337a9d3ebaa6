#!/usr/bin/env python3
"""What strangers may try against gvmkit-registry: every field, every body, every hash, and connections that do nothing.

test_registry_server_attacks.py BIN
"""

import hashlib
import html.parser
import json
import os
import random
import socket
import time
import urllib.parse

import registry_server as registry
from sanitized import memory_limit

WORK = registry.WORK
HOSTILE = ["../../../../etc/passwd", "..", ".", "/etc/passwd", "..%2f..%2fetc%2fpasswd", "a/../../b", "a\\..\\b", "chunks/../registry.sqlite",
           "' OR '1'='1", "'; DROP TABLE uploads; --", '" OR ""="', "%", "_", "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>",
           "&lt;", "a\x00b", "a\r\nX-Injected: 1\r\n", "\u202e", "ä", "-1", "0x10", "1e3", " 1", "+1", "99999999999999999999999999", "", "A" * 5000,
           "{}", "null", "${jndi:x}", "$(touch /tmp/x)", "%s%n%n"]


def hostile_bytes():
    return [text.encode() for text in HOSTILE] + [b"\xff\xfe\xfd", b"\x80" * 100]


class Elements(html.parser.HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, body):
        super().__init__()
        self.found = []
        self.feed(body.decode())
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, attrs))


class Attacks(registry.Case):
    options = ("--timeout", "3")

    def setUp(self):
        super().setUp()
        self.token = self.server.user("alice")
        self.good = self.tagged(self.token)
        self.half = self.image()
        self.client.push_descriptor(self.half.descriptor)

    def tearDown(self):
        """After every attack: the server lives, holds what it held, and nothing lies where nothing belongs."""
        self.assertIsNone(self.server.process.poll())
        self.client = self.server.client()  # the other one may have been idle for too long
        self.assertEqual(self.info("tag=alice/tools:1.0")["sha3"], self.good.sha3)
        self.assertEqual(registry.sha3(self.client.get("/download/" + self.good.id)[2]), self.good.sha3)
        self.assertEqual(self.server.run("fsck"), "no errors found\n")
        self.assertEqual(self.server.run("user", "list").count("\n"), 1)
        self.assertEqual(set(os.listdir(self.server.data)) - {"registry.sqlite", "registry.sqlite-wal", "registry.sqlite-shm"},
                         {"incoming", "lock"} | (set() if self.server.store else {"chunks"}))
        for folder, _, files in os.walk(self.server.chunks):
            for name in files:
                self.assertRegex(os.path.relpath(os.path.join(folder, name), self.server.chunks), r"^([0-9a-f]{2})/\1[0-9a-f]{62}$")
        self.assertEqual(self.server.stop(), 0)

    def assert_inert(self, headers, body):
        """A page of the registry's own, in which nothing of a stranger's does anything."""
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        page = Elements(body)
        self.assertEqual([dict(attributes).get("src", "").split("?")[0] for tag, attributes in page.found if tag == "script"], ["/page.js"])
        self.assertEqual([tag for tag, attributes in page.found
                          if tag in ("img", "iframe", "object", "base") or any(name.startswith("on") for name, _ in attributes)], [])

    def refused(self, answer, *codes):
        code, headers, body = answer
        self.assertIn(code, codes or (400, 401, 403, 404, 405, 409, 413), body)
        self.assertIsNone(headers["X-Injected"])
        if "text/html" in headers["Content-Type"] and b"page.css" in body:
            self.assertLess(len(body), 16 << 10)
            self.assert_inert(headers, body)
        elif "text/html" in headers["Content-Type"]:  # nginx's
            self.assertLess(len(body), 500)
            self.assertNotIn(b"<script", body)
            self.assertNotIn(b"<img", body)
        else:
            self.assertLess(len(body), 500)
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")

    def test_hostile_text_in_every_field_of_a_chunk(self):
        for name in ("descr-sha256", "chunk-no", "chunk-sha256", "chunk-pos", "chunk-len"):
            for text in hostile_bytes():
                with self.subTest(f"{name}={text[:40]}"):
                    self.refused(self.client.push_chunk(self.half, 0, **{name: text}), 400)
        self.assertEqual(self.client.status(self.half.id)["chunks"], [0, 0, 0])
        self.assertEqual(os.listdir(self.server.data + "/incoming"), [])

    def test_hostile_text_in_every_field_of_attach(self):
        good = {"username": "alice", "repository": "tools", "tag": "1.0", "login": "alice", "token": self.token}
        path = "/v1/image/descr/attach/"
        for name in good:
            for text in hostile_bytes():
                with self.subTest(f"{name}={text[:40]}"):
                    answer = self.client.post_form(path + self.good.id, {**good, name: text})
                    # Names may be such as "_".
                    if name in ("repository", "tag") and text in (b"_", b"-1", b"0x10", b"1e3", b"null", b"99999999999999999999999999"):
                        self.assertEqual(answer[0], 200)
                    else:
                        self.refused(answer, 400, 401, 403)
        for text in hostile_bytes():
            self.refused(self.client.post_form(path + urllib.parse.quote(text), good))
            self.assertIn(self.client.post_form(path + self.good.id, {**good, "check": text})[0], (200, 400))
            self.refused(self.client.post_form(path + self.good.id, {**good, "x" + text.decode("latin-1").replace('"', ""): "y" * 5000}), 400)

    def test_hostile_text_in_login(self):
        for text in HOSTILE:
            self.refused(self.client.post_json("/auth/pat/login", {"username": text, "password": self.token}), 401)
            self.refused(self.client.post_json("/auth/pat/login", {"username": "alice", "password": text}), 401)
        for value in ([], {}, None, 1, {"username": 1, "password": 2}, {"username": "alice"}, {"username": ["alice"], "password": {}}):
            self.refused(self.client.post_json("/auth/pat/login", value), 400)
        for body in (b"", b"{", b"\xff", b"[" * 10000):
            self.refused(self.client.request("POST", "/auth/pat/login", body, {"Transfer-Encoding": "chunked"}), 400)

    def test_hostile_text_in_every_address(self):
        for text in hostile_bytes():
            quoted = urllib.parse.quote(text, safe="")
            with self.subTest(quoted[:40]):
                for path in ("/download/", "/image/", "/v1/image/download?tag=", "/v1/image/download?hash=", "/v1/image/info?tag=",
                             "/v1/image/info?hash=", "/v1/image/info?tag=alice/", "/v1/image/info?tag=alice/tools:", "/image/alice/", "/x"):
                    if path + text.decode("latin-1") != "/download/":
                        self.refused(self.client.get(path + quoted), 400, 404)
                self.refused(self.client.get(f"/image.{quoted}.link"), 400, 404)
                code, _, body = self.client.get("/v1/image/descr/" + quoted)
                if (code, registry.pair) != (400, True):  # nginx refuses some of them itself
                    self.assertEqual(json.loads(body)["descriptor"], "missing")
                code, headers, body = self.client.get("/?q=" + quoted)
                self.assertEqual((code, headers["Content-Type"]), (400 if len(text) > 256 else 200, "text/html; charset=utf-8"))
                self.assert_inert(headers, body)
        # A client may send a path as it is, without what libraries make of it.
        for path in ("/download/../../../../etc/passwd", "/../registry.sqlite", "//etc/passwd", "/chunks/../registry.sqlite", "*", "/\\..\\..",
                     "/download/..%2f..%2fregistry.sqlite", "http://other/download/x"):
            self.assertRegex(self.raw(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()), rb"^HTTP/1.1 40[04] ")

    def raw(self, data, seconds=20):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=seconds) as connection:
            connection.sendall(data)
            answer = b""
            try:
                while piece := connection.recv(65536):
                    answer += piece
            except ConnectionError:
                pass
            return answer

    def test_hostile_hosts(self):
        for host in ("a<script>", "a\"b", "a b", "a/b", "x" * 300, ""):
            answer = self.raw(f"GET /v1/image/info?hash={self.good.sha3} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            self.assertRegex(answer, rb"^HTTP/1.1 400 ")

    def test_wrong_hashes_and_numbers(self):
        data = self.half.chunk(0)
        wrong = bytes([data[0] ^ 1]) + data[1:]
        for number, body, other in ((0, wrong, {}), (0, data[:-1], {}), (0, data + b"x", {}), (0, b"", {}), (1, data, {}),
                                    (0, data, {"chunk-no": 1}), (0, data, {"chunk-no": 3}), (0, data, {"chunk-no": 2**64 - 1}), (0, data, {"chunk-no": 2**64}),
                                    (0, data, {"chunk-pos": 1}), (0, data, {"chunk-len": len(data) - 1}), (0, data, {"chunk-len": 2**63}),
                                    (0, wrong, {"chunk-sha256": hashlib.sha256(wrong).hexdigest()}), (0, data, {"chunk-sha256": self.half.chunks[0].upper()}),
                                    (0, data, {"descr-sha256": "0" * 64}), (0, data, {"descr-sha256": self.good.id})):
            self.refused(self.client.push_chunk(self.half, number, body, **other), 400)
        self.assertEqual(self.client.status(self.half.id)["chunks"], [0, 0, 0])
        # A stored chunk's bytes are not replaced either, and still have to be right.
        self.refused(self.client.push_chunk(self.good, 0, self.good.chunk(0)[:-1] + b"x"), 400)
        self.assertEqual(os.listdir(self.server.data + "/incoming"), [])

    def test_bad_descriptors(self):
        good = self.half.descriptor
        for descriptor in (b"", b"x", good[:-1], good[:50], good + b"x" * 31, good + b"x" * 32, b"\0" * 8 + good[8:], good[:8] + b"\0" * 8 + good[16:],
                           good[:8] + b"\xff" * 8 + good[16:], good[:16] + b"\0" * 8 + good[24:], good[:16] + b"\xff" * 8 + good[24:],
                           good[:21] + b"\x01" + good[22:], os.urandom(100), os.urandom(32052)):
            self.refused(self.client.push_descriptor(descriptor), 400)
        # 1,001 chunks, and an image larger than is taken.
        self.refused(self.client.push_descriptor(registry.describe(1001, 1, "0" * 56, ["0" * 64] * 1001)), 400)
        self.refused(self.client.push_descriptor(registry.describe(1 << 40, 1 << 40, "0" * 56, ["0" * 64])), 400)
        self.refused(self.client.post_form("/v1/image/push/descr", {}), 400)

    def test_an_image_whose_hash_is_wrong_is_never_served(self):
        image = self.image()
        image.sha3 = "0" * 56
        image.descriptor = registry.describe(image.size, image.chunk_size, image.sha3, image.chunks)
        image.id = hashlib.sha256(image.descriptor).hexdigest()
        self.client.push(image)
        deadline = time.monotonic() + 60
        while (code := self.client.attach(image.id, "alice", "tools", "2", "alice", self.token, check="true")[0]) == 200:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.assertEqual(code, 409)
        self.assertEqual(self.client.status(image.id), {"descriptor": "ok", "version": registry.MAGIC, "status": "partial", "chunks": [1, 1, 1]})
        self.refused(self.client.get("/download/" + image.id), 404)
        self.refused(self.client.get("/v1/image/info?hash=" + image.sha3), 404)
        self.refused(self.client.push_chunk(image, 0), 400)

    def test_a_chunk_that_another_image_says_is_longer(self):
        """Its hash is stored, so it is never asked for; but no image can be made of it."""
        size = self.good.chunk_size + 1
        descriptor = registry.describe(size, size, self.good.sha3, [self.good.chunks[0]])
        image_id = hashlib.sha256(descriptor).hexdigest()
        self.assertEqual(self.client.push_descriptor(descriptor)[0], 200)
        deadline = time.monotonic() + 60
        while self.client.attach(image_id, "alice", "tools", "2", "alice", self.token, check="true")[0] != 409:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)
        self.refused(self.client.get("/download/" + image_id), 404)

    def test_other_peoples_repositories_and_tokens(self):
        bob = self.server.user("bob")
        image = self.pushed()
        for check in ({}, {"check": "true"}):
            for login, token, codes in (("bob", bob, (403,)), ("alice", bob, (401,)), ("bob", self.token, (401,)), ("", "", (401,)), ("alice", "", (401,)),
                                        ("carol", "x", (401,)), ("alice", self.token[:-1], (401,)), ("alice", self.token + "0", (401,))):
                self.refused(self.client.attach(image.id, "alice", "tools", "1.0", login, token, **check), *codes)
        for _ in range(500):
            guess = self.token[:-1] + random.choice("0123456789abcdef")
            if guess != self.token:
                self.refused(self.client.attach(image.id, "alice", "tools", "1.0", "alice", guess), 401)
        number = self.server.run("token", "list", "bob").split("\t")[0]
        self.assertEqual(self.client.attach(image.id, "bob", "tools", "1.0", "bob", bob)[0], 200)
        self.server.run("token", "revoke", "bob", number)
        self.refused(self.client.attach(image.id, "bob", "tools", "2.0", "bob", bob), 401)
        # Another user's token cannot be revoked by its number alone.
        number = self.server.run("token", "list", "alice").split("\t")[0]
        self.assertEqual(self.server.run("token", "revoke", "bob", number, check=False).returncode, 1)
        self.server.run("user", "delete", "bob")
        self.assertEqual(self.code("/v1/image/info?tag=bob/tools:1.0"), 404)

    def test_malformed_and_oversized_bodies(self):
        attach, push = "/v1/image/descr/attach/" + self.good.id, "/v1/image/push/chunk"
        fields = {"username": "alice", "repository": "tools", "tag": "1.0", "login": "alice", "token": self.token}
        kind = {"Content-Type": f"multipart/form-data; boundary={registry.BOUNDARY}", "Transfer-Encoding": "chunked"}
        whole = registry.form(fields)
        for body in (b"", b"x", whole[:40], whole[:-60], b"--" * 1000, b"\r\n" * 1000, os.urandom(50_000), whole.replace(b'name="tag"', b'name="login"'),
                     whole.replace(b"form-data; name", b"form-data; eman"), registry.form(fields, b"a file")):
            self.refused(self.client.request("POST", attach, body, kind), 400)
        for content_type in ("text/plain", "multipart/form-data", "multipart/form-data; boundary=", "application/json", ""):
            self.refused(self.client.request("POST", attach, whole, {**kind, "Content-Type": content_type}), 400)
        self.refused(self.client.post_form(attach, {**fields, **{f"x{i}": i for i in range(50)}}), 400)
        self.refused(self.client.post_form(push, {}, b"file before the fields"), 400)
        # A length that is too long is refused before the body; a body without one when it gets too long.
        for path in ("/auth/pat/login", "/v1/image/push/descr", attach):
            head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={registry.BOUNDARY}\r\n"
            for length in (10_000_000, 2**63 - 1):
                self.assertRegex(self.raw(f"{head}Content-Length: {length}\r\n\r\n".encode()), rb"^HTTP/1.1 413 ")
            for length in ("-1", "1x", "99999999999999999999999", "0x10"):
                self.assertRegex(self.raw(f"{head}Content-Length: {length}\r\n\r\n".encode()), rb"^(HTTP/1.1 (400|413) |$)")
            endless = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + b"10000\r\n" + b"x" * 65536 + b"\r\n"
            before = self.server.memory()
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as connection:
                with self.assertRaises(OSError):
                    connection.sendall(endless)
                    for _ in range(100_000):
                        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            self.assertLess(self.server.memory() - before, 16 << 20)
        # A chunk longer than its descriptor says is not kept, however long it is.
        code, _, _ = self.client.push_chunk(self.half, 0, self.half.chunk(0) + bytes(20 << 20))
        self.assertEqual(code, 400)
        self.assertEqual(os.listdir(self.server.data + "/incoming"), [])
        # Heads that are too long, and none at all.
        for head in (b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"\r\n", os.urandom(100_000), b"\0" * 1000, b"GET\r\n\r\n"):
            try:
                self.assertRegex(self.raw(head), rb"^(HTTP/1.[01] 4\d\d |$)")
            except ConnectionError:
                pass  # closed before all was sent

    def test_slow_requests_are_ended(self):
        """A byte now and then, in a head and in a body: both are ended, and neither keeps others waiting."""
        body_head = (f"POST /v1/image/push/chunk HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={registry.BOUNDARY}\r\n"
                     "Content-Length: 1000000\r\n\r\n").encode()
        slow = [(b"GET / HTTP/1.1\r\n", b"X"), (body_head, b"-"), (body_head + registry.form(registry.chunk_fields(self.half, 0), self.half.chunk(0))[:900], b"x")]
        connections = []
        for head, byte in slow * 20:
            connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
            connection.sendall(head)
            connections.append((connection, byte))
        deadline = time.monotonic() + 60
        while connections:
            self.assertLess(time.monotonic(), deadline, "slow connections are not ended")
            started = time.monotonic()
            self.assertEqual(self.client.get("/healthz")[0], 200)
            self.assertLess(time.monotonic() - started, 2)
            for entry in list(connections):
                try:
                    entry[0].sendall(entry[1])
                except OSError:
                    entry[0].close()
                    connections.remove(entry)
            time.sleep(0.2)
        deadline = time.monotonic() + 60
        while os.listdir(self.server.data + "/incoming"):
            self.assertLess(time.monotonic(), deadline, "a half chunk is kept")
            time.sleep(0.1)


class Idle(registry.Case):
    def test_a_thousand_idle_connections(self):
        connections = []
        try:
            for number in range(1000):
                connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
                if number % 2:
                    connection.sendall(b"GET /healthz HTTP/1.1\r\nHo")
                connections.append(connection)
            started = time.monotonic()
            image = self.pushed()
            self.assertEqual(registry.sha3(self.client.get("/download/" + image.id)[2]), image.sha3)
            self.assertEqual(self.client.get("/healthz")[0], 200)
            self.assertLess(time.monotonic() - started, 40)  # they may be idle for a minute, and nobody waits for their end
            memory = self.server.memory()
            print(f"memory of the server with 1,000 connections: {memory >> 20} MiB")
            self.assertLess(memory, 200 << 20)
        finally:
            for connection in connections:
                connection.close()


class Costly(registry.Case):
    """What a stranger may make the server do costs in proportion to what the stranger sends."""

    options = ("--timeout", "60")

    def test_chunks_that_are_hashed_again_and_again(self):
        """One chunk, and descriptors whose images are this chunk 1,000 times: they do not keep an honest image waiting."""
        data = os.urandom(1 << 20) * 16
        chunk = hashlib.sha256(data).hexdigest()
        ids = []
        for number in range(10):
            descriptor = registry.describe(len(data) * 1000, len(data), hashlib.sha3_224(b"%d" % number).hexdigest(), [chunk] * 1000)
            code, _, body = self.client.push_descriptor(descriptor)
            self.assertEqual(code, 200, body)
            ids.append(body.decode().strip())
        fields = {"descr-sha256": ids[0], "chunk-no": 0, "chunk-sha256": chunk, "chunk-pos": 0, "chunk-len": len(data)}
        code, _, body = self.client.post_form("/v1/image/push/chunk", fields, data)
        self.assertEqual(code, 200, body)
        honest = self.pushed(size=20 << 20)
        self.assertEqual(self.client.status(honest.id)["status"], "full")
        # 156 GiB were ordered, and none of these images is through: the honest one went first.
        self.assertEqual({self.client.status(each)["status"] for each in ids}, {"partial"})

    def test_a_chunk_longer_than_the_disk(self):
        """Nothing of it is taken: its whole length is reserved before the first byte."""
        size = 1 << 45
        server = registry.server(self.program, "--max-image", "64TiB", "--anonymous-quota", "64TiB")
        self.addCleanup(server.remove)
        client = server.start().client()
        descriptor = registry.describe(size, size, "0" * 56, ["ab" * 32])
        code, _, body = client.push_descriptor(descriptor)
        self.assertEqual(code, 200, body)
        fields = {"descr-sha256": body.decode().strip(), "chunk-no": 0, "chunk-sha256": "ab" * 32, "chunk-pos": 0, "chunk-len": size}
        code, _, body = client.post_form("/v1/image/push/chunk", fields, b"x" * 100_000)
        self.assertEqual((code, body), (507, b"the registry's disk is full\n"))
        self.assertEqual(os.listdir(server.data + "/incoming"), [])


class SlowConnections(registry.Case):
    """As many as there may be, each with all that it may hold."""

    CONNECTIONS = 1000  # what one address may have
    options = ("--timeout", "120")

    def connect(self, request):
        connection = socket.create_connection(("127.0.0.1", self.server.port), timeout=60)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(request)
        return connection

    def held(self, request, name):
        """The memory in bytes that 4,096 connections with this request cost: what the first ones do, among which some have larger buffers, and as
        much for each of the others as for each that came after those."""
        first, most = 200, 4096
        self.client.get("/healthz")
        marks = [self.server.memory()]
        connections = []
        try:
            for count in (first, self.CONNECTIONS - first):
                connections += [self.connect(request) for _ in range(count)]
                # A request of our own comes last, so what the others have sent has been read.
                self.assertEqual(self.server.client().get("/healthz")[0], 200)
                time.sleep(1)
                marks.append(self.server.memory())
        finally:
            for connection in connections:
                connection.close()
        each = (marks[2] - marks[1]) / (self.CONNECTIONS - first)
        print(f"{name} holds {each / 1024:.0f} KiB; the first {first} of them {(marks[1] - marks[0]) >> 20} MiB")
        return marks[1] - marks[0] + (most - first) * each

    def test_field_names_without_an_end(self):
        head = (f"POST /v1/image/push/chunk HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={registry.BOUNDARY}\r\n"
                f"Content-Length: 1000000\r\n\r\n--{registry.BOUNDARY}\r\nContent-Disposition: form-data; name=\"").encode()
        self.assertLess(self.held(head + b"n" * 250_000, "a form whose field has a name of 250 KB"), memory_limit(400 << 20))

    def test_readers_that_do_not_read(self):
        image = self.pushed(size=4 << 20)
        request = f"GET /download/{image.id} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        self.assertLess(self.held(request, "a download that is not read"), memory_limit(400 << 20))


registry.main()
