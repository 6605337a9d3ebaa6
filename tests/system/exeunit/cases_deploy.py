"""What deploy prints, what it makes of --volume-override, and what a transfer finds (docs/spec/exe-unit.md, deploy)."""

import json
import os
import re
import stat

from bench import case, equal, expect, holds

MIB = 1 << 20


def override(text):
    return ["--volume-override", text if isinstance(text, str) else json.dumps(text)]


@case("D1", "deploy prints one JSON object: valid, vols, startMode")
def answer(t):
    output = t.call(["--task-package", t.image("plain"), *t.extra, "deploy", "--"])
    equal(output.code, 0, "the exit code")
    equal(json.loads(output.out), {"valid": {"Ok": ""}, "vols": [], "startMode": "blocking"}, "the object")
    expect(output.out.startswith("{") and output.out.rstrip("\n").endswith("}"), f"more than an object: {output.out!r}")


@case("D2", "vols.name: a new empty directory below the workdir, vol-<uuid>")
def names(t):
    deployment = t.deploy("configured")
    equal(sorted(deployment.volumes), ["/data", "/golem/output"], "the paths")
    for volume in deployment.answer["vols"]:
        equal(sorted(volume), ["name", "path"], "a volume's keys")
        folder = os.path.realpath(os.path.join(deployment.workdir, volume["name"]))
        expect(folder.startswith(os.path.realpath(deployment.workdir) + "/"), f"{folder} is not below the workdir")
        expect(os.path.isdir(folder) and not os.listdir(folder), f"{folder} is no empty directory")
        expect(re.fullmatch(r"vol-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", os.path.basename(folder)), f"the name {volume['name']}")


@case("D3", "vols.path: normal, absolute, no slash at the end")
def paths(t):
    deployment = t.deploy(more=override({"/a//./c/": {"host": {}}, "/d/": {"host": {}}}))
    equal(sorted(deployment.volumes), ["/a/c", "/d"], "the paths")


@case("D4", "vols holds host overrides and leaves out what ram and storage replace")
def replaced(t):
    deployment = t.deploy("configured", more=override({"/data": {"ram": {"size": "1m"}}, "/new": {"host": {}}, "/golem/output": {"host": {}},
                                                       "/disk": {"storage": {"size": "16 MiB"}}}))
    equal(sorted(deployment.volumes), ["/golem/output", "/new"], "the paths")


