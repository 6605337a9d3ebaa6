"""The supervisor's side of a runtime: `start` with its pipe. Whatever a supervisor relies on in every message is checked in every session."""

import os
import select
import signal
import subprocess
import time

import messages
from messages import Broken

DEADLINE = 60
MAX_EVENT = 32 << 10


class Failure(Exception):
    """What a case found wrong."""


class Refused(Exception):
    """A request was answered with an error."""

    def __init__(self, error):
        super().__init__(error.get("message", ""))
        self.code = error.get("code", 0)
        self.message = error.get("message", "")


class Process:
    """A process in the VM and its statuses so far."""

    def __init__(self, pid):
        self.pid, self.statuses = pid, []

    def ended(self):
        return bool(self.statuses) and not self.statuses[-1].get("running", False)

    @property
    def out(self):
        return b"".join(s.get("stdout", b"") for s in self.statuses)

    @property
    def err(self):
        return b"".join(s.get("stderr", b"") for s in self.statuses)

    @property
    def code(self):
        return self.statuses[-1].get("return_code", 0) if self.ended() else None


class Runtime:
    """`ya-runtime-vm … start` in a process group of its own, as a supervisor's is."""

    def __init__(self, argv, workdir, environment):
        self.log = open(os.path.join(workdir, "stderr.txt"), "ab")
        self.program = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, cwd=workdir, env=environment,
                                        process_group=0)
        self.workdir = workdir
        self.input, self.output = self.program.stdin.fileno(), self.program.stdout.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)
        self.frames, self.waiting = messages.Frames(), b""
        self.last_id = 0
        self.open_runs = {}  # ids of Run requests that are not answered: their process may speak already
        self.answers, self.processes, self.unbound = {}, {}, []  # unbound: statuses with pid 0
        self.rt_statuses, self.violations = [], []
        self.reading, self.closed = True, False
        self.expects_entrypoint = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        if self.program.poll() is None:
            self.program.kill()
        self.program.wait(DEADLINE)
        for pipe in (self.program.stdin, self.program.stdout, self.log):
            try:
                pipe.close()
            except OSError:
                pass

    # The pipe.

    def pump(self, timeout=0.05):
        """Reads and writes what can be, and waits so long for anything."""
        if self.closed:
            time.sleep(min(timeout, 0.01))
            return
        readers = [self.output] if self.reading else []
        writers = [self.input] if self.waiting else []
        readable, writable, _ = select.select(readers, writers, [], timeout)
        if writable:
            try:
                self.waiting = self.waiting[os.write(self.input, self.waiting):]
            except BrokenPipeError:
                self.waiting = b""
        if readable:
            data = os.read(self.output, 1 << 16)
            if data:
                self.take_bytes(data)
            else:
                self.closed = True
                if self.frames.data:
                    self.violations.append("the output ended in the middle of a frame")

    def take_bytes(self, data):
        try:
            for payload in self.frames.feed(data):
                self.take(messages.decode(messages.RESPONSE, payload))
        except Broken as error:
            self.violations.append(f"the output holds {error}")
            self.closed = True

    def take(self, response):
        kinds = [kind for kind in response if kind not in ("event", "id")]
        if len(kinds) != 1:
            self.violations.append(f"a response with the commands {kinds}")
            return
        if response.get("event", False):
            self.take_event(kinds[0], response)
            return
        number = response.get("id", 0)
        if number in self.answers or not 0 < number <= self.last_id:
            self.violations.append(f"an answer to request {number}, which waits for none")
        self.answers[number] = response
        self.open_runs.pop(number, None)
        if kinds[0] == "run":
            self.processes.setdefault(response["run"].get("pid", 0), Process(response["run"].get("pid", 0)))

    def take_event(self, kind, response):
        if response.get("id", 0) != 0:
            self.violations.append(f"an event with the id {response['id']}")
        if kind == "rt_status":
            self.rt_statuses.append(response[kind])
            return
        if kind != "status":
            self.violations.append(f"an event that is a {kind}")
            return
        status = response[kind]
        pid = status.get("pid", 0)
        if len(status.get("stdout", b"")) + len(status.get("stderr", b"")) > MAX_EVENT:
            self.violations.append("an event with more than 32 KiB of output")
        if pid == 0 and self.expects_entrypoint:
            self.unbound.append(status)
            return
        if pid not in self.processes:
            if not self.open_runs:
                self.violations.append(f"a status of process {pid}, which nobody has started")
            self.processes[pid] = Process(pid)
        if self.processes[pid].ended():
            self.violations.append(f"a status of process {pid} after its last")
        self.processes[pid].statuses.append(status)

    def until(self, condition, what, deadline=DEADLINE):
        end = time.monotonic() + deadline
        while not condition():
            self.check()
            if time.monotonic() > end:
                raise Failure(f"{what}: nothing within {deadline} s")
            if self.closed:
                raise Failure(f"{what}: the runtime has closed its output ({self.stderr()[-300:]})")
            self.pump()

    def serve(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.pump(0.02)

    def stderr(self):
        with open(os.path.join(self.workdir, "stderr.txt"), errors="replace") as file:
            return file.read()

    # Requests.

    def send_bytes(self, data):
        self.waiting += data

    def send(self, **command):
        self.last_id += 1
        if "run" in command:
            self.open_runs[self.last_id] = True
        self.send_bytes(messages.frame(messages.encode(messages.REQUEST, {"id": self.last_id, **command})))
        return self.last_id

    def answer(self, number, kind, deadline=DEADLINE):
        self.until(lambda: number in self.answers, f"the answer to {kind}", deadline)
        response = self.answers[number]
        if "error" in response:
            raise Refused(response["error"])
        if kind not in response:
            raise Failure(f"{kind} was answered with {response}")
        return response[kind]

    def request(self, deadline=DEADLINE, **command):
        return self.answer(self.send(**command), next(iter(command)), deadline)

    def hello(self):
        return self.request(hello={"version": "0.2.0"}).get("version", "")

    def begin(self, argv, **more):
        """Starts argv, or `bin` with it as arguments."""
        answer = self.request(run={"bin": more.pop("bin", argv[0] if argv else ""), "args": argv, **more})
        if answer.get("pid", 0) == 0:
            raise Failure("a Run was answered without a pid")
        return self.processes[answer["pid"]]

    def finish(self, process, deadline=DEADLINE):
        self.until(process.ended, f"the end of process {process.pid}", deadline)
        return process

    def run(self, argv, **more):
        return self.finish(self.begin(argv, **more))

    def sh(self, script):
        return self.run(["/bin/sh", "-c", script])

    def says(self, script):
        """The output of a script that must succeed."""
        process = self.sh(script)
        if process.code != 0:
            raise Failure(f"in the VM, {script!r} ended with {process.code}: {process.err.decode(errors='replace')}")
        return process.out.decode(errors="replace")

    def kill(self, pid, number=0):
        self.request(kill={"pid": pid, **({"signal": number} if number else {})})

    # Ends.

    def close_input(self):
        self.program.stdin.close()
        self.waiting = b""

    def exit_code(self, deadline=DEADLINE):
        """Of a runtime that ends by itself; what it still says is read."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            self.pump(0.02)
            if self.program.poll() is not None:
                while not self.closed:
                    self.pump(0.02)
                return self.program.returncode
        raise Failure(f"the runtime did not end within {deadline} s")

    def shutdown(self):
        self.request(shutdown={}, deadline=5)
        code = self.exit_code()
        self.check()
        if code != 0:
            raise Failure(f"the exit code after a shutdown is {code}")

    def check(self):
        if self.violations:
            raise Failure("; ".join(self.violations))

    def family(self):
        """The runtime and all that it has started, as far as it lives."""
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(name)] = int(fields[1])
        found = [self.program.pid] if self.program.pid in parents else []
        for pid in found:
            found += [child for child, parent in parents.items() if parent == pid]
        return found

    def vm_alive(self):
        return len(self.family()) > 1

    def sigkill(self):
        os.kill(self.program.pid, signal.SIGKILL)
