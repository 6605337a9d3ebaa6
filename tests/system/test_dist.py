#!/usr/bin/env python3
"""The archive for any Linux: its programs in a root that holds nothing else, and its install.sh. Needs root, for the chroot.

test_dist.py BUILD
"""

import glob
import hashlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import unittest

import docker_archive
from chroot import inside

BUILD = os.path.abspath(sys.argv.pop(1))
DIST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging/dist.sh")
PROGRAMS = ["gvmkit-build", "gvmi", "gvmkit-registry", "ya-runtime-dbg", "ya-runtime-vm"]
DESCRIPTOR = "ya-runtime-vm.json"
LISTENING = r"^listening on http://127\.0\.0\.1:\d+\n$"
SECONDS = 300  # after which something hangs


def setUpModule():
    global WORK
    # Not in a tmpfs, which may have no extended attributes.
    WORK = tempfile.mkdtemp(prefix="dist-", dir=os.path.join(BUILD, "tests"))
    unittest.addModuleCleanup(shutil.rmtree, WORK)
    subprocess.check_call([DIST, BUILD, WORK + "/dist"])
    subprocess.check_call(["tar", "-C", WORK, "-xf", *glob.glob(WORK + "/dist/*.tar.xz")])
    os.rename(*glob.glob(WORK + "/gvmkit-*-x86_64"), WORK + "/gvmkit")


class Bare(unittest.TestCase):
    """Programs that are all that there is."""

    @classmethod
    def setUpClass(cls):
        cls.root = WORK + "/root"
        for folder in ("proc", "dev", "tmp", "etc/ssl/certs"):
            os.makedirs(f"{cls.root}/{folder}")
        shutil.copytree(WORK + "/gvmkit", cls.root + "/gvmkit")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout",
                        cls.root + "/tmp/key.pem", "-out", cls.root + "/tmp/certificate.pem", "-subj", "/CN=registry", "-addext",
                        "subjectAltName=DNS:registry.example"], check=True, capture_output=True, timeout=60)
        shutil.copy(cls.root + "/tmp/certificate.pem", cls.root + "/etc/ssl/certs/ca-certificates.crt")
        with open(cls.root + "/etc/hosts", "w", encoding="ascii") as file:
            file.write("127.0.0.1 registry.example\n")
        docker_archive.save(cls.root + "/tmp/image.tar", docker_archive.tree([]), {})

    def run_inside(self, program, *arguments, **environment):
        ended = subprocess.run(inside(self.root, f"/gvmkit/{program}", *arguments), env={"PATH": os.environ["PATH"], "HOME": "/tmp", **environment}, stdin=subprocess.DEVNULL,
                               capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        return ended.stdout

    def convert(self):
        self.run_inside("gvmkit-build", "--force", "--output", "/tmp/image.gvmi", "/tmp/image.tar")
        return "/tmp/image.gvmi"

    def serve(self, *options):
        server = subprocess.Popen(inside(self.root, "/gvmkit/gvmkit-registry", "serve", "--data", "/tmp/registry", "--listen", "127.0.0.1:0", *options),
                                  env={"PATH": os.environ["PATH"]}, stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.communicate, timeout=SECONDS)  # reads to the end of what is inside, which ends a little later
        self.addCleanup(server.kill)
        self.assertTrue(select.select([server.stdout], [], [], SECONDS)[0], "the registry does not start")
        return server.stdout.readline().rpartition(":")[2].strip()

    def test_programs_need_no_library(self):
        found = [f"{WORK}/gvmkit/{name}" for name in [*PROGRAMS, "runtime/mkfs.ext4", "runtime/qemu/qemu-system-x86_64"]]
        for program in found:
            said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
            self.assertIn(said.stdout.strip() + said.stderr.strip(), ("statically linked", "not a dynamic executable"), program)

    def test_self_test(self):
        self.run_inside("ya-runtime-vm", "--accel", "tcg", "test", "--test-timeout", "120")

    def test_convert_and_run(self):
        image = self.convert()
        said = self.run_inside("ya-runtime-dbg", "--task-package", image, "--exec", "echo it is $((40 + 2))", "--", "--accel", "tcg")
        self.assertEqual(said, "it is 42\n")

    def test_push_and_pull_over_tls(self):
        image = self.convert()
        port = self.serve("--tls-certificate", "/tmp/certificate.pem", "--tls-key", "/tmp/key.pem")
        url = f"https://registry.example:{port}"
        said = self.run_inside("gvmkit-build", "--direct-file-upload", image, "--push", "--nologin", "--hide-progress", REGISTRY_URL=url)
        self.assertIn("image", said)
        number = self.run_inside("gvmi", "hash", image).split()[0]
        self.run_inside("gvmi", "pull", number, "--output", "/tmp/pulled.gvmi", REGISTRY_URL=url)
        with open(self.root + image, "rb") as pushed, open(self.root + "/tmp/pulled.gvmi", "rb") as pulled:
            self.assertEqual(hashlib.sha256(pushed.read()).digest(), hashlib.sha256(pulled.read()).digest())


class Archive(unittest.TestCase):
    def test_is_the_same_again(self):
        subprocess.check_call([DIST, BUILD, WORK + "/again"])
        sums = []
        for folder in ("dist", "again"):
            with open(f"{WORK}/{folder}/SHA256SUMS", encoding="ascii") as file:
                sums.append(file.read())
        self.assertEqual(sums[0], sums[1])

    def test_names_no_folder_of_the_build(self):
        """Where something was built is no part of it: in another folder, the bytes are the same."""
        with open(BUILD + "/CMakeCache.txt", encoding="utf-8") as file:
            libraries = re.search(r"^GVMKIT_STATIC_LIBRARIES:PATH=([^;\n]+)", file.read(), re.MULTILINE).group(1)
        cache = os.path.dirname(os.path.dirname(libraries))
        for folder, _, names in os.walk(WORK + "/gvmkit"):
            for name in names:
                with open(f"{folder}/{name}", "rb") as file:
                    content = file.read()
                for place in (BUILD, cache):
                    found = re.search(re.escape(os.fsencode(place)) + rb"[\x21-\x7e]*", content)
                    self.assertIsNone(found, f"{folder}/{name}")

    def test_sums_and_licences(self):
        subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=WORK + "/gvmkit", check=True)
        with open(WORK + "/gvmkit/licences.md", encoding="utf-8") as file:
            licences = file.read()
        for name in ["vmlinux", "initramfs", "self-test.gvmi", "mkfs.ext4", *os.listdir(WORK + "/gvmkit/runtime/qemu")]:
            self.assertIn(name, licences)


