"""The nine rules that the supervisor relies on (docs/spec/exe-unit.md, Rules)."""

import hashlib
import os
import signal
import time

from bench import case, equal, expect, holds, refused


@case("R1", "args[0] is the program's name, bin is the path")
def argv0(t):
    equal(t.vm.run(["echo", "as echo"], bin="/bin/busybox").out, b"as echo\n", "busybox by the name of echo")
    equal(t.vm.run(["/else/where/sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline; exit"], bin="/bin/busybox").out[:15], b"/else/where/sh ", "a shell by another name")


@case("R2", "after a pid's final status nothing more, and no status of what nobody has run")
def nothing_after(t):
    vm = t.vm
    vm.says("(sleep 0.2; echo late; echo late >&2) & echo early")
    vm.serve(0.6)
    vm.says("echo next")
    vm.check()
    expect(set(vm.processes) <= {answer["run"]["pid"] for answer in vm.answers.values() if "run" in answer}, "a status of a pid that no Run got")


@case("R3.1", "no byte lost, none invented, each stream in order: 40 MB of random bytes on both")
def whole(t):
    process = t.vm.run(["/bin/sh", "-c", "for i in 1 2; do head -c 20000000 /dev/urandom > /tmp/$i; done; sha256sum < /tmp/1; sha256sum < /tmp/2 >&2;"
                        " cat /tmp/1 & cat /tmp/2 >&2; wait; rm /tmp/1 /tmp/2"])
    for name, data in (("stdout", process.out), ("stderr", process.err)):
        equal(data[:64].decode(errors="replace"), hashlib.sha256(data[68:]).hexdigest(), f"the hash of {len(data)} bytes on {name}")
    equal(process.code, 0, "the exit code")


@case("R3.2", "what is in the pipes at the exit arrives, of any size, before the final status")
def last_bytes(t):
    for size in (1, 4095, 4096, 32768, 65535, 65536, 65537, 131072, 262144, 300001, 1048576):
        process = t.vm.run(["/bin/sh", "-c", "head -c $0 /dev/zero; head -c $0 /dev/zero >&2", str(size)])
        equal((len(process.out), len(process.err), process.code), (size, size, 0), f"sizes and exit code for {size}")


@case("R3.3", "a background child that holds the pipe does not hold the command; what it writes is dropped")
def background(t):
    begin = time.monotonic()
    process = t.vm.sh("sleep 60 & echo done")
    expect(time.monotonic() - begin < 50, "the command waited for its child")
    equal((process.out, process.code), (b"done\n", 0), "output and exit code")
    equal(t.vm.sh("(head -c 1000000 /dev/zero; echo $? > /tmp/r33) & exit 3").code, 3, "the exit code")
    equal(t.vm.says("while [ ! -s /tmp/r33 ]; do sleep 0.05; done; cat /tmp/r33; rm /tmp/r33; kill $(pidof sleep)"), "0\n", "the end of the child that went on writing")


@case("R3.4", "killed for want of memory: 137, and one line on stderr that begins with ya-runtime-vm:")
def out_of_memory(t):
    vm = t.up()
    # At once far beyond what is there: close to the limit a kernel goes on for minutes with reading its programs' pages again.
    process = vm.run(["/bin/sh", "-c", "head -c 100m /dev/zero > /dev/shm/fill; printf begun >&2; exec dd if=/dev/zero of=/dev/null bs=190M count=1"])
    equal(process.code, 137, "the exit code")
    lines = process.err.decode().splitlines()
    expect(lines[0] == "begun" and len(lines) == 2 and lines[1].startswith("ya-runtime-vm: ") and "memory" in lines[1], f"stderr is {lines}")


@case("R3.5", "the VM died: 137 and such a line for what runs; later requests get an error that says so")
def vm_died(t):
    vm = t.up()
    process = vm.begin(["/bin/sh", "-c", "echo out; sleep 1000"])
    vm.until(lambda: process.out == b"out\n", "the process")
    for pid in vm.family()[1:]:
        os.kill(pid, signal.SIGKILL)
    vm.finish(process)
    equal((process.out, process.code), (b"out\n", 137), "output and exit code")
    expect(process.err.startswith(b"ya-runtime-vm: ") and process.err.count(b"\n") == 1, f"stderr is {process.err!r}")
    refused(lambda: vm.begin(["true"]), parts=["VM"])
    vm.shutdown()


@case("R4", "return_code: the exit code, 128+N for death by signal N")
def return_codes(t):
    for script, code in (("exit 0", 0), ("exit 1", 1), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -SEGV $$", 139), ("kill -KILL $$", 137),
                         ("kill -USR1 $$", 138)):
        equal(t.vm.sh(script).code, code, script)


