"""start's arguments (docs/spec/exe-unit.md, start arguments): the entrypoint."""

import json
import os

from bench import case, equal, expect, holds, refused


def logged(vm, text):
    """Whether a file in W/logs/ holds a text."""
    folder = os.path.join(vm.workdir, "logs")
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), errors="replace") as file:
            if text in file.read():
                return True
    return False


def start_output(vm):
    vm.until(lambda: vm.unbound, "the start output")
    equal(len(vm.unbound), 1, "statuses with pid 0")
    status = vm.unbound[0]
    equal(status.get("stderr", b""), b"", "its stderr")
    return json.loads(status["stdout"])


@case("S1", "start-entrypoint: one status with pid 0 tells pid and command, Entrypoint and Cmd, argv[0] its base name")
def told(t):
    vm = t.start(t.deploy("configured"), arguments=["start-entrypoint"])
    output = start_output(vm)
    equal(sorted(output), ["entrypoint", "start"], "its keys")
    equal(output["start"], None, "start")
    equal(output["entrypoint"]["command"], ["sh", "-c", "echo started as $0 with $*", "entry", "one", "two words"], "the command")
    pid = output["entrypoint"]["pid"]
    expect(isinstance(pid, int) and pid > 0, f"the pid {pid}")
    expect(vm.run(["true"]).pid != pid, "a Run got the entrypoint's pid")


@case("S2", "its output goes to a file in W/logs/ and to nobody else; its end is logged and does not end the VM")
def kept(t):
    vm = t.start(t.deploy("configured"), arguments=["start-entrypoint"])
    vm.until(lambda: logged(vm, "started as entry with one two words"), "the entrypoint's output in W/logs/")
    vm.until(lambda: logged(vm, "entrypoint has ended with code 0"), "the entrypoint's end in W/logs/")
    equal(vm.says("echo alive"), "alive\n", "the VM")
    start_output(vm)
    vm.shutdown()


@case("S3", "Cmd alone where there is no Entrypoint; a status that is not 0 is logged")
def command_alone(t):
    vm = t.start(t.deploy("command"), arguments=["start-entrypoint"])
    equal(start_output(vm)["entrypoint"]["command"], ["sh", "-c", "echo failing >&2; exit 9"], "the command")
    vm.until(lambda: logged(vm, "failing") and logged(vm, "entrypoint has ended with code 9"), "output and end in W/logs/")


@case("S4", "where both are empty, an error that says so")
def none(t):
    vm = t.start(t.deploy(), arguments=["start-entrypoint"], hello=False)
    holds(refused(vm.hello).lower(), "entrypoint", "the error")
    vm.shutdown()


@case("S5", "an entrypoint that cannot run is an error that names it")
def cannot_run(t):
    vm = t.start(t.deploy("broken-entrypoint"), arguments=["start-entrypoint"], hello=False)
    refused(vm.hello, parts=["/no/such/entrypoint"])
    vm.shutdown()
