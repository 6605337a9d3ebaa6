#!/usr/bin/env python3
"""What a VM under ya-runtime-dbg reaches with --outbound, through the real passt: servers in a network namespace that only this test sees.

test_dbg_outbound.py BIN IMAGES    (root; skipped otherwise)
"""

import contextlib
import http.server
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

SKIPPED = 77
BIN, IMAGES = (os.path.abspath(path) for path in sys.argv[1:3])
API, OTHER, MOVED = "203.0.113.5", "203.0.113.6", "203.0.113.7"
RESOLVERS = ["127.0.0.1", "1.1.1.1", "8.8.8.8", "198.51.100.53"]  # the machine's, the guest's, one that no provider passes
NAMES = {"api.example.org": API, "other.example.org": OTHER}
ASKED = []  # (name server, name)


def enter_namespaces():
    """Runs this program again where there is no network but what it makes."""
    if os.geteuid() != 0:
        print("needs root, for a network namespace")
        sys.exit(SKIPPED)
    os.environ["OUTBOUND_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])


def make_network(folder):
    ip = [["link", "set", "lo", "up"], ["link", "add", "world", "type", "bridge"], ["link", "set", "world", "up"],
          ["address", "add", "192.0.2.2/24", "dev", "world"], ["route", "add", "default", "via", "192.0.2.1", "dev", "world"]]
    ip += [["address", "add", address + "/32", "dev", "world"] for address in [API, OTHER, MOVED] + RESOLVERS[1:]]
    for arguments in ip:
        subprocess.run(["ip", *arguments], check=True)
    with open("/proc/sys/net/ipv4/ping_group_range", "w", encoding="ascii") as file:
        file.write("0 2147483647")  # by which passt sends pings; what distributions set
    resolv = os.path.join(folder, "resolv.conf")
    with open(resolv, "w", encoding="ascii") as file:
        file.write("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", resolv, os.path.realpath("/etc/resolv.conf")], check=True)


def serve_dns(address):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    while True:
        query, peer = server.recvfrom(2000)
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind = ".".join(labels).lower(), struct.unpack(">H", query[at + 1:at + 3])[0]
        ASKED.append((address, name))
        found = [NAMES[name]] if name in NAMES and kind == 1 else []
        head = query[:2] + struct.pack(">HHHHH", 0x8180 if name in NAMES else 0x8183, 1, len(found), 0, 0)
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton(a) for a in found)
        server.sendto(head + query[12:at + 5] + records, peer)


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write("page of {}:{}\n".format(*self.server.server_address).encode())

    def log_message(self, *_):
        pass


def serve_world():
    for address in RESOLVERS:
        threading.Thread(target=serve_dns, args=[address], daemon=True).start()
    for end in [(API, 80), (API, 8080), (OTHER, 80), (MOVED, 80), ("127.0.0.1", 80)]:
        threading.Thread(target=http.server.ThreadingHTTPServer(end, Page).serve_forever, daemon=True).start()


def passts():
    """The passt processes of this network namespace."""
    found = []
    own = os.readlink("/proc/self/ns/net")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/exe").rpartition("/")[2].startswith("passt") and os.readlink(f"/proc/{pid}/ns/net") == own:
                found.append(int(pid))
    return found


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not come true")
        time.sleep(0.05)


