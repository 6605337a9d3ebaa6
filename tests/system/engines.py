"""A Docker engine, a Podman service and a registry of a test's own: data folder, socket and port belong to the test and end with it. Needs
root."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time

from ports import free_port


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=300, **options).stdout


def wait_for(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.1)


@contextlib.contextmanager
def started(command, log, **options):
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def docker(folder, own_network=False):
    """Yields the socket of a dockerd. It has no network and no part in the machine's; or all that it wants, where this process is in a network of its
    own."""
    os.makedirs(folder)
    path = folder + "/docker.sock"
    command = ["dockerd", "--data-root", folder + "/data", "--exec-root", folder + "/exec", "--pidfile", folder + "/pid",
               "--host", "unix://" + path, *([] if own_network else ["--bridge=none", "--iptables=false", "--ip6tables=false"])]
    with started(command, folder + "/log"):
        environment = dict(os.environ, DOCKER_HOST="unix://" + path)

        def answers():
            return subprocess.run(["docker", "version"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30,
                                  check=False).returncode == 0
        wait_for(answers, "dockerd does not answer; " + folder + "/log")
        yield path


@contextlib.contextmanager
def podman(folder):
    """Yields the socket of a Podman service, and the command that works on its storage."""
    os.makedirs(folder)
    path = folder + "/podman.sock"
    command = ["podman", "--root", folder + "/root", "--runroot", folder + "/run", "--storage-driver", "vfs"]
    with started([*command, "system", "service", "--time", "0", "unix://" + path], folder + "/log"):
        wait_for(lambda: os.path.exists(path), "podman does not answer; " + folder + "/log")
        yield path, command


class Registry:
    """Debian's docker-registry with TLS and one user."""

    USER, PASSWORD = "user", "secret"

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        self.host = f"localhost:{free_port()}"
        self.certificate = folder + "/cert.pem"
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder + "/key.pem", "-out", self.certificate,
            stderr=subprocess.DEVNULL)
        with open(folder + "/users", "wb") as file:
            file.write(run("htpasswd", "-nbB", self.USER, self.PASSWORD))
        with open(folder + "/config.yml", "w", encoding="utf-8") as file:
            file.write(f"""version: 0.1
log: {{accesslog: {{disabled: false}}, level: info}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}
http: {{addr: '{self.host}', tls: {{certificate: {self.certificate}, key: {folder}/key.pem}}}}
auth: {{htpasswd: {{realm: test, path: {folder}/users}}}}
""")

    def environment(self, password=None):
        """Where skopeo finds the certificate and a login."""
        auth = self.folder + "/auth.json"
        environment = dict(os.environ, SSL_CERT_FILE=self.certificate, REGISTRY_AUTH_FILE=auth, XDG_CACHE_HOME=self.folder + "/cache")
        import base64  # pylint: disable=import-outside-toplevel
        import json  # pylint: disable=import-outside-toplevel
        login = base64.b64encode(f"{self.USER}:{password or self.PASSWORD}".encode()).decode()
        with open(auth, "w", encoding="utf-8") as file:
            json.dump({"auths": {self.host: {"auth": login}}}, file)
        return environment

    def requests(self):
        """The paths of the blobs that were fetched, from the access log."""
        with open(self.folder + "/log", encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
        return [line.split('"GET ', 1)[1].split(" ")[0] for line in lines if '"GET ' in line and "/blobs/" in line]

    @contextlib.contextmanager
    def serving(self):
        with started(["docker-registry", "serve", self.folder + "/config.yml"], self.folder + "/log"):
            host, port = self.host.split(":")

            def listens():
                with socket.socket() as client:
                    return client.connect_ex((host, int(port))) == 0
            wait_for(listens, "the registry does not answer; " + self.folder + "/log")
            yield self


def missing():
    """The programs that are not there."""
    return [name for name in ("dockerd", "docker", "podman", "buildah", "skopeo", "umoci", "docker-registry", "htpasswd", "openssl")
            if not shutil.which(name)]


def require():
    """Ends the test's program as skipped where it cannot run."""
    if os.geteuid() != 0 or missing():
        print("skipped: needs root and", *missing())
        sys.exit(77)  # ctest's SKIP_RETURN_CODE
