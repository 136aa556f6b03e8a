"""A stand-in for a database host: Patroni's health checks over TLS, and a database that says its name and echoes.

The role comes from the file NAME.role at each request: primary, replica, or anything else for neither.
"""

import http.server
import socketserver
import ssl
import sys
import threading
from pathlib import Path

NAME, ADDRESS, CERTIFICATES = sys.argv[1:]


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        role = Path(f"/srv/members/{NAME}.role").read_text().strip()
        self.send_response(200 if self.path.split("?")[0] == f"/{role}" else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Database(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(f"{NAME}\n".encode())
        for line in self.rfile:
            self.wfile.write(line)


socketserver.TCPServer.allow_reuse_address = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{CERTIFICATES}/tls.crt", f"{CERTIFICATES}/tls.key")
health = http.server.ThreadingHTTPServer((ADDRESS, 8008), Health)
health.socket = context.wrap_socket(health.socket, server_side=True)
threading.Thread(target=health.serve_forever, daemon=True).start()
socketserver.ThreadingTCPServer((ADDRESS, 5432), Database).serve_forever()
