#!/usr/bin/env python3
"""Finds documents and comments that name what does not exist: files, tests, ./dev commands, sub-commands and options of the programs.

usage: check_references.py [--build FOLDER] [--top FOLDER] | --self-check

--build is a configured build folder: names of tests are looked up there, and sub-commands and options in the --help of the programs that it
holds. Prints FILE:LINE and the name, and exits 1, where something is missing.
"""
import argparse, pathlib, re, subprocess, sys, tempfile

PROGRAMS = ("gvmkit-build", "gvmi", "gvmkit-registry", "ya-runtime-vm", "ya-runtime-dbg")
SOURCES = {".h", ".cpp", ".c", ".proto"}
SCRIPTS = {".py", ".sh", ".cmake", ".txt", ""}
FILE = re.compile(r"(?<![\w/.<*$~:{}-])((?:[\w-]+/)*[\w-]+\.(?:h|cpp|md|py|sh|proto|svg|json))(?![\w*(-])")
# A name with a place to fill in: FILE.proto, W/deployment.json.
PLACEHOLDER = re.compile(r"(^|[/_])[A-Z]+([/._]|$)")
# Files that a program makes, or that are other people's.
FOREIGN = re.compile(r"^(deployment|kvm|vm|bench|old|package|manifest|index|ya-.*|config|state|daemon|compile_commands)\.json$|^test_app\.py$|^(sys|linux|net)/")
# In a page, files that its blocks or its reader make (tests/system/test_docs.py).
MADE = re.compile(r"(?:<!-- (?:file|requestor): |>>? ?|-path |file:\$PWD/)([\w-]+\.\w+)")
DEV = re.compile(r"\./dev ([a-z]+)")
CTEST = re.compile(r"-R '?([\w.|()^$]+)'?")
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]+)")


def is_placeholder(name):
    return PLACEHOLDER.search(name) and name not in ("README.md", "ARCHITECTURE.md", "SPECIFICATION.md")


def tracked(top):
    run = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=top, capture_output=True, text=True)
    if run.returncode == 0:
        return [top / name for name in run.stdout.splitlines() if (top / name).is_file()]
    return [path for path in top.rglob("*") if path.is_file()]


def prose(path, text):
    """The lines of a document, or the comments of a source, with their numbers."""
    comment = "//" if path.suffix in SOURCES else "#"
    for number, line in enumerate(text.splitlines(), 1):
        if path.suffix == ".md":
            yield number, line
        elif comment in line:
            yield number, line[line.index(comment) + len(comment):]


class Program:
    """A program or a sub-command: its options and its sub-commands, as its --help lists them."""

    def __init__(self, command):
        text = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, timeout=30).stdout
        self.options = {option for line in re.findall(r"^ +(-.*)", text, re.M) for option in OPTION.findall(line)}
        listed = text.partition("\nSubcommands:\n")[2].partition("\n\n")[0]
        self.commands = {name: Program([*command, name]) for name in re.findall(r"^  ([a-z-]+)", listed, re.M)}

    def wrong(self, words):
        """What these arguments name that does not exist. An option may also be one of an enclosing command's."""
        command, known, options = self, set(self.options), []
        for before, word in zip([None, *words], words):
            if word in command.commands:
                command = command.commands[word]
                known |= command.options
            # Only the first word: after an option it may be that option's value.
            elif before is None and command.commands and re.fullmatch(r"[a-z][a-z-]+", word):
                return [f"the program has no sub-command {word}"]
            elif before in self.commands and command.commands and re.fullmatch(r"[a-z][a-z-]+", word):
                return [f"{before} has no sub-command {word}"]
            options += OPTION.findall(word)
        return [f"the program has no option --{option}" for option in options if option not in known]


