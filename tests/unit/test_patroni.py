"""How a converge changes a Patroni cluster: one member at a time, never two leaders, and a pause that can be told apart."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROLE = Path(__file__).parents[2] / "roles" / "postgresql"


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


api = _load("ansible.module_utils.stackwright_patroni", ROLE / "module_utils/stackwright_patroni.py")
patroni_config = _load("patroni_config", ROLE / "library/patroni_config.py")
patroni_ready = _load("patroni_ready", ROLE / "library/patroni_ready.py")
patroni_restart = _load("patroni_restart", ROLE / "library/patroni_restart.py")
patroni_retire = _load("patroni_retire", ROLE / "library/patroni_retire.py")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


class Cluster:
    """Members by name, with the state that Patroni reports, and what was asked of them."""

    def __init__(self, **states: str) -> None:
        self.states = states
        self.pending = set(states)
        self.fails: set[str] = set()
        self.calls: list[str] = []
        self.dynamic: dict[str, Any] = {"ttl": 30}

    def role(self, name: str) -> str:
        return "leader" if self.states[name] == "running" else "replica"

    def member(self, name: str) -> Any:
        return Member(self, name)


class Member:
    """One member's interface."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster, self.name, self.host = cluster, name, name

    def status(self) -> dict[str, Any]:
        state = self._cluster.states[self.name]
        if state == "away":
            return {}
        role = {"leader": "primary"}.get(self._cluster.role(self.name), "replica")
        status = {"state": state, "role": role, "pause": bool(self._cluster.dynamic.get("pause"))}
        return {**status, **({"pending_restart": True} if self.name in self._cluster.pending else {})}

    def config(self) -> dict[str, Any]:
        return {} if self._cluster.states[self.name] == "away" else self._cluster.dynamic

    def cluster(self) -> list[dict[str, Any]]:
        states = self._cluster.states.items()
        return [
            {"name": name, "state": state, "role": self._cluster.role(name), "lag": 0, "api_url": f"{name}/patroni"}
            for name, state in states
            if state != "away"
        ]

    def at(self, url: str) -> Member:
        return Member(self._cluster, url)

    def members(self) -> list[Member]:
        return [self.at(entry["name"]) for entry in self.cluster()]

    def leaders(self) -> list[str]:
        return [entry["name"] for entry in self.cluster() if entry["role"] == "leader"]

    def runs(self) -> bool:
        return self._cluster.states[self.name] in {"running", "streaming"}

    def send(self, method: str, path: str, body: dict[str, Any]) -> str:
        self._cluster.calls.append(f"{method} {path} {self.name}")
        if path == "/restart":
            self._cluster.pending.discard(self.name)
            if self.name in self._cluster.fails:
                self._cluster.states[self.name] = "start failed"
                raise api.PatroniError("503 restart failed")
        if path == "/config":
            merged = body if method == "PUT" else {**self._cluster.dynamic, **body}
            self._cluster.dynamic = {key: value for key, value in merged.items() if value is not None}
        if path == "/switchover":
            self._cluster.states[body["leader"]] = "streaming"
            self._cluster.states[body["candidate"]] = "running"
        return ""


def restart(cluster: Cluster) -> list[str]:
    return list(patroni_restart.restart_postgresql(cluster.member("db1"), seconds=0, check_mode=False))


def test_replicas_are_restarted_before_the_leader() -> None:
    cluster = Cluster(db1="running", db2="streaming", db3="streaming")
    assert restart(cluster) == ["db1", "db2", "db3"]
    assert cluster.calls == ["POST /restart db2", "POST /restart db3", "POST /restart db1"]


def test_no_member_is_restarted_after_the_first_that_fails() -> None:
    cluster = Cluster(db1="running", db2="streaming", db3="streaming")
    cluster.fails = {"db2"}
    with pytest.raises(api.PatroniError, match="restart failed"):
        restart(cluster)
    assert cluster.calls == ["POST /restart db2"]
    with pytest.raises(api.PatroniError, match=r"nothing was restarted: db2 \(start failed\)"):
        restart(cluster)
    assert cluster.calls == ["POST /restart db2"]


class UpdatedHost(SimpleNamespace):
    """An Ansible module on a host where an update has replaced what Patroni runs."""

    check_mode = False

    def __init__(self, cluster: Cluster, host: str) -> None:
        super().__init__(params={"host": host, "unit": "patroni.service", "files": [], "role": "", "seconds": 0})
        self.params["updates"], self.cluster = True, cluster

    def run_command(self, command: list[str], **_: Any) -> tuple[int, str, str]:
        if command[:2] == ["systemctl", "restart"]:
            self.cluster.calls.append(f"restart {self.params['host']} as {self.cluster.role(self.params['host'])}")
        return 0, "ActiveState=active NRestarts=0", ""


def restart_for_updates(monkeypatch: pytest.MonkeyPatch, cluster: Cluster, host: str) -> list[str]:
    monkeypatch.setattr(patroni_restart, "stale", lambda *_, **__: True)
    return list(patroni_restart.restart_patroni(UpdatedHost(cluster, host), cluster.member(host)))


@pytest.mark.parametrize(
    ("host", "calls"),
    [
        ("db2", ["restart db2 as replica"]),
        ("db1", ["POST /switchover db1", "restart db1 as replica"]),
    ],
)
def test_a_leader_hands_over_before_it_is_restarted_for_updates(
    monkeypatch: pytest.MonkeyPatch, host: str, calls: list[str]
) -> None:
    cluster = Cluster(db1="running", db2="streaming")
    assert restart_for_updates(monkeypatch, cluster, host) == [host]
    assert cluster.calls == calls


