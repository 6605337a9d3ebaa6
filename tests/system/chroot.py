"""Programs with another folder as their root; needs root."""

# Of the host's devices those that a container has; no /dev/kvm. All that is mounted, and all that is left running, ends with the command.
INSIDE = """
set -e
root=$1; shift
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
for name in null zero full random urandom tty; do
  touch "$root/dev/$name"
  mount --bind "/dev/$name" "$root/dev/$name"
done
mkdir -m 1777 "$root/dev/shm"
exec chroot "$root" "$@"
"""


def inside(root, *argv):
    """What runs a command there. The root has the folders /proc and /dev."""
    return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", INSIDE, "inside", root, *argv]
