"""`stackwright status`: what is made of the answers of hosts, and what a person and a program are told."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar
from rich.console import Console
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent / "model"))

from model_project import ROOT, provisioned

from stackwright import host_status
from stackwright.ansible.modules import stackwright_status
from stackwright.cli import app as cli
from stackwright.cli import status
from stackwright.cli.progress import Runner
from stackwright.model.environment import load
from stackwright.model.inventory import Inventory, build
from stackwright.model.output import InventoryError
from stackwright.model.status_report import Finding, StatusReport, report, worst
from stackwright.model.wiring import instance_names
from stackwright.testing.role_inputs import HostInputs

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
Answers = dict[str, dict[str, Any]]
#: As Patroni 4.0 and 4.1 print it: the columns of the lag have other names.
REPLICAS = """[{"Cluster": "main", "Member": "db1", "Host": "10.87.20.31", "Role": "Leader", "State": "running", "TL": 1},
 {"Cluster": "main", "Member": "db2", "Host": "10.87.20.32", "Role": "Replica", "State": "streaming", "TL": 1, "Lag in MB": 0}]"""
REPLICAS_4_1 = """[{"Cluster": "main", "Member": "db1", "Host": "10.87.20.31", "Role": "Leader", "State": "running", "TL": 1,
  "Receive LSN": "", "Receive Lag": "", "Replay LSN": "", "Replay Lag": ""},
 {"Cluster": "main", "Member": "db2", "Host": "10.87.20.32", "Role": "Sync Standby", "State": "streaming", "TL": 1,
  "Receive LSN": "0/7000060", "Receive Lag": 0, "Replay LSN": "0/7000060", "Replay Lag": 0}]"""
CLUSTER = "loop_wait: 10\nmaximum_lag_on_failover: 33554432\nttl: 30\n"
DISKS = """Type        1B-blocks       Avail Use% IUse% Mounted on
overlay  270553174016 75682246656  23%    4% /
tmpfs     12638253056 12638253056 100%    1% /run
ext4     270553174016 75682246656  99%    4% /etc/hosts
btrfs    270553174016 75682246656  23%     - /srv/a folder
"""


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    environment = load(ROOT / "inventories/taaleem-local")
    return build(environment, json.loads(json.dumps(provisioned(environment))))


@pytest.fixture(scope="module")
def stack(inventory: Inventory) -> dict[str, Any]:
    return dict(inventory.variables["stack"])


def answer(output: Any, code: int = 0, error: str = "") -> dict[str, Any]:
    return {"code": code, "output": output if isinstance(output, str) else json.dumps(output), "error": error}


def instance(name: str, **changes: Any) -> dict[str, Any]:
    process = {"pid": 7, "status": "online", "restarts": 0, "started_at": "2026-11-29T11:59:00.000Z", "memory_mb": 90}
    process |= {key: changes.pop(key) for key in list(changes) if key in ("restarts", "started_at")}
    base = {"name": name, "port": 5005, "mode": "fork", "status": "online", "stale": False, "release": "1.0.0-abc"}
    return base | {"processes": [process | {"cpu_percent": 1}]} | changes


def healthy(stack: Mapping[str, Any], host: str) -> Answers:
    """What a host answers on which all is well."""
    groups = stack["hosts"][host]["groups"]
    answers = {
        "services": answer("Id=chrony.service\nLoadState=loaded\nActiveState=active\n"),
        "failed": answer(""),
        "disks": answer(DISKS),
        "certificates": answer(
            {"certificates": [{"name": "web", "ends": "2027-02-01T12:00:00+00:00", "usable": True, "problems": []}]}
        ),
        "backups": answer(
            {
                "checks": [
                    {
                        "kind": "files",
                        "name": "uploads",
                        "ok": True,
                        "detail": "",
                        "age_seconds": 7200,
                        "max_age_seconds": 108_000,
                    }
                ]
            }
        ),
        "updates": answer([]),
        "package_lists": answer(f"{NOW - 90_000}\n{NOW - 3600}\n", code=1),
        "restart": answer("", code=1),
    }
    if "database" in groups:
        answers |= {"replicas": answer(REPLICAS), "cluster": answer(CLUSTER)}
    if "app" in groups:
        names = [one["name"] for one in instance_names(stack, "emr", host)]
        running = [instance(name) for name in names]
        pm2 = {"updated_at": "2026-11-29T11:59:58.000Z", "instances": running, "unexpected": []}
        answers["instances"] = answer({"emr": pm2})
    if "edge" in groups:
        members = stack["edge"]["sites"][0]["upstreams"][0]["members"]
        serving = [
            {"member": f"{one['address']}:{one['port']}", "serving": True, "drained": False, "unready": None}
            for one in members
        ]
        answers["members"] = answer({"upstreams": {"emr": serving}, "health_checks_running": True})
    return answers


def results(stack: Mapping[str, Any], **changes: Answers) -> list[dict[str, Any]]:
    """What the playbook tells of every host; `changes` are other answers of a host."""
    return [
        {
            "host": host,
            "status": "ok",
            "said": {"time": NOW, "answers": healthy(stack, host) | changes.get(host, {})},
        }
        for host in stack["hosts"]
    ]


def judged(stack: Mapping[str, Any], **changes: Answers) -> list[Finding]:
    return host_status.judge(host_status.from_results(results(stack, **changes), stack), stack)


def problems(findings: list[Finding]) -> list[tuple[str, str | None, str, str]]:
    return [(each.state, each.host, each.name, each.message) for each in findings if each.state != "ok"]


def changed(stack: Mapping[str, Any], host: str, question: str, change: Callable[[Any], None]) -> Answers:
    """A healthy answer of a host in JSON with a change."""
    content = json.loads(healthy(stack, host)[question]["output"])
    change(content)
    return {question: answer(content)}


# --- what is well ---------------------------------------------------------------------------------------------------


def test_a_healthy_environment_has_no_problem_and_names_everything(stack: dict[str, Any]) -> None:
    findings = judged(stack)
    assert problems(findings) == []
    named = {(each.kind, each.host, each.name) for each in findings}
    for host in stack["groups"]["app"]:
        assert {("instance", host, one["name"]) for one in instance_names(stack, "emr", host)} <= named
    assert {("host", host, host) for host in stack["hosts"]} <= named
    assert {("replica", "db1", "db1"), ("replica", "db2", "db2"), ("pause", None, "patroni")} <= named
    assert {("application", None, "emr"), ("disk", "db1", "/"), ("disk", "db1", "/srv/a folder")} <= named
    # Not what belongs to the machine below.
    assert not {each.name for each in findings} & {"/run", "/etc/hosts"}


# --- what is not ----------------------------------------------------------------------------------------------------


def test_hosts_that_cannot_be_asked_are_named_and_hide_no_other(stack: dict[str, Any]) -> None:
    found = results(stack)
    lost = {"host": "app2", "status": "unreachable", "message": "EOF on stream\nssh: connect to host: timed out"}
    refused = {"host": "db2", "status": "failed", "message": "Missing sudo password"}
    found = [lost if each["host"] == "app2" else refused if each["host"] == "db2" else each for each in found]
    found = [each for each in found if each["host"] != "cache1"]
    hosts = host_status.from_results(found, stack)
    findings = host_status.judge(hosts, stack)
    assert problems(findings) == [
        ("critical", "app2", "app2", "does not answer: ssh: connect to host: timed out"),
        ("unknown", "db2", "db2", "cannot be asked: Missing sudo password"),
        ("critical", "cache1", "cache1", "does not answer: Ansible says nothing of it; see the log"),
        ("warning", None, "emr", "2 of 4 instances online, release 1.0.0-abc"),
    ]
    lines = {line.name: (line.reachable, line.state) for line in host_status.host_lines(hosts, findings, stack)}
    assert set(lines) == set(stack["hosts"])
    assert (lines["app2"], lines["db2"], lines["db1"]) == ((False, "critical"), (True, "unknown"), (True, "ok"))


@pytest.mark.parametrize(
    ("change", "state", "message"),
    [
        ({"drained": True, "serving": False}, "warning", "is drained: nginx-drain emr {member} off puts it back"),
        (
            {"serving": False, "unready": {"reason": "503", "since": "11:58"}},
            "critical",
            "is not ready since 11:58: 503",
        ),
        (
            {"unready": {"reason": "503", "since": "11:58"}},
            "critical",
            "is not ready since 11:58: 503; it gets requests since no other member is left",
        ),
    ],
)
def test_members_of_the_edge(stack: dict[str, Any], change: dict[str, Any], state: str, message: str) -> None:
    def first(content: Any) -> None:
        content["upstreams"]["emr"][0] |= change

    member = stack["edge"]["sites"][0]["upstreams"][0]["members"][0]
    shown = message.format(member=f"{member['address']}:{member['port']}")
    findings = judged(stack, edge1=changed(stack, "edge1", "members", first))
    assert problems(findings) == [(state, "edge1", f"emr {member['host']}:{member['port']}", shown)]


def test_an_upstream_without_any_member_is_critical(stack: dict[str, Any]) -> None:
    def drain(content: Any) -> None:
        for member in content["upstreams"]["emr"]:
            member |= {"drained": True, "serving": False}

    findings = judged(stack, edge1=changed(stack, "edge1", "members", drain))
    assert problems(findings)[-1] == ("critical", "edge1", "emr", "has no member that gets requests")


@pytest.mark.parametrize(
    ("changes", "state", "message"),
    [
        ({"status": "errored"}, "critical", "errored, release 1.0.0-abc, 0 restarts"),
        ({"restarts": 2}, "warning", "online, release 1.0.0-abc, 2 restarts, the last 1 minute ago"),
        ({"restarts": 2, "started_at": "2026-11-29T01:00:00.000Z"}, "ok", "online, release 1.0.0-abc, 2 restarts"),
        ({"restarts": 1, "mode": "cluster"}, "ok", "online, release 1.0.0-abc, 1 restart"),
        ({"stale": True}, "warning", "online, release 1.0.0-abc, 0 restarts, runs with other files than are installed"),
    ],
)
def test_instances(stack: dict[str, Any], changes: dict[str, Any], state: str, message: str) -> None:
    def first(content: Any) -> None:
        content["emr"]["instances"][0] = instance(content["emr"]["instances"][0]["name"], **changes)

    findings = judged(stack, app1=changed(stack, "app1", "instances", first))
    found = next(each for each in findings if each.kind == "instance" and each.host == "app1")
    assert (found.state, found.message) == (state, message)


def test_instances_that_are_missing_or_unknown(stack: dict[str, Any]) -> None:
    def change(content: Any) -> None:
        content["emr"]["instances"].pop()
        content["emr"]["unexpected"] = ["emr-old"]

    count = len(stack["apps"]["emr"]["instances_by_host"]["app1"])
    states = [each[:1] + each[3:] for each in problems(judged(stack, app1=changed(stack, "app1", "instances", change)))]
    assert ("critical", "is not running") in states
    assert ("warning", "runs, and is in no file") in states
    stopped = problems(judged(stack, app1={"instances": answer({})}))
    assert sum(each[0] == "critical" and each[3] == "is not running" for each in stopped) == count


def test_a_supervisor_that_hangs_is_no_healthy_application(stack: dict[str, Any]) -> None:
    def stop(content: Any) -> None:
        content["emr"]["updated_at"] = "2026-11-29T11:00:00.000Z"

    found = problems(judged(stack, app1=changed(stack, "app1", "instances", stop)))
    assert ("critical", "its supervisor has said nothing since 2026-11-29T11:00:00.000Z") in [
        (each[0], each[3]) for each in found
    ]


def test_instances_of_two_releases(stack: dict[str, Any]) -> None:
    def change(content: Any) -> None:
        content["emr"]["instances"][0]["release"] = "2.0.0-def"

    (found,) = problems(judged(stack, app1=changed(stack, "app1", "instances", change)))
    assert found[:3] == ("warning", None, "emr")
    assert found[3].endswith("online, release 1.0.0-abc, 2.0.0-def")


@pytest.mark.parametrize(
    ("change", "state", "message"),
    [
        ({"Lag in MB": 40}, "warning", "Replica, streaming, lag 40 MB; at most 32 MB to be promoted"),
        ({"Lag in MB": "unknown"}, "warning", "Replica, streaming, lag unknown MB, lag unknown"),
        ({"State": "in archive recovery"}, "warning", "Replica, in archive recovery, lag 0 MB"),
        ({"State": "start failed"}, "critical", "Replica, start failed, lag 0 MB"),
        ({"Pending restart": "*"}, "warning", "Replica, streaming, lag 0 MB, waits for a restart"),
        # Patroni 3.0 of Debian 12 has no word of its own for a replica that streams.
        ({"State": "running"}, "ok", "Replica, running, lag 0 MB"),
    ],
)
def test_replicas(stack: dict[str, Any], change: dict[str, Any], state: str, message: str) -> None:
    rows = json.loads(REPLICAS)
    rows[1] |= change
    findings = judged(stack, **{host: {"replicas": answer(rows)} for host in ("db1", "db2")})
    (found,) = [each for each in findings if (each.kind, each.name) == ("replica", "db2")]
    assert (found.state, found.message) == (state, message)


def test_a_cluster_without_a_leader_or_a_member(stack: dict[str, Any]) -> None:
    rows = [json.loads(REPLICAS)[1]]
    assert problems(judged(stack, **{host: {"replicas": answer(rows)} for host in ("db1", "db2")})) == [
        ("critical", "db1", "db1", "is no member of the cluster"),
        ("critical", None, "leader", "there is no leader: nothing can be written"),
    ]


def test_the_columns_of_patroni_4_1(stack: dict[str, Any]) -> None:
    findings = judged(stack, db1={"replicas": answer(REPLICAS_4_1)})
    assert problems(findings) == []
    (replica,) = [each for each in findings if (each.kind, each.name) == ("replica", "db2")]
    assert replica.values == {"role": "Sync Standby", "state": "streaming", "lag_mb": 0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("pause: true\n", "is paused by an operator: no failover until `patronictl resume`"),
        (
            "pause: 'on'\nstackwright_pause: {by: db2 of x, reason: restarts}\n",
            "is paused by db2 of x: restarts",
        ),
    ],
)
def test_pauses_name_who_paused(stack: dict[str, Any], settings: str, message: str) -> None:
    findings = judged(stack, **{host: {"cluster": answer(CLUSTER + settings)} for host in ("db1", "db2")})
    assert problems(findings) == [("warning", None, "patroni", message)]


def test_a_database_host_that_patroni_does_not_answer_is_named(stack: dict[str, Any]) -> None:
    silent = answer("", code=1, error="usage\nError: Failed to connect to etcd")
    findings = judged(stack, db1={"replicas": silent, "cluster": silent})
    message = "cannot be told: Error: Failed to connect to etcd"
    assert problems(findings) == [("unknown", "db1", question, message) for question in ("replicas", "cluster")]
    # The other host says how the cluster is.
    assert {"db1", "db2"} == {each.name for each in findings if each.kind == "replica"}


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ("ext4 100 21 79% 79% /data", "ok"),
        ("ext4 100 20 80% 4% /data", "warning"),
        ("ext4 100 10 90% 4% /data", "critical"),
        ("xfs 100 90 10% 95% /data", "critical"),
    ],
)
def test_disks_by_space_and_inodes(stack: dict[str, Any], row: str, state: str) -> None:
    found = judged(stack, db1={"disks": answer(f"Type 1B-blocks Avail Use% IUse% Mounted on\n{row}\n")})
    assert [each.state for each in found if each.kind == "disk" and each.host == "db1"] == [state]


@pytest.mark.parametrize(
    ("ends", "usable", "told", "state", "message"),
    [
        ("2026-12-12T12:00:00+00:00", True, ["ends soon"], "warning", "ends soon; 13 days left"),
        ("2026-12-01T12:00:00+00:00", True, ["ends soon"], "critical", "ends soon; 2 days left"),
        # Of an issuer whose certificates live for days: the role's own share of the lifetime counts.
        ("2026-12-01T12:00:00+00:00", True, [], "ok", "2 days left"),
        ("2027-02-01T12:00:00+00:00", False, ["key and certificate do not match"], "critical", None),
        (None, False, ["there is no certificate"], "critical", "there is no certificate"),
    ],
)
def test_certificates(
    stack: dict[str, Any], ends: str | None, usable: bool, told: list[str], state: str, message: str | None
) -> None:
    entry = {"name": "web", "ends": ends, "usable": usable, "problems": told}
    findings = judged(stack, edge1={"certificates": answer({"certificates": [entry]})})
    (found,) = [each for each in findings if each.kind == "certificate" and each.host == "edge1"]
    assert found.state == state
    assert message is None or found.message == message


def test_backups_that_are_old_have_gaps_or_little_space(stack: dict[str, Any]) -> None:
    checks = [
        {
            "kind": "postgresql",
            "name": "main",
            "ok": False,
            "detail": "the newest backup is 40 h old",
            "age_seconds": 1,
        },
        {"kind": "wal", "name": "main/17-1", "ok": False, "detail": "WAL is missing", "gaps": 1},
        {"kind": "space", "name": "/var/lib/pgbackrest", "ok": False, "detail": "10 MiB free"},
        {"kind": "verify", "name": "ops1", "ok": True, "detail": "", "age_seconds": 3600},
    ]
    findings = judged(stack, ops1={"backups": answer({"checks": checks}, code=1)})
    assert problems(findings) == [
        ("critical", "ops1", "postgresql main", "the newest backup is 40 h old"),
        ("critical", "ops1", "wal main/17-1", "WAL is missing"),
        ("warning", "ops1", "space /var/lib/pgbackrest", "10 MiB free"),
    ]


def test_security_updates_that_nobody_installs_by_himself(stack: dict[str, Any]) -> None:
    updates = [
        {"package": "bash", "security": True, "excluded": False},
        {"package": "patroni", "security": True, "excluded": True},
        {"package": "pgbouncer", "security": False, "excluded": True},
    ]
    told = {"updates": answer(updates), "package_lists": answer(f"{NOW - 5 * 86_400}\n"), "restart": answer("/run/x\n")}
    assert problems(judged(stack, db1=told)) == [
        ("warning", "db1", "packages", "3 updates, 2 of security; left to a planned upgrade: patroni"),
        ("warning", "db1", "package lists", "last updated 5 days ago; see the journal of apt-daily.service"),
        ("warning", "db1", "host", "an update waits for a restart of the host"),
    ]


def test_services_that_do_not_run_and_units_that_failed(stack: dict[str, Any]) -> None:
    shown = "\n\n".join(
        f"Id={unit}\nLoadState={loaded}\nActiveState={active}"
        for unit, loaded, active in (
            ("nginx.service", "loaded", "inactive"),
            ("redis@cache.service", "loaded", "activating"),
            ("patroni.service", "not-found", "inactive"),
        )
    )
    # What a check of the past minutes said is asked anew.
    failed = "".join(f"{unit}.service loaded failed failed x\n" for unit in ("apt-daily", "backup-status"))
    assert problems(judged(stack, db1={"services": answer(shown), "failed": answer(failed)})) == [
        ("critical", "db1", "nginx.service", "is inactive"),
        ("warning", "db1", "redis@cache.service", "is activating"),
        ("critical", "db1", "patroni.service", "is not-found"),
        ("warning", "db1", "apt-daily.service", "has failed; its journal says why"),
    ]


@pytest.mark.parametrize("question", ["services", "disks", "certificates", "backups", "updates", "package_lists"])
@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"code": None, "output": "", "error": "no answer within 30 s"}, "no answer within 30 s"),
        ({"code": 1, "output": "garbage", "error": "Traceback\nValueError: x"}, "ValueError: x"),
        ({"code": 0, "output": "[[1]]", "error": ""}, "no answer that can be read"),
    ],
)
def test_an_answer_that_is_none_is_unknown(
    stack: dict[str, Any], question: str, broken: dict[str, Any], message: str
) -> None:
    if question == "disks" and broken["code"] == 0:
        broken = broken | {"output": "\nx"}
    assert problems(judged(stack, ops1={question: broken})) == [
        ("unknown", "ops1", question, f"cannot be told: {message}")
    ]


# --- what is asked --------------------------------------------------------------------------------------------------


def exports(inventory: Inventory, host: str, kind: str, folder: Path) -> list[dict[str, Any]]:
    """What the roles of a host export, without facts, as the playbook asks for it."""
    inputs = HostInputs(inventory, host, folder)
    variables = {key: value for key, value in inputs.variables.items() if key != "ansible_facts"}
    templar = Templar(loader=DataLoader(), variables=variables)
    lookup = lookup_loader.get("stackwright_exports", loader=DataLoader(), templar=templar)
    entries: list[dict[str, Any]] = lookup.run([kind], variables=variables)[0]
    return entries


def test_every_question_of_a_role_is_judged_and_every_host_is_asked(
    inventory: Inventory, stack: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACKWRIGHT_ROOT", str(ROOT))
    asked = {host: exports(inventory, host, "status", tmp_path) for host in inventory.hosts}
    for host, questions in asked.items():
        names = [question["name"] for question in questions]
        assert sorted(names) == sorted(set(names))
        assert set(names) | {"services"} == set(healthy(stack, host)), host
        assert all({"name", "argv"} <= set(question) <= {"name", "argv", "user", "role"} for question in questions)
    units = {
        host: {unit for entry in exports(inventory, host, "services", tmp_path) for unit in entry["units"]}
        for host in inventory.hosts
    }
    assert {"nginx.service", "nginx-health.service", "chrony.service", "tls-expiry-check.timer"} <= units["edge1"]
    assert {"pm2-emr.service", "pgbouncer.service", "haproxy.service"} <= units["app1"]
    assert {"patroni.service", "etcd.service", "pgbackrest.service", "backup-status.timer"} <= units["db1"]
    assert {"redis@sessions.service", "redis@cache.service", "redis@rate-limit.service"} <= units["cache1"]
    assert {"restic-server.service", "pgbackrest-full.timer", "backup-verify.timer"} <= units["ops1"]


def test_the_packages_of_all_roles_are_known_and_so_are_the_units_that_wait_for_ours(
    inventory: Inventory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STACKWRIGHT_ROOT", str(ROOT))
    packages = {host: exports(inventory, host, "packages", tmp_path) for host in inventory.hosts}
    names = {host: {name for entry in entries for name in entry["names"]} for host, entries in packages.items()}
    assert {"nginx", "nftables", "logrotate", "ca-certificates"} <= names["edge1"]
    assert {"etcd-server", "pgbackrest"} <= names["db1"]
    assert {unit for entry in packages["db1"] for unit in entry.get("masked", [])} == {
        "etcd.service",
        "pgbackrest.service",
    }


def test_programs_are_asked_at_once_and_one_that_fails_is_an_answer() -> None:
    questions = [
        {"name": "good", "argv": ["sh", "-c", "echo yes"]},
        {"name": "bad", "argv": ["sh", "-c", "echo no; echo why >&2; exit 3"]},
        {"name": "absent", "argv": ["/nowhere/program"]},
        {"name": "slow", "argv": ["sleep", "9"]},
    ]
    assert [stackwright_status.ask(question, 1) for question in questions] == [
        {"code": 0, "output": "yes\n", "error": ""},
        {"code": 3, "output": "no\n", "error": "why"},
        {"code": None, "output": "", "error": "/nowhere/program: No such file or directory"},
        {"code": None, "output": "", "error": "no answer within 1 s"},
    ]


PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - stackwright_status: {questions: [{name: disks, argv: [echo, full]}, {name: slow, argv: [sleep, "9"]}], seconds: 1}
"""
HOSTS = """
good ansible_connection=local
lost ansible_host=127.0.0.1 ansible_port=1
"""