@case("R5", "a Run that fails is an error that names path and reason, and no status follows")
def failed_runs(t):
    vm = t.vm
    before = set(vm.processes)
    for argv, more, parts in ((["/no/such/file"], {}, ["/no/such/file", "No such file"]), (["no-such-name"], {}, ["no-such-name"]),
                              (["/bin/not-executable"], {}, ["/bin/not-executable", "Permission denied"]),
                              (["/bin/not-a-program"], {}, ["/bin/not-a-program", "Exec format error"]),
                              (["/bin/no-interpreter"], {}, ["/bin/no-interpreter", "interpreter"]), (["/etc"], {}, ["/etc"]),
                              (["/bin/true"], {"work_dir": "/etc/passwd"}, ["/etc/passwd", "Not a directory"]),
                              (["/bin/true", "x" * 200000], {}, ["/bin/true", "too long"])):
        refused(lambda argv=argv, more=more: vm.begin(argv, **more), parts=parts)
    vm.serve(0.2)
    equal(set(vm.processes), before, "the processes with a status")


@case("R6", "a long Run blocks neither another Run nor a Kill nor a Network")
def nothing_blocks(t):
    vm = t.vm
    sleeper, flood = vm.begin(["sleep", "1000"]), vm.begin(["yes"])
    equal(vm.run(["echo", "1"]).out, b"1\n", "another Run")
    refused(lambda: vm.request(network={"networks": []}))
    for process in (sleeper, flood):
        vm.kill(process.pid)
        equal(vm.finish(process).code, 137, "the exit code of what was killed")


@case("R7", "kill reaches the whole group; signal 0 or none is SIGKILL")
def kill_group(t):
    vm = t.vm
    process = vm.begin(["/bin/sh", "-c", "trap '' TERM; sleep 1111 & sleep 1111 & echo ready; wait; wait"])
    vm.until(lambda: process.out == b"ready\n", "the process")
    vm.request(kill={"pid": process.pid, "signal": 0})
    equal(vm.finish(process).code, 137, "the exit code")
    equal(vm.says("for i in $(seq 300); do ps | grep -q '[s]leep 1111' || break; sleep 0.1; done; ps | grep -c '[s]leep 1111' || true"), "0\n",
          "children that are left")


@case("R8.1", "shutdown: SIGTERM, a grace, SIGKILL; then the VM's end, the answer, exit code 0; within 5 s")
def shutdown(t):
    vm = t.up()
    polite = vm.begin(["/bin/sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.02; done"])
    deaf = vm.begin(["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
    vm.until(lambda: polite.out == deaf.out == b"ready\n", "the processes")
    number = vm.send(shutdown={})
    vm.until(lambda: number in vm.answers, "the answer to shutdown", 5)
    expect(not vm.vm_alive(), "the VM is there when shutdown is answered")
    equal((polite.out, polite.code), (b"ready\nbye\n", 7), "the process that obeys SIGTERM")
    equal(deaf.code, 137, "the exit code of the one that does not")
    equal(vm.exit_code(5), 0, "the runtime's exit code")
    vm.check()


@case("R8.2", "shutdown: file systems are synced")
def synced(t):
    deployment = t.deploy(more=["--volume-override", '{"/kept":{"storage":{"size":"64 MiB"}},"/host":{"host":{}}}'])
    vm = t.start(deployment)
    vm.says("head -c 20000000 /dev/urandom > /kept/file; sha256sum < /kept/file > /kept/sum; cp /kept/sum /host/sum")
    vm.shutdown()
    with open(os.path.join(deployment.volumes["/host"], "sum"), encoding="ascii") as file:
        written = file.read()
    equal(t.start(deployment).says("sha256sum < /kept/file; cat /kept/sum"), written * 2, "the file in the next VM")


@case("R9.1", "end of file on stdin is a shutdown too")
def end_of_input(t):
    vm = t.up()
    process = vm.begin(["/bin/sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.02; done"])
    deaf = vm.begin(["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"])
    vm.until(lambda: process.out == deaf.out == b"ready\n", "the processes")
    vm.close_input()
    equal(vm.exit_code(5), 0, "the runtime's exit code")
    expect(not vm.vm_alive(), "the VM is still there")
    equal((process.out, process.code), (b"ready\nbye\n", 7), "the process")


@case("R9.2", "no VM outlives the runtime, however it dies")
def no_orphans(t):
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGABRT):
        vm = t.up()
        family = vm.family()
        expect(len(family) > 1, "the VM is no process below the runtime")
        os.kill(vm.program.pid, number)
        end = time.monotonic() + 30
        while any(os.path.exists(f"/proc/{pid}/exe") for pid in family[1:]) and time.monotonic() < end:
            vm.pump(0.02)
        expect(not any(os.path.exists(f"/proc/{pid}/exe") for pid in family[1:]), f"after signal {number} the VM is still there")
        vm.end()


@case("R9.3", "runtime, QEMU and helpers stay in the process group that they were started in")
def one_group(t):
    family = t.vm.family()
    expect(len(family) > 1, "the VM is no process below the runtime")
    equal({os.getpgid(pid) for pid in family}, {t.vm.program.pid}, "their process groups")
    equal({os.getsid(pid) for pid in family}, {os.getsid(0)}, "their sessions")
