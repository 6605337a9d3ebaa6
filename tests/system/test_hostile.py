#!/usr/bin/env python3
"""test_hostile.py BIN IMAGES WORK [--silent] — VMs whose agent has been taken over: it speaks garbage, floods, or says nothing. Each is ended with
a message that says what it did, the runtime stays small all the while, and nothing is left. --silent: instead, those
that say nothing for ever, which takes as long as a boot may, a minute each."""

import os
import shutil
import struct
import sys

import initramfs
from sanitized import memory_limit

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "exeunit"))
from bench import Bench, equal, expect, holds, refused  # noqa: E402  pylint: disable=wrong-import-position
from messages import encode  # noqa: E402  pylint: disable=wrong-import-position
from supervisor import Failure  # noqa: E402  pylint: disable=wrong-import-position

MIB = 1 << 20
MEMORY_LIMIT = memory_limit(48 * MIB)  # of the runtime at its highest, libraries that others use too among it

# src/agent/agent.proto
MESSAGE = {
    1: ("ready", {1: ("version", "uint32"), 2: ("timer", "string")}),
    2: ("reply", {1: ("id", "uint64"), 2: ("error", {1: ("code", "enum"), 2: ("message", "bytes")})}),
    3: ("output", {1: ("process", "uint64"), 2: ("stream", "enum"), 3: ("data", "bytes")}),
    4: ("exited", {1: ("process", "uint64"), 2: ("code", "int32")}),
    5: ("log", {1: ("text", "bytes")}),
}


def frame(data):
    return struct.pack("<I", len(data)) + data


def message(**kind):
    return frame(encode(MESSAGE, kind))


READY = message(ready={"version": 1, "timer": "lapic"})
SET_UP = message(reply={"id": 1})
RUNS = message(reply={"id": 2})  # the answer to the first Exec, whose process is 1
SEND = "cat /data >&3; sleep 1000\n"
REQUEST = "dd bs=4k count=1 <&3 > /dev/null 2>&1; "  # waits for one; ours come in one piece
ANSWER_SETUP = f"cat /ready >&3; {REQUEST} cat /set-up >&3\n"
FILES = {"ready": READY, "set-up": SET_UP, "runs": RUNS}

# What the guest does instead of starting, what it says (/data), and what hello is answered with.
STARTS = {
    "text": (SEND, b"this is no message at all", "longer than 128 KiB"),
    "a length of 4 GiB": (SEND, b"\xff" * 1000, "longer than 128 KiB"),
    "a message that is none": (SEND, frame(b"\xff" * 100), "cannot be decoded"),
    "something before it is ready": (SEND, message(log={"text": b"hello"}), "before it was ready"),
    "another version": (SEND, message(ready={"version": 99}), "version 99"),
    "ready twice": (SEND, READY + READY, "twice that it is ready"),
    "an answer to nothing": (SEND, READY + message(reply={"id": 77}), "a request that was not made"),
    "an unknown kind": (SEND, READY + frame(b""), "unknown kind"),
    "output of no process": (SEND, READY + message(output={"process": 1, "data": b"x"}), "a process that does not run"),
    "the end of no process": (SEND, READY + message(exited={"process": 1, "code": 0}), "a process that does not run"),
    "its own end": ("cat /data >&3; exit\n", READY[:3], "kernel panicked"),
    "a restart": ("cat /data >&3; sleep 1; reboot -f\n", READY, "the VM"),
    "an error for a terminal": (SEND, READY + message(reply={"id": 1, "error": {"code": 0, "message": b"\x1b[2J\xff" * 20000}}), "cannot be set up"),
}

# Once it is up: what it does when it is asked for a process, and what the Run, or the process's stderr, says of it.
RUNS_WRONG = {
    "output that was not allowed": (message(output={"process": 1, "data": b"x" * 32768}) * 80, "more output than it was allowed to"),
    "a piece that is too long": (message(output={"process": 1, "data": b"x" * 40000}), "a size that is not allowed"),
    "an unknown stream": (message(output={"process": 1, "stream": 7, "data": b"x"}), "unknown stream"),
    "two ends": (message(exited={"process": 1}) * 2, "a process that does not run"),
}

# What never ends by itself: floods, and what they send again and again.
FLOODS = {
    "log lines": message(log={"text": b"\x1b[31mflood " * 100}) * 200,
    "output of one byte": message(output={"process": 1, "data": b"x"}) * 4000,
}


