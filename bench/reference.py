"""The VM that figures are compared with: built as `ya-runtime-vm` 0.5 builds it. QEMU's default machine with its BIOS, Debian's stock kernel, whose
virtio, squashfs, overlay and 9p are modules that an init loads one by one from an initramfs; command line as `ya-runtime-vm` 0.5 has it.
"""

import contextlib
import ctypes
import glob
import gzip
import hashlib
import lzma
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

MODULES = """virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_console virtio_blk virtio-rng
             netfs fscache 9pnet 9pnet_virtio 9p squashfs overlay""".split()
DEADLINE = 120  # seconds without any answer: the VM hangs


def kernel(init):
    """Paths of Debian's kernel and of an initramfs with its modules and our init; kept in $GVMKIT_BUILD_CACHE (~/.cache/gvmkit-build)."""
    cache = os.environ.get("GVMKIT_BUILD_CACHE") or os.path.expanduser("~/.cache/gvmkit-build")
    listing = subprocess.check_output(["apt-cache", "depends", "linux-image-amd64"], text=True)
    package = next(line.split()[1] for line in listing.splitlines() if "Depends:" in line)
    folder = os.path.join(cache, "bench-" + package)
    if not os.path.exists(folder):
        print(f"fetching {package} for the reference VM", flush=True)
        fetch(package, folder)
    with open(init, "rb") as file:
        program = file.read()
    initramfs = os.path.join(folder, "initramfs-" + hashlib.sha256(program).hexdigest()[:16])
    if not os.path.exists(initramfs):
        files = {name: read(os.path.join(folder, name)) for name in (f"{m}.ko" for m in MODULES)}
        with open(initramfs + ".part", "wb") as file:
            file.write(gzip.compress(archive(program, files)))
        os.rename(initramfs + ".part", initramfs)
    return os.path.join(folder, "vmlinuz"), initramfs


def read(path):
    with open(path, "rb") as file:
        return file.read()


def fetch(package, folder):
    """Puts the package's kernel and the modules that we need into a folder."""
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with tempfile.TemporaryDirectory(dir=os.path.dirname(folder)) as work:
        os.chmod(work, 0o755)
        subprocess.run(["apt-get", "-qq", "download", package], cwd=work, check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["dpkg-deb", "-x", glob.glob(work + "/*.deb")[0], work + "/tree"], check=True)
        os.mkdir(work + "/result")
        shutil.copy(glob.glob(work + "/tree/boot/vmlinuz-*")[0], work + "/result/vmlinuz")
        for module in MODULES:
            path = glob.glob(f"{work}/tree/**/{module}.ko*", recursive=True)[0]
            content = lzma.decompress(read(path)) if path.endswith(".xz") else read(path)
            with open(f"{work}/result/{module}.ko", "wb") as file:
                file.write(content)
        os.rename(work + "/result", folder)


def archive(init, files):
    """A cpio archive (newc) of the initramfs."""
    out = bytearray()

    def entry(name, mode, data=b""):
        fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        for part in (header, data):
            out.extend(part + bytes(-len(part) % 4))

    for name in ("dev", "proc", "sys", "lower", "rw", "root"):
        entry(name, 0o040755)
    entry("init", 0o100755, init)
    entry("modules", 0o100644, "".join(f"/{name}\n" for name in files).encode())
    for name, data in files.items():
        entry(name, 0o100644, data)
    entry("TRAILER!!!", 0)
    return bytes(out)


