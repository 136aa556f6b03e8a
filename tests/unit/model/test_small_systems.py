"""A system without a database, a cache, uploads or static files: it is made without them, and every role can be run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from model_project import Project, provisioned
from small_systems import SYSTEMS, project

from stackwright.model import graph
from stackwright.model.inventory import Inventory, build
from stackwright.testing.role_inputs import ROOT, HostInputs

STACK = "inventories/clinic/stack.yml"


def inventory(project: Project) -> Inventory:
    environment = project.load()
    key = project.root / ".state/clinic/ssh/id_ed25519.pub"
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHkVQp8NqQq9ONJZdgVTWb0o8NSWsiYsoAbS2FUPVYPS")
    return build(environment, json.loads(json.dumps(provisioned(environment))))


def hosts_by_kind(found: Inventory) -> list[str]:
    """One host of each set of groups."""
    kinds = {
        tuple(group for group, names in found.groups.items() if name in names): name for name in sorted(found.hosts)
    }
    return list(kinds.values())


@pytest.mark.parametrize("system", SYSTEMS)
def test_only_hosts_with_work_are_made(tmp_path: Path, system: str) -> None:
    environment = project(tmp_path, system).load()
    assert [host.name for host in environment.hosts] == SYSTEMS[system][1]
    assert graph.topology_svg(environment)


@pytest.mark.parametrize("size", ["A", "B"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_every_role_of_every_host_gets_inputs_that_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, size: str
) -> None:
    monkeypatch.setenv("STACKWRIGHT_ROOT", str(ROOT))
    found = inventory(project(tmp_path, system, size))
    for name in hosts_by_kind(found):
        host = HostInputs(found, name, tmp_path)
        assert host.inputs()
        # What static_files asserts is of a file, and not of its inputs.
        for role in (role for role in host.roles if role != "static_files"):
            assert host.refusals(role) == [], f"{name}: {role}"


def test_roles_of_a_database_run_where_there_is_one_alone(tmp_path: Path) -> None:
    roles = {"etcd", "postgresql", "database_proxy", "pgbouncer", "redis", "backup", "managed_postgresql"}
    for system, expected in {"nothing": set(), "cache": {"redis"}, "uploads": {"backup"}}.items():
        folder = tmp_path / system
        folder.mkdir()
        found = inventory(project(folder, system, "A"))
        assert set(HostInputs(found, "server1", folder).roles) & roles == expected, system


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{size: B}", "{size: B, database: 2}", "topology.database: has no effect: system taaleem has no database"),
        ("{size: B}", "{size: B, cache: 1}", "topology.cache: has no effect: system taaleem has no cache"),
        ("topology:", "sizes: {database: {cpus: 2}}\ntopology:", "sizes.database: has no effect"),
        ("topology:", "tier_os: {cache: debian-13}\ntopology:", "tier_os.cache: has no effect"),
        ("topology:", "database: {max_connections: 50}\ntopology:", "database.max_connections: has no effect"),
        ("topology:", "database: {synchronous: false}\ntopology:", "database.synchronous: has no effect"),
        ("topology:", "database: {parameters: {jit: off}}\ntopology:", "database.parameters: has no effect"),
        ("10.87.20.0/24}", "10.87.20.0/24, subnets: {cache: 10.87.20.0/28}}", "network.subnets.cache: has no effect"),
    ],
)
def test_a_key_of_a_tier_without_work_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    small = project(tmp_path, "nothing")
    small.edit(old, new)
    (error,) = small.errors()
    assert message in error


def test_a_host_of_ops_is_there_for_whoever_asks_for_it(tmp_path: Path) -> None:
    small = project(tmp_path, "nothing")
    small.edit("{size: B}", "{size: B, ops: 1}")
    assert [host.name for host in small.load().hosts] == ["edge1", "app1", "app2", "ops1"]


def test_servers_are_not_in_groups_without_work(tmp_path: Path) -> None:
    small = Project(root=tmp_path, system=SYSTEMS["nothing"][0])
    small.bare_metal()
    errors = small.errors()
    assert len(errors) == 3
    assert f"{STACK}:12: hosts[0].groups[2]: has no effect: system taaleem has no cache" in errors[0]
