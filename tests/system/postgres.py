#!/usr/bin/env python3
"""A PostgreSQL of our own: a cluster in a temporary folder, on a Unix socket there, run by an unprivileged user.

postgres.py    prints an URL and runs it until standard input ends, for the unit tests
"""

import atexit
import glob
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

# Nothing has to survive a power cut here; and what the registry must not depend on is as it is not with us.
SETTINGS = {"listen_addresses": "", "fsync": "off", "max_connections": "200", "log_min_messages": "fatal", "lc_messages": "C",
            "logging_collector": "off", "shared_buffers": "32MB"}


class Cluster:
    def __init__(self):
        folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        if not folders:
            raise RuntimeError("PostgreSQL is not installed (Debian's postgresql)")
        self.programs = folders[-1]
        self.user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
        self.folder = tempfile.mkdtemp(prefix="gvmkit-pg.")  # short: a socket's path has at most 107 bytes
        os.chmod(self.folder, 0o711)
        self.data = self.folder + "/data"
        self.numbers = itertools.count()
        try:
            if os.getuid() == 0:
                shutil.chown(self.folder, self.user)
            self._run("initdb", "--pgdata", self.data, "--username", "gvmkit", "--auth", "trust", "--no-sync", "--locale", "C.UTF-8",
                      "--encoding", "UTF8")
            self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _as_user(self, program, *arguments):
        become = ["setpriv", "--reuid", self.user, "--regid", self.user, "--init-groups"] if os.getuid() == 0 else []
        return [*become, f"{self.programs}/{program}", *arguments]

    def _run(self, program, *arguments):
        with open(self.folder + "/log", "ab") as log:
            subprocess.run(self._as_user(program, *arguments), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", timeout=120, check=True)

    def start(self):
        options = " ".join(f"-c {name}='{value}'" for name, value in SETTINGS.items())
        self._run("pg_ctl", "start", "--wait", "--pgdata", self.data, "--log", self.data + "/log", "-o",
                  f"{options} -c unix_socket_directories={self.folder}")

    def stop(self, mode="immediate"):
        self._run("pg_ctl", "stop", "--wait", "--mode", mode, "--pgdata", self.data)

    def processes(self):
        """All of them: they work in the data's folder."""
        found = []
        for folder in glob.glob("/proc/[0-9]*"):
            try:
                if os.readlink(folder + "/cwd") == self.data:
                    found.append(folder)
            except OSError:
                pass  # it has ended, or is another user's
        return found

    def process(self):
        with open(self.data + "/postmaster.pid", encoding="ascii") as file:
            return int(file.readline())

    def kill(self):
        """The first process and, by that, all; returns when they have ended."""
        os.kill(self.process(), signal.SIGKILL)
        deadline = time.monotonic() + 30
        while self.processes():
            if time.monotonic() > deadline:
                raise TimeoutError("PostgreSQL does not end")
            time.sleep(0.02)
        # They name the first process, of which there may be a zombie left.
        os.unlink(self.data + "/postmaster.pid")
        for name in glob.glob(self.folder + "/.s.PGSQL.*"):
            os.unlink(name)

    def remove(self):
        if os.path.exists(self.data + "/postmaster.pid"):
            try:
                self.stop()
            except subprocess.SubprocessError:
                pass  # it has ended by itself
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, schema="public"):
        return f"postgres://gvmkit@/postgres?host={urllib.parse.quote(self.folder, safe='')}&options=-csearch_path%3D{schema}"

    def sql(self, text, schema="public"):
        """The rows, as lines of text with | between the columns."""
        done = subprocess.run([self.programs + "/psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", self.url(schema), "-c", text],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stdout)
        return done.stdout.strip()

    def new_schema(self):
        """The name of an empty schema: a data base for one test."""
        name = f"s{os.getpid()}_{next(self.numbers)}"
        self.sql(f"CREATE SCHEMA {name}")
        return name


def main():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    cluster = Cluster()
    atexit.register(cluster.remove)
    print(cluster.url("{}"), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