class Check:
    def __init__(self, top, build):
        self.top = top
        self.files = tracked(top)
        self.names = {path.name for path in self.files}
        self.dev = set(re.findall(r"^do_([a-z]+)\(\)", (top / "dev").read_text(), re.M)) if (top / "dev").exists() else set()
        self.options = set()
        for path in self.files:
            if path.suffix == ".cpp" and path.relative_to(top).parts[0] == "src":
                self.options.update(OPTION.findall(path.read_text()))
        self.tests = None
        if build:
            listed = subprocess.run(["ctest", "--test-dir", build, "-N"], capture_output=True, text=True, check=True).stdout
            self.tests = re.findall(r"Test +#\d+: (\S+)", listed)
        self.programs = {}
        for name in PROGRAMS if build else ():
            if (binary := pathlib.Path(build, "bin", name)).exists():
                self.programs[name] = Program([binary.resolve()])
        self.missing = []

    def exists(self, name, beside):
        if "/" not in name:
            return name in self.names
        places = (self.top, beside, self.top / "src", self.top / "guest", self.top / "docs", self.top / "tests")
        return any((place / name).exists() for place in places)

    def line(self, path, number, text, made):
        def report(what):
            self.missing.append(f"{path.relative_to(self.top)}:{number}: {what}")

        for name in FILE.findall(re.sub(r"\w+://\S+", "", text)):
            if name not in made and not FOREIGN.search(name) and not is_placeholder(name) and not self.exists(name, path.parent):
                report(f"there is no file {name}")
        for name in DEV.findall(text):
            if name not in self.dev:
                report(f"there is no ./dev {name}")
        if self.tests is not None and "./dev test" in text or "ctest" in text and self.tests is not None:
            for pattern in CTEST.findall(text):
                for part in pattern.strip("()^$").split("|"):
                    if not any(re.search(part, test) for test in self.tests):
                        report(f"there is no test {part}")
        for code in re.findall(r"`([^`]+)`", text) + ([text.strip()] if path.suffix == ".md" and "`" not in text else []):
            # What follows " -- " is for another program; what is quoted is one's own text.
            words = re.sub(r"'[^']*'", "TEXT", code.removeprefix("$ ").split(" -- ")[0]).split()
            name = words[0].removeprefix("build/bin/") if words else ""
            if name in self.programs:
                for wrong in self.programs[name].wrong(words[1:]):
                    report(wrong)
            elif name in PROGRAMS:
                for option in OPTION.findall(" ".join(words)):
                    if option not in self.options and option not in ("help", "version"):
                        report(f"no program has the option --{option}")

    def run(self):
        for path in self.files:
            relative = path.relative_to(self.top)
            if relative.parts[0] in (".git", "LICENSE") or "corpus" in relative.parts:
                continue
            if path.suffix not in SOURCES | SCRIPTS | {".md"}:
                continue
            try:
                text = path.read_text()
            except UnicodeDecodeError:
                continue
            made = set(MADE.findall(text)) if path.suffix == ".md" else set()
            for number, line in prose(path, text):
                self.line(path, number, line, made)
        return self.missing


# A program with the sub-command `ls`, which has the option --right.
FAKE_PROGRAM = """#!/bin/sh
case $1 in
  ls) printf 'Options:\\n  -h,--help  Help\\n  --right  Right\\n' ;;
  *) printf 'Options:\\n  -h,--help  Help\\n\\nSubcommands:\\n  ls  Lists\\n\\nExample: gvmi ls\\n' ;;
esac
"""


def self_check():
    """Each kind of wrong name is found, and right ones are not."""
    with tempfile.TemporaryDirectory() as folder:
        top, build = pathlib.Path(folder, "tree"), pathlib.Path(folder, "build")
        for name in ("src", "docs/spec", "tests"):
            (top / name).mkdir(parents=True)
        (build / "bin").mkdir(parents=True)
        (build / "bin/gvmi").write_text(FAKE_PROGRAM)
        (build / "bin/gvmi").chmod(0o755)
        (build / "CTestTestfile.cmake").write_text('add_test(unit.right "true")\n')
        (top / "dev").write_text("do_test() {\n")
        (top / "src/a.cpp").write_text('// See a.cpp and docs/spec/right.md.\nadd("--right");\nadd("--elsewhere");\n// Gone: src/gone.h and gone.cpp\n')
        (top / "docs/spec/right.md").write_text(
            "[a](wrong.md) <!-- file: made.json --> made.json\n`./dev test` and `./dev tset`\n`gvmi ls --right` and `gvmi ls --elsewhere`\n\n    gvmkit-build --wronger x\n"
            "`gvmi ls`, `gvmi sl`, `gvmi --help`\n`./dev test -R unit.right` and `./dev test -R 'unit.right|unit.wrong'`\n")
        found = Check(top, build).run()
        wanted = ["docs/spec/right.md:1: there is no file wrong.md", "docs/spec/right.md:2: there is no ./dev tset",
                  "docs/spec/right.md:3: the program has no option --elsewhere", "docs/spec/right.md:5: no program has the option --wronger",
                  "docs/spec/right.md:6: the program has no sub-command sl", "docs/spec/right.md:7: there is no test unit.wrong",
                  "src/a.cpp:4: there is no file gone.cpp", "src/a.cpp:4: there is no file src/gone.h"]
        if sorted(found) != sorted(wanted):
            sys.exit("error: found\n" + "\n".join(sorted(found)) + "\ninstead of\n" + "\n".join(sorted(wanted)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build")
    parser.add_argument("--top", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    parser.add_argument("--self-check", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_check:
        self_check()
    else:
        missing = Check(arguments.top, arguments.build).run()
        print("\n".join(missing))
        sys.exit(1 if missing else 0)
