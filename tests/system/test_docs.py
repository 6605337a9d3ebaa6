#!/usr/bin/env python3
"""Runs the code blocks of the documents, page by page and in order.

test_docs.py BIN TOP [PAGE...]

A page is run by one bash in an empty folder, with BIN first in PATH; a command that fails ends it. What a block is, its fence says:

    ```sh      is run
    ```output  is what the block before it must print; a line of … stands for any lines, … in a line for any text
    ```json    is parsed, and so are the other languages of PARSERS

A comment in the line before a block changes that:

    <!-- not run: REASON -->     neither run nor parsed; the test prints all of them with their reasons
    <!-- file: NAME -->          the block becomes this file
    <!-- requestor: NAME -->     a requestor's program: runs until its demand is on a market of ours; it becomes the file NAME, and what was printed
    <!-- background: PATTERN --> runs beside what follows, which waits until it has printed the pattern; it gets SIGTERM at the page's end

and <!-- prepare: COMMANDS --> anywhere runs what a reader has already: $ARCHIVE is the docker archive of a Debian with Python, $BIN the folder of
our programs, $NODE_MODULES one that has golem-js. Python's requestors have yapapi. The ports 8080 and 8443 of a page become free ones. Every block needs a language, so that none is forgotten.
"""

import argparse
import configparser
import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import debian_image
import docker_archive
import other_clients
import yagna_stub
from ports import free_port

DEADLINE = 600  # s, for a page; only tells a hang from a slow machine
COMMENT = r"<!-- (?P<kind>not run|file|background|prepare|requestor): (?P<value>.*?) -->\n"
FENCE = r"^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$"
PART = re.compile(f"^({COMMENT})?({FENCE})?", re.M | re.S)
INSTRUCTIONS = ("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "SHELL", "STOPSIGNAL", "USER",
                "VOLUME", "WORKDIR")
BIN = ""
PAGES = []
ARCHIVE = ""


def check(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False, **options)
    if done.returncode != 0:
        raise ValueError(f"{command}: {done.stdout}")


def parse_dockerfile(text):
    """Those that a page builds are read by buildah, too."""
    for line in re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", text, flags=re.M)).splitlines():
        if line.strip() and line.split()[0] not in INSTRUCTIONS:
            raise ValueError(f"no instruction: {line}")


def parse_nginx(text):
    """By nginx itself, with a certificate in the place of the reader's."""
    with tempfile.TemporaryDirectory(prefix="gvmkit-docs.") as folder:
        check(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder + "/key", "-out", folder + "/chain", "-subj", "/CN=a"])
        text = re.sub(r"(ssl_certificate\s+)\S+;", rf"\1{folder}/chain;", text)
        text = re.sub(r"(ssl_certificate_key\s+)\S+;", rf"\1{folder}/key;", text)
        text = re.sub(r"(listen\s+)(?:[\w.]+:)?\d+", rf"\1unix:{folder}/socket", text)
        path = pathlib.Path(folder, "conf")
        path.write_text(f"pid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{text}}}\n", encoding="utf-8")
        check(["nginx", "-t", "-c", str(path), "-e", folder + "/log"])


def parse_yaml(text):
    check(["/usr/bin/python3", "-c", "import sys, yaml; yaml.safe_load(sys.stdin)"], input=text)


def parse_javascript(text):
    check(["node", "--input-type=module", "--check"], input=text)


PARSERS = {"json": json.loads, "ini": lambda text: configparser.ConfigParser(strict=False).read_string(text), "dockerfile": parse_dockerfile,
           "nginx": parse_nginx, "yaml": parse_yaml, "python": lambda text: compile(text, "block", "exec"), "javascript": parse_javascript}
TEXTS = ("text",)


def make_archive(path):
    """A Debian with Python, and volumes, as most pages take for granted."""
    with open(debian_image.debootstrap(), "rb") as file:
        layer = file.read()
    volumes = {path: {} for path in ("/golem/input", "/golem/output", "/golem/work")}
    docker_archive.save(path, layer, {"Cmd": ["/bin/bash"], "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Volumes": volumes},
                        history=[{"created_by": "debootstrap"}])  # podman wants one for each layer of what it builds on


class Part:
    def __init__(self, match, text):
        self.line = text.count("\n", 0, match.start()) + 1
        self.kind, self.value, self.language, self.text = match["kind"], match["value"], match["language"], match["text"]


def parts_of(text):
    return [Part(match, text) for match in PART.finditer(text) if match[0]]


def expected_pattern(text):
    def line_pattern(line):
        return "".join(".*?" if piece == "…" else re.escape(piece) for piece in re.split("(…)", line)) + r"\n"

    return re.compile("".join(r"(?:.*\n)*?" if line.strip() == "…" else line_pattern(line) for line in text.splitlines()) + r"\Z")


