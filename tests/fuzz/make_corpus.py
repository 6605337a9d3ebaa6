#!/usr/bin/env python3
"""Makes the seeds of the fuzz targets' corpora, below corpus/. What a run of the fuzzer found beyond them is kept beside them.

make_corpus.py    (needs mksquashfs)
"""

import io
import json
import os
import subprocess
import tarfile
import tempfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))


def put(target, name, content):
    folder = os.path.join(HERE, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "seed-" + name), "wb") as file:
        file.write(content)


def entry(name, kind=tarfile.REGTYPE, data=b"", target="", **more):
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size, member.mode = kind, target, len(data), 0o755
    for key, value in more.items():
        setattr(member, key, value)
    return member, data


def tar(entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for member, data in entries:
            archive.addfile(member, io.BytesIO(data))
    content = out.getvalue().rstrip(b"\0")
    return content + bytes(-len(content) % 512 + 1024)  # an end mark of two blocks is enough


def tars():
    base = [entry("d", tarfile.DIRTYPE), entry("d/a", data=b"hello" * 100), entry("d/b", tarfile.LNKTYPE, target="d/a"),
            entry("s", tarfile.SYMTYPE, target="d"), entry("s/through", data=b"x")]
    upper = [entry("d/.wh.a"), entry("d/.wh..wh..opq"), entry("d", data=b"a file now"), entry("s", tarfile.DIRTYPE)]
    special = [entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3), entry("block", tarfile.BLKTYPE, devmajor=259, devminor=70000),
               entry("fifo", tarfile.FIFOTYPE), entry("n" * 150, data=b"long"), entry("t", tarfile.SYMTYPE, target="t" * 200),
               entry("big", uid=4000000000, gid=70000, mtime=-5),
               entry("x", pax_headers={"SCHILY.xattr.user.a": "b", "SCHILY.xattr.security.capability": "c", "mtime": "5000000000.5"})]
    sparse = entry("sparse", data=b"datadata", pax_headers={"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.name": "sparse",
                                                            "GNU.sparse.map": "0,4,1000000,4", "GNU.sparse.size": "2000000"})
    for name, lower, top in [("layers", base, upper), ("special", special, base), ("out", [entry("../x"), entry("/abs")], [entry("a/../../b")])]:
        halves = [tar(lower), tar(top)]
        halves = [half + bytes(max(map(len, halves)) - len(half)) for half in halves]  # the cut is in the middle
        for fix in (b"\0", b"\1"):
            put("tar", f"{name}-{fix[0]}", b"\x80" + fix + b"".join(halves))
    put("tar", "gnu", b"\x00\x01" + tar(special, tarfile.GNU_FORMAT))
    put("tar", "sparse", b"\x00\x01" + tar([sparse]))


def squashfs():
    with tempfile.TemporaryDirectory() as folder:
        os.makedirs(folder + "/tree/d/e")
        with open(folder + "/tree/d/file", "wb") as file:
            file.write(b"#!/d/e/interpreter\n" + b"x" * 5000)
            file.truncate(20000)
        os.link(folder + "/tree/d/file", folder + "/tree/link2")
        os.symlink("d", folder + "/tree/link")
        os.mkfifo(folder + "/tree/fifo")
        for name in ("passwd", "group"):
            os.makedirs(folder + "/tree/etc", exist_ok=True)
            with open(f"{folder}/tree/etc/{name}", "wb") as file:
                file.write(b"user:x:1:1::/:/bin/sh\n")
        os.setxattr(folder + "/tree/d/file", "user.a", b"value")
        os.setxattr(folder + "/tree/d/e", "user.a", b"value")
        plain = ["-noI", "-noD", "-noF", "-noX"]
        for name, options in [("plain", plain), ("fragments", [*plain, "-always-use-fragments"]), ("gzip", []), ("xz", ["-comp", "xz"]),
                              ("lzo", ["-comp", "lzo"]), ("lz4", ["-comp", "lz4"]), ("zstd", ["-comp", "zstd"])]:
            path = f"{folder}/{name}"
            subprocess.run(["mksquashfs", folder + "/tree", path, "-nopad", "-quiet", "-no-progress", "-b", "4096", "-all-time", "0", "-all-root",
                            *options], check=True, stdout=subprocess.DEVNULL)
            with open(path, "rb") as file:
                put("squashfs", name, file.read())


