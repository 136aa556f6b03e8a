"""etcd's JSON gateway, as far as a converge needs it: over TLS with a client certificate, standard library alone."""

from __future__ import annotations

import base64
import json
import shlex
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

#: Seconds for one request; a voter without quorum answers writes only after its own five.
TIMEOUT = 10

TLS_SPEC: dict[str, Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "certificate_file": {"type": "path", "required": True},
        "key_file": {"type": "path", "required": True, "no_log": False},
        "ca_file": {"type": "path", "required": True},
    },
}


class EtcdError(RuntimeError):
    """etcd refused a request; the text is etcd's own."""


class UnreachableError(EtcdError):
    """Nobody answered."""


def encode(text: str) -> str:
    """Keys travel as base64."""
    return base64.b64encode(text.encode()).decode()


def range_end(prefix: str) -> str:
    """The first key after all keys that start with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def previous_password(path: str) -> str | None:
    """Root's password as the last converge left it."""
    if Path(path).exists():
        for line in Path(path).read_text().splitlines():
            if line.startswith("ETCDCTL_PASSWORD="):
                return shlex.split(line.split("=", 1)[1])[0]
    return None


class Etcd:
    """One cluster, asked through the first of its endpoints that answers."""

    def __init__(self, endpoints: list[str], tls: dict[str, str]) -> None:
        self.endpoints = endpoints
        self._token = ""
        self._context = ssl.create_default_context(cafile=tls["ca_file"])
        self._context.load_cert_chain(tls["certificate_file"], tls["key_file"])

    def get(self, path: str) -> dict[str, Any]:
        """What `path` says, whatever its status: /health answers 503 with its reason."""
        return self._first(path, None)

    def call(self, path: str, **body: Any) -> dict[str, Any]:
        """Call a method of the gateway; raises what etcd refuses."""
        answer = self._first(f"/v3/{path}", body)
        # Every refusal has a code; older gateways put its text into `error`.
        if "code" in answer:
            raise EtcdError(str(answer.get("message") or answer.get("error")))
        return answer

    def login(self, user: str, password: str) -> bool:
        """Take the user's rights for all that follows; False where the password is wrong."""
        try:
            self._token = str(self.call("auth/authenticate", name=user, password=password)["token"])
        except EtcdError as error:
            if "authentication failed" in str(error):
                return False
            raise
        return True

    def logout(self) -> None:
        self._token = ""

    def healthy(self) -> bool:
        """Whether a quorum answers behind this endpoint."""
        try:
            return str(self.get("/health").get("health")) == "true"
        except UnreachableError:
            return False

    def _first(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        failures = []
        for endpoint in self.endpoints:
            try:
                return self._request(endpoint + path, body)
            except OSError as error:
                failures.append(f"{endpoint}: {error}")
        raise UnreachableError("; ".join(failures))

    def _request(self, url: str, body: dict[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
        if self._token:
            request.add_header("Authorization", self._token)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT, context=self._context) as response:
                text = response.read()
        except urllib.error.HTTPError as refusal:
            text = refusal.read()
        try:
            answer: dict[str, Any] = json.loads(text)
        except ValueError:
            # Among them: a client certificate with a common name, which the gateway refuses once authentication is on.
            raise EtcdError(f"{url}: {text.decode(errors='replace').strip()}") from None
        return answer
