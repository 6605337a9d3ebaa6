#!/usr/bin/env python3
"""What bash, zsh and fish complete, and the manual pages: for every sub-command all that its --help lists. The shells complete themselves, bash and
zsh at a terminal.

test_completion.py BIN
"""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

BIN = os.path.abspath(sys.argv.pop(1))
PROGRAMS = ["gvmkit-build", "gvmi", "gvmkit-registry", "ya-runtime-dbg", "ya-runtime-vm"]
SHARE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging/share.sh")
SECONDS = 60  # after which something hangs
VMS = ["alpine", "python-2"]


class Command:
    """A program or a sub-command as its --help lists it, and all below it."""

    def __init__(self, words):
        self.words = words
        text = subprocess.run([os.path.join(BIN, words[0]), *words[1:], "--help"], capture_output=True, text=True, check=True, timeout=SECONDS).stdout
        self.options = {option for names in re.findall(r"^  (-\S+)", text, re.MULTILINE) for option in re.sub(r"\{.*?\}", "", names).split(",")}
        listed = text.partition("\nSubcommands:\n")[2].partition("\n\n")[0]
        self.commands = [Command([*words, name]) for name in re.findall(r"^  ([a-z-]+)", listed, re.MULTILINE)]

    def all(self):
        return [self, *(below for command in self.commands for below in command.all())]


def setUpModule():
    global WORK, SHARED, COMMANDS
    WORK = tempfile.mkdtemp(prefix="completion-")
    unittest.addModuleCleanup(shutil.rmtree, WORK)
    SHARED = WORK + "/share"
    for program in PROGRAMS:
        subprocess.check_call([SHARE, os.path.join(BIN, program), SHARED])
    COMMANDS = [command for program in PROGRAMS for command in Command([program]).all()]
    # The completions ask for the names of VMs by ya-runtime-dbg, which here has some without any VM.
    os.mkdir(WORK + "/bin")
    with open(WORK + "/bin/ya-runtime-dbg", "w", encoding="ascii") as file:
        file.write(f'#!/bin/sh\n[ "$*" = "ps --quiet" ] || exit 2\nprintf "%s\\n" {" ".join(VMS)}\n')
    os.chmod(WORK + "/bin/ya-runtime-dbg", 0o755)
    os.makedirs(WORK + "/cwd/folder")
    for name in ("image.gvmi", "my image.tar"):
        with open(f"{WORK}/cwd/{name}", "w", encoding="ascii"):
            pass


def environment():
    return {"PATH": f"{WORK}/bin:{os.environ['PATH']}", "HOME": WORK, "TERM": "dumb", "LC_ALL": "C.UTF-8"}


