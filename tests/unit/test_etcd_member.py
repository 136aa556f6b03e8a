"""How members of etcd are added and removed: one at a time, and never at the cost of the quorum."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROLE = Path(__file__).parents[2] / "roles" / "etcd"
ADDRESSES = {name: f"10.0.0.{number}" for number, name in enumerate(("db1", "db2", "ops1", "db3", "db4"), 1)}


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
    """A running cluster, as far as membership goes. It refuses what etcd refuses, and counts the quorum after each step."""

    def __init__(self, *names: str, down: str = "", unstarted: str = "", learners: str = "") -> None:
        self.down = {*down.split(), *unstarted.split()}
        self.calls: list[str] = []
        self.lost_quorum = False
        self.leader = names[-1] if names[-1] not in self.down | set(learners.split()) else names[0]
        self.calls_of_leader = 0
        self.fails_to_start: set[str] = set()
        self.refusals: list[str] = []
        self.entries = [
            {
                "ID": str(number),
                "peerURLs": [f"https://{ADDRESSES[name]}:2380"],
                # etcd leaves out what is empty: a member that never came up has no name.
                **({} if name in unstarted.split() else {"name": name}),
                **({"isLearner": True} if name in learners.split() else {}),
            }
            for number, name in enumerate(names)
        ]

    def name_of(self, entry: dict[str, Any]) -> str:
        return next(name for name, address in ADDRESSES.items() if address in entry["peerURLs"][0])

    def names(self) -> list[str]:
        return [self.name_of(entry) for entry in self.entries]

    def call(self, path: str, **body: Any) -> dict[str, Any]:
        action = path.rsplit("/", 1)[1]
        if action != "list" and self.refusals:
            raise api.EtcdError(self.refusals.pop(0))
        if action == "remove":
            entry = next(entry for entry in self.entries if entry["ID"] == body["ID"])
            self.entries.remove(entry)
            self.calls.append(f"remove {self.name_of(entry)}")
        if action == "add":
            assert body["isLearner"]
            assert not any(entry.get("isLearner") for entry in self.entries), "etcd takes one learner"
            self.entries.append({"ID": f"new{len(self.calls)}", "peerURLs": body["peerURLs"], "isLearner": True})
            self.calls.append(f"add {self.name_of(self.entries[-1])}")
        if action == "promote":
            entry = next(entry for entry in self.entries if entry["ID"] == body["ID"])
            assert self.name_of(entry) not in self.down, "a learner votes before it has started"
            del entry["isLearner"]
            self.calls.append(f"promote {self.name_of(entry)}")
        voters = [self.name_of(entry) for entry in self.entries if not entry.get("isLearner")]
        self.lost_quorum |= len(set(voters) - self.down) < len(voters) // 2 + 1
        return {"members": self.entries}

    def connect(self, address: str) -> Any:
        name = next(name for name, known in ADDRESSES.items() if known == address)

        class Voter:
            def healthy(_self) -> bool:  # noqa: N805 - the cluster is self
                return name not in self.down and not self.lost_quorum

            def leads(_self) -> bool:  # noqa: N805
                return name == self.leader

            def call(_self, path: str, **body: Any) -> dict[str, Any]:  # noqa: N805
                self.calls_of_leader += name == self.leader
                return self.call(path, **body)

        return Voter()

    def membership(self) -> Any:
        return api.Membership(self, self.connect, seconds=0)


class Host:
    """The joining host: what is done to it, in order."""

    def __init__(self, name: str, cluster: Cluster, path: Path) -> None:
        self.name, self.cluster, self.bootstrap = name, cluster, path / "bootstrap.env"
        self.calls: list[str] = []

    def stop(self) -> None:
        self.calls.append("stop")
        self.cluster.down.add(self.name)

    def delete_data(self) -> None:
        self.calls.append("delete data")

    def start(self, seconds: int) -> None:
        self.calls.append("start")
        if self.name in self.cluster.fails_to_start:
            raise api.EtcdError("etcd.service is not up")
        self.cluster.down.discard(self.name)
        next(entry for entry in self.cluster.entries if self.cluster.name_of(entry) == self.name)["name"] = self.name


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def join(cluster: Cluster, name: str, path: Path) -> Host:
    host = Host(name, cluster, path)
    me = {"name": name, "address": ADDRESSES[name]}
    etcd_member.join(cluster.membership(), host, me, "token", seconds=0)
    return host


@pytest.mark.parametrize(
    ("cluster", "name", "calls"),
    [
        pytest.param(Cluster("db1"), "db2", ["add db2", "promote db2"], id="a second voter"),
        pytest.param(Cluster("db1", "db2", "ops1"), "db3", ["add db3", "promote db3"], id="a fourth voter"),
        pytest.param(
            Cluster("db1", "db2", "ops1", down="ops1"),
            "ops1",
            ["remove ops1", "add ops1", "promote ops1"],
            id="a lost disk",
        ),
        pytest.param(
            Cluster("db1", "db2", "ops1", unstarted="ops1"),
            "ops1",
            ["remove ops1", "add ops1", "promote ops1"],
            id="an interrupted foundation",
        ),
        pytest.param(
            Cluster("db1", "db2", "ops1", learners="ops1"),
            "ops1",
            ["remove ops1", "add ops1", "promote ops1"],
            id="a run that died before the promotion",
        ),
    ],
)
def test_a_voter_is_added_as_a_learner_and_promoted_when_it_runs(
    cluster: Cluster, name: str, calls: list[str], tmp_path: Path
) -> None:
    host = join(cluster, name, tmp_path)
    assert cluster.calls == calls
    assert host.calls == ["stop", "delete data", "start"]
    assert cluster.calls_of_leader == 1, "a follower passes a promotion on without its login"
    assert not cluster.lost_quorum
    assert f"{name}=https://{ADDRESSES[name]}:2380" in host.bootstrap.read_text()


@pytest.mark.parametrize("names", [["db1"], ["db1", "db2", "ops1"]])
def test_a_voter_that_does_not_start_is_removed_again(names: list[str], tmp_path: Path) -> None:
    cluster = Cluster(*names)
    cluster.fails_to_start = {"db3"}
    with pytest.raises(api.EtcdError, match="not up"):
        join(cluster, "db3", tmp_path)
    assert cluster.names() == names
    assert not cluster.lost_quorum


def test_no_voter_is_added_while_another_one_is_down(tmp_path: Path) -> None:
    cluster = Cluster("db1", "db2", "ops1", down="db2")
    with pytest.raises(api.EtcdError, match="db2 of 3 does not answer"):
        join(cluster, "db3", tmp_path)
    assert cluster.calls == []


def test_a_change_that_etcd_refuses_for_a_moment_is_repeated(tmp_path: Path) -> None:
    cluster = Cluster("db1")
    cluster.refusals = ["etcdserver: unhealthy cluster"]
    membership = api.Membership(cluster, cluster.connect, seconds=60)
    assert membership.add_learner(ADDRESSES["db2"]).learner


def remove(cluster: Cluster, *names: str) -> None:
    membership = cluster.membership()
    membership.remove([member for member in membership.list() if member.address in {ADDRESSES[name] for name in names}])


@pytest.mark.parametrize(
    ("cluster", "names", "calls"),
    [
        (Cluster("db1", "db2", "db3", "ops1"), ["ops1"], ["remove ops1"]),
        (Cluster("db1", "db2", "ops1"), ["db2", "ops1"], ["remove db2", "remove ops1"]),
        (Cluster("db1", "db2", "ops1", down="ops1"), ["ops1", "db2"], ["remove ops1", "remove db2"]),
        (Cluster("db1", "db2", "db3", "ops1", unstarted="db3"), ["db3"], ["remove db3"]),
        (Cluster("db1", "db2", "ops1", "db3", "db4", down="db3 db4"), ["db3", "db4"], ["remove db3", "remove db4"]),
        (Cluster("db1", "db2"), [], []),
    ],
)
def test_members_are_removed_one_at_a_time(cluster: Cluster, names: list[str], calls: list[str]) -> None:
    remove(cluster, *names)
    assert cluster.calls == calls
    assert not cluster.lost_quorum


@pytest.mark.parametrize(
    ("cluster", "names", "message"),
    [
        (Cluster("db1", "db2", "ops1", down="db2"), ["ops1"], "db2 of 2 does not answer"),
        (Cluster("db1"), ["db1"], "0 of the 0 other voters"),
        (Cluster("db1", "db2", "db3", "ops1", down="db3"), ["ops1"], "db3 of 3 does not answer"),
    ],
)
def test_no_member_is_removed_at_the_cost_of_the_quorum(cluster: Cluster, names: list[str], message: str) -> None:
    with pytest.raises(api.EtcdError, match=message):
        remove(cluster, *names)
    assert cluster.calls == []


class Login:
    """A cluster that knows one password, or none yet."""

    def __init__(self, password: str | None) -> None:
        self.password = password

    def login(self, user: str, password: str) -> bool:
        if self.password is None:
            raise api.EtcdError("authentication is not enabled")
        return (user, password) == ("root", self.password)


@pytest.mark.parametrize("password", ["new", "previous", None])
def test_the_password_before_a_rotation_is_accepted(password: str | None) -> None:
    api.log_in(Login(password), ["new", "previous"])


def test_an_unknown_password_names_the_remedy() -> None:
    with pytest.raises(api.EtcdError, match="converge its other voters first"):
        api.log_in(Login("another"), ["new"])


def test_settings_of_a_first_start() -> None:
    cluster = [("db1", "10.0.0.1"), ("db2", "10.0.0.2")]
    assert etcd_member.settings("existing", "production", cluster).splitlines()[1:] == [
        "ETCD_INITIAL_CLUSTER_STATE=existing",
        "ETCD_INITIAL_CLUSTER_TOKEN=production",
        "ETCD_INITIAL_CLUSTER=db1=https://10.0.0.1:2380,db2=https://10.0.0.2:2380",
    ]


@pytest.mark.parametrize(("prefix", "end"), [("/service/main/", "/service/main0"), ("/a/", "/a0")])
def test_range_end_is_the_first_key_behind_the_prefix(prefix: str, end: str) -> None:
    assert api.range_end(prefix) == end
