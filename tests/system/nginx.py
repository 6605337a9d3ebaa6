"""nginx before several servers, as docs/run-a-registry.md has it."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from ports import free_port

CONFIG = """daemon off; worker_processes 1; {user} pid {folder}/pid; error_log {folder}/log crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3; uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    client_header_timeout {timeout}; client_body_timeout {timeout}; lingering_time 1s;
    upstream registry {{ {upstream} keepalive 32; keepalive_timeout 2s; }}
    server {{
        listen 127.0.0.1:{port} {tls};
        {certificate}
        client_max_body_size 0;
        proxy_request_buffering off;
        proxy_buffering off;
        location / {{
            proxy_pass {scheme}://registry;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_read_timeout 300s;
        }}
    }}
}}
"""


class Nginx:
    """Before `servers`, which have ports. Of their options `options` it has the time-out, and the certificate, as they do."""

    def __init__(self, servers, port, options):
        self.folder = tempfile.mkdtemp(prefix="gvmkit-nginx.")
        os.chmod(self.folder, 0o755)
        port = port or free_port()
        tls = "--tls-certificate" in options
        self.port, scheme, self.process = port, "https" if tls else "http", None
        self.url = f"{scheme}://127.0.0.1:{port}"
        certificate = f"ssl_certificate {options['--tls-certificate']}; ssl_certificate_key {options['--tls-key']}; ssl_protocols TLSv1.2 TLSv1.3;" if tls else ""
        with open(self.folder + "/nginx.conf", "w", encoding="utf-8") as file:
            file.write(CONFIG.format(user="user root;" if os.getuid() == 0 else "", folder=self.folder, port=port, scheme=scheme, tls="ssl" if tls else "", certificate=certificate,
                                     timeout=options.get("--timeout", "60"),
                                     upstream=" ".join(f"server 127.0.0.1:{server.port} max_fails=0;" for server in servers)))

    def start(self):
        self.process = subprocess.Popen(["nginx", "-c", self.folder + "/nginx.conf", "-e", self.folder + "/log"])
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(self.folder + "/log", encoding="utf-8") as log:
                    raise RuntimeError("nginx does not start: " + log.read())
            time.sleep(0.02)

    def poll(self):
        return self.process.poll()

    def send_signal(self, number):
        """SIGTERM lets it end what it has begun, as the registry's does."""
        self.process.send_signal(signal.SIGQUIT if number == signal.SIGTERM else number)

    def wait(self, seconds):
        try:
            return self.process.wait(seconds)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self):
        """At once, with its worker."""
        self.process.terminate()
        self.wait(10)