class Shell:
    """One bash for a page. Each block is read from a file, so that its own input is empty."""

    def __init__(self, folder):
        environment = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": folder + "/home", "LANG": "C.UTF-8", "YA_RUNTIME_VM_ACCEL": "tcg",
                       "YA_RUNTIME_VM_TEST_TIMEOUT": str(DEADLINE),  # of a busy machine
                       "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"], "ARCHIVE": ARCHIVE, "BIN": BIN, "NODE_MODULES": other_clients.node_folder() + "/node_modules", "BUILDAH_ISOLATION": "chroot",
                       "CONTAINERS_STORAGE_CONF": folder + "/storage.conf"}
        with open(folder + "/storage.conf", "w", encoding="utf-8") as file:
            file.write(f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n')
        self.folder, self.number, self.beside = folder, 0, []
        self.ports = {port: str(free_port()) for port in ("8080", "8443")}
        for name in ("home", "page", "blocks"):
            os.mkdir(f"{folder}/{name}")
        self.environment = environment
        # Every process of the page inherits the other end, so it is at its end when all of them have ended.
        self.living, self.inherited = os.pipe()
        self.process = subprocess.Popen(["bash", "-eo", "pipefail"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        cwd=folder + "/page", env=environment, text=True, start_new_session=True,
                                        pass_fds=[self.inherited])
        # What it has in the background would hold our pipe after its end.
        print("trap 'kill $(jobs -p) 2> /dev/null' EXIT", file=self.process.stdin, flush=True)

    def own(self, text):
        """With our ports."""
        for port, free in self.ports.items():
            text = text.replace(port, free)
        return text

    def run(self, text):
        """What it printed. Raises where a command failed."""
        text = self.own(text)
        self.number += 1
        block = f"{self.folder}/blocks/{self.number}"
        with open(block, "w", encoding="utf-8") as file:
            file.write(text)
        end = f"-- end of block {self.number} --"
        print(f". {block} < /dev/null; echo '{end}'", file=self.process.stdin, flush=True)
        printed = ""
        for line in self.process.stdout:
            if line.endswith(end + "\n"):
                return printed + line[:-len(end) - 1]
            printed += line
        raise AssertionError(f"a command failed with {self.process.wait()}:\n{text}\nand printed:\n{printed}")

    def start(self, text, pattern):
        text = self.own(text)
        log = f"{self.folder}/blocks/beside{len(self.beside)}"
        with open(log, "w", encoding="utf-8") as out:
            beside = subprocess.Popen(["bash", "-ec", text], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.folder + "/page",
                                      env=self.environment, start_new_session=True, pass_fds=[self.inherited])
        self.beside.append(beside)
        while True:
            with open(log, encoding="utf-8") as file:
                printed = file.read()
            if re.search(pattern, printed):
                return
            if beside.poll() is not None:
                raise AssertionError(f"{text}\nended with {beside.returncode} and printed:\n{printed}")
            time.sleep(0.05)

    def requestor(self, text, name):
        """The demand, as it is printed."""
        text = self.own(text)
        environment = {**self.environment, "PATH": f"{os.path.dirname(other_clients.python())}:{self.environment['PATH']}"}
        demand = yagna_stub.demand_of(["bash", "-ec", text], env=environment, cwd=self.folder + "/page")
        printed = json.dumps(demand, indent=2, sort_keys=True) + "\n"
        pathlib.Path(self.folder, "page", name).write_text(printed, encoding="utf-8")
        return printed

    def close(self):
        """Ends all processes of the page and waits for them: they may have files in the folder, which is removed next."""
        for process in [*self.beside, self.process]:
            with contextlib.suppress(ProcessLookupError):  # there may be a process of the group without its leader
                os.killpg(process.pid, signal.SIGTERM)
        self.process.communicate(timeout=DEADLINE)  # reads on, so that no writer gets a SIGPIPE instead of ending by itself
        for process in self.beside:
            process.wait(DEADLINE)
        os.close(self.inherited)
        ended = select.select([self.living], [], [], DEADLINE)[0]
        os.close(self.living)
        if not ended:
            raise AssertionError("a process of the page goes on after SIGTERM")
        # What the builders have mounted and left, the innermost first.
        with open("/proc/self/mounts", encoding="utf-8") as file:
            mounts = [line.split()[1] for line in file]
        for mount in reversed([mount for mount in mounts if mount.startswith(self.folder + "/storage/")]):
            subprocess.run(["umount", mount], check=True)


class Docs(unittest.TestCase):
    """One test per page, added by main."""

    def run_page(self, page):
        folder = tempfile.mkdtemp(prefix="gvmkit-docs.")
        self.addCleanup(shutil.rmtree, folder)
        shell = Shell(folder)
        self.addCleanup(shell.close)
        watchdog = subprocess.Popen(["sh", "-c", f"sleep {DEADLINE}; kill -9 -{shell.process.pid}"], start_new_session=True)
        self.addCleanup(watchdog.wait)
        self.addCleanup(os.killpg, watchdog.pid, signal.SIGKILL)
        printed = ""
        for part in parts_of(page.read_text(encoding="utf-8")):
            try:
                printed = self.run_part(shell, page, part, printed)
            except (AssertionError, ValueError) as error:
                raise AssertionError(f"{page}:{part.line}: {error}") from error

    def run_part(self, shell, page, part, printed):
        """What the part printed; for one that is not run, what was printed before it."""
        if part.kind == "prepare":
            shell.run(part.value)
            if part.language is None:
                return printed
        if part.language is None:
            raise AssertionError(f"no block follows: {part.kind}")
        if part.kind == "not run":
            print(f"not run: {page.name}:{part.line}: {part.value}", file=sys.stderr)
            return printed
        if part.kind == "file":
            (pathlib.Path(shell.folder) / "page" / part.value).write_text(shell.own(part.text), encoding="utf-8")
        elif part.kind == "background":
            shell.start(part.text, part.value)
        elif part.kind == "requestor":
            return shell.requestor(part.text, part.value)
        elif part.language == "sh":
            return shell.run(part.text)
        elif part.language == "output":
            printed += "" if printed.endswith("\n") else "\n"
            self.assertRegex(printed, expected_pattern(shell.own(part.text)))
        if part.language in PARSERS:
            PARSERS[part.language](part.text)
        elif part.language not in ("sh", "output", *TEXTS):
            raise AssertionError(f'a block of the language "{part.language}"')
        return printed


class Rules(unittest.TestCase):
    """Of the test itself."""

    def page(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".md", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            test = Docs()
            try:
                test.run_page(pathlib.Path(file.name))
            finally:
                test.doCleanups()

    def test_a_failure_is_found(self):
        for text in ("```sh\necho one\ngvmkit-build --no-such-option\necho two\n```\n", "```sh\nfalse\n```\n", "```sh\ngvmi ls | cat\n```\n",
                     "```\ntrue\n```\n", "```sh\necho one\n```\n```output\ntwo\n```\n", "```json\n{\n```\n",
                     "<!-- background: ready -->\n```sh\nexit 1\n```\n", "<!-- not run: why -->\n\ntext\n"):
            with self.assertRaises(AssertionError, msg=text):
                self.page(text)

    def test_the_folder_outlives_the_processes(self):
        with tempfile.TemporaryDirectory() as folder:
            slow = "set +e; trap 'sleep 1; test -d {}; echo $? > " + folder + "/{}; exit' TERM; echo ready; while :; do sleep 0.1; done"
            self.page(f"<!-- background: ready -->\n```sh\n({slow.format('../page', 'beside')})\n```\n"
                      f"```sh\nmkdir in; cd in; ({slow.format('../in', 'job')}) > log &\nuntil grep ready log; do sleep 0.1; done\n```\n")
            for name in ("beside", "job"):
                self.assertEqual(pathlib.Path(folder, name).read_text(encoding="utf-8"), "0\n")

    def test_what_is_right_passes(self):
        self.page("<!-- prepare: mkdir in; cd in -->\n```sh\nx=1\nprintf 'a b\\nc\\nd\\n'\n```\n```output\na …\n…\nd\n```\n"
                  "<!-- file: f -->\n```text\nbody\n```\n```sh\ntest $x = 1; grep body ../f; test ${PWD##*/} = in\n```\n")
        self.page("<!-- background: ready -->\n```sh\ntrap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done\n```\n"
                  "<!-- not run: why -->\n```sh\nfalse\n```\n```json\n{}\n```\n")


def main():
    global BIN, ARCHIVE  # pylint: disable=global-statement
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bin", type=os.path.abspath)
    parser.add_argument("top", type=pathlib.Path)
    parser.add_argument("pages", nargs="*", help="of docs/, or README.md [all]")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("skipped: buildah and debootstrap need root")
        sys.exit(77)
    BIN = options.bin
    pages = [options.top / "README.md", *sorted((options.top / "docs").glob("*.md"))]
    for page in pages:
        if not options.pages or page.name in options.pages:
            setattr(Docs, "test_" + re.sub(r"\W", "_", page.stem), lambda self, page=page: self.run_page(page))
    with tempfile.TemporaryDirectory(prefix="gvmkit-docs.") as folder:
        ARCHIVE = folder + "/image.tar"
        make_archive(ARCHIVE)
        subprocess.run([BIN + "/ya-runtime-vm", "--accel", "tcg", "template", "warm"], check=True)
        unittest.main(argv=[sys.argv[0]], verbosity=2)


if __name__ == "__main__":
    main()
