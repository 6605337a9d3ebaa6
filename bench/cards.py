"""Network cards: throughput and latency between a VM and a process with an IP stack of its own (peer.cpp), and between two VMs. The reference
is two such processes on one link, so that what it lacks is the VM."""

import contextlib
import json
import re
import statistics
import subprocess
import time

import reference
import vms

# The cards by the names of their figures: option, number in the protocol, MTU (runtime/network/links.cpp).
CARDS = {"VPN card": ("--vpn-endpoint", 0, 1220), "INET card": ("--inet-endpoint", 1, 65280)}
OURS, THEIRS = "10.9.0.2", "10.9.0.1"
ANSWER_S = 30
TRIES = 25


class Peer:
    """A bench_peer; see there for what it does."""

    def __init__(self, build, sockets, *arguments):
        self.process = subprocess.Popen([f"{build}/bench/bench_peer", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=reference.die_with_parent)
        self.ports = [int(self.process.stdout.readline()) for _ in range(sockets)]

    def connect(self, *ports):
        self.process.stdin.write("".join(f"{port}\n" for port in ports))
        self.process.stdin.flush()

    def output(self):
        """What the command of a stack wrote, when it has ended. iperf3 says in its output when it has failed."""
        text = self.process.stdout.read()
        self.process.wait(ANSWER_S)
        return text

    def close(self):
        self.process.stdin.close()
        self.process.wait(ANSWER_S)
        self.process.stdout.close()


@contextlib.contextmanager
def peer(build, sockets, *arguments):
    result = Peer(build, sockets, *arguments)
    try:
        yield result
    finally:
        result.close()


def cpu(runtime):
    return vms.cpu_seconds(runtime) + vms.cpu_seconds(vms.qemu_of(runtime))


def iperf3(seconds, *options):
    return " ".join(["/usr/bin/iperf3", "--json", "--client", THEIRS, "--connect-timeout", "5000", "--time", str(seconds), *options])


def received(text):
    """Bytes that iperf3's receiver saw, and the seconds that it took; None where the other iperf3 was not there yet."""
    answer = json.loads(text)
    if "unable to connect" in answer.get("error", ""):
        return None
    seen = answer["end"].get("sum_received")
    if not seen:
        raise RuntimeError(text)
    return seen["bytes"], seen["seconds"]


def transfer(ask, seconds, *options):
    """Bytes per second."""
    for _ in range(TRIES):
        seen = received(ask(iperf3(seconds, *options)))
        if seen:
            return seen[0] / seen[1]
        time.sleep(0.2)
    raise RuntimeError("the other iperf3 does not answer")


def round_trip(text):
    """The median of what ping saw, in seconds."""
    return statistics.median(float(time) for time in re.findall(r" time=([\d.]+) ms", text)) / 1000


def measure(ask, name, seconds, result, backwards):
    """One measurement of each kind. `ask` runs a command at this end and returns its output; at the other end an iperf3 serves."""
    result.setdefault(name + ", sent", []).append(transfer(ask, seconds))
    if backwards:
        result.setdefault(name + ", received", []).append(transfer(ask, seconds, "--reverse"))
    result.setdefault(name + ", round trip", []).append(round_trip(ask(f"/usr/bin/ping -c 200 -i 0.005 -W 5 {THEIRS}")))


def measure_to_peer(machine, name, runs, seconds):
    """Between a VM and a process; and what the VM's processes take for a byte that it sends."""
    option, interface, mtu = CARDS[name]
    result, used = {}, name + ", CPU per GB sent"
    with (peer(machine.build, 1, "stack", THEIRS + "/24", str(mtu), "iperf3", "--server", "--logfile", "/dev/null") as other,
          machine.bare_vms("--task-package", machine.measuring_image, option, f"udp://127.0.0.1:{other.ports[0]}") as driver):
        runtime = driver.start()[0]["pid"]
        other.connect(driver.network(0, interface, OURS))

        def ask(command):
            before = cpu(runtime)
            text = driver.ask(0, command)
            if "iperf3" in command and "--reverse" not in command and received(text):
                result.setdefault(used, []).append((cpu(runtime) - before) / (received(text)[0] / 1e9))
            return text
        for _ in range(runs):
            measure(ask, name, seconds, result, True)
        driver.end()
    return result


def measure_between_vms(machine, name, runs, seconds):
    option, interface, _ = CARDS[name]
    result = {}
    with (peer(machine.build, 2, "join") as wire, machine.bare_vms("--task-package", machine.measuring_image) as driver):
        for port in wire.ports:
            driver.start(1, option, f"udp://127.0.0.1:{port}")
        wire.connect(*(driver.network(vm, interface, address) for vm, address in enumerate((OURS, THEIRS))))
        driver.ask(1, "/usr/bin/iperf3 --server --daemon")
        for _ in range(runs):
            measure(lambda command: driver.ask(0, command), name + ", VM to VM", seconds, result, False)
        driver.end()
    return result


def measure_reference(build, name, runs, seconds):
    """Two processes, once directly on one link and once with what joins two VMs."""
    mtu = str(CARDS[name][2])
    result = {}

    def ask(command, joined):
        with (peer(build, 1, "stack", THEIRS + "/24", mtu, "iperf3", "--server", "--logfile", "/dev/null") as other,
              peer(build, 1, "stack", OURS + "/24", mtu, *command.split()) as one):
            if not joined:
                other.connect(*one.ports)
                one.connect(*other.ports)
                return one.output()
            with peer(build, 2, "join") as wire:
                one.connect(wire.ports[0])
                other.connect(wire.ports[1])
                wire.connect(*one.ports, *other.ports)
                return one.output()
    for _ in range(runs):
        measure(lambda command: ask(command, False), name, seconds, result, True)
        measure(lambda command: ask(command, True), name + ", VM to VM", seconds, result, False)
    return result
