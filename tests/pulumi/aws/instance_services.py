"""What AWS offers a server that configures itself, on one port of this machine: metadata, S3, secrets, hooks, parameters."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CREDENTIALS = ("ASIAEXAMPLEEXAMPLE12", "canary-secret-key", "canary-session-token")


@dataclass
class Cloud:
    """What the services know, and what they were asked."""

    folder: Path
    objects: dict[str, bytes] = field(default_factory=dict)
    state: str = "InService"
    hook_waits: bool = True
    health: Callable[[], int] = lambda: 200
    #: Each is the answer to one request for the bundle, before the right one: a status, or the bytes to cut off.
    mishaps: list[int] = field(default_factory=list)
    actions: list[dict[str, str]] = field(default_factory=list)
    parameters: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    #: Of the instance's role.
    credentials: tuple[str, str, str] = CREDENTIALS
    #: Secrets Manager's, by name.
    secrets: dict[str, str] = field(default_factory=dict)
    address: str = "127.0.0.1"
    port: int = 0
    server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        self.server = ThreadingHTTPServer((self.address, self.port), Handler)
        self.server.cloud = self  # type: ignore[attr-defined]
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    @property
    def playbooks(self) -> list[dict[str, Any]]:
        file = self.folder / "playbooks.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


class Handler(BaseHTTPRequestHandler):
    @property
    def cloud(self) -> Cloud:
        return self.server.cloud  # type: ignore[attr-defined]

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", missing: int = 0, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) + missing))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def do_PUT(self) -> None:
        wanted = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds")
        self.answer(200 if wanted else 400, b"metadata-token")

    def do_GET(self) -> None:
        self.cloud.requests.append(("GET", self.path, dict(self.headers)))
        if self.path.startswith("/latest/"):
            self.metadata(self.path.removeprefix("/latest/meta-data/"))
        elif self.path == "/health":
            self.answer(self.cloud.health())
        else:
            # /s3/<bucket>/<key>
            self.object(self.path.split("/", 3)[3])

    def metadata(self, path: str) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "metadata-token":
            return self.answer(401)
        key, secret, token = self.cloud.credentials
        role = {"Code": "Success", "AccessKeyId": key, "SecretAccessKey": secret, "Token": token}
        role["Expiration"] = (datetime.now(UTC) + timedelta(hours=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = {
            "instance-id": "i-0123456789abcdef0",
            "iam/security-credentials/": "test-app-group\n",
            "iam/security-credentials/test-app-group": json.dumps(role),
            "autoscaling/target-lifecycle-state": self.cloud.state,
        }.get(path)
        return self.answer(404) if found is None else self.answer(200, found.encode())

    def object(self, key: str) -> None:
        if self.cloud.mishaps and key.endswith(".tar.gz"):
            mishap = self.cloud.mishaps.pop(0)
            if mishap in range(300, 400):
                return self.answer(mishap, Location=f"{self.cloud.url}/s3/artifacts/elsewhere")
            if mishap >= 400:
                text = f"<Error><Code>Slow</Code><StringToSign>{CREDENTIALS[2]}</StringToSign></Error>"
                return self.answer(mishap, text.encode())
            return self.answer(200, self.cloud.objects[key][:-mishap], missing=mishap)
        body = self.cloud.objects.get(key)
        if "authorization" not in {name.lower() for name in self.headers}:
            return self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        if body is None:
            return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        return self.answer(200, body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/ssm":
            self.cloud.parameters.append({"headers": dict(self.headers), **json.loads(body)})
            return self.answer(200, b"{}")
        if self.path == "/secretsmanager":
            return self.secret(json.loads(body)["SecretId"])
        self.cloud.actions.append(dict(urllib.parse.parse_qsl(body.decode())))
        if not self.cloud.hook_waits:
            return self.answer(400, b"<ErrorResponse><Error><Code>ValidationError</Code></Error></ErrorResponse>")
        return self.answer(200, b"<CompleteLifecycleActionResponse/>")

    def secret(self, name: str) -> None:
        self.cloud.requests.append(("SECRET", name, dict(self.headers)))
        value = self.cloud.secrets.get(name)
        if value is None:
            return self.answer(400, b'{"__type": "ResourceNotFoundException"}')
        return self.answer(200, json.dumps({"Name": name, "SecretString": value}).encode())