def test_a_leader_without_a_replica_is_restarted_for_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(db1="running")
    assert restart_for_updates(monkeypatch, cluster, "db1") == ["db1"]
    assert cluster.calls == ["restart db1 as leader"]


def test_nothing_is_restarted_for_updates_while_the_cluster_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(db1="running", db2="streaming")
    cluster.dynamic["pause"] = True
    with pytest.raises(api.PatroniError, match="nothing was restarted: the cluster is paused"):
        restart_for_updates(monkeypatch, cluster, "db2")
    assert cluster.calls == []


@pytest.mark.parametrize("state", ["in archive recovery", "streaming"])
def test_a_replica_that_reads_the_archive_is_no_reason_to_restart_nothing(state: str) -> None:
    cluster = Cluster(db1="running", db2=state)
    patroni_restart.require_whole(cluster.member("db1"), seconds=0)


@pytest.mark.parametrize(
    ("pause", "by_converge", "by_operator"),
    [(None, "", False), (True, "", True), ("on", "db1: a restart", False), ("true", "", True)],
)
def test_a_pause_of_a_converge_is_told_from_an_operators(pause: Any, by_converge: str, by_operator: bool) -> None:
    # The marker of an earlier pause, that an operator ended by hand, says nothing about a later one.
    config = {"pause": pause, api.PAUSED_BY: {"by": "db1", "reason": "a restart"}}
    assert api.paused_by_converge(config) == by_converge
    assert api.paused_by_operator(config) is by_operator


class Module(SimpleNamespace):
    """An Ansible module, as far as `apply` needs it."""

    check_mode = False


def apply(monkeypatch: pytest.MonkeyPatch, cluster: Cluster, config: dict[str, Any]) -> dict[str, Any]:
    monkeypatch.setattr(patroni_config, "Patroni", lambda _: cluster.member("db1"))
    params = {"api": {}, "urls": list(cluster.states), "config": config, "seconds": 0}
    patroni_config.apply(Module(params=params))
    return cluster.dynamic


def test_settings_are_applied_though_postgresql_runs_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(db1="away", db2="start failed")
    assert apply(monkeypatch, cluster, {"ttl": 20}) == {"ttl": 20}
    assert cluster.calls == ["PUT /config db2"]


def test_any_member_ends_a_pause_that_a_converge_left(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(db1="running", db2="streaming")
    cluster.dynamic = {"ttl": 30, "pause": "on", api.PAUSED_BY: {"by": "db9", "reason": "x"}}
    assert apply(monkeypatch, cluster, {"ttl": 30}) == {"ttl": 30}


def test_a_pause_of_an_operator_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(db1="running", db2="streaming")
    cluster.dynamic = {"ttl": 30, "pause": True}
    assert apply(monkeypatch, cluster, {"ttl": 20}) == {"ttl": 20, "pause": True}


def test_no_pause_is_ended_while_a_leader_runs_without_patroni(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(db1="away", db2="streaming")
    cluster.dynamic = {"ttl": 30, "pause": "on"}
    monkeypatch.setattr(patroni_config, "_listens", lambda host: host == "db1")
    with pytest.raises(api.PatroniError, match="on db1 PostgreSQL runs without Patroni"):
        apply(monkeypatch, cluster, {"ttl": 20})
    assert cluster.dynamic["pause"] == "on"
    monkeypatch.setattr(patroni_config, "_listens", lambda _: False)
    assert apply(monkeypatch, cluster, {"ttl": 20}) == {"ttl": 20}


@pytest.mark.parametrize(
    ("state", "message"), [("creating replica", None), ("streaming", None), ("start failed", "does not follow")]
)
def test_a_long_copy_is_no_failure(state: str, message: str | None) -> None:
    cluster = Cluster(db1="running", db2=state)
    params = {"led": False, "seconds": 0, "clone_seconds": 0}
    if message is None:
        patroni_ready.ready(cluster.member("db2"), params)
    else:
        with pytest.raises(api.PatroniError, match=message):
            patroni_ready.ready(cluster.member("db2"), params)


@pytest.mark.parametrize(
    ("state", "role"), [("away", None), ("streaming", "replica"), ("creating replica", "replica"), ("start failed", "")]
)
def test_a_check_demands_what_a_run_waits_for(state: str, role: str | None) -> None:
    cluster = Cluster(db1="running", db2=state)
    params = {"led": False, "seconds": 900, "clone_seconds": 900}
    if role == "":
        with pytest.raises(api.PatroniError, match="does not follow the leader"):
            patroni_ready.settled(cluster.member("db2"), params, check_mode=True)
    else:
        assert patroni_ready.settled(cluster.member("db2"), params, check_mode=True).get("role") == role


def hand_over(cluster: Cluster, *names: str) -> bool:
    return bool(api.hand_over(cluster.member("db1"), list(names), seconds=0, check_mode=False))


def test_a_leader_that_goes_hands_over_to_a_member_that_stays() -> None:
    cluster = Cluster(db1="running", db2="streaming", db3="streaming")
    assert hand_over(cluster, "db1", "db2")
    assert cluster.role("db3") == "leader"


def test_a_replica_goes_without_a_switchover() -> None:
    cluster = Cluster(db1="running", db2="streaming")
    assert not hand_over(cluster, "db2")
    assert cluster.calls == []


def test_a_leader_does_not_go_while_no_other_member_has_everything() -> None:
    cluster = Cluster(db1="running", db2="creating replica")
    with pytest.raises(api.PatroniError, match="nothing was changed"):
        hand_over(cluster, "db1")
    assert cluster.calls == []
