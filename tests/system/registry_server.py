"""A gvmkit-registry to test, and an uploader of our own that knows nothing of the client's code: spec/registry.md by the standard library."""

import atexit
import hashlib
import http.client
import json
import os
import random
import resource
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

import nginx
import postgres
import s3_server
from ports import free_port

MAGIC = 0x0000000333333334
BOUNDARY = "----------------------------gvmkit"


class Image:
    """A file and its descriptor. The hashes are Python's."""

    def __init__(self, path, chunk_size=2 << 20):
        self.path, self.chunk_size = path, chunk_size
        self.size = os.path.getsize(path)
        whole, self.chunks = hashlib.sha3_224(), []
        with open(path, "rb") as file:
            while data := file.read(chunk_size):
                whole.update(data)
                self.chunks.append(hashlib.sha256(data).hexdigest())
        self.sha3 = whole.hexdigest()
        self.descriptor = describe(self.size, chunk_size, self.sha3, self.chunks)
        self.id = hashlib.sha256(self.descriptor).hexdigest()

    def chunk(self, number):
        with open(self.path, "rb") as file:
            file.seek(number * self.chunk_size)
            return file.read(self.chunk_size)


def describe(size, chunk_size, sha3, chunks):
    return struct.pack(">QQQ", MAGIC, size, chunk_size) + bytes.fromhex(sha3) + b"".join(bytes.fromhex(chunk) for chunk in chunks)


def make_image(path, size, chunk_size=2 << 20):
    """A file of random bytes."""
    with open(path, "wb") as file:
        left = size
        while left:
            left -= file.write(os.urandom(min(left, 16 << 20)))
    return Image(path, chunk_size)


def form(fields, file=None):
    """The body of a multipart form, with the file last."""
    body = bytearray()
    for name, value in fields.items():
        value = value if isinstance(value, bytes) else str(value).encode()
        body += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
    if file is not None:
        body += (f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="descriptor.txt"\r\n'
                 "Content-Type: application/octet-stream\r\n\r\n").encode() + file + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode()
    return bytes(body)


def chunk_fields(image, number, **other):
    fields = {"descr-sha256": image.id, "chunk-no": number, "chunk-sha256": image.chunks[number],
              "chunk-pos": number * image.chunk_size, "chunk-len": min(image.chunk_size, image.size - number * image.chunk_size)}
    fields.update(other)
    return fields


class Client:
    """One connection, made anew after an error."""

    def __init__(self, url, timeout=60):
        parts = urllib.parse.urlsplit(url)
        self.http = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)

    def request(self, method, path, body=None, headers=None):
        """(status, headers, body). Bodies are sent in pieces without a length, as `gvmkit-build` 0.3 does."""
        try:
            if isinstance(body, bytes):
                pieces = (body[i:i + (256 << 10)] for i in range(0, len(body), 256 << 10))
                self.http.request(method, path, pieces, headers or {}, encode_chunked=True)
            else:
                self.http.request(method, path, None, headers or {})
            answer = self.http.getresponse()
            return answer.status, answer.headers, answer.read()
        except Exception:
            self.http.close()
            raise

    def get(self, path, **headers):
        return self.request("GET", path, None, headers)

    def post_form(self, path, fields, file=None):
        return self.request("POST", path, form(fields, file), {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
                                                              "Transfer-Encoding": "chunked"})

    def post_json(self, path, value):
        return self.request("POST", path, json.dumps(value).encode(), {"Content-Type": "application/json", "Transfer-Encoding": "chunked"})

    def status(self, image_id):
        code, _, body = self.get("/v1/image/descr/" + image_id)
        assert code == 200, (code, body)
        return json.loads(body)

    def push_descriptor(self, descriptor):
        return self.post_form("/v1/image/push/descr", {}, descriptor)

    def push_chunk(self, image, number, data=None, **other):
        return self.post_form("/v1/image/push/chunk", chunk_fields(image, number, **other), image.chunk(number) if data is None else data)

    def attach(self, image_id, user, repository, tag, login, token, **other):
        return self.post_form("/v1/image/descr/attach/" + image_id,
                              {"username": user, "repository": repository, "tag": tag, "login": login, "token": token, **other})

    def wait_full(self, image_id, seconds=60):
        deadline = time.monotonic() + seconds
        while self.status(image_id)["status"] != "full":
            assert time.monotonic() < deadline, "it does not become full"
            time.sleep(0.02)

    def push(self, image):
        """Uploads what is missing, one chunk after another; returns the numbers of the chunks sent."""
        if self.status(image.id)["descriptor"] != "ok":
            code, _, body = self.push_descriptor(image.descriptor)
            assert code == 200, (code, body)
        missing = [number for number, there in enumerate(self.status(image.id)["chunks"]) if not there]
        for number in missing:
            code, _, body = self.push_chunk(image, number)
            assert code == 200, (code, body)
        return missing


