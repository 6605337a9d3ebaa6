"""What a case works with: the list of cases, calls of the runtime, workdirs, and a VM that cases share."""

import json
import os
import subprocess
import tempfile

import supervisor
from supervisor import DEADLINE, Failure, Refused

CASES = []


def case(number, what):
    """Registers a function as a case; the number's first part is the part of the contract that it belongs to (run.py)."""
    def register(function):
        CASES.append((number, what, function))
        return function
    return register


def expect(condition, text):
    if not condition:
        raise Failure(text)


def equal(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: {found!r}, not {wanted!r}")


def holds(text, part, what):
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    if part not in text:
        raise Failure(f"{what} does not hold {part!r}: {text[-500:]!r}")


def refused(request, code=None, parts=()):
    """The request must be answered with an error of this code, whose message holds these parts."""
    try:
        request()
    except Refused as error:
        if code is not None:
            equal(error.code, code, f"the code of {error.message!r}")
        for part in parts:
            holds(error.message, part, "the error's message")
        expect(error.message, "an error without a message")
        return error.message
    raise Failure("it was accepted")


class Output:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err


class Deployment:
    def __init__(self, workdir, arguments, answer):
        self.workdir, self.arguments, self.answer = workdir, arguments, answer

    @property
    def volumes(self):
        """Host folder of each volume, by its path in the VM."""
        return {volume["path"]: os.path.join(self.workdir, volume["name"]) for volume in self.answer["vols"]}


class Bench:
    def __init__(self, runtime, images, extra, work):
        self.runtime, self.images, self.extra = os.path.abspath(runtime), os.path.abspath(images), extra
        self.work = os.path.realpath(tempfile.mkdtemp(prefix="exeunit-", dir=work))
        self.shared = None
        self.started = []

    def image(self, name):
        return os.path.join(self.images, name + ".gvmi")

    def folder(self):
        return tempfile.mkdtemp(dir=self.work)

    def call(self, arguments, cwd=None, environment=None, deadline=DEADLINE):
        """Runs the runtime to its end, and to the end of its outputs, which nothing that it leaves may hold open."""
        program = subprocess.Popen([self.runtime, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   cwd=cwd or self.folder(), env={**os.environ, **(environment or {})}, process_group=0)
        try:
            out, err = program.communicate(timeout=deadline)
        except subprocess.TimeoutExpired:
            program.kill()
            raise Failure(f"{arguments} did not end, or left its outputs open, within {deadline} s") from None
        return Output(program.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    def deploy(self, image="plain", options=(), workdir=None, more=(), environment=None):
        """Deploys; `options` are given to `start` too, `more` and the environment are not."""
        workdir = workdir or self.folder()
        arguments = ["--workdir", workdir, "--task-package", self.image(image), *options, *self.extra]
        output = self.call([*arguments, *more, "deploy", "--"], cwd=workdir, environment=environment)
        if output.code != 0:
            raise Failure(f"deploy ended with {output.code}: {output.err}")
        return Deployment(workdir, arguments, json.loads(output.out))

    def start(self, deployment, options=(), arguments=(), hello=True):
        runtime = supervisor.Runtime([self.runtime, *deployment.arguments, *options, "start", *arguments], deployment.workdir, dict(os.environ))
        runtime.expects_entrypoint = "start-entrypoint" in arguments
        self.started.append(runtime)
        if hello:
            runtime.hello()
        return runtime

    def up(self, image="plain", options=(), more=()):
        """Deploys and starts."""
        return self.start(self.deploy(image, options, more=more))

    @property
    def vm(self):
        """A VM of the plain image, for cases that leave it as it was."""
        if not self.shared or self.shared.closed or self.shared.violations:
            self.shared = self.up()
        return self.shared

    def end_case(self):
        """Ends what the case started, except for the shared VM; returns what a supervisor would have stumbled over."""
        violations = []
        for runtime in self.started:
            violations += runtime.violations
            if runtime is not self.shared or runtime.closed or runtime.violations:
                runtime.end()
        self.started = [runtime for runtime in self.started if runtime.program.returncode is None]
        return violations

    def end(self):
        if self.shared:
            self.shared.end()
