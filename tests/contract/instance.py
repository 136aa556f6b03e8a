#!/usr/bin/python3
"""An instance for the edge's contract: answers with what it saw. Standard library only, since it runs on the test host.

    instance.py ADDRESS PORT

/anything              JSON: instance, connection, method, target, headers, body_bytes
  ?status=N ?type=T ?bytes=N ?header=Name:value ?wait=SECONDS
  ?abort=PORT&id=ID    this instance ends the connection without an answer; others answer
  ?deliveries=ID       how often a request with that id reached any instance
  a status in the file <state>/<port>.status is the answer to everything
/…/events              server-sent events, one a second, three in all
Upgrade: websocket     echoes text frames
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

DELIVERIES = Path(os.environ.get("RUNTIME_DIRECTORY", "/run/instance"))
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Instance(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 600
    # An answer leaves in one piece: killed after its head alone, an instance would cost a request that no edge can save.
    wbufsize = -1

    def handle_one_request(self) -> None:
        self.body_bytes = 0
        super().handle_one_request()

    def do_GET(self) -> None:
        self.take_body()
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if "id" in query:
            with (DELIVERIES / query["id"]).open("a") as file:
                file.write(f"{self.server.server_port}\n")
        if query.get("abort") == str(self.server.server_port):
            self.close_connection = True
        elif self.headers.get("Upgrade", "").lower() == "websocket":
            self.websocket()
        elif url.path.endswith("/events"):
            self.events()
        else:
            self.echo(query)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = do_GET  # noqa: N815 - names of the base class

    def take_body(self) -> None:
        left = int(self.headers.get("Content-Length", 0))
        while left:
            data = self.rfile.read(min(left, 1 << 20))
            if not data:
                break
            left -= len(data)
            self.body_bytes += len(data)

    def echo(self, query: dict[str, str]) -> None:
        time.sleep(float(query.get("wait", 0)))
        seen = {
            "instance": self.server.server_port,
            "connection": self.client_address[1],
            "method": self.command,
            "target": self.path,
            "headers": {name.lower(): ", ".join(self.headers.get_all(name)) for name in self.headers},
            "body_bytes": self.body_bytes,
        }
        if "deliveries" in query:
            path = DELIVERIES / query["deliveries"]
            seen["deliveries"] = len(path.read_text().splitlines()) if path.exists() else 0
        forced = DELIVERIES / f"{self.server.server_port}.status"
        if forced.exists():
            query["status"] = forced.read_text()
        body = json.dumps(seen).encode()
        if "bytes" in query:
            body = (b"0123456789" * (int(query["bytes"]) // 10 + 1))[: int(query["bytes"])]
        self.send_response(int(query.get("status", 200)))
        self.send_header("Content-Type", query.get("type", "application/json"))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Powered-By", "contract")
        if "header" in query:
            self.send_header(*query["header"].split(":", 1))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for number in range(3):
            self.wfile.write(f"data: {number}\n\n".encode())
            self.wfile.flush()
            time.sleep(1)
        self.close_connection = True

    def websocket(self) -> None:
        key = self.headers["Sec-WebSocket-Key"]
        accept = base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.wfile.flush()
        self.close_connection = True
        while True:
            head = self.rfile.read(2)
            if len(head) < 2 or head[0] & 0x0F == 8:
                return
            length = head[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self.rfile.read(2))
            mask = self.rfile.read(4)
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(length)))
            size = bytes([length]) if length < 126 else b"\x7e" + struct.pack(">H", length)
            self.wfile.write(b"\x81" + size + data)
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass  # Proxies that hang up are part of the contract.


if __name__ == "__main__":
    Server((sys.argv[1], int(sys.argv[2])), Instance).serve_forever()
