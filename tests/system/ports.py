"""Ports for servers that have to be told theirs."""

import random
import socket

LEAST = 11000  # browsers refuse some below
DICE = random.SystemRandom()


def free_port():
    """One on which nobody listens, out of those that the kernel gives neither to a connection nor to who asks for any: so nobody has it by chance
    when its server starts, or starts again."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first, last = map(int, file.read().split())
    ports = [port for port in range(LEAST, 1 << 16) if not first <= port <= last] or range(first, last + 1)
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", DICE.choice(ports)))
                return probe.getsockname()[1]
            except OSError:
                pass  # somebody has it
