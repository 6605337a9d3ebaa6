"""Images for a test of the registry's page: two versions of an ordinary one, and a hostile one. Made by gvmkit-build, pushed by registry_server."""

import os
import subprocess
import tarfile

import docker_archive
import registry_server

SCRIPT = "<script>window.hostile = 1</script>"
IMAGE = "<img src=x onerror='window.hostile = 2'>"
ATTRIBUTE = "\" onmouseover=\"window.hostile = 3\" x=\""
DIRECTION = "\u202egnp.exe"  # shown from right to left
HOSTILE = (SCRIPT, IMAGE, ATTRIBUTE, "'onfocus='window.hostile = 4' autofocus='", DIRECTION, "{{7*7}}", "%00%3Cscript%3E", "line\nbreak", "\x1b[31m",
           "javascript:alert(1)", "--><b>", "</title></main></body>", "a?b#c&d=e+f", "Zażółć.txt")
CONFIG = {"Entrypoint": ["/usr/bin/python3", "-m", "app"], "Cmd": ["--port", "8080"], "WorkingDir": "/srv/app", "User": "guest",
          "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "MODEL=/srv/app/model.bin"],
          "Volumes": {"/golem/work": {}, "/golem/output": {}}, "ExposedPorts": {"8080/tcp": {}},
          "Labels": {"org.opencontainers.image.title": "Tools", "org.opencontainers.image.description": "Renders frames, one after another.",
                     "org.opencontainers.image.source": "https://example.org/tools", "org.opencontainers.image.licenses": "MIT",
                     "org.opencontainers.image.base.name": "docker.io/library/python:3.12-slim"}}


def build(bin_folder, work, name, layer, config):
    """The .gvmi of one layer."""
    path = f"{work}/{name}"
    docker_archive.save(path + ".tar", layer.bytes.getvalue(), config)
    subprocess.run([bin_folder + "/gvmkit-build", "--force", "--hide-progress", "--output", path + ".gvmi", path + ".tar"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    return path + ".gvmi"


def ordinary(bin_folder, work, version):
    """A small tree with texts, a program and links; version 2 has changes."""
    layer = docker_archive.Layer()
    for folder in ("bin", "etc", "golem", "srv", "srv/app", "usr", "usr/bin", "var", "var/log"):
        layer.folder(folder)
    layer.folder("root", 0o700)
    layer.folder("home", 0o755)
    layer.folder("home/guest", 0o755, 1000)
    layer.add("etc/passwd", data=b"root:x:0:0:root:/root:/bin/sh\nguest:x:1000:1000::/home/guest:/bin/sh\n")
    layer.add("etc/group", data=b"root:x:0:\nguest:x:1000:\n")
    layer.add("etc/os-release", data=b'NAME="Test"\nVERSION_ID="%d"\n' % version)
    layer.add("srv/app/main.py", data=("\"\"\"Renders a frame.\"\"\"\n\nimport sys\n\n\ndef main():\n    print(\"frame <%d>\" % int(sys.argv[1]))\n\n\n"
                                       "main()\n" + "# done\n" * version).encode())
    layer.add("srv/app/README.md", data="# Tools\n\nRenders frames, one after another. Zażółć gęślą jaźń.\n".encode())
    layer.add("srv/app/long.txt", data=b"0123456789abcde\n" * 20000)
    layer.add("srv/app/model.bin", data=bytes(range(256)) * 4096)
    with open(docker_archive.BUSYBOX, "rb") as file:
        layer.add("bin/busybox", data=file.read(), mode=0o4755)
    for applet in ("sh", "ls", "cat", "env"):
        layer.add("bin/" + applet, tarfile.SYMTYPE, mode=0o777, target="busybox")
    layer.add("usr/bin/python3", tarfile.SYMTYPE, mode=0o777, target="/bin/sh")
    layer.add("var/log/app.log", data=b"")
    if version == 1:
        layer.add("srv/app/old.py", data=b"print('old')\n")
    else:
        layer.folder("srv/app/new")
        layer.add("srv/app/new/module.py", data=b"print('new')\n", mode=0o755)
        layer.add("srv/app/mode.sh", data=b"#!/bin/sh\n", mode=0o755)
    return build(bin_folder, work, f"tools-{version}", layer, {**CONFIG, "Env": CONFIG["Env"] + [f"VERSION={version}"]})


def hostile(bin_folder, work):
    """Names, texts and values that try to be more than that."""
    layer = docker_archive.Layer()
    layer.folder("tree")
    for name in HOSTILE:
        if "/" not in name:
            layer.add("tree/" + name, data=(SCRIPT + IMAGE).encode())
    layer.add("tree/link", tarfile.SYMTYPE, mode=0o777, target=SCRIPT)
    layer.add("tree/circle", tarfile.SYMTYPE, mode=0o777, target="circle")
    config = {"Env": [f"{i}{value}={value}" for i, value in enumerate(HOSTILE)], "Entrypoint": list(HOSTILE), "Cmd": list(HOSTILE), "User": SCRIPT,
              "WorkingDir": "/" + SCRIPT, "Labels": {**{value: value for value in HOSTILE}, "org.opencontainers.image.base.name": SCRIPT},
              "Volumes": {"/" + IMAGE: {}},
              "ExposedPorts": {value: {} for value in HOSTILE}}
    return build(bin_folder, work, "hostile", layer, config)


def publish(client, path, user, repository, tag, token):
    """Pushes it and sets a tag."""
    image = registry_server.Image(path, 64 << 10)
    client.push_descriptor(image.descriptor)
    code, _, body = client.attach(image.id, user, repository, tag, user, token, check="true")
    assert code == 200, body
    client.push(image)
    client.wait_full(image.id)
    code, _, body = client.attach(image.id, user, repository, tag, user, token)
    assert code == 200, body
    assert os.path.exists(path)
    return image
