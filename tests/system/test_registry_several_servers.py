#!/usr/bin/env python3
"""Two gvmkit-registry on one PostgreSQL and one folder of chunks, without anything else in common.

test_registry_several_servers.py BIN
"""

import http.client
import os
import random
import signal
import subprocess
import threading
import time

import postgres
import registry_server as registry

sha3 = registry.sha3


class Pair(registry.Case):
    options = ("--hourly-pushes", "1000000")

    def setUp(self):
        self.cluster = postgres.Cluster()
        self.addCleanup(self.cluster.remove)
        self.schema = self.cluster.new_schema()
        db = self.cluster.url(self.schema)
        first = registry.Server(self.program, *self.options, db=db)
        self.servers = [first, registry.Server(self.program, *self.options, db=db, data=first.data)]
        self.logs = [open(f"{registry.WORK}/{random.getrandbits(64):x}.log", "w+b") for _ in self.servers]  # noqa: SIM115
        for server, log in zip(self.servers, self.logs):
            self.addCleanup(log.close)
            self.addCleanup(server.remove)
        self.start_all()
        self.server = first
        self.clients = [server.client() for server in self.servers]
        self.client = self.clients[0]

    def start_all(self):
        """At once, in the first place on an empty data base."""
        errors = []

        def start(server, log):
            try:
                server.start(stderr=log)
            except Exception as error:  # noqa: BLE001
                errors.append(error)

        threads = [threading.Thread(target=start, args=pair) for pair in zip(self.servers, self.logs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])

    def log_text(self):
        texts = []
        for log in self.logs:
            log.seek(0)
            texts.append(log.read().decode())
        return texts

    def end(self):
        for server in self.servers:
            self.assertEqual(server.run("fsck"), "no errors found\n")
            self.assertEqual(server.stop(), 0)


