#!/usr/bin/env python3
"""A developer's session at a real terminal, tmux's, from a folder with a Dockerfile to the changed image (docs/run-locally.md).

test_seat.py BIN    (root, for debootstrap and buildah; skipped otherwise)
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import debian_image

SKIPPED = 77
BIN = os.path.abspath(sys.argv[1])
DEADLINE = 600  # s; only tells a hang from a slow machine
DEBOOTSTRAP = ["debootstrap", "--variant=minbase", "--include=python3,vim-tiny", "bookworm"]
# What no session needs, and makes a conversion longer.
LEFT_OUT = ["usr/share/doc", "usr/share/locale", "usr/share/man", "usr/share/zoneinfo", "var/lib/apt/lists"]
PROMPT = r"root@\S+:\S*#$"


def until(condition, what):
    end = time.monotonic() + DEADLINE
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(what() if callable(what) else what)
        time.sleep(0.05)
    return result


def make_tree(folder):
    os.mkdir(folder)
    subprocess.run(["tar", "--numeric-owner", "-C", folder, "-xf", debian_image.debootstrap(DEBOOTSTRAP),
                    *(f"--exclude=./{name}/*" for name in LEFT_OUT)], check=True)


class Window:
    """A command at a terminal of tmux's, whose recording is in a file."""

    def __init__(self, folder, command, env):
        own = tempfile.mkdtemp(dir=folder, prefix="w")  # a server that ends may still hold an older window's socket
        self.tmux_argv = ["tmux", "-S", own + "/tmux", "-f", "/dev/null"]
        self.env, self.recording = env, own + "/recording"
        self.tmux("new-session", "-d", "-x", "80", "-y", "24", "exec /bin/sleep 1000", ";", "set", "-g", "status", "off", ";",
                  "set", "-g", "remain-on-exit", "on", ";", "set", "-g", "default-terminal", "screen")
        self.tmux("pipe-pane", "-o", f"exec /bin/cat > {shlex.quote(self.recording)}")
        # tmux itself may tell of the command's end minutes later.
        self.tmux("respawn-pane", "-k", shlex.join(command) + "; echo ended with $?; exec /bin/sleep 1000")

    def tmux(self, *arguments):
        return subprocess.run([*self.tmux_argv, *arguments], check=True, stdout=subprocess.PIPE, text=True, env=self.env).stdout

    def screen(self):
        return self.tmux("capture-pane", "-p").rstrip()

    def see(self, pattern):
        """Waits until the screen matches."""
        return until(lambda: re.search(pattern, self.screen(), re.MULTILINE), lambda: f"no {pattern} on the screen:\n{self.screen()}")

    def prompt(self):
        """Waits until the last line is the shell's prompt."""
        until(lambda: re.search(PROMPT, self.screen().rpartition("\n")[2]), lambda: f"no prompt on the screen:\n{self.screen()}")

    def type(self, text, *keys):
        self.tmux("send-keys", "-l", text)
        if keys:
            self.tmux("send-keys", *keys)

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def run(self, command, pattern):
        """Types a command on a clear screen, and waits for what it shows and the next prompt."""
        self.keys("C-l")
        self.type(command, "Enter")
        found = self.see(pattern)
        self.prompt()
        return found

    def exit_code(self):
        return int(self.see(r"^ended with (\d+)$")[1])

    def close(self):
        subprocess.run([*self.tmux_argv, "kill-server"], check=False, env=self.env, stderr=subprocess.DEVNULL)


