"""The pipe: frames, requests as they come, ends, and the log (docs/spec/exe-unit.md, "start: the pipe")."""

import os

import messages
from bench import case, equal, expect, holds, refused
from messages import BAD_REQUEST


def log_of(vm):
    text = vm.stderr()
    for folder, _, files in os.walk(os.path.join(vm.workdir, "logs")):
        for name in files:
            with open(os.path.join(folder, name), errors="replace") as file:
                text += file.read()
    return text


def long_varint(value, size):
    """The same number in `size` bytes, with zeros in front, as any varint may have."""
    return bytes((value >> (7 * i)) & 0x7f | (0x80 if i < size - 1 else 0) for i in range(size))


def touch(number, name):
    return messages.encode(messages.REQUEST, {"id": number, "run": {"bin": "/bin/touch", "args": ["touch", name]}})


@case("P1", "a frame's length in any of 1 to 10 bytes")
def lengths(t):
    for size in range(1, 11):
        vm = t.vm
        vm.last_id += 1
        message = messages.encode(messages.REQUEST, {"id": vm.last_id, "kill": {"pid": 1 << 40}})
        vm.send_bytes(long_varint(len(message), size) + message)
        number = vm.last_id
        refused(lambda vm=vm, number=number: vm.answer(number, "kill"))


@case("P2", "a frame that comes byte by byte, and many in one go")
def pieces(t):
    vm = t.vm
    vm.last_id += 1
    message = messages.encode(messages.REQUEST, {"id": vm.last_id, "kill": {"pid": 1 << 40}})
    for byte in messages.frame(message):
        vm.send_bytes(bytes([byte]))
        vm.serve(0.002)
    refused(lambda: vm.answer(vm.last_id, "kill"))
    numbers = [vm.send(run={"bin": "/bin/true", "args": ["true"]}) for _ in range(50)]
    processes = [vm.processes[vm.answer(number, "run")["pid"]] for number in numbers]
    equal({vm.finish(process).code for process in processes}, {0}, "the exit codes")
    equal(len({process.pid for process in processes}), 50, "the number of pids")


@case("P3", "requests may come before hello is answered; the answers wait for the VM")
def before_hello(t):
    vm = t.start(t.deploy(), hello=False)
    hello = vm.send(hello={"version": "0.2.0"})
    run = vm.send(run={"bin": "/bin/true", "args": ["true"]})
    vm.answer(hello, "hello")
    equal(vm.finish(vm.processes[vm.answer(run, "run")["pid"]]).code, 0, "the exit code")


@case("P4", "an unknown or empty command is a BAD_REQUEST, and the session goes on")
def unknown(t):
    for command in (b"", messages.varint(1001 << 3 | 2) + b"\x01x"):
        vm = t.vm
        vm.last_id += 1
        vm.send_bytes(messages.frame(messages.encode(messages.REQUEST, {"id": vm.last_id}) + command))
        number = vm.last_id
        refused(lambda vm=vm, number=number: vm.answer(number, "nothing"), BAD_REQUEST)
    equal(t.vm.says("echo alive"), "alive\n", "the VM")


@case("P5", "a field that the contract does not have is passed over")
def more_fields(t):
    vm = t.vm
    vm.last_id += 1
    vm.open_runs[vm.last_id] = True
    run = messages.encode(messages.REQUEST[10][1], {"bin": "/bin/true", "args": ["true"]}) + messages.varint(99 << 3) + b"\x01"
    vm.send_bytes(messages.frame(messages.encode(messages.REQUEST, {"id": vm.last_id}) + messages.varint(10 << 3 | 2) + messages.varint(len(run)) + run))
    vm.finish(vm.processes[vm.answer(vm.last_id, "run")["pid"]])


BROKEN = {"no length": b"\xff" * 20, "a length of 4 GiB": b"\xff\xff\xff\xff\x0f and then some", "no message": b"\x03\xff\xff\xff"}


@case("P6", "a broken frame ends the session with a line in the log, the VM stopped")
def broken(t):
    deployment = t.deploy()
    for what, data in BROKEN.items():
        vm = t.start(deployment)
        expect(vm.vm_alive(), "the VM is no process below the runtime")
        before = len(log_of(vm))
        vm.send_bytes(data)
        vm.exit_code()
        expect(not vm.vm_alive(), f"{what}: the VM is still there")
        expect("frame" in log_of(vm)[before:], f"{what}: the log says nothing of it")


@case("P7", "end of file in the middle of a frame ends the session")
def cut_short(t):
    vm = t.up()
    vm.send_bytes(b"\x20\x08")
    vm.serve(0.1)
    vm.close_input()
    vm.exit_code()
    expect(not vm.vm_alive(), "the VM is still there")


@case("P8", "while the pipe is full requests are served, and nothing of the output is lost")
def full_pipe(t):
    vm = t.vm
    flood = vm.begin(["/bin/sh", "-c", "head -c 8000000 /dev/zero; echo end"])
    vm.until(lambda: len(flood.out) > 0, "the flood")
    vm.reading = False
    touched = vm.send(run={"bin": "/bin/touch", "args": ["touch", "/tmp/served"]})
    vm.serve(0.5)
    vm.reading = True
    vm.finish(vm.processes[vm.answer(touched, "run")["pid"]])
    vm.finish(flood)
    equal(len(flood.out), 8000004, "the bytes of the flood")
    equal(vm.sh("rm /tmp/served").code, 0, "the exit code of rm")


@case("P9", "events with output have 32 KiB at most")
def small_events(t):
    process = t.vm.run(["/bin/sh", "-c", "head -c 3000000 /dev/zero"])
    equal(len(process.out), 3000000, "the bytes")  # the size of each is looked at in every session
    t.vm.check()


@case("P10", "stdout is closed last of all: the VM has gone by then")
def closed_last(t):
    vm = t.up()
    vm.send(shutdown={})
    while not vm.closed:
        vm.pump()
    equal(vm.family()[1:], [], "processes after the end of stdout")
    vm.check()


@case("P11", "a log file in W/logs/, and no harm where it cannot be written")
def logs(t):
    vm = t.up()
    vm.shutdown()
    expect(os.path.isdir(os.path.join(vm.workdir, "logs")) and os.listdir(os.path.join(vm.workdir, "logs")), "no file in W/logs/")
    deployment = t.deploy()
    with open(os.path.join(deployment.workdir, "logs"), "w", encoding="ascii") as file:
        file.write("in the way")
    vm = t.start(deployment)
    equal(vm.says("echo alive"), "alive\n", "a VM without its log")
    vm.shutdown()


@case("P12", "a VM that cannot start is an error to hello, with a text, and a shutdown is answered then")
def error_to_hello(t):
    deployment = t.deploy()
    os.rename(t.image("plain"), t.image("plain") + ".away")
    try:
        vm = t.start(deployment, hello=False)
        message = refused(vm.hello)
    finally:
        os.rename(t.image("plain") + ".away", t.image("plain"))
    holds(message, "plain.gvmi", "the error")
    vm.shutdown()


@case("P13", "a start in a workdir where nothing was deployed is an error to hello")
def nothing_deployed(t):
    folder = t.folder()
    deployment = type("Deployment", (), {"workdir": folder, "arguments": [*t.extra, "--workdir", folder, "--task-package", t.image("plain")]})
    vm = t.start(deployment, hello=False)
    refused(vm.hello)
    vm.shutdown()
