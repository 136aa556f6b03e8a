"""taaleem-single: the same system with all of its tiers on one server."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any

import pytest

from stackwright.testing.e2e import Environment, differences
from stackwright.testing.on_host.connect import open_ports

NAME = "taaleem-single"

pytestmark = pytest.mark.timeout(5400)


@pytest.fixture(scope="module")
def single(lifetime: Any) -> Iterator[Environment]:
    with lifetime(NAME, "stackwright", "up", NAME) as running:
        yield running.environment


def test_it_is_one_host_with_every_tier(single: Environment) -> None:
    assert single.hosts == ["server1"]
    assert set(single.stack["groups"]) == {"edge", "app", "database", "cache", "ops", "consensus"}
    assert all(hosts == ["server1"] for hosts in single.stack["groups"].values())
    assert len(single.instances()) == 4
    assert None not in single.releases()


def test_it_answers_from_outside(single: Environment) -> None:
    shown = single.stackwright("verify", seconds=300).output
    assert len(re.findall(r"^\s*ok ", shown, re.MULTILINE)) >= 5, shown


def test_a_login_writes_and_reads(single: Environment) -> None:
    answer = single.client.log_in(single.secrets.get(f"app/{single.app}/admin"))
    assert answer.status == 200, answer
    session = SimpleCookie(answer.headers["set-cookie"])["sid"].value
    patient = {"fullName": f"Single {uuid.uuid4().hex[:8]}", "dateOfBirth": "1984-02-29"}
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    added = single.client.request("POST", "/api/patients", patient, session=session, headers=headers)
    assert added.status == 201, added
    listed = single.client.json("/api/patients", session)
    assert json.loads(added.body)["patient"]["id"] in [item["id"] for item in listed["items"]]


def test_only_the_edge_and_ssh_are_open(single: Environment) -> None:
    private = [2379, 2380, 5000, 5001, 5005, 5006, 5007, 5008, 5432, 6379, 6380, 6381, 6432, 8008, 8081, 8432, 8500]
    opened = open_ports([[single.address("server1"), port] for port in [22, 80, 443, *private]])
    assert [port for _, port in opened] == [22, 80, 443]


@pytest.mark.long
def test_a_second_converge_changes_nothing_and_restarts_nothing(single: Environment) -> None:
    before = single.processes()
    recap = single.converge()
    assert recap.changed == {"server1": 0}, recap.changes
    assert not differences(before, single.processes())


#: Packages with a daemon that unattended-upgrades leaves to a person, and what they must be of one version with.
UPDATED = ["etcd-server", "etcd-client", "postgresql-17", "patroni", "redis-server", "redis-tools", "pgbouncer"]
UPDATED_UNITS = ["etcd.service", "patroni.service", "pgbouncer.service", "redis@"]


def test_updates_wait_for_a_person_and_are_installed_by_a_command(single: Environment) -> None:
    versions = single.ask("server1", "newer_packages", UPDATED)
    single.ssh("server1", "apt-get update -qq && unattended-upgrade")
    pending = {each["package"]: each["candidate"] for each in json.loads(single.ssh("server1", "pending-updates"))}
    assert pending.items() >= versions.items(), pending
    before = single.processes()
    single.stackwright("update")
    installed = single.ssh("server1", "dpkg-query --show --showformat='${Package} ${Version}\\n'").splitlines()
    assert {f"{name} {version}" for name, version in versions.items()} <= set(installed)
    restarted = [unit.removeprefix("server1 ") for unit in differences(before, single.processes())]
    for unit in UPDATED_UNITS:
        assert any(each.startswith(unit) for each in restarted), (unit, restarted)
    started = single.sql("SELECT extract(epoch FROM now() - pg_postmaster_start_time())::int", "postgres")
    assert int(started) < 600
    assert single.client.get("/api/ready").status == 200


def test_destroying_leaves_nothing(single: Environment, keep: bool) -> None:
    if keep:
        pytest.skip("STACKWRIGHT_E2E_KEEP is set")
    single.stackwright("destroy", "--yes", seconds=600)
    assert not single.leftovers()
