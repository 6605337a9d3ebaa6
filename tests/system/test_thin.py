#!/usr/bin/env python3
"""Thin images: made, looked into, deployed and run, from servers that do what they should and from others.

test_thin.py BIN NBD_SERVER
"""

import glob
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import registry_server
from ports import free_port
from range_server import RangeServer

BIN = NBD_SERVER = ""
BLOCK = 256 << 10
DEADLINE = 300  # only tells a hang from a slow machine
SENTENCE = "this is a thin image: it runs where ya-runtime-vm of gvmkit does, whose offers have thin-image among golem.runtime.capabilities"


def run(*command, code=0, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=DEADLINE, check=False, **options)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{command}: {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


def link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


class Thin(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.mkdtemp(prefix="gvmkit-thin.")
        cls.addClassCleanup(shutil.rmtree, cls.base)
        cls.tree = cls.base + "/tree"
        os.makedirs(cls.tree + "/bin")
        os.makedirs(cls.tree + "/data")
        shutil.copy("/bin/busybox", cls.tree + "/bin/busybox")
        for name in ("cat", "echo", "ls", "sh", "sha256sum", "sleep"):
            os.symlink("busybox", f"{cls.tree}/bin/{name}")
        dice = random.Random(5)
        cls.sums = {}
        for name, size in (("first", 3 << 20), ("second", 9 << 20), ("third", 1 << 20)):
            content = dice.randbytes(size)
            cls.sums[name] = hashlib.sha256(content).hexdigest()
            with open(f"{cls.tree}/data/{name}", "wb") as file:
                file.write(content)
        cls.full = cls.build(cls.tree, cls.base + "/full.gvmi")
        run(BIN + "/ya-runtime-vm", "--accel", "tcg", "template", "warm")

    @classmethod
    def build(cls, tree, output):
        run(BIN + "/gvmkit-build", "--force", "--hide-progress", "--no-lint", "--vol", "/work", "--output", output, "rootfs:" + tree)
        return output

    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="test.", dir=self.base)
        self.cache = self.work + "/cache"
        # Templates are shared; blocks are not.
        shutil.copytree(os.path.join(os.environ["XDG_CACHE_HOME"], "gvmkit/templates"), self.cache + "/templates", copy_function=link_or_copy)

    def serve(self, path=None, **options):
        server = RangeServer(path or self.full, **options)
        self.addCleanup(server.close)
        return server

    def thin(self, *urls, full=None, options=()):
        output = f"{self.work}/{len(os.listdir(self.work))}.thin.gvmi"
        run(BIN + "/gvmi", "thin", full or self.full, "-o", output, *(word for url in urls for word in ("--url", url)), *options)
        return output

    def command(self, image, *command, options=(), allow=("127.0.0.1",)):
        allowed = [word for host in allow for word in ("--thin-allow", host)]
        return [BIN + "/ya-runtime-vm", "--accel", "tcg", "--cache-dir", self.cache, *allowed, *options, "-t", image, *command]

    def in_vm(self, image, script, code=0, **more):
        return run(*self.command(image, "run", "--", "/bin/sh", "-c", script, **more), code=code)

    def gvmi(self, *arguments, code=0):
        return run(BIN + "/gvmi", *arguments, code=code, env=dict(os.environ, XDG_CACHE_HOME=self.cache)).stdout

    def cached_blocks(self):
        return [os.path.join(parent, name) for parent, _, names in os.walk(self.cache + "/blocks") for name in names if len(name) == 62]

    def assert_all_sums(self, image, **more):
        output = self.in_vm(image, "cd /data && sha256sum *", **more).stdout.decode()
        self.assertEqual(dict(reversed(line.split("  ")) for line in output.splitlines()), self.sums)

    def test_runs_in_a_vm(self):
        server = self.serve()
        self.assert_all_sums(self.thin(server.url))

    def test_runs_in_a_vm_that_boots(self):
        server = self.serve()
        self.assert_all_sums(self.thin(server.url), options=("--template", "off"))

    def test_fetches_each_block_once(self):
        server = self.serve()
        image = self.thin(server.url)
        all_blocks = list(range(-(-server.size // BLOCK)))
        vm, said = self.begin(image, begin="sha256sum /data/* > /work/sums; echo begin")
        self.assertEqual(said, "begin")
        while len(self.cached_blocks()) < len(all_blocks):  # an end would break a request off
            self.assertIsNone(vm.poll())
            time.sleep(0.1)
        self.let_go_on()
        self.assert_sums(vm.communicate(timeout=DEADLINE)[0])
        self.assert_all_sums(image)
        blocks = [block for first, last in server.requests for block in range(first // BLOCK, last // BLOCK + 1)]
        self.assertEqual(sorted(blocks), all_blocks)
        self.assertLessEqual(server.sent, server.size)

    def test_sixteen_vms_fetch_each_block_once(self):
        server = self.serve(delay=0.005)
        image = self.thin(server.url)
        seen = []
        threads = [threading.Thread(target=lambda: seen.append(self.in_vm(image, "sha256sum /data/second").stdout.split()[0].decode()))
                   for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(seen, [self.sums["second"]] * 16)
        # A VM that is killed in its end breaks a request off; nothing is fetched twice as a whole.
        self.assertLessEqual(server.sent, server.size * 1.1)

    def test_fetches_only_what_is_needed(self):
        server = self.serve()
        image = self.thin(server.url)
        self.in_vm(image, "sha256sum /data/third", options=("--thin-fetch", "needed"))
        self.assertLess(server.sent, server.size / 2)

    def test_fetches_the_recorded_start_first(self):
        server = self.serve()
        image = self.thin(server.url, options=("--record", "sha256sum /data/third"))
        recorded = json.loads(self.gvmi("inspect", "--json", image))["thin"]["recorded_blocks"]
        self.assertGreaterEqual(recorded, 4)
        server.requests.clear()
        for path in ("blocks", "gvmkit/blocks"):
            shutil.rmtree(f"{self.cache}/{path}", ignore_errors=True)
        self.in_vm(image, "sha256sum /data/third", options=("--thin-fetch", "needed"))
        fetched = sum(last // BLOCK - first // BLOCK + 1 for first, last in server.requests)
        self.assertLess(abs(fetched - recorded), 24, "no more than what is read ahead")

    def test_a_recorded_command_that_fails(self):
        done = run(BIN + "/gvmi", "thin", self.full, "-o", self.work + "/x", "--url", "http://a/", "--record", "exit 3", code=1)
        self.assertIn(b"cannot record a start: the recorded command ended with exit code 3", done.stderr)
        self.assertFalse(os.path.exists(self.work + "/x"))

    def test_is_made_the_same_twice(self):
        first, second = self.thin("http://a/x"), self.thin("http://a/x")
        with open(first, "rb") as a, open(second, "rb") as b:
            self.assertEqual(a.read(), b.read())

    def test_tools_see_the_full_image(self):
        server = self.serve()
        image = self.thin(server.url)
        for command in (["ls", "-l", "-R"], ["lint", "--json"]):
            self.assertEqual(self.gvmi(*command, image), self.gvmi(*command, self.full))
        self.assertEqual(hashlib.sha256(self.gvmi("cat", image, "/data/first")).hexdigest(), self.sums["first"])
        self.assertEqual(self.gvmi("diff", image, self.full), b"")
        self.gvmi("extract", image, "/data", "-o", self.work + "/out")
        with open(self.work + "/out/third", "rb") as file:
            self.assertEqual(hashlib.sha256(file.read()).hexdigest(), self.sums["third"])
        self.assertIn(b"whole", self.gvmi("verify", image))
        facts, full = (json.loads(self.gvmi("inspect", "--json", path)) for path in (image, self.full))
        self.assertEqual((facts["config"], facts["squashfs"]), (full["config"], full["squashfs"]))
        self.assertEqual((facts["thin"]["hash"], facts["thin"]["size"], facts["thin"]["urls"]), (full["hash"], full["size"], [server.url]))
        self.assertLess(facts["size"], 16 << 10)

    def test_a_dead_link_fails_at_deploy(self):
        server = RangeServer(self.full)
        image = self.thin(server.url)
        server.close()
        begin = time.monotonic()
        done = run(*self.command(image, "--workdir", self.work + "/w", "deploy"), code=1)
        self.assertIn("the thin image cannot be fetched", done.stderr.decode())
        self.assertIn(server.url, done.stderr.decode())
        self.assertLess(time.monotonic() - begin, DEADLINE / 4)
        self.assertFalse(os.path.exists(self.work + "/w/deployment.json"))

    def test_what_a_provider_forbids(self):
        server = self.serve()
        image = self.thin(server.url)
        for options, allow, reason in (
                (("--thin", "off"), ("127.0.0.1",), "this provider does not run them"), ((), (), "its address is not public"),
                ((), ("localhost",), "its address is not public"), ((), ("127.0.0.1:1",), "its address is not public"),
                (("--thin", "listed"), (), "has not allowed its host")):
            done = run(*self.command(image, "--workdir", self.work + "/w", "deploy", options=options, allow=allow), code=1)
            self.assertIn(reason, done.stderr.decode())
        self.assertEqual(server.requests, [])
        run(*self.command(image, "--workdir", self.work + "/w", "deploy", options=("--thin", "listed")))

    def test_is_offered(self):
        done = run(BIN + "/ya-runtime-vm", "--accel", "tcg", "--cache-dir", self.cache, "offer-template")
        self.assertIn("thin-image", json.loads(done.stdout)["properties"]["golem.runtime.capabilities"])

    def begin(self, image, *options, begin="echo begin", **more):
        """A VM that, after its first line, sums the data up once we let it."""
        script = f"{begin}; until test -e /work/go; do sleep 0.1; done; sha256sum /data/*"
        vm = subprocess.Popen(self.command(image, "run", "--", "/bin/sh", "-c", script, options=("--workdir", self.work + "/w", *options)),
                              stdout=subprocess.PIPE, **more)
        self.addCleanup(vm.wait)
        self.addCleanup(vm.kill)
        return vm, vm.stdout.readline().split()[0].decode()

    def let_go_on(self):
        pathlib.Path(*glob.glob(self.work + "/w/volumes/*"), "go").touch()

    def assert_sums(self, output):
        self.assertEqual([line.split()[0] for line in output.decode().splitlines()], [self.sums[name] for name in ("first", "second", "third")])

    def test_waits_for_a_server_and_says_so(self):
        down = threading.Event()
        server = self.serve(fault=lambda _: "down" if down.is_set() else None)
        vm, said = self.begin(self.thin(server.url), "--thin-fetch", "needed", stderr=subprocess.PIPE)
        self.assertEqual(said, "begin")
        down.set()
        server.cut_all = True
        self.let_go_on()
        notice = b""
        while b"waiting for a server of the image" not in notice:
            notice = vm.stderr.readline()
            self.assertNotEqual(notice, b"", "the VM has ended")
        server.cut_all = False
        down.clear()
        self.assert_sums(vm.communicate(timeout=DEADLINE)[0])
        self.assertIn(server.url.encode(), notice)

    def test_ends_after_its_patience(self):
        down = threading.Event()
        server = self.serve(fault=lambda _: "busy" if down.is_set() else None)
        vm, said = self.begin(self.thin(server.url), "--thin-fetch", "needed", "--thin-patience", "2", stderr=subprocess.PIPE)
        self.assertEqual(said, "begin")
        down.set()
        self.let_go_on()
        _, errors = vm.communicate(timeout=DEADLINE)
        self.assertEqual(vm.returncode, 137)
        self.assertRegex(errors.decode(), f"the VM died: no server of the image .* {re.escape(server.url)}: status 503")

    def test_damaged_and_missing_blocks_are_fetched_again(self):
        server = self.serve()
        image = self.thin(server.url)
        self.assert_all_sums(image)
        blocks = self.cached_blocks()
        for path in blocks[::3]:
            with open(path, "r+b") as file:
                file.write(b"damaged")
        for path in blocks[1::3]:
            os.truncate(path, 100)
        sent = server.sent
        self.assert_all_sums(image)
        self.assertGreater(server.sent, sent)
        shutil.rmtree(self.cache + "/blocks")
        self.assert_all_sums(image)

    def test_the_cache_is_removed_while_a_vm_runs(self):
        vm, said = self.begin(self.thin(self.serve().url), begin="sha256sum /data/first")
        self.assertEqual(said, self.sums["first"])
        shutil.rmtree(self.cache + "/blocks", ignore_errors=True)
        self.let_go_on()
        self.assert_sums(vm.communicate(timeout=DEADLINE)[0])

    def test_a_full_disk_stores_nothing_and_the_vm_runs(self):
        server = self.serve()
        self.assert_all_sums(self.thin(server.url), options=("--thin-cache-gib", "0.001"))

    def test_cache_commands(self):
        server = self.serve()
        self.assert_all_sums(self.thin(server.url))
        cache = [BIN + "/ya-runtime-vm", "--cache-dir", self.cache, "cache"]
        self.assertRegex(run(*cache, "ls").stdout.decode(), r"^5\d blocks, 1\d\.\d MiB of 20\.0 GiB; running VMs use 0 of them\n$")
        run(*cache, "verify")
        path = self.cached_blocks()[0]
        with open(path, "r+b") as file:
            file.write(b"damaged")
        self.assertIn("1 damaged blocks were removed", run(*cache, "verify", code=1).stdout.decode())
        self.assertIn("0 blocks, 0 B", run(*cache, "prune").stdout.decode())
        self.assertIn(b"usage: ya-runtime-vm cache", run(*cache, "all", code=1).stderr)

    def test_a_second_version_shares_blocks(self):
        tree = self.work + "/tree"
        shutil.copytree(self.tree, tree, symlinks=True)
        with open(tree + "/data/third", "wb") as file:
            file.write(random.Random(9).randbytes(1 << 20))
        second = self.build(tree, self.work + "/second.gvmi")
        self.assert_all_sums(self.thin(self.serve().url))
        server = self.serve(second)
        self.in_vm(self.thin(server.url, full=second), "sha256sum /data/*")
        self.assertLess(server.sent, server.size / 4)

    def test_an_older_runtime_says_what_is_needed(self):
        image = self.thin("http://127.0.0.1:9/x")
        run("unsquashfs", "-quiet", "-no-progress", "-dest", self.work + "/stub", image)
        self.assertEqual(run(self.work + "/stub/bin/sh", "-c", "true", code=1).stderr.decode(), SENTENCE + "\n")
        # The same in a VM: without its table the file is an ordinary image.
        facts = subprocess.run(["unsquashfs", "-s", image], capture_output=True, text=True, check=True).stdout
        length = int(re.search(r"Filesystem size (\d+) bytes", facts)[1])
        with open(image, "rb") as file:
            content = file.read()
        stub = self.work + "/stub.gvmi"
        with open(stub, "wb") as file:
            file.write(content[:length] + content[content.rindex(b"GVMITHIN") + 24:])
        self.assertEqual(self.in_vm(stub, "true", code=1).stderr.decode(), SENTENCE + "\n")

    def test_independent_clients(self):
        server = self.serve()
        socket = self.work + "/socket"
        judge = subprocess.Popen([NBD_SERVER, self.thin(server.url), socket], stdout=subprocess.PIPE)
        self.addCleanup(judge.wait)
        self.addCleanup(judge.kill)
        self.assertEqual(judge.stdout.readline(), b"listening\n")
        facts = json.loads(run("nbdinfo", "--json", "nbd+unix:///?socket=" + socket).stdout)["exports"][0]
        size = (server.size + 4095) // 4096 * 4096
        self.assertEqual((facts["export-size"], facts["is_read_only"], facts["can_multi_conn"]), (size, True, True))
        run("nbdcopy", "nbd+unix:///?socket=" + socket, self.work + "/copy")
        with open(self.work + "/copy", "rb") as copy, open(self.full, "rb") as full:
            self.assertEqual(copy.read(), full.read().ljust(size, b"\0"))

    def test_served_by_nginx(self):
        config, port = self.work + "/nginx.conf", free_port()
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"daemon off; user root; pid {self.work}/pid; error_log stderr; events {{}}\n"
                       f"http {{ access_log off; server {{ listen unix:{self.work}/unused; }}\n"
                       f"server {{ listen 127.0.0.1:{port}; root {self.base}; }} }}\n")
        nginx = subprocess.Popen(["/usr/sbin/nginx", "-c", config], stderr=subprocess.DEVNULL)
        self.addCleanup(nginx.wait)
        self.addCleanup(nginx.terminate)
        self.wait_for_port(port)
        self.assert_all_sums(self.thin(f"http://127.0.0.1:{port}/full.gvmi"))

    def test_served_by_gvmi_serve(self):
        port = free_port()
        server = subprocess.Popen([BIN + "/gvmi", "serve", "--listen", f"127.0.0.1:{port}", self.full], stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        url = next(line.split()[1] for line in server.stdout if line.startswith("URL:"))
        self.wait_for_port(port)
        self.assert_all_sums(self.thin(url))

    def test_pushed_to_a_registry(self):
        registry = registry_server.Server(BIN + "/gvmkit-registry", data=self.work + "/registry")
        self.addCleanup(registry.remove)
        registry.start()
        environment = {"PATH": os.environ["PATH"], "HOME": self.work, "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"], "REGISTRY_URL": registry.url,
                       "REGISTRY_USER": "alice", "REGISTRY_TOKEN": registry.user("alice")}
        image = self.work + "/app.gvmi"
        push = [BIN + "/gvmkit-build", "--force", "--hide-progress", "--no-lint", "--thin", "--push-to", "alice/app:1", "--output", image,
                "rootfs:" + self.tree]
        output = run(*push, env=environment).stdout.decode()
        thin, pulled = self.work + "/app.thin.gvmi", self.work + "/pulled.gvmi"
        run(BIN + "/gvmi", "pull", "alice/app:1", "-o", pulled, env=environment)
        with open(thin, "rb") as made, open(pulled, "rb") as file:
            content = made.read()
            self.assertEqual(file.read(), content)
        self.assertIn('image_tag="alice/app:1"', output)
        self.assert_all_sums(pulled)
        run(BIN + "/gvmi", "pull", "alice/app:1-full", "-o", self.work + "/whole.gvmi", env=environment)
        with open(self.work + "/whole.gvmi", "rb") as file, open(image, "rb") as full:
            self.assertEqual(file.read(), full.read())
        # The registry has both by now, and is sent neither again.
        self.assertEqual(run(*push, env=environment).stdout.decode().count("-- image already uploaded"), 2)

    def wait_for_port(self, port):
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.02)

    def test_wrong_usage(self):
        self.assertIn(b"--url", run(BIN + "/gvmi", "thin", self.full, code=2).stderr)
        self.assertIn(b"http or https", run(BIN + "/gvmi", "thin", self.full, "--url", "ftp://a/", "-o", self.work + "/x", code=1).stderr)
        for options in (["--thin"], ["--thin-url", "http://a/"], ["--record", "true"]):
            run(BIN + "/gvmkit-build", *options, "-o", self.work + "/y", "rootfs:" + self.tree, code=2)
        self.assertEqual([name for name in os.listdir(self.work) if name in "xy"], [])


if __name__ == "__main__":
    BIN, NBD_SERVER = sys.argv.pop(1), sys.argv.pop(1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unittest.main(verbosity=2)
