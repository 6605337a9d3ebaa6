#!/usr/bin/env python3
"""Makes a Python wheel and an npm package of the unpacked archive for any Linux. The same input gives the same bytes.
usage: packages.py FOLDER VERSION SECONDS_SINCE_1970 OUTPUT

Both bring gvmkit-build, gvmi and ya-runtime-dbg with the runtime that the debugger starts. The programs must keep their places beside each
other, so what a user calls is a few lines that execute them.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
import time
import zipfile

PROGRAMS = ["gvmkit-build", "gvmi", "ya-runtime-dbg"]
SUMMARY = "Golem VM image tools: convert, inspect, publish and try images"

PYTHON = '''"""The programs of gvmkit, which are files beside this one."""

import os
import sys


def execute(name):
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", name)
    os.execv(program, [program, *sys.argv[1:]])


'''

NODE = '''#!/usr/bin/env node
"use strict";
const { spawn } = require("child_process");
const path = require("path");
const program = spawn(path.join(__dirname, "bin", "%s"), process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => program.kill(signal));
program.on("error", (error) => { console.error("error: " + error.message); process.exitCode = 1; });
program.on("exit", (code, signal) => { process.exitCode = code === null ? 128 + require("os").constants.signals[signal] : code; });
'''


def files_of(folder):
    """What both packages hold, by its name below bin/, with its mode."""
    found = {}
    for name in [*PROGRAMS, "ya-runtime-vm"]:
        found[name] = os.path.join(folder, name)
    for parent, _, names in os.walk(os.path.join(folder, "runtime")):
        for name in names:
            path = os.path.join(parent, name)
            found[os.path.relpath(path, folder)] = path
    return {name: (read(path), os.stat(path).st_mode & 0o777) for name, path in sorted(found.items())}


def share_of(folder):
    """The programs' pages and completions, by their names below share/."""
    found = {}
    for name in PROGRAMS:
        for path in (f"man/man1/{name}.1", f"bash-completion/completions/{name}", f"zsh/vendor-completions/_{name}",
                     f"fish/vendor_completions.d/{name}.fish"):
            found[path] = read(os.path.join(folder, "share", path)), 0o644
    return found


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write_wheel(folder, version, when, output):
    info = f"gvmkit-{version}.dist-info"
    functions = "".join(f'def {name.replace("-", "_")}():\n    execute("{name}")\n\n\n' for name in PROGRAMS)
    content = {"gvmkit/__init__.py": ((PYTHON + functions).rstrip("\n").encode() + b"\n", 0o644)}
    content |= {f"gvmkit/bin/{name}": file for name, file in files_of(folder).items()}
    content |= {f"gvmkit-{version}.data/data/share/{name}": file for name, file in share_of(folder).items()}
    content[info + "/METADATA"] = (f"Metadata-Version: 2.1\nName: gvmkit\nVersion: {version}\nSummary: {SUMMARY}\n"
                                   "License: GPL-3.0-or-later\nRequires-Python: >=3.6\n").encode(), 0o644
    # The programs are static: any libc, and any version of it.
    content[info + "/WHEEL"] = (b"Wheel-Version: 1.0\nGenerator: gvmkit\nRoot-Is-Purelib: false\n"
                                b"Tag: py3-none-manylinux2014_x86_64\nTag: py3-none-musllinux_1_1_x86_64\n"), 0o644
    content[info + "/entry_points.txt"] = ("[console_scripts]\n" +
                                           "".join(f'{name} = gvmkit:{name.replace("-", "_")}\n' for name in PROGRAMS)).encode(), 0o644
    for name in ("LICENSE", "licences.md"):
        content[f"{info}/{name}"] = read(os.path.join(folder, name)), 0o644
    record = "".join(f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
                     for name, (data, _) in content.items())
    content[info + "/RECORD"] = (record + f"{info}/RECORD,,\n").encode(), 0o644
    date = time.gmtime(max(when, 315532800))[:6]  # zip begins in 1980
    name = f"{output}/gvmkit-{version}-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl"
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as wheel:
        for path, (data, mode) in content.items():
            entry = zipfile.ZipInfo(path, date)
            entry.external_attr, entry.compress_type, entry.create_system = (0o100000 | mode) << 16, zipfile.ZIP_DEFLATED, 3
            wheel.writestr(entry, data)


def write_npm(folder, version, when, output):
    package = {"name": "gvmkit", "version": version, "description": SUMMARY, "license": "GPL-3.0-or-later", "os": ["linux"],
               "cpu": ["x64"], "engines": {"node": ">=12"}, "bin": {name: name + ".js" for name in PROGRAMS},
               "man": [f"./share/man/man1/{name}.1" for name in PROGRAMS]}
    content = {"package.json": (json.dumps(package, indent=2).encode() + b"\n", 0o644)}
    content |= {name + ".js": ((NODE % name).encode(), 0o755) for name in PROGRAMS}
    content |= {"bin/" + name: file for name, file in files_of(folder).items()}
    content |= {"share/" + name: file for name, file in share_of(folder).items()}
    for name in ("LICENSE", "licences.md"):
        content[name] = read(os.path.join(folder, name)), 0o644
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, (data, mode) in content.items():
            entry = tarfile.TarInfo("package/" + path)
            entry.size, entry.mode, entry.mtime = len(data), mode, when
            tar.addfile(entry, io.BytesIO(data))
    with open(f"{output}/gvmkit-{version}.tgz", "wb") as file:
        file.write(gzip.compress(packed.getvalue(), 6, mtime=when))


def main():
    folder, version, when, output = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    write_wheel(folder, version, when, output)
    write_npm(folder, version, when, output)


main()
