"""`stackwright plan`: what a converge would change, and what that does to the services."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from stackwright import project
from stackwright.ansible.callback import stackwright_events
from stackwright.cli import plan
from stackwright.model import postgresql_parameters
from stackwright.model.plan_report import KeyChange, PlanReport

ROOT = Path(__file__).resolve().parents[2]
STACK = "topology: {size: B}\napps:\n  emr: {instances: 2}\n"


@pytest.fixture(name="environment")
def environment_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    (tmp_path / "inventories/emr-test").mkdir(parents=True)
    (tmp_path / "systems").mkdir()
    (tmp_path / "inventories/emr-test/stack.yml").write_text(STACK)
    (tmp_path / "systems/emr.yml").write_text("sites: {web: {port: 443}}\n")
    (tmp_path / "roles").symlink_to(ROOT / "roles")
    monkeypatch.setattr(project, "root", lambda: tmp_path)
    plan._rules.cache_clear()
    database = SimpleNamespace(version="17")
    return SimpleNamespace(
        name="emr-test",
        root=tmp_path,
        hosts=["db1", "edge1"],
        stack=SimpleNamespace(system="emr"),
        system=SimpleNamespace(database=database),
    )


class FakeRunner:
    """Returns the events of a run in check mode."""

    def __init__(self, *results: dict[str, Any]) -> None:
        self._results = results
        self.argv: list[str] = []

    def results(self, argv: list[str], _environment: object, _seconds: float) -> list[dict[str, Any]]:
        self.argv = argv
        return [*self._results]


def changed(task: str, *items: str, host: str = "edge1") -> dict[str, Any]:
    return {"host": host, "status": "changed", "task": task, "items": [*items]}


def ok(host: str) -> dict[str, Any]:
    return {"host": host, "status": "ok", "task": "Begin"}


def ask(environment: SimpleNamespace, *results: dict[str, Any]) -> PlanReport:
    return plan.ask(FakeRunner(ok("db1"), ok("edge1"), *results), environment, {"hosts": {"db1": {}, "edge1": {}}})


def test_it_asks_in_check_mode(environment: SimpleNamespace) -> None:
    runner = FakeRunner(ok("db1"))
    plan.ask(runner, environment, {"hosts": {"db1": {}}})
    assert runner.argv[-2:] == ["playbooks/site.yml", "--check"]


@pytest.mark.parametrize(
    ("task", "item", "effect"),
    [
        ("nginx : configure | Write the configuration", "/etc/nginx/staging/http.conf", "reload"),
        (
            "nginx : install | Write the units",
            "/etc/systemd/system/nginx.service.d/stackwright.conf",
            "rolling_restart",
        ),
        ("redis : configure | Write", "/etc/redis/instances/cache/users.acl", "reload"),
        ("redis : configure | Write", "/etc/redis/instances/cache/redis.conf", "reload_or_restart"),
        ("pgbouncer : configure | Write", "/etc/pgbouncer/pgbouncer.ini", "reload_or_restart"),
        ("postgresql : cluster | Apply", "postgresql.parameters.max_connections", "rolling_restart"),
        ("postgresql : cluster | Apply", "postgresql.parameters.work_mem", "reload"),
        ("postgresql : cluster | Apply", "ttl", "reload"),
        ("postgresql : configure | Write", "/etc/patroni/config.yml", "reload"),
        ("app_release : install | Unpack the release", "", "rolling_restart"),
        ("log_rotation : configure | Write", "/etc/stackwright/logrotate.conf", "none"),
        ("somebody.own : run | Write", "/etc/own.conf", None),
        ("Record the members that the edge has", "/etc/stackwright/edge-members.json", "none"),
        ("Install the packages of all roles in one transaction", "", None),
    ],
)
def test_a_change_has_the_effect_that_its_role_states(
    environment: SimpleNamespace, task: str, item: str, effect: str | None
) -> None:
    report = ask(environment, changed(task, *([item] if item else [])))
    (change,) = report.hosts[1].changes
    assert (change.effect, report.exit_code) == (effect, 2)


def test_items_of_a_task_are_grouped_by_effect(environment: SimpleNamespace) -> None:
    acl, service = "/etc/redis/instances/cache/users.acl", "/etc/systemd/system/redis@.service"
    report = ask(environment, changed("redis : configure | Write", acl, service, acl.replace("cache", "session")))
    assert [(change.effect, len(change.items)) for change in report.hosts[1].changes] == [("reload", 2), ("restart", 1)]


@pytest.mark.parametrize(
    ("results", "code", "problem"),
    [
        ((), 0, None),
        (
            ({"host": "db1", "status": "unreachable", "task": "Begin", "message": "x\nno route to host"},),
            3,
            "no route to host",
        ),
        (({"host": "db1", "status": "failed", "task": "Begin", "message": "locked"},), 3, "locked"),
    ],
)
def test_a_host_that_cannot_be_asked_is_not_known(environment, results: tuple, code: int, problem: str | None) -> None:
    report = ask(environment, *results)
    assert (report.exit_code, report.hosts[0].problem) == (code, problem)


def test_a_host_of_which_the_run_says_nothing_is_not_known(environment: SimpleNamespace) -> None:
    report = plan.ask(FakeRunner(ok("db1")), environment, {"hosts": {"db1": {}, "edge1": {}}})
    assert [bool(host.problem) for host in report.hosts] == [False, True]
    output = io.StringIO()
    plan.show(Console(file=output, width=200), report)
    assert output.getvalue().splitlines()[-1] == "  nothing to change; 1 of 2 hosts not known"


def test_keys_that_changed_since_the_last_converge_are_named(environment: SimpleNamespace) -> None:
    assert not plan.is_converged(environment)
    assert plan.changed_keys(environment) == (None, [])
    plan.remember(environment)
    assert plan.is_converged(environment)
    (environment.root / "inventories/emr-test/stack.yml").write_text(
        "apps:\n  emr: {instances: 3, public: [a, b]}\ntopology: {size: B}  # the same\n"
    )
    at, keys = plan.changed_keys(environment)
    file = "inventories/emr-test/stack.yml"
    assert at is not None
    assert keys == [
        KeyChange(file=file, key="apps.emr.instances", before="2", after="3"),
        KeyChange(file=file, key="apps.emr.public[0]", before=None, after="a"),
        KeyChange(file=file, key="apps.emr.public[1]", before=None, after="b"),
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"at": "x"}'])
def test_an_unreadable_record_compares_with_nothing(environment: SimpleNamespace, text: str) -> None:
    plan.remember(environment)
    (environment.root / ".state/emr-test/converged.json").write_text(text)
    assert plan.changed_keys(environment) == (None, [])


def test_the_report_fits_its_schema_and_a_line(environment: SimpleNamespace) -> None:
    plan.remember(environment)
    (environment.root / "systems/emr.yml").write_text("sites: {web: {port: 8443}}\n")
    report = ask(
        environment, changed("nginx : configure | Write the sites", *(f"/etc/nginx/staging/{n}" for n in "abcd"))
    )
    jsonschema.validate(json.loads(report.to_json()), json.loads((ROOT / "schemas/plan.schema.json").read_text()))
    assert json.loads(report.to_json()) == asdict(report)
    output = io.StringIO()
    plan.show(Console(file=output, width=200), report)
    lines = output.getvalue().splitlines()
    assert lines[1] == "    systems/emr.yml: sites.web.port: 443 -> 8443"
    assert lines[-1] == "  1 change"
    names = ", ".join(f"/etc/nginx/staging/{name}" for name in "abc")
    assert lines[2] == f"  edge1  nginx  reload (nginx); Write the sites: {names} and 1 more"


def test_the_callback_names_what_changed() -> None:
    def items(no_log: bool = False, **result: Any) -> list[str]:
        return stackwright_events._items(SimpleNamespace(task=SimpleNamespace(no_log=no_log), result=result))

    assert items(changed=True, changed_paths=["/a"], changed_units=["b.timer"]) == ["/a", "b.timer"]
    answers = [{"changed": True, "changed_settings": ["c"]}, {"changed": False, "changed_paths": ["/d"]}]
    assert items(changed=True, results=answers) == ["c"]
    assert items(no_log=True, changed=True, changed_paths=["/a"]) == []
    assert items(changed=True, _ansible_no_log=True, changed_paths=["/a"]) == []


@pytest.mark.parametrize(
    ("name", "restart"),
    [("max_connections", True), ("work_mem", False), ("pg_stat_statements.max", True), ("no_such_setting", True)],
)
def test_a_setting_of_the_postmaster_needs_a_restart(name: str, restart: bool) -> None:
    assert postgresql_parameters.needs_restart("17", name) is restart
