"""Calls and options (docs/spec/exe-unit.md, the table of calls)."""

import os

from bench import case, equal, expect, holds
import json


def root_mib(vm):
    return int(vm.says("df -m / | tail -1 | awk '{print $2}'"))


def memory_mib(vm):
    return int(vm.says("awk '/^MemTotal/ {print $2}' /proc/meminfo")) / 1024


@case("C1", "without --workdir the current directory is the workdir")
def workdir_is_here(t):
    here = t.folder()
    output = t.call(["--task-package", t.image("configured"), *t.extra, "--hostname", "here", "deploy", "--"], cwd=here)
    equal(output.code, 0, "deploy's exit code (" + output.err + ")")
    names = [volume["name"] for volume in json.loads(output.out)["vols"]]
    expect(names and all(os.path.isdir(os.path.join(here, name)) for name in names), f"{names} are not all below the current directory")


@case("C2", "-w and -t are --workdir and --task-package")
def short_forms(t):
    workdir = t.folder()
    output = t.call([*t.extra, "-w", workdir, "-t", t.image("configured"), "deploy", "--"])
    equal(output.code, 0, "deploy's exit code (" + output.err + ")")
    expect(os.path.isdir(os.path.join(workdir, json.loads(output.out)["vols"][0]["name"])), "no volume below the folder of -w")


@case("C3", "a sub-command that follows the image directly is no second image")
def command_behind_image(t):
    output = t.call([*t.extra, "--task-package", t.image("plain"), "deploy", "--"])
    equal(output.code, 0, "deploy's exit code (" + output.err + ")")


@case("C4", "several task packages, by one option or several: the first on top")
def several_images(t):
    for options in (["--task-package", t.image("configured"), "--task-package", t.image("plain")],
                    ["--task-package", t.image("configured"), t.image("plain")]):
        workdir = t.folder()
        call = [*t.extra, "--workdir", workdir, *options]
        output = t.call([*call, "deploy", "--"], cwd=workdir)
        equal(output.code, 0, "deploy's exit code (" + output.err + ")")
        deployment = type("Deployment", (), {"workdir": workdir, "arguments": call})
        equal(t.start(deployment).says("echo $COLOUR; id -u"), "deep red\n1000\n", "what the upper image says")


@case("C5", "defaults: 1 core, 0.25 GiB of memory and of storage, hostname golem")
def defaults(t):
    equal(t.vm.says("nproc; hostname"), "1\ngolem\n", "cores and hostname")
    expect(190 <= memory_mib(t.vm) <= 256, f"{memory_mib(t.vm)} MiB of memory")
    expect(190 <= root_mib(t.vm) <= 256, f"{root_mib(t.vm)} MiB for the root's writes")


@case("C6", "--cpu-cores, and fractions of --mem-gib and --storage-gib")
def sizes(t):
    vm = t.up(options=["--cpu-cores", "2", "--mem-gib", "0.4", "--storage-gib", "0.7"])
    equal(vm.says("nproc"), "2\n", "cores")
    expect(330 <= memory_mib(vm) <= 410, f"{memory_mib(vm)} MiB of memory")
    expect(600 <= root_mib(vm) <= 717, f"{root_mib(vm)} MiB for the root's writes")


@case("C7", "--hostname and --volume-override of deploy hold at start")
def deploy_alone_knows(t):
    vm = t.up(more=["--hostname", "a-name", "--volume-override", '{"/here":{"ram":{"size":"4 MiB"}}}'])
    equal(vm.says("hostname; stat -f -c %T /here; cat /etc/hostname"), "a-name\ntmpfs\na-name\n", "hostname and volume")


@case("C8", "the same from YA_RUNTIME_HOSTNAME and YA_RUNTIME_VOLUME_OVERRIDE")
def from_environment(t):
    environment = {"YA_RUNTIME_HOSTNAME": "of-the-air", "YA_RUNTIME_VOLUME_OVERRIDE": '{"/here":{"ram":{"size":"4 MiB"}}}'}
    vm = t.start(t.deploy(environment=environment))
    equal(vm.says("hostname; stat -f -c %T /here"), "of-the-air\ntmpfs\n", "hostname and volume")


@case("C9", "an unknown option is an error with its name on stderr, nothing on stdout")
def unknown_option(t):
    output = t.call(["--task-package", t.image("plain"), "--no-such-option", "deploy", "--"])
    expect(output.code != 0, "the exit code is 0")
    equal(output.out, "", "stdout")
    holds(output.err, "--no-such-option", "stderr")
