#!/usr/bin/env python3
"""self_check.py RUNTIME IMAGES WORK — the cases can fail: runs some against a runtime that is spoilt in one way after the other (spoil.py) and
expects those of them to fail that look at what is spoilt."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WAYS = {
    "nothing": [],
    "text on stdout": ["D1", "P3", "O1"],
    "two ends": ["R2", "F20.1"],
    "swapped events": ["R3.1"],
    "lost events": ["R3.2", "R3.1"],
    "large events": ["P9"],
    "signals as codes": ["R4", "R7"],
    "other ids": ["P3"],
    "answers as events": ["P3"],
    "no events": ["F20.1"],
    "all internal": ["F3", "F11.1", "P4", "N8"],
    "bad text": ["R5"],
    "no version": ["F2.1"],
    "own session": ["R9.3"],
    "exit code": ["P12"],
}


def main():
    runtime, images, work = sys.argv[1:]
    cases = sorted({case for way in WAYS.values() for case in way})
    failures = 0
    for way, wanted in WAYS.items():
        command = [os.path.join(HERE, "run.py"), "--runtime", os.path.join(HERE, "spoil.py"), "--images", images, "--work", work,
                   "--runtime-arg=--accel", "--runtime-arg=tcg", *(f"--only={case}" for case in wanted or cases)]
        output = subprocess.run([sys.executable, *command], env={**os.environ, "SPOIL": way, "SPOIL_RUNTIME": os.path.abspath(runtime)},
                                stdout=subprocess.PIPE, text=True, check=False)
        found = sorted(line.split()[0] for line in output.stdout.splitlines() if line.split()[1:2] == ["FAILED"])
        good = found == sorted(wanted) and output.returncode == (1 if wanted else 0)
        failures += not good
        print(f"{'good' if good else 'BAD '}  {way}: {', '.join(found) or 'nothing'} failed", flush=True)
        if not good:
            print(output.stdout, flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