class Seat(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="seat-")  # short enough for sockets
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        for name in ("project", "tmp", "run", "tools", "cache"):
            os.mkdir(self.path(name), 0o700)
        with open(self.path("storage.conf"), "w", encoding="utf-8") as file:
            file.write(f'[storage]\ndriver = "vfs"\ngraphroot = "{self.path("graph")}"\nrunroot = "{self.path("graph.run")}"\n')
        os.symlink(shutil.which("buildah"), self.path("tools/buildah"))  # no docker and no podman
        self.env = dict(os.environ, XDG_CACHE_HOME=self.path("cache"), XDG_RUNTIME_DIR=self.path("run"), TMPDIR=self.path("tmp"),
                        CONTAINERS_STORAGE_CONF=self.path("storage.conf"), PATH=self.path("tools") + ":/usr/sbin:/sbin", LANG="C.UTF-8",
                        SHELL="/bin/sh")
        os.symlink(shutil.which("tmux"), self.path("tools/tmux"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def open(self, image, *options):
        window = Window(self.folder, [BIN + "/ya-runtime-dbg", "-t", image, "--name", "box", *options, "--", "--accel", "tcg"], self.env)
        self.addCleanup(window.close)
        self.addCleanup(self.show_recording, window.recording)
        window.prompt()
        return window

    def show_recording(self, path):
        if self._outcome.result.errors or self._outcome.result.failures:
            with open(path, encoding="utf-8", errors="replace") as file:
                print("the session:", repr(file.read()[-3000:]), file=sys.stderr)

    def debugger(self, *arguments):
        """A sub-command from a second window."""
        done = subprocess.run([BIN + "/ya-runtime-dbg", *arguments], capture_output=True, text=True, env=self.env, timeout=DEADLINE, check=False)
        self.assertEqual(done.returncode, 0, done)
        return done.stdout

    def processes(self):
        """Those whose environment names our folder, and which are not the window's."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/environ", "rb") as file:
                    ours = self.folder.encode() in file.read()
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    command = file.read()
                if ours and b"tmux" not in command and not command.startswith((b"/bin/cat", b"/bin/sleep")):
                    found.append(command)
        return found

    def ends_and_leaves_nothing(self, window):
        window.keys("C-d")
        self.assertEqual(window.exit_code(), 0)
        until(lambda: not self.processes(), lambda: f"left: {self.processes()}")
        self.assertEqual(self.debugger("ps", "--format", "json"), "")
        self.assertEqual(os.listdir(self.path("tmp")), [])
        self.assertEqual([name for _, _, names in os.walk(self.path("run")) for name in names], [".lock"])
        window.close()

    def test_a_session(self):
        tar = debian_image.cached_tree(" ".join([*DEBOOTSTRAP, "without", *LEFT_OUT]), make_tree)
        shutil.copy(tar, self.path("project/debian.tar"))
        with open(self.path("project/Dockerfile"), "w", encoding="ascii") as file:
            file.write("FROM scratch\nADD debian.tar /\nCMD [\"bash\"]\n")
        window = self.open(self.path("project"), "--publish", "0:8000")
        port = window.see(r"127\.0\.0\.1:(\d+) -> 8000")[1]

        window.type("python3", "Enter")
        window.see("^>>>$")
        window.type("import os", "Enter")
        window.type("os.path.expandu", "Tab")
        window.see(r"os\.path\.expanduser\(")
        window.type("'~')", "Enter")
        window.see("^'/root'$")
        window.keys("C-d")
        window.prompt()

        window.run("stty size", "^24 80$")
        window.tmux("resize-window", "-x", "100", "-y", "30")
        window.run("stty size", "^30 100$")

        window.type("bash -c 'echo up $((6*7)); exec sleep 1000'", "Enter")
        window.see("^up 42$")
        window.keys("C-c")
        window.prompt()
        window.run("echo code $?", "^code 130$")

        window.type("vi /root/page", "Enter")
        window.see(r'^"~/page" \[New')
        window.type("iwritten in the VM")
        window.keys("Escape")
        window.type(":wq", "Enter")
        window.prompt()  # vi drops what is typed while it ends
        window.run("cat /root/page", "^written in the VM$")

        window.run("(cd /root && exec python3 -m http.server --bind 127.0.0.1 8000 > /dev/null 2>&1) &", r"\[1\]")
        self.assertEqual(until(lambda: self.fetch(f"http://127.0.0.1:{port}/page"), "no page"), b"written in the VM\n")

        self.debugger("cp", "box:/root/page", self.path("page"))
        with open(self.path("page"), encoding="ascii") as file:
            self.assertEqual(file.read(), "written in the VM\n")
        self.assertIn("A /root/page", self.debugger("diff", "box").splitlines())
        self.debugger("commit", "box", "-o", self.path("changed.gvmi"))
        self.ends_and_leaves_nothing(window)

        window = self.open(self.path("changed.gvmi"))
        window.run("cat /root/page", "^written in the VM$")
        self.ends_and_leaves_nothing(window)

    @staticmethod
    def fetch(url):
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
                return answer.read()
        return None


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("needs root, for debootstrap and buildah")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1] + sys.argv[2:])
