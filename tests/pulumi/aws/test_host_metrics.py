"""What a host sends to CloudWatch, and that the alarms read nothing else."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import yaml
from instance_services import Cloud

from stackwright.infra.aws import alarm_sets, alarm_sets_edge
from stackwright.infra.aws.alarm_args import GroupAlarmsArgs, HostAlarmsArgs
from stackwright.model.aws.names import AGENT_NAMESPACE
from stackwright.testing.render import Role

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles/host_metrics"
# As on a host: both files are in one directory.
sys.path[:0] = [
    str(ROLE / "files/usr/local/lib/stackwright/host_metrics"),
    str(ROOT / "src/stackwright/model/aws/boot"),
]

import calls  # noqa: E402
import host_metrics  # noqa: E402

INSTANCE = "i-0123456789abcdef0"
PATRONI = {"name": "db2", "url": "https://db2:8008/cluster", "ca_file": "/etc/ca.crt"}


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    found = Cloud(folder=tmp_path)
    found.start()
    monkeypatch.setenv("STACKWRIGHT_METADATA_URL", found.url)
    monkeypatch.setenv("STACKWRIGHT_MONITORING_URL", f"{found.url}/")
    yield found
    found.stop()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with half of its memory in use, two failed units, and a problem of its backups."""
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 500 kB\nHugePages_Total: 0\n")
    (tmp_path / "status.json").write_text('{"problems": 1}')
    program = tmp_path / "bin/systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/arguments\nprintf 'a.service x\\nb.service y\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(host_metrics, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(host_metrics, "BACKUP_STATUS", tmp_path / "status.json")
    return tmp_path


def patroni(monkeypatch: pytest.MonkeyPatch, **member: Any) -> None:
    leader = {"name": "db1", "role": "leader", "state": "running"}
    answer = json.dumps({"members": [leader, {"name": "db2", "role": "replica", "state": "streaming"} | member]})
    monkeypatch.setattr(host_metrics.ssl, "create_default_context", lambda cafile: cafile)
    monkeypatch.setattr(host_metrics.calls, "send", lambda method, url, context: url)
    monkeypatch.setattr(host_metrics.calls, "read", lambda url: answer if url == PATRONI["url"] else "")


def sent(cloud: Cloud) -> dict[tuple[str, ...], float]:
    """The values of the last request: name and dimensions -> value."""
    request, found = cloud.actions[-1], {}
    assert (request["Action"], request["Namespace"]) == ("PutMetricData", AGENT_NAMESPACE)
    for number in range(1, 1 + sum(key.endswith(".MetricName") for key in request)):
        of = f"MetricData.member.{number}"
        more = request.get(f"{of}.Dimensions.member.2.Value")
        sender = request[f"{of}.Dimensions.member.1.Value"]
        assert request[f"{of}.Dimensions.member.1.Name"] == (
            "InstanceId" if sender == INSTANCE else "AutoScalingGroupName"
        )
        key = (request[f"{of}.MetricName"], sender, *([more] if more else []))
        found[key] = float(request[f"{of}.Value"])
    return found


def run(folder: Path, **more: Any) -> int:
    settings = {"region": "eu-central-1", "paths": ["/"], "group": "", "backups": True, "patroni": None} | more
    (folder / "settings.json").write_text(json.dumps(settings))
    code: int = host_metrics.main(str(folder / "settings.json"))
    return code


def test_everything_is_sent_in_one_request(cloud: Cloud, host: Path) -> None:
    assert run(host) == 0
    values = sent(cloud)
    assert 0 < values.pop(("disk_used_percent", INSTANCE, "/")) <= 100
    assert values == {
        ("mem_used_percent", INSTANCE): 50,
        ("failed_units", INSTANCE): 2,
        ("backup_problems", INSTANCE): 1,
    }
    assert "failed,auto-restart" in (host / "arguments").read_text()


def test_a_server_of_a_group_sends_in_the_groups_name(cloud: Cloud, host: Path) -> None:
    assert run(host, group="test-app", backups=False) == 0
    assert {key[:2] for key in sent(cloud)} == {
        (name, "test-app") for name in ("mem_used_percent", "disk_used_percent", "failed_units")
    }


