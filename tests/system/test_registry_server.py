#!/usr/bin/env python3
"""gvmkit-registry as its clients see it: the interface of spec/registry.md, and what an operator does.

test_registry_server.py BIN
"""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import unittest
import urllib.request
import warnings

import registry_server as registry

sha3, Case, WORK = registry.sha3, registry.Case, registry.WORK


class Owners(unittest.TestCase):
    """A service's folder, in which root works, too."""

    def setUp(self):
        if os.geteuid() != 0 or registry.Server.cluster:
            self.skipTest("needs root, for another user's folder, and SQLite")
        self.folder = self.enterContext(registry.tempfile.TemporaryDirectory(prefix="gvmkit-registry-owner."))
        os.chown(self.folder, 65534, 65534)

    def run_as(self, user, *command):
        return subprocess.run(["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", Case.program, *command, "--data", self.folder],
                              capture_output=True, text=True, timeout=60, check=False)

    def test_what_root_makes_is_the_services(self):
        self.assertEqual(self.run_as(0, "user", "add", "alice").returncode, 0)
        self.assertEqual(self.run_as(65534, "user", "add", "bob").returncode, 0)
        self.assertEqual(self.run_as(0, "user", "add", "carol").returncode, 0)
        listed = self.run_as(65534, "user", "list")
        self.assertEqual((listed.returncode, [line.split("\t")[0] for line in listed.stdout.splitlines()]), (0, ["alice", "bob", "carol"]))

    def test_a_data_base_that_may_only_be_read_is_refused(self):
        self.assertEqual(self.run_as(0, "user", "add", "alice").returncode, 0)
        os.chown(self.folder + "/registry.sqlite", 0, 0)
        for command in (("serve", "--listen", "127.0.0.1:0"), ("user", "add", "bob")):
            done = self.run_as(65534, *command)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f"cannot write {self.folder}/registry.sqlite: it may only be read", done.stderr)


class Addresses(Case):
    options = ("--hourly-pushes", "2", "--proxy", "10.0.0.0/8")

    def push(self, *forwarded):
        descriptor = self.image(10).descriptor
        headers = {"Content-Type": f"multipart/form-data; boundary={registry.BOUNDARY}", "Transfer-Encoding": "chunked"}
        for name, value in zip(("X-Forwarded-For", "x-forwarded-for"), forwarded):
            headers[name] = value
        return self.client.request("POST", "/v1/image/push/descr", registry.form({}, descriptor), headers)[0]

    def test_the_proxy_on_this_machine_says_who_pushes(self):
        for forwarded, codes in ((["203.0.113.1"], [200, 200, 429]), (["203.0.113.2"], [200, 200, 429]),
                                 (["198.51.100.7, 203.0.113.3, 10.1.2.3"], [200, 200, 429]),
                                 (["198.51.100.8", "203.0.113.3"], [429]),  # the first is what the client has made up
                                 ([], [200] * 5)):
            self.assertEqual([self.push(*forwarded) for _ in codes], codes, forwarded)


