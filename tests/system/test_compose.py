#!/usr/bin/env python3
"""packaging/compose.yaml brought up by docker-compose and a Docker engine of the test's own: a push and pulls through the proxy, a server that is
killed, a data base and a store that begin anew.

test_compose.py BIN SITE    (needs root, for the engine)

The image gvmkit-registry is made as ./dev dist makes it. The others come from registries in the Internet, which a test does not use: images of the same
names and commands are made of Debian's packages and of the S3 server that the other tests have.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import engines  # noqa: E402
import s3_server  # noqa: E402
from debian_image import cached_tree  # noqa: E402
from engines import run, wait_for  # noqa: E402

TOP = os.path.dirname(os.path.dirname(HERE))
PORT = 8080
URL = f"http://127.0.0.1:{PORT}"
SECRETS = {"REGISTRY_DB_PASSWORD": "of-the-data-base", "REGISTRY_STORE_KEY": "gvmkit-test", "REGISTRY_STORE_SECRET": "not/a+secret"}

# What the image `postgres` does with its environment, as far as compose.yaml relies on it.
POSTGRES = """#!/bin/sh
set -eu
data=/var/lib/postgresql/data bin=$(echo /usr/lib/postgresql/*/bin)
if [ ! -e $data/PG_VERSION ]; then
  chown postgres: $data
  chmod 700 $data
  printf %s "$POSTGRES_PASSWORD" > /tmp/password
  chown postgres: /tmp/password
  setpriv --reuid postgres --regid postgres --init-groups $bin/initdb -D $data -U "$POSTGRES_USER" --pwfile /tmp/password -A scram-sha-256
  echo 'host all all all scram-sha-256' >> $data/pg_hba.conf
  echo "CREATE DATABASE $POSTGRES_DB" | setpriv --reuid postgres --regid postgres --init-groups $bin/postgres --single -D $data postgres
fi
exec setpriv --reuid postgres --regid postgres --init-groups $bin/postgres -D $data -c listen_addresses='*' -c unix_socket_directories=/tmp
"""


def debian():
    """The tar of a Debian with what the stand-ins run."""
    command = ["debootstrap", "--variant=minbase", "--include=postgresql,nginx-light", "bookworm"]

    def make(folder):
        run(*command, folder)
        with open(folder + "/usr/local/bin/postgres-entrypoint", "w", encoding="ascii") as file:
            file.write(POSTGRES)
            os.fchmod(file.fileno(), 0o755)
    return cached_tree(" ".join(command) + POSTGRES, make)


class Compose(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="gvmkit-compose.", dir="/var/tmp")  # where an overlay can be
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        run("ip", "link", "set", "lo", "up")  # in the network of our own: main
        socket = cls.stack.enter_context(engines.docker(cls.work + "/docker", own_network=True))
        cls.environment = {**os.environ, "DOCKER_HOST": "unix://" + socket, "COMPOSE_PROJECT_NAME": "registry"}
        for name in ("compose.yaml", "compose.nginx.conf"):
            shutil.copy(f"{TOP}/packaging/{name}", cls.work)
        with open(cls.work + "/.env", "w", encoding="ascii") as file:
            file.writelines(f"{name}={value}\n" for name, value in SECRETS.items())
        cls.load_images()

    @classmethod
    def load_images(cls):
        folder = cls.work + "/programs"
        shutil.copytree(BIN, folder, symlinks=True)
        shutil.copy(TOP + "/packaging/licences.md", folder)
        shutil.copytree(SITE, folder + "/share/doc/gvmkit/html")
        run(TOP + "/packaging/images.sh", folder, "0", "0", cls.work)
        shutil.rmtree(folder)
        run("skopeo", "copy", "--dest-daemon-host", cls.environment["DOCKER_HOST"], f"oci-archive:{cls.work}/gvmkit-registry-0-oci.tar",
            "docker-daemon:gvmkit-registry:latest")
        cls.docker("import", "--change", 'ENTRYPOINT ["/usr/local/bin/postgres-entrypoint"]', "--change",
                   "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin", debian(), "postgres:15")
        cls.docker("import", "--change", 'CMD ["nginx", "-g", "daemon off;"]', "--change", "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin", debian(),
                   "nginx:1.28")
        cls.docker("create", "--name", "store", "nginx:1.28")
        cls.docker("cp", s3_server.program(), "store:/versitygw")
        cls.docker("commit", "--change", 'ENTRYPOINT ["/versitygw"]', "store", "versity/versitygw:v1.8.0")
        cls.docker("rm", "store")

    @classmethod
    def docker(cls, *command):
        return run("docker", *command, env=cls.environment).decode()

    @classmethod
    def compose(cls, *command):
        done = subprocess.run(["docker-compose", *command], cwd=cls.work, env=cls.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"docker-compose {' '.join(command)}: {done.stdout}")
        return done.stdout

    def setUp(self):
        self.addCleanup(self.compose, "down", "--volumes", "--timeout", "5")
        self.compose("up", "--detach")
        self.wait_until_ready()

    def status(self, path):
        try:
            with urllib.request.urlopen(URL + path, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as e:
            return e.code
        except OSError:
            return 0

    def wait_until_ready(self):
        try:
            wait_for(lambda: self.status("/readyz") == 200, "the registry is not ready", 120)
        except TimeoutError as e:
            raise AssertionError(self.compose("logs", "--no-color", "--tail", "40")) from e

    def program(self, name, *arguments, **environment):
        done = subprocess.run([f"{BIN}/{name}", *arguments], cwd=self.work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                              check=False, env={"PATH": os.environ["PATH"], "HOME": self.work, "REGISTRY_URL": URL, **environment})
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def assert_pulls(self):
        self.program("gvmi", "pull", "alice/tools:1.0", "--output", "pulled")
        with open(self.work + "/pulled", "rb") as pulled, open(self.work + "/image", "rb") as image:
            self.assertTrue(pulled.read() == image.read())
        os.unlink(self.work + "/pulled")

    def test_serves_images_while_parts_of_it_go_and_come(self):
        with open(self.work + "/image", "wb") as file:
            for _ in range(5):
                file.write(os.urandom(1 << 20))
        self.compose("exec", "-T", "registry-1", "gvmkit-registry", "user", "add", "alice")
        token = self.compose("exec", "-T", "registry-2", "gvmkit-registry", "token", "create", "alice").split()[-1]
        self.program("gvmkit-build", "--direct-file-upload", "image", "--push-to", "alice/tools:1.0", REGISTRY_USER="alice", REGISTRY_TOKEN=token)
        self.assert_pulls()
        with urllib.request.urlopen(URL + "/v1/image/info?tag=alice/tools:1.0", timeout=10) as answer:
            self.assertTrue(json.load(answer)["http"].startswith("http://localhost:8080/download/"))
        self.assertEqual(self.status("/metrics"), 403)

        for server in ("registry-1", "registry-2"):
            self.compose("kill", server)
            for _ in range(4):  # more than there are servers
                self.assert_pulls()
            self.compose("start", server)
        for service in ("database", "store"):
            self.compose("restart", "--timeout", "5", service)
            self.wait_until_ready()
            self.assert_pulls()

        self.compose("run", "--rm", "-T", "registry-1", "fsck", "--data=/data", "--store=s3://images", "--s3-endpoint=http://store:7070",
                     "--s3-path-style")  # fails where fsck finds something
        # What has been pushed is in the volumes.
        self.compose("down", "--timeout", "5")
        self.compose("up", "--detach")
        self.wait_until_ready()
        self.assert_pulls()


if __name__ == "__main__":
    missing = [name for name in ("dockerd", "docker-compose", "debootstrap", "skopeo", "buildah") if not shutil.which(name)]
    if os.geteuid() != 0 or missing:
        print("needs root and " + ", ".join(missing) if missing else "needs root, for the engine")
        sys.exit(77)
    if "--in-own-network" not in sys.argv:
        debian(), s3_server.program()  # which may have to be fetched
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv, "--in-own-network"])
    sys.argv.remove("--in-own-network")
    BIN, SITE = os.path.abspath(sys.argv.pop(1)), os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2, warnings="ignore")
