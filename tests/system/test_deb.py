#!/usr/bin/env python3
"""The Debian packages, which depend on nothing, installed in a clean Debian 11, 12 and 13; in 12 also an activity by the paths of the plugin
descriptor and the registry run as ordinary users. Needs root, for the chroot.

test_deb.py BUILD IMAGE
"""

import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from chroot import inside
from debian_image import debootstrap

BUILD, IMAGE = (os.path.abspath(path) for path in sys.argv[1:3])
PACKAGING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging")
PLUGINS = "/usr/lib/yagna/plugins"
USER = "provider"


def fields_of(package):
    text = subprocess.check_output(["dpkg-deb", "--field", package], text=True)
    return dict(re.findall(r"^(\S+): (.*)$", text, re.MULTILINE))


def names_in(depends):
    """Each dependency's package; there are no alternatives among ours."""
    return [dependency.split()[0] for dependency in depends.split(", ")]


def run_inside(root, *argv, user=None):
    home = f"/home/{user}" if user else "/root"
    argv = ["env", "-i", f"--chdir={home}", f"HOME={home}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", *argv]
    if user:
        argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", *argv]
    return subprocess.run(inside(root, *argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)


class Debian:
    """A release of it, with the packages."""

    def __init__(self, release, packages):
        self.root = tempfile.mkdtemp(prefix="gvmkit-deb-")
        os.chmod(self.root, 0o755)
        subprocess.check_call(["tar", "--numeric-owner", "-C", self.root, "-xf", debootstrap(["debootstrap", "--variant=minbase", release])])
        for package in packages:
            shutil.copy(package, self.path("/root"))
        installed = run_inside(self.root, "sh", "-c", f"useradd --create-home {USER} && dpkg --install /root/*.deb")
        assert installed.returncode == 0, installed.stdout + installed.stderr

    def path(self, name):
        return self.root + name

    def remove(self):
        shutil.rmtree(self.root)


class Deb(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.output = tempfile.mkdtemp(prefix="gvmkit-deb-")
        cls.addClassCleanup(shutil.rmtree, cls.output)
        subprocess.check_call([os.path.join(PACKAGING, "deb.sh"), BUILD, cls.output])
        cls.packages = sorted(glob.glob(cls.output + "/*.deb"))
        cls.debian = Debian("bookworm", cls.packages)
        cls.addClassCleanup(cls.debian.remove)

    @classmethod
    def run_inside(cls, *argv, user=None):
        return run_inside(cls.debian.root, *argv, user=user)

    def expect(self, *argv, user=USER):
        ended = self.run_inside(*argv, user=user)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        return ended.stdout

    def descriptor(self):
        files = glob.glob(self.debian.path(PLUGINS + "/ya-*.json"))
        self.assertEqual(len(files), 1)
        with open(files[0], encoding="utf-8") as file:
            descriptors = json.load(file)
        self.assertEqual(len(descriptors), 1)
        return descriptors[0]

    def test_no_errors_by_lintian(self):
        if not shutil.which("lintian"):
            self.skipTest("no lintian")
        found = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", *self.packages], capture_output=True, text=True, check=False)
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)

    def test_what_is_where(self):
        self.assertEqual([fields_of(package)["Package"] for package in self.packages], ["gvmkit-registry", "gvmkit"])
        for package in self.packages:
            self.assertNotIn("Depends", fields_of(package))
        recommended = fields_of(self.packages[1])["Recommends"]
        self.assertEqual(names_in(recommended), ["skopeo", "buildah"])
        for program in ["gvmkit-build", "gvmi", "gvmkit-registry", "ya-runtime-dbg", "ya-runtime-vm"]:
            self.assertRegex(self.expect(program, "--version"), rf"^{program} \d+\.\d+\.\d+ \(\w+\+?\)\n$")
            for name in (f"man/man1/{program}.1.gz", f"bash-completion/completions/{program}", f"zsh/vendor-completions/_{program}",
                         f"fish/vendor_completions.d/{program}.fish"):
                self.assertTrue(os.path.exists(self.debian.path("/usr/share/" + name)), name)

    def test_descriptor(self):
        descriptor = self.descriptor()
        self.assertEqual(descriptor["name"], "vm")
        self.assertRegex(descriptor["version"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(descriptor["version"], fields_of(self.packages[1])["Version"])
        self.assertEqual(descriptor["supervisor-path"], "exe-unit")
        self.assertIn("--cap-handoff", descriptor["extra-args"])
        self.assertTrue(os.access(self.debian.path(os.path.join(PLUGINS, descriptor["runtime-path"])), os.X_OK))

    def test_self_test(self):
        runtime = os.path.join(PLUGINS, self.descriptor()["runtime-path"])
        refused = self.run_inside(runtime, "test", user=USER)
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertIn("error: KVM does not work: /dev/kvm is missing: ", refused.stderr)
        self.expect(runtime, "--accel", "tcg", "--test-timeout", "120", "test")
        offer = json.loads(self.expect(runtime, "--accel", "tcg", "offer-template"))
        self.assertIn("vpn", offer["properties"]["golem.runtime.capabilities"])

    def test_other_releases(self):
        for release in ("bullseye", "trixie"):
            with self.subTest(release):
                debian = Debian(release, self.packages)
                self.addCleanup(debian.remove)
                ended = run_inside(debian.root, "ya-runtime-vm", "--accel", "tcg", "--test-timeout", "120", "test", user=USER)
                self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_activity(self):
        """deploy, start and run, as the supervisor does them."""
        shutil.copy(IMAGE, self.debian.path(f"/home/{USER}/image.gvmi"))
        runtime = os.path.join(PLUGINS, self.descriptor()["runtime-path"])
        said = self.expect("ya-runtime-dbg", "--runtime", runtime, "--task-package", "image.gvmi", "--exec", "echo it is $((40 + 2))")
        self.assertEqual(said, "it is 42\n")

    def test_registry(self):
        said = self.expect("sh", "-c", """
            gvmkit-registry serve --data registry --listen 127.0.0.1:0 > said & pid=$!
            for _ in $(seq 600); do grep -q "listening on" said && break; sleep 0.1; done
            kill $pid; wait $pid; cat said""")
        self.assertIn("listening on http://127.0.0.1:", said)
        with open(self.debian.path("/lib/systemd/system/gvmkit-registry.service"), encoding="utf-8") as file:
            unit = file.read()
        with open(self.debian.path("/etc/default/gvmkit-registry"), encoding="utf-8") as file:
            pages = re.search(r"--docs (\S+)", file.read())[1]
        self.assertTrue(os.path.exists(self.debian.path(pages + "/index.html")))
        for site in (pages, "/usr/share/doc/gvmkit/html"):  # the links name these two
            for name in ("changelog.html", "files/LICENSE.txt"):
                self.assertTrue(os.path.exists(self.debian.path(f"{site}/{name}")), name)
        for name in re.findall(r"^(?:ExecStart=|EnvironmentFile=-)(\S+)", unit, re.MULTILINE):
            self.assertTrue(os.path.exists(self.debian.path(name)), name)

    def test_zz_removal(self):
        """The last: purged, nothing is left."""
        self.expect("dpkg", "--purge", "gvmkit", "gvmkit-registry", user=None)
        self.assertEqual(self.expect("find", "/usr", "/lib", "/etc", "-path", "*gvmkit*", "-o", "-name", "yagna", user=None), "")


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: a chroot needs root")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1] + sys.argv[3:], verbosity=2)
