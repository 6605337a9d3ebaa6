#!/usr/bin/env python3
"""gvmi on images, also on one whose every text is hostile: nothing of it reaches the terminal raw.

test_gvmi.py BIN
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

import docker_archive

BIN = ""
ESC, C1, RIGHT_TO_LEFT = "\x1b[31m", "\u009b31m", "\u202e"
HOSTILE = ESC + C1 + RIGHT_TO_LEFT
# What may not come out: these in UTF-8, and a control character but for tabs and line ends.
RAW = [ESC.encode(), C1.encode(), RIGHT_TO_LEFT.encode(), b"\r", b"\x7f", b"\x9b31m"]


class Gvmi(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="gvmkit-gvmi.")
        self.addCleanup(shutil.rmtree, self.work)

    def image(self, name, files, config):
        layer = docker_archive.Layer()
        for path, data, options in files:
            layer.add(path, data=data, **options)
        layer.tar.close()
        path = f"{self.work}/{name}"
        docker_archive.save(path + ".tar", layer.bytes.getvalue(), config)
        self.built = self.run_program("gvmkit-build", "--force", "--hide-progress", "--output", path + ".gvmi", path + ".tar")
        return path + ".gvmi"

    def run_program(self, program, *arguments, code=0):
        done = subprocess.run([BIN + "/" + program, *arguments], capture_output=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done)
        return done

    def gvmi(self, *arguments, code=0):
        return self.run_program("gvmi", *arguments, code=code).stdout.decode()

    def test_looks_at_an_image(self):
        config = {"Cmd": ["/bin/sh"], "Env": ["A=1"], "Volumes": {"/golem/work": {}}}
        image = self.image("a", [("bin/sh", b"\x7fELF", {"mode": 0o755}), ("etc/name", b"the name\n", {}),
                                 ("etc/link", b"", {"kind": tarfile.SYMTYPE, "target": "name", "mode": 0o777})], config)
        with open(image, "rb") as file:
            content = file.read()
        facts = json.loads(self.gvmi("inspect", "--json", image))
        self.assertEqual((facts["size"], facts["config"]["Cmd"]), (len(content), ["/bin/sh"]))
        sha3 = hashlib.sha3_224(content).hexdigest()
        self.assertEqual(facts["hash"], sha3)
        self.assertIn("image hash:  " + sha3, self.gvmi("inspect", image))
        self.assertEqual(self.gvmi("hash", image), f"{sha3}  {image}\n")
        self.assertEqual(json.loads(self.gvmi("hash", "--json", image)), {image: sha3})
        self.assertEqual(self.gvmi("ls", image).split(), ["/bin", "/etc"])
        self.assertEqual(self.gvmi("ls", "-R", image, "/etc").split(), ["/etc", "/etc/link", "/etc/name"])
        self.assertIn("/etc/link -> name", self.gvmi("ls", "-l", image, "/etc"))
        self.assertEqual(self.gvmi("cat", image, "/etc/link"), "the name\n")
        self.assertEqual(self.run_program("gvmi", "cat", image, "/none", code=1).stderr[:7], b"error: ")
        self.assertEqual(self.gvmi("verify", image).splitlines()[1], "image hash: " + sha3)
        self.assertIn("program", [finding["id"] for finding in json.loads(self.gvmi("lint", "--json", image))])

    def test_compares_images(self):
        first = self.image("a", [("etc/name", b"one", {}), ("gone", b"", {})], {"Cmd": ["a"]})
        second = self.image("b", [("etc/name", b"two", {}), ("new", b"", {})], {"Cmd": ["b"]})
        lines = self.gvmi("diff", first, second).splitlines()
        self.assertIn("* configuration Image: " + self.ids(first, second), lines)
        self.assertIn('* configuration Cmd: ["a"] -> ["b"]', lines)
        self.assertEqual([line for line in lines if " configuration " not in line and line != "* /"], ["* /etc/name: content", "- /gone", "+ /new"])
        self.assertEqual(self.gvmi("diff", first, first), "")

    def ids(self, *images):
        return " -> ".join(json.dumps(json.loads(self.gvmi("inspect", "--json", image))["config"]["Image"]) for image in images)

    def test_nothing_of_a_hostile_image_reaches_the_terminal_raw(self):
        config = {"Cmd": [HOSTILE], "Env": ["A=" + HOSTILE], "User": HOSTILE, "WorkingDir": "/" + HOSTILE, "Volumes": {"/" + HOSTILE: {}, HOSTILE: {}},
                  "Labels": {HOSTILE: HOSTILE}, "Entrypoint": ["/run"]}
        files = [("run", f"#!/{HOSTILE}\n".encode(), {"mode": 0o755}), ("dir-" + HOSTILE + "/.git/config", HOSTILE.encode(), {}),
                 ("link", b"", {"kind": tarfile.SYMTYPE, "target": HOSTILE, "mode": 0o777})]
        image = self.image("hostile", files, config)
        other = self.image("other", [("run", b"", {})], {"Cmd": ["x"]})
        runs = [self.built]
        for arguments in (["inspect", image], ["inspect", "--json", image], ["ls", "-R", "-l", image], ["ls", "-R", "--json", image], ["lint", image],
                          ["lint", "--json", image], ["diff", image, other], ["diff", "--json", image, other], ["verify", image]):
            runs.append(self.run_program("gvmi", *arguments))
        runs.append(self.run_program("gvmi", "cat", image, "/" + HOSTILE, code=1))
        runs.append(self.run_program("gvmi", "ls", image, "/link/" + HOSTILE, code=1))
        runs.append(self.run_program("gvmkit-build", "-o", self.work + "/x", f"docker-archive:{self.work}/hostile.tar:{HOSTILE}", code=1))
        for run in runs:
            for stream in (run.stdout, run.stderr):
                for raw in RAW:
                    self.assertNotIn(raw, stream, run.args)
        self.assertEqual(json.loads(self.gvmi("inspect", "--json", image))["config"]["Cmd"], [HOSTILE], "and nothing of it is lost")


if __name__ == "__main__":
    BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
