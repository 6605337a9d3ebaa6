"""Programs that other people made for registries, of fixed versions, from PyPI and npm: installed once, into the build cache."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

PYTHON_PACKAGES = ["yapapi==0.13.1", "gvmkit-build==0.3.19", "jsonschema==4.10.3"]
NPM_PACKAGES = ["@golem-sdk/golem-js@3.6.0"]


def cached(name, packages, make):
    """A folder that `make` fills, once for these packages."""
    cache = os.environ.get("GVMKIT_BUILD_CACHE") or os.path.expanduser("~/.cache/gvmkit-build")
    os.makedirs(cache, exist_ok=True)
    folder = os.path.join(cache, f"{name}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:16]}")
    with open(folder + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(folder + "/complete"):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
            make(folder)
            with contextlib.closing(open(folder + "/complete", "w", encoding="ascii")):
                pass
    return folder


def run(*command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stdout}")


def python():
    """A Python that has the packages."""
    def make(folder):
        run(sys.executable, "-m", "venv", folder)
        run(folder + "/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PYTHON_PACKAGES)
    return cached("python", PYTHON_PACKAGES, make) + "/bin/python"


def uploader_0_3():
    """Today's gvmkit-build, a program in Rust."""
    return os.path.join(os.path.dirname(python()), "gvmkit-build")


def node_folder():
    """A folder in which node finds the packages."""
    def make(folder):
        run("npm", "install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", *NPM_PACKAGES)
    return cached("npm", NPM_PACKAGES, make)
