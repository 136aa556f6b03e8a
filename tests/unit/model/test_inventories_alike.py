"""Side by side: one environment of each provider. Ansible must not be able to tell them apart but by values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from model_project import ROOT, provisioned

from stackwright.model import topology
from stackwright.model.environment import load
from stackwright.model.inventory import Inventory, build

#: One of each provider; the first is the one that the others are compared with.
ALIKE = ("taaleem-local", "taaleem-baremetal", "taaleem-staging")
GROUPS = (
    "edge",
    "app",
    "database",
    "cache",
    "ops",
    "consensus",
    "database_proxy",
    "database_pool",
    "database_admin",
    "backup",
    "metrics",
    "windows",
)

#: Mappings whose keys are names of hosts.
BY_HOST = frozenset(
    {
        "hosts",
        "apps.emr.instances_by_host",
        "database.client_limits",
        "database.pools",
        "database.sizes",
        "capacity.kernel",
        "capacity.memory",
    }
)

#: What may differ in keys or types: environment and key -> why. One that does not differ (any more) fails, too.
DIFFERENCES = {
    ("taaleem-baremetal", "aliases[]"): "its file names no further domain",
    ("taaleem-staging", "aliases[]"): "its file names no further domain",
    ("taaleem-staging", "certificates.email"): "a public authority wants an address, the internal one has none (null)",
    ("taaleem-staging", "region"): "AWS alone has regions",
    ("taaleem-staging", "backups.copy_to.bucket"): "the others copy their backups nowhere",
    ("taaleem-staging", "backups.copy_to.endpoint"): "the others copy their backups nowhere",
    (
        "taaleem-staging",
        "capacity.kernel.*.sysctl.vm.overcommit_ratio",
    ): "PostgreSQL alone on 4 GiB or more; the others' database hosts have 2",
}

Shape = dict[str, set[str]]


def inventory(name: str) -> Inventory:
    environment = load(ROOT / "inventories" / name)
    output = json.loads(json.dumps(provisioned(environment)))
    if environment.provider == "aws":
        for number, host in enumerate(output["hosts"].values()):
            host["instance_id"] = f"i-{number:017x}"
            host["connection"]["through"] = "ssm"
    return build(environment, output)


def stack(name: str) -> dict[str, Any]:
    found: dict[str, Any] = inventory(name).variables["stack"]
    return found


def shape(value: Any, path: str = "") -> Shape:
    """Every key that is there, all the way down, and its types; `*` is any host, `[]` any element of a list."""
    if isinstance(value, dict):
        parts = [(f"{path}.{'*' if path in BY_HOST else key}".lstrip("."), each) for key, each in value.items()]
    elif isinstance(value, list):
        parts = [(f"{path}[]", each) for each in value]
    else:
        return {path: {type(value).__name__}}
    found: Shape = {path: {type(value).__name__}}
    for key, each in parts:
        for below, types in shape(each, key).items():
            found.setdefault(below, set()).update(types)
    return found


def differences(one: Shape, other: Shape) -> set[str]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def test_there_is_one_of_each_provider() -> None:
    environments = [load(ROOT / "inventories" / name) for name in ALIKE]
    assert [each.provider for each in environments] == ["local", "bare_metal", "aws"]
    # What AWS runs itself is no host; that is another size, and compared in test_model_inventory.py.
    assert not any(topology.managed(each.stack) for each in environments)


def test_the_groups_are_the_same_and_none_is_empty_but_what_nobody_has() -> None:
    """No Windows, and no database that a cloud runs."""
    for name in ALIKE:
        groups = inventory(name).groups
        # What is about to go is nowhere yet.
        retiring = tuple(group for group in groups if group.startswith("retiring"))
        assert tuple(group for group in groups if group not in retiring) == GROUPS
        empty = [group for group, members in groups.items() if not members]
        # AWS alone is sent metrics.
        metrics = [] if name == "taaleem-staging" else ["metrics"]
        assert empty == ["database_admin", *metrics, "windows", *retiring], name
        assert {host for members in groups.values() for host in members} == set(inventory(name).hosts)


def test_the_same_sizes_are_the_same_hosts() -> None:
    staging, local = inventory("taaleem-staging"), inventory("taaleem-local")
    assert staging.groups == {**local.groups, "metrics": tuple(staging.hosts)}


def test_the_stack_has_the_same_keys_and_types_all_the_way_down() -> None:
    first = shape(stack(ALIKE[0]))
    assert len(first) > 200
    found = {(name, key) for name in ALIKE[1:] for key in differences(first, shape(stack(name)))}
    assert found == DIFFERENCES.keys()


@pytest.mark.parametrize("name", ALIKE)
def test_each_host_has_the_same_variables(name: str) -> None:
    first, *_ = inventory(ALIKE[0]).hosts.values()
    for host in inventory(name).hosts.values():
        assert shape(host.variables) == shape(first.variables), host.name


def test_every_host_is_who_it_says_and_its_key_is_known_whatever_the_way_to_it() -> None:
    for name in ALIKE:
        for host in inventory(name).hosts.values():
            options = host.variables["ansible_ssh_common_args"]
            assert "StrictHostKeyChecking=yes" in options
            assert ("ProxyCommand='aws ssm start-session" in options) == (name == "taaleem-staging")
            assert host.variables["ansible_host"].startswith("i-") == (name == "taaleem-staging")
            assert host.variables["stack_host"]["groups"] == list(host.groups)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ({"a": [{"b": 1}, {"b": None}]}, "a[].b"),
        ({"a": [{"b": 1}, {"b": 2, "c": 1}]}, "a[].c"),
        ({"a": [{"b": "1"}]}, "a[].b"),
        ({"a": {"b": 1}}, "a"),
    ],
)
def test_a_difference_is_seen(value: Any, key: str) -> None:
    assert key in differences(shape({"a": [{"b": 1}]}), shape(value))


def test_names_and_numbers_of_hosts_are_no_difference() -> None:
    one, other = {"hosts": {"a": {"cpus": 1}}}, {"hosts": {"b": {"cpus": 2}, "c": {"cpus": 4}}}
    assert shape(one) == shape(other)
