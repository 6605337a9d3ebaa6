"""A TCP proxy before a registry that knows what passes: bytes of uploads, and which chunk which client sent and had confirmed. What goes to
clients it can hold back."""

import contextlib
import re
import socket
import threading

CHUNK = re.compile(rb'name="chunk-no"\r\n\r\n(?:\r\n)?(?:[0-9a-f]+\r\n)?(\d+)\r\n')  # `gvmkit-build` 0.3 puts each value into an HTTP chunk of its own
ANSWER = re.compile(rb"HTTP/1\.1 (\d\d\d)")
OVERLAP = 120  # bytes of the last block that a match may begin in


class Proxy:
    def __init__(self, url):
        host, port = url.rsplit("/", 1)[1].split(":")
        self.target = (host, int(port))
        self.lock = threading.Lock()
        self.bytes = 0    # from clients to the registry
        self.client = 0   # the number of the client whose connections come now
        self.events = []  # ("sent" or "stored", chunk number, client) and ("killed", None, client), in order
        self.room = threading.Condition()
        self.left = float("inf")  # bytes that may still pass to clients
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)

    def allow(self, bytes_to_clients):
        """So many, to the next 256 KiB, pass from now on; then clients wait."""
        with self.room:
            self.left = bytes_to_clients
            self.room.notify_all()

    def client_killed(self):
        """What connects from now on is the next client."""
        with self.lock:
            self.events.append(("killed", None, self.client))
            self.client += 1

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.serve, args=(connection, self.client), daemon=True).start()

    def serve(self, connection, client):
        pending = []
        with contextlib.suppress(OSError), connection, socket.create_connection(self.target) as server:
            answers = threading.Thread(target=self.pump, args=(server, connection, lambda data: self.answer(data, pending, client), self.take), daemon=True)
            answers.start()
            self.pump(connection, server, lambda data: self.request(data, pending, client))
            answers.join()

    def take(self, count):
        with self.room:
            self.room.wait_for(lambda: self.left > 0)
            self.left -= count

    @staticmethod
    def pump(source, target, look, take=lambda count: None):
        tail = b""
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 18):
                tail = look(tail + data)
                take(len(data))
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def request(self, data, pending, client):
        end = 0
        with self.lock:
            for match in CHUNK.finditer(data):
                end = match.end()
                pending.append(int(match[1]))
                self.events.append(("sent", int(match[1]), client))
            rest = data[max(end, len(data) - OVERLAP):]
            self.bytes += len(data) - len(rest)
        return rest

    def answer(self, data, pending, client):
        end = 0
        with self.lock:
            for match in ANSWER.finditer(data):
                end = match.end()
                if match[1] == b"200" and pending:
                    self.events.append(("stored", pending.pop(0), client))
        return data[max(end, len(data) - 12):]

    def count(self, kind):
        with self.lock:
            return sum(event[0] == kind for event in self.events)

    def sent_again(self):
        """Chunks that a client sent though they had been confirmed, to it or to one before it that still lived then."""
        confirmed, killed, again = set(), set(), []
        with self.lock:
            for kind, number, client in self.events:
                if kind == "killed":
                    killed.add(client)
                elif kind == "stored" and client not in killed:
                    confirmed.add(number)
                elif kind == "sent" and client not in killed and number in confirmed:
                    again.append(number)
        return again
