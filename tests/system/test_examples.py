#!/usr/bin/env python3
"""The examples: each image built from its Dockerfile, converted, free of the linter's warnings, and run as its run.sh shows.

test_examples.py BIN EXAMPLES

No container registry is asked. The public bases that the Dockerfiles name are made of Debian's packages (BASES), under the same names. What has been
built is kept in the build cache, by the hash of all that goes into it. Needs root, for buildah and debootstrap; the first time also the network.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import debian_image
from test_docs import expected_pattern

# The images of Debian on Docker Hub keep no caches of apt either.
DEBIAN = r"""rm -rf /var/lib/apt/lists/* /var/cache/apt/* && printf 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin"; };
Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";\n' > /etc/apt/apt.conf.d/docker-clean"""
INSTALL = " && apt-get update && apt-get install -y --no-install-recommends {} && rm -rf /var/lib/apt/lists/*"
AUTHORITIES = "/etc/authorities.pem"
BASES = {
    "docker.io/library/debian:12": DEBIAN,
    "docker.io/library/debian:12-slim": DEBIAN,
    # Debian's pip wants to be told that it may install beside Debian's packages; the image's does not.
    "docker.io/library/python:3.12-slim": DEBIAN + INSTALL.format("python3-pip")
    + f" && rm /usr/lib/python3*/EXTERNALLY-MANAGED && printf '[global]\\ncert = {AUTHORITIES}\\n' > /etc/pip.conf",
    "docker.io/library/node:20-slim": DEBIAN + INSTALL.format("nodejs npm") + f" && echo cafile={AUTHORITIES} > /etc/npmrc",
    "docker.io/nvidia/cuda:12.4.1-runtime-ubuntu22.04": DEBIAN,
}
EXPECTED_WARNINGS = {"compiled": {"no-shell"}}
SECONDS = 900  # only tells a hang from a slow machine


def run(*command, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False,
                          **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout.strip()


class Builder:
    """A buildah with a storage of its own, and the bases that it was asked for."""

    def __init__(self, folder):
        self.command = ["buildah", "--root", folder + "/root", "--runroot", folder + "/run", "--storage-driver", "overlay"]
        self.folder, self.bases = folder, set()

    def buildah(self, *arguments):
        return run(*self.command, *arguments, env=dict(os.environ, BUILDAH_ISOLATION="chroot"))

    def make_base(self, name):
        if name in self.bases:
            return
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, debian_image.debootstrap(), "/")
        self.buildah("copy", "--quiet", container, "/etc/ssl/certs/ca-certificates.crt", AUTHORITIES)  # this machine may know one more than Debian
        self.buildah("run", container, "--", "sh", "-c", BASES[name])
        self.buildah("commit", "--quiet", "--rm", container, name)
        self.bases.add(name)

    def archive(self, example):
        """The docker archive of an example's image, from the build cache where it is there."""
        files = sorted(path for path in example.rglob("*") if path.is_file() and path.name not in ("run.sh", "expected.txt"))
        lines = (example / "Dockerfile").read_text(encoding="utf-8").splitlines()
        names = {line.split()[1] for line in lines if line.startswith("FROM ")} - {"scratch"}
        bases = [next(name for name in BASES if name.endswith("/" + short)) for short in sorted(names)]
        recipe = hashlib.sha256(repr([debian_image.DEBOOTSTRAP, [(name, BASES[name]) for name in bases]]).encode())
        for path in files:
            recipe.update(repr((path.relative_to(example).as_posix(), path.stat().st_mode & 0o777, path.read_bytes())).encode())
        cache = os.environ.get("GVMKIT_BUILD_CACHE") or os.path.expanduser("~/.cache/gvmkit-build")
        archive = pathlib.Path(cache, f"example-{example.name}-{recipe.hexdigest()[:16]}.tar")
        if not archive.exists():
            for name in bases:
                self.make_base(name)
            self.buildah("build", "--quiet", "--pull-never", "--tag", example.name, str(example))
            part = archive.with_suffix(f".{os.getpid()}")
            self.buildah("push", "--quiet", example.name, f"docker-archive:{part}:{example.name}:latest")
            for old in archive.parent.glob(f"example-{example.name}-*.tar"):
                old.unlink()
            part.rename(archive)
        return archive

    def close(self):
        subprocess.run([*self.command, "umount", "--all"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["umount", self.folder + "/root/overlay"], stderr=subprocess.DEVNULL, check=False)  # it is mounted on itself


class Examples(unittest.TestCase):
    """One test for each folder, added by main."""

    @classmethod
    def setUpClass(cls):
        cls.work = tempfile.mkdtemp(prefix="gvmkit-examples.")
        cls.addClassCleanup(shutil.rmtree, cls.work)
        cls.builder = Builder(cls.work)
        cls.addClassCleanup(cls.builder.close)

    def try_example(self, example):
        image = f"{self.work}/{example.name}.gvmi"
        run(BIN + "/gvmkit-build", "--no-lint", "--hide-progress", "--output", image, str(self.builder.archive(example)))
        self.addCleanup(os.unlink, image)
        found = json.loads(run(BIN + "/gvmi", "lint", "--json", image))
        warnings = {finding["id"] for finding in found if finding["severity"] != "note"}
        self.assertEqual(warnings, EXPECTED_WARNINGS.get(example.name, set()), found)
        environment = dict(os.environ, PATH=f"{BIN}:{os.environ['PATH']}", YA_RUNTIME_VM_ACCEL="tcg")
        done = subprocess.run([str(example / "run.sh"), image], env=environment, cwd=self.work, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, expected_pattern((example / "expected.txt").read_text(encoding="utf-8")), done.stderr)


def main():
    global BIN  # pylint: disable=global-statement
    if os.geteuid() != 0 or not shutil.which("buildah") or not shutil.which("debootstrap"):
        print("skipped: buildah and debootstrap need root")
        sys.exit(77)
    BIN = os.path.abspath(sys.argv.pop(1))
    for example in sorted(pathlib.Path(sys.argv.pop(1)).resolve().iterdir()):
        if (example / "run.sh").exists():
            setattr(Examples, "test_" + example.name, lambda self, example=example: self.try_example(example))
    unittest.main(verbosity=2)


if __name__ == "__main__":
    main()