class Terminal:
    """A shell at a terminal. A key writes the line that is edited as <<LINE>>."""

    def __init__(self, argv, setup):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(WORK + "/cwd")
            os.execvpe(argv[0], argv, environment())
        self.send(setup + " echo '<'ready'>'\n")
        self.read(r"<(ready)>")

    def send(self, keys):
        os.write(self.fd, keys.encode())

    def read(self, pattern):
        seen = ""
        deadline = time.monotonic() + SECONDS
        while not (found := re.search(pattern, seen, re.DOTALL)):
            if not select.select([self.fd], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise AssertionError(f"the shell does not answer: {seen}")
            seen += os.read(self.fd, 65536).decode()
        return found[1]

    def close(self):
        os.close(self.fd)  # the shell gets SIGHUP
        os.waitpid(self.pid, 0)


class Shell:
    """Tests for each of the shells, whose class has complete(LINE): the words that the line's last word may become."""

    def complete(self, line):
        raise NotImplementedError

    def expect(self, line, *words):
        self.assertEqual(self.complete(line), set(words), line)

    def test_all_options_and_commands(self):
        by_words = {tuple(command.words): command for command in COMMANDS}
        for command in COMMANDS:
            line = " ".join(command.words)
            options = set(command.options)
            if command.words[0] == "ya-runtime-vm":  # whose options may follow its commands
                options |= by_words["ya-runtime-vm",].options
            long_names = {option for option in options if option.startswith("--")}
            with self.subTest(line):
                self.assertTrue(long_names)
                self.assertEqual(self.complete(line + " --"), long_names)
                if command.commands:
                    self.assertEqual(self.complete(line + " "), {sub.words[-1] for sub in command.commands})

    def test_short_options(self):
        for option in ("-o", "-f", "-d", "-h"):
            self.assertIn(option, self.complete("gvmkit-build -"))

    def test_values(self):
        self.expect("gvmkit-build --compression-method ", "gzip", "lzo", "lz4", "xz", "zstd")
        self.expect("gvmkit-build --compression-method lz", "lzo", "lz4")
        self.expect("ya-runtime-dbg --exec-mode ", "shell", "exec")
        self.expect("ya-runtime-dbg ps --format ", "table", "json")
        self.expect("ya-runtime-vm --accel tcg cache ", "ls", "prune", "verify")
        self.expect("gvmi --completion ", "bash", "zsh", "fish")
        self.expect("gvmkit-build --user ")
        self.expect("gvmkit-build --limit-gib ")

    def test_value_behind_equals_sign(self):
        self.expect("gvmkit-build --compression-method=lz", "--compression-method=lzo", "--compression-method=lz4")
        self.expect("gvmi extract --output=fol", "--output=folder/")

    def test_files(self):
        self.expect("gvmi inspect im", "image.gvmi")
        self.expect("gvmi hash image.gvmi im", "image.gvmi")
        self.expect("gvmkit-build m", "my\\ image.tar")
        self.expect("gvmkit-build -o im", "image.gvmi")
        self.expect("gvmkit-build --dockerfile ", "folder/")
        self.expect("ya-runtime-dbg --outbound im", "image.gvmi")
        self.expect("ya-runtime-dbg --outbound al", "all")
        self.expect("gvmi cat image.gvmi im")  # a path in the image
        self.expect("gvmi pull im")

    def test_vms(self):
        self.expect("ya-runtime-dbg logs ", *VMS)
        self.expect("ya-runtime-dbg stop alpine p", "python-2")
        self.expect("ya-runtime-dbg exec --user root a", "alpine")

    def test_which_command(self):
        """A value is no sub-command, nor is what a VM's program gets."""
        self.expect("gvmi manifest v", "verify")
        self.expect("gvmi manifest verify --uns", "--unsigned")
        self.expect("gvmi verify --uns")
        self.expect("ya-runtime-dbg --name exec --exec-m", "--exec-mode")
        self.expect("ya-runtime-dbg exec alpine --us")
        self.expect("ya-runtime-dbg exec alpine lo")
        self.expect("ya-runtime-vm run -- --acc")
        self.expect("gvmkit-registry user delete --da", "--data")


@unittest.skipUnless(shutil.which("bash"), "no bash")
class Bash(Shell, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sources = "".join(f"source {SHARED}/bash-completion/completions/{program}; " for program in PROGRAMS)
        show = """bind -x '"\\C-xq": printf "<<%s>>" "$READLINE_LINE"'; bind '"\\C-xi": insert-completions'; bind '"\\C-xk": kill-whole-line'; """
        cls.terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], f"PS1=; stty -echo; {sources}{show}")
        cls.addClassCleanup(cls.terminal.close)

    def complete(self, line):
        self.terminal.send(line + "\x18i\x18q\x18k")
        after = self.terminal.read(r"<<(.*)>>")
        kept = line[:line.rfind(" ") + 1]
        self.assertTrue(after.startswith(kept), after)
        words = re.findall(r"(?:\\.|[^ ])+", after[len(kept):])
        typed = line[len(kept):]
        prefix = typed[:typed.rfind("=") + 1]  # bash inserts what follows it alone
        if words and not words[0].startswith(prefix):
            words = [prefix + word for word in words]
        elif prefix:
            words = [words[0], *(prefix + word for word in words[1:])]
        # Without a completion the line stays as it is. A folder's slash comes with the next key.
        is_folder = {word: os.path.isdir(f"{WORK}/cwd/{word[len(prefix):]}") for word in words}
        return set() if after == line else {word.rstrip("/") + "/" if is_folder[word] else word for word in words}