def fetch(url, method="GET", **headers):
    """(status, headers, body) of any server."""
    parts = urllib.parse.urlsplit(url)
    return Client(url).request(method, f"{parts.path}?{parts.query}", None, headers)


def new_db():
    """The URL of an empty data base, or None: SQLite in the server's folder."""
    return Server.cluster.url(Server.cluster.new_schema()) if Server.cluster else None


class Server:
    """`db`: the URL of a PostgreSQL data base; None: SQLite in the folder. Where `store` is an S3Server, the chunks are there, under a prefix of
    the server's own."""

    # Of all; set by take_parameters.
    store = None
    cluster = None  # a PostgreSQL, for new_db

    def __init__(self, program, *options, data=None, db=None):
        self.program, self.options = program, options
        self.data = data or tempfile.mkdtemp(prefix="gvmkit-registry.")
        self.db = db
        self.store_options, self.chunks, self.environment = [], self.data + "/chunks", None
        if self.store:
            prefix = f"{random.getrandbits(64):x}/registry"
            self.store_options, self.chunks = self.store.options(prefix), f"{self.store.root}/{prefix}/chunks"
            self.environment = dict(os.environ, **s3_server.KEYS)
        self.process = self.url = None
        self.port = 0

    def place(self):
        """The options that say where its data are."""
        return ["--data", self.data, *(["--db", self.db] if self.db else [])]

    def start(self, stderr=None):
        self.port = self.port or free_port()  # a restarted one is found at the same place
        self.process = subprocess.Popen([self.program, "serve", *self.place(), *self.store_options, "--listen", f"127.0.0.1:{self.port}",
                                         *self.options], stdout=subprocess.PIPE, stderr=stderr, text=True, env=self.environment)
        if not select.select([self.process.stdout], [], [], 120)[0]:
            raise TimeoutError("the registry does not start")
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), line
        self.url = line.split()[-1]
        return self

    def kill(self):
        self.process.kill()
        self.process.wait(60)
        self.process.stdout.close()

    def stop(self):
        """Its exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self.process.stdout.close()
        return code

    def remove(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    def run(self, *command, check=True):
        """A sub-command on the same data; its output."""
        if command[0] == "gc" and "--grace" not in command:
            command += ("--grace", "0")
        store = self.store_options if command[0] in ("gc", "fsck") else []
        done = subprocess.run([self.program, *command, *self.place(), *store], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=300, check=False, env=self.environment)
        assert not check or done.returncode == 0, done
        return done.stdout if check else done

    def sql(self, text):
        """A statement on its data base, beside it."""
        if self.cluster:
            self.cluster.sql(text, urllib.parse.unquote(self.db).rsplit("=", 1)[1])
            return
        with sqlite3.connect(self.data + "/registry.sqlite", timeout=30) as data_base:
            data_base.execute(text)

    def user(self, name, *options):
        """A user with a token, which is returned."""
        self.run("user", "add", name, *options)
        return self.run("token", "create", name).strip()

    def client(self, **options):
        return Client(self.url, **options)

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident bytes, at most since the start."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM:"))

    def metrics(self):
        return self.client().get("/metrics")[2].decode()


class Processes:
    """Several as one, for who waits for a server or ends it; the first gets signals first."""

    def __init__(self, processes):
        self.all = processes

    def poll(self):
        """The first exit code: they run only together."""
        return next((code for code in (process.poll() for process in self.all) if code is not None), None)

    def send_signal(self, number):
        for process in self.all:
            process.send_signal(number)

    def wait(self, seconds):
        return max(abs(process.wait(seconds)) for process in self.all)


class Pair(Server):
    """Two servers on one PostgreSQL and one store, with folders of their own, behind nginx, which gives each the next request."""

    def __init__(self, program, *options, data=None, db=None):
        super().__init__(program, *options, data=data, db=db or new_db())
        self.both = [Server(program, data=folder, db=self.db) for folder in (self.data, self.data + ".2")]
        for server in self.both:
            server.store_options = self.store_options
        self.proxy = None

    def start(self, stderr=None):
        for server in self.both:
            server.options, server.port = self.options, 0
            server.start(stderr)
        self.proxy = nginx.Nginx(self.both, self.port, dict(zip(self.options[::2], self.options[1::2]))).start()
        self.port, self.url = self.proxy.port, self.proxy.url
        self.process = Processes([self.proxy, *(server.process for server in self.both)])
        return self

    def kill(self):
        self.proxy.kill()
        for server in self.both:
            server.kill()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        for server in self.both:
            server.process.stdout.close()
        return code

    def remove(self):
        if self.proxy:
            self.proxy.kill()
        for server in self.both:
            server.remove()

    def cpu_seconds(self):
        return sum(server.cpu_seconds() for server in self.both)

    def memory(self):
        return max(server.memory() for server in self.both)

    def metrics(self):
        return "".join(server.metrics() for server in self.both)


def sha3(data):
    return hashlib.sha3_224(data).hexdigest()


WORK = tempfile.mkdtemp(prefix="gvmkit-registry-test.")
atexit.register(shutil.rmtree, WORK, ignore_errors=True)


class Case(unittest.TestCase):
    """A test with a server of its own, on an empty folder."""

    program = None  # set by main
    options = ()

    def setUp(self):
        self.server = server(self.program, *self.options)
        self.addCleanup(self.server.remove)
        self.server.start()
        self.client = self.server.client()

    def image(self, size=5_000_000, chunk_size=2 << 20):
        return make_image(f"{WORK}/{random.getrandbits(64):x}", size, chunk_size)

    def pushed(self, attached=None, **options):
        """As clients do it. With `attached`, (USER, REPOSITORY, TAG, TOKEN), the user asks for the name first, and sets it; else it is
        anonymous."""
        image = self.image(**options)
        if attached:
            self.assertEqual(self.client.push_descriptor(image.descriptor)[0], 200)
            self.assertEqual(self.client.attach(image.id, *attached[:3], attached[0], attached[3], check="true")[0], 200)
        self.client.push(image)
        self.client.wait_full(image.id)
        if attached:
            self.assertEqual(self.client.attach(image.id, *attached[:3], attached[0], attached[3])[0], 200)
        return image

    def tagged(self, token, user="alice", repository="tools", tag="1.0", **options):
        image = self.pushed(**options)
        self.assertEqual(self.client.attach(image.id, user, repository, tag, user, token)[0], 200)
        return image

    def info(self, query):
        code, headers, body = self.client.get("/v1/image/info?" + query)
        self.assertEqual(code, 200, body)
        self.assertEqual(headers["Content-Type"], "application/json")
        return json.loads(body)

    def code(self, path):
        return self.client.get(path)[0]


pair = False  # set by take_parameters


def server(program, *options):
    """A new one, not yet started, or a pair of them, with an empty data base and store."""
    return Pair(program, *options) if pair else Server(program, *options, db=new_db())


def take_parameters():
    """Of a test's program, behind its first argument. With --postgres the metadata are in PostgreSQL, with --s3 the chunks are in a real S3
    server, and with --pair both holds for two servers behind nginx."""
    global pair  # noqa: PLW0603
    given = set()
    while sys.argv[2:] and sys.argv[2] in ("--postgres", "--s3", "--pair"):
        given.add(sys.argv.pop(2))
    pair = "--pair" in given
    if given & {"--postgres", "--pair"}:
        Server.cluster = postgres.Cluster()
        atexit.register(Server.cluster.remove)
    if given & {"--s3", "--pair"}:
        Server.store = s3_server.S3Server()
        atexit.register(Server.store.remove)
        Server.store.start()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def main():
    """Of a test's program: its first argument is the folder of ours."""
    take_parameters()
    Case.program = os.path.abspath(sys.argv.pop(1)) + "/gvmkit-registry"
    unittest.main(verbosity=2, warnings="ignore")
