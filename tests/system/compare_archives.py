#!/usr/bin/env python3
"""compare_archives.py HOST.tar GUEST.tar: the same folder, packed on the host and in the VM.

Names, folders, contents and rwx bits must be the same; what is special for the guest is a small file on the host: of a symbolic link its target,
of a device or FIFO nothing. Prints what differs, and exits with 1 then.
"""

import os
import sys
import tarfile


def entries(path):
    found = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = os.path.normpath(member.name.encode("utf-8", "surrogateescape"))
            if member.islnk():  # another name of an entry that came before
                found[name] = found[os.path.normpath(member.linkname.encode("utf-8", "surrogateescape"))]
            elif member.isfile():
                found[name] = ("file", member.mode, archive.extractfile(member).read())
            elif member.isdir():
                found[name] = ("folder", member.mode, b"")
            else:
                content = member.linkname.encode("utf-8", "surrogateescape") if member.issym() else b""
                found[name] = ("special", member.mode, content)
    return found


def on_host(entry):
    kind, mode, content = entry
    return ("file", 0o600, content) if kind == "special" else (kind, mode & 0o777, content)


def main():
    host, guest = entries(sys.argv[1]), entries(sys.argv[2])
    problems = [f"{name!r} is only in {where}" for names, where in ((host.keys() - guest.keys(), "the host's"), (guest.keys() - host.keys(), "the guest's"))
                for name in sorted(names)]
    for name in sorted(host.keys() & guest.keys()):
        expected = on_host(guest[name])
        if host[name] != expected:
            problems.append(f"{name!r}: on the host {host[name][0]} {host[name][1]:o}, in the guest {guest[name][0]} {guest[name][1]:o}, contents "
                            + ("the same" if host[name][2] == expected[2] else "differ"))
    print("\n".join(problems[:20]) or f"{len(host)} entries, all the same")
    sys.exit(1 if problems else 0)


main()
