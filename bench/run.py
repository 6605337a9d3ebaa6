#!/usr/bin/env python3
"""Measures what SPECIFICATION.md promises, each figure beside a reference taken in the same run: a VM as `ya-runtime-vm` 0.5 builds it
(reference.py); for QEMU the system's (qemus.py); for disks and cards this machine's own, without a VM; for the conversion mksquashfs with
lzo on the unpacked tree. A promise that is not met is said, and no failure.
`./dev bench images` has more about conversion, `./dev bench registry` about the registry."""

import argparse
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../tests/system")]
import cards  # noqa: E402
import debian_image  # noqa: E402
import density  # noqa: E402
import disks  # noqa: E402
import docker_archive  # noqa: E402
import figures  # noqa: E402
import plot  # noqa: E402
import qemus  # noqa: E402
import reference  # noqa: E402
import starts  # noqa: E402
import vms  # noqa: E402

SIZE = 256 << 20  # bytes of one transfer
BUSY_PERCENT = 10  # of all cores; more than that before a measurement makes its figures doubtful
TRANSFER_OPTIONS = ("--mem-gib", "0.5")


class Bench:
    """All measurements, part by part; each adds to `ours` and `theirs`, lists of values by a figure's name, or to `starts`."""

    def __init__(self, build, work, options):
        self.build, self.work, self.options = build, work, options
        self.machine = vms.Machine(build, work, options.accel)
        self.ours, self.theirs, self.starts = {}, {}, {}

    @functools.cached_property
    def reference(self):
        """What reference VMs are started with."""
        volume = self.work + "/volume"
        os.mkdir(volume)
        return reference.kernel(f"{self.build}/bench/bench_reference_init"), self.machine.image, volume, self.options.accel

    def few(self, many, few):
        return few if self.options.quick else many

    def part_reference(self):
        seen, gone = reference.measure_starts(self.reference, self.options.runs, self.few(500, 100))
        self.theirs |= seen
        self.starts[starts.REFERENCE] = starts.typical(starts.REFERENCE, [{"steps": steps} for steps in gone])

    def part_starts(self):
        self.ours |= starts.measure_starts(self.machine, self.options.runs, self.few(500, 100))
        self.starts[starts.WITH] = starts.where_time_goes(self.machine, starts.WITH, self.few(5, 1))

    def part_cold(self):
        self.ours |= starts.measure_cold_starts(self.machine, self.options.runs)
        self.starts[starts.WITHOUT] = starts.where_time_goes(self.machine, starts.WITHOUT, self.few(5, 1), "--template", "off")

    def part_qemu(self):
        theirs = vms.Machine(self.build, self.work, self.options.accel, ("--qemu", qemus.SYSTEMS))
        seen = qemus.measure(self.machine, theirs, self.options.runs)
        self.ours |= seen[0]
        self.theirs |= seen[1]

    def part_transfers(self):
        self.theirs |= reference.measure_transfers(self.reference, self.few(5, 1), SIZE)
        file = vms.VOLUME + "/bench"
        seen = {"output": [], "volume write": [], "volume read": []}
        self.machine.warm(*TRANSFER_OPTIONS)
        with self.machine.vms(*TRANSFER_OPTIONS) as driver:
            driver.start()
            for _ in range(self.few(20, 2)):
                seen["output"] += [SIZE / s for s in driver.run(1, f"/bin/tool out {SIZE}", SIZE)]
                seen["volume write"] += [SIZE / s for s in driver.run(1, f"/bin/tool write {file} {SIZE}")]
                seen["volume read"] += [SIZE / s for s in driver.run(1, f"/bin/tool read {file}")]
            driver.end()
        self.ours |= seen

    def part_disks(self):
        runs, seconds = self.few(5, 1), 1
        self.theirs |= disks.measure_host(self.work, runs, seconds)
        self.ours |= disks.measure_vm(self.machine, runs, seconds)

    def part_cards(self):
        runs, seconds = self.few(5, 1), 2
        self.machine.warm()
        for name in cards.CARDS:
            self.theirs |= cards.measure_reference(self.build, name, runs, seconds)
            self.ours |= cards.measure_to_peer(self.machine, name, runs, seconds) | cards.measure_between_vms(self.machine, name, runs, seconds)

    def part_idle(self):
        self.ours |= density.measure_one(self.machine, self.few(3, 1))

    def part_many(self):
        self.ours |= density.measure_many(self.machine, self.few((1, 2, 4, 8, 16, 32), (4, 16)), self.few(5, 1))

    def part_conversion(self):
        conversion = measure_conversion(self.build, self.work, self.few(3, 1))
        if conversion:
            self.ours |= {"conversion": conversion[0], "converted": [conversion[2][0]]}
            self.theirs |= {"conversion": conversion[1], "converted": [conversion[2][1]]}


PARTS = [name.removeprefix("part_") for name in vars(Bench) if name.startswith("part_")]