class Vm:
    """A running reference VM; `ready` is the time from QEMU's start to the first word of its init, `clock` what the guest's clock said when
    init began, when its modules were loaded and when the port was open."""

    def __init__(self, kernel_files, image, volume, accelerator):
        ours, theirs = socket.socketpair()
        ours.settimeout(DEADLINE)
        argv = ["qemu-system-x86_64", "-m", "256M", "-nographic", "-vga", "none", "-kernel", kernel_files[0], "-initrd", kernel_files[1],
                "-accel", accelerator, "-cpu", "host" if accelerator == "kvm" else "max", "-smp", "1", "-append", "console=ttyS0 panic=1",
                "-device", "virtio-serial", "-device", "virtio-rng-pci", "-chardev", f"socket,id=agent,fd={theirs.fileno()}",
                "-device", "virtserialport,chardev=agent,name=agent",
                "-drive", f"file={image},cache=unsafe,readonly=on,format=raw,if=virtio", "-no-reboot", "-net", "none",
                "-virtfs", f"local,id=volume,path={volume},security_model=none,mount_tag=volume"]
        start = time.monotonic()
        self.process = subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        preexec_fn=die_with_parent)
        theirs.close()
        self.port = ours
        self.buffer = b""
        self.clock = [float(word) for word in self.done()]
        self.ready = time.monotonic() - start

    def done(self, output=0):
        """Takes so many bytes of output and the answer after them; returns what the answer says beyond that all is well."""
        while output > 0:
            data = self.buffer or self.port.recv(1 << 20)
            if not data:
                raise RuntimeError("the reference VM has ended")
            self.buffer = data[output:]
            output -= min(output, len(data))
        while not self.buffer.endswith(b"\n"):
            data = self.port.recv(4096)
            if not data:
                raise RuntimeError("the reference VM has ended")
            self.buffer += data
        answer, self.buffer = self.buffer.split(), b""
        if answer[:2] != [b"done", b"0"]:
            raise RuntimeError(f"the reference VM says {answer}")
        return answer[2:]

    def command(self, line, output=0):
        """The seconds that a command takes until its answer is here."""
        start = time.monotonic()
        self.port.sendall(line.encode() + b"\n")
        self.done(output)
        return time.monotonic() - start

    def close(self):
        with contextlib.suppress(OSError):
            self.port.sendall(b"end\n")
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.port.close()


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


@contextlib.contextmanager
def running(*arguments):
    vm = Vm(*arguments)
    try:
        yield vm
    finally:
        vm.close()


def steps(vm, mounted, executed):
    """Where the time of a start went. The guest's clock begins when its kernel has unpacked itself and looks for one."""
    init, modules, port = vm.clock
    return [{"what": what, "took": took} for what, took in
            (("QEMU, BIOS, kernel unpacked", vm.ready - port), ("kernel booted", init), ("modules loaded", modules - init),
             ("port opened", port - modules), ("root and volume mounted", mounted), ("first command ended", executed))]


def measure_starts(arguments, starts, execs):
    """Figures by the names of the driver's, in seconds, one per run; and where the time of each start went."""
    figures = {name: [] for name in ("start to hello", "start to first exit", "exec", "exec of Debian's true")}
    gone = []
    for i in range(starts):
        with running(*arguments) as vm:
            mounted, executed = vm.command("mount"), vm.command("exec /bin/tool true")
            figures["start to hello"].append(vm.ready)
            figures["start to first exit"].append(vm.ready + mounted + executed)
            gone.append(steps(vm, mounted, executed))
            if i + 1 == starts:
                figures["exec"] = [vm.command("exec /bin/tool true") for _ in range(execs)]
                figures["exec of Debian's true"] = [vm.command("exec /usr/bin/true") for _ in range(max(execs // 5, 1))]
    return figures, gone


def measure_transfers(arguments, transfers, size):
    """Bytes per second: the port as its program can fill it at best, and the share."""
    figures = {"output": [], "volume write": [], "volume read": []}
    with running(*arguments) as vm:
        vm.command("mount")
        for _ in range(transfers):
            figures["output"].append(size / vm.command(f"exec /bin/tool out {size}", size))
            figures["volume write"].append(size / vm.command(f"exec /bin/tool write /volume/bench {size}"))
            figures["volume read"].append(size / vm.command("exec /bin/tool read /volume/bench"))
    return figures
