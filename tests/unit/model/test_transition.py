"""From state X to state Y: what goes is named, and what would lose data is refused, with the line of the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from model_project import KEY, Project, provisioned

from stackwright.model import transition
from stackwright.model.errors import ModelError
from stackwright.model.inventory import build


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path)


def running(project: Project) -> dict[str, Any]:
    """The output of the environment as its file describes it now."""
    return provisioned(project.load())


def bare_metal(project: Project, *hosts: str) -> None:
    """Servers that exist, each as `name address groups`, instead of those of the example."""
    project.bare_metal()
    (project.root / "keys").mkdir(exist_ok=True)
    lines = []
    for host in hosts:
        name, address, groups = host.split()
        (project.root / "keys" / f"{address}.pub").write_text(f"{KEY[:-4]}{address[-2:].replace('.', 'A')}PS\n")
        lines.append(
            f"  - {{name: {name}, address: {address}, groups: [{groups}], cpus: 4, memory_mb: 8192,"
            f" host_key_file: keys/{address}.pub}}"
        )
    project.stack = re.sub(r"(?ms)^hosts:\n.*?\n\n", "hosts:\n" + "\n".join(lines) + "\n\n", project.stack)


def refusal(project: Project, output: dict[str, Any], *lost: str) -> str:
    with pytest.raises(ModelError) as caught:
        transition.check(project.load(), output, lost=lost)
    return str(caught.value)


def test_nothing_goes_where_nothing_changed(project: Project) -> None:
    change = transition.check(project.load(), running(project))
    assert (change.retiring, change.leaving, change.joining) == ({}, (), ())


def test_a_first_run_takes_nothing_away(project: Project) -> None:
    change = transition.check(project.load(), None)
    assert change.leaving == ()
    assert "db1" in change.joining


@pytest.mark.parametrize(("old", "new", "leaving", "tier"), [
    ("app: 2", "app: 1", "app2", "app"),
    ("database: 2", "database: 1", "db2", "database"),
    ("cache: 1", "cache: 2", None, None),
])  # fmt: skip
def test_hosts_that_a_smaller_count_removes_are_named(
    project: Project, old: str, new: str, leaving: str | None, tier: str | None
) -> None:
    output = running(project)
    project.edit(old, new)
    change = transition.check(project.load(), output)
    assert change.leaving == ((leaving,) if leaving else ())
    assert change.lines() == ([f"{leaving} ({tier}) will be removed"] if leaving else [])
    assert change.joining == (() if leaving else ("cache2",))


def test_hosts_that_go_are_known_until_they_are_gone(project: Project) -> None:
    """An interrupted run leaves them in `retiring` of the output; the next one goes on with them."""
    output = running(project)
    project.edit("app: 2", "app: 1")
    interrupted = {**running(project), "retiring": transition.between(project.load(), output).retiring}
    change = transition.check(project.load(), interrupted)
    assert change.leaving == ("app2",)
    assert change.retiring["app2"]["groups"] == ["app"]


def test_a_host_that_comes_back_in_time_stays(project: Project) -> None:
    output = running(project)
    retiring = {"app2": output["hosts"].pop("app2")}
    assert transition.check(project.load(), {**output, "retiring": retiring}).leaving == ()


def test_a_tier_that_a_server_loses_is_named(project: Project) -> None:
    bare_metal(project, "web1 10.87.40.11 edge,app,cache,ops", "db1 10.87.40.12 database,cache")
    output = running(project)
    bare_metal(project, "web1 10.87.40.11 edge,app,cache,ops", "db1 10.87.40.12 database")
    change = transition.check(project.load(), output)
    assert change.lines() == ["db1 will no longer serve cache"]
    assert change.leaving == ()


def test_what_goes_is_in_the_inventory_and_in_no_tier(project: Project) -> None:
    output = running(project)
    project.edit("app: 2", "app: 1")
    found = build(project.load(), output)
    assert found.groups["retiring"] == ("app2",)
    assert found.groups["retiring_app"] == ("app2",)
    assert found.groups["app"] == ("app1",)
    assert "app2" not in found.variables["stack"]["hosts"]
    assert found.variables["stack"]["retiring"]["app2"]["address"] == "10.87.20.32"
    assert found.hosts["app2"].variables["ansible_host"] == "10.87.20.32"
    assert "10.87.20.32 ssh-ed25519" in found.known_hosts


def test_a_network_of_other_addresses_is_refused(project: Project) -> None:
    output = running(project)
    project.edit("10.87.20.0/24", "10.87.99.0/24")
    message = refusal(project, output)
    assert message.startswith("inventories/clinic/stack.yml:10: network.cidr: every host would be created again")
    assert "10.87.20.0/24" in message


def test_another_operating_system_is_refused(project: Project) -> None:
    output = running(project)
    output["hosts"]["db1"]["os"] = "debian-12"
    message = refusal(project, output)
    assert "os: db1 keeps its operating system, got 'debian-13'; accepted: debian-12" in message


def test_a_server_that_moves_to_another_address_is_refused(project: Project) -> None:
    bare_metal(project, "web1 10.87.40.11 edge,app,cache,ops", "db1 10.87.40.12 database")
    output = running(project)
    bare_metal(project, "web1 10.87.40.11 edge,app,cache,ops", "db1 10.87.40.19 database")
    assert "hosts[1].address: db1 would get another address" in refusal(project, output)


def test_a_renamed_server_is_refused(project: Project) -> None:
    bare_metal(project, "web1 10.87.40.11 edge,app,cache,ops", "db1 10.87.40.12 database", "db2 10.87.40.13 database")
    output = running(project)
    bare_metal(project, "web1 10.87.40.11 edge,app,cache,ops", "db1 10.87.40.12 database", "pg2 10.87.40.13 database")
    assert "hosts[2].name: db2 cannot be renamed while it runs, got 'pg2'" in refusal(project, output)


def test_replacing_every_database_host_at_once_is_refused(project: Project) -> None:
    bare_metal(project, "web1 10.87.40.11 edge,app,cache,ops", "db1 10.87.40.12 database")
    output = running(project)
    bare_metal(project, "web1 10.87.40.11 edge,app,cache,ops", "db9 10.87.40.19 database")
    message = refusal(project, output)
    assert "hosts: none of the hosts that hold the database stays, got 'db9'; accepted: at least one of db1" in message


def test_one_server_is_not_turned_into_many(project: Project) -> None:
    project.edit("topology: {size: B, edge: 1, app: 2, database: 2, cache: 1, ops: 1}", "topology: {size: A}")
    output = running(project)
    project.edit("topology: {size: A}", "topology: {size: B}")
    message = refusal(project, output)
    assert "none of the hosts that hold the database stays" in message
    assert "server1 holds the only backups" in message


def test_the_host_with_the_only_backups_goes_by_name_only(project: Project) -> None:
    servers = ("web1 10.87.40.11 edge,app,cache", "db1 10.87.40.12 database")
    bare_metal(project, *servers, "ops1 10.87.40.13 ops", "ops2 10.87.40.14 ops")
    output = running(project)
    bare_metal(project, *servers, "ops2 10.87.40.14 ops")
    assert "ops1 holds the only backups" in refusal(project, output)
    assert transition.check(project.load(), output, lost=["ops1"]).leaving == ("ops1",)


def test_another_first_host_of_ops_is_refused(project: Project) -> None:
    """The repository would move, and leave every backup behind."""
    servers = ("web1 10.87.40.11 edge,app,cache", "db1 10.87.40.12 database")
    bare_metal(project, *servers, "ops1 10.87.40.13 ops", "ops2 10.87.40.14 ops")
    output = running(project)
    bare_metal(project, *servers, "ops2 10.87.40.14 ops", "ops1 10.87.40.13 ops")
    assert "ops1 holds the only backups, got 'ops2, ops1'; accepted: ops1 as the first host of ops" in refusal(
        project, output
    )


def test_giving_up_a_host_that_stays_is_refused(project: Project) -> None:
    assert "--lost app1: no host of this name is about to go" in refusal(project, running(project), "app1")


def test_what_is_no_longer_described_is_named_with_the_command_that_removes_it(project: Project) -> None:
    output = running(project)
    output["secrets"] = [
        *output["secrets"],
        *("app/lab/session", "app/lab/admin", "redis/search_index/lab", "redis/search_index/operator"),
        "postgresql/role/lab",
    ]
    application, purpose, role = transition.check(project.load(), output).lines()
    assert application.startswith("application lab is stopped; its releases, secrets, user and uploads stay")
    assert application.endswith(
        "ansible-playbook -i inventories/clinic/stack.yml playbooks/remove-application.yml -e application=lab"
    )
    assert "/var/lib/redis/search-index" in purpose
    assert """psql -c 'DROP ROLE "lab"'""" in role


def test_a_port_that_another_instance_still_has_is_refused(project: Project) -> None:
    output = running(project)
    project.edit_system("port: 6379", "port: 6399")
    assert transition.check(project.load(), output).leaving == ()
    project.edit_system("port: 6380", "port: 6379")
    message = refusal(project, output)
    assert re.match(r"systems/taaleem.yml:\d+: cache.cache.port: port 6379 is in use by sessions", message), message
