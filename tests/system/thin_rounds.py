#!/usr/bin/env python3
"""thin_rounds.py BIN WORK [ROUNDS [SEED]] — VMs of a thin image whose servers fail at random, and whose runtime, QEMU, cache or link are hit at
a random moment. What the guest reads is right, or the VM ends and says why; nothing may be left of any round. A seed, which is printed, gives
the same rounds again."""

import collections
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from range_server import FAULTS, RangeServer

DEADLINE = 300  # s; only tells a hang from a slow machine
SIZE = 24 << 20
# Besides the servers' faults.
BLOWS = ("none", "kill the runtime", "kill QEMU", "remove the cache", "damage blocks", "link down", "fill the cache")


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def processes_that_use(folder):
    found = []
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and int(name) != os.getpid() and folder in open(f"/proc/{name}/cmdline", encoding="utf-8", errors="replace").read():
                found.append(int(name))
        except OSError:
            pass
    return found


class Rounds:
    def __init__(self, programs, work, seed):
        self.bin, self.work, self.dice = programs, work, random.Random(seed)
        self.seen = collections.Counter()
        tree = work + "/tree"
        os.makedirs(tree + "/bin")
        shutil.copy("/bin/busybox", tree + "/bin/busybox")
        for name in ("sh", "sha256sum", "cat"):
            os.symlink("busybox", f"{tree}/bin/{name}")
        content = self.dice.randbytes(SIZE)
        self.sum = hashlib.sha256(content).hexdigest()
        with open(tree + "/data", "wb") as file:
            file.write(content)
        self.full = work + "/full.gvmi"
        self.run("gvmkit-build", "--hide-progress", "--no-lint", "--output", self.full, "rootfs:" + tree)
        self.run("ya-runtime-vm", "--accel", "tcg", "--cache-dir", work + "/cache", "template", "warm")

    def run(self, program, *arguments):
        subprocess.run([f"{self.bin}/{program}", *arguments], check=True, stdout=subprocess.DEVNULL, timeout=DEADLINE)

    def strike(self, blow, vm, servers):
        self.seen[blow] += 1
        blocks = self.work + "/cache/blocks"
        if blow == "kill the runtime":
            vm.kill()
        elif blow == "kill QEMU":
            for child in children_of(vm.pid):
                os.kill(child, signal.SIGKILL)
        elif blow == "remove the cache":
            shutil.rmtree(blocks, ignore_errors=True)
        elif blow == "damage blocks":
            for parent, _, names in os.walk(blocks):
                for name in names:
                    if len(name) == 62 and self.dice.random() < 0.3:
                        try:
                            with open(os.path.join(parent, name), "r+b") as file:
                                file.seek(self.dice.randrange(1000))
                                file.write(b"damage")
                        except OSError:
                            pass
        elif blow == "link down":
            for server in servers:
                server.fault, server.cut_all = (lambda _: "down"), True
            time.sleep(self.dice.choice((1, 2, 4, 60)))
            for server in servers:
                server.fault, server.cut_all = (lambda _: None), False

    def round(self, number):
        fault = self.dice.choice((None,) + FAULTS)
        share = self.dice.choice((0.1, 0.5, 1.0))
        blow = self.dice.choice(BLOWS)
        moment = self.dice.uniform(0, 2.5)
        delay = self.dice.choice((0, 0.02))
        told = f"round {number}: {share:.0%} {fault}, {blow} after {moment:.1f} s"
        fates = random.Random(self.dice.random())
        failing = RangeServer(self.full, delay=delay, fault=lambda _: fault if fates.random() < share else None)
        good = RangeServer(self.full, delay=delay)
        servers = [failing, good]
        try:
            image = f"{self.work}/thin.gvmi"
            urls = [word for server in servers for word in ("--url", server.url)]
            self.run("gvmi", "thin", self.full, "-o", image, *urls)
            if self.dice.random() < 0.7:
                shutil.rmtree(self.work + "/cache/blocks", ignore_errors=True)
            gib = "0.005" if blow == "fill the cache" else "20"
            vm = subprocess.Popen([self.bin + "/ya-runtime-vm", "--accel", "tcg", "--cache-dir", self.work + "/cache", "--thin-allow", "127.0.0.1",
                                   "--thin-cache-gib", gib, "-t", image, "run", "--", "/bin/sha256sum", "/data"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.work, env=dict(os.environ, TMPDIR=self.work + "/tmp"))
            timer = threading.Timer(moment, self.strike, (blow, vm, servers))
            timer.start()
            out, errors = vm.communicate(timeout=DEADLINE)
            timer.cancel()
            timer.join()
        finally:
            for server in servers:
                server.close()
        self.seen[fault] += 1
        self.judge(told, blow, vm, out.decode(), errors.decode(errors="replace"))

    def judge(self, told, blow, vm, out, errors):
        if vm.returncode == 0:
            if out.split()[:1] != [self.sum]:
                raise SystemExit(f"{told}: WRONG BYTES: {out}")
            self.seen["right"] += 1
        elif blow in ("kill the runtime", "kill QEMU"):
            if out.strip() and out.split()[:1] != [self.sum]:
                raise SystemExit(f"{told}: WRONG BYTES: {out}")
            if blow == "kill QEMU" and not errors.strip():
                raise SystemExit(f"{told}: ended without a reason")
            self.seen["ended"] += 1
        elif "cannot be fetched" in errors:  # deploy has little patience
            self.seen["refused at deploy"] += 1
        else:
            raise SystemExit(f"{told}: exit code {vm.returncode}: {errors}")
        end = time.monotonic() + 30
        while processes_that_use(self.work + "/thin.gvmi") or processes_that_use(self.work + "/cache"):
            if time.monotonic() > end:
                raise SystemExit(f"{told}: processes are left: {processes_that_use(self.work)}")
            time.sleep(0.05)
        leases = self.work + "/cache/blocks/leases"
        self.run("ya-runtime-vm", "--cache-dir", self.work + "/cache", "cache", "ls")
        if os.path.isdir(leases) and os.listdir(leases):
            raise SystemExit(f"{told}: leases are left: {os.listdir(leases)}")
        left = [name for name in os.listdir(self.work + "/tmp") if blow != "kill the runtime"]
        if left:
            raise SystemExit(f"{told}: files are left: {left}")
        shutil.rmtree(self.work + "/tmp")
        os.mkdir(self.work + "/tmp")


def main():
    programs, work = (os.path.abspath(path) for path in sys.argv[1:3])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    seed = sys.argv[4] if len(sys.argv) > 4 else str(random.SystemRandom().randrange(1 << 32))
    print("seed", seed, flush=True)
    os.makedirs(work, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="thin-rounds.", dir=work) as folder:
        os.mkdir(folder + "/tmp")
        game = Rounds(programs, folder, seed)
        for number in range(rounds):
            game.round(number)
        print(rounds, "rounds:", ", ".join(f"{name}: {count}" for name, count in sorted(game.seen.items(), key=str)))


if __name__ == "__main__":
    main()
