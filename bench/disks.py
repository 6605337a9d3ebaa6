"""What the places where a VM can write give: its root, a host volume, a storage volume and a ram volume, by fio; beside the host's own file
system below the work folder. What is read is in the host's memory, but not in the guest's cache, which fio empties first."""

import json
import subprocess

import vms

# Where each lies in the VM.
PLACES = {"root": "/var", "host volume": vms.VOLUME, "storage volume": "/storage", "ram volume": "/ram"}
OVERRIDE = '{"/storage":{"storage":{"size":"1GiB"}},"/ram":{"ram":{"size":"256MiB"}}}'
OPTIONS = ("--mem-gib", "1", "--storage-gib", "2", "--volume-override", OVERRIDE)
SIZE_MIB = 192
# By what is measured: fio's options, and in which half of its result which figure stands. The last two are single blocks one after another.
KINDS = {
    "write": (["--rw=write", "--bs=1M", "--end_fsync=1"], "write", "bw_bytes"),
    "read": (["--rw=read", "--bs=1M"], "read", "bw_bytes"),
    "4 KiB written and synced": (["--rw=randwrite", "--bs=4k", "--fdatasync=1", "--time_based"], "write", "iops"),
    "4 KiB read": (["--rw=randread", "--bs=4k", "--time_based"], "read", "iops"),
}


def fio(folder, options, seconds, extra=()):
    return ["/usr/bin/fio", "--name=bench", f"--filename={folder}/fio", f"--size={SIZE_MIB}M", f"--runtime={seconds}", "--ioengine=psync",
            "--output-format=json", *extra, *options]


def measure(ask, places, runs, seconds, extra=()):
    """`ask` runs a command and returns its output. The seconds are those of each kind of single blocks."""
    result = {}
    for _ in range(runs):
        for place, folder in places.items():
            for kind, (options, half, key) in KINDS.items():
                job = json.loads(ask(fio(folder, options, seconds, extra)))["jobs"][0]
                value = job[half][key] if key == "bw_bytes" else 1 / job[half][key]
                result.setdefault(f"{place}, {kind}", []).append(value)
    return result


def measure_vm(machine, runs, seconds):
    machine.warm(*OPTIONS)
    with machine.bare_vms("--task-package", machine.measuring_image, *OPTIONS) as driver:
        driver.start()
        result = measure(lambda command: driver.ask(0, " ".join(command)), PLACES, runs, seconds)
        driver.end()
    return result


def measure_host(folder, runs, seconds):
    """Once, and beside all four: the host's caches stay as they are, which is how the VM finds them."""
    def ask(command):
        return subprocess.check_output(command, text=True)
    seen = measure(ask, {"host": folder}, runs, seconds, ["--invalidate=0"])
    return {f"{place}, {kind}": seen[f"host, {kind}"] for place in PLACES for kind in KINDS}
