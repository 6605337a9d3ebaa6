#!/usr/bin/env python3
"""Measures what SPECIFICATION.md promises of the developer's seat (`ya-runtime-dbg` with its debug channel): a pipe through the VM beside output
alone, what the programs hold of memory meanwhile, a keystroke's echo beside a flood, and the time from a container image to a prompt."""

import argparse
import contextlib
import hashlib
import json
import os
import pty
import random
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../tests/system")]
import debian_image  # noqa: E402
import docker_archive  # noqa: E402
import figures  # noqa: E402
import reference  # noqa: E402

PARTS = ("pipe", "terminals", "start")
FILES = 16  # that the bytes of the pipe are in
MAKEFILE = "all:\n\t@cat data/*\n\t@exit 3\n"
MAKE_FAILED = 2  # make's own exit code when a command has failed
DEADLINE = 300  # s for what a person would wait for


def sums(paths):
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def peak_bytes(status):
    """The largest resident size that a process has had, from the text of its status file."""
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


class Peaks(threading.Thread):
    """Follows how much memory the debugger `pid` and its runtime hold at most, until both have ended."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.seen = pid, {}
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                self.look(self.pid)
                with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
                    for child in file.read().split():
                        with contextlib.suppress(OSError):
                            self.look(child)
                time.sleep(0.05)

    def look(self, pid):
        with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
            name = file.read().strip()
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            self.seen[name] = max(self.seen.get(name, 0), peak_bytes(file.read()))


class Terminal:
    """A program at a terminal of its own, which echoes nothing by itself."""

    def __init__(self, argv, env):
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
                                        preexec_fn=reference.die_with_parent)
        os.close(slave)

    def until(self, text):
        seen = b""
        while text not in seen:
            if not select.select([self.master], [], [], DEADLINE)[0]:
                raise RuntimeError(f"no {text} but {seen[-1000:]}")
            seen += os.read(self.master, 4096)
        return seen

    def type(self, text):
        os.write(self.master, text)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        os.close(self.master)


class Bench:
    def __init__(self, build, work, options):
        self.bin, self.work, self.options = build + "/bin", work, options
        self.figures = {}
        self.env = dict(os.environ, XDG_CACHE_HOME=work + "/cache", XDG_RUNTIME_DIR=tempfile.mkdtemp(dir="/tmp", prefix="seat-"))
        tar, self.image = work + "/image.tar", work + "/image.gvmi"
        make = shutil.which("make") or sys.exit("error: needs the package make")
        docker_archive.save(tar, docker_archive.tree([build + "/bench/tool", make]), {})
        subprocess.run([self.bin + "/gvmkit-build", "--force", "--hide-progress", "--no-lint", "--output", self.image, tar], check=True,
                       stdout=subprocess.DEVNULL)
        self.warm()

    def warm(self):
        subprocess.run([self.bin + "/ya-runtime-vm", "--accel", self.options.accel, "template", "warm"], env=self.env, check=True,
                       stderr=subprocess.DEVNULL)

    def close(self):
        shutil.rmtree(self.env["XDG_RUNTIME_DIR"])

    def debugger(self, *options, image=None):
        return [self.bin + "/ya-runtime-dbg", "-t", image or self.image, "--no-lint", *options, "--", "--accel", self.options.accel,
                "--storage-gib", "8", "--mem-gib", "3"]

    def tell(self, what, unit, values, note=""):
        print(f"{what}: {figures.shown(unit, statistics.median(values))}{note}", flush=True)
        self.figures[what] = {"unit": unit, **figures.summary(values)}

    def timed(self, argv, stdin=None, out="/dev/null"):
        """Seconds, the exit code, and the peaks of memory."""
        with open(out, "wb") as log:
            begin = time.monotonic()
            process = subprocess.Popen(argv, stdin=stdin or subprocess.DEVNULL, stdout=log, env=self.env, preexec_fn=reference.die_with_parent)
            peaks = Peaks(process.pid)
            code = process.wait()
            seconds = time.monotonic() - begin
        peaks.join()
        return seconds, code, peaks.seen

    def succeed(self, *arguments, **options):
        seconds, code, _ = self.timed(*arguments, **options)
        if code != 0:
            raise RuntimeError(f"{arguments}: exit code {code}")
        return seconds

    def part_pipe(self):
        """`tar c . | ya-runtime-dbg … --exec 'tar x && make' > log`, and its pieces."""
        size, log, folder = self.options.mib << 20, self.work + "/log", self.work + "/source"
        names = [f"{folder}/data/{i:02}" for i in range(FILES)]
        os.makedirs(folder + "/data")
        dice = random.Random(1)
        for name in names:
            with open(name, "wb") as file:
                file.write(dice.randbytes(size // FILES))
        with open(folder + "/Makefile", "w", encoding="ascii") as file:
            file.write(MAKEFILE)
        whole = sums(names)
        rates = {"output alone, by the supervisor's protocol": [], "output alone": [], "input alone": [], "through cat": [], "tar x && make": []}
        peaks = {}
        for _ in range(self.options.runs):
            base = self.succeed(self.debugger("--exec", "true"))
            out = f"/bin/tool out {size}"

            def rate(name, moved, seconds, base=base):
                rates[name].append(moved / (seconds - base))

            rate("output alone, by the supervisor's protocol", size, self.succeed(self.debugger("--exec-mode", "exec", "--exec", out), out=log))
            rate("output alone", size, self.succeed(self.debugger("--exec", out), out=log))
            for name, command, moved in (("input alone", "cat > /dev/null", size), ("through cat", "cat", 2 * size)):
                with self.files(names) as stdin:
                    rate(name, moved, self.succeed(self.debugger("--exec", command), stdin=stdin, out=log))
            if sums([log]) != whole:
                raise RuntimeError("cat gave other bytes")
            with self.tarred(folder) as stdin:
                seconds, code, seen = self.timed(self.debugger("--exec", "mkdir /w && cd /w && tar x && make"), stdin=stdin, out=log)
            if code != MAKE_FAILED:
                raise RuntimeError(f"the exit code is not make's but {code}")
            if sums([log]) != whole:
                raise RuntimeError("tar and make gave other bytes")
            rate("tar x && make", 2 * size, seconds)
            peaks = {name: max(peaks.get(name, 0), seen.get(name, 0)) for name in ("ya-runtime-dbg", "ya-runtime-vm")}
        today = statistics.median(rates["output alone, by the supervisor's protocol"])
        for name, values in rates.items():
            self.tell(name, "B/s", values, f", {statistics.median(values) / today:.0%}")
        for name, value in peaks.items():
            self.tell(f"peak memory of {name}", "B", [value])

    @contextlib.contextmanager
    def output_of(self, argv):
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        try:
            yield process.stdout
        finally:
            process.stdout.close()
            process.wait()

    def files(self, names):
        return self.output_of(["cat", *names])

    def tarred(self, folder):
        return self.output_of(["tar", "-C", folder, "-c", "."])

    def part_terminals(self):
        """Keys in all terminals but one, which floods."""
        with contextlib.ExitStack() as stack:
            first = subprocess.Popen(self.debugger("--name", "box", "--exec", "echo up; exec sleep 100000"), stdin=subprocess.DEVNULL,
                                     stdout=subprocess.PIPE, env=self.env, preexec_fn=reference.die_with_parent)
            stack.callback(first.wait)
            stack.callback(first.send_signal, signal.SIGTERM)
            stack.callback(first.stdout.close)
            first.stdout.readline()

            def window(*command):
                terminal = Terminal([self.bin + "/ya-runtime-dbg", "exec", "--tty", "box", *command], self.env)
                stack.callback(terminal.close)
                return terminal

            others = [window("sh", "-c", "echo ready; exec cat") for _ in range(self.options.terminals - 1)]
            for terminal in others:
                terminal.until(b"ready\r\n")
            quiet = self.echoes(others)
            flood = window("yes")
            flood.until(b"y")
            drain = subprocess.Popen(["cat"], stdin=flood.master, stdout=subprocess.DEVNULL, preexec_fn=reference.die_with_parent)
            stack.callback(drain.wait)
            stack.callback(drain.kill)
            loud = self.echoes(others)
        self.tell(f"a key's echo, {len(others)} terminals", "s", quiet, f" (worst {figures.shown('s', max(quiet))})")
        self.tell(f"a key's echo, {len(others)} terminals beside one that floods", "s", loud, f" (worst {figures.shown('s', max(loud))})")

    def echoes(self, terminals):
        seen = []
        for _ in range(self.options.keys):
            for terminal in terminals:
                begin = time.monotonic()
                terminal.type(b"k")
                terminal.until(b"k")
                seen.append(time.monotonic() - begin)
        return seen

    def part_start(self):
        """From a container image to the prompt of its shell: with nothing of ours on the machine but the programs, and again."""
        archive = self.work + "/debian.tar"
        with open(debian_image.debootstrap(), "rb") as file:
            docker_archive.save(archive, file.read(), {})
        env, kept = self.env, dict(self.env, XDG_CACHE_HOME=self.work + "/kept")
        cold, warm = [], []
        for _ in range(self.options.runs):
            self.env = dict(env, XDG_CACHE_HOME=tempfile.mkdtemp(dir=self.work))
            cold.append(self.prompt(archive))
            shutil.rmtree(self.env["XDG_CACHE_HOME"])
        self.env = kept
        self.prompt(archive)
        self.warm()
        for _ in range(self.options.runs):
            warm.append(self.prompt(archive))
        self.env = env
        self.tell(f"from an image of {os.path.getsize(archive) >> 20} MiB to a prompt, the first time", "s", cold)
        self.tell("and each further time", "s", warm)

    def prompt(self, image):
        begin = time.monotonic()
        terminal = Terminal(self.debugger("--exec-shell", "sh", "--env", "PS1=seat> ", image=image), self.env)
        terminal.until(b"seat> ")
        seconds = time.monotonic() - begin
        terminal.type(b"\x04")
        terminal.process.wait()
        terminal.close()
        return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.path.join(HERE, "../build"), help="the build folder")
    parser.add_argument("--accel", default="tcg", help="the accelerator (%(default)s)")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, separated by commas (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="of each transfer and start (%(default)s)")
    parser.add_argument("--mib", type=int, default=1024, help="bytes through the pipe, each way (%(default)s)")
    parser.add_argument("--terminals", type=int, default=20, help="terminals of one VM (%(default)s)")
    parser.add_argument("--keys", type=int, default=10, help="keys typed in each (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing stays behind
    build = os.path.abspath(options.build)
    with tempfile.TemporaryDirectory(dir=build, prefix="bench-seat-") as work:
        bench = Bench(build, work, options)
        try:
            for part in options.parts.split(","):
                getattr(bench, "part_" + part)()
        finally:
            bench.close()
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(bench.figures, file, indent=2)


if __name__ == "__main__":
    main()
