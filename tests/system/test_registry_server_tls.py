#!/usr/bin/env python3
"""gvmkit-registry while its TLS certificate is renewed, as certbot, Kubernetes and people do it. The clients are OpenSSL's program and curl.

test_registry_server_tls.py BIN
"""

import http.client
import os
import shutil
import signal
import ssl
import subprocess
import threading
import time

import registry_server as registry

SECONDS = 60  # after which something hangs


def issue(folder, serial, certificate="fullchain.pem", key="privkey.pem"):
    """A certificate with a key of its own, in a folder that is made."""
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-set_serial",
                    str(serial), "-keyout", f"{folder}/{key}", "-out", f"{folder}/{certificate}", "-subj", "/CN=registry", "-addext",
                    "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=60)


class Renewal(registry.Case):
    def setUp(self):
        self.work = self.enterContext(registry.tempfile.TemporaryDirectory(prefix="gvmkit-registry-tls."))

    def serve(self, certificate, key):
        self.server = registry.Server(self.program, "--tls-certificate", certificate, "--tls-key", key)
        self.addCleanup(self.server.remove)
        self.log = open(self.work + "/log", "w+", encoding="utf-8")  # noqa: SIM115
        self.addCleanup(self.log.close)
        self.server.start(stderr=self.log)

    def logged(self):
        with open(self.log.name, encoding="utf-8") as file:
            return file.read()

    def serial(self):
        """Of the certificate that OpenSSL's client is shown."""
        shown = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.server.port}"], stdin=subprocess.DEVNULL, capture_output=True,
                               timeout=60, check=False)
        said = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=shown.stdout, capture_output=True, timeout=60, check=True)
        return int(said.stdout.split(b"=")[1], 16)

    def curl(self, trusted):
        return subprocess.run(["curl", "--silent", "--show-error", "--max-time", "30", "--cacert", trusted, self.server.url + "/healthz"], capture_output=True,
                              text=True, timeout=60, check=False)

    def wait_for(self, condition):
        deadline = time.monotonic() + SECONDS
        while not condition():
            self.assertLess(time.monotonic(), deadline, self.logged())
            self.assertIsNone(self.server.process.poll())
            time.sleep(0.05)

    def test_as_certbot_does_it(self):
        """live/NAME/fullchain.pem is a link to ../../archive/NAME/fullchain1.pem; a renewal writes new files and moves the links, one by one."""
        live, archive = self.work + "/live/registry", self.work + "/archive/registry"
        os.makedirs(live)

        def renew(number):
            issue(archive, number, f"fullchain{number}.pem", f"privkey{number}.pem")
            for name in ("privkey", "fullchain"):
                if os.path.lexists(f"{live}/{name}.pem"):
                    os.remove(f"{live}/{name}.pem")
                os.symlink(f"../../archive/registry/{name}{number}.pem", f"{live}/{name}.pem")

        renew(1)
        self.serve(live + "/fullchain.pem", live + "/privkey.pem")
        self.assertEqual(self.serial(), 1)
        self.assertEqual(self.curl(archive + "/fullchain1.pem").stdout, "ok\n")
        old = http.client.HTTPSConnection("127.0.0.1", self.server.port, timeout=60, context=ssl.create_default_context(cafile=archive + "/fullchain1.pem"))
        self.addCleanup(old.close)
        old.connect()
        renew(2)
        self.wait_for(lambda: self.serial() == 2)
        self.assertEqual(self.curl(archive + "/fullchain2.pem").stdout, "ok\n")
        self.assertIn("certificate", self.curl(archive + "/fullchain1.pem").stderr)
        old.request("GET", "/healthz")  # a connection goes on with what it began with
        self.assertEqual(old.getresponse().read(), b"ok\n")
        self.assertEqual(self.server.stop(), 0)

    def test_as_kubernetes_does_it(self):
        """tls.crt is a link to ..data/tls.crt, and ..data a link to a folder; a renewal replaces that link alone."""
        mount = self.work + "/mount"
        issue(mount + "/..one", 1, "tls.crt", "tls.key")
        os.symlink("..one", mount + "/..data")
        for name in ("tls.crt", "tls.key"):
            os.symlink("..data/" + name, f"{mount}/{name}")
        self.serve(mount + "/tls.crt", mount + "/tls.key")
        self.assertEqual(self.serial(), 1)
        issue(mount + "/..two", 2, "tls.crt", "tls.key")
        os.symlink("..two", mount + "/..data_tmp")
        os.rename(mount + "/..data_tmp", mount + "/..data")
        shutil.rmtree(mount + "/..one")
        self.wait_for(lambda: self.serial() == 2)
        self.assertEqual(self.curl(mount + "/tls.crt").stdout, "ok\n")
        self.assertEqual(self.server.stop(), 0)

    def test_a_bad_pair_leaves_the_old_one(self):
        issue(self.work, 1)
        issue(self.work + "/new", 2)
        certificate, key = self.work + "/fullchain.pem", self.work + "/privkey.pem"
        shutil.copy(certificate, self.work + "/first.pem")
        self.serve(certificate, key)

        def stays(reason):
            self.wait_for(lambda: reason in self.logged())
            self.assertEqual(self.serial(), 1)
            self.assertEqual(self.curl(self.work + "/first.pem").stdout, "ok\n")

        def replace(path):
            """At once: the registry may look at any moment, and would tell of what it finds half written."""
            os.rename(f"{self.work}/new/{os.path.basename(path)}", path)

        # Written in place, and not to its end.
        with open(self.work + "/new/fullchain.pem", encoding="ascii") as file:
            text = file.read()
        with open(certificate, "w", encoding="ascii") as file:
            file.write(text[:len(text) // 2])
        stays(f"the TLS certificate stays the one that was read before: {certificate}: ")
        replace(certificate)
        stays(f"{key}: it is not the key of {certificate}\n")
        os.remove(key)
        stays(f"cannot open {key}: No such file or directory\n")
        replace(key)
        self.wait_for(lambda: self.serial() == 2)
        self.assertEqual(self.logged().count("stays the one"), 3, self.logged())
        self.assertEqual(self.server.stop(), 0)

    def test_a_signal_reads_it_at_once_while_clients_connect(self):
        """SIGHUP, as nginx takes it; every handshake beside it succeeds, with the one certificate or the other."""
        for number in range(2):
            issue(f"{self.work}/{number}", number + 1)
        for name in ("fullchain.pem", "privkey.pem"):
            shutil.copy(f"{self.work}/0/{name}", f"{self.work}/{name}")
        self.serve(self.work + "/fullchain.pem", self.work + "/privkey.pem")
        context = ssl.create_default_context()
        context.load_verify_locations(f"{self.work}/0/fullchain.pem")
        context.load_verify_locations(f"{self.work}/1/fullchain.pem")
        failures, done, shaken = [], threading.Event(), [0] * 4

        def connect(number):
            while not done.is_set():
                try:
                    client = http.client.HTTPSConnection("127.0.0.1", self.server.port, timeout=60, context=context)
                    client.request("GET", "/healthz")
                    assert client.getresponse().read() == b"ok\n"
                    client.close()
                    shaken[number] += 1
                except Exception as error:  # noqa: BLE001
                    failures.append(error)

        clients = [threading.Thread(target=connect, args=(number,)) for number in range(len(shaken))]
        for client in clients:
            client.start()
        try:
            for turn in range(1, 11):
                for name in ("fullchain.pem", "privkey.pem"):
                    shutil.copy(f"{self.work}/{turn % 2}/{name}", f"{self.work}/{name}.new")
                    os.rename(f"{self.work}/{name}.new", f"{self.work}/{name}")
                self.server.process.send_signal(signal.SIGHUP)
                self.wait_for(lambda turn=turn: self.serial() == turn % 2 + 1)
                before = sum(shaken)
                self.wait_for(lambda before=before: sum(shaken) >= before + 5)
        finally:
            done.set()
            for client in clients:
                client.join()
        self.assertEqual(failures, [])
        self.assertGreaterEqual(self.logged().count("new connections get the certificate of"), 10)
        self.assertEqual(self.server.stop(), 0)

    def test_a_wrong_file_at_the_start(self):
        issue(self.work, 1)
        issue(self.work + "/other", 2)
        for certificate, key, reason in ((self.work + "/fullchain.pem", self.work + "/other/privkey.pem", "it is not the key of"),
                                         (self.work + "/privkey.pem", self.work + "/privkey.pem", "/privkey.pem: ")):
            server = registry.Server(self.program)
            self.addCleanup(server.remove)
            done = server.run("serve", "--tls-certificate", certificate, "--tls-key", key, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn(reason, done.stdout)

    def test_the_signal_ends_no_server_without_tls(self):
        self.server = registry.Server(self.program)
        self.addCleanup(self.server.remove)
        self.server.start().process.send_signal(signal.SIGHUP)
        self.assertEqual(self.server.client().get("/healthz")[0], 200)
        self.assertEqual(self.server.stop(), 0)


registry.main()
