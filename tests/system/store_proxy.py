"""A proxy before an S3 server that fails as a test says. What it passes on it does not change, so signatures stay valid."""

import http.client
import http.server
import socketserver
import threading

REFUSALS = {"slow down": (503, b"<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"),
            "deny": (403, b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")}
PIECE = 64 << 10


class StoreProxy:
    """`fault(method, path)` gives, for each request, None, "slow down" (503), "deny" (403), "cut" or "wrong" (of a GET: the middle of the answer is missing, or
    has another byte), or "hang" (until the proxy closes)."""

    def __init__(self, port, fault=lambda method, path: None):
        self.target, self.fault, self.requests = port, fault, []
        self.logins = 0  # requests with a signature in the URL that have another login, too
        self.closing = threading.Event()
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_any(self):
                proxy.handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def handle(self, request):
        self.requests.append((request.command, request.path))
        self.logins += "X-Amz-Signature=" in request.path and "Authorization" in request.headers
        fault = self.fault(request.command, request.path)
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        if fault == "hang":
            self.closing.wait()
        if fault in REFUSALS:
            status, text = REFUSALS[fault]
            request.send_response(status)
            request.send_header("Content-Length", str(len(text)))
            request.end_headers()
            request.wfile.write(b"" if request.command == "HEAD" else text)
            return
        target = http.client.HTTPConnection("127.0.0.1", self.target, timeout=60)
        target.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            target.putheader(name, value)
        target.endheaders(body or None)
        answer = target.getresponse()
        request.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in ("date", "server", "connection", "transfer-encoding"):
                request.send_header(name, value)
        request.end_headers()
        length, sent = int(answer.headers.get("Content-Length", 0)), 0
        while piece := answer.read(PIECE):
            middle = sent <= length // 2 < sent + len(piece)
            if fault == "cut" and middle and request.command == "GET":
                request.close_connection = True
                break
            if fault == "wrong" and middle and request.command == "GET":
                piece = bytes([piece[0] ^ 1]) + piece[1:]
            request.wfile.write(piece)
            sent += len(piece)
        target.close()
