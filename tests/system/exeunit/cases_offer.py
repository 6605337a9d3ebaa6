"""offer-template and test (docs/spec/exe-unit.md)."""

import json
import os
import re
import shutil

from bench import case, equal, expect, holds


def cpu():
    """The first processor of /proc/cpuinfo."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        lines = file.read().split("\n\n")[0].splitlines()
    return {name.strip(): value.strip() for name, value in (line.split(":", 1) for line in lines)}


def offer(t):
    output = t.call([*t.extra, "offer-template"])
    equal(output.code, 0, "the exit code (" + output.err + ")")
    return output.out


@case("O1", "offer-template: one JSON object and a newline, not a byte more")
def one_object(t):
    text = offer(t)
    expect(text.startswith("{") and text.endswith("}\n") and text.count("\n") == 1, f"it is {text!r}")
    equal(sorted(json.loads(text)), ["constraints", "properties"], "its keys")
    equal(json.loads(text)["constraints"], "", "constraints")


@case("O2", "golem.inf.cpu.vendor, brand and model are this machine's")
def processor(t):
    properties, host = json.loads(offer(t))["properties"], cpu()
    equal(properties["golem.inf.cpu.vendor"], host["vendor_id"], "vendor")
    equal(properties["golem.inf.cpu.brand"].strip(), host["model name"].strip(), "brand")
    equal(properties["golem.inf.cpu.model"], f"Stepping {host['stepping']} Family {host['cpu family']} Model {host['model']}", "model")


# What /proc/cpuinfo calls otherwise than CPUID.
OTHERWISE = {"sse4_1": "sse41", "sse4_2": "sse42", "aes": "aesni", "cx16": "cmpxchg16b", "clflush": "clfsh", "tsc_deadline_timer": "tsc_deadline",
             "erms": "rep_movsb_stosb", "tsc_adjust": "adjust_msr", "avx512ifma": "avx512_ifma", "dtes64": "dtes64", "cx8": "cx8", "fpu": "fpu", "avx2": "avx2"}


@case("O3", "golem.inf.cpu.capabilities: what a VM's CPU has, lower case, by CPUID's names")
def capabilities(t):
    names = json.loads(offer(t))["properties"]["golem.inf.cpu.capabilities"]
    flags = t.vm.says("grep -m 1 ^flags /proc/cpuinfo").split()
    expect(all(re.fullmatch(r"[a-z0-9_.]+", name) for name in names), f"the names {names}")
    for flag, name in OTHERWISE.items():
        equal(name in names, flag in flags, f"whether {name} is offered")
        expect(name == flag or flag not in names, f"{flag} is offered, which is no name of CPUID's")


@case("O4", "golem.runtime.capabilities: inet, vpn, manifest-support, start-entrypoint, thin-image, and with a GPU gpu and !exp:gpu")
def runtime_capabilities(t):
    found = json.loads(offer(t))["properties"]["golem.runtime.capabilities"]
    equal(sorted(set(found) - {"gpu", "!exp:gpu"}), ["inet", "manifest-support", "start-entrypoint", "thin-image", "vpn"], "the capabilities")


@case("O5", "where the runtime is not whole offer-template and test fail with the reason on stderr")
def not_whole(t):
    copy = os.path.join(t.folder(), "ya-runtime-vm")
    shutil.copy(t.runtime, copy)
    whole, t.runtime = t.runtime, copy
    try:
        for command in ("offer-template", "test"):
            output = t.call([*t.extra, command])
            expect(output.code != 0 and output.out == "" and output.err.strip(), f"{command} gave {output.code}, {output.out!r}, {output.err!r}")
    finally:
        t.runtime = whole


@case("X1", "test: exit code 0 where VMs can be run")
def works(t):
    output = t.call([*t.extra, "test"])
    equal(output.code, 0, "the exit code (" + output.err + ")")


@case("X2", "test: --test-timeout, --test-cpu-cores, --test-mem-gib, and the same by the environment")
def options(t):
    output = t.call([*t.extra, "test", "--test-timeout", "60", "--test-cpu-cores", "1", "--test-mem-gib", "0.25"])
    equal(output.code, 0, "the exit code (" + output.err + ")")
    environment = {"YA_RUNTIME_VM_TEST_TIMEOUT": "60", "YA_RUNTIME_VM_TEST_CPU_CORES": "1", "YA_RUNTIME_VM_TEST_MEM_GIB": "0.25"}
    equal(t.call([*t.extra, "test"], environment=environment).code, 0, "the exit code")


@case("X3", "test: exit code 1 and what is wrong on stderr, where there is not enough memory")
def too_much(t):
    for options, environment in ((["--test-mem-gib", "100000"], {}), ([], {"YA_RUNTIME_VM_TEST_MEM_GIB": "100000"})):
        output = t.call([*t.extra, "test", *options], environment=environment)
        equal(output.code, 1, "the exit code")
        holds(output.err, "memory", "stderr")
