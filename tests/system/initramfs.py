"""An initramfs for tests: Debian's static busybox, a shell script as /init, and files."""

BUSYBOX = "/bin/busybox"

# Makes descriptor 3 the agent's port, as guest/init finds it, and goes on with what the test says.
INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs devtmpfs /dev
for device in /sys/bus/platform/devices/virtio-mmio*; do echo ${device##*/} > /sys/bus/platform/drivers/virtio-mmio/bind; done 2> /dev/null
for port in /sys/class/virtio-ports/*; do [ "$(cat $port/name)" != agent ] || exec 3<> /dev/${port##*/}; done
"""


def entry(name, mode, data=b""):
    """One file of a newc archive."""
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def make(script, files):
    with open(BUSYBOX, "rb") as file:
        archive = entry("bin", 0o40755) + entry("bin/busybox", 0o100755, file.read())
    for folder in ("proc", "sys", "dev"):
        archive += entry(folder, 0o40755)
    archive += entry("init", 0o100755, (INIT + script).encode())
    for name, data in files.items():
        archive += entry(name, 0o100644, data)
    return archive + entry("TRAILER!!!", 0)