def test_the_answers_of_a_playbook_arrive_and_a_lost_host_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Ansible itself, with the strategy and the callback of a converge."""
    (tmp_path / "play.yml").write_text(PLAY)
    (tmp_path / "hosts.ini").write_text(HOSTS)
    monkeypatch.chdir(ROOT)
    runner = Runner(Console(quiet=True), tmp_path / "log/run/stackwright.log", verbose=False)
    argv = ["ansible-playbook", "-i", str(tmp_path / "hosts.ini"), str(tmp_path / "play.yml")]
    told = runner.results(argv, os.environ | {"ANSIBLE_INVENTORY_ENABLED": "ini"}, 60)
    stack = {"hosts": {name: {"os": "debian-13"} for name in ("good", "lost", "other")}}
    good, lost, other = host_status.from_results(told, stack)
    assert {question: (each.code, each.output) for question, each in good.answers.items()} == {
        "disks": (0, "full\n"),
        "slow": (None, ""),
    }
    assert (good.reachable, lost.reachable, other.reachable) == (True, False, False)
    assert "refused" in lost.problem


# --- what is told ---------------------------------------------------------------------------------------------------


def a_report(stack: Mapping[str, Any], **changes: Answers) -> StatusReport:
    hosts = host_status.from_results(results(stack, **changes), stack)
    findings = host_status.judge(hosts, stack)
    return report("taaleem-local", "2026-11-29T12:00:00Z", host_status.host_lines(hosts, findings, stack), findings)


def test_the_json_is_that_of_its_schema(stack: dict[str, Any]) -> None:
    schema = json.loads((ROOT / "schemas/status.schema.json").read_text())
    broken = {"code": None, "output": "", "error": "no answer within 30 s"}
    for changes in ({}, {"db1": {"disks": broken, "updates": broken}}):
        shown = json.loads(a_report(stack, **changes).to_json())
        jsonschema.validate(shown, schema)
        assert list(shown) == ["version", "environment", "asked_at", "state", "exit_code", "hosts", "findings"]
        assert shown["version"] == 1


def test_the_values_are_those_of_the_reference(stack: dict[str, Any]) -> None:
    text = (ROOT / "docs/reference/status.md").read_text().partition("| kind | `values` |")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in text.strip().splitlines()[1:]]
    documented = {row[1].strip(" `"): set(re.findall(r"`(\w+)`", row[2])) for row in rows}
    given: dict[str, set[str]] = {}
    for finding in judged(stack):
        given.setdefault(finding.kind, set()).update(finding.values)
    named = {kind: keys for kind, keys in documented.items() if kind != "cloud"}
    assert {kind: keys for kind, keys in given.items() if keys} == named


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], "ok"),
        (["ok", "warning"], "warning"),
        (["warning", "unknown"], "unknown"),
        (["unknown", "critical", "warning"], "critical"),
    ],
)
def test_the_most_urgent_state_counts(states: list[Any], expected: str) -> None:
    assert worst(Finding(kind="disk", name="/", state=state, message="") for state in states) == expected


@pytest.mark.parametrize("width", [100, 160])
def test_a_person_sees_every_problem_and_how_many_are_well(stack: dict[str, Any], width: int) -> None:
    shown = a_report(stack, db1={"failed": answer("apt-daily.service loaded failed failed x\n")})
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    status.show(console, shown)
    text = console.export_text()
    assert "taaleem-local: warning (1 warning)" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["ok", "service", "7", "ok"] in rows
    assert any(row[:4] == ["warning", "unit", "db1", "apt-daily.service"] for row in rows)
    assert next(row for row in rows if row[:1] == ["db1"])[-1] == "warning"


class Said:
    """In place of a runner: what the playbook tells, and the commands that were printed."""

    def __init__(self, told: list[dict[str, Any]]) -> None:
        self.told, self.argv, self.log = told, list[str](), Path("stackwright.log")

    def results(self, argv: list[str], *_: Any) -> list[dict[str, Any]]:
        self.argv = argv
        return self.told


@pytest.fixture
def command(stack: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    def run(*options: str, **changes: Answers) -> Any:
        environment = load(ROOT / "inventories/taaleem-local")
        monkeypatch.setattr(cli, "_load", lambda _: environment)
        monkeypatch.setattr(cli, "_stack", lambda _: stack)
        monkeypatch.setattr(cli, "_runner", lambda *_, **__: Said(results(stack, **changes)))
        return CliRunner().invoke(cli.app, ["status", "taaleem-local", *options])

    return run


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"db1": {"restart": answer("/run/reboot-required\n")}}, 1),
        ({"db1": {"disks": answer("Type\next4 100 1 99% 4% /\n")}}, 2),
        ({"db1": {"updates": answer("", code=1, error="E: x")}}, 3),
    ],
)
def test_the_exit_code_is_that_of_monitoring_plugins(
    command: Callable[..., Any], changes: dict[str, Answers], code: int
) -> None:
    done = command("--json", **changes)
    assert done.exit_code == code, done.output
    assert json.loads(done.stdout)["exit_code"] == code
    assert command(**changes).exit_code == code


def test_an_environment_that_cannot_be_asked_is_unknown(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_: Any) -> None:
        raise InventoryError("taaleem-local is not provisioned")

    command()
    monkeypatch.setattr(cli, "_runner", lambda *_, **__: Said([]))
    done = CliRunner().invoke(cli.app, ["status", "taaleem-local"])
    assert (done.exit_code, "Ansible asked no host" in done.stderr) == (3, True)
    monkeypatch.setattr(cli, "_stack", absent)
    done = CliRunner().invoke(cli.app, ["status", "taaleem-local", "--json"])
    assert (done.exit_code, done.stdout) == (3, "")
    assert "is not provisioned" in done.stderr


def test_all_hosts_are_asked_at_once(stack: dict[str, Any]) -> None:
    environment = load(ROOT / "inventories/taaleem-local")
    said = Said(results(stack))
    status.ask(said, environment, stack)  # type: ignore[arg-type]
    assert said.argv[said.argv.index("--forks") + 1] == str(len(stack["hosts"]))
