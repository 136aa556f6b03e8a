"""A client of etcd's JSON gateway for converges: TLS with a client certificate, only the standard library."""

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

#: Timeout of one request in seconds; a voter without quorum answers writes only after its own timeout of five.
TIMEOUT = 10

#: Temporary errors: another change is settling, a learner catches up, or a leader is being elected.
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
    """etcd rejected a request; the message is etcd's own."""


class UnreachableError(EtcdError):
    """No endpoint answered."""


def encode(text: str) -> str:
    """Return a key in base64, the encoding of the gateway."""
    return base64.b64encode(text.encode()).decode()


def range_end(prefix: str) -> str:
    """Return the first key after all keys that start with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def previous_password(path: str) -> str | None:
    """Return root's password as set by the last converge."""
    if Path(path).exists():
        for line in Path(path).read_text().splitlines():
            if line.startswith("ETCDCTL_PASSWORD="):
                return shlex.split(line.split("=", 1)[1])[0]
    return None


def read_environment(path: str) -> dict[str, str]:
    """Return the variables of an environment file; empty if the file does not exist."""
    if not Path(path).exists():
        return {}
    lines = (line.split("=", 1) for line in Path(path).read_text().splitlines() if "=" in line and line[0] != "#")
    return dict(lines)


class Etcd:
    """A client of one cluster that uses the first endpoint that answers."""

    def __init__(self, endpoints: list[str], tls: dict[str, str]) -> None:
        self.endpoints = endpoints
        self._token = ""
        self._context = ssl.create_default_context(cafile=tls["ca_file"])
        self._context.load_cert_chain(tls["certificate_file"], tls["key_file"])

    def get(self, path: str) -> dict[str, Any]:
        """Return the response of `path` regardless of its status: /health returns 503 with the reason."""
        return self._first(path, None)

    def call(self, path: str, **body: Any) -> dict[str, Any]:
        """Call a method of the gateway and return the response; raise EtcdError if etcd rejects the request."""
        answer = self._first(f"/v3/{path}", body)
        # Every error has a code; older gateways put the message into `error`.
        if "code" in answer:
            raise EtcdError(str(answer.get("message") or answer.get("error")))
        return answer

    def login(self, user: str, password: str) -> bool:
        """Log in as the user for all following requests; return False if the password is wrong."""
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
        """Return whether this endpoint answers and has a quorum."""
        try:
            return str(self.get("/health").get("health")) == "true"
        except UnreachableError:
            return False

    def leads(self) -> bool:
        """Return whether this endpoint is the leader."""
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
            # For example a client certificate with a common name, which the gateway rejects once authentication is on.
            raise EtcdError(f"{url}: {text.decode(errors='replace').strip()}") from None
        return answer


@dataclass(frozen=True)
class Member:
    """An entry of etcd's member list; `name` is empty until the first start of the member."""

    id: str
    name: str
    address: str
    learner: bool = False

    @property
    def label(self) -> str:
        """Return the name of the member for messages."""
        return self.name or f"{self.address} (never started)"


def client_url(address: str) -> str:
    return f"https://{address}:2379"


def peer_url(address: str) -> str:
    return f"https://{address}:2380"


def parse_members(answer: dict[str, Any]) -> list[Member]:
    """Return the members in a response of etcd, which omits empty fields."""
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

    A change is refused before it begins if a remaining member does not answer or if the remaining members would have no
    quorum. It ends when the remaining members answer again.
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
        """Return the cluster at the first address that has a quorum, logged in as root, or None if there is none.

        `passwords` are root's: the configured one and the previous one, which is valid until the users are applied.
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
        """Return whether this member runs and has a quorum."""
        return self._connect(member.address).healthy()

    def silent(self, members: list[Member]) -> list[Member]:
        """Return the members that do not answer."""
        return [member for member in members if not self.answers(member)]

    def require(self, members: list[Member], purpose: str) -> None:
        """Raise EtcdError with the names of the members that do not answer in time, if there are any."""
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
        """Return the members that are not at one of these addresses."""
        return [member for member in self.list() if member.address not in addresses]

    def remove(self, members: list[Member]) -> None:
        """Remove members one after the other, beginning with those that are down.

        A member that is down does not prevent the removal of another one that is down, as long as a quorum is left.
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
        """Add a member that does not vote yet to the cluster, and return it."""
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
        """Promote a learner to a voter as soon as it has caught up with the voters."""
        voters = [voter for voter in self.list() if not voter.learner]

        # A follower forwards the request without the login, and the leader then rejects it.
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
        """Call a method until it has taken effect.

        etcd rejects a change for some seconds after another one and while a learner catches up. A request that timed
        out may have taken effect nevertheless.
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
    """Log in as root with the first password that is accepted."""
    try:
        if any(cluster.login("root", password) for password in passwords):
            return
    except EtcdError as error:
        # A cluster requires no login until its first converge has ended.
        if "not enabled" in str(error):
            return
        raise
    raise EtcdError("the running cluster has another password of root: converge its other voters first")
