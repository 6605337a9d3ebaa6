"""Our QEMU beside the system's, in turns: starts, and what an idle VM takes."""

import os

import density
import figures
import seccomp
import starts
import vms

SYSTEMS = "qemu-system-x86_64"
ROUNDS = 4  # in which both take turns, so that what else the machine does meets both


def measure_one(machine, runs):
    """The figures of one turn."""
    seen = starts.measure_starts(machine, runs, 20) | starts.measure_cold_starts(machine, max(runs // 2, 1))
    with machine.vms() as driver:
        runtime = driver.start()[0]["pid"]
        seen |= density.measure_idle(runtime, 1)
        if os.geteuid() == 0:
            seen[figures.SYSTEM_CALLS] = [len(seccomp.allowed(vms.qemu_of(runtime)))]
        driver.end()
    return {figures.of_qemu(name): seen[name] for name in (*figures.OF_QEMU, figures.SYSTEM_CALLS) if name in seen}


def measure(ours, theirs, runs):
    """Both machines' figures; `theirs` runs its VMs with the system's QEMU."""
    results = {}, {}
    for _ in range(ROUNDS):
        for result, machine in zip(results, (ours, theirs)):
            for name, values in measure_one(machine, max(runs // ROUNDS, 1)).items():
                result.setdefault(name, []).extend(values)
    return results
