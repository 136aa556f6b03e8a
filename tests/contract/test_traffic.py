"""What a cloud's security groups let through is what the roles' own exports ask of the hosts' firewalls."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from stackwright.model.environment import load
from stackwright.model.traffic import Traffic, within

ROOT = Path(__file__).resolve().parents[2]


def exports(role: str) -> Any:
    return yaml.safe_load((ROOT / "roles" / role / "vars/main.yml").read_text())[f"{role}_exports"]


def default(role: str, name: str) -> Any:
    return yaml.safe_load((ROOT / "roles" / role / "defaults/main.yml").read_text())[name]


def sources(expression: str, name: str) -> list[str]:
    """The groups in an export that is an expression."""
    (found,) = re.findall(rf"'name': '{name}'.*?'from': \[(.*?)\]", expression)
    return re.findall(r"'(\w+)'", found)


@pytest.fixture(params=["taaleem-local", "taaleem-staging"])
def traffic(request: pytest.FixtureRequest) -> tuple[Traffic, ...]:
    return within(load(ROOT / "inventories" / request.param))


def admitted(traffic: tuple[Traffic, ...], target: str) -> set[tuple[int, str]]:
    return {(each.port, each.source) for each in traffic if each.target == target}


def test_postgresql_and_etcd(traffic: tuple[Traffic, ...]) -> None:
    for role, target in (("postgresql", "database"), ("etcd", "consensus")):
        asked = {(port["port"], source) for port in exports(role)["ports"] for source in port["from"]}
        found = admitted(traffic, target)
        assert asked <= found
        assert {port for port, _ in found} - {8432} == {port for port, _ in asked}


def test_backups(traffic: tuple[Traffic, ...]) -> None:
    ports = exports("backup")["ports"]
    pgbackrest, restic = (default("backup", name) for name in ("backup_postgresql_port", "backup_files_port"))
    assert sources(ports, "pgbackrest") == ["database", "ops"]
    assert admitted(traffic, "ops") == {
        (pgbackrest, "database"),
        *((restic, tier) for tier in ("edge", "app", "database", "cache")),
    }
    assert (pgbackrest, "ops") in admitted(traffic, "database")
    assert sources(ports, "restic") == ["hosts"]


def test_redis_and_instances(traffic: tuple[Traffic, ...]) -> None:
    # Other hosts of the cache connect while an instance moves; in a cloud a retiring host is still in their group.
    assert "'from': ['app', 'cache', 'retiring_cache']" in exports("redis")["ports"]
    assert admitted(traffic, "cache") == {(port, tier) for port in (6379, 6380, 6381) for tier in ("app", "cache")}
    assert {source for _, source in admitted(traffic, "app")} == {"edge"}


def test_nobody_else_is_talked_to(traffic: tuple[Traffic, ...]) -> None:
    assert {each.target for each in traffic} == {"app", "cache", "consensus", "database", "ops"}
    assert len(traffic) == len(set(traffic))
