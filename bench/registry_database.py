#!/usr/bin/env python3
"""Measures what chunk rows cost gvmkit-registry: the size of its data base, lookups beside them, and a collection (`gc`) that removes nearly all.
Each descriptor is a stranger's, of 1,000 chunks that nobody else has. --program measures another gvmkit-registry, --keep leaves the folder there."""

import argparse
import hashlib
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../tests/system")]
import registry_server  # noqa: E402

CHUNKS = 1000


def milliseconds(times):
    return f"median {statistics.median(times) * 1e3:.2f} ms, worst {max(times) * 1e3:.1f} ms"


def timed(client, path, times=200):
    took = []
    for _ in range(times):
        start = time.monotonic()
        code = client.get(path)[0]
        took.append(time.monotonic() - start)
        assert code == 200, (path, code)
    return milliseconds(took)


def flood(server, descriptors):
    """Pushes the descriptors; returns their ids, and how long each took."""
    client, random_bytes, ids, took = server.client(), random.Random(1), [], []
    for _ in range(descriptors):
        chunks = [random_bytes.randbytes(32).hex() for _ in range(CHUNKS)]
        descriptor = registry_server.describe(CHUNKS << 16, 1 << 16, "0" * 56, chunks)
        start = time.monotonic()
        code, _, body = client.push_descriptor(descriptor)
        took.append(time.monotonic() - start)
        assert code == 200, (code, body)
        ids.append(hashlib.sha256(descriptor).hexdigest())
    return ids, took


def collect(server, path):
    """Seconds that `gc` takes, and the times of lookups meanwhile."""
    client, took = server.client(timeout=600), []
    collector = threading.Thread(target=server.run, args=("gc", "--keep-anonymous", "0"))
    start = time.monotonic()
    collector.start()
    while collector.is_alive():
        before = time.monotonic()
        client.get(path)
        took.append(time.monotonic() - before)
    collector.join()
    return time.monotonic() - start, took


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", default=os.path.join(HERE, "../build/bin/gvmkit-registry"), help="the registry")
    parser.add_argument("--descriptors", type=int, default=1000, help="of 1,000 chunks each (1,000)")
    parser.add_argument("--keep", metavar="FOLDER", help="keep a copy of the data before the collection")
    options = parser.parse_args()
    work = tempfile.mkdtemp(prefix="bench-registry-database-")
    server = registry_server.Server(os.path.abspath(options.program), "--min-chunk", "4KiB", "--hourly-pushes", "1000000", data=work + "/data")
    try:
        token = server.start().user("alice")
        client = server.client()
        image = registry_server.make_image(work + "/image", CHUNKS << 12, 1 << 12)
        client.push(image)
        client.wait_full(image.id)
        assert client.attach(image.id, "alice", "tools", "1", "alice", token)[0] == 200
        info = "/v1/image/info?hash=" + image.sha3
        print("alone, by hash:", timed(client, info), flush=True)
        ids, took = flood(server, options.descriptors)
        print(f"{options.descriptors:,} descriptors: {sum(took):.1f} s, each {milliseconds(took)}")
        client = server.client()
        for name, path in (("by hash", info), ("by tag", "/v1/image/info?tag=alice/tools:1"), ("a descriptor", "/v1/image/descr/" + ids[len(ids) // 2]),
                           ("/metrics", "/metrics")):
            print(f"beside them, {name}: {timed(client, path)}")
        assert server.stop() == 0
        print(f"data base: {os.path.getsize(work + '/data/registry.sqlite') / 1e6:.1f} MB", flush=True)
        if options.keep:
            shutil.copytree(work + "/data", options.keep)
        server.start()
        seconds, took = collect(server, info)
        print(f"gc: {seconds:.1f} s; {len(took)} lookups meanwhile, by hash: {milliseconds(took)}")
        assert server.stop() == 0
    finally:
        server.remove()
        shutil.rmtree(work)


main()
