#!/usr/bin/env python3
"""What a registry tells of what happens: its audit log and its webhooks.

test_registry_events.py BIN
"""

import hashlib
import hmac
import http.server
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
import urllib.parse

import registry_server as registry

SECRET = "between \xfc and us"


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it gets; answers with the next of `statuses`, then 204, and with nothing while `gate` is closed."""

    def __init__(self):
        self.got, self.statuses, self.refused = [], [], []
        self.gate = threading.Event()
        self.gate.set()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.statuses.pop(0) if receiver.statuses else 204
                receiver.gate.wait()
                (receiver.got if status == 204 else receiver.refused).append((self.path, self.headers, body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if status == 302:
                    self.send_header("Location", receiver.url + "/elsewhere")
                self.end_headers()

            def do_GET(self):
                receiver.refused.append((self.path, self.headers, b""))
                self.send_error(404)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.gate.set()
        self.shutdown()
        self.server_close()


class EventsCase(registry.Case):
    def setUp(self):
        self.audit = f"{registry.WORK}/{random.getrandbits(64):x}.audit"
        self.log = open(self.audit + ".log", "w+", encoding="utf-8")  # noqa: SIM115
        self.addCleanup(self.log.close)
        self.server = registry.server(self.program, "--audit-log", self.audit)
        self.addCleanup(self.server.remove)

    def start(self):
        self.server.start(stderr=self.log)
        self.client = self.server.client()

    def logged(self):
        self.log.flush()
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()

    def events(self, path=None):
        with open(path or self.audit, encoding="ascii") as file:
            lines = file.read().splitlines()
        for line in lines:
            self.assertNotRegex(line, r"gvmkit_[0-9a-f]{64}")
        return [json.loads(line) for line in lines]

    def wait(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, self.logged())
            time.sleep(0.02)


class AuditLog(EventsCase):
    def test_who_did_what(self):
        self.start()
        run = lambda *command: self.server.run(*command, "--audit-log", self.audit)  # noqa: E731
        run("user", "add", "alice", "--quota", "1GiB")
        token = run("token", "create", "alice", "--note", "\x1b[31m\u202ered").strip()
        image = self.pushed()
        self.wait(lambda: len(self.events()) == 4)  # an image is full before that is told
        self.client.push_descriptor(image.descriptor)  # nothing new
        self.assertEqual(self.client.post_json("/auth/pat/login", {"username": "alice", "password": token})[0], 200)
        self.assertEqual(self.client.post_json("/auth/pat/login", {"username": "alice", "password": "wrong"})[0], 401)
        self.assertEqual(self.client.post_json("/auth/pat/login", {"username": token, "password": "alice"})[0], 401)
        attach = lambda **other: self.client.attach(image.id, "alice", "tools", "1.0", "alice", token, **other)[0]  # noqa: E731
        self.assertEqual(attach(check="true"), 200)
        self.assertEqual(attach(), 200)
        self.assertEqual(self.client.attach(image.id, "alice", "tools", "1.0", "alice", "wrong")[0], 401)
        run("repo", "delete", "alice/tools:1.0")
        run("block", "add", image.sha3, "--reason", "x" * 1000)
        run("block", "delete", image.sha3)
        run("token", "revoke", "alice", "1")
        run("user", "delete", "alice")
        facts = {"descriptor": image.id, "sha3": image.sha3, "size": image.size}
        here, operator = {"address": "127.0.0.1"}, {"uid": os.getuid()}
        events = self.events()
        for event in events:
            self.assertRegex(event.pop("time"), r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(events, [
            {"event": "user-set", **operator, "account": "alice", "quota": 1 << 30},
            {"event": "token-created", **operator, "account": "alice", "note": "\x1b[31m\u202ered"},
            {"event": "upload", **here, **facts},
            {"event": "push", **facts},
            {"event": "sign-in", "user": "alice", **here, "by": "client"},
            {"event": "sign-in-refused", "user": "alice", **here},
            {"event": "sign-in-refused", **here},  # what is in the wrong field may be a secret
            {"event": "tag", "user": "alice", **here, "image": "alice/tools:1.0", **facts},
            {"event": "sign-in-refused", "user": "alice", **here},
            {"event": "delete", **operator, "image": "alice/tools:1.0"},
            {"event": "block", **operator, "hash": image.sha3, "reason": "x" * 400},
            {"event": "unblock", **operator, "hash": image.sha3},
            {"event": "token-revoked", **operator, "account": "alice", "token": 1},
            {"event": "user-deleted", **operator, "account": "alice"}])

    def test_what_is_done_on_the_page(self):
        self.start()
        token = self.server.user("alice")
        cookies = {}

        def post(path, page, **fields):
            for method, where in (("GET", page), ("POST", path)):
                headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
                body = None
                if method == "POST":
                    headers["Content-Type"], body = "application/x-www-form-urlencoded", urllib.parse.urlencode(fields).encode()
                code, answer, text = self.client.request(method, where, body, headers)
                cookies.update(cookie.split(";")[0].split("=") for cookie in answer.get_all("Set-Cookie") or [])
                if method == "GET":
                    fields["form"] = re.search(rb'name="form" value="([0-9a-f]+)"', text).group(1).decode()
            return code

        self.assertEqual(post("/sign-in", "/sign-in", user="alice", token="wrong"), 401)
        self.assertEqual(post("/sign-in", "/sign-in", user="alice", token=token), 303)
        self.assertEqual(post("/account/token", "/account", note="CI"), 200)
        self.assertEqual(post("/account/revoke", "/account", id="2"), 303)
        self.assertEqual(post("/account/repository", "/account", repository="tools"), 303)
        self.assertEqual(post("/account/privacy", "/account", name="alice/tools", private="true"), 303)
        self.assertEqual(post("/account/delete", "/account", name="alice/tools"), 303)
        self.assertEqual(post("/sign-out", "/account"), 303)
        who = {"user": "alice", "address": "127.0.0.1"}
        events = self.events()
        for event in events:
            del event["time"]
        self.assertEqual(events, [
            {"event": "sign-in-refused", **who}, {"event": "sign-in", **who, "by": "page"},
            {"event": "token-created", **who, "account": "alice", "note": "CI"}, {"event": "token-revoked", **who, "account": "alice", "token": 2},
            {"event": "repository-created", **who, "image": "alice/tools"},
            {"event": "repository-set", **who, "image": "alice/tools", "private": True}, {"event": "delete", **who, "image": "alice/tools"},
            {"event": "sign-out", **who}])

    def test_a_proxys_client_and_a_bad_image(self):
        self.start()
        image = self.image()
        bad = registry.describe(image.size, image.chunk_size, "0" * 56, image.chunks)
        body = registry.form({}, bad)
        self.client.request("POST", "/v1/image/push/descr", body, {"Content-Type": f"multipart/form-data; boundary={registry.BOUNDARY}",
                                                                   "Transfer-Encoding": "chunked", "X-Forwarded-For": "2001:db8::1:2"})
        image.descriptor, image.id = bad, hashlib.sha256(bad).hexdigest()
        for number in range(len(image.chunks)):
            self.client.push_chunk(image, number)
        self.wait(lambda: any(event["event"] == "bad-push" for event in self.events()))
        upload, refused = self.events()
        self.assertEqual((upload["event"], upload["address"]), ("upload", "2001:db8::1:2"))  # the whole address
        self.assertEqual((refused["descriptor"], refused["sha3"]), (image.id, "0" * 56))

    def test_rotation_and_kill(self):
        self.start()
        login = lambda: self.client.post_json("/auth/pat/login", {"username": "alice", "password": "wrong"})  # noqa: E731
        login()
        os.rename(self.audit, self.audit + ".1")
        login()
        self.server.process.send_signal(signal.SIGHUP)
        self.wait(lambda: os.path.exists(self.audit))
        login()
        self.server.kill()  # what was answered is written
        self.assertEqual((len(self.events(self.audit + ".1")), len(self.events())), (2, 1))
        self.start()
        login()
        self.assertEqual(len(self.events()), 2)

    def test_a_log_that_cannot_be_written(self):
        self.server.options = ("--audit-log", "/dev/full")
        self.start()
        for _ in range(3):
            self.assertEqual(self.client.post_json("/auth/pat/login", {"username": "alice", "password": "wrong"})[0], 401)
        self.assertEqual(self.logged().count("cannot write the audit log"), 1)
        self.assertIn("gvmkit_registry_audit_lost_total 3\n", self.server.metrics())
        self.server.stop()
        done = subprocess.run([self.program, "serve", *self.server.place(), "--audit-log", "/no/such/folder/audit"], stderr=subprocess.PIPE, text=True,
                              timeout=30, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/no/such/folder/audit", done.stderr)
        done = self.server.run("user", "add", "alice", "--audit-log", "/no/such/folder/audit", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.server.run("user", "list"), "")  # nothing is done that cannot be told

    def test_standard_output(self):
        self.server.options = ("--audit-log", "-")
        self.start()
        self.client.post_json("/auth/pat/login", {"username": "alice", "password": "wrong"})
        self.assertEqual(json.loads(self.server.process.stdout.readline())["event"], "sign-in-refused")
        # Nobody reads, and every request is answered.
        for _ in range(2000):
            self.assertEqual(self.client.post_json("/auth/pat/login", {"username": "alice", "password": "wrong"})[0], 401)
        self.assertRegex(self.server.metrics(), r"audit_lost_total [1-9]")


class Webhooks(EventsCase):
    def setUp(self):
        super().setUp()
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)
        self.secret = f"{registry.WORK}/secret"
        with open(self.secret, "w", encoding="utf-8") as file:
            file.write(SECRET + "\n")
        self.server.options = ("--webhook", self.receiver.url + "/hook?key=private", "--webhook-secret-file", self.secret)
        self.token = self.server.user("alice")

    def pushed(self, **options):
        """Returns when that has been told, which is after the image is full: else the event of its tag might come first."""
        before = self.told()
        image = super().pushed(**options)
        self.wait(lambda: self.told() > before)
        return image

    def told(self):
        return sum(self.number(name) for name in ("delivered_total", "dropped_total", "waiting"))

    def number(self, name):
        line = next(line for line in self.server.metrics().splitlines() if line.startswith("gvmkit_registry_webhooks_" + name + " "))
        return int(line.split()[1])

    def test_events_are_delivered_and_signed(self):
        self.start()
        image = self.tagged(self.token)
        self.wait(lambda: len(self.receiver.got) == 2)
        events = []
        for path, headers, body in self.receiver.got:
            self.assertEqual((path, headers["Content-Type"]), ("/hook?key=private", "application/json"))
            signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
            self.assertEqual(headers["X-Gvmkit-Signature"], signature)
            event = json.loads(body)
            self.assertEqual((headers["X-Gvmkit-Event"], headers["X-Gvmkit-Delivery"]), (event["event"], event.pop("id")))
            self.assertRegex(event.pop("time"), r"^20\d\d-.*Z$")
            events.append(event)
        facts = {"descriptor": image.id, "sha3": image.sha3, "size": image.size}
        self.assertEqual(events, [{"event": "push", **facts}, {"event": "tag", "user": "alice", "image": "alice/tools:1.0", **facts}])
        self.assertEqual((self.number("delivered_total"), self.number("dropped_total"), self.number("waiting")), (2, 0, 0))

    def test_a_receiver_that_fails(self):
        self.receiver.statuses = [503, 429]
        self.start()
        self.tagged(self.token)
        self.wait(lambda: len(self.receiver.got) == 2)
        tries = self.receiver.refused + self.receiver.got[:1]
        self.assertEqual(len({headers["X-Gvmkit-Delivery"] for _, headers, _ in tries}), 1)  # the same one, three times
        self.assertEqual([json.loads(body)["event"] for _, _, body in self.receiver.got], ["push", "tag"])
        # What will not work later either is not tried again, and no redirect is followed.
        self.receiver.statuses = [400, 302]
        del self.receiver.refused[:]
        image = self.pushed()
        self.client.attach(image.id, "alice", "tools", "2", "alice", self.token)
        self.wait(lambda: self.number("dropped_total") == 2)
        self.assertEqual([path for path, _, _ in self.receiver.refused], ["/hook?key=private"] * 2)
        self.assertIn("dropped: it answers with status 400", self.logged())
        self.assertNotIn("private", self.logged())
        self.assertNotIn(SECRET, self.logged())

    def test_one_that_hangs_delays_nobody(self):
        other = Receiver()
        self.addCleanup(other.close)
        self.server.options += ("--webhook", other.url)
        self.receiver.gate.clear()
        self.start()
        self.tagged(self.token)
        self.wait(lambda: len(other.got) == 2)
        self.assertEqual((self.number("waiting"), self.receiver.got), (2, []))
        self.receiver.gate.set()
        self.wait(lambda: len({headers["X-Gvmkit-Delivery"] for _, headers, _ in self.receiver.got}) == 2)

    def test_an_end_delivers_what_waits(self):
        self.receiver.statuses = [503]  # the second try is a second later
        self.start()
        self.tagged(self.token)
        self.assertEqual(self.server.stop(), 0)
        self.assertEqual(len(self.receiver.got), 2)

    def test_an_end_with_a_dead_receiver(self):
        self.receiver.close()
        self.start()
        self.tagged(self.token)
        start = time.monotonic()
        self.assertEqual(self.server.stop(), 0)
        self.assertLess(time.monotonic() - start, 20)
        self.assertIn("an event is dropped", self.logged())

    def test_wrong_options(self):
        for options in (["--webhook", "http://127.0.0.1/"], ["--webhook-secret-file", self.secret],
                        ["--webhook", "ftp://127.0.0.1/", "--webhook-secret-file", self.secret],
                        ["--webhook", "http://127.0.0.1/", "--webhook-secret-file", os.devnull]):
            done = subprocess.run([self.program, "serve", *self.server.place(), "--listen", "127.0.0.1:0", *options], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=30, check=False)
            self.assertIn(done.returncode, (1, 2), options)
            self.assertEqual(done.stdout, b"")


if __name__ == "__main__":
    registry.main()