@case("D5", "a bad image: exit code not 0, nothing on stdout, the reason on stderr")
def bad_images(t):
    folder = t.folder()
    with open(t.image("plain"), "rb") as file:
        whole = file.read()
    contents = {"text": b"this is no image", "empty": b"", "cut": whole[:len(whole) // 2], "head": b"\0" * 4096 + whole[4096:]}
    for name, data in contents.items():
        with open(os.path.join(folder, name + ".gvmi"), "wb") as file:
            file.write(data)
    for name in [*contents, "missing"]:
        output = t.call([*t.extra, "--workdir", folder, "--task-package", os.path.join(folder, name + ".gvmi"), "deploy", "--"])
        expect(output.code != 0, f"{name}: the exit code is 0")
        equal(output.out, "", f"{name}: stdout")
        holds(output.err, name + ".gvmi", f"{name}: stderr")


@case("D6", "a bad --volume-override: exit code not 0, nothing on stdout, the reason on stderr")
def bad_overrides(t):
    for text in ("no json", "[]", '"/x"', '{"/x":{}}', '{"/x":{"ram":{}}}', '{"/x":{"ram":{"size":"much"}}}', '{"/x":{"ram":{"size":-1}}}',
                 '{"/x":{"ram":{"size":"1 qb"}}}', '{"/x":{"disk":{}}}', '{"/x":{"storage":{"size":"16m","errors":"ignore"}}}'):
        output = t.call([*t.extra, "--task-package", t.image("plain"), *override(text), "deploy", "--"])
        expect(output.code != 0, f"{text}: the exit code is 0")
        equal(output.out, "", f"{text}: stdout")
        expect(output.err.strip(), f"{text}: nothing on stderr")


@case("D7", "host is refused for the root: /, // and the empty path")
def host_root(t):
    for path in ("/", "//", ""):
        output = t.call([*t.extra, "--task-package", t.image("plain"), *override({path: {"host": {}}}), "deploy", "--"])
        expect(output.code != 0 and output.out == "" and output.err, f"{path!r} was accepted: {output.out}")


@case("D8", "a second deploy and start in the same workdir begin anew")
def again(t):
    first = t.deploy("configured")
    vm = t.start(first)
    vm.says("echo 1 > /data/file; echo 1 > /tmp/file")
    vm.shutdown()
    vm = t.start(first)
    equal(vm.says("cat /data/file; ls /tmp"), "1\n", "volume and root of the next VM of the same deployment")
    vm.shutdown()
    second = t.deploy("configured", workdir=first.workdir)
    expect(not any(os.path.exists(folder) for folder in first.volumes.values()), "the volumes of the first deployment are there")
    vm = t.start(second)
    equal(vm.says("ls -A /data; ls /tmp"), "", "what is left of the first life")
    vm.shutdown()


SIZES = {"1048576": MIB, "1500k": 1500e3, "1500 KB": 1500e3, "1500ki": 1500 << 10, "1500 kib": 1500 << 10, "2m": 2e6, "2 Mb": 2e6, "2mi": 2 * MIB,
         "2  MiB": 2 * MIB, "1.5 MiB": 1.5 * MIB, "10.7 MB": 10.7e6, "0.002g": 2e6, "0.002 GB": 2e6, "0.002gi": 0.002 * (1 << 30),
         "0.002 GiB": 0.002 * (1 << 30), "0.000002t": 2e6, "0.000002 TB": 2e6, "0.000002ti": 0.000002 * (1 << 40),
         "0.000002 TiB": 0.000002 * (1 << 40), "0.000000002p": 2e6, "0.000000002 PB": 2e6, "0.000000002pi": 0.000000002 * (1 << 50),
         "0.000000002 PiB": 0.000000002 * (1 << 50)}


@case("V1", "sizes: a number of bytes, a text, fractions, every unit, any case, blanks")
def sizes(t):
    wanted = {f"/size/{i}": (text, size) for i, (text, size) in enumerate(SIZES.items())}
    wanted["/size/number"] = (2 * MIB, 2 * MIB)
    vm = t.up(more=override({path: {"ram": {"size": text}} for path, (text, _) in wanted.items()}))
    found = vm.says("for i in /size/*; do stat -f -c \"$i %b %S\" $i; done")
    for path, blocks, size in (line.split() for line in found.splitlines()):
        text, expected = wanted.pop(path)
        expect(abs(int(blocks) * int(size) - expected) <= 4096, f"{text!r} became {int(blocks) * int(size)} bytes, not {expected}")
    expect(not wanted, f"no volume at {list(wanted)}")


@case("V2", "ram: a tmpfs of that size and no more")
def ram(t):
    vm = t.up("configured", more=override({"/data": {"ram": {"size": "2 MiB"}}}))
    equal(vm.says("stat -f -c %T /data"), "tmpfs\n", "its type")
    holds(vm.sh("dd if=/dev/zero of=/data/big bs=64k count=64").err, "No space left on device", "dd's error")


@case("V3", "storage: an ext4 of that size, errors as asked, preallocated as asked, not visible to the host")
def storage(t):
    deployment = t.deploy(more=override({"/a": {"storage": {"size": "64 MiB", "preallocate": "24 MiB", "errors": "remount-ro"}},
                                         "/b": {"storage": {"size": 48 * MIB, "errors": "continue"}},
                                         "/c": {"storage": {"size": "0.03 GB", "errors": "panic"}}}))
    equal(deployment.answer["vols"], [], "vols")
    taken = sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for folder, _, files in os.walk(deployment.workdir) for name in files)
    expect(24 * MIB <= taken < 40 * MIB, f"{taken} bytes are taken on the host")
    vm = t.start(deployment)
    for path, size in (("/a", 64 * MIB), ("/b", 48 * MIB), ("/c", 30e6)):
        kind, blocks, unit = vm.says(f"stat -f -c '%T %b %S' {path}").split()
        equal(kind, "ext2/ext3", f"the type of {path}")
        expect(0.75 * size <= int(blocks) * int(unit) <= size, f"{path} has {int(blocks) * int(unit)} bytes")
    options = vm.says("cat /proc/fs/ext4/*/options")
    for errors in ("remount-ro", "continue", "panic"):
        holds(options, f"errors={errors}", "the mount options")


@case("V4", "ram and storage for /, // and the empty path take the root's writes")
def root(t):
    for path, kind, size in (("/", "ram", 24), ("//", "storage", 100), ("", "ram", 32)):
        vm = t.up(more=override({path: {kind: {"size": f"{size} MiB"}}}))
        found = int(vm.says("df -m / | tail -1 | awk '{print $2}'"))
        expect(0.7 * size <= found <= size, f"{path!r}: {kind} of {size} MiB gave {found} MiB")
        vm.end()


@case("V5", "volumes inside volumes, where the image has no such path, and over what it has")
def nested(t):
    deployment = t.deploy("configured", more=override({"/data/inner/deep": {"ram": {"size": "1m"}}, "/data/inner": {"host": {}}, "/new/path": {"host": {}}}))
    vm = t.start(deployment)
    vm.says("echo 1 > /golem/output/f")
    equal(vm.says("find /data /new; stat -f -c %T /data/inner/deep"), "/data\n/data/inner\n/data/inner/deep\n/new\n/new/path\ntmpfs\n", "what is there")


@case("T1", "what the host puts into a volume is seen at once and may be read by the image's user")
def seen_at_once(t):
    deployment = t.deploy("configured")
    vm = t.start(deployment)
    folder = deployment.volumes["/golem/output"]
    os.mkdir(os.path.join(folder, "sub"))
    for name in ("file", "sub/a name\nof two lines"):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write("from the host\n")
    equal(vm.says("id -u; cat /golem/output/file /golem/output/sub/*; ls /golem/output"), "1000\nfrom the host\nfrom the host\nfile\nsub\n", "in the VM")


@case("T2", "the image's user may write to a volume, and the host finds what it wrote")
def writable(t):
    deployment = t.deploy("configured")
    vm = t.start(deployment)
    equal(vm.says("ls /data; stat -c '%u %a' /data"), "1000 750\n", "a volume that hides what the image has there, with its owner and mode")
    vm.says("echo text > /golem/output/file && mkdir /golem/output/dir && head -c 300000 /dev/zero > /golem/output/dir/zeros")
    folder = deployment.volumes["/golem/output"]
    with open(os.path.join(folder, "file"), "rb") as file:
        equal(file.read(), b"text\n", "the file")
    equal(os.path.getsize(os.path.join(folder, "dir/zeros")), 300000, "the size of the other")


@case("T3", "nothing of a volume leads out of it: no symlink, device, FIFO or setuid bit on the host")
def contained(t):
    deployment = t.deploy(more=override({"/v": {"host": {}}}))
    t.start(deployment).says("cd /v; ln -s /etc/passwd link; ln -s / root; mknod device c 1 5; mkfifo fifo; echo > s; chmod 6755 s; "
                             "mkdir -m 1777 d; ln -s ../../.. d/up; readlink link; readlink root; readlink d/up")
    found = 0
    for folder, folders, files in os.walk(deployment.volumes["/v"]):
        for name in folders + files:
            mode = os.lstat(os.path.join(folder, name)).st_mode
            expect(stat.S_ISREG(mode) or stat.S_ISDIR(mode), f"{name} is {stat.filemode(mode)}")
            expect(not mode & (stat.S_ISUID | stat.S_ISGID), f"{name} is {stat.filemode(mode)}")
            found += 1
    expect(found >= 3, f"only {found} names are there")


@case("T4", "the rwx bits that the guest gave are those that the host packs, never a setuid bit")
def permission_bits(t):
    deployment = t.deploy(more=override({"/v": {"host": {}}}))
    t.start(deployment).says("cd /v; mkdir -m 750 dir; for m in 755 640 600 4711; do echo $m > dir/$m; chmod $m dir/$m; done; mkdir dir/'odd\nname'")
    folder = os.path.join(deployment.volumes["/v"], "dir")
    found = {name: oct(stat.S_IMODE(os.lstat(os.path.join(folder, name)).st_mode)) for name in ("755", "640", "600", "4711", ".")}
    equal(found, {"755": "0o755", "640": "0o640", "600": "0o600", "4711": "0o711", ".": "0o750"}, "the modes on the host")


@case("T5", "private files, programs and symlinks that the host puts into a volume work in the VM")
def from_the_host(t):
    deployment = t.deploy("configured")
    vm = t.start(deployment)
    folder = deployment.volumes["/golem/output"]
    for name, mode, text in (("private", 0o600, "for you\n"), ("program", 0o755, "#!/bin/sh\necho it runs\n")):
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(os.path.join(folder, name), mode)
    os.symlink("private", os.path.join(folder, "link"))
    equal(vm.says("id -u; cd /golem/output; cat private link; readlink link; ./program; echo more >> private; cat private"),
          "1000\nfor you\nfor you\nprivate\nit runs\nfor you\nmore\n", "what the image's user sees and does")
