"""What container engines make of a docker archive, as listings (list_tree.py) by path."""

import json
import os
import subprocess
import sys

import engines
from engines import run

LISTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "list_tree.py")


def lines(text):
    """A listing by path. The root is left out: no layer describes it."""
    entries = {entry["path"]: entry for entry in map(json.loads, text.splitlines())}
    del entries["/"]
    return entries


def listing(folder, *options):
    return lines(run(sys.executable, LISTER, folder, "--as-squashfs", *options))


def without_links(entries):
    """An overlay shows a lower layer's link counts."""
    return {path: {key: value for key, value in entry.items() if key != "links"} for path, entry in entries.items()}


def buildah(archive, work):
    """Without links."""
    command = ["buildah", "--root", work + "/buildah", "--runroot", work + "/buildah-run", "--storage-driver", "overlay"]
    container = run(*command, "from", "--quiet", "docker-archive:" + archive).decode().strip()
    try:
        return without_links(listing(run(*command, "mount", container).decode().strip()))
    finally:
        run(*command, "umount", container)
        subprocess.run(["umount", work + "/buildah/overlay"], stderr=subprocess.DEVNULL, check=False)  # the storage is mounted on itself


def umoci(archive, work):
    layout = work + "/layout-of-umoci"
    run("skopeo", "copy", "--quiet", "docker-archive:" + archive, f"oci:{layout}:1")
    run("umoci", "unpack", "--image", layout + ":1", work + "/bundle")
    return listing(work + "/bundle/rootfs")


def docker(archive, work):
    """The overlay of the layers as a Docker engine has stored them. Without links."""
    merged = work + "/merged"
    os.mkdir(merged)
    with engines.docker(work + "/docker") as path:
        environment = dict(os.environ, DOCKER_HOST="unix://" + path)
        name = run("docker", "load", "--quiet", "--input", archive, env=environment).decode().splitlines()[0].split(": ", 1)[1]
        driver = json.loads(run("docker", "image", "inspect", name, env=environment))[0]["GraphDriver"]
        if driver["Name"] != "overlay2":
            raise RuntimeError("Docker stores layers by " + driver["Name"])
        layers = [driver["Data"]["UpperDir"], *driver["Data"].get("LowerDir", "").split(":")]
        run("mount", "-t", "overlay", "overlay", "-o", "ro,lowerdir=" + ":".join(layer for layer in layers if layer), merged)
        try:
            return without_links(listing(merged))
        finally:
            run("umount", merged)
