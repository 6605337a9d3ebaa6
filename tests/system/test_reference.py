#!/usr/bin/env python3
"""docs/reference.md against the programs and their sources: every option, environment variable and file is there, and nothing else.

test_reference.py BIN SOURCES
"""

import os
import pathlib
import re
import subprocess
import sys
import unittest

BIN, TOP = os.path.abspath(sys.argv.pop(1)), pathlib.Path(sys.argv.pop(1)).resolve()
PAGE = (TOP / "docs/reference.md").read_text(encoding="utf-8")
COMMENT = re.compile(r"(?:^\s*|[;,{})] +)//.*$", re.M)
SOURCES = {path.relative_to(TOP).as_posix(): COMMENT.sub("", path.read_text(encoding="utf-8")) for path in sorted((TOP / "src").rglob("*"))
           if path.suffix in (".cpp", ".h")}

# Where a name of a variable does not stand in the call that reads it, it begins so, or is one of these.
VARIABLE = re.compile(r'"((?:AWS|DOCKER|GVMKIT|REGISTRY|SSL|XDG|YA)_[A-Z0-9_]+|RUST_LOG|COLORTERM|TERM|LANG|LC_[A-Z]+|HOME|PATH|TMPDIR)"')
READ = re.compile(r'\b(?:secure_)?getenv\(\s*(?:"([A-Z0-9_]+)"|([^")]+))\)|->envname\(\s*"([A-Z0-9_]+)"\)')
# Calls that take the name from a list or a parameter; what is in those is found by VARIABLE.
INDIRECT = {"src/base/folders.cpp", "src/cli/ya_runtime_vm.cpp", "src/dbg/attached.cpp", "src/dbg/lines/line_editor.cpp", "src/registry/settings.cpp",
            "src/s3/settings.cpp"}
# temp_directory_path() reads it.
BY_LIBRARY = {"TMPDIR"}

FILE = re.compile(r'/ "([^"]+)"|\b(?:k\w*(?:File|Record|Leases)) = "([^"]+)"')
ABSOLUTE = re.compile(r'"(/(?:dev|etc|lib|lib64|opt|proc|root|run|sys|tmp|usr|var)\b/?[\w./-]*)')
# Names in what others made, or in a folder that lasts as long as a command.
OTHERS = {"Dockerfile", "index.json", "manifest.json", "id", "image.tar", "message", "reads", "guest", "host", "image", "logs", "gvmkit", "ya-runtime-vm", "/", "lib", "lib64",
          "share/qemu", "share/seabios"}
OTHERS_IN = {"src/runtime/host/pci.cpp", "src/runtime/host/limits.cpp", "src/vm/cgroup.cpp"}  # the kernel's files below /sys
# What is in a guest, and what messages name.
ELSEWHERE = {"/etc/security/limits.conf", "/etc/udev/rules.d", "/usr", "/usr/sbin/", "/usr/local/sbin", "/dev/null", "/dev/urandom"}
ELSEWHERE_IN = ("src/lint/", "src/container/", "src/convert/")


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S).group(1)


class Reference(unittest.TestCase):
    maxDiff = None

    def test_options_are_those_of_the_programs(self):
        ended = subprocess.run([TOP / "site/reference.py", BIN], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)

    def test_an_example_is_of_the_command_that_is_asked_for(self):
        for command, example in (("gvmi cat", "gvmi cat "), ("gvmkit-registry", "gvmkit-registry serve "), ("gvmkit-registry token create", ""),
                                 ("ya-runtime-vm test", "")):
            program, *rest = command.split()
            text = subprocess.run([f"{BIN}/{program}", *rest, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout
            found = re.search(r"^Example: (.*)", text, re.M)
            self.assertTrue(found[1].startswith(example) if example else not found, text)

    def test_no_option_is_hidden(self):
        options = section("Options")
        for path, text in SOURCES.items():
            for names in re.findall(r'add_(?:option|flag)\w*(?:<[^>]*>)?\(\s*"([^"]+)"', text):
                for name in names.replace("!", "").split(","):
                    # An argument may stand in the synopsis alone.
                    shown = rf"`{re.escape(name)}[` ]" if name.startswith("-") else rf"\b{name}\b"
                    self.assertTrue(re.search(shown, options), f"{path}: {name}")

    def test_variables(self):
        found = set(BY_LIBRARY)
        indirect = set()
        for path, text in SOURCES.items():
            found |= set(VARIABLE.findall(text))
            for literal, expression, option in READ.findall(text):
                found |= {literal, option} - {""}
                if expression:
                    indirect.add(path)
        self.assertEqual(indirect, INDIRECT, "then VARIABLE must find the names")
        rows = re.findall(r"^\| (`[^|]*) \|", section("Environment"), re.M)
        self.assertEqual({name for row in rows for name in re.findall(r"`(\w+)`", row)}, found)

    def test_variables_of_options(self):
        rows = dict(re.findall(r"^\| `(\w+)` \| `[\w-]+` \| `(--[\w-]+)`", section("Environment"), re.M))
        declared = {variable: option for option, variable in re.findall(r"`(--[\w-]+)[^|]*` \| .*Variable: `(\w+)`", section("Options").replace("\\|", "/"))}
        self.assertEqual(rows, declared)

    def test_files(self):
        files, missing = section("Files"), []
        for path, text in SOURCES.items():
            for joined, named in FILE.findall(text):
                name = joined or named
                if name in OTHERS or path in OTHERS_IN or not re.fullmatch(r"[\w./-]+", name) or "XXX" in name:
                    continue
                if name not in files:
                    missing.append(f"{path}: {name}")
            for name in ABSOLUTE.findall(text):
                if name in ELSEWHERE or path.startswith(ELSEWHERE_IN):
                    continue
                known = [name.rstrip("/-"), *(folder for folder in ("/proc", "/sys", "/dev/vfio", "/run/user", "/tmp/gvmkit") if name.startswith(folder))]
                if not any(entry in files for entry in known):
                    missing.append(f"{path}: {name}")
        self.assertEqual(missing, [])


if __name__ == "__main__":
    unittest.main()