class Hostile(Bench):
    """A runtime whose initramfs is ours."""

    def install(self, script, data):
        folder = os.path.join(self.folder(), "bin")
        os.makedirs(os.path.join(folder, "runtime"))
        # Copies: a link would change the times of the real ones, by which templates are known.
        shutil.copy(self.real, os.path.join(folder, "ya-runtime-vm"))
        files = os.path.join(os.path.dirname(self.real), "runtime")
        for name in ("vmlinux", "self-test.gvmi"):
            shutil.copy(os.path.join(files, name), os.path.join(folder, "runtime", name))
        os.symlink(os.path.join(files, "qemu"), os.path.join(folder, "runtime/qemu"))
        with open(os.path.join(folder, "runtime/initramfs"), "wb") as file:
            file.write(initramfs.make(script, {**FILES, "data": data}))
        self.runtime = os.path.join(folder, "ya-runtime-vm")

    def boot(self, script, data):
        self.install(script, data)
        return self.start(self.deploy(options=["--mem-gib", "0.0625", "--template", "off"]), hello=False)


def highest_memory(vm):
    with open(f"/proc/{vm.program.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def ends(vm):
    """The VM has been ended: the runtime is small, and goes as it should."""
    memory = highest_memory(vm)
    expect(memory < MEMORY_LIMIT, f"the runtime took {memory // MIB} MiB")
    expect(not vm.vm_alive(), "the VM is still there")
    vm.shutdown()
    return memory


def start_case(t, script, data, wanted):
    vm = t.boot(script, data)
    # Where it is not noticed, the boot's own limit of 60 s ends it, with another message.
    text = refused(lambda: vm.request(hello={"version": "0"}, deadline=120), parts=[wanted])
    expect(len(text) < 10000 and text.isprintable(), f"the error is {text[:100]!r}")
    return ends(vm)


def run_case(t, data, wanted):
    vm = t.boot(ANSWER_SETUP + REQUEST + "cat /runs /data >&3; sleep 1000\n", data)
    vm.hello()
    number = vm.send(run={"bin": "/bin/true", "args": ["true"]})
    vm.until(lambda: number in vm.answers, "the answer to the Run")
    vm.reading = False  # so that nothing more is allowed
    vm.until(lambda: not vm.vm_alive(), "the VM's end")
    vm.reading = True
    text = refused(lambda: vm.begin(["true"]), parts=["the VM died", wanted])
    expect(text.isprintable(), f"the error is {text!r}")
    for process in vm.processes.values():
        vm.finish(process)
    return ends(vm)


def flood_case(t, data):
    """A flood costs the runtime neither memory nor its log, nor does it keep it from its end."""
    vm = t.boot(ANSWER_SETUP + REQUEST + "cat /runs >&3; while :; do cat /data; done >&3\n", data)
    vm.hello()
    vm.send(run={"bin": "/bin/true", "args": ["true"]})
    vm.serve(2)
    memory = highest_memory(vm)
    expect(memory < MEMORY_LIMIT, f"the runtime took {memory // MIB} MiB")
    expect(vm.vm_alive(), f"the VM has ended: {vm.stderr()[-300:]}")
    logged = len(vm.stderr())
    expect(logged < 300000, f"{logged} bytes were logged")
    vm.request(shutdown={}, deadline=30)
    equal(vm.exit_code(), 0, "the exit code")
    expect(not vm.vm_alive(), "the VM is still there")
    return memory


def self_test_case(t):
    """A guest that says nothing, as a provider meets it first."""
    t.install("sleep 1000\n", b"")
    output = t.call([*t.extra, "test", "--test-timeout", "4", "--test-mem-gib", "0.0625"], deadline=60)
    equal((output.code, output.out), (1, ""), "exit code and output of test")
    holds(output.err, "4 s", "its error")
    return 0


def main():
    silent = sys.argv[4:] == ["--silent"]
    os.environ["YA_RUNTIME_VM_TEMPLATE"] = "off"
    t = Hostile(os.path.join(sys.argv[1], "ya-runtime-vm"), sys.argv[2], ["--accel", "tcg"], sys.argv[3])
    t.real = t.runtime
    cases = [(f"instead of starting: {name}", start_case, case) for name, case in STARTS.items()]
    cases += [(f"when asked for a process: {name}", run_case, case) for name, case in RUNS_WRONG.items()]
    cases += [(f"a flood of {name}", flood_case, (data,)) for name, data in FLOODS.items()]
    cases += [("nothing, in the self-test", self_test_case, ())]
    if silent:
        cases = [("nothing at all", start_case, ("sleep 1000\n", b"", "not ready within 60 s")),
                 ("ready, and then nothing", start_case, (SEND, READY, "did not answer within 60 s")),
                 ("a frame that never ends", start_case, ("cat /ready /data >&3; while :; do printf x >&3; sleep 0.1; done\n",
                                                          struct.pack("<I", 128 << 10), "60 s"))]
    failures = 0
    for name, function, arguments in cases:
        memory = 0
        reason = ""
        try:
            memory = function(t, *arguments)
        except Failure as error:
            reason = str(error)
        reason = reason or "; ".join(t.end_case())
        failures += bool(reason)
        print(f"{'FAILED' if reason else 'passed'}  {name}" + (f": {reason}" if reason else f" ({memory // MIB} MiB)"), flush=True)
    t.end()
    shutil.rmtree(t.work, ignore_errors=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
