"""Networks (docs/spec/exe-unit.md, Networking). The supervisor's end of a card is a socket here, at which frames are written and read by hand."""

import socket
import struct
import time

from bench import case, equal, expect, holds, refused
from messages import BAD_REQUEST, INET, VPN

OUR_MAC = bytes.fromhex("021122334455")
VPN_NETWORK = {"addr": "192.168.8.1", "mask": "255.255.255.0", "if_addr": "192.168.8.7"}  # with host bits
INET_NETWORK = {"addr": "10.42.42.1", "gateway": "10.42.42.1", "mask": "24", "if_addr": "10.42.42.2"}


def udp():
    """A socket, and the option's value that leads there."""
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.bind(("127.0.0.1", 0))
    return end, f"udp://127.0.0.1:{end.getsockname()[1]}"


def address(text):
    host, port = text.rsplit(":", 1)
    equal(host, "127.0.0.1", "the address that was answered")
    return host, int(port)


def arp_request(wanted, sender="192.168.8.9"):
    return (b"\xff" * 6 + OUR_MAC + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + OUR_MAC + socket.inet_aton(sender) + b"\0" * 6
            + socket.inet_aton(wanted))


class Datagrams:
    def __init__(self, end, peer):
        self.end = end
        end.connect(peer)

    def send(self, frame):
        self.end.send(frame)

    def receive(self):
        return self.end.recv(1 << 16)


class Stream:
    """Frames with their length before them, 4 bytes big-endian."""

    def __init__(self, end):
        self.end, self.data = end, b""

    def send(self, frame):
        self.end.sendall(struct.pack("!I", len(frame)) + frame)

    def receive(self):
        while len(self.data) < 4 or len(self.data) < 4 + struct.unpack("!I", self.data[:4])[0]:
            data = self.end.recv(1 << 16)
            expect(data, "the stream has ended")
            self.data += data
        size = struct.unpack("!I", self.data[:4])[0]
        frame, self.data = self.data[4:4 + size], self.data[4 + size:]
        return frame


def answers_arp(link, wanted="192.168.8.7"):
    """Asks for the address until the card answers, and checks the answer."""
    link.end.settimeout(0.5)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        link.send(arp_request(wanted))
        try:
            frame = link.receive()
            while frame[:6] != OUR_MAC or frame[12:14] != b"\x08\x06":
                frame = link.receive()
        except TimeoutError:
            continue
        mac = b"\x90\x13" + socket.inet_aton(wanted)
        equal((frame[6:12].hex(), frame[22:28].hex(), frame[28:32]), (mac.hex(), mac.hex(), socket.inet_aton(wanted)), "the card's answer")
        return
    expect(False, "the card does not answer")


def two_cards(t):
    """A VM with both cards, its supervisor's ends, and no request yet."""
    vpn, vpn_url = udp()
    inet, inet_url = udp()
    return t.start(t.deploy(), options=["--vpn-endpoint", vpn_url, "--inet-endpoint", inet_url]), vpn, inet


@case("N1", "udp://: the answer is udp_datagram 127.0.0.1:PORT, and one datagram is one Ethernet frame")
def datagrams(t):
    end, url = udp()
    vm = t.start(t.deploy(), options=["--vpn-endpoint", url])
    answer = vm.request(network={"networks": [VPN_NETWORK], "interface": VPN})
    equal(list(answer), ["udp_datagram"], "the endpoint's kind")
    link = Datagrams(end, address(answer["udp_datagram"]))
    answers_arp(link)
    link.send(b"\xff" * 60000)
    link.send(b"short")
    answers_arp(link)  # a frame that is too long or too short does no harm
    vm.shutdown()


@case("N2", "tcp-listen://: the answer is tcp_stream 127.0.0.1:PORT; each frame has its length before it")
def listens(t):
    vm = t.start(t.deploy(), options=["--vpn-endpoint", "tcp-listen://"])
    answer = vm.request(network={"networks": [VPN_NETWORK]})
    equal(list(answer), ["tcp_stream"], "the endpoint's kind")
    with socket.create_connection(address(answer["tcp_stream"]), 2) as end:
        answers_arp(Stream(end))
    equal(vm.says("echo alive"), "alive\n", "the VM whose peer has vanished")
    vm.shutdown()


@case("N3", "tcp-connect://: the runtime connects; each frame has its length before it")
def connects(t):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        vm = t.start(t.deploy(), options=["--vpn-endpoint", f"tcp-connect://127.0.0.1:{listener.getsockname()[1]}"])
        listener.settimeout(10)
        end, _ = listener.accept()
        vm.request(network={"networks": [VPN_NETWORK]})
        with end:
            answers_arp(Stream(end))
    equal(vm.says("echo alive"), "alive\n", "the VM whose peer has vanished")
    vm.shutdown()


