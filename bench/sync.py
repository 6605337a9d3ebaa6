#!/usr/bin/env python3
"""Measures how long a change in a folder of many files takes until a program in the VM sees it (`ya-runtime-dbg --sync`), and the first copy."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE]
import figures  # noqa: E402
import vms  # noqa: E402

FOLDERS = 200
WATCHED = "7/7"


def make_folder(path, files):
    for folder in range(FOLDERS):
        os.makedirs(f"{path}/{folder}")
        for file in range(files // FOLDERS):
            with open(f"{path}/{folder}/{file}", "w", encoding="ascii") as out:
                out.write("some text\n")


def write_in_place(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def save_by_rename(path, text):
    write_in_place(path + ".new", text)
    os.rename(path + ".new", path)


def measure(process, path, runs, change):
    """Seconds from before each change until the program in the VM has told its content."""
    seen = []
    for run in range(runs):
        text = f"{change.__name__} {run}\n"
        start = time.monotonic()
        change(path, text)
        while (line := process.stdout.readline()) != text:
            if not line:
                raise RuntimeError("the debugger has ended")
        seen.append(time.monotonic() - start)
        time.sleep(0.1)  # the sync is at rest again
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.path.join(HERE, "../build"), help="the build folder")
    parser.add_argument("--accel", default="tcg", help="the accelerator (tcg)")
    parser.add_argument("--files", type=int, default=20_000, help="files in the folder (20,000)")
    parser.add_argument("--runs", type=int, default=50, help="changes of each kind (50)")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    work = tempfile.mkdtemp(dir=build, prefix="bench-sync-")
    process = None
    try:
        source, target = work + "/source", vms.VOLUME + "/source"
        make_folder(source, options.files)
        image = vms.make_image(build, work + "/image.gvmi", {})
        runtime = ["--accel", options.accel, "--cache-dir", work + "/cache"]
        subprocess.run([f"{build}/bin/ya-runtime-vm", *runtime, "template", "warm"], check=True, stderr=subprocess.DEVNULL)
        debugger = [f"{build}/bin/ya-runtime-dbg", "-w", work + "/vm", "-t", image, "--exec-mode", "exec"]
        start = time.monotonic()
        subprocess.run([*debugger, "--exec", "/bin/tool true", "--", *runtime], check=True)
        without = time.monotonic() - start
        start = time.monotonic()
        process = subprocess.Popen([*debugger, "--sync", f"{source}:{target}", "--exec", f"/bin/tool follow {target}/{WATCHED}", "--", *runtime],
                                   stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        seen = {"first copy, and the VM's start": [time.monotonic() - start], "the VM's start alone": [without]}
        for change in (write_in_place, save_by_rename):
            seen[f"change seen, {change.__name__.replace('_', ' ')}"] = measure(process, f"{source}/{WATCHED}", options.runs, change)
    finally:
        if process:
            process.terminate()
            process.wait()
            process.stdout.close()
        shutil.rmtree(work)
    print(f"{options.files:,} files, {options.runs} changes of each kind")
    for name, values in seen.items():
        print(f"{name}: {figures.shown('s', statistics.median(values))} (worst {figures.shown('s', max(values))})")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({name: figures.summary(values) for name, values in seen.items()}, file, indent=2)


main()
