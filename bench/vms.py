"""VMs of ours to measure: their image, their supervisor (driver.cpp), and what their processes take of the machine."""

import contextlib
import functools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../tests/system")]
import docker_archive  # noqa: E402
import reference  # noqa: E402

VOLUME = "/golem/output"
STATIC_TRUE = "/bin/tool true"
DYNAMIC_TRUE = "/usr/bin/true"


def with_libraries(programs):
    """Paths on this machine by their paths in the image: programs, their loader and their libraries."""
    files = {"/etc/ld.so.cache": "/etc/ld.so.cache"}
    for path, source in programs.items():
        files[path] = source
        # It fails, with nothing to say, for a static one.
        listing = subprocess.run(["ldd", source], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", listing):
            files[library] = library
    return files


def make_image(build, image, programs):
    """An image with our static tool, programs of this machine and a volume."""
    layer = docker_archive.Layer()
    files = {"/bin/tool": f"{build}/bench/tool", **with_libraries(programs)}
    folders = set()
    for path in files:
        while (path := os.path.dirname(path)) != "/":
            folders.add(path)
    for folder in sorted(folders):
        layer.folder(folder[1:])
    for path, source in files.items():
        with open(source, "rb") as file:
            layer.add(path[1:], data=file.read(), mode=0o755)
    layer.tar.close()
    tar = image + ".tar"
    docker_archive.save(tar, layer.bytes.getvalue(), {"Volumes": {VOLUME: {}}})
    subprocess.run([f"{build}/bin/gvmkit-build", "--force", "--no-lint", "--output", image, tar], check=True, stdout=subprocess.DEVNULL)
    os.unlink(tar)
    return image


class Machine:
    """How VMs are started here: the runtime with all that a provider's command line has (an image with a volume, a writable disk, a VPN card),
    in work folders and with a cache of the bench's own."""

    def __init__(self, build, work, accelerator, options=()):
        """`options` are the runtime's."""
        self.build, self.work = build, work
        # Debian's own `true`, for what a dynamic program costs.
        self.image = make_image(build, work + "/image.gvmi", {DYNAMIC_TRUE: "/bin/true"})
        # What the guests send stays unread here.
        self.vpn = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.vpn.bind(("127.0.0.1", 0))
        self.runtime = [f"{build}/bin/ya-runtime-vm", "--accel", accelerator, "--cache-dir", work + "/cache", *options]

    def warm(self, *options):
        """Makes the template for VMs with these options, where there is none."""
        done = subprocess.run([*self.runtime, *options, "template", "warm"], stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)

    @functools.cached_property
    def measuring_image(self):
        """One with Debian's programs that measure disks and cards. Where one is missing, what it would measure cannot be."""
        found = {f"/usr/bin/{name}": shutil.which(name) for name in ("fio", "iperf3", "ping")}
        if None in found.values():
            raise RuntimeError("needs the packages fio, iperf3 and iputils-ping")
        return make_image(self.build, self.work + "/measuring.gvmi", found)

    @contextlib.contextmanager
    def vms(self, *options):
        """A Driver; what it started is gone afterwards."""
        with self.bare_vms("--task-package", self.image, "--vpn-endpoint", f"udp://127.0.0.1:{self.vpn.getsockname()[1]}", *options) as driver:
            yield driver

    @contextlib.contextmanager
    def bare_vms(self, *options):
        """Likewise, of VMs whose options are all given."""
        folder = self.work + "/vms"
        driver = Driver([f"{self.build}/bench/bench_driver", folder, *self.runtime, *options])
        try:
            yield driver
        finally:
            driver.close()
            shutil.rmtree(folder, ignore_errors=True)


class Driver:
    """A running bench_driver; see there for what the commands do."""

    def __init__(self, argv):
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=reference.die_with_parent)

    def command(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the driver has ended at: {line}")
        return json.loads(answer)

    def start(self, count=1, *options):
        return self.command(" ".join(["start", str(count), *options]))

    def network(self, vm, interface, address, prefix=24):
        """Configures the VM's card, and returns the port of its link."""
        return self.command(f"network {vm} {interface} {address} {prefix}")

    def ask(self, vm, command):
        """What a command writes to its standard output, in the VM with this number; it may say there why it fails."""
        answer = self.command(f"ask {vm} {command}")
        if answer["code"] != 0 and not answer["out"]:
            raise RuntimeError(f"{command}: {answer}")
        return answer["out"]

    def run(self, count, command, output=0):
        return self.command(f"run {count} {output} {command}")

    def end(self):
        return self.command("end")

    def close(self):
        """VMs that still run die with their supervisor."""
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


def qemu_of(runtime):
    """The process id of the QEMU that a runtime has started."""
    with open(f"/proc/{runtime}/task/{runtime}/children", encoding="ascii") as file:
        children = file.read().split()
    for child in children:
        with open(f"/proc/{child}/comm", encoding="utf-8") as file:
            if file.read().startswith("qemu-system"):
                return int(child)
    raise RuntimeError("the runtime has no QEMU")


def cpu_seconds(pid):
    """The CPU time of a process, all its threads, to the nanosecond: its clock as clock_getcpuclockid(3) makes it."""
    return time.clock_gettime((~pid << 3) | 2)


def parse_pss(smaps, name):
    """Bytes of all mappings in the text of a smaps file whose first line holds a name."""
    total, counts = 0, False
    for line in smaps.splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            counts = name in line
        elif counts and line.startswith("Pss:"):
            total += int(line.split()[1]) << 10
    return total


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def pss(pid):
    """What a process takes of the machine's memory, in bytes; what several map counts for each in part."""
    return parse_pss(read(f"/proc/{pid}/smaps_rollup"), "[rollup]")


def guest_pages(pid):
    """The part of a QEMU's memory that is its guest's: the memfd that holds the guest's memory, as far as QEMU has it mapped."""
    return parse_pss(read(f"/proc/{pid}/smaps"), "memfd:vm-memory")


def memfd_bytes(*pids):
    """Memory that processes hold in memfds, whether it is mapped or not."""
    files = {}
    for pid in pids:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{fd}"
            with contextlib.suppress(FileNotFoundError):
                if os.readlink(path).startswith("/memfd:"):
                    found = os.stat(path)
                    files[found.st_ino] = found.st_blocks * 512
    return sum(files.values())


def vm_bytes(runtime):
    """What a VM takes of the machine's memory: its runtime and its QEMU, and the guest's memory from its memfd. That is more than what
    QEMU has mapped: pages that were filled from a template, but never touched since, are in none of QEMU's page tables."""
    qemu = qemu_of(runtime)
    mapped = sum(parse_pss(read(f"/proc/{pid}/smaps"), "memfd:") for pid in (runtime, qemu))
    return pss(runtime) + pss(qemu) - mapped + memfd_bytes(runtime, qemu)


def available():
    """Bytes of this machine's memory that programs can still have."""
    return next(int(line.split()[1]) << 10 for line in read("/proc/meminfo").splitlines() if line.startswith("MemAvailable:"))


def busy_percent(seconds=0.5):
    """How much of all cores, by /proc/stat, somebody uses now; what a hypervisor takes from us included."""
    def sample():
        ticks = [int(word) for word in read("/proc/stat").splitlines()[0].split()[1:9]]
        return sum(ticks), ticks[3] + ticks[4]  # all; idle and waiting for disks
    before = sample()
    time.sleep(seconds)
    after = sample()
    return 100 * (1 - (after[1] - before[1]) / max(after[0] - before[0], 1))
