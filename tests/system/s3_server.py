"""A real S3 server to test against: versitygw, of a fixed version from the Go module proxy, built once into the build cache, on a folder."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time

from other_clients import cached, run
from ports import free_port

GATEWAY = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
BUCKET = "images"
KEYS = {"AWS_ACCESS_KEY_ID": "gvmkit-test", "AWS_SECRET_ACCESS_KEY": "not/a+secret"}


def program():
    def make(folder):
        run("go", "install", GATEWAY, env=dict(os.environ, GOBIN=folder))
    return cached("go", [GATEWAY], make) + "/versitygw"


class S3Server:
    """One bucket. A prefix in it is a folder in `root`."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="gvmkit-s3.")
        self.root = f"{self.folder}/store/{BUCKET}"
        os.makedirs(self.root)
        self.port, self.process = free_port(), None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def options(self, prefix):
        """Of gvmkit-registry."""
        return ["--store", f"s3://{BUCKET}/{prefix}", "--s3-endpoint", self.url, "--s3-path-style"]

    def start(self):
        with open(self.folder + "/log", "ab") as log:
            self.process = subprocess.Popen([program(), "--port", f"127.0.0.1:{self.port}", "--quiet", "--keep-alive", "posix", self.folder + "/store"], stdout=log,
                                            stderr=log, env=dict(os.environ, ROOT_ACCESS_KEY=KEYS["AWS_ACCESS_KEY_ID"],
                                                                 ROOT_SECRET_KEY=KEYS["AWS_SECRET_ACCESS_KEY"]))
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(self.folder + "/log", encoding="utf-8", errors="replace") as log:
                    raise RuntimeError("the S3 server does not start: " + log.read())
            time.sleep(0.02)

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def remove(self):
        if self.process and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
