#!/usr/bin/env python3
"""Costly inputs (costly_inputs.py) at two sizes: CPU time, memory and output grow no faster than the size, and beyond a limit an error names it.

test_costly_inputs.py BIN [--table] [KIND...]    --table prints what was measured, as rows for SPECIFICATION.md
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import costly_inputs  # noqa: E402
from costly_inputs import KINDS, MIB  # noqa: E402
from sanitized import memory_limit  # noqa: E402

SLACK = 3  # how much faster than the size a cost may grow: machines are busy, and memory comes in steps
SECONDS, MEMORY, OUTPUT = 1.0, 32 * MIB, 1 * MIB  # that a program may take in any case
MOST_CPU, MOST_MEMORY, MOST_OUTPUT = 240, memory_limit(1 << 30), 1 << 30  # of any input


class Run:
    """A program's CPU time in seconds, the most memory that it had and the bytes that it wrote, in bytes; its exit code and its error."""

    def __init__(self, command, output):
        reader, writer = os.pipe()
        errors = tempfile.TemporaryFile()
        pid = os.fork()
        if pid == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU, MOST_CPU))
            os.dup2(writer, 1)
            os.dup2(errors.fileno(), 2)
            os.close(reader)
            os.execv(command[0], command)
        os.close(writer)
        self.output = 0
        counter = threading.Thread(target=self.count, args=(reader,))
        counter.start()
        _, status, usage = os.wait4(pid, 0)
        counter.join()
        os.close(reader)
        self.code = os.waitstatus_to_exitcode(status)
        self.cpu = usage.ru_utime + usage.ru_stime
        self.memory = usage.ru_maxrss * 1024
        if os.path.exists(output):
            self.output += os.stat(output).st_blocks * 512
        with errors:
            errors.seek(0)
            self.error = errors.read(100000).decode(errors="replace")

    def count(self, reader):
        while data := os.read(reader, 1 << 20):
            self.output += len(data)

    def __str__(self):
        return f"{self.cpu:.2f} s, {self.memory / MIB:.0f} MiB" + (f", {self.output / MIB:.0f} MiB out" if self.output >= MIB else "")


class CostlyInputs(unittest.TestCase):
    def setUp(self):
        self.work = tempfile.mkdtemp(prefix="gvmkit-costly.")
        self.addCleanup(shutil.rmtree, self.work, ignore_errors=True)

    def measure(self, name, size):
        kind = KINDS[name]
        paths = {"{in}": self.work + "/in", "{out}": self.work + "/out.gvmi"}

        def run(command):
            words = [paths["{in}"].join(word.split("{in}")).replace("{out}", paths["{out}"]) for word in command]
            return Run([os.path.join(BIN, words[0]), *words[1:]], paths["{out}"] if "{out}" in command else "")
        # By another process: what this one had in memory would count as the program's.
        subprocess.run([sys.executable, costly_inputs.__file__, name, str(size), paths["{in}"]], check=True, stdout=subprocess.DEVNULL)
        if kind.first:
            self.assertEqual(run(kind.first).code, 0, kind.first)
            os.replace(paths["{out}"], paths["{in}"])
        result = run(kind.command)
        for path in paths.values():
            if os.path.exists(path):
                os.unlink(path)
        self.assertLess(result.memory, MOST_MEMORY)
        self.assertLess(result.output, MOST_OUTPUT)
        self.assertIn(result.code, (0, 1), f"killed: {result}")
        return result

    def compare(self, name):
        """The results at the two sizes."""
        kind = KINDS[name]
        if kind.sizes is None:  # refused in any size
            return None
        small, large = (self.measure(name, size) for size in kind.sizes)
        for result in (small, large):
            self.assertEqual(result.code, 0, result.error)
        growth = SLACK * kind.sizes[1] / kind.sizes[0]
        for what, floor in (("cpu", SECONDS), ("memory", MEMORY), ("output", OUTPUT)):
            self.assertLessEqual(getattr(large, what), growth * getattr(small, what) + floor, f"{what}: {small}, {large}")
        return small, large

    def refuse(self, name):
        kind = KINDS[name]
        if not kind.too_large:
            return None
        result = self.measure(name, kind.too_large)
        self.assertEqual(result.code, 1, f"{kind.too_large} {kind.unit}: {result}")
        self.assertIn(kind.error, result.error)
        self.assertLessEqual(result.error.count("\n"), 1)
        self.assertLess(len(result.error), 10000)
        return result


def add_tests(names):
    for name in names:
        def test(self, name=name):
            kind = KINDS[name]
            results = self.compare(name) or ("", "")
            refused = self.refuse(name)
            if TABLE:
                sizes = kind.sizes or ("", "")
                columns = [f"{size:,}: {result}" if result else "" for size, result in zip(sizes, results)]
                columns.append(f"{kind.too_large:,}: {refused}" if refused else "")
                print(f"| {name}: {kind.unit} | " + " | ".join(columns) + " |", flush=True)
        setattr(CostlyInputs, "test_" + name.replace(" ", "_").lower(), test)


if __name__ == "__main__":
    BIN = os.path.abspath(sys.argv[1])
    TABLE = "--table" in sys.argv
    add_tests([word for word in sys.argv[2:] if word != "--table"] or KINDS)
    unittest.main(argv=sys.argv[:1], verbosity=1 if TABLE else 2)