def test_a_disk_without_inodes_is_full(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = (4096, 4096, 100, 50, 40, 1000, 10, 10, 0, 255)
    monkeypatch.setattr(host_metrics.os, "statvfs", lambda path: os.statvfs_result(parts))
    assert host_metrics.disks({"paths": ["/"]}) == [("disk_used_percent", "Percent", 99.0, {"path": "/"})]


def test_a_status_that_nobody_checks_any_more_is_not_sent(cloud: Cloud, host: Path) -> None:
    two_hours_ago = time.time() - 7200
    os.utime(host / "status.json", (two_hours_ago, two_hours_ago))
    assert run(host) == 0
    assert ("backup_problems", INSTANCE) not in sent(cloud)
    assert ("mem_used_percent", INSTANCE) in sent(cloud)


def test_a_host_without_backups_says_nothing_of_them(cloud: Cloud, host: Path) -> None:
    run(host, backups=False)
    assert ("backup_problems", INSTANCE) not in sent(cloud)


@pytest.mark.parametrize(
    ("member", "lag"),
    [
        ({"lag": 32 * 2**20}, 32),
        ({"lag": 0, "role": "sync_standby"}, 0),
        ({"role": "leader", "state": "running"}, 0),
        ({"lag": 0, "state": "start failed"}, None),
        ({"lag": "unknown"}, None),
        ({"name": "db3", "lag": 0}, None),
    ],
)
def test_how_far_a_member_is_behind(
    host: Path, monkeypatch: pytest.MonkeyPatch, member: dict[str, Any], lag: float | None
) -> None:
    patroni(monkeypatch, **member)
    values = host_metrics.collect({"paths": ["/"], "backups": False, "patroni": PATRONI})
    expected = [] if lag is None else [("replication_lag_mb", "Megabytes", lag, {})]
    assert [value for value in values if value[0] == "replication_lag_mb"] == expected


def test_a_refusal_fails_the_unit_and_tells_no_secret(
    cloud: Cloud, host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.hook_waits = False
    assert run(host) == 1
    told = capsys.readouterr().err
    assert "the metrics are not sent: " in told
    assert "ValidationError" in told
    assert not any(secret in told for secret in cloud.credentials)


def test_the_request_is_one_that_the_api_knows() -> None:
    values = [("a", "Percent", 1.0, {"path": "/"})]
    request = dict(urllib.parse.parse_qsl(host_metrics.body(values, {"InstanceId": INSTANCE}).decode()))
    model = botocore.session.get_session().get_service_model("cloudwatch")
    datum = model.shape_for("MetricDatum").members
    assert request["Version"] == model.api_version
    assert {key.split(".")[3] for key in request if key.startswith("MetricData")} <= set(datum)
    assert "Megabytes" in datum["Unit"].enum


def test_each_alarm_on_what_a_host_sends_has_its_metric(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patroni(monkeypatch, lag=0)
    values = host_metrics.collect({"paths": ["/"], "backups": True, "patroni": PATRONI})
    sent_by_host = {(name, tuple({"InstanceId": INSTANCE} | more)) for name, _, _, more in values}
    every = HostAlarmsArgs(
        instance_id=INSTANCE,
        instance_type="m7i.large",
        agent_paths=["/"],
        failed_units=True,
        backups=True,
        replication=True,
    )
    alarms = [metric for alarm in alarm_sets.hosts({"db2": every}) for metric in alarm.metrics.values()]
    read = {(each.name, tuple(each.dimensions)) for each in alarms if each.namespace == host_metrics.NAMESPACE}
    assert read == sent_by_host
    assert host_metrics.NAMESPACE == AGENT_NAMESPACE


def test_each_alarm_on_what_a_group_sends_has_its_metric(host: Path) -> None:
    values = host_metrics.collect({"paths": ["/"], "backups": False, "patroni": None})
    sent_by_server = {(name, tuple({"AutoScalingGroupName": "test-app"} | more)) for name, _, _, more in values}
    group = GroupAlarmsArgs(name="test-app", min_size=2, max_size=4, agent_paths=["/"])
    alarms = [metric for alarm in alarm_sets_edge.groups({"app": group}) for metric in alarm.metrics.values()]
    read = {(each.name, tuple(each.dimensions)) for each in alarms if each.namespace == host_metrics.NAMESPACE}
    assert read == sent_by_server


def test_silence_rings_where_it_would_hide_a_failure() -> None:
    every = HostAlarmsArgs(
        instance_id=INSTANCE, instance_type="m7i.large", agent_paths=["/"], backups=True, replication=True
    )
    silence = {alarm.name[1]: alarm.silence for alarm in alarm_sets.hosts({"db2": every})}
    for name in ("status", "disk", "backups", "replication"):
        assert silence[name] == alarm_sets.SILENCE_IS_BAD


def test_the_role_writes_what_the_program_reads() -> None:
    inputs = {
        "host_metrics_region": "eu-central-1",
        "host_metrics_patroni_name": "db2",
        "host_metrics_patroni_url": "https://db2:8008",
        "host_metrics_patroni_ca_file": "/etc/ca.crt",
    }
    settings = Role(ROLE, inputs).value("__host_metrics_settings")
    assert settings == {"region": "eu-central-1", "paths": ["/"], "group": "", "backups": False, "patroni": PATRONI}
    assert Role(ROLE, {"host_metrics_region": "eu-central-1"}).value("__host_metrics_settings")["patroni"] is None


def test_the_module_for_signed_requests_is_where_the_role_takes_it() -> None:
    path = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__host_metrics_calls"]
    assert Path(path.replace("{{ role_path }}", str(ROLE))).resolve() == Path(calls.__file__).resolve()
