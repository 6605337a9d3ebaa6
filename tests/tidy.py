#!/usr/bin/env python3
"""clang-tidy on the sources of a build folder. usage: tidy.py BUILD CLANG_TIDY CACHE [--since COMMIT] [--seconds N]

A source that passed is not checked again until its code, that of a header of ours that it includes or the configuration changes; a comment
does not count. CACHE keeps an empty file per pass, named by the hash of all that. Needs the generated headers of the build folder (the target `protocols`), and no unity build.

--since COMMIT checks only sources that changed since then. --seconds N starts no check after N seconds and names the sources that it left out.
"""
import argparse, concurrent.futures, functools, hashlib, json, os, pathlib, re, shlex, subprocess, sys, time

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


@functools.cache
def directly_included(path, folders):
    """The headers of ours, and the generated ones, that a file names."""
    result = set()
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.MULTILINE):
        for folder in (path.parent, *folders):
            header = (folder / name).resolve()
            if header.is_file():
                if is_ours(header) or header.is_relative_to(build):
                    result.add(header)
                break
    return result


def included(source, folders):
    """All of them that a source includes, also by way of others."""
    found, new = set(), {source}
    while new:
        found |= new
        new = set().union(*(directly_included(path, folders) for path in new)) - found
    return found


@functools.cache
def code_of(path):
    """A file without its comments, but for those that clang-tidy obeys."""
    comment = re.compile(r'^\s*//(?!.*NOLINT).*$|//(?!.*NOLINT)[^"]*$')  # behind a quote it may be part of a text
    lines = (comment.sub("", line).rstrip() for line in path.read_text().splitlines())
    return "\n".join(line for line in lines if line)


def keys():
    """The sources to check, each with its key."""
    common = (top / ".clang-tidy").read_bytes() + subprocess.run([tidy, "--version"], capture_output=True, check=True).stdout
    result = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        source = pathlib.Path(entry["file"])
        if not is_ours(source):
            continue
        words = shlex.split(entry["command"])
        folders = [word[2:] for word in words if word.startswith("-I")]
        folders += [after for word, after in zip(words, words[1:]) if word == "-isystem"]
        folders = tuple(pathlib.Path(folder) for folder in folders if folder.startswith(str(top)))
        # Generated files lie in the build folder, whose place does not matter.
        text = hashlib.sha256(common + entry["command"].replace(str(build), "").replace(str(top), "").encode())
        for path in sorted(included(source, folders)):
            text.update(code_of(path).encode())
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
