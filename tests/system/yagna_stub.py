"""A yagna whose REST interface does what an SDK needs until its demand is on the market. No offer ever comes, so nothing is rented and paid."""

import contextlib
import http.server
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import urllib.parse

KEY = "key-of-the-test"
IDENTITY = {"identity": "0x" + "12" * 20, "name": "test", "role": "manager"}
PLATFORM = "erc20-holesky-tglm"
SECONDS = 120  # after which something hangs
LATER = "2099-01-01T00:00:00.000Z"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):  # pylint: disable=redefined-builtin
        self.server.log.append(format % arguments)

    def reply(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def body(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "null")

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        if path == "/me":
            self.reply(IDENTITY)
        elif path == "/version/get":
            self.reply({"current": {"version": "0.17.0", "name": "yagna", "seen": True, "releaseTs": LATER, "insertionTs": LATER, "updateTs": None},
                        "pending": None})
        elif path == "/payment-api/v1/requestorAccounts":
            self.reply([{"platform": PLATFORM, "address": IDENTITY["identity"], "driver": "erc20", "network": "holesky", "token": "tGLM",
                         "send": True, "receive": False}])
        elif path == "/payment-api/v1/demandDecorations":
            self.reply({"properties": [{"key": f"golem.com.payment.platform.{PLATFORM}.address", "value": IDENTITY["identity"]}],
                        "constraints": [f"(golem.com.payment.platform.{PLATFORM}.address=*)"]})
        else:  # what waits for events gets none
            time.sleep(0.2)
            self.reply([])

    def do_POST(self):
        path = urllib.parse.urlsplit(self.path).path
        body = self.body()
        if path == "/market-api/v1/demands":
            self.server.demands.append(body)
            self.reply("demand-1", 201)
        elif path == "/payment-api/v1/allocations":
            self.reply({**body, "allocationId": "allocation-1", "spentAmount": "0", "remainingAmount": body["totalAmount"], "timestamp": LATER,
                        "address": IDENTITY["identity"], "paymentPlatform": PLATFORM}, 201)
        elif path == "/net-api/v1/net":
            self.reply({"mask": "255.255.255.0", **body, "id": "network-1"}, 201)
        else:
            self.reply("done", 201)

    def do_DELETE(self):
        self.reply("OK")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """An SDK that is killed leaves its requests."""


@contextlib.contextmanager
def yagna():
    """Serves; `demands` and `log` are lists, `url` is its address."""
    server = Server(("127.0.0.1", 0), Handler)
    server.demands, server.log, server.url = [], [], f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


GFTP = """#!/usr/bin/env python3
import json, sys
for line in sys.stdin:
    print(json.dumps({"jsonrpc": "2.0", "id": json.loads(line)["id"], "result": "0.17.0"}), flush=True)
"""


def demand_of(command, **options):
    """Runs a requestor's program until its demand has come, and ends it. The demand, with its constraints as a list."""
    with yagna() as server, tempfile.TemporaryDirectory(prefix="gvmkit-gftp.") as tools:
        gftp = pathlib.Path(tools, "gftp")  # yapapi starts it, and asks for no more than its version before the demand
        gftp.write_text(GFTP, encoding="ascii")
        gftp.chmod(0o755)
        environment = dict(options.pop("env", os.environ))
        environment |= {"PATH": f"{tools}:{environment['PATH']}", "YAGNA_APPKEY": KEY, "YAGNA_API_URL": server.url, "YAGNA_API_BASEPATH": server.url}
        with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              start_new_session=True, text=True, **options) as process:
            try:
                deadline = time.monotonic() + SECONDS
                while not server.demands:
                    if process.poll() is not None or time.monotonic() > deadline:
                        process.kill()
                        raise AssertionError(f"no demand came from {command}: {process.stdout.read()}\n" + "\n".join(server.log))
                    time.sleep(0.05)
            finally:
                process.kill()
        demand = server.demands[0]
        return {"properties": demand["properties"], "constraints": sorted(re.findall(r"\([^()&|]+\)", demand["constraints"]))}
