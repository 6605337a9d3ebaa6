#!/usr/bin/env python3
"""The part of docs/reference.md that the programs know: every option of every program, from their --man.

usage: reference.py BIN [--write]: compares the page with the programs in BIN and prints the difference; with --write changes the page.
"""

import difflib
import os
import pathlib
import re
import subprocess
import sys

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs/reference.md"
PROGRAMS = ["gvmkit-build", "gvmi", "ya-runtime-vm", "ya-runtime-dbg", "gvmkit-registry"]
BEGIN, END = "<!-- from the programs: site/reference.py -->\n", "<!-- end -->\n"
ESCAPES = {"\\e": "\\", "\\-": "-", "\\(aq": "'", "\\(ga": "`", "\\(dq": '"', "\\(ha": "^", "\\(ti": "~", "\\&": ""}
FONT = re.compile(r"\\f[BIR]")


def plain(roff):
    return re.sub(r"\\(?:\(..|.)", lambda found: ESCAPES[found[0]], FONT.sub("", roff))


def code(roff):
    return "`" + plain(roff).replace("|", "\\|") + "`"


def prose(roff):
    """A text for a cell of a table."""
    text = plain(roff).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return re.sub(r"(Variable: )(\w+)\.$", r"\1`\2`.", text)


def name(roff):
    """"-o, --output DIR" as the first cell of a row."""
    names = roff.split(", ")
    return ", ".join(code(part) for part in names)


def section(lines):
    """Paragraphs, tables and examples of what man_page.cpp writes for one command."""
    text, table = "", False
    lines = iter(lines)
    for line in lines:
        if line == ".TP":
            if not table:
                text += "\n| | |\n| --- | --- |\n"
            table = True
            text += f"| {name(next(lines))} | {prose(next(lines))} |\n"
            continue
        table = False
        if line.startswith(".SS "):
            text += f"\n{plain(line[4:])}:\n"
        elif line in (".PP", ".RS", ".RE", ".fi", "Example:"):
            pass
        elif line == ".nf":
            text += f"\nExample: `{plain(next(lines))}`\n"
        elif line.startswith("."):
            raise ValueError("no rule for " + line)
        else:
            text += f"\n{code(line) if FONT.match(line) else prose(line)}\n"
    return text


def program(path):
    """A program and its sub-commands, as a section of the page."""
    page = subprocess.run([path, "--man"], capture_output=True, text=True, check=True, timeout=60).stdout
    parts = dict(re.findall(r"^\.SH ([A-Z ]+)\n(.*?)(?=^\.SH |\Z)", page, re.M | re.S))
    called = os.path.basename(path)
    text = f"\n### {called}\n" + section(parts["SYNOPSIS"].splitlines() + parts["DESCRIPTION"].splitlines() + parts["OPTIONS"].splitlines())
    text += section(parts.get("EXAMPLES", "").splitlines())
    for command in re.split(r"^\.SS (?=" + re.escape(called.replace("-", "\\-")) + " )", parts.get("COMMANDS", ""), flags=re.M)[1:]:
        title, _, body = command.partition("\n")
        text += f"\n#### {plain(title)}\n" + section(body.splitlines())
    return text


def written(page, options):
    """The page with these options."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no place for the options")
    return before + BEGIN + options + "\n" + END + after


def main():
    options = "".join(program(os.path.join(sys.argv[1], called)) for called in PROGRAMS)
    page = PAGE.read_text(encoding="utf-8")
    wanted = written(page, options)
    if "--write" in sys.argv[2:]:
        PAGE.write_text(wanted, encoding="utf-8")
    elif wanted != page:
        sys.stdout.writelines(difflib.unified_diff(page.splitlines(True), wanted.splitlines(True), "docs/reference.md", "the programs"))
        sys.exit("docs/reference.md differs from the programs; site/reference.py BIN --write changes it")


if __name__ == "__main__":
    main()
