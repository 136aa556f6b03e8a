"""How a voter enters its cluster: founding, joining, coming back without its disk."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROLE = Path(__file__).parents[2] / "roles" / "etcd"
MEMBERS = [{"name": name, "address": f"10.0.0.{number}"} for number, name in enumerate(("db1", "db2", "ops1"), 1)]
TLS = {"certificate_file": "", "key_file": "", "ca_file": ""}


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


api = _load("ansible.module_utils.stackwright_etcd", ROLE / "module_utils" / "stackwright_etcd.py")
etcd_member = _load("etcd_member", ROLE / "library" / "etcd_member.py")


class Cluster:
    """A running cluster, as far as membership goes."""

    def __init__(self, members: list[dict[str, Any]]) -> None:
        self.members = members
        self.calls: list[str] = []

    def login(self, user: str, password: str) -> bool:
        return (user, password) == ("root", "secret")

    def call(self, path: str, **body: Any) -> dict[str, Any]:
        self.calls.append(path)
        if path.endswith("remove"):
            self.members = [each for each in self.members if each["ID"] != body["ID"]]
        if path.endswith("add"):
            self.members = [*self.members, {"ID": "new", "peerURLs": body["peerURLs"]}]
        return {"members": self.members}


def _member(number: int, name: str | None) -> dict[str, Any]:
    # etcd leaves out what is empty: a member that never came up has no name.
    named = {} if name is None else {"name": name}
    return {"ID": str(number), "peerURLs": [f"https://10.0.0.{number}:2380"], **named}


ALL = [("db1", "https://10.0.0.1:2380"), ("db2", "https://10.0.0.2:2380"), ("ops1", "https://10.0.0.3:2380")]


@pytest.mark.parametrize(
    ("listed", "changes", "expected"),
    [
        pytest.param([_member(1, "db1"), _member(2, "db2")], ["add"], ALL, id="a further voter is added"),
        pytest.param(
            [_member(1, "db1"), _member(2, "db2"), _member(3, "ops1")], ["remove", "add"], ALL, id="a lost disk"
        ),
        pytest.param([_member(1, "db1"), _member(2, "db2"), _member(3, None)], [], ALL, id="an interrupted run"),
        pytest.param(
            [_member(1, "db1"), {"ID": "9", "name": "ops1", "peerURLs": ["https://10.0.0.9:2380"]}],
            ["remove", "add"],
            [ALL[0], ALL[2]],
            id="another address",
        ),
    ],
)
def test_enter(listed: list[dict[str, Any]], changes: list[str], expected: list[tuple[str, str]]) -> None:
    cluster = Cluster(listed)
    assert etcd_member.enter(cluster, MEMBERS[2], ["rotated", "secret"]) == expected
    assert [call.rsplit("/", 1)[1] for call in cluster.calls] == ["list", *changes]


def test_enter_names_the_remedy_for_an_unknown_password() -> None:
    cluster = Cluster([_member(1, "db1")])
    with pytest.raises(api.EtcdError, match="converge its other voters first"):
        etcd_member.enter(cluster, MEMBERS[2], ["rotated"])
    assert cluster.calls == []


class Peer:
    """A peer in one of its states, chosen by address."""

    states: dict[str, str] = {}  # noqa: RUF012

    def __init__(self, endpoints: list[str], tls: dict[str, str]) -> None:
        self.state = self.states[endpoints[0].split("//")[1].split(":")[0]]

    def healthy(self) -> bool:
        return self.state == "healthy"

    def get(self, path: str) -> dict[str, Any]:
        if self.state == "away":
            raise api.UnreachableError("away")
        return {"etcdcluster": "3.5.0" if self.state == "stuck" else "not_decided"}


@pytest.mark.parametrize(
    ("db1", "db2", "found"),
    [
        ("away", "away", False),
        ("founding", "away", False),
        ("founding", "founding", False),
        ("healthy", "away", True),
        ("away", "healthy", True),
        ("stuck", "healthy", True),
    ],
)
def test_running_cluster(monkeypatch: pytest.MonkeyPatch, db1: str, db2: str, found: bool) -> None:
    monkeypatch.setattr(etcd_member, "Etcd", Peer)
    monkeypatch.setattr(Peer, "states", {"10.0.0.1": db1, "10.0.0.2": db2})
    assert (etcd_member.running_cluster(MEMBERS, "ops1", TLS) is not None) is found


def test_no_second_cluster_beside_one_without_quorum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd_member, "Etcd", Peer)
    monkeypatch.setattr(Peer, "states", {"10.0.0.1": "stuck", "10.0.0.2": "away"})
    with pytest.raises(api.EtcdError, match="db1 belong to a cluster that has lost its quorum"):
        etcd_member.running_cluster(MEMBERS, "ops1", TLS)


def test_settings_of_a_first_start() -> None:
    assert etcd_member.settings("existing", "production", ALL[:2]).splitlines()[1:] == [
        "ETCD_INITIAL_CLUSTER_STATE=existing",
        "ETCD_INITIAL_CLUSTER_TOKEN=production",
        "ETCD_INITIAL_CLUSTER=db1=https://10.0.0.1:2380,db2=https://10.0.0.2:2380",
    ]


@pytest.mark.parametrize(("prefix", "end"), [("/service/main/", "/service/main0"), ("/a/", "/a0")])
def test_range_end_is_the_first_key_behind_the_prefix(prefix: str, end: str) -> None:
    assert api.range_end(prefix) == end