@unittest.skipUnless(shutil.which("zsh"), "no zsh")
class Zsh(Shell, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # As packages have them: found by the function's name.
        setup = (f"PS1=; stty -echo; fpath=({SHARED}/zsh/vendor-completions $fpath); autoload -Uz compinit; compinit -u -D; setopt no_list_beep; "
                 "zle -C all-matches complete-word _generic; "
                 "zstyle ':completion:all-matches::::' completer _all_matches _complete; zstyle ':completion:all-matches:*' insert true; "
                 "show() { zle -I; print -rn -- \"<<$BUFFER>>\"; BUFFER=; }; zle -N show; bindkey '^Xi' all-matches; bindkey '^Xq' show;")
        cls.terminal = Terminal(["zsh", "-f", "-i"], setup)
        cls.addClassCleanup(cls.terminal.close)

    def complete(self, line):
        self.terminal.send(line + "\x18i\x18q")
        after = self.terminal.read(r"<<(.*)>>")
        kept = line[:line.rfind(" ") + 1]
        self.assertTrue(after.startswith(kept), after)
        # Behind a long name that takes a value zsh puts a =, which the next key removes.
        return {word.removesuffix("=") for word in re.findall(r"(?:\\.|[^ ])+", after[len(kept):])} - {line[len(kept):]}


@unittest.skipUnless(shutil.which("fish"), "no fish")
class Fish(Shell, unittest.TestCase):
    def complete(self, line):
        sources = "".join(f"source {SHARED}/fish/vendor_completions.d/{program}.fish; " for program in PROGRAMS)
        said = subprocess.run(["fish", "--no-config", "-c", sources + "complete -C $argv[1]", "--", line], cwd=WORK + "/cwd", env=environment(),
                              capture_output=True, text=True, timeout=SECONDS, check=True)
        self.assertEqual(said.stderr, "")
        return {word.partition("\t")[0].replace(" ", "\\ ") for word in said.stdout.splitlines()}


class Scripts(unittest.TestCase):
    def test_are_the_same_again(self):
        for program in PROGRAMS:
            for arguments in (["--man"], *(["--completion", shell] for shell in ("bash", "zsh", "fish"))):
                said = [subprocess.check_output([os.path.join(BIN, program), *arguments]) for _ in range(2)]
                self.assertEqual(said[0], said[1])

    def test_sourced_by_zsh(self):
        if not shutil.which("zsh"):
            self.skipTest("no zsh")
        said = subprocess.run(["zsh", "-f", "-c", f"autoload -Uz compinit; compinit -u -D; source {SHARED}/zsh/vendor-completions/_gvmi; print $_comps[gvmi]"],
                              env=environment(), capture_output=True, text=True, timeout=SECONDS, check=True)
        self.assertEqual((said.stdout, said.stderr), ("_gvmi\n", ""))

    def test_wrong_shell(self):
        ended = subprocess.run([os.path.join(BIN, "gvmi"), "--completion", "tcsh"], capture_output=True, text=True, timeout=SECONDS, check=False)
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertIn("bash, zsh or fish, not tcsh", ended.stderr)

    def test_full_disk(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            ended = subprocess.run([os.path.join(BIN, "gvmi"), "--man"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=SECONDS, check=False)
        self.assertEqual(ended.returncode, 1)
        self.assertIn("error: ", ended.stderr)


@unittest.skipUnless(shutil.which("man") and shutil.which("groff"), "no man or no groff")
class Pages(unittest.TestCase):
    def page(self, program):
        path = f"{SHARED}/man/man1/{program}.1"
        said = subprocess.run(["man", "--warnings", "-l", path], env={**environment(), "MANWIDTH": "400", "MANROFFOPT": "-c", "GROFF_NO_SGR": "1"},
                              capture_output=True, text=True, timeout=SECONDS, check=True)
        self.assertEqual(said.stderr, "", program)
        checked = subprocess.run(["groff", "-ww", "-z", "-man", "-Tutf8", path], capture_output=True, text=True, timeout=SECONDS, check=True)
        self.assertEqual((checked.stdout, checked.stderr), ("", ""), program)
        return re.sub(".\b", "", said.stdout)

    def test_sections(self):
        for program in PROGRAMS:
            sections = re.findall(r"^([A-Z][A-Z ]+)$", self.page(program), re.MULTILINE)
            commands = [] if program == "gvmkit-build" else ["COMMANDS"]
            variables = ["ENVIRONMENT"] if program in ("ya-runtime-vm", "gvmkit-registry") else []
            self.assertEqual(sections, ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", *commands, *variables, "EXIT STATUS", "EXAMPLES"], program)

    def test_all_options_and_commands(self):
        for program in PROGRAMS:
            page = self.page(program)
            of_program, _, rest = page.partition("\nCOMMANDS\n")
            parts = {program: of_program}
            for part in re.split(r"^   (?=\S)", rest, flags=re.MULTILINE)[1:]:
                parts[part.partition("\n")[0]] = part
            expected = [command for command in COMMANDS if command.words[0] == program]
            self.assertEqual(set(parts), {" ".join(command.words) for command in expected})
            for command in expected:
                heads = re.findall(r"^ {7}(-.*)", parts[" ".join(command.words)], re.MULTILINE)
                found = {option for head in heads for option in re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", head)}
                wanted = command.options - ({"-h", "--help"} if len(command.words) > 1 else set())  # said once, for the program
                self.assertEqual(wanted - found, set(), command.words)

    def test_found_by_name(self):
        said = subprocess.run(["lexgrog", *(f"{SHARED}/man/man1/{program}.1" for program in PROGRAMS)], capture_output=True, text=True, timeout=SECONDS, check=True)
        for program in PROGRAMS:
            self.assertRegex(said.stdout, rf'"{program} - \w.*[^.]"')


if __name__ == "__main__":
    unittest.main(verbosity=2)
