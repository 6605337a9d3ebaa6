"""Each field of requests and responses, by its numbers (docs/spec/exe-unit.md, "start: the pipe"). That a field has the type that the contract says,
and no other field is there, is looked at in every message of every session (messages.py)."""

import re

from bench import case, equal, expect, holds, refused
from messages import BAD_REQUEST, NOT_FOUND


@case("F1", "request id 1, response id 2: any number up to 2^64-1 comes back, with event 1 false")
def ids(t):
    vm = t.vm
    before, vm.last_id = vm.last_id, (1 << 64) - 2
    number = vm.send(kill={"pid": 1 << 40})
    try:
        refused(lambda: vm.answer(number, "kill"))
    finally:
        vm.last_id = before
    expect(not vm.answers[number].get("event", False), "the answer is an event")


@case("F2.1", "hello 2 and 4: version is answered with ours")
def hello(t):
    version = t.vm.hello()  # a second one is a request as any other
    expect(re.fullmatch(r"\d+\.\d+\.\d+([-+].*)?", version), f"the version {version!r}")


@case("F10.1", "run.bin 1: a path, or a name that is looked up in PATH")
def run_bin(t):
    equal(t.vm.run(["echo", "1"], bin="/bin/echo").out, b"1\n", "by its path")
    equal(t.vm.run(["echo", "2"], bin="echo").out, b"2\n", "by its name")
    refused(lambda: t.vm.begin(["x"], bin=""))


@case("F10.2", "run.args 2: from argv[0] on, each as it is: empty, with blanks, quotes, lines, not ASCII, long")
def run_args(t):
    arguments = ["", " two  words ", "'\"$x`*\\", "a\nline", "żółw 🐢", "x" * 100000]
    process = t.vm.run(["sh", "-c", 'for i in "$@"; do printf "%s|" "$i"; done', "name", *arguments], bin="/bin/sh")
    equal(process.out.decode(), "".join(argument + "|" for argument in arguments), "what the program got")
    equal(t.vm.run(["/bin/sh", "-c", "echo $#", *map(str, range(5001))]).out, b"5000\n", "the number of arguments")


@case("F10.3", "run.work_dir 3: where it runs, made if missing; else the image's, or /")
def run_work_dir(t):
    equal(t.vm.run(["pwd"], work_dir="/tmp").out, b"/tmp\n", "a folder that is there")
    equal(t.vm.run(["pwd"], work_dir="/tmp/to/be/made").out, b"/tmp/to/be/made\n", "one that is not")
    equal(t.vm.run(["pwd"]).out, b"/\n", "of an image without any")
    equal(t.up("configured").run(["pwd"]).out, b"/home/guest/made/by/us\n", "the image's")


@case("F10.4", "run.stdout 4 with at_end 2: nothing on the way, the last N bytes with the final status")
def at_end_stdout(t):
    process = t.vm.run(["/bin/sh", "-c", "seq 1 1000; echo e >&2; echo abcdefghij"], stdout={"at_end": 6})
    equal(process.out, b"fghij\n", "stdout")
    equal(process.statuses[-1].get("stdout"), b"fghij\n", "stdout of the final status")
    equal(process.err, b"e\n", "stderr, which streams")
    equal(t.vm.run(["echo", "short"], stdout={"at_end": 4000}).out, b"short\n", "less than N")
    equal(t.vm.run(["echo", "text"], stdout={"at_end": 0}).out, b"", "at_end 0")
    equal(t.vm.run(["echo", "text"], stdout={}).out, b"text\n", "an Output without a type")


@case("F10.5", "run.stderr 5 with at_end 2")
def at_end_stderr(t):
    process = t.vm.run(["/bin/sh", "-c", "echo out; echo 123456789 >&2"], stderr={"at_end": 4})
    equal((process.out, process.err), (b"out\n", b"789\n"), "the streams")
    equal(process.statuses[-1].get("stderr"), b"789\n", "stderr of the final status")


@case("F11.1", "kill.pid 1: NOT_FOUND for one that never was, and for one that has ended")
def kill_pid(t):
    for pid in (0, t.vm.run(["true"]).pid, 123456789, (1 << 64) - 1):
        refused(lambda pid=pid: t.vm.kill(pid, 15), NOT_FOUND)


@case("F11.2", "kill.signal 2: any signal; a number that is none is an error")
def kill_signal(t):
    for number in (1, 2, 10, 15, 34, 64):
        process = t.vm.begin(["/bin/sh", "-c", f"trap 'echo got {number}; exit 5' {number}; echo ready; while :; do sleep 0.02; done"])
        t.vm.until(lambda process=process: process.out == b"ready\n", "the process")
        t.vm.kill(process.pid, number)
        equal((t.vm.finish(process).out, process.code), (b"ready\ngot %d\n" % number, 5), f"what signal {number} did")
    process = t.vm.begin(["sleep", "1000"])
    for number in (65, 1000, -1):
        refused(lambda number=number: t.vm.kill(process.pid, number), BAD_REQUEST)
    t.vm.kill(process.pid)
    t.vm.finish(process)


@case("F3", "error 3: code 1 and message 2 say what is wrong")
def error(t):
    message = refused(lambda: t.vm.begin(["/no/such/program"]), NOT_FOUND)
    holds(message, "/no/such/program", "the message")
    refused(lambda: t.vm.begin(["/etc"]), BAD_REQUEST, ["/etc"])


@case("F10", "run 10 is answered with a pid 1, never 0, never twice")
def pids(t):
    pids = [t.vm.run(["true"]).pid for _ in range(5)]
    equal(len(set(pids)), 5, "the number of pids")


@case("F20.1", "status 20: pid 1, running 2 true until the final one, which is the last")
def status_running(t):
    process = t.vm.run(["/bin/sh", "-c", "echo 1; sleep 0.1; echo 2"])
    expect(len(process.statuses) >= 2, "the output has not come as it was written")
    expect(all(status.get("running") for status in process.statuses[:-1]), "a status with running false before the last")
    t.vm.says("true")  # before whose answer a second end would come
    t.vm.check()


@case("F20.4", "stdout 4 and stderr 5: all bytes as they are, each in its own field")
def bytes_as_they_are(t):
    every = "".join(f"\\{value:03o}" for value in range(256))
    process = t.vm.run(["/bin/sh", "-c", f"printf '{every}'; printf '{every}x' >&2"])
    equal(process.out, bytes(range(256)), "stdout")
    equal(process.err, bytes(range(256)) + b"x", "stderr")


@case("F21", "rt_status 21 comes as an event with a state or a counter, or not at all")
def rt_status(t):
    for status in t.vm.rt_statuses:
        expect(len(status) == 1, f"{status} is neither a state nor a counter")
        expect(next(iter(status.values())).get("name"), f"{status} has no name")
