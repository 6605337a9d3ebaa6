#!/usr/bin/env python3
"""Two gvmkit-registry on one PostgreSQL and one S3 server, each of the four killed again and again during pushes and pulls.

registry_kills.py BIN [KILLS [CLIENTS]]     of each; 2, and 8
"""

import collections
import contextlib
import http.client
import os
import random
import sys
import threading
import time
import unittest

import postgres
import registry_server as registry
import s3_server

sha3 = registry.sha3
BIN = os.path.abspath(sys.argv[1])
KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 2
CLIENTS = int(sys.argv[3]) if len(sys.argv) > 3 else 8
MIB = 1 << 20


class Wrong(Exception):
    """What must not happen, as opposed to what a client tries again."""


class Kills(unittest.TestCase):
    def setUp(self):
        self.cluster = postgres.Cluster()
        self.addCleanup(self.cluster.remove)
        registry.Server.store = self.store = s3_server.S3Server()
        self.addCleanup(self.store.remove)
        self.store.start()
        self.schema = self.cluster.new_schema()
        # One sends clients to the store for what is asked for often.
        self.servers = [registry.Server(BIN + "/gvmkit-registry", "--hourly-pushes", "1000000", *redirect, db=self.cluster.url(self.schema))
                        for redirect in ((), ("--redirect", "1GB"))]
        self.servers[1].store_options = self.servers[0].store_options
        self.log = open(registry.WORK + "/log", "w+b")  # noqa: SIM115
        self.addCleanup(self.log.close)
        for server in self.servers:
            self.addCleanup(server.remove)
            server.start(stderr=self.log)
        self.token = self.servers[0].user("alice")
        self.deadline = time.monotonic() + 120 + 40 * KILLS
        self.over = threading.Event()
        self.addCleanup(self.over.set)
        self.errors, self.refused = [], collections.Counter()

    def image(self, name, chunks, like=None):
        """Of 1 MiB each; the first two may be another one's."""
        path = f"{registry.WORK}/{name}"
        with open(path, "wb") as file:
            if like:
                file.write(like.chunk(0) + like.chunk(1))
            file.write(os.urandom((chunks - (2 if like else 0)) * MIB - random.randrange(1000)))
        return registry.Image(path, MIB)

    def answer(self, answer):
        """The body. What is refused is refused for now, and says so."""
        code, headers, body = answer
        if code == 200:
            return body
        self.refused[code] += 1
        if code != 503 or not headers["Retry-After"]:
            raise Wrong(f"{code}, Retry-After {headers['Retry-After']}: {body}")
        raise ConnectionRefusedError(f"{code}: {body}")

    def again(self, action):
        """Until it works, through one server and the other."""
        turn = random.randrange(2)
        while time.monotonic() < self.deadline:
            turn += 1
            try:
                return action(self.servers[turn % 2].client(timeout=30))
            except (OSError, http.client.HTTPException):
                self.refused["attempts"] += 1
                time.sleep(random.random() * 0.2)
        raise Wrong("it never works")

    def status(self, client, image, acknowledged):
        """Holds it to what was acknowledged. A server may be a second late to see what was in the store when the other one got it again, after a
        kill between store and data base."""
        ask = lambda: registry.json.loads(self.answer(client.get("/v1/image/descr/" + image.id)))  # noqa: E731
        missing = lambda: [number for number in acknowledged if not (status["chunks"] or [])[number:number + 1] == [1]]  # noqa: E731
        status = ask()
        if missing():
            time.sleep(1.1)
            status = ask()
        lost = missing()
        if lost:
            raise Wrong(f"chunks {lost} of {image.id} were acknowledged, and are not there: {status}")
        return status

    def download(self, client, image):
        answer = client.get("/download/" + image.id)
        if answer[0] == 302:
            self.refused["sent to the store"] += 1
            answer = registry.fetch(answer[1]["Location"])
        body = self.answer(answer)
        if sha3(body) != image.sha3:
            raise Wrong(f"{len(body)} bytes that are not those of {image.id}")

    def wait_full(self, image, acknowledged):
        while self.again(lambda client: self.status(client, image, acknowledged))["status"] != "full":
            if time.monotonic() > self.deadline:
                raise Wrong(f"{image.id} does not become full")
            time.sleep(0.2)

    def push_chunks(self, image):
        acknowledged = set()
        self.again(lambda client: self.answer(client.push_descriptor(image.descriptor)))
        for number in range(len(image.chunks)):
            self.again(lambda client, number=number: self.answer(client.push_chunk(image, number)))
            acknowledged.add(number)
            self.again(lambda client: self.status(client, image, acknowledged))
        return acknowledged

    def push(self, image, tag):
        acknowledged = self.push_chunks(image)
        self.wait_full(image, acknowledged)
        self.again(lambda client: self.answer(client.attach(image.id, "alice", "kills", tag, "alice", self.token)))
        self.again(lambda client: self.download(client, image))

    def start(self, *action):
        def run():
            try:
                action[0](*action[1:])
            except Exception as error:  # noqa: BLE001
                self.errors.append(f"{action}: {error!r}")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def kill(self, what):
        time.sleep(random.random() * 0.7)
        what.kill()
        time.sleep(random.random() * 0.5)
        if isinstance(what, registry.Server):
            what.start(stderr=self.log)
        else:
            what.start()

    def end(self, images):
        """Everything is whole, at both."""
        for server in self.servers:
            for image in images:
                self.download(server.client(), image)
            found = server.run("fsck")
            self.assertTrue(found.endswith("no errors found\n"), found)
            self.assertEqual(server.stop(), 0)

    def test_each_is_killed_during_pushes_and_pulls(self):
        """And gc every second removes nothing that is used, but the images of somebody who tags none, with chunks of the others'."""
        shared = self.image("shared", 8)
        self.push(shared, "shared")
        images = [self.image(f"pushed{number}", 4, shared if number % 2 else None) for number in range(CLIENTS // 2)]
        removed, litter, pushed = [0, 0], [], []

        def collect():
            while not self.over.wait(1):
                done = random.choice(self.servers).run("gc", check=False)
                words = done.stdout.split()
                if done.returncode == 0:
                    removed[0] += 1
                    removed[1] += int(words[words.index("removed") + 1])

        def throw_away():
            while not self.over.wait(0.5):
                image = self.image("litter", 3, random.choice(images))
                litter.append(image.id)
                self.push_chunks(image)
                quoted = "', '".join(litter)
                with contextlib.suppress(RuntimeError):  # PostgreSQL is dead now
                    self.cluster.sql(f"UPDATE uploads SET touched = 0 WHERE id IN ('{quoted}')", self.schema)

        def pull():
            while not self.over.is_set():
                image = random.choice([shared, *pushed])
                self.again(lambda client, image=image: self.download(client, image))

        def push_again(image, number):
            """One image after another, until all kills are over."""
            self.push(image, f"{number}")
            pushed.append(image)
            turn = 0
            while not enough.is_set():
                turn += 1
                other = self.image(f"pushed{number}-{turn}", 4, image)
                self.push(other, f"{number}-{turn}")
                pushed.append(other)

        enough = threading.Event()
        pushers = [self.start(push_again, image, number) for number, image in enumerate(images)]
        others = [self.start(pull) for _ in range(CLIENTS - len(images))] + [self.start(collect), self.start(throw_away)]
        for _ in range(KILLS):
            for what in random.sample([*self.servers, self.cluster, self.store], 4):
                self.kill(what)
        enough.set()
        for thread in pushers:
            thread.join(max(1, self.deadline - time.monotonic()))
        self.over.set()
        for thread in others:
            thread.join(60)
        self.assertEqual(self.errors, [])
        self.end([shared, *pushed])
        print(f"each of four killed {KILLS} times during {len(pushed)} pushes by {len(pushers)} clients and {CLIENTS - len(images)} who pull; "
              f"{removed[0]} collections removed {removed[1]} of {len(litter)} uploads without a tag; answers that were not 200, and failed attempts: "
              f"{dict(self.refused)}")

    def test_pushes_that_are_killed_anywhere_go_on_at_the_other(self):
        """Twelve, each at another place when their server is killed; what it has acknowledged is not sent again."""
        images = [self.image(f"resumed{number}", 8) for number in range(12)]
        acknowledged = [set() for _ in images]
        first, second = self.servers
        killed = threading.Event()

        def begin(image, known, delay):
            time.sleep(delay)
            client = first.client()
            try:
                self.answer(client.push_descriptor(image.descriptor))
                for number in range(len(image.chunks)):
                    self.answer(client.push_chunk(image, number))
                    known.add(number)
                    time.sleep(0.1)
            except (OSError, http.client.HTTPException):
                if not killed.wait(5):
                    raise

        threads = [self.start(begin, image, known, number * 0.1) for number, (image, known) in enumerate(zip(images, acknowledged))]
        time.sleep(1 + random.random() * 0.1)
        while len({len(known) for known in acknowledged}) <= 3:  # a slow machine has come less far
            self.assertLess(time.monotonic(), self.deadline, self.errors)
            time.sleep(0.01)
        first.kill()
        killed.set()
        for thread in threads:
            thread.join(60)

        def resume(image, known):
            client = second.client()
            status = registry.json.loads(self.answer(client.get("/v1/image/descr/" + image.id)))
            if status["descriptor"] != "ok":
                self.answer(client.push_descriptor(image.descriptor))
            status = self.status(client, image, known)
            for number, there in enumerate(status["chunks"]):
                if not there:
                    self.answer(client.push_chunk(image, number))
            client.wait_full(image.id, 90)  # a claim of the killed one ends after half a minute

        for thread in [self.start(resume, image, known) for image, known in zip(images, acknowledged)]:
            thread.join(120)
        self.assertEqual(self.errors, [])
        places = sorted(len(known) for known in acknowledged)
        print(f"pushes of {len(images[0].chunks)} chunks were killed after {places}")
        self.assertGreater(len(set(places)), 2)
        first.start(stderr=self.log)
        self.end(images)


unittest.main(argv=sys.argv[:1], verbosity=2, warnings="ignore")
