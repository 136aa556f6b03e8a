"""Patroni's REST interface, as far as a converge needs it: TLS, client certificate, standard library alone."""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

#: A restart answers when it is done, checkpoint included.
TIMEOUT = 600

API_SPEC: dict[str, Any] = {
    "type": "dict",
    "required": True,
    "options": {
        "url": {"type": "str", "required": True},
        "user": {"type": "str", "required": True},
        "password": {"type": "str", "required": True, "no_log": True},
        "certificate_file": {"type": "path", "required": True},
        "key_file": {"type": "path", "required": True, "no_log": False},
        "ca_file": {"type": "path", "required": True},
    },
}


class PatroniError(RuntimeError):
    """Patroni refused, or what was waited for did not come."""


class Patroni:
    """One member, asked by its own interface."""

    def __init__(self, api: dict[str, str]) -> None:
        self._api = api
        self._url = api["url"]
        self._context = ssl.create_default_context(cafile=api["ca_file"])
        self._context.load_cert_chain(api["certificate_file"], api["key_file"])
        login = base64.b64encode(f"{api['user']}:{api['password']}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}

    def get(self, path: str) -> dict[str, Any] | None:
        """What `path` says, whatever its status; None while nobody answers or there is nothing to say."""
        try:
            answer = json.loads(self._request("GET", path, None, timeout=10)[1])
        except (OSError, ValueError):
            return None
        return answer if isinstance(answer, dict) else None

    def send(self, method: str, path: str, body: dict[str, Any]) -> str:
        """Change something; raises with what Patroni says where it does not."""
        status, text = self._request(method, path, body, timeout=TIMEOUT)
        if status >= 300:
            raise PatroniError(f"{method} {path}: {status} {text}")
        return text

    def status(self) -> dict[str, Any]:
        """This member's own state; empty while it does not answer."""
        found = self.get("/patroni") or {}
        # Patroni before 4 says `master`.
        if found.get("role") == "master":
            found["role"] = "primary"
        return found

    def leaders(self) -> list[str]:
        """The members that lead and run."""
        members = (self.get("/cluster") or {}).get("members") or []
        return [
            each["name"]
            for each in members
            if each.get("role") in {"leader", "standby_leader"} and each.get("state") == "running"
        ]

    def members(self) -> list[Patroni]:
        """Every member that this one knows of, itself included."""
        known = (self.get("/cluster") or {}).get("members") or []
        return [Patroni({**self._api, "url": each["api_url"].removesuffix("/patroni")}) for each in known]

    def _request(self, method: str, path: str, body: dict[str, Any] | None, *, timeout: int) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, headers=self._headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self._context) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()


def wait(seconds: float, what: str, ready: Callable[[], bool]) -> None:
    """Until `ready`, or a failure that says what was waited for."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise PatroniError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(1)
