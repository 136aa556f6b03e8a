"""etcd's JSON gateway, as far as a converge needs it: over TLS with a client certificate, standard library alone."""

from __future__ import annotations

import base64
import json
import shlex
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

#: Seconds for one request; a voter without quorum answers writes only after its own five.
TIMEOUT = 10

#: Refusals that pass: another change is settling, a learner catches up, a leader is being elected.
PASSING = (
    "unhealthy cluster",
    "not enough started",
    "too many learner",
    "in sync with leader",
    "timed out",
    "no leader",
    "leader changed",
)

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


def read_environment(path: str) -> dict[str, str]:
    """The variables of an environment file; nothing where there is none."""
    if not Path(path).exists():
        return {}
    lines = (line.split("=", 1) for line in Path(path).read_text().splitlines() if "=" in line and line[0] != "#")
    return dict(lines)


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

    def leads(self) -> bool:
        """Whether this endpoint is the leader."""
        try:
            status = self.call("maintenance/status")
        except EtcdError:
            return False
        return bool(status.get("leader")) and status["leader"] == status["header"].get("member_id")

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


@dataclass(frozen=True)
class Member:
    """An entry of etcd's list of members; `name` is empty until the member has started once."""

    id: str
    name: str
    address: str
    learner: bool = False

    @property
    def label(self) -> str:
        """What a person calls it."""
        return self.name or f"{self.address} (never started)"


def client_url(address: str) -> str:
    return f"https://{address}:2379"


def peer_url(address: str) -> str:
    return f"https://{address}:2380"


def parse_members(answer: dict[str, Any]) -> list[Member]:
    """The members in an answer of etcd, which leaves out what is empty."""
    return [
        Member(
            id=str(entry["ID"]),
            name=entry.get("name", ""),
            address=urlsplit(entry["peerURLs"][0]).hostname or "",
            learner=bool(entry.get("isLearner")),
        )
        for entry in answer["members"]
    ]


