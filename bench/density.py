"""How much of a machine VMs take that do nothing, that have done something, and that are many."""

import statistics
import time

import figures
import vms

GUEST = 256 << 20
TOUCHED = 128 << 20
RETURN_LIMIT_S = 30  # until freed memory must be the host's again; the guest's kernel reports some two seconds after it was freed
IDLE_S = 5
SETTLED_S = 2


def cpu_percent(pids, seconds):
    """Of one core, per process, over so many seconds."""
    before, start = [vms.cpu_seconds(pid) for pid in pids], time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - start
    return [100 * (vms.cpu_seconds(pid) - used) / took for pid, used in zip(pids, before)]


def measure_idle(runtime, windows):
    """The VM's processes, a while after its last command. The guest runs in QEMU's threads, so its work is in QEMU's time. QEMU's memory
    beyond the guest's is all that it maps (PSS) without the pages of the memfd that is the guest's memory."""
    qemu = vms.qemu_of(runtime)
    time.sleep(SETTLED_S)
    seen = [cpu_percent([qemu, runtime], IDLE_S) for _ in range(windows)]
    return {"idle QEMU with its guest": [pair[0] for pair in seen], "idle runtime": [pair[1] for pair in seen],
            "QEMU beyond its guest": [vms.pss(qemu) - vms.guest_pages(qemu)], "VM": [vms.vm_bytes(runtime)]}


def measure_return(driver, runtime):
    """Memory that a program in the guest has touched and given back: the host's view before, when the program has ended, and when most of
    it is the host's again or the time is over."""
    before = vms.vm_bytes(runtime)
    driver.run(1, f"/bin/tool touch {TOUCHED}")
    start, peak = time.monotonic(), vms.vm_bytes(runtime)
    after = peak
    while time.monotonic() - start < RETURN_LIMIT_S and after > before + TOUCHED // 4:
        time.sleep(0.1)
        peak, after = max(peak, after), vms.vm_bytes(runtime)
    return {"VM before it touches 128 MiB": [before], "VM with 128 MiB touched": [peak], "VM after that is freed": [after],
            "freed until returned": [time.monotonic() - start]}


def measure_one(machine, windows):
    machine.warm()
    with machine.vms() as driver:
        runtime = driver.start()[0]["pid"]
        result = measure_idle(runtime, windows) | measure_return(driver, runtime)
        driver.end()
    return result


def all_at_once(driver, count):
    """Starts so many, and returns the seconds from the first's spawn to the last's first exit, and the runtimes."""
    seen = driver.start(count)
    took = max(vm["spawned"] + vm["first exit"] for vm in seen) - min(vm["spawned"] for vm in seen)
    return took, [vm["pid"] for vm in seen]


def measure_room(runtimes, free):
    """What each of many running VMs takes, and from it how many there is room for: extrapolated, once as they are now, which is after
    one small command, and once with guests that use all their memory."""
    qemus = [vms.qemu_of(runtime) for runtime in runtimes]
    each = [vms.vm_bytes(runtime) for runtime in runtimes]
    beyond = [total - vms.memfd_bytes(qemu) for total, qemu in zip(each, qemus)]
    return {"VM, one of many": each, "QEMU beyond its guest, one of many": [vms.pss(qemu) - vms.guest_pages(qemu) for qemu in qemus],
            "VMs of 256 MiB that fit": [free // statistics.mean(each)],
            "VMs of 256 MiB that fit, all used": [free // (GUEST + statistics.mean(beyond))]}


def measure_many(machine, counts, runs):
    """Many at once; with the largest number running, the memory of each and from it how many this machine has room for."""
    machine.warm()
    result = {}
    with machine.vms() as driver:
        for count in counts:
            times = result[figures.MANY.format(count)] = []
            for _ in range(runs):
                free = vms.available()
                took, runtimes = all_at_once(driver, count)
                times.append(took)
                if count == max(counts) and len(times) == runs:
                    result |= measure_room(runtimes, free)
                driver.end()
    return result


def try_density(machine, count, step=16):
    """Really starts so many, a few at a time, and prints what they take."""
    machine.warm()
    with machine.vms() as driver:
        free, runtimes = vms.available(), []
        while len(runtimes) < count:
            took, started = all_at_once(driver, min(step, count - len(runtimes)))
            runtimes += started
            print(f"{len(runtimes):4} VMs run; the last {len(started)} took {took:.2f} s; "
                  f"{(free - vms.available()) / len(runtimes) / 1e6:.0f} MB of the machine's memory each", flush=True)
        mean = sum(vms.vm_bytes(runtime) for runtime in runtimes) / len(runtimes)
        print(f"by their processes {mean / 1e6:.0f} MB each; idle, all together: "
              f"{sum(cpu_percent([vms.qemu_of(r) for r in runtimes] + runtimes, IDLE_S)):.1f} % of a core")
        driver.end()
