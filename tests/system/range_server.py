"""A web server of one file, with ranges, that fails as a test says, and counts what it sends."""

import http.server
import os
import random
import re
import socket
import threading
import time

# What a server can do in place of the right answer.
FAULTS = ("down", "stall", "cut", "wrong bytes", "wrong length", "whole", "endless", "circle", "private", "busy", "other range", "garbage")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server.owner
        if server.delay:
            time.sleep(server.delay)
        fault = server.choose_fault()
        if fault == "down":
            self.close_connection = True
            return
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first = int(match[1]) if match else 0
        last = min(int(match[2]), server.size - 1) if match and match[2] else server.size - 1
        if fault:
            self.close_connection = True
            getattr(self, "do_" + fault.replace(" ", "_"))(server, first, last)
            return
        self.head(206 if match else 200, first, last, server.size, last - first + 1)
        server.count(first, last)
        self.send_file(server, first, last - first + 1)

    do_HEAD = do_GET

    def head(self, status, first, last, total, length):
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{last}/{total}")
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def send_file(self, server, first, length):
        self.wfile.flush()
        try:
            while length > 0 and not server.cut_all:
                sent = os.sendfile(self.connection.fileno(), server.fd, first, min(length, 1 << 18))
                server.sent += sent
                first, length = first + sent, length - sent
            if length > 0:
                self.close_connection = True
        except OSError:
            self.close_connection = True

    def do_stall(self, server, first, last):
        self.head(206, first, last, server.size, last - first + 1)
        self.send_file(server, first, (last - first + 1) // 2)
        server.released.wait(30)

    def do_cut(self, server, first, last):
        self.head(206, first, last, server.size, last - first + 1)
        self.send_file(server, first, (last - first + 1) // 2)

    def do_wrong_bytes(self, server, first, last):
        self.head(206, first, last, server.size, last - first + 1)
        data = bytearray(os.pread(server.fd, last - first + 1, first))
        data[len(data) // 3] ^= 0x40
        self.wfile.write(data)

    def do_wrong_length(self, server, first, last):
        self.head(206, first, last, server.size, last - first + 101)
        self.send_file(server, first, last - first + 1)
        self.wfile.write(bytes(100))

    def do_whole(self, server, first, last):
        self.head(200, 0, server.size - 1, server.size, server.size)
        self.send_file(server, 0, server.size)

    def do_endless(self, server, first, last):
        self.head(206, first, last, server.size, None)
        self.send_file(server, first, last - first + 1)
        while True:
            self.wfile.write(bytes(1 << 16))

    def do_circle(self, server, first, last):
        self.redirect("/again")

    def do_private(self, server, first, last):
        self.redirect("http://169.254.169.254/latest/meta-data")

    def redirect(self, where):
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_busy(self, server, first, last):
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_other_range(self, server, first, last):
        self.head(206, first + 1, last, server.size, last - first)
        self.send_file(server, first + 1, last - first)

    def do_garbage(self, server, first, last):
        self.wfile.write(random.randbytes(5000))


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that has gone


class RangeServer:
    """Serves `path` at .url until close(). `fault(n)`, asked with each request's number, names one of FAULTS or None."""

    def __init__(self, path, address="127.0.0.1", port=0, delay=0.0, fault=lambda n: None):
        self.path, self.delay, self.fault = path, delay, fault
        self.fd = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self.fd).st_size
        self.sent = 0  # bytes of right answers
        self.requests = []  # (first, last) of right answers
        self.cut_all = False  # ends the answers under way
        self.released = threading.Event()
        self.lock = threading.Lock()
        self.number = 0
        self.server = Quiet((address, port), Handler)
        self.server.owner = self
        self.server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://{address}:{self.server.server_port}/{os.path.basename(path)}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def choose_fault(self):
        with self.lock:
            self.number += 1
            return self.fault(self.number)

    def count(self, first, last):
        with self.lock:
            self.requests.append((first, last))

    def close(self):
        self.cut_all = True
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        os.close(self.fd)
