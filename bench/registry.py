#!/usr/bin/env python3
"""Measures what SPECIFICATION.md promises of gvmkit-registry, each figure beside a reference taken in the same run: the CPU time of a push
beside that of SHA-256 and SHA3-224 over the same data by OpenSSL, the rate of a pull beside that of nginx serving the same file; and how long
after the last chunk an image is full. With --s3 the chunks are in a real S3 server, and push and pull are beside a single PUT and GET of the
same file by curl."""

import argparse
import contextlib
import hashlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import _hashlib  # OpenSSL's, whatever hashlib prefers

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../tests/system")]
import ports  # noqa: E402
import registry_server  # noqa: E402
import s3_server  # noqa: E402

GIB = 1 << 30


def hash_cpu(path):
    """CPU seconds of both hashes over a file, read as the registry reads it."""
    start = time.process_time()
    for digest in (_hashlib.openssl_sha256(), _hashlib.openssl_sha3_224()):
        with open(path, "rb", buffering=0) as file:
            buffer = memoryview(bytearray(256 << 10))
            while n := file.readinto(buffer):
                digest.update(buffer[:n])
    return time.process_time() - start


def hash_cpu_in_memory(path):
    """CPU seconds of both hashes alone: the data is in memory already."""
    block = open(path, "rb").read(64 << 20)  # noqa: SIM115
    size, total = os.path.getsize(path), 0.0
    for digest in (_hashlib.openssl_sha256(), _hashlib.openssl_sha3_224()):
        start = time.process_time()
        digest.update(block)
        total += (time.process_time() - start) * size / len(block)
    return total


class Uploader:
    """One connection. The kernel copies a chunk from its file, so that our time is the server's."""

    def __init__(self, server, image):
        self.image, self.http = image, http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)

    def push(self, number):
        before, after = registry_server.form(registry_server.chunk_fields(self.image, number), b"\0").split(b"\0")
        offset, length = number * self.image.chunk_size, min(self.image.chunk_size, self.image.size - number * self.image.chunk_size)
        self.http.putrequest("POST", "/v1/image/push/chunk")
        self.http.putheader("Content-Type", f"multipart/form-data; boundary={registry_server.BOUNDARY}")
        self.http.putheader("Content-Length", str(len(before) + length + len(after)))
        self.http.endheaders(before)
        with open(self.image.path, "rb") as file:
            self.http.sock.sendfile(file, offset, length)
        self.http.send(after)
        answer = self.http.getresponse()
        body = answer.read()
        assert answer.status == 200, (answer.status, body)


def push(server, image, workers):
    """Uploads by several connections; returns the seconds from the last chunk's answer until the image was full."""
    client = server.client()
    assert client.push_descriptor(image.descriptor)[0] == 200
    left = list(range(len(image.chunks)))[::-1]

    def work():
        own = Uploader(server, image)
        while True:
            try:
                number = left.pop()
            except IndexError:
                return
            own.push(number)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    last = time.monotonic()
    client.wait_full(image.id)
    return time.monotonic() - last


def pull(url):
    """Seconds to read a URL to its end, by a client that looks at nothing."""
    parts = urllib.parse.urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        buffer, total, start = bytearray(1 << 20), 0, time.monotonic()
        while n := connection.recv_into(buffer):
            total += n
        return time.monotonic() - start, total


def redirected_pulls(options, server, image, times):
    """Pulls by curl that the store answers, with the question to the registry, once the image is composed; in turn with a GET."""
    server.options = ("--redirect", "1TiB")
    url = server.start().url + "/download/" + image.id
    while len(times["redirected pull"]) < options.pulls:
        start = time.monotonic()
        done = subprocess.run(["curl", "--silent", "--show-error", "--fail", "--location", "--output", "/dev/null", "--write-out", "%{num_redirects}", url],
                              check=True, stdout=subprocess.PIPE)
        if done.stdout == b"1":
            times["redirected pull"].append(time.monotonic() - start)
            times["get"].append(curl(server.store, "single", "--output", "/dev/null"))


