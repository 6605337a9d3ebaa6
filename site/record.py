#!/usr/bin/env python3
"""Records a session at a terminal and draws it: record.py BIN ARCHIVE OUTPUT.svg

The commands are run as they are shown, on the image of examples/hello (./dev demo leaves it in build/demo/hello.tar) and with a registry beside them.
What is drawn is what they printed, and after each how long it took.
"""

import html
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

COMMANDS = [
    "gvmkit-build --no-lint --output hello.gvmi hello.tar",
    "ya-runtime-dbg -t hello.gvmi --exec /bin/hello",
    "gvmkit-build --direct-file-upload hello.gvmi --push-to alice/hello:1.0 | tail -n 5",
]
WIDTH, LINE, TOP, LEFT, COLUMNS = 880, 20, 52, 22, 104
STYLE = """
.window { fill: #12181b; }
.bar { fill: #1f292e; }
.dot { fill: #4b5a62; }
text { font: 13.5px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; fill: #dfe6e9; white-space: pre; }
.command { font-weight: 600; fill: #5fd4c8; }
.time { fill: #94a3ab; }
"""


def session(programs, archive):
    """(kind, text) of each line."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="gvmkit-record.") as folder:
        shutil.copy(archive, folder + "/hello.tar")
        environment = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": folder, "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", folder),
                       "LANG": "C.UTF-8", "REGISTRY_USER": "alice"}
        environment |= {name: value for name, value in os.environ.items() if name.startswith("YA_RUNTIME_VM_")}
        registry = [programs + "/gvmkit-registry"]
        with subprocess.Popen([*registry, "serve", "--data", folder + "/registry", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL) as server:
            try:
                environment["REGISTRY_URL"] = server.stdout.readline().split()[-1]
                subprocess.run([*registry, "user", "add", "alice", "--data", folder + "/registry"], check=True, stderr=subprocess.DEVNULL)
                environment["REGISTRY_TOKEN"] = subprocess.check_output([*registry, "token", "create", "alice", "--data", folder + "/registry"],
                                                                       text=True, stderr=subprocess.DEVNULL).strip()
                for command in COMMANDS:
                    lines.append(("command", "$ " + command))
                    began = time.monotonic()
                    with subprocess.Popen(command, shell=True, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT, text=True) as process:
                        for line in process.stdout:
                            lines.append(("", line.rstrip("\n").replace(environment["REGISTRY_URL"], "http://127.0.0.1:8080")))
                    if process.returncode != 0:
                        raise SystemExit(f"{command} ended with {process.returncode}: {lines}")
                    lines.append(("time", f"({time.monotonic() - began:.2f} s)"))
            finally:
                server.terminate()
    return lines


def draw(lines):
    rows = []
    for number, (kind, text) in enumerate(lines):
        text = text if len(text) <= COLUMNS else text[:COLUMNS - 1] + "…"
        rows.append(f'<text x="{LEFT}" y="{TOP + number * LINE}" class="{kind}">{html.escape(text)}</text>')
    height = TOP + len(lines) * LINE
    dots = "".join(f'<circle class="dot" cx="{22 + 20 * number}" cy="16" r="6"/>' for number in range(3))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">\n'
            "<title>A session at a terminal: an image is converted, run in a VM and pushed to a registry</title>\n"
            f"<style>{STYLE}</style>\n"
            f'<rect class="window" width="{WIDTH}" height="{height}" rx="10"/><path class="bar" d="M0 10a10 10 0 0 1 10-10H{WIDTH - 10}a10 10 0 0 1 10 10V32H0z"/>'
            f"{dots}\n" + "\n".join(rows) + "\n</svg>\n")


def commands_in(svg):
    """Those that a drawing shows."""
    return [html.unescape(text)[2:] for text in re.findall(r'class="command"[^>]*>([^<]*)<', svg)]


def main():
    programs, archive, output = (os.path.abspath(path) for path in sys.argv[1:4])
    pathlib.Path(output).write_text(draw(session(programs, archive)), encoding="utf-8")


if __name__ == "__main__":
    main()