class Together(Pair):
    def test_both_start_on_an_empty_data_base(self):
        self.assertEqual(self.cluster.sql("SELECT COUNT(*) FROM gvmkit_registry", self.schema), "1")
        self.assertEqual(sum("brought from version 0" in text for text in self.log_text()), 1, self.log_text())
        self.end()

    def test_a_push_goes_on_at_the_other(self):
        """Each chunk through another server; one of them hashes the image, and both serve it."""
        image = self.image(size=12 << 20)
        self.assertEqual(self.clients[0].push_descriptor(image.descriptor)[0], 200)
        for number in range(len(image.chunks)):
            self.assertEqual(self.clients[number % 2].status(image.id)["chunks"], [1] * number + [0] * (len(image.chunks) - number))
            self.assertEqual(self.clients[number % 2].push_chunk(image, number)[0], 200)
        for client in self.clients:
            client.wait_full(image.id)
            self.assertEqual(sha3(client.get("/download/" + image.id)[2]), image.sha3)
        self.assertEqual("".join(self.log_text()).count(f"image {image.sha3} verified"), 1)
        self.end()

    def test_a_push_is_resumed_at_the_other_after_a_kill(self):
        image = self.image(size=20 << 20)
        self.clients[0].push_descriptor(image.descriptor)
        acknowledged = 4
        for number in range(acknowledged):
            self.assertEqual(self.clients[0].push_chunk(image, number)[0], 200)
        # And one of which a half has come.
        body = registry.form(registry.chunk_fields(image, acknowledged), image.chunk(acknowledged))
        connection = http.client.HTTPConnection("127.0.0.1", self.servers[0].port, timeout=20)
        connection.putrequest("POST", "/v1/image/push/chunk")
        connection.putheader("Content-Type", f"multipart/form-data; boundary={registry.BOUNDARY}")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:len(body) // 2])
        deadline = time.monotonic() + 20
        while not os.listdir(self.server.data + "/incoming"):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.servers[0].kill()
        connection.close()
        self.assertEqual(self.clients[1].push(image), list(range(acknowledged, len(image.chunks))))
        self.clients[1].wait_full(image.id, 60)  # the claim of the killed one ends after half a minute
        self.servers[0].start(stderr=self.logs[0])
        self.assertEqual(sha3(self.servers[0].client().get("/download/" + image.id)[2]), image.sha3)
        self.end()

    def test_what_one_does_holds_at_the_other_at_once(self):
        token = self.servers[0].user("alice", "--quota", "12MB")
        login = lambda client: client.post_json("/auth/pat/login", {"username": "alice", "password": token})[0]  # noqa: E731
        image = self.pushed()
        for client in self.clients:
            self.assertEqual(login(client), 200)
        self.assertEqual(self.clients[1].attach(image.id, "alice", "tools", "1", "alice", token)[0], 200)
        for client in self.clients:
            self.assertEqual(client.get("/v1/image/info?tag=alice/tools:1")[0], 200)
        self.servers[1].run("block", "add", image.chunks[1])
        for client in self.clients:
            self.assertEqual(client.get("/download/" + image.id)[0], 451)
        self.servers[0].run("block", "delete", image.chunks[1])
        for client in self.clients:
            self.assertEqual(client.get("/download/" + image.id)[0], 200)
        # Of two tags that are set at once only one fits into the quota.
        others = [self.pushed(size=6_000_000) for _ in range(2)]
        codes, start = [], threading.Barrier(2)

        def attach(client, other, tag):
            start.wait(20)
            codes.append(client.attach(other.id, "alice", "tools", tag, "alice", token)[0])

        threads = [threading.Thread(target=attach, args=(client, other, tag)) for client, other, tag in zip(self.clients, others, "23")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        self.assertEqual(sorted(codes), [200, 403])
        self.servers[0].run("token", "revoke", "alice", self.servers[0].run("token", "list", "alice").split("\t")[0])
        for client in self.clients:
            self.assertEqual(login(client), 401)
            self.assertEqual(client.attach(image.id, "alice", "tools", "2", "alice", token)[0], 401)
        self.end()

    def test_gc_beside_pushes_removes_nothing_that_is_used(self):
        """Images that share chunks with ones that expire, from eight clients through both servers, and a collection each second."""
        stop = threading.Event()
        self.addCleanup(stop.set)
        errors, collections = [], []

        def collect():
            while not stop.is_set():
                collections.append(self.servers[len(collections) % 2].run("gc", "--grace", "0"))
                stop.wait(1)

        def forget():
            """As if they were old: what nobody has tagged, but for what is being pushed."""
            while not stop.is_set():
                self.cluster.sql("UPDATE uploads SET touched = 0 WHERE state = 1", self.schema)
                stop.wait(0.3)

        token = self.servers[0].user("alice")
        common = os.urandom(4 << 20)
        tagged = []

        def removing():
            """How many collections have removed something: a fast machine pushes all before there is one."""
            return sum("removed 0 uploads" not in text for text in collections)

        def push(number):
            try:
                clients = [server.client(timeout=120) for server in self.servers]
                for turn in range(60):
                    if turn >= 6 and removing():
                        break
                    path = f"{registry.WORK}/gc-{number}-{turn}"
                    with open(path, "wb") as file:
                        file.write(common[(turn % 2) << 20:] + os.urandom(2 << 20))
                    image = registry.Image(path, 1 << 20)
                    # And one that nobody tags, with chunks of it.
                    with open(path + "-other", "wb") as file:
                        file.write(image.chunk(0) + image.chunk(1) + os.urandom(1 << 20))
                    clients[turn % 2].push(registry.Image(path + "-other", 1 << 20))
                    name = f"{number}-{turn}"
                    for _ in range(50):  # it may have expired between its last chunk and its tag
                        client = clients[turn % 2]
                        client.push(image)
                        try:
                            client.wait_full(image.id, 60)
                        except AssertionError as error:
                            if client.status(image.id)["descriptor"] == "ok":
                                raise error
                            continue
                        if clients[1 - turn % 2].attach(image.id, "alice", "tools", name, "alice", token)[0] == 200:
                            tagged.append((name, image))
                            break
                    else:
                        raise AssertionError("no tag")
            except Exception as error:  # noqa: BLE001
                errors.append(repr(error))

        others = [threading.Thread(target=collect, daemon=True), threading.Thread(target=forget, daemon=True)]
        pushers = [threading.Thread(target=push, args=(number,), daemon=True) for number in range(8)]
        for thread in others + pushers:
            thread.start()
        for thread in pushers:
            thread.join(200)
        stop.set()
        for thread in others:
            thread.join(60)
        self.assertEqual(errors, [])
        self.assertGreaterEqual(len(tagged), 48)
        for name, image in tagged:
            code, _, body = self.clients[0].get("/v1/image/info?tag=alice/tools:" + name)
            self.assertEqual(code, 200, body)
            self.assertEqual(sha3(self.clients[1].get("/download/" + image.id)[2]), image.sha3)
        print(f"{len(collections)} collections beside {len(tagged)} pushes, of which {removing()} removed something")
        self.assertGreater(removing(), 0)
        self.end()


class Down(Pair):
    def test_a_data_base_that_hangs_keeps_no_other_request(self):
        image = self.pushed()
        processes = [int(folder.rsplit("/", 1)[1]) for folder in self.cluster.processes()]
        codes = []
        asking = [threading.Thread(target=lambda: codes.append(self.server.client().get("/v1/image/info?hash=" + image.sha3)[0])) for _ in range(12)]
        try:
            for process in processes:
                os.kill(process, signal.SIGSTOP)
            for thread in asking:
                thread.start()
            for _ in range(8):  # as many connections, so that each thread of the server has some
                self.assertEqual(self.server.client(timeout=5).get("/healthz")[0], 200)
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)
        for thread in asking:
            thread.join(60)
        self.assertEqual(codes, [200] * 12)
        self.end()

    def test_a_data_base_that_is_down(self):
        image = self.pushed()
        self.cluster.stop()
        for client in self.clients:
            for path in ("/v1/image/info?hash=" + image.sha3, "/download/" + image.id, "/v1/image/descr/" + image.id, "/?q=x", "/readyz"):
                code, headers, body = client.get(path)
                self.assertEqual(code, 503, (path, body))
                self.assertGreater(int(headers["Retry-After"]), 0)
                self.assertNotIn(self.cluster.folder.encode(), body)
            self.assertEqual(client.push_chunk(image, 0)[0], 503)
            self.assertEqual(client.push_descriptor(image.descriptor)[0], 503)
            self.assertEqual(client.get("/readyz")[2], b"data base: does not answer\nstore: ok\n")
            self.assertEqual(client.get("/healthz")[0], 200)
        done = subprocess.run([self.program, "user", "list", *self.server.place()], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("data base does not answer", done.stderr)
        self.cluster.start()
        for client in self.clients:
            self.assertEqual(client.get("/readyz")[2], b"data base: ok\nstore: ok\n")
            self.assertEqual(sha3(client.get("/download/" + image.id)[2]), image.sha3)
        # And a store that is away.
        os.rename(self.server.data + "/chunks", self.server.data + "/away")
        code, _, body = self.client.get("/readyz")
        self.assertEqual((code, body), (503, b"data base: ok\nstore: does not answer\n"))
        os.rename(self.server.data + "/away", self.server.data + "/chunks")
        self.end()


registry.main()