def timed(*command):
    start = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def measure_conversion(build, work, runs):
    """A Debian with Python, from its docker archive; and from its unpacked tree by mksquashfs. None where there is no way to make one."""
    try:
        layer = debian_image.debootstrap()
    except (OSError, subprocess.CalledProcessError):
        return None
    tree, archive, out = work + "/tree", work + "/debian.tar", work + "/debian.squashfs"
    os.mkdir(tree)
    # Without root it cannot make the few devices, which changes nothing that is measured.
    subprocess.run(["tar", "--numeric-owner", "-xpf", layer, "-C", tree], stderr=subprocess.DEVNULL, check=False)
    docker_archive.save(archive, reference.read(layer), {})
    ours, theirs = [], []
    for _ in range(runs):
        ours.append(timed(f"{build}/bin/gvmkit-build", "--force", "--hide-progress", "--output", work + "/debian.gvmi", archive))
        theirs.append(timed("mksquashfs", tree, out, "-comp", "lzo", "-noappend", "-no-progress", "-quiet"))
        size = os.path.getsize(work + "/debian.gvmi"), os.path.getsize(out)
        os.unlink(out)
    return ours, theirs, size


def machine(build, accel):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    qemu = subprocess.check_output([f"{build}/bin/runtime/qemu/{qemus.SYSTEMS}", "--version"], text=True).splitlines()[0]
    return {"cpu": models[0] if models else "unknown", "cores": len(os.sched_getaffinity(0)), "qemu": qemu, "accelerator": accel,
            "host_kernel": os.uname().release}


def choose_accelerator(build):
    works = subprocess.run([f"{build}/bin/ya-runtime-vm", "--accel", "kvm", "test"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           check=False).returncode == 0
    return "kvm" if works else "tcg"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few runs and no conversion: to see that it works, not to publish")
    parser.add_argument("--only", metavar="PARTS", type=lambda text: text.split(","), help="measure some parts, of " + ",".join(PARTS))
    parser.add_argument("--from", dest="earlier", metavar="FILE", help="take what is not measured now from a file that --json wrote; alone: "
                        "measure nothing")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--compare", metavar="FILE", help="show what has changed since the run that wrote it")
    parser.add_argument("--plot", metavar="FILE", help="draw where the time of a start goes, as an SVG")
    parser.add_argument("--density", metavar="N", type=int, help="only start so many VMs, and say what they take")
    parser.add_argument("--runs", type=int, default=20, help="VM starts (20)")
    parser.add_argument("--accel", choices=["auto", "kvm", "tcg"], default="auto", help="kvm where it works (auto)")
    parser.add_argument("--build", default=os.path.join(HERE, "../build"), help="the build folder")
    options = parser.parse_args()
    if options.only is None:
        options.only = [] if options.earlier else [part for part in PARTS if not options.quick or part != "conversion"]
    if set(options.only) - set(PARTS):
        parser.error("--only takes " + ",".join(PARTS))
    if options.quick:
        options.runs = 3
    options.build = os.path.abspath(options.build)
    return options


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def measure(options, result):
    """Adds to what --json writes."""
    if options.accel == "auto":
        options.accel = choose_accelerator(options.build)
    host = result["machine"] = machine(options.build, options.accel)
    print(f"{host['cpu']}, {host['cores']} cores, {host['qemu']}, {host['accelerator']}; {options.runs} starts", flush=True)
    # Not in /tmp: volumes need extended attributes, and transfers room.
    work = tempfile.mkdtemp(dir=options.build, prefix="bench-work-")
    try:
        bench = Bench(options.build, work, options)
        if options.density:
            density.try_density(bench.machine, options.density)
            return
        for part in options.only:
            busy = vms.busy_percent()
            note = f" (the machine is busy with something else already, to {busy:.0f} %)" if busy > BUSY_PERCENT else ""
            print("measuring: " + part + note, flush=True)
            getattr(bench, "part_" + part)()
    finally:
        shutil.rmtree(work)
    for whose, seen in (("gvmkit", bench.ours), ("reference", bench.theirs)):
        for name, values in seen.items():
            figure = result["figures"].setdefault(name, {"unit": figures.unit_of(name), "gvmkit": None, "reference": None})
            figure[whose] = figures.summary(values)
    result["starts"] = list(({start["name"]: start for start in result["starts"]} | bench.starts).values())


def main():
    options = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing stays behind
    result = load(options.earlier) if options.earlier else {"machine": {}, "figures": {}, "starts": []}
    if options.only or options.density:
        measure(options, result)
    if options.density:
        return
    result["promises"] = figures.judge(result["figures"], result["machine"]["cores"])
    print("", *figures.table(result["figures"]), "", *figures.verdicts(result["promises"]), sep="\n")
    if options.compare:
        print("", *figures.compare(load(options.compare)["figures"], result["figures"]), sep="\n")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=2)
    if options.plot:
        with open(options.plot, "w", encoding="utf-8") as file:
            file.write(plot.draw(result["starts"]))


main()
