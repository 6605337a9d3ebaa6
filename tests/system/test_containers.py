#!/usr/bin/env python3
"""A container engine inside a VM (docs/containers.md): Podman as Debian has it, with crun, netavark and iptables-nft.

test_containers.py BIN    (needs root, for debootstrap)
"""

import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import debian_image  # noqa: E402

SKIPPED = 77  # ctest's SKIP_RETURN_CODE
DEBIAN = ["debootstrap", "--variant=minbase", "--include=podman,crun,netavark,iptables,fuse-overlayfs,catatonit,busybox-static", "bookworm"]
STORAGE = "/var/lib/containers"
# No registry can be reached: a container's image is made in the VM, of busybox alone.
PREPARE = """set -e
exec 2>&1
rm -f /etc/cni/net.d/87-podman-bridge.conflist  # for another network back end; podman warns of it
mkdir -p /tmp/c/bin
cp /bin/busybox /tmp/c/bin
for name in sh cat sleep wget httpd mkdir; do ln -s busybox /tmp/c/bin/$name; done
tar -C /tmp/c -c . | podman import --quiet - localhost/small > /dev/null
"""


class Containers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        work = tempfile.TemporaryDirectory(prefix="gvmkit-containers.")
        cls.addClassCleanup(work.cleanup)
        cls.image = work.name + "/podman.gvmi"
        subprocess.run([BIN + "/gvmkit-build", "--no-lint", "--hide-progress", "--output", cls.image, "rootfs:" + debian_image.debootstrap(DEBIAN)],
                       check=True, stdout=subprocess.DEVNULL, timeout=300)

    def in_vm(self, script, storage):
        """What a script, run by the image's shell, says on both outputs; it must succeed."""
        environment = dict(os.environ)
        if storage:
            environment["YA_RUNTIME_VOLUME_OVERRIDE"] = '{"%s": {"storage": {"size": "1 GiB"}}}' % STORAGE
        done = subprocess.run([BIN + "/ya-runtime-dbg", "--task-package", self.image, "--exec", PREPARE + script, "--", "--mem-gib", "0.75",
                               "--storage-gib", "1", "--cpu-cores", "2", "--template", "off"], env=environment, capture_output=True, text=True, timeout=400, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_storage_volume_network_and_limits(self):
        said = self.in_vm("""
            podman info --format 'driver {{.Store.GraphDriverName}} on {{index .Store.GraphStatus "Backing Filesystem"}}, {{.Host.NetworkBackend}}'
            podman run --rm --network none localhost/small sh -c 'echo "hello from a container, process $$"'
            # On podman's bridge, behind rules of iptables-nft that pass on a port.
            podman run --detach --name server --publish 8080:80 --memory 50m --pids-limit 20 localhost/small \
                sh -c 'mkdir /www; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max > /www/limits; exec httpd -f -p 80 -h /www' > /dev/null
            address=$(podman inspect --format '{{.NetworkSettings.IPAddress}}' server)
            fetch() { for _ in $(seq 60); do busybox wget -q -O - "$1" && return; sleep 1; done; false; }
            echo "limits" $(fetch http://$address/limits)
            echo "published" $(fetch http://127.0.0.1:8080/limits)
            echo "by" $(iptables -V), $(iptables -t nat -S | grep -c 'DNAT --to-destination') rule
            podman run --rm localhost/small sh -c "wget -q -O - http://$address/limits > /dev/null && echo from another container"
            # A mount that is made later is passed on.
            mkdir -p /tmp/shared
            podman run --detach --name watcher --volume /tmp/shared:/shared:rslave localhost/small \
                sh -c 'n=0; until [ -e /shared/mounted ]; do [ $((n+=1)) -le 60 ] || exit; sleep 1; done; echo mount seen' > /dev/null
            mount -t tmpfs none /tmp/shared && touch /tmp/shared/mounted
            podman wait watcher > /dev/null
            podman logs watcher
            podman rm --force --time 0 server > /dev/null
            """, storage=True)
        self.assertEqual(said.splitlines(), [
            "driver overlay on extfs, netavark", "hello from a container, process 1", "limits 52428800 20", "published 52428800 20",
            "by iptables v1.8.9 (nf_tables), 1 rule", "from another container", "mount seen"], said)

    def test_on_the_root(self):
        """An overlay cannot lie on an overlay, so Podman takes fuse-overlayfs."""
        said = self.in_vm("""
            podman info --format 'driver {{.Store.GraphDriverName}} on {{index .Store.GraphStatus "Backing Filesystem"}}'
            podman run --rm --network none localhost/small sh -c 'echo "hello from a container"; cat /proc/mounts' | grep -E '^hello| / '
            """, storage=False)
        self.assertRegex(said, r"\Adriver overlay on overlayfs\nhello from a container\nfuse-overlayfs / ")


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: debootstrap needs root")
        sys.exit(SKIPPED)
    BIN = os.path.abspath(sys.argv.pop(1))
    unittest.main(verbosity=2)
