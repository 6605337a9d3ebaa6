#!/usr/bin/env python3
"""--version of each program, and the commit in it: from a repository, from an archive of one, and where there is neither.

test_version.py BIN SOURCES CMAKE
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

BIN, SOURCES, CMAKE = (os.path.abspath(sys.argv.pop(1)) for _ in range(3))
PROGRAMS = ["gvmkit-build", "gvmi", "gvmkit-registry", "ya-runtime-dbg", "ya-runtime-vm"]
NEEDED = ["cmake/release.cmake", "cmake/commit.txt", ".gitattributes"]


class Programs(unittest.TestCase):
    def test_all_say_what_they_are(self):
        said = {program: subprocess.check_output([os.path.join(BIN, program), "--version"], text=True) for program in PROGRAMS}
        for program, line in said.items():
            self.assertRegex(line, rf"\A{program} \d+\.\d+\.\d+ \(([0-9a-f]{{12}}\+?|unknown)\)\n\Z")
        self.assertEqual(len({line.split(" ", 1)[1] for line in said.values()}), 1, said)


class Source(unittest.TestCase):
    """The source that cmake/release.cmake writes, in a repository with nothing else."""

    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="version-")
        self.addCleanup(shutil.rmtree, self.work)
        self.top, self.output = self.work + "/sources", self.work + "/release.cpp"
        for name in NEEDED:
            os.makedirs(os.path.dirname(f"{self.top}/{name}"), exist_ok=True)
            shutil.copy(f"{SOURCES}/{name}", f"{self.top}/{name}")

    def git(self, *arguments, top=None):
        setting = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgSign=false", "-c", "init.defaultBranch=main"]
        return subprocess.check_output(["git", *setting, *arguments], cwd=top or self.top, text=True).strip()

    def commit(self):
        """A repository of the sources; the twelve first digits of its commit."""
        self.git("init", "--quiet")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "All")
        return self.git("rev-parse", "HEAD")[:12]

    def written(self, top=None):
        """The commit in what is written."""
        subprocess.check_call([CMAKE, "-D", f"TOP={top or self.top}", "-D", "VERSION=1.2.3", "-D", f"OUTPUT={self.output}", "-P",
                               f"{top or self.top}/cmake/release.cmake"])
        with open(self.output, encoding="ascii") as file:
            text = file.read()
        self.assertIn('return "1.2.3";', text)
        return re.search(r'return "1\.2\.3 \((.*)\)";', text).group(1)

    def test_of_a_repository(self):
        commit = self.commit()
        self.assertEqual(self.written(), commit)
        before = os.stat(self.output).st_mtime_ns
        self.assertEqual(self.written(), commit)
        self.assertEqual(os.stat(self.output).st_mtime_ns, before, "written again, so compiled again")
        self.git("tag", "v9")
        with open(self.top + "/another", "w", encoding="ascii"):
            pass
        self.assertEqual(self.written(), commit, "neither a tag nor a file that is in no commit counts")
        with open(self.top + "/cmake/release.cmake", "a", encoding="ascii") as file:
            file.write("# changed\n")
        self.assertEqual(self.written(), commit + "+")

    def test_of_an_archive(self):
        commit = self.commit()
        self.git("archive", "--output", self.work + "/sources.tar", "HEAD")
        os.mkdir(self.work + "/unpacked")
        subprocess.check_call(["tar", "-xf", self.work + "/sources.tar", "-C", self.work + "/unpacked"])
        self.assertEqual(self.written(self.work + "/unpacked"), commit)
        # In a repository of somebody else's, its commit is not ours.
        self.git("init", "--quiet", top=self.work)
        self.git("commit", "--quiet", "--allow-empty", "--message", "Other", top=self.work)
        self.assertEqual(self.written(self.work + "/unpacked"), commit)

    def test_of_a_copy_without_a_repository(self):
        self.assertEqual(self.written(), "unknown")


if __name__ == "__main__":
    unittest.main()