class Membership:
    """The members of a running cluster, changed one at a time.

    Every change is refused, before anything is touched, where a member that stays does not answer or where the rest
    would have no quorum; it ends when the members that stay answer again.
    """

    def __init__(
        self,
        cluster: Etcd,
        connect: Callable[[str], Etcd],
        *,
        log_in: Callable[[Etcd], None] = lambda _: None,
        seconds: float = 60,
    ) -> None:
        self.cluster = cluster
        self._connect = connect
        self._log_in = log_in
        self._seconds = seconds

    @classmethod
    def of(
        cls, addresses: list[str], tls: dict[str, str], passwords: list[str], *, seconds: float = 60
    ) -> Membership | None:
        """The cluster behind the first address that has a quorum, as root; None where there is none.

        `passwords` are root's: the configured one, and the one before it, which is in force until users are applied.
        """
        for address in addresses:
            cluster = Etcd([client_url(address)], tls)
            if not cluster.healthy():
                continue
            log_in(cluster, passwords)
            return cls(
                cluster,
                lambda peer: Etcd([client_url(peer)], tls),
                log_in=lambda peer: log_in(peer, passwords),
                seconds=seconds,
            )
        return None

    def list(self) -> list[Member]:
        return parse_members(self.cluster.call("cluster/member/list"))

    def answers(self, member: Member) -> bool:
        """Whether this member runs and has a quorum behind it."""
        return self._connect(member.address).healthy()

    def silent(self, members: list[Member]) -> list[Member]:
        """Those of the members that do not answer."""
        return [member for member in members if not self.answers(member)]

    def require(self, members: list[Member], purpose: str) -> None:
        """Raise, naming the members, where one of them does not answer within the time."""
        deadline = time.monotonic() + self._seconds
        while silent := self.silent(members):
            if time.monotonic() > deadline:
                names = ", ".join(member.label for member in silent)
                raise EtcdError(
                    f"{purpose}: {names} of {len(members)} does not answer, and a change of members now could cost"
                    f" the quorum; fix: start etcd there, or remove the host from the environment"
                )
            time.sleep(1)

    def outgoing(self, addresses: list[str]) -> list[Member]:
        """The members that are not at one of these addresses."""
        return [member for member in self.list() if member.address not in addresses]

    def remove(self, members: list[Member]) -> None:
        """Take members out one after the other, first those that are down anyway.

        A member that is down does not keep another one that is down from being removed, as long as a quorum is left.
        """
        down = self.silent(members)
        for member in [*down, *(member for member in members if member not in down)]:
            self._remove(member, ignored=down)

    def _remove(self, member: Member, *, ignored: list[Member]) -> None:
        voters = [voter for voter in self.list() if not voter.learner and voter.id != member.id]
        stay = [voter for voter in voters if voter not in ignored]
        self.require(stay, f"{member.label} was not removed from etcd")
        if not member.learner and len(stay) < len(voters) // 2 + 1:
            raise EtcdError(
                f"{member.label} was not removed from etcd: {len(stay)} of the {len(voters)} other voters answer,"
                " which is no quorum"
            )
        self._change("cluster/member/remove", done=lambda: self._find(member.id) is None, ID=member.id)
        self.require(stay, f"{member.label} was removed from etcd")

    def _find(self, member_id: str) -> Member | None:
        return next((member for member in self.list() if member.id == member_id), None)

    def _at(self, address: str) -> Member | None:
        return next((member for member in self.list() if member.address == address), None)

    def _votes(self, member_id: str) -> bool:
        member = self._find(member_id)
        return member is not None and not member.learner

    def add_learner(self, address: str) -> Member:
        """Have the cluster expect a member, which does not vote yet."""
        voters = [voter for voter in self.list() if not voter.learner]
        self.require(voters, f"{address} was not added to etcd")
        self._change(
            "cluster/member/add",
            done=lambda: self._at(address) is not None,
            peerURLs=[peer_url(address)],
            isLearner=True,
        )
        learner = self._at(address)
        if learner is None:
            raise EtcdError(f"{address} was added to etcd and is not listed")
        return learner

    def promote(self, member: Member) -> None:
        """Let a learner vote, as soon as it has what the voters have."""
        voters = [voter for voter in self.list() if not voter.learner]

        # A follower passes the request on without its login, which the leader then refuses.
        def by_leader() -> Etcd:
            for voter in voters:
                peer = self._connect(voter.address)
                if peer.leads():
                    self._log_in(peer)
                    return peer
            raise EtcdError("etcd has no leader")

        self._change("cluster/member/promote", by=by_leader, done=lambda: self._votes(member.id), ID=member.id)
        voters = [voter for voter in self.list() if not voter.learner]
        self.require(voters, f"{member.label} became a voter of etcd")

    def _change(
        self, path: str, *, done: Callable[[], bool], by: Callable[[], Etcd] | None = None, **body: Any
    ) -> None:
        """Call a method until it has its effect.

        etcd refuses a change for some seconds after another one and while a learner catches up; a request that timed out
        may have had its effect nevertheless.
        """
        deadline = time.monotonic() + self._seconds
        while True:
            try:
                (by() if by else self.cluster).call(path, **body)
            except EtcdError as error:
                passing = any(word in str(error) for word in PASSING)
                if passing and self._holds(done):
                    return
                if not passing or time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                return

    @staticmethod
    def _holds(done: Callable[[], bool]) -> bool:
        try:
            return done()
        except EtcdError:
            return False


def log_in(cluster: Etcd, passwords: list[str]) -> None:
    """Take root's rights with the first password that is accepted."""
    try:
        if any(cluster.login("root", password) for password in passwords):
            return
    except EtcdError as error:
        # Before its first converge has ended, a cluster lets everybody in.
        if "not enabled" in str(error):
            return
        raise
    raise EtcdError("the running cluster has another password of root: converge its other voters first")