class Packages(unittest.TestCase):
    """As their package managers install them: each converts and runs an image."""

    def check_share(self, folder):
        for name in ("man/man1/gvmi.1", "bash-completion/completions/gvmi", "zsh/vendor-completions/_gvmi", "fish/vendor_completions.d/gvmi.fish"):
            with open(f"{folder}/share/{name}", encoding="ascii") as file, open(f"{WORK}/gvmkit/share/{name}", encoding="ascii") as packed:
                self.assertEqual(file.read(), packed.read())

    def convert_and_run(self, folder, programs):
        docker_archive.save(folder + "/image.tar", docker_archive.tree([]), {})
        environment = {**os.environ, "XDG_CACHE_HOME": folder + "/cache"}
        for argv in (["gvmkit-build", "--output", "image.gvmi", "image.tar"],
                     ["ya-runtime-dbg", "--task-package", "image.gvmi", "--exec", "echo it is $((40 + 2))", "--", "--accel", "tcg"]):
            ended = subprocess.run([programs + argv[0], *argv[1:]], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                   capture_output=True, text=True, timeout=SECONDS, check=False)
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertEqual(ended.stdout, "it is 42\n")

    def test_wheel(self):
        folder = tempfile.mkdtemp(prefix="wheel-", dir=WORK)
        subprocess.check_call([sys.executable, "-m", "venv", folder + "/venv"])
        subprocess.check_call([folder + "/venv/bin/pip", "install", "--quiet", "--no-index", *glob.glob(WORK + "/dist/*.whl")])
        self.convert_and_run(folder, folder + "/venv/bin/")
        self.check_share(folder + "/venv")

    def test_npm_package(self):
        folder = tempfile.mkdtemp(prefix="npm-", dir=WORK)
        subprocess.check_call(["npm", "install", "--silent", "--offline", "--no-audit", "--prefix", folder, *glob.glob(WORK + "/dist/*.tgz")], cwd=folder)
        self.convert_and_run(folder, folder + "/node_modules/.bin/")
        self.check_share(folder + "/node_modules/gvmkit")


