#!/usr/bin/python3
"""Stand in for the metadata service and CloudWatch: answer, and append each request for CloudWatch to a file."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

PORT = 8169
ROLE = {"Code": "Success", "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "secret", "Token": "token"}
ANSWERS = {
    "instance-id": "i-0123456789abcdef0",
    "iam/security-credentials/": "host",
    "iam/security-credentials/host": json.dumps(ROLE),
}


class Handler(BaseHTTPRequestHandler):
    def answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_PUT(self) -> None:
        self.answer("token")

    def do_GET(self) -> None:
        self.answer(ANSWERS[self.path.removeprefix("/latest/meta-data/")])

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with Path(sys.argv[1]).open("a") as file:
            file.write(body + "\n")
        self.answer("<PutMetricDataResponse/>")


HTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