@case("N4", "before any request: eth0 for VPN, eth1 for INET, MAC 90:13:00:00:00:01 and …:02")
def names(t):
    vm, _, _ = two_cards(t)
    equal(vm.says("cat /sys/class/net/eth0/address /sys/class/net/eth1/address"), "90:13:00:00:00:01\n90:13:00:00:00:02\n", "the MAC addresses")
    _, url = udp()
    vm = t.start(t.deploy(), options=["--inet-endpoint", url])
    equal(vm.says("cd /sys/class/net; ls -d eth*; cat eth1/address"), "eth1\n90:13:00:00:00:02\n", "the INET card alone")


@case("N5", "network: addr 1 masked, mask 3 as address or length, if_addr 4, interface 3; MAC, MTU, route")
def configured(t):
    vm, _, _ = two_cards(t)
    vm.request(network={"networks": [INET_NETWORK], "interface": INET})
    vm.request(network={"networks": [VPN_NETWORK], "interface": VPN})
    for card, mac, ip, mtu in (("eth0", "90:13:c0:a8:08:07", "192.168.8.7/24", 1220), ("eth1", "90:13:0a:2a:2a:02", "10.42.42.2/24", 65280)):
        shown = vm.says(f"ip addr show {card}")
        for part in (mac, ip, f"mtu {mtu}", ",UP"):
            holds(shown, part, card)
    routes = vm.says("ip route")
    holds(routes, "192.168.8.0/24 dev eth0", "the routes")
    holds(routes, "default via 10.42.42.1 dev eth1", "the routes")  # gateway 2


@case("N11", "a VPN's gateway is a less preferred route; the card's own stays, so members of the network reach each other")
def gateway(t):
    vm, _, _ = two_cards(t)
    vm.request(network={"networks": [{**VPN_NETWORK, "gateway": "192.168.8.1"}], "interface": VPN})
    routes = vm.says("ip route")
    holds(routes, "192.168.8.0/24 dev eth0 scope link", "the routes")
    holds(routes, "192.168.8.0/24 via 192.168.8.1 dev eth0  metric 101", "the routes")
    vm.request(network={"networks": [{"addr": "fd00:8::", "mask": "64", "if_addr": "fd00:8::7", "gateway": "fd00:8::1"}]})
    holds(vm.says("ip -6 route get fd00:8::9"), "fd00:8::9 dev eth0", "the route to a member")


@case("N6", "several networks, in one request and over time, and IPv6")
def several(t):
    vm, _, _ = two_cards(t)
    vm.request(network={"networks": [VPN_NETWORK, {"addr": "192.168.9.0", "mask": "25", "if_addr": "192.168.9.3"}]})
    vm.request(network={"networks": [{"addr": "fd00:8::", "mask": "64", "if_addr": "fd00:8::7"}]})
    shown = vm.says("ip addr show eth0")
    for part in ("192.168.8.7/24", "192.168.9.3/25", "fd00:8::7/64"):
        holds(shown, part, "eth0")
    vm, _, _ = two_cards(t)
    vm.request(network={"networks": [{"addr": "fd00:8::", "mask": "64", "if_addr": "fd00:8::a1b2:c3d4"}]})
    equal(vm.says("cat /sys/class/net/eth0/address"), "90:13:a1:b2:c3:d4\n", "the MAC address of an IPv6 address")


@case("N7", "network.hosts 2 are added to /etc/hosts")
def hosts(t):
    vm, _, _ = two_cards(t)
    for number, name in enumerate(("left", "right.example")):
        vm.request(network={"networks": [VPN_NETWORK], "hosts": [{"key": name, "value": f"192.168.8.{number}"}]})
    for name in ("left", "right.example", "localhost"):
        holds(vm.says("cat /etc/hosts"), name, "/etc/hosts")


@case("N8", "a request for a card that was not given at start is a BAD_REQUEST")
def no_card(t):
    for interface in (VPN, INET):
        refused(lambda interface=interface: t.vm.request(network={"networks": [VPN_NETWORK], "interface": interface}), BAD_REQUEST)
    equal(t.vm.says("echo alive"), "alive\n", "the VM")


@case("N9", "an address, mask, gateway or interface that is none is a BAD_REQUEST, and the VM goes on")
def bad(t):
    vm, _, _ = two_cards(t)
    for change in ({"if_addr": "192.168.8"}, {"mask": "33"}, {"mask": "255.0.255.0"}, {"addr": "fd00::"}, {"gateway": "somewhere"}):
        refused(lambda change=change: vm.request(network={"networks": [{**VPN_NETWORK, **change}]}), BAD_REQUEST)
    refused(lambda: vm.request(network={"networks": [VPN_NETWORK], "interface": 7}), BAD_REQUEST)
    vm.request(network={"networks": [VPN_NETWORK]})


@case("N10", "/etc/resolv.conf always says 1.1.1.1 and 8.8.8.8")
def name_servers(t):
    servers = [line.split()[1] for line in t.vm.says("cat /etc/resolv.conf").splitlines() if line.startswith("nameserver")]
    equal(servers, ["1.1.1.1", "8.8.8.8"], "the name servers")
