#!/usr/bin/env python3
"""clang-tidy on the sources of a build folder. usage: tidy.py BUILD CLANG_TIDY CACHE [--since COMMIT] [--seconds N]

A source that passed is not checked again until it, a header of ours that it includes or the configuration changes: CACHE keeps an empty file per
pass, named by the hash of all that. Needs a finished build, whose dependencies ninja knows.

--since COMMIT checks only sources that changed since then. --seconds N starts no check after N seconds and names the sources that it left out.
"""
import argparse, concurrent.futures, hashlib, json, os, pathlib, shlex, subprocess, sys, time

parser = argparse.ArgumentParser()
parser.add_argument("build", type=pathlib.Path)
parser.add_argument("tidy")
parser.add_argument("cache", type=pathlib.Path)
parser.add_argument("--since")
parser.add_argument("--seconds", type=float, default=float("inf"))
arguments = parser.parse_args()
build, tidy, cache = arguments.build.resolve(), arguments.tidy, arguments.cache
deadline = time.monotonic() + arguments.seconds
top = pathlib.Path(__file__).resolve().parent.parent
ours = ("src", "guest", "tests", "bench")


def is_ours(path):
    return path.is_relative_to(top) and path.relative_to(top).parts[0] in ours


def included():
    """The headers of ours (and generated ones) that each object file was made from."""
    headers, current = {}, None
    for line in subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True).stdout.splitlines():
        if line and not line.startswith(" "):
            current = headers.setdefault(line.split(":")[0], set())
        elif line.strip():
            path = (build / line.strip()).resolve()
            if is_ours(path) or path.is_relative_to(build):
                current.add(path)
    return headers


def keys():
    """The sources to check, each with its key."""
    common = (top / ".clang-tidy").read_bytes() + subprocess.run([tidy, "--version"], capture_output=True, check=True).stdout
    headers, result = included(), {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["file"])
        if not is_ours(source):
            continue
        words = shlex.split(entry["command"])
        output = words[words.index("-o") + 1]
        # Generated files lie in the build folder, whose place does not matter.
        text = hashlib.sha256(common + entry["command"].replace(str(build), "").replace(str(top), "").encode())
        for path in sorted(headers.get(output, set()) | {source}):
            text.update(path.read_bytes())
        result[source] = text.hexdigest()[:32]
    return result


def changed():
    """The files that differ from the commit --since; None where all are wanted."""
    if not arguments.since:
        return None
    names = subprocess.run(["git", "diff", "--name-only", arguments.since], cwd=top, capture_output=True, text=True, check=True).stdout
    return {top / name for name in names.splitlines()}


def check(source, key):
    """Whether the source passes, None where there is no time left; what clang-tidy says is printed."""
    if time.monotonic() > deadline:
        return None
    run = subprocess.run([tidy, "-p", build, "--quiet", source], capture_output=True, text=True)
    print(f"  {source.relative_to(top)}", flush=True)
    if run.returncode == 0:
        (cache / key).touch()
    else:
        print(run.stdout, run.stderr, flush=True)
    return run.returncode == 0


cache.mkdir(parents=True, exist_ok=True)
only = changed()
open_ = {source: key for source, key in keys().items() if not (cache / key).exists() and (only is None or source in only)}
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    passed = list(pool.map(check, open_.keys(), open_.values()))
left_out = [source for source, result in zip(open_, passed) if result is None]
if left_out:
    print(f"no time left for {len(left_out)} sources, which were not checked:", *(str(s.relative_to(top)) for s in left_out))
if False in passed:
    sys.exit(f"error: clang-tidy: {passed.count(False)} sources do not pass")
