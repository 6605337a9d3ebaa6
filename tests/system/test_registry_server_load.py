#!/usr/bin/env python3
"""gvmkit-registry when it is killed, and when it is busy.

test_registry_server_load.py BIN
"""

import concurrent.futures
import hashlib
import os
import random
import re
import threading
import time

import registry_server as registry

sha3, Case = registry.sha3, registry.Case


class Killed(Case):
    KILLS = 20

    def test_sigkill_during_pushes(self):
        """300 MB by four workers, the server killed 20 times: what was acknowledged stays, and nothing else is sent twice but what was in
        flight."""
        image = self.image(size=300_000_000, chunk_size=5 << 20)
        self.client.push_descriptor(image.descriptor)
        sent = [0] * len(image.chunks)
        acknowledged = set()
        in_flight = set()
        lost = [0] * len(image.chunks)  # how often a chunk was in flight when the server was killed
        lock = threading.Lock()

        def work(left, enough):
            client = self.server.client()
            while True:
                with lock:
                    if not left or enough.is_set():
                        return
                    number = left.pop()
                    sent[number] += 1
                    in_flight.add(number)
                try:
                    code = client.push_chunk(image, number)[0]
                except (OSError, registry.http.client.HTTPException):
                    return
                with lock:
                    assert code == 200, code
                    in_flight.discard(number)
                    acknowledged.add(number)

        for kill in range(self.KILLS + 1):
            status = self.server.client().status(image.id)
            there = {number for number, value in enumerate(status["chunks"]) if value}
            self.assertLessEqual(acknowledged, there)
            left = [number for number in range(len(image.chunks)) if number not in there]
            random.shuffle(left)
            # So that every kill finds something under way: after three chunks of sixty.
            goal = len(acknowledged) + len(image.chunks) // (self.KILLS + 2) if kill < self.KILLS else None
            enough = threading.Event()
            threads = [threading.Thread(target=work, args=(left, enough)) for _ in range(4)]
            for thread in threads:
                thread.start()
            if goal is None:
                for thread in threads:
                    thread.join(240)
                break
            deadline = time.monotonic() + 120
            while len(acknowledged) < goal and any(thread.is_alive() for thread in threads):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(random.random() * 0.01)
            time.sleep(random.random() * 0.01)
            self.server.kill()
            enough.set()
            for thread in threads:
                thread.join(120)
            for number in in_flight:
                lost[number] += 1
            in_flight.clear()
            self.server.start()

        client = self.server.client()
        client.wait_full(image.id)
        for number, count in enumerate(sent):
            self.assertLessEqual(count, 1 + lost[number], f"chunk {number} was sent again although it was acknowledged")
        self.assertEqual(self.server.run("fsck"), "no errors found\n")
        self.assertEqual(sha3(client.get("/download/" + image.id)[2]), image.sha3)
        if not self.server.cluster:  # with which others may use the folder, so a start leaves what may be theirs
            self.assertEqual(os.listdir(self.server.data + "/incoming"), [])
        print(f"{self.KILLS} kills, {sum(lost)} chunks in flight, {sum(sent)} sent for {len(sent)}")


class Load(Case):
    CLIENTS = 64
    LIMIT = 200 << 20  # bytes of the server's memory

    def test_sixty_four_clients_at_once(self):
        shared = self.pushed(size=64 << 20, chunk_size=4 << 20)
        images = [self.image(size=6 << 20) for _ in range(self.CLIENTS // 2)]
        errors = []
        start = threading.Barrier(self.CLIENTS)

        def run(action):
            try:
                client = self.server.client(timeout=120)
                start.wait(60)
                action(client)
            except Exception as error:  # noqa: BLE001
                errors.append(repr(error))

        def pull(client):
            for _ in range(2):
                self.assertEqual(sha3(client.get("/download/" + shared.id)[2]), shared.sha3)

        def push(image):
            def action(client):
                client.push(image)
                client.wait_full(image.id)
                self.assertEqual(sha3(client.get("/download/" + image.id)[2]), image.sha3)
            return action

        actions = [push(image) for image in images] + [pull] * (self.CLIENTS // 2)
        threads = [threading.Thread(target=run, args=(action,)) for action in actions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(240)
        self.assertEqual(errors, [])
        memory = self.server.memory()
        print(f"memory of the server: {memory >> 20} MiB")
        self.assertLess(memory, self.LIMIT)


class Collections(registry.Case):
    """A collection that held the data base until its end would be over at once for others: they would see all of a stranger's uploads or none.
    So who sees some of them, writes, and still sees some has written in its middle. A fast machine may be through before anyone has looked,
    hence the growing number of uploads."""

    FLOODS = (60, 120, 240, 480)

    def setUp(self):
        super().setUp()
        self.token = self.server.user("alice")
        self.upload = self.tagged(self.token).id
        self.writes = 0

    def flood(self, descriptors):
        """Descriptors of a stranger, each of 1,000 chunks that nobody else has."""
        for number in range(descriptors):
            chunks = [hashlib.sha256(b"%d %d" % (number, each)).hexdigest() for each in range(1000)]
            descriptor = registry.describe(1000 << 16, 1 << 16, "0" * 56, chunks)
            self.assertEqual(self.client.push_descriptor(descriptor)[0], 200)
        self.assertEqual(self.left(), descriptors)

    def left(self):
        """Of the stranger's uploads."""
        return int(re.search(rb'uploads{state="partial"} (\d+)', self.client.get("/metrics")[2])[1])

    def in_the_middle(self, descriptors):
        """How many reads and writes there were in the middle of a collection of so many, until its end."""
        count = 0
        deadline = time.monotonic() + 120
        while before := self.left():
            self.assertLess(time.monotonic(), deadline)
            self.assertEqual(self.client.get("/v1/image/info?tag=alice/tools:1.0")[0], 200)
            self.writes += 1
            self.assertEqual(self.client.attach(self.upload, "alice", "tools", f"n{self.writes}", "alice", self.token)[0], 200)
            count += 0 < self.left() <= before < descriptors
        return count

    def test_a_collection_lets_others_in(self):
        """While `gc` removes the descriptors of a stranger, others read and write."""
        for descriptors in self.FLOODS:
            self.flood(descriptors)
            with concurrent.futures.ThreadPoolExecutor() as pool:
                collection = pool.submit(self.server.run, "gc", "--keep-anonymous", "0")
                count = self.in_the_middle(descriptors)
                self.assertIn("removed", collection.result())
            self.assertEqual(self.client.status(self.upload)["status"], "full")
            print(f"{count} writes while {descriptors} uploads were removed")
            if count:
                return
        self.fail("nobody could write before a collection's end")

    def test_the_servers_own_collection_lets_others_in(self):
        """It begins when the server starts."""
        for descriptors in self.FLOODS:
            self.server.options = ()
            self.client = self.restarted().client()
            self.flood(descriptors)
            self.server.options = ("--keep-anonymous", "0")
            self.client = self.restarted().client()
            count = self.in_the_middle(descriptors)
            print(f"{count} writes while {descriptors} uploads were removed")
            if count:
                return
        self.fail("nobody could write before a collection's end")

    def restarted(self):
        self.assertEqual(self.server.stop(), 0)
        return self.server.start()


registry.main()