class Images(unittest.TestCase):
    """Unpacked by umoci and run in a chroot: not every machine that runs this lets an engine start containers (ImagesByPodman)."""

    def unpack(self, name):
        folder = tempfile.mkdtemp(prefix="image-", dir=WORK)
        os.mkdir(folder + "/layout")
        subprocess.check_call(["tar", "-C", folder + "/layout", "-xf", *glob.glob(f"{WORK}/dist/{name}-*-oci.tar")])
        with open(folder + "/layout/index.json", encoding="utf-8") as file:
            tag = json.load(file)["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
        self.assertRegex(tag, rf"^{name}:[0-9.]+$")
        # umoci takes no colon in a tag.
        subprocess.check_call(["sed", "-i", f"s/{tag}/it/", folder + "/layout/index.json"])
        subprocess.check_call(["umoci", "unpack", "--image", folder + "/layout:it", folder + "/bundle"], stderr=subprocess.DEVNULL)
        with open(folder + "/bundle/config.json", encoding="utf-8") as file:
            process = json.load(file)["process"]
        root = folder + "/bundle/rootfs"
        for mount_point in ("proc", "dev"):
            os.makedirs(f"{root}/{mount_point}", exist_ok=True)
        return root, process

    def test_tools(self):
        root, process = self.unpack("gvmkit-tools")
        environment = dict(entry.split("=", 1) for entry in process["env"])
        docker_archive.save(root + "/tmp/image.tar", docker_archive.tree([]), {})
        for command in (process["args"], ["gvmkit-build", "--output", "/tmp/image.gvmi", "/tmp/image.tar"],
                        ["ya-runtime-dbg", "--task-package", "/tmp/image.gvmi", "--exec", "echo it is $((40 + 2))", "--", "--accel", "tcg"]):
            ended = subprocess.run(inside(root, *command), env={**environment, "PATH": environment["PATH"] + ":" + os.environ["PATH"]},
                                   stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertEqual(ended.stdout, "it is 42\n")

    def test_registry(self):
        root, process = self.unpack("gvmkit-registry")
        self.assertEqual(process["args"], ["/usr/local/bin/gvmkit-registry", "serve", "--data", "/data", "--listen", "0.0.0.0:8080",
                                           "--docs", "/usr/local/share/docs"])
        command = ["127.0.0.1:0" if argument == "0.0.0.0:8080" else argument for argument in process["args"]]
        server = subprocess.Popen(inside(root, *command), stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.communicate, timeout=SECONDS)  # reads to the end of what is inside, which ends a little later
        self.addCleanup(server.kill)
        self.assertTrue(select.select([server.stdout], [], [], SECONDS)[0], "the registry does not start")
        self.assertRegex(server.stdout.readline(), LISTENING)


class ImagesByPodman(unittest.TestCase):
    """Run as people run them, where the machine lets podman start a container."""

    @classmethod
    def setUpClass(cls):
        if not shutil.which("podman"):
            raise unittest.SkipTest("no podman")
        cls.folder = tempfile.mkdtemp(prefix="podman-", dir=WORK)
        cls.run_root = tempfile.mkdtemp(prefix="podman-")  # podman takes only a short name
        cls.addClassCleanup(shutil.rmtree, cls.run_root)
        os.makedirs(cls.folder + "/any/bin")
        shutil.copy("/bin/busybox", cls.folder + "/any/bin/busybox")
        subprocess.check_call(["tar", "-C", cls.folder + "/any", "-cf", cls.folder + "/any.tar", "."])
        cls.podman("import", cls.folder + "/any.tar", "any:1")
        tried = cls.run_image("any:1", "/bin/busybox", "true")
        if tried.returncode:
            raise unittest.SkipTest("podman starts no container here: " + tried.stderr.strip())
        for archive in glob.glob(WORK + "/dist/gvmkit-*-oci.tar"):
            cls.podman("load", "--input", archive)
        cls.images = cls.podman("images", "--format", "{{.Repository}}:{{.Tag}}").stdout.split()

    @classmethod
    def command(cls, *arguments):
        return ["podman", "--root", cls.folder + "/root", "--runroot", cls.run_root, "--storage-driver", "vfs", *arguments]

    @classmethod
    def podman(cls, *arguments):
        return subprocess.run(cls.command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=True)

    @classmethod
    def run_command(cls, *arguments):
        # Podman's own limits are higher than what a machine that is itself a container may set.
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
        return cls.command("run", "--rm", "--network", "host", *limits, *arguments)

    @classmethod
    def run_image(cls, *arguments):
        return subprocess.run(cls.run_command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)

    def image(self, name):
        found = [image for image in self.images if f"/{name}:" in image]
        self.assertEqual(len(found), 1, self.images)
        return found[0]

    def test_tools(self):
        os.mkdir(self.folder + "/work")
        docker_archive.save(self.folder + "/work/image.tar", docker_archive.tree([]), {})
        for command in ([], ["gvmkit-build", "--output", "/work/image.gvmi", "/work/image.tar"],
                        ["ya-runtime-dbg", "--task-package", "/work/image.gvmi", "--exec", "echo it is $((40 + 2))", "--", "--accel", "tcg"]):
            ended = self.run_image("--volume", self.folder + "/work:/work", self.image("gvmkit-tools"), *command)
            self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertEqual(ended.stdout, "it is 42\n")

    def test_registry(self):
        command = self.run_command(self.image("gvmkit-registry"), "serve", "--data", "/data", "--listen", "127.0.0.1:0")
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.communicate, timeout=SECONDS)
        self.addCleanup(server.terminate)
        self.assertTrue(select.select([server.stdout], [], [], SECONDS)[0], "the registry does not start")
        self.assertRegex(server.stdout.readline(), LISTENING)


class Install(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="home-", dir=WORK)
        self.plugins = self.home + "/.local/lib/yagna/plugins"
        os.makedirs(self.plugins)
        # As Golem's own installation has it.
        self.write(DESCRIPTOR, [{"name": "vm", "version": "0.5.3", "supervisor-path": "exe-unit", "runtime-path": "ya-runtime-vm/ya-runtime-vm"}])
        self.write("wasmtime.json", [{"name": "wasmtime", "runtime-path": "wasmtime"}])

    def write(self, name, descriptor):
        with open(f"{self.plugins}/{name}", "w", encoding="utf-8") as file:
            json.dump(descriptor, file)

    def descriptors(self):
        """By the name of the runtime; the provider reads all files that end so."""
        found = {}
        for path in glob.glob(self.plugins + "/*.json"):
            with open(path, encoding="utf-8") as file:
                for descriptor in json.load(file):
                    self.assertNotIn(descriptor["name"], found)
                    found[descriptor["name"]] = descriptor
        return found

    def install(self, *arguments, code=0, before=()):
        ended = subprocess.run([*before, WORK + "/gvmkit/install.sh", *arguments], env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.home},
                               capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual(ended.returncode, code, ended.stdout + ended.stderr)
        return ended.stdout + ended.stderr

    def runtime(self):
        return os.path.join(self.plugins, self.descriptors()["vm"]["runtime-path"])

    def test_replaces_and_puts_back(self):
        before = self.descriptors()
        self.assertIn("has no exe-unit", self.install("--no-test"))
        descriptor = self.descriptors()["vm"]
        self.assertTrue(descriptor["runtime-path"].startswith("gvmkit-"))
        self.assertIn("--cap-handoff", descriptor["extra-args"])
        self.assertEqual(self.descriptors()["wasmtime"], before["wasmtime"])
        self.assertIn(f" {descriptor['version']} (", subprocess.check_output([self.runtime(), "--version"], text=True))
        self.install("--no-test")  # once more changes nothing
        self.assertEqual(self.descriptors()["vm"], descriptor)
        self.install("--remove")
        self.assertEqual(self.descriptors(), before)
        self.assertEqual(sorted(os.listdir(self.plugins)), ["wasmtime.json", DESCRIPTOR])
        self.assertIn("nothing was installed", self.install("--remove", code=1))

    def test_an_upgrade_keeps_what_the_owner_has_added(self):
        self.install("--no-test")
        path = f"{self.plugins}/ya-runtime-vm.json"
        with open(path, encoding="utf-8") as file:
            text = file.read()
        arguments = ["--cap-handoff", "--runtime-arg=--confinement=strict", "--runtime-arg=--a&b|c\\\\d"]
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"\[\"--cap-handoff\".*\]", lambda _: json.dumps(arguments), text))
        self.assertIn("extra-args stay what they were", self.install("--no-test"))
        self.assertEqual(self.descriptors()["vm"]["extra-args"], arguments)
        self.assertIn("usage: ", self.install("--help"))

    def test_a_gpu_has_a_runtime_of_its_own(self):
        self.assertIn("there is no PCI device", self.install("--no-test", "--gpu", "ff:1f.7"))
        self.install("--no-test", "--gpu", "01:00.0")
        self.assertTrue(all(name.startswith("ya-") or name == "wasmtime.json" for name in os.listdir(self.plugins) if name.endswith(".json")))
        self.assertEqual(set(self.descriptors()), {"vm", "vm-nvidia", "wasmtime"})
        gpu = self.descriptors()["vm-nvidia"]
        self.assertEqual(gpu["runtime-path"], self.descriptors()["vm"]["runtime-path"])
        self.assertEqual(gpu["extra-args"], ["--cap-handoff", "--runtime-arg=--pci-device=01:00.0"])
        self.install("--remove")
        self.assertEqual(set(self.descriptors()), {"vm", "wasmtime"})

    def test_a_gpu_for_vms_is_found(self):
        devices = self.home + "/devices"  # stands for the kernel's
        for address, vendor, kind, driver in (("0000:00:02.0", "0x8086", "0x030000", "vfio-pci"), ("0000:01:00.0", "0x10de", "0x030000", "nvidia"),
                                              ("0000:02:00.0", "0x10de", "0x040300", "vfio-pci"), ("0000:03:00.0", "0x10de", "0x030200", "vfio-pci")):
            os.makedirs(f"{devices}/{address}")
            os.symlink(f"/sys/bus/pci/drivers/{driver}", f"{devices}/{address}/driver")
            for name, text in (("vendor", vendor), ("class", kind)):
                with open(f"{devices}/{address}/{name}", "w", encoding="ascii") as file:
                    file.write(text + "\n")
        there = ["unshare", "--mount", "sh", "-c", 'mount --make-rprivate / && mount --bind "$0" /sys/bus/pci/devices && exec "$@"', devices]
        self.assertIn("the GPU 0000:01:00.0 is not offered: nvidia has it", self.install("--no-test", before=there))
        self.assertEqual(self.descriptors()["vm-nvidia"]["extra-args"], ["--cap-handoff", "--runtime-arg=--pci-device=0000:03:00.0"])
        self.install("--no-test", "--gpu", "none", before=there)
        self.assertEqual(set(self.descriptors()), {"vm", "wasmtime"})

    def test_an_upgrade_disturbs_no_vm(self):
        self.install("--no-test")
        image = WORK + "/upgrade"
        docker_archive.save(image + ".tar", docker_archive.tree([]), {})
        subprocess.check_call([WORK + "/gvmkit/gvmkit-build", "--force", "--no-lint", "--hide-progress", "--output", image + ".gvmi", image + ".tar"],
                              stdout=subprocess.DEVNULL)
        command = [self.runtime(), "--accel", "tcg", "--cache-dir", self.home + "/cache", "--task-package", image + ".gvmi", "run", "--"]
        old = subprocess.Popen([*command, "/bin/sh", "-c", "echo up; sleep 1000"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(old.stdout.close)
        self.addCleanup(old.wait, SECONDS)
        self.addCleanup(old.kill)
        self.assertEqual(old.stdout.readline(), "up\n")
        self.install("--no-test")
        self.assertEqual(subprocess.check_output([*command, "/bin/echo", "new"], text=True, timeout=SECONDS), "new\n")
        self.assertIsNone(old.poll())
        self.install("--remove")
        self.assertIsNone(old.poll())
        self.assertFalse(os.path.exists(command[0]))


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: only root can run programs in a chroot")
        sys.exit(77)
    unittest.main()
