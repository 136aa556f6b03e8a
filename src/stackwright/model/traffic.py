"""Connections inside an environment: what a cloud's security groups have to allow, in addition to the hosts' firewalls.

The firewall of a host is created from what its roles export (`roles/*/vars/main.yml`); a contract test compares both
(`tests/contract/test_traffic.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackwright.model import topology

if TYPE_CHECKING:
    from stackwright.model.environment import Environment

#: Ports that are the same in every environment; docs/architecture.md lists all of them.
POSTGRESQL, PATRONI = 5432, 8008
ETCD_CLIENT, ETCD_PEER = 2379, 2380
PGBACKREST, RESTIC = 8432, 8500


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """TCP from the hosts of one group to those of another, or of the same one."""

    source: str
    target: str
    port: int
    reason: str


def within(environment: Environment) -> tuple[Traffic, ...]:
    """Return all connections between hosts, for groups that have hosts."""
    groups = environment.groups
    return tuple(flow for flow in _all(environment) if groups[flow.source] and groups[flow.target])


def of_group(environment: Environment) -> tuple[Traffic, ...]:
    """Return the connections from the slots of an Auto Scaling group to hosts."""
    if not environment.slots:
        return ()
    groups = environment.groups
    return tuple(flow for flow in _all(environment) if flow.source == "app" and groups[flow.target])


def to_services(environment: Environment) -> tuple[Traffic, ...]:
    """Return the connections from hosts, and from the slots of a group, to the managed database and caches."""
    managed, groups = topology.managed(environment.stack), environment.groups
    sources = {tier for tier in groups if groups[tier] and tier not in managed} | (
        {"app"} if environment.slots else set()
    )
    services = {"database": _postgresql(environment), "cache": _cache(environment)}
    every = (flow for tier, traffic in services.items() if tier in managed for flow in traffic)
    return tuple(flow for flow in every if flow.source in sources)


def _all(environment: Environment) -> Iterator[Traffic]:
    yield from _database(environment)
    yield from _cache(environment)
    yield from _files(environment)
    yield from _applications(environment)


def _postgresql(environment: Environment) -> Iterator[Traffic]:
    if environment.system.database is None:
        return
    for source in ("app", "database", "ops"):
        yield Traffic(source=source, target="database", port=POSTGRESQL, reason=f"PostgreSQL for {source}")


def _database(environment: Environment) -> Iterator[Traffic]:
    if environment.system.database is None:
        return
    yield from _postgresql(environment)
    for source in ("app", "database"):
        yield Traffic(source=source, target="database", port=PATRONI, reason=f"Who leads, for {source}")
    for source in ("consensus", "database"):
        yield Traffic(source=source, target="consensus", port=ETCD_CLIENT, reason=f"etcd for {source}")
    yield Traffic(source="consensus", target="consensus", port=ETCD_PEER, reason="etcd between voters")
    for source, target in (("database", "ops"), ("ops", "database")):
        yield Traffic(source=source, target=target, port=PGBACKREST, reason="Backups of the database")


def _cache(environment: Environment) -> Iterator[Traffic]:
    for purpose, instance in environment.system.cache.items():
        name = purpose.replace("_", " ")
        yield Traffic(source="app", target="cache", port=instance.port, reason=f"Redis for {name}")
        # An instance that moves to another host copies its data from the previous one.
        yield Traffic(source="cache", target="cache", port=instance.port, reason=f"Moves of Redis for {name}")


def _files(environment: Environment) -> Iterator[Traffic]:
    if not environment.groups["ops"]:
        return
    for source in ("edge", "app", "database", "cache"):
        if any("ops" not in environment.host(name).groups for name in environment.groups[source]):
            yield Traffic(source=source, target="ops", port=RESTIC, reason=f"Backups of files of {source}")


def _applications(environment: Environment) -> Iterator[Traffic]:
    if "edge" in topology.managed(environment.stack):
        # Each host's own nginx connects to its own instances.
        return
    for name, plan in environment.apps.items():
        ports = {instance.port for ones in plan.instances.values() for instance in ones}
        for port in sorted(ports):
            yield Traffic(source="edge", target="app", port=port, reason=f"Requests for {name}")
