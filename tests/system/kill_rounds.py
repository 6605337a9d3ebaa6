#!/usr/bin/env python3
"""kill_rounds.py BIN IMAGES WORK [ROUNDS [SEED]] — starts a VM, lets it work, and kills the runtime, QEMU or the supervisor at a random moment;
again and again. Nothing may be left of any round: no process, socket, temporary file, mount or cgroup. A seed gives the same moments and
victims again; it is printed."""

import os
import random
import re
import shutil
import signal
import socket
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "exeunit"))
from bench import Bench  # noqa: E402  pylint: disable=wrong-import-position
from supervisor import Failure, Refused  # noqa: E402  pylint: disable=wrong-import-position

GONE_WITHIN = 60  # s: what has no supervisor any more ends its VM in order, and may take its time
TEMPLATE = re.compile(r"gvmkit/templates/[0-9a-f]{64}\.template")  # whole: another one is made where a file of the runtime has changed
OVERRIDE = '{"/host":{"host":{}},"/disk":{"storage":{"size":"32 MiB"}},"/ram":{"ram":{"size":"8 MiB"}}}'


def stat_of(pid):
    """State, parent and process group; None where it has ended."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        return fields[0], int(fields[1]), int(fields[2])
    except OSError:
        return None


def processes():
    stats = {int(name): stat_of(name) for name in os.listdir("/proc") if name.isdigit()}
    return {pid: stat for pid, stat in stats.items() if stat}


def uses(pid, folder):
    """Whether a process has to do with a folder: by where it is, its program, or what it has open."""
    try:
        links = [f"/proc/{pid}/cwd", f"/proc/{pid}/exe", *(f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd"))]
        return any(os.readlink(link).startswith(folder) for link in links)
    except OSError:
        return False


def names_below(folder):
    return {os.path.relpath(os.path.join(parent, name), folder) for parent, folders, files in os.walk(folder) for name in folders + files}


def lines_with(path, text):
    with open(path, errors="replace") as file:
        return {line for line in file if text in line}


def cgroups():
    return {path for path, _, _ in os.walk("/sys/fs/cgroup") if "ya-runtime-vm-" in path}


def work(vm):
    """What a requestor does, until the end."""
    try:
        vm.hello()
        vm.request(network={"networks": [{"addr": "10.0.0.0", "mask": "24", "if_addr": "10.0.0.2"}]})
        vm.begin(["/bin/sh", "-c", "while :; do head -c 1000000 /dev/zero; done"])
        vm.begin(["/bin/sh", "-c", "while :; do head -c 3000000 /dev/urandom | tee /host/file /disk/file /root/file > /ram/file; done"])
        vm.begin(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
        while True:
            vm.run(["true"])
    except (Failure, Refused):
        pass
    vm.end()


class Rounds:
    def __init__(self, bench, dice):
        self.t, self.dice, self.victims = bench, dice, {"runtime": 0, "QEMU": 0, "supervisor": 0}
        self.end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.end.bind(("127.0.0.1", 0))
        self.cards = ["--vpn-endpoint", f"udp://127.0.0.1:{self.end.getsockname()[1]}"]
        self.templates = os.path.join(bench.cache, "gvmkit/templates")
        self.qemu = os.path.join(os.path.dirname(os.path.realpath(bench.runtime)), "runtime/qemu")
        self.deployment, self.names = None, set()

    def deploy(self):
        self.deployment = self.t.deploy(more=["--volume-override", OVERRIDE])
        self.names = names_below(self.deployment.workdir)

    def learn(self):
        """A whole life of a VM: how long it takes, booted or restored, and what it leaves in the cache."""
        self.deploy()
        took = []
        for _ in range(2):
            begin = time.monotonic()
            vm = self.t.start(self.deployment, self.cards)
            vm.run(["true"])
            took.append(time.monotonic() - begin)
            vm.until(lambda: os.path.isdir(self.templates) and any(name.endswith(".template") for name in os.listdir(self.templates)), "the template")
            vm.shutdown()
        self.t.end_case()
        self.cold, self.warm = took
        self.cached = names_below(self.t.cache)

    def supervisor(self):
        """A process that drives a runtime, as a supervisor does."""
        pid = os.fork()
        if pid == 0:
            try:
                work(self.t.start(self.deployment, self.cards, hello=False))
            finally:
                os._exit(0)
        return pid

    def children(self, parent):
        return [pid for pid, (state, its_parent, _) in processes().items() if its_parent == parent and state != "Z"]

    def play(self):
        """One round; returns what it was."""
        if self.dice.random() < 0.3:
            self.deploy()  # else the next life in the same workdir, which makes the root's disk anew
        boots = self.dice.random() < 0.25
        if boots:
            shutil.rmtree(self.templates)
        moment = self.dice.uniform(0, 2.5 * self.cold if boots else 1.5 * self.warm)
        victim = self.dice.choice(sorted(self.victims))
        supervisor = self.supervisor()
        time.sleep(moment)
        runtimes = self.children(supervisor)
        machines = [pid for runtime in runtimes for pid in self.children(runtime)]
        groups = {stat[2] for stat in map(stat_of, runtimes) if stat} - {os.getpgid(0)}
        target = {"runtime": runtimes, "QEMU": machines, "supervisor": [supervisor]}[victim]
        for pid in target or [supervisor]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.victims[victim if target else "supervisor"] += 1
        time.sleep(self.dice.uniform(0, 0.2))  # somebody may still want to go on
        os.kill(supervisor, signal.SIGKILL)
        os.waitpid(supervisor, 0)
        return f"{victim} after {moment:.3f} s of {'a boot' if boots else 'a restored VM'}", groups

    def living(self, groups):
        def ours(pid, group):
            return pid != os.getpid() and (group in groups or uses(pid, self.t.work) or uses(pid, self.qemu))

        return {pid: state for pid, (state, _, group) in processes().items() if ours(pid, group)}

    def left(self, groups):
        found = [f"process {pid} ({state})" for pid, state in self.living(groups).items()]
        found += [f"socket {line.strip()}" for line in lines_with("/proc/net/unix", self.t.work)]
        found += [f"mount {line.strip()}" for line in lines_with("/proc/self/mounts", self.t.work)]
        found += [f"temporary file {name}" for name in os.listdir(os.environ["TMPDIR"])]
        found += [f"in the cache {name}" for name in names_below(self.t.cache) - self.cached if not TEMPLATE.fullmatch(name)]
        own = ("logs", "stderr.txt", self.deployment.volumes["/host"].removeprefix(self.deployment.workdir + "/"))
        found += [f"in the workdir {name}" for name in names_below(self.deployment.workdir) - self.names if not name.startswith(own)]
        return found

    def run(self, count):
        failures, before = 0, cgroups()
        for number in range(1, count + 1):
            what, groups = self.play()
            end = time.monotonic() + GONE_WITHIN
            while (left := self.left(groups)) and time.monotonic() < end:
                time.sleep(0.02)
            if left:
                failures += 1
                print(f"FAILED  round {number}: {what}: {'; '.join(left)}", flush=True)
                for pid in self.living(groups):
                    os.kill(pid, signal.SIGKILL)
        # Nobody removes the empty cgroup of a runtime that was killed but the next one.
        self.t.start(self.deployment, self.cards).shutdown()
        for path in cgroups() - before:
            failures += 1
            print(f"FAILED  the cgroup {path} is left", flush=True)
        print(f"{count} rounds, {failures} left something; killed: {self.victims}", flush=True)
        return failures


def main():
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 12
    seed = int(sys.argv[5]) if len(sys.argv) > 5 else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    bench = Bench(os.path.join(sys.argv[1], "ya-runtime-vm"), sys.argv[2], ["--accel", "tcg"], sys.argv[3])
    bench.cache = os.path.join(bench.work, "cache")
    os.environ["XDG_CACHE_HOME"], os.environ["TMPDIR"] = bench.cache, os.path.join(bench.work, "tmp")
    for folder in (bench.cache, os.environ["TMPDIR"]):
        os.mkdir(folder)
    try:
        rounds = Rounds(bench, random.Random(seed))
        rounds.learn()
        failures = rounds.run(count)
    finally:
        bench.end()
        shutil.rmtree(bench.work, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