class Outbound(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        NAMES["moving.example.org"] = API
        ASKED.clear()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def argv(self, script, *options):
        return [f"{BIN}/ya-runtime-dbg", "-t", f"{IMAGES}/curl.gvmi", "--exec-shell", "sh", *options, "--exec", script, "--", "--accel", "tcg"]

    def run_in_vm(self, script, *options):
        done = subprocess.run(self.argv(script, *options), capture_output=True, text=True, timeout=120, check=False)
        until(lambda: not passts())
        return done

    def manifest(self, urls, **out):
        path = self.path("manifest.json")
        allowed = {"protocols": sorted({url.split(":")[0] for url in urls}), "urls": urls, **out}
        with open(path, "w", encoding="ascii") as file:
            json.dump({
                "version": "0.1.0", "createdAt": "2020-01-01T00:00:00Z", "expiresAt": "2999-01-01T00:00:00Z",
                "payload": [{"urls": ["http://example.org/image"], "hash": "sha3:" + 56 * "0"}],
                "compManifest": {"version": "0.1.0", "net": {"inet": {"out": allowed}}}}, file)
        return path

    def test_manifest(self):
        manifest = self.manifest(["http://api.example.org", "http://moving.example.org:8080"])
        script = f"""
            get() {{ curl -s -m 20 "$1" || echo "no $1"; }}
            get http://api.example.org/; get http://{API}/
            nslookup other.example.org 1.1.1.1 > /dev/null
            get http://other.example.org/; get http://api.example.org:81/; get http://{MOVED}/
            timeout 2 nslookup api.example.org 198.51.100.53 > /dev/null 2>&1 || echo no other resolver
            get http://127.0.0.2/; get http://10.42.42.1/; ping -c 1 -W 1 {API} > /dev/null || echo no ping"""
        done = self.run_in_vm(script, "--outbound", manifest)
        said = done.stderr
        self.assertEqual(done.stdout.count(f"page of {API}:80\n"), 2, done)
        self.assertEqual(done.stdout.count("page of "), 2, done)
        for line in ["no http://other.example.org/", "no http://api.example.org:81/", f"no http://{MOVED}/", "no other resolver", "no ping"]:
            self.assertIn(line, done.stdout, done)
        add = "add it by `gvmi manifest add-outbound "
        for line in [f"blocked: tcp {OTHER}:80, asked for as other.example.org: {add}http://other.example.org`",
                     f"blocked: tcp {API}:81, asked for as api.example.org: {add}tcp://api.example.org:81`",
                     f"blocked: tcp {MOVED}:80, not asked for by a name: {add}http://{MOVED}`",
                     "blocked: udp 198.51.100.53:53, not asked for by a name: not one of the name servers",
                     "blocked: tcp 10.42.42.1:80, not asked for by a name: it is no address outside",
                     f"blocked: icmp {API}, asked for as api.example.org: a provider passes TCP and UDP alone"]:
            self.assertEqual(said.count(line), 1, said)
        self.assertNotIn("198.51.100.53", [server for server, _ in ASKED])

    def test_addresses_that_change(self):
        manifest = self.manifest(["http://moving.example.org"])
        script = "echo up; read line; curl -s http://moving.example.org/ || echo no"
        with subprocess.Popen(self.argv(script, "--outbound", manifest), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as debugger:
            self.assertEqual(debugger.stdout.readline(), "up\n")
            NAMES["moving.example.org"] = MOVED
            out, said = debugger.communicate("go on\n", timeout=120)
        until(lambda: not passts())
        self.assertEqual(out, "no\n", said)
        self.assertIn(f"blocked: tcp {MOVED}:80, asked for as moving.example.org: the manifest has it, but at the start it had other", said)

    def test_all_and_record(self):
        record = self.path("urls")
        script = f"curl -s http://other.example.org/; curl -s http://{MOVED}/; curl -s http://api.example.org:8080/; ping -c 1 {API} > /dev/null && echo pong"
        done = self.run_in_vm(script, "--outbound", "all", "--record", record)
        self.assertEqual(done.stdout, f"page of {OTHER}:80\npage of {MOVED}:80\npage of {API}:8080\npong\n", done)
        self.assertNotIn("blocked", done.stderr)
        with open(record, encoding="ascii") as file:
            urls = file.read().splitlines()
        self.assertEqual(urls, ["http://203.0.113.7", "http://other.example.org", "tcp://api.example.org:8080"])
        manifest = self.manifest([])
        subprocess.run([f"{BIN}/gvmi", "manifest", "add-outbound", "--manifest", manifest, *urls], check=True, stdout=subprocess.DEVNULL)
        again = self.run_in_vm(script.rpartition(";")[0], "--outbound", manifest)
        self.assertEqual(again.stdout, done.stdout.replace("pong\n", ""), again)

    def test_unrestricted(self):
        done = self.run_in_vm(f"curl -s http://{MOVED}/", "--outbound", self.unrestricted())
        self.assertEqual(done.stdout, f"page of {MOVED}:80\n", done)

    def unrestricted(self):
        path = self.manifest([])
        with open(path, encoding="ascii") as file:
            manifest = json.load(file)
        manifest["compManifest"]["net"]["inet"]["out"] = {"unrestricted": {"urls": True}}
        with open(path, "w", encoding="ascii") as file:
            json.dump(manifest, file)
        return path

    def test_names_without_an_address(self):
        done = self.run_in_vm("true", "--outbound", self.manifest(["http://nowhere.example.org"]))
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("cannot look up 'nowhere.example.org'", done.stderr.replace('"', "'"))

    def test_killed(self):
        with subprocess.Popen(self.argv("echo up; sleep 1000", "--outbound", "all"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as debugger:
            self.assertEqual(debugger.stdout.readline(), b"up\n")
            self.assertEqual(len(passts()), 1)
            debugger.send_signal(signal.SIGKILL)
            debugger.wait()
        until(lambda: not passts())


if __name__ == "__main__":
    if "OUTBOUND_INSIDE" not in os.environ:
        enter_namespaces()
    with tempfile.TemporaryDirectory() as settings:
        make_network(settings)
        serve_world()
        unittest.main(argv=sys.argv[:1] + sys.argv[3:])