def configs():
    container = {"Env": ["A=b"], "User": "a:b", "Cmd": "bare", "Entrypoint": ["/x"], "Volumes": {"/v": None, "/w//x/": {}}, "ExposedPorts": {"80/tcp": {}},
                 "WorkingDir": "/", "Labels": {"a": "b"}, "StopSignal": "SIGINT", "StopTimeout": 5, "Healthcheck": {"Test": ["NONE"]}, "Tty": False,
                 "OnBuild": None, "Unknown": [1, 2.5, "\u00e9"]}
    image = {"os": "linux", "architecture": "amd64", "config": container, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "0" * 64]}}
    put("config", "image", json.dumps(image).encode())
    put("config", "null", b'{"config":null}')
    put("config", "volume", b'{"config":{"Volumes":{"../x":{}}}}')
    text = json.dumps(container).encode()
    put("trailer", "json", text)
    head = b"hsqs" + bytes(24) + b"\4\0\0\0" + bytes(8) + b"\x60" + bytes(55)
    put("trailer", "image", head + zlib.crc32(text).to_bytes(4, "little") + text + b"%08d" % len(text))


def indexes():
    config = b'{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":["sha256:%064d"]}}' % 0
    manifest = b'{"schemaVersion":2,"config":{"digest":"@0"},"layers":[{"digest":"@0"}]}'
    inner = (b'{"manifests":[{"digest":"@1","platform":{"os":"linux","architecture":"amd64"}},{"digest":"@0","platform":{"os":"unknown",'
             b'"architecture":"unknown"},"annotations":{"vnd.docker.reference.type":"attestation-manifest"}}]}')
    outer = (b'{"manifests":[{"digest":"@2","mediaType":"application/vnd.oci.image.index.v1+json","annotations":'
             b'{"org.opencontainers.image.ref.name":"name"}}]}')
    put("oci_index", "nested", b"\0".join([config, manifest, inner, outer]))
    put("oci_index", "flat", b"\0".join([config, manifest, b'{"manifests":[{"digest":"@1"}]}']))
    put("oci_index", "itself", b'{"manifests":[{"digest":"@0","mediaType":"application/vnd.oci.image.index.v1+json"}]}')
    docker = b'[{"Config":"blobs/sha256/X","RepoTags":["name","a:b"],"Layers":["l"]}]'
    put("oci_index", "docker", b"\0".join([config, docker]))


def users():
    passwd = (b"root:x:0:0:root:/root:/bin/sh\n# comment\n\n  app:x:1000:1001::/home/app:/bin/sh\t\r\nshort\nbad:x:z:1\nbig:x:4294967294:+5\n"
              b"again:x:1000:7")
    group = b"root:x:0:\nwheel:x:10:root,app\n wheel:x:10:app\r\nbad:x:z:app\nempty:x::a,,app\nshort:x\n"
    for name, user in [("root", b""), ("name", b"app"), ("number", b"1000"), ("unknown", b"4242:4243"), ("group", b"app:wheel"), ("bad", b"bad"),
                       ("badgroup", b":bad"), ("none", b"nobody:"), ("big", b"big"), ("short", b"short:short"), ("plus", b"+01000")]:
        put("users", name, b"\0".join([user, passwd, group]))


def thin_tables():
    size = 2 * 262144 + 1
    table = size.to_bytes(8, "little") + bytes(range(28)) + (1).to_bytes(4, "little") + (2).to_bytes(4, "little")
    table += b"".join(bytes([n]) * 32 for n in range(3)) + (2).to_bytes(4, "little") + bytes(4)
    put("thin", "table", table + (17).to_bytes(2, "little") + b"http://a.example/")


def frames():
    ends = bytes([10, 42, 42, 2]) + bytes([203, 0, 113, 5])
    dns = (bytes.fromhex("0007818000010001") + bytes(4) + b"\3api\7example\3org\0" + bytes.fromhex("00010001")
           + bytes.fromhex("c00c000100010000003c0004cb007105"))

    def ipv4(protocol, payload, addresses=ends):
        head = bytes.fromhex("4500") + (20 + len(payload)).to_bytes(2, "big") + bytes(4) + bytes([64, protocol]) + bytes(2)
        return b"\x11" * 6 + b"\x22" * 6 + b"\x08\x00" + head + addresses + payload

    tcp = bytes.fromhex("9c4001bb00000001000000005002006400000000")
    udp = bytes.fromhex("00359c40") + (8 + len(dns)).to_bytes(2, "big") + bytes(2) + dns
    arp = b"\xff" * 6 + b"\x22" * 6 + bytes.fromhex("08060001080006040001") + b"\x22" * 6 + ends[:4] + bytes(6) + bytes([10, 42, 42, 1])
    stream = b"".join(len(frame).to_bytes(4, "big") + frame for frame in
                      [arp, ipv4(17, udp, bytes([1, 1, 1, 1]) + ends[:4]), ipv4(6, tcp), ipv4(6, tcp, ends[:4] + bytes([127, 0, 0, 1])),
                       ipv4(1, bytes(8))])
    put("frames", "stream", stream)
    put("frames", "dns", dns)


if __name__ == "__main__":
    frames()
    tars()
    squashfs()
    configs()
    indexes()
    users()
    thin_tables()