def curl(store, name, *options, payload="UNSIGNED-PAYLOAD"):
    """Seconds of one request by curl for an object beside the registry's. `payload` is the SHA-256 that the store compares."""
    keys = s3_server.KEYS
    start = time.monotonic()
    subprocess.run(["curl", "--silent", "--show-error", "--fail", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
                    f"{keys['AWS_ACCESS_KEY_ID']}:{keys['AWS_SECRET_ACCESS_KEY']}", "--header", f"x-amz-content-sha256: {payload}", *options,
                    f"{store.url}/{s3_server.BUCKET}/{name}"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def bench_s3(options, server, image):
    """Pushes and pulls in turn with curl's; the rates in MiB/s, medians. A push is over when its last chunk is acknowledged ("push"), and
    once more when its image is verified ("full"); a PUT is without a hash that the store compares ("put"), and with one ("signed put")."""
    times = {"push": [], "full": [], "put": [], "signed put": [], "pull": [], "redirected pull": [], "get": []}
    with open(image.path, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    for number in range(options.pushes):
        if number:
            server.run("gc", "--keep-anonymous", "0")
        for name, payload in (("put", "UNSIGNED-PAYLOAD"), ("signed put", sha256)):
            os.sync()  # or each waits for the writing of what was before it
            times[name].append(curl(server.store, "single", "--upload-file", image.path, payload=payload))
        os.sync()
        start = time.monotonic()
        full = push(server, image, options.workers)
        times["full"].append(time.monotonic() - start)
        times["push"].append(times["full"][-1] - full)
    for _ in range(options.pulls):
        times["get"].append(curl(server.store, "single", "--output", "/dev/null"))
        seconds, total = pull(server.url + "/download/" + image.id)
        assert total > image.size, "the answer is cut"
        times["pull"].append(seconds)
    memory = server.memory()
    assert server.stop() == 0
    redirected_pulls(options, server, image, times)
    return max(memory, server.memory()), {name: image.size / statistics.median(taken) / (1 << 20) for name, taken in times.items()}


def main_s3(options, server, image, work):
    try:
        memory, rates = bench_s3(options, server.start(), image)
        assert server.stop() == 0
    finally:
        server.remove()
        server.store.remove()
        shutil.rmtree(work)
    for ours, theirs in (("push", "put"), ("push", "signed put"), ("full", "signed put"), ("pull", "get"), ("redirected pull", "get")):
        print(f"{ours} by S3: {rates[ours]:,.0f} MiB/s, one {theirs} by curl {rates[theirs]:,.0f} MiB/s ({rates[ours] / rates[theirs]:.2f} times)")
    print("load of the machine: {:.1f} {:.1f} {:.1f}".format(*os.getloadavg()))
    print(f"memory of the registry: {memory / (1 << 20):.0f} MiB")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"size": image.size, "memory": memory, **rates}, file, indent=2)


@contextlib.contextmanager
def nginx(folder, work):
    config, port = work + "/nginx.conf", ports.free_port()
    with open(config, "w", encoding="utf-8") as file:
        file.write(f"""daemon off; worker_processes auto; pid {work}/nginx.pid; error_log {work}/nginx.log;
events {{ worker_connections 1024; }}
http {{ sendfile on; tcp_nopush on; access_log off; client_body_temp_path {work}/n1; proxy_temp_path {work}/n2; fastcgi_temp_path {work}/n3;
uwsgi_temp_path {work}/n4; scgi_temp_path {work}/n5; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}""")
    process = subprocess.Popen(["nginx", "-c", config, "-e", work + "/nginx.log"])
    try:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < deadline and process.poll() is None, "nginx does not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.path.join(HERE, "../build"), help="the build folder")
    parser.add_argument("--size", type=float, default=1, help="GiB of the image (1)")
    parser.add_argument("--pushes", type=int, default=3, help="pushes (3); medians are shown")
    parser.add_argument("--pulls", type=int, default=5, help="pulls (5)")
    parser.add_argument("--workers", type=int, default=4, help="connections of the push (4)")
    parser.add_argument("--s3", action="store_true", help="keep the chunks in an S3 server")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    work = tempfile.mkdtemp(dir=None if options.s3 else options.build, prefix="bench-registry-")  # with the store, in TMPDIR
    os.chmod(work, 0o755)
    size = int(options.size * GIB)
    chunk_size = (50 << 20) if size > 2 * GIB else (10 << 20)
    if options.s3:
        registry_server.Server.store = s3_server.S3Server().start()
    server = registry_server.Server(os.path.join(options.build, "bin/gvmkit-registry"), data=work + "/data")
    if options.s3:
        main_s3(options, server, registry_server.make_image(work + "/image", size, chunk_size), work)
        return
    try:
        image = registry_server.make_image(work + "/image", size, chunk_size)
        os.sync()  # or the registry waits for, and pays for, the writing of the image
        server.start()
        pushes = []
        for number in range(options.pushes):
            if number:
                server.run("gc", "--keep-anonymous", "0")  # the next one is as new as the first
            cpu, start = server.cpu_seconds(), time.monotonic()
            full = push(server, image, options.workers)
            pushes.append((server.cpu_seconds() - cpu, time.monotonic() - start, full))
        cpu, took, full = (statistics.median(values) for values in zip(*pushes))
        cpu *= GIB / size
        reading, alone = hash_cpu(image.path) * GIB / size, hash_cpu_in_memory(image.path) * GIB / size
        with nginx(work, work) as url:
            ours, theirs = [], []
            for _ in range(options.pulls):
                for times, address in ((theirs, url + "/image"), (ours, server.url + "/download/" + image.id)):
                    seconds, total = pull(address)
                    assert total > size, "the answer is cut"
                    times.append(seconds)
        memory = server.memory()
        assert server.stop() == 0
    finally:
        server.remove()
        shutil.rmtree(work)
    rate, reference = (size / statistics.median(times) / (1 << 20) for times in (ours, theirs))
    print(f"push of {options.size} GiB by {options.workers} connections: {took:.1f} s")
    print(f"CPU of the registry: {cpu:.2f} s/GiB, of the hashes alone {alone:.2f} ({cpu / alone:.2f} times), with reading the file {reading:.2f}")
    print(f"from the last chunk to full: {full:.2f} s")
    print(f"pull: {rate:,.0f} MiB/s, nginx {reference:,.0f} MiB/s ({rate / reference:.2f} times)")
    print(f"memory of the registry: {memory / (1 << 20):.0f} MiB")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"size": size, "push_cpu": cpu, "hash_cpu": alone, "hash_and_read_cpu": reading, "full": full, "pull": rate,
                       "nginx": reference, "memory": memory}, file, indent=2)


main()
