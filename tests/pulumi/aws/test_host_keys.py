"""Host keys that servers of AWS publish: recorded when they are theirs, waited for, and refused otherwise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stackwright.infra.aws.host_keys import HostKeyError, ask_aws, commands, record
from stackwright.model.environment import Environment, load
from stackwright.model.output import host_key_file

ROOT = Path(__file__).resolve().parents[3]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHkVQp8NqQq9ONJZdgVTWb0o8NSWsiYsoAbS2FUPVYPS"


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return replace(load(ROOT / "inventories/taaleem-staging"), root=tmp_path)


def output(environment: Environment) -> dict:
    return {
        "hosts": {
            host.name: {"instance_id": f"i-{host.name}", "connection": {"through": "ssm"}} for host in environment.hosts
        }
    }


class Store:
    """Systems Manager: what each host has published, and how often it was asked."""

    def __init__(self, environment: Environment, **changed: str) -> None:
        published = {
            host.name: json.dumps({"instance_id": f"i-{host.name}", "host_key": KEY}) for host in environment.hosts
        }
        self.values, self.asked = published | changed, 0

    def __call__(self, argv: Sequence[str]) -> str:
        self.asked += 1
        names = argv[argv.index("--names") + 1 :]
        return json.dumps(
            {"Parameters": [{"Name": name, "Value": self.values[name.rpartition("/")[2]]} for name in names]}
        )


def test_the_native_command_is_one_that_a_person_can_repeat(environment: Environment) -> None:
    (argv,) = commands(environment, ["edge1", "db1"])
    assert argv[:5] == ["aws", "ssm", "get-parameters", "--region", "eu-central-1"]
    assert argv[-2:] == ["/stackwright/taaleem-staging/host-keys/edge1", "/stackwright/taaleem-staging/host-keys/db1"]


def test_more_hosts_than_a_call_takes_are_several_calls(environment: Environment) -> None:
    assert [len(argv) for argv in commands(environment, [f"app{number}" for number in range(1, 13)])] == [18, 10]


def test_keys_are_recorded(environment: Environment) -> None:
    hosts = record(environment, output(environment), Store(environment))
    assert hosts == [host.name for host in environment.hosts]
    assert all(host_key_file(environment, host).read_text() == f"{KEY}\n" for host in hosts)


def test_a_host_that_has_not_booted_is_waited_for(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(environment, db1="unpublished")
    booted = json.dumps({"instance_id": "i-db1", "host_key": KEY})
    monkeypatch.setattr("time.sleep", lambda _: store.values.update(db1=booted))
    assert "db1" in record(environment, output(environment), store)
    assert store.asked == 2


@pytest.mark.parametrize(
    "value",
    ["unpublished", json.dumps({"instance_id": "i-another", "host_key": KEY})],
    ids=["nothing", "a predecessor's"],
)
def test_a_key_that_is_not_the_hosts_is_not_recorded(environment: Environment, value: str) -> None:
    with pytest.raises(HostKeyError, match="db1 did not publish a host key within 0 s: look at the first boot"):
        record(environment, output(environment), Store(environment, db1=value), seconds=0)
    assert not host_key_file(environment, "db1").exists()


@pytest.mark.parametrize(
    "value",
    [
        "hello",
        "[]",
        json.dumps({"instance_id": "i-db1"}),
        json.dumps({"instance_id": "i-db1", "host_key": "ssh-rsa x\ny"}),
    ],
)
def test_what_is_no_key_is_refused(environment: Environment, value: str) -> None:
    with pytest.raises(HostKeyError, match="db1 published what is no host key"):
        record(environment, output(environment), Store(environment, db1=value), seconds=0)


def test_a_missing_cli_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostKeyError, match="the AWS CLI is not on PATH"):
        ask_aws(["aws", "ssm", "get-parameters"])


def test_a_refusal_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "aws").write_text("#!/bin/sh\necho 'Unable to locate credentials' >&2\nexit 253\n")
    (tmp_path / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(HostKeyError, match="`aws ssm get-parameters` failed: Unable to locate credentials"):
        ask_aws(["aws", "ssm", "get-parameters", "--names", "x"])
