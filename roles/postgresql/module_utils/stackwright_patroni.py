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
from urllib.parse import urlsplit

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


#: What tells a pause of a converge from an operator's: Patroni takes both for a pause, and an operator's is `true`.
CONVERGE = "on"
#: Key of the dynamic configuration that says who paused the cluster, and why; it counts only together with `CONVERGE`.
PAUSED_BY = "stackwright_pause"
#: Roles of a member that leads.
LEADERS = ("leader", "standby_leader")
#: States of a member that runs PostgreSQL and follows, or leads.
RUNNING = ("running", "streaming")


class PatroniError(RuntimeError):
    """Patroni refused, or what was waited for did not come."""


class Patroni:
    """One member, asked by its own interface."""

    def __init__(self, api: dict[str, str]) -> None:
        self._api = api
        self._url = api["url"]
        #: Address of the member.
        self.host = urlsplit(self._url).hostname or ""
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
        state = self.get("/patroni") or {}
        # Patroni before 4 says `master`.
        if state.get("role") == "master":
            state["role"] = "primary"
        return state

    def config(self) -> dict[str, Any]:
        """The cluster's dynamic configuration; empty while there is none, or nobody answers."""
        return self.get("/config") or {}

    def runs(self) -> bool:
        """Whether PostgreSQL runs here, as the leader or as a replica."""
        return self.status().get("state") in RUNNING

    def leaders(self) -> list[str]:
        """The members that lead and run."""
        return [
            member["name"]
            for member in self.cluster()
            if member.get("role") in LEADERS and member.get("state") == "running"
        ]

    def cluster(self) -> list[dict[str, Any]]:
        """What this member knows of every member, itself included: name, role, state, lag and more."""
        return list((self.get("/cluster") or {}).get("members") or [])

    def members(self) -> list[Patroni]:
        """Every member that this one knows of, itself included."""
        return [self.at(member["api_url"].removesuffix("/patroni")) for member in self.cluster()]

    def at(self, url: str) -> Patroni:
        """Another member of the cluster."""
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
    """Until `ready`, or a failure that says what was waited for."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise PatroniError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(1)


def paused_by_converge(config: dict[str, Any]) -> str:
    """Who of the converges paused the cluster and why; empty where it is not paused, or by an operator."""
    if config.get("pause") != CONVERGE:
        return ""
    marker = config.get(PAUSED_BY) or {}
    return f"{marker.get('by', 'a converge')}: {marker.get('reason', 'unknown')}"


def paused_by_operator(config: dict[str, Any]) -> bool:
    """Whether an operator paused the cluster."""
    return bool(config.get("pause")) and config.get("pause") != CONVERGE


def pause(patroni: Patroni, *, by: str, reason: str, seconds: float) -> None:
    """Keep the cluster from failing over, and say in etcd who did that: any later run can end it."""
    patroni.send("PATCH", "/config", {"pause": CONVERGE, PAUSED_BY: {"by": by, "reason": reason}})
    wait(seconds, "the pause does not arrive", lambda: bool(patroni.status().get("pause")))


def resume(patroni: Patroni, *, seconds: float) -> None:
    """End a pause of a converge.

    Every member has to know: the next one to be restarted would take the previous pause for its own.
    """
    patroni.send("PATCH", "/config", {"pause": None, PAUSED_BY: None})
    wait(
        seconds, "the pause does not end", lambda: not any(member.status().get("pause") for member in patroni.members())
    )


def leader(patroni: Patroni) -> str:
    """The member that leads and runs, or nothing."""
    return next(iter(patroni.leaders()), "")


def candidate(members: list[dict[str, Any]], names: list[str]) -> str:
    """The member that stays and has everything: a synchronous one first; nothing where there is none."""
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
    """Whether the leadership was or would be handed over."""
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
    # The previous leader has rewound and follows, or it could leave with the only copy of a commit.
    wait(seconds, f"{body['leader']} does not follow", lambda: _follows(patroni, body["leader"]))
    return True


def _follows(patroni: Patroni, name: str) -> bool:
    return any(
        member["name"] == name and member.get("role") not in LEADERS and member["state"] in RUNNING
        for member in patroni.cluster()
    )
