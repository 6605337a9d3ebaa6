#!/usr/bin/env python3
"""exeunit_thin.py BIN IMAGES WORK — holds the runtime against the contract with yagna's exe-unit (exeunit/run.py) with thin images in the
place of the usual ones. Nothing that a supervisor or a requestor sees may be different."""

import os
import subprocess
import sys
import tempfile

from range_server import RangeServer

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    programs, images, work = sys.argv[1:4]
    with tempfile.TemporaryDirectory(prefix="exeunit-thin.", dir=work) as folder:
        # What an earlier run has left would be fetched by nobody.
        subprocess.run([programs + "/ya-runtime-vm", "cache", "prune"], check=True, stdout=subprocess.DEVNULL)
        servers = []
        for name in sorted(os.listdir(images)):
            if not name.endswith(".gvmi"):
                continue
            servers.append(RangeServer(f"{images}/{name}"))
            subprocess.run([programs + "/gvmi", "thin", f"{images}/{name}", "-o", f"{folder}/{name}", "--url", servers[-1].url], check=True,
                           stdout=subprocess.DEVNULL)
        suite = [sys.executable, HERE + "/exeunit/run.py", "--runtime", programs + "/ya-runtime-vm", "--images", folder, "--work", work]
        suite += ["--runtime-arg=" + argument for argument in ("--accel", "tcg", "--thin-allow", "127.0.0.1")]
        code = subprocess.run(suite, check=False).returncode
        if not any(server.sent for server in servers):
            raise SystemExit("no image was fetched")
        raise SystemExit(code)


if __name__ == "__main__":
    main()
