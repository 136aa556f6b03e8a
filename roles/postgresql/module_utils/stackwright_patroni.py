"""A client of Patroni's REST API for converges: TLS with a client certificate, only the standard library."""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

#: Timeout in seconds: the response to a restart comes after the restart, including the checkpoint.
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


#: Distinguishes a converge's pause from an operator's, which is `true`; Patroni accepts both as a pause.
CONVERGE = "on"
#: The key of the dynamic configuration that records who paused the cluster and why; valid only with `CONVERGE`.
PAUSED_BY = "stackwright_pause"
#: Roles of a member that leads.
LEADERS = ("leader", "standby_leader")
#: States of a member that runs PostgreSQL and follows or leads.
RUNNING = ("running", "streaming")


class PatroniError(RuntimeError):
    """Patroni rejected a request, or a wait timed out."""


class Patroni:
    """A client of one member's own REST API."""

    def __init__(self, api: dict[str, str]) -> None:
        self._api = api
        self._url = api["url"]
        #: The address of the member.
        self.host = urlsplit(self._url).hostname or ""
        self._context = ssl.create_default_context(cafile=api["ca_file"])
        self._context.load_cert_chain(api["certificate_file"], api["key_file"])
        login = base64.b64encode(f"{api['user']}:{api['password']}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}

    def get(self, path: str) -> dict[str, Any] | None:
        """Return the response of `path` regardless of its status; None if there is no response or it is empty."""
        try:
            answer = json.loads(self._request("GET", path, None, timeout=10)[1])
        except (OSError, ValueError):
            return None
        return answer if isinstance(answer, dict) else None

    def send(self, method: str, path: str, body: dict[str, Any]) -> str:
        """Send a change to Patroni; raise PatroniError with Patroni's message if it is rejected."""
        status, text = self._request(method, path, body, timeout=TIMEOUT)
        if status >= 300:
            raise PatroniError(f"{method} {path}: {status} {text}")
        return text

    def status(self) -> dict[str, Any]:
        """Return this member's own state; empty if it does not answer."""
        state = self.get("/patroni") or {}
        # Patroni before 4 uses `master`.
        if state.get("role") == "master":
            state["role"] = "primary"
        return state

    def config(self) -> dict[str, Any]:
        """Return the cluster's dynamic configuration; empty if there is none or the member does not answer."""
        return self.get("/config") or {}

    def runs(self) -> bool:
        """Return whether PostgreSQL runs here, as the leader or as a replica."""
        return self.status().get("state") in RUNNING

    def leaders(self) -> list[str]:
        """Return the members that lead and run."""
        return [
            member["name"]
            for member in self.cluster()
            if member.get("role") in LEADERS and member.get("state") == "running"
        ]

    def cluster(self) -> list[dict[str, Any]]:
        """Return what this member knows of every member, including itself: name, role, state, lag and more."""
        return list((self.get("/cluster") or {}).get("members") or [])

    def members(self) -> list[Patroni]:
        """Return a client for every member that this one knows, including itself."""
        return [self.at(member["api_url"].removesuffix("/patroni")) for member in self.cluster()]

    def at(self, url: str) -> Patroni:
        """Return a client for another member of the cluster."""
        return Patroni({**self._api, "url": url})

    def _request(self, method: str, path: str, body: dict[str, Any] | None, *, timeout: int) -> tuple[int, str]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, headers=self._headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self._context) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()


def wait(seconds: float, what: str, ready: Callable[[], bool]) -> None:
    """Wait until `ready` returns true; raise PatroniError with `what` on a timeout."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise PatroniError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(1)


def paused_by_converge(config: dict[str, Any]) -> str:
    """Return which converge paused the cluster and why; empty if it is not paused, or paused by an operator."""
    if config.get("pause") != CONVERGE:
        return ""
    marker = config.get(PAUSED_BY) or {}
    return f"{marker.get('by', 'a converge')}: {marker.get('reason', 'unknown')}"


def paused_by_operator(config: dict[str, Any]) -> bool:
    """Return whether an operator paused the cluster."""
    return bool(config.get("pause")) and config.get("pause") != CONVERGE


def pause(patroni: Patroni, *, by: str, reason: str, seconds: float) -> None:
    """Pause failover and record in etcd who did so, so that any later run can end the pause."""
    patroni.send("PATCH", "/config", {"pause": CONVERGE, PAUSED_BY: {"by": by, "reason": reason}})
    wait(seconds, "the pause does not arrive", lambda: bool(patroni.status().get("pause")))


def resume(patroni: Patroni, *, seconds: float) -> None:
    """End a converge's pause.

    Wait until every member knows: the next one to be restarted would mistake the previous pause for its own.
    """
    patroni.send("PATCH", "/config", {"pause": None, PAUSED_BY: None})
    wait(
        seconds, "the pause does not end", lambda: not any(member.status().get("pause") for member in patroni.members())
    )


def leader(patroni: Patroni) -> str:
    """Return the name of the member that leads and runs, or an empty string."""
    return next(iter(patroni.leaders()), "")


def candidate(members: list[dict[str, Any]], names: list[str]) -> str:
    """Return a remaining member without lag, preferably a synchronous one, or an empty string."""
    ready = [
        member
        for member in members
        if member["name"] not in names
        and member.get("role") not in LEADERS
        and member.get("state") in RUNNING
        and member.get("lag") == 0
        and not member.get("tags", {}).get("nofailover")
    ]
    ready.sort(key=lambda member: (member["role"] != "sync_standby", member["name"]))
    return str(ready[0]["name"]) if ready else ""


def hand_over(patroni: Patroni, names: list[str], *, seconds: int, check_mode: bool) -> bool:
    """Hand over the leadership if one of `names` leads; return whether it was or would be handed over."""
    wait(seconds, "the cluster has no leader", lambda: bool(leader(patroni)))
    if leader(patroni) not in names:
        return False
    if check_mode:
        return True
    wait(
        seconds,
        f"no member that stays has everything that the leader {leader(patroni)} has; nothing was changed",
        lambda: bool(candidate(patroni.cluster(), names)),
    )
    body = {"leader": leader(patroni), "candidate": candidate(patroni.cluster(), names)}
    patroni.send("POST", "/switchover", body)
    wait(seconds, f"{body['candidate']} does not lead", lambda: leader(patroni) == body["candidate"])
    # Until the previous leader has rewound and follows, it could leave with the only copy of a commit.
    wait(seconds, f"{body['leader']} does not follow", lambda: _follows(patroni, body["leader"]))
    return True


def _follows(patroni: Patroni, name: str) -> bool:
    return any(
        member["name"] == name and member.get("role") not in LEADERS and member["state"] in RUNNING
        for member in patroni.cluster()
    )