class Interface(Case):
    def test_an_upload_from_the_first_question_to_the_download(self):
        image = self.image()
        self.assertEqual(self.client.status(image.id), {"descriptor": "missing", "version": None, "status": None, "chunks": None})
        self.assertEqual(self.client.push_descriptor(image.descriptor)[0], 200)
        self.assertEqual(self.client.status(image.id),
                         {"descriptor": "ok", "version": registry.MAGIC, "status": "partial", "chunks": [0, 0, 0]})
        self.assertEqual(self.code("/download/" + image.id), 404)
        self.assertEqual(self.code("/v1/image/info?hash=" + image.sha3), 404)
        # In any order, and again.
        for number in (2, 0, 0):
            self.assertEqual(self.client.push_chunk(image, number)[0], 200)
        self.assertEqual(self.client.status(image.id)["chunks"], [1, 0, 1])
        self.assertEqual(self.client.push_chunk(image, 1)[0], 200)
        self.client.wait_full(image.id, 5)
        self.assertEqual(self.client.status(image.id)["chunks"], [1, 1, 1])

        info = self.info("hash=" + image.sha3)
        url = f"{self.server.url}/download/{image.id}"
        self.assertEqual(info, {"http": url, "https": url, "sha3": image.sha3, "size": image.size})
        with urllib.request.urlopen(info["http"], timeout=10) as answer:
            self.assertEqual(sha3(answer.read()), image.sha3)
        code, headers, _ = self.client.get("/v1/image/download?hash=" + image.sha3)
        self.assertEqual((code, headers["Location"]), (302, url))
        self.assertEqual(self.client.get(f"/image.{image.sha3}.link")[2].decode(), url)
        self.assertEqual(self.code(f"/image.{'0' * 56}.link"), 404)

    def test_downloads_by_ranges(self):
        image = self.pushed()
        with open(image.path, "rb") as file:
            data = file.read()
        path = "/download/" + image.id
        code, headers, body = self.client.request("HEAD", path)
        self.assertEqual((code, body, headers["Content-Length"], headers["Accept-Ranges"]), (200, b"", str(image.size), "bytes"))
        etag = headers["ETag"]
        self.assertTrue(etag.startswith('"'))
        end = image.size - 1
        for asked, first, last in (("0-0", 0, 0), ("2097151-2097152", 2097151, 2097152), ("4000000-", 4000000, end), ("-10", end - 9, end),
                                   ("-99999999", 0, end), ("0-99999999999999999999999", 0, end), (f"{end}-", end, end)):
            with self.subTest(asked):
                code, headers, body = self.client.get(path, Range="bytes=" + asked)
                self.assertEqual((code, headers["Content-Range"]), (206, f"bytes {first}-{last}/{image.size}"))
                self.assertEqual(body, data[first:last + 1])
        for asked in (f"bytes={image.size}-", "bytes=-0"):
            code, headers, _ = self.client.get(path, Range=asked)
            self.assertEqual((code, headers["Content-Range"]), (416, f"bytes */{image.size}"))
        for asked in ("bytes=", "bytes=5-2", "bytes=a-b", "bytes=0-1,5-6", "lines=1-2", "bytes=--1"):
            self.assertEqual(self.client.request("HEAD", path, headers={"Range": asked})[0], 200, asked)
        self.assertEqual(self.client.get(path, Range="bytes=5-6", **{"If-Range": etag})[0], 206)
        self.assertEqual(self.client.get(path, Range="bytes=5-6", **{"If-Range": '"other"'})[2], data)

    def test_a_chunk_that_cannot_be_read_ends_the_answer(self):
        image = self.pushed()
        if self.server.store_options:
            self.skipTest("of a folder; system.registry_s3 breaks stores")
        for path, _, names in os.walk(self.server.data + "/chunks"):
            for name in names:
                if name == image.chunks[1]:
                    os.unlink(f"{path}/{name}")
        with open(image.path, "rb") as file:
            data = file.read()
        with self.assertRaises(http.client.IncompleteRead) as ended:  # at once, and not when the server's patience ends
            self.client.get("/download/" + image.id)
        self.assertTrue(ended.exception.partial == data[:2 << 20])
        code, _, body = self.server.client().get("/download/" + image.id, Range=f"bytes={2 << 20}-")
        self.assertEqual((code, body), (500, b"the registry has a problem; its log says which\n"))

    def test_pages_of_every_origin_may_read_images_and_nothing_else(self):
        image = self.pushed()
        origin = {"Origin": "https://example.org"}
        for path in ("/v1/image/info?hash=" + image.sha3, "/v1/image/download?hash=" + image.sha3, f"/image.{image.sha3}.link",
                     "/download/" + image.id, "/v1/image/info?tag=no/such:1"):
            for method in ("GET", "HEAD"):
                _, headers, _ = self.client.request(method, path, headers=origin)
                self.assertEqual(headers.get_all("Access-Control-Allow-Origin"), ["*"], (method, path))
                self.assertIn("Content-Range", headers["Access-Control-Expose-Headers"])
            code, headers, body = self.client.request("OPTIONS", path, headers={**origin, "Access-Control-Request-Headers": "range"})
            self.assertEqual((code, body, headers["Access-Control-Allow-Origin"]), (204, b"", "*"))
            self.assertEqual(headers["Access-Control-Allow-Methods"], "GET, HEAD, OPTIONS")
            self.assertIn("Range", headers["Access-Control-Allow-Headers"])
        for method, path in (("POST", "/v1/image/info?hash=" + image.sha3), ("OPTIONS", "/v1/image/push/chunk"), ("OPTIONS", "/auth/pat/login"),
                             ("GET", "/v1/image/descr/" + image.id), ("GET", "/"), ("GET", "/metrics"), ("POST", "/v1/image/push/descr")):
            code, headers, _ = self.client.request(method, path, headers=origin)
            self.assertIsNone(headers["Access-Control-Allow-Origin"], (method, path))
            if method == "OPTIONS":
                self.assertEqual(code, 405)

    def test_tags(self):
        token = self.server.user("alice")
        first, second = self.image(), self.pushed(size=10)
        self.client.push_descriptor(first.descriptor)
        attach = lambda image, **other: self.client.attach(image.id, "alice", "tools", "1.0", "alice", token, **other)  # noqa: E731
        self.assertEqual(attach(first, check="true")[0], 200)  # before any chunk is there
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:1.0"), 404)
        self.assertEqual(attach(first)[0], 409)
        self.client.push(first)
        self.client.wait_full(first.id)
        self.assertEqual(attach(first)[0], 200)
        # golem-js does not encode it, yapapi does.
        self.assertEqual(self.info("tag=alice/tools:1.0&count=true")["sha3"], first.sha3)
        self.assertEqual(self.info("tag=alice%2Ftools%3A1.0&dev=true")["sha3"], first.sha3)
        self.assertEqual(self.client.get("/v1/image/download?tag=alice/tools:1.0")[1]["Location"], f"{self.server.url}/download/{first.id}")
        self.assertEqual(attach(second)[0], 200)  # moves it
        self.assertEqual(self.info("tag=alice/tools:1.0")["sha3"], second.sha3)
        self.assertEqual(self.client.attach(second.id, "alice", "tools", "latest", "alice", token)[0], 200)
        self.assertEqual(self.info("tag=alice/tools")["sha3"], second.sha3)
        self.server.stop()  # saves the counts
        self.assertRegex(self.server.run("repo", "list"), rf"alice/tools:1.0\t{second.sha3}\t10 B\t20\d\d-\d\d-\d\d\t0 uses\n")
        self.client = self.server.start().client()
        self.client.attach(first.id, "alice", "tools", "1.0", "alice", token)
        self.assertIn(f"alice/tools:1.0\t{first.sha3}\t4.8 MiB", self.server.run("repo", "list", "tools"))
        self.assertIn("1 uses", self.server.run("repo", "list"))
        self.server.run("repo", "delete", "alice/tools:1.0")
        self.assertEqual(self.code("/v1/image/info?tag=alice/tools:1.0"), 404)
        self.server.run("repo", "delete", "alice/tools")
        self.assertEqual(self.server.run("repo", "list"), "")

    def test_login_and_tokens(self):
        token, other = self.server.user("alice"), self.server.user("bob")
        login = lambda user, password: self.client.post_json("/auth/pat/login", {"username": user, "password": password})  # noqa: E731
        self.assertEqual(login("alice", token)[0], 200)
        for user, password in (("alice", other), ("bob", token), ("alice", ""), ("carol", token), ("", ""), ("alice", token.upper())):
            code, _, body = login(user, password)
            self.assertEqual((code, body), (401, b"wrong user name or token\n"))
        # No token is kept: its hash is.
        for folder, _, files in os.walk(self.server.data):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(token.split("_")[1].encode(), file.read())
        number = self.server.run("token", "list", "alice").split("\t")[0]
        self.server.run("token", "revoke", "alice", number)
        self.assertEqual(login("alice", token)[0], 401)
        self.server.run("user", "delete", "bob")
        self.assertEqual(login("bob", other)[0], 401)

    def test_a_second_version_uploads_what_changed(self):
        first = self.pushed()
        path = WORK + "/second"
        shutil.copy(first.path, path)
        with open(path, "r+b") as file:
            file.seek(first.size - 10)
            file.write(b"0123456789")
        second = registry.Image(path)
        self.assertEqual(self.client.push_descriptor(second.descriptor)[0], 200)
        self.assertEqual(self.client.status(second.id)["chunks"], [1, 1, 0])
        self.assertEqual(self.client.push(second), [2])
        self.client.wait_full(second.id, 5)
        self.assertEqual(sha3(self.client.get("/download/" + second.id)[2]), second.sha3)
        stored = [name for _, _, files in os.walk(self.server.chunks) for name in files]
        self.assertEqual(sorted(stored), sorted(set(first.chunks) | set(second.chunks)))

    def test_another_upload_waits_for_the_same_chunk(self):
        first = self.image()
        path = WORK + "/longer"
        shutil.copy(first.path, path)
        with open(path, "ab") as file:
            file.write(os.urandom(3 << 20))
        longer = registry.Image(path)
        self.client.push_descriptor(longer.descriptor)
        for number in (2, 3):
            self.assertEqual(self.client.push_chunk(longer, number)[0], 200)
        self.client.push(first)
        self.client.wait_full(first.id, 5)
        self.client.wait_full(longer.id, 5)

    def test_health_and_metrics(self):
        image = self.tagged(self.server.user("alice"))
        self.assertEqual(self.code("/nothing"), 404)
        self.assertEqual(self.client.get("/healthz")[2], b"ok\n")
        metrics = self.server.metrics()
        for line in ('gvmkit_registry_uploads{state="full"} 1', f"gvmkit_registry_image_bytes {image.size}", "gvmkit_registry_tags 1",
                     'gvmkit_registry_requests_total{method="GET",code="404"} 1'):
            self.assertIn(line + "\n", metrics)
        for line in metrics.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) \w+ .+|\w+({(\w+=\"\w+\",?)+})? \d+)$")

    def test_what_is_not_there(self):
        self.assertEqual(self.code("/nothing"), 404)
        self.assertEqual(self.client.request("PUT", "/healthz")[0], 405)
        self.assertEqual(self.client.request("GET", "/v1/image/push/chunk")[0], 404)
        self.assertEqual(self.code("/v1/image/info"), 400)
        self.assertEqual(self.client.status("x")["descriptor"], "missing")


class Operator(Case):
    options = ("--user-quota", "6MB", "--public-url", "https://images.example.org/", "--public-url", "http://images.example.org:8080")

    def test_public_urls(self):
        image = self.pushed()
        info = self.info("hash=" + image.sha3)
        self.assertEqual((info["http"], info["https"]), (f"http://images.example.org:8080/download/{image.id}",
                                                         f"https://images.example.org/download/{image.id}"))

    def test_quotas(self):
        token = self.server.user("alice")
        first = self.tagged(token)
        self.assertEqual(self.client.attach(first.id, "alice", "other", "1", "alice", token)[0], 200)  # the same image takes nothing
        second = self.image()
        self.client.push_descriptor(second.descriptor)
        for other in ({"check": "true"}, {}):
            if not other:
                self.client.push(second)
                self.client.wait_full(second.id)
            code, _, body = self.client.attach(second.id, "alice", "tools", "2", "alice", token, **other)
            self.assertEqual(code, 403)
            self.assertIn(b"quota of 6000000", body)
        self.server.run("user", "add", "alice", "--quota", "20MB")
        self.assertEqual(self.client.attach(second.id, "alice", "tools", "2", "alice", token)[0], 200)
        self.assertIn("alice\t9.5 MiB\t19.1 MiB\n", self.server.run("user", "list"))

    def test_anonymous_images_expire(self):
        token = self.server.user("alice")
        kept, gone = self.tagged(token), self.pushed()
        half = self.image()
        self.client.push_descriptor(half.descriptor)
        self.client.push_chunk(half, 0)
        self.assertEqual(self.server.run("gc"), "removed 0 uploads without a tag, and 0 chunks of 0 B\n")
        self.assertEqual(self.server.run("gc", "--keep-anonymous", "0"),
                         "removed 2 uploads without a tag, and 4 chunks of 6.8 MiB\n")
        self.assertEqual(self.code("/download/" + gone.id), 404)
        self.assertEqual(self.client.status(half.id)["descriptor"], "missing")
        self.assertEqual(sha3(self.client.get("/download/" + kept.id)[2]), kept.sha3)
        self.client.push(gone)
        self.client.wait_full(gone.id)
        self.assertEqual(self.server.run("fsck"), "no errors found\n")

    def test_blocked_hashes(self):
        token = self.server.user("alice")
        image = self.tagged(token)
        for hash_, path in ((image.sha3, "/v1/image/info?tag=alice/tools:1.0"), (image.id, "/v1/image/download?hash=" + image.sha3),
                            (image.chunks[1], "/download/" + image.id), (image.sha3, f"/image.{image.sha3}.link")):
            self.assertIn(self.code(path), (200, 302))
            self.server.run("block", "add", hash_, "--reason", "a test")
            self.assertEqual(self.server.run("block", "list"), hash_ + "\ta test\n")
            self.assertEqual(self.code(path), 451)
            self.assertEqual(self.client.push_descriptor(image.descriptor)[0], 451)
            self.assertEqual(self.client.push_chunk(image, 1)[0], 451)
            self.assertEqual(self.client.attach(image.id, "alice", "tools", "1", "alice", token)[0], 451)
            self.server.run("block", "delete", hash_)
        self.assertEqual(self.client.push_descriptor(image.descriptor)[0], 200)
        self.assertEqual(self.server.run("block", "add", "../x", check=False).returncode, 1)

    def test_fsck_finds_and_repairs(self):
        image = self.pushed()
        self.assertEqual(self.server.run("fsck"), "no errors found\n")
        path = f"{self.server.chunks}/{image.chunks[1][:2]}/{image.chunks[1]}"
        with open(path, "r+b") as file:
            file.write(b"broken")
        self.assertEqual(self.server.run("fsck", "--quick"), "no errors found\n")
        done = self.server.run("fsck", "--repair", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"chunk {image.chunks[1]}: it does not have its SHA-256\n", done.stdout)
        self.assertIn(f"image {image.sha3} (upload {image.id}): chunk 1 is missing\n", done.stdout)
        self.assertEqual(self.client.push(image), [1])
        self.client.wait_full(image.id)
        self.assertEqual(self.server.run("fsck"), "no errors found\n")

    def test_one_server_a_folder(self):
        done = subprocess.run([self.server.program, "serve", "--data", self.server.data, "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, timeout=30,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"is in use by another gvmkit-registry", done.stderr)

    def test_a_stop_right_after_the_start(self):
        for _ in range(10):
            self.assertEqual(self.server.stop(), 0)
            self.server.start()

    def test_a_graceful_stop(self):
        image = self.pushed(size=24 << 20, chunk_size=8 << 20)  # more than sockets hold, and less than takes the 10 s that an end may take
        with socket.create_connection(("127.0.0.1", self.server.port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.sendall(f"GET /download/{image.id} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
            received = connection.recv(65536)
            self.server.process.send_signal(signal.SIGTERM)
            # It takes no more connections, and ends what it has begun.
            deadline = time.monotonic() + 30
            while True:
                try:
                    socket.create_connection(("127.0.0.1", self.server.port)).close()
                except ConnectionError:
                    break
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            pieces = [received]
            while data := connection.recv(1 << 20):
                pieces.append(data)
        self.assertEqual(sha3(b"".join(pieces).split(b"\r\n\r\n", 1)[1]), image.sha3)
        self.assertEqual(self.server.process.wait(30), 0)

    def test_tls(self):
        key, certificate = WORK + "/key.pem", WORK + "/certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", key,
                        "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True,
                       stderr=subprocess.DEVNULL)
        image = self.pushed()
        self.assertEqual(self.server.stop(), 0)
        self.server.options = ("--tls-certificate", certificate, "--tls-key", key)
        self.server.start()
        self.assertTrue(self.server.url.startswith("https://"))
        context = ssl.create_default_context(cafile=certificate)
        with urllib.request.urlopen(self.server.url + "/v1/image/info?hash=" + image.sha3, timeout=10, context=context) as answer:
            url = json.load(answer)["https"]
        self.assertTrue(url.startswith("https://127.0.0.1:"))
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            self.assertEqual(sha3(answer.read()), image.sha3)
        # 1.2 and newer, whatever this machine's OpenSSL would still speak.
        for version, spoken in ((ssl.TLSVersion.TLSv1, False), (ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True),
                                (ssl.TLSVersion.TLSv1_3, True)):
            context = ssl.create_default_context(cafile=certificate)
            context.set_ciphers("DEFAULT@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                context.minimum_version = context.maximum_version = version
            with self.subTest(version), socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as connection:
                if spoken:
                    context.wrap_socket(connection, server_hostname="127.0.0.1").close()
                else:
                    with self.assertRaises(ssl.SSLError):
                        context.wrap_socket(connection, server_hostname="127.0.0.1")


registry.main()
