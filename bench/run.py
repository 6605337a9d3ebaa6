#!/usr/bin/env python3
"""Measures what SPECIFICATION.md promises, each figure beside a reference taken in the same run: a VM as today's tool builds it
(reference.py), and for the conversion mksquashfs with lzo on the unpacked tree. Times are medians."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../tests/system")]
import debian_image  # noqa: E402
import docker_archive  # noqa: E402
import reference  # noqa: E402

SIZE = 256 << 20  # bytes of one transfer
VOLUME = "/golem/output"
RATES = ("output", "volume write", "volume read")  # shown in MiB/s


def make_image(build, work):
    """An image with our tool and a volume."""
    tar, image = work + "/image.tar", work + "/image.gvmi"
    docker_archive.save(tar, docker_archive.tree([f"{build}/bench/tool"]), {"Volumes": {VOLUME: {}}})
    subprocess.run([f"{build}/bin/gvmkit-build", "--force", "--output", image, tar], check=True, stdout=subprocess.DEVNULL)
    return image


def measure_runtime(build, work, image, options):
    workdir = work + "/workdir"
    os.mkdir(workdir)
    counts = [str(n) for n in (options.runs, options.execs, options.transfers, SIZE)]
    runtime = [f"{build}/bin/ya-runtime-vm", "--accel", options.accel, "--workdir", workdir, "--task-package", image]
    return json.loads(subprocess.check_output([f"{build}/bench/bench_driver", workdir, *counts, VOLUME, *runtime]))


def measure_reference(build, work, image, options):
    volume = work + "/volume"
    os.mkdir(volume)
    files = reference.kernel(f"{build}/bench/bench_reference_init")
    return reference.measure(files, image, volume, options.accel, options.runs, options.execs, options.transfers, SIZE)


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


def percentile(values, percent):
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def summary(values):
    return {"median": statistics.median(values), "p99": percentile(values, 99), "min": min(values), "max": max(values), "runs": len(values)}


def shown(name, value):
    if name in RATES:
        return f"{SIZE / value / (1 << 20):,.0f} MiB/s"
    return f"{value * 1000:,.1f} ms" if value < 1 else f"{value:,.2f} s"


def print_table(figures):
    print(f"\n{'median':28}{'gvmkit':>14}{'reference':>14}{'times better':>14}")
    for name, (ours, theirs) in figures.items():
        rows = [(name, "median")] + ([(name + ", p99", "p99")] if name == "exec" else [])
        for title, key in rows:
            other = shown(name, theirs[key]) if theirs else "-"
            better = f"{theirs[key] / ours[key]:.1f}" if theirs else "-"
            print(f"{title:28}{shown(name, ours[key]):>14}{other:>14}{better:>14}")


def machine(accel):
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    qemu = subprocess.check_output(["qemu-system-x86_64", "--version"], text=True).splitlines()[0]
    return {"cpu": models[0] if models else "unknown", "cores": os.cpu_count(), "qemu": qemu, "accelerator": accel,
            "host_kernel": os.uname().release}


def choose_accelerator(build):
    works = subprocess.run([f"{build}/bin/ya-runtime-vm", "--accel", "kvm", "test"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                           check=False).returncode == 0
    return "kvm" if works else "tcg"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few runs: to see that it works, not to publish")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--runs", type=int, default=20, help="VM starts (20)")
    parser.add_argument("--accel", choices=["auto", "kvm", "tcg"], default="auto", help="kvm where it works (auto)")
    parser.add_argument("--build", default=os.path.join(HERE, "../build"), help="the build folder")
    options = parser.parse_args()
    build = os.path.abspath(options.build)
    if options.quick:
        options.runs = 3
    options.execs, options.transfers = (100, 2) if options.quick else (500, 5)
    if options.accel == "auto":
        options.accel = choose_accelerator(build)
    host = machine(options.accel)
    print(f"{host['cpu']}, {host['cores']} cores, {host['qemu']}, {host['accelerator']}; {options.runs} starts", flush=True)

    # Not in /tmp: volumes need extended attributes, and transfers room.
    work = tempfile.mkdtemp(dir=build, prefix="bench-work-")
    try:
        image = make_image(build, work)
        print("the reference VM", flush=True)
        theirs = measure_reference(build, work, image, options)
        print("gvmkit", flush=True)
        ours = measure_runtime(build, work, image, options)
        figures = {name: (summary(ours[name]), summary(theirs[name]) if name in theirs else None) for name in
                   ("start to hello", "start to first exit", "exec", "output", "volume write", "volume read", "deploy", "shutdown")}
        print("conversion", flush=True)
        conversion = measure_conversion(build, work, 2 if options.quick else 5)
        if conversion:
            figures["conversion"] = summary(conversion[0]), summary(conversion[1])
    finally:
        shutil.rmtree(work)
    print_table(figures)
    if conversion:
        print("converted: {:.1f} MiB with gzip, mksquashfs: {:.1f} MiB with lzo".format(*(n / (1 << 20) for n in conversion[2])))
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": host, "figures": {name: {"gvmkit": pair[0], "reference": pair[1]} for name, pair in figures.items()}}, file,
                      indent=2)


main()
