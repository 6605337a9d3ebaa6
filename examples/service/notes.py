"""Keeps notes: POST adds a line, GET returns all."""

import http.server
import os
import pathlib

NOTES = pathlib.Path("/golem/output/notes.txt")


class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, body=b""):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.reply(NOTES.read_bytes() if NOTES.exists() else b"")

    def do_POST(self):
        with NOTES.open("ab") as file:
            file.write(self.rfile.read(int(self.headers["Content-Length"])) + b"\n")
        self.reply()


server = http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler)
print("listening on", os.environ["PORT"])
server.serve_forever()
