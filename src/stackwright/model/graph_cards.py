"""The content of a diagram: a card per host, or per service that a cloud manages, by tier; and the connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from stackwright.model import topology
from stackwright.model.aws.plan import AwsPlan
from stackwright.model.aws.stackfile import Aws
from stackwright.model.environment import Environment
from stackwright.model.topology import TIERS, Host


@dataclass(frozen=True, kw_only=True)
class Row:
    """A service, in the color of its tier."""

    tier: str
    text: str
    ports: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A host, a group of hosts that are all alike, or a managed service of a cloud."""

    title: str
    #: An address or an instance type.
    corner: str
    size: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Link:
    """A connection from one tier to another; `copy`: data that is copied rather than requested."""

    source: str
    target: str
    label: str
    ports: str
    copy: bool = False


def by_tiers(environment: Environment) -> Mapping[tuple[str, ...], tuple[Card, ...]]:
    """Return the cards, by the tiers that they belong to."""
    cards_by_tiers: dict[tuple[str, ...], list[Card]] = {}
    for host in environment.hosts:
        cards_by_tiers.setdefault(_tiers(environment, host), []).append(_host(environment, host))
    if environment.slots:
        first = environment.slots[0]
        cards_by_tiers.setdefault(_tiers(environment, first), []).append(_group(environment, first))
    for tier, cards in _managed(environment).items():
        cards_by_tiers.setdefault((tier,), []).extend(cards)
    return {tiers: tuple(cards) for tiers, cards in cards_by_tiers.items()}


def links(environment: Environment) -> Iterator[Link]:
    """Yield the connections between tiers."""
    every = (
        instance.port for plan in environment.apps.values() for ones in plan.instances.values() for instance in ones
    )
    if "edge" in topology.managed(environment.stack):
        yield Link(source="edge", target="app", label="HTTPS", ports="443")
    else:
        yield Link(source="edge", target="app", label="HTTP", ports=_span(sorted(set(every))))
    cloud = "database" in topology.managed(environment.stack)
    if environment.system.database is not None:
        yield Link(source="app", target="database", label="SQL, TLS", ports="5432")
        yield Link(
            source="database", target="ops", label="backup" if cloud else "backup, TLS", ports="" if cloud else "8432",
            copy=True,
        )  # fmt: skip
    if environment.system.cache:
        ports = _span(sorted(instance.port for instance in environment.system.cache.values()))
        yield Link(source="app", target="cache", label="Redis, TLS", ports=ports)
        if not cloud and any(instance.persistence != "none" for instance in environment.system.cache.values()):
            yield Link(source="cache", target="ops", label="backup, TLS", ports="8500", copy=True)


def _tiers(environment: Environment, host: Host) -> tuple[str, ...]:
    managed = topology.managed(environment.stack)
    return tuple(tier for tier in TIERS if tier in host.groups and tier not in managed) or ("ops",)


# --- hosts --------------------------------------------------------------------------------------------------------


def _host(environment: Environment, host: Host) -> Card:
    size = f"{host.cpus} CPU{'s' if host.cpus > 1 else ''}  ·  {_memory(host.memory_mb)}"
    where = "".join(f"  ·  {detail}" for detail in (host.type, host.zone and host.zone[-1]) if detail)
    where += f"  ·  Windows {host.os.rpartition('-')[2]}" if host.windows else ""
    return Card(title=host.name, corner=host.address, size=size + where, rows=tuple(_rows(environment, host)))


def _group(environment: Environment, host: Host) -> Card:
    """Return one card for all slots of a group."""
    group = environment.stack.aws.app.group if environment.stack.aws else None
    number = f"{group.min}\u2013{group.max} servers" if group else ""
    size = f"{host.cpus} CPUs  ·  {_memory(host.memory_mb)} each  ·  {host.type}"
    return Card(title="app group", corner=number, size=size, rows=tuple(_rows(environment, host)))


def _rows(environment: Environment, host: Host) -> Iterator[Row]:
    rows: Mapping[str, Callable[[Environment, Host], list[tuple[str, str]]]] = {
        "edge": lambda _, server: [("IIS with ARR" if server.windows else "nginx", "80, 443")],
        "app": _app_rows,
        "database": _database_rows,
        "cache": _cache_rows,
        "ops": lambda *_: [("pgBackRest repository", "8432"), ("restic repository", "8500")],
        "consensus": lambda *_: [("etcd voter", "2379, 2380")],
    }
    for tier in host.groups:
        yield from (Row(tier=tier, text=text, ports=ports) for text, ports in rows[tier](environment, host))


def _app_rows(environment: Environment, host: Host) -> list[tuple[str, str]]:
    rows = []
    for plan in environment.apps.values():
        instances = plan.instances.get(host.name, ())
        ports = sorted({instance.port for instance in instances})
        rows.append((f"{plan.app.process.name} \u00d7 {len(instances)}", _span(ports)))
    proxy = [] if "database" in topology.managed(environment.stack) else [("HAProxy", "5000, 5001")]
    return [*rows, ("PgBouncer", "6432"), *proxy] if environment.system.database is not None else rows


def _database_rows(environment: Environment, host: Host) -> list[tuple[str, str]]:
    tier = environment.system.database
    if tier is None:
        return []
    hosts = environment.groups["database"]
    role = "" if len(hosts) == 1 else " primary" if hosts[0] == host.name else " replica"
    return [(f"PostgreSQL {tier.version}{role}", "5432"), ("Patroni", "8008")]


def _cache_rows(environment: Environment, host: Host) -> list[tuple[str, str]]:
    hosts = environment.groups["cache"]
    return [
        (f"Redis {purpose.replace('_', ' ')}", str(instance.port))
        for number, (purpose, instance) in enumerate(environment.system.cache.items())
        if hosts and hosts[number % len(hosts)] == host.name
    ]


# --- services of a cloud ------------------------------------------------------------------------------------------


def _managed(environment: Environment) -> dict[str, list[Card]]:
    aws, plan = environment.stack.aws, environment.plan.aws
    managed = topology.managed(environment.stack)
    if aws is None or plan is None or not managed:
        return {}
    cards = {"edge": [_load_balancer(aws, plan)], "cache": _caches(environment, aws, plan)}
    if "database" in managed:
        cards["database"] = _databases(environment, plan)
        backups = [Row(tier="ops", text="uploads, artifacts, logs")]
        if plan.database:
            backups.insert(0, Row(tier="ops", text=f"database: any second of {plan.database.backup_days} days"))
        if aws.database.copy_region:
            backups.append(Row(tier="ops", text="copies", ports=aws.database.copy_region))
        cards["ops"] = [Card(title="backups, S3", corner="", size="encrypted, versioned", rows=tuple(backups))]
    return cards


def _load_balancer(aws: Aws, plan: AwsPlan) -> Card:
    settings = aws.load_balancer
    texts = ["CloudFront"] * settings.cdn + ["WAF"] * settings.firewall
    texts.append("application load balancer" if settings.kind == "application" else "network load balancer")
    rows = tuple(Row(tier="edge", text=text, ports="443" if text == texts[-1] else "") for text in texts)
    return Card(title="edge", corner=aws.region, size=_zones(plan), rows=rows)


def _zones(plan: AwsPlan) -> str:
    return f"zones {', '.join(zone[-1] for zone in plan.zones)}"


def _databases(environment: Environment, plan: AwsPlan) -> list[Card]:
    rds, tier = plan.database, environment.system.database
    if rds is None or tier is None:
        return []
    size = f"{rds.cpus} CPUs  ·  {_memory(rds.memory_mb)}  ·  {rds.storage_gb}\u2013{rds.max_storage_gb} GB"
    standby = [Row(tier="database", text="standby in another zone")] if rds.multi_az else []
    primary = (Row(tier="database", text=f"PostgreSQL {tier.version} primary", ports="5432"), *standby)
    replica = (Row(tier="database", text=f"PostgreSQL {tier.version} replica", ports="5432"),)
    cards = [Card(title="RDS primary", corner=rds.instance_class, size=size, rows=primary)]
    cards += [
        Card(title=f"RDS replica {number}", corner=rds.instance_class, size=size, rows=replica)
        for number in range(1, rds.replicas + 1)
    ]
    return cards


def _caches(environment: Environment, aws: Aws, plan: AwsPlan) -> list[Card]:
    engine = "Valkey" if aws.cache.engine == "valkey" else "Redis"
    ports: Mapping[str, str] = {purpose: str(instance.port) for purpose, instance in environment.system.cache.items()}
    rows = tuple(
        Row(
            tier="cache",
            text=f"{purpose.replace('_', ' ')}: {cache.node_type} \u00d7 {cache.replicas + 1}",
            ports=ports[purpose],
        )
        for purpose, cache in plan.caches.items()
    )
    return [Card(title="ElastiCache", corner=engine, size=_zones(plan), rows=rows)]


# --- words --------------------------------------------------------------------------------------------------------


def _memory(megabytes: int) -> str:
    return f"{megabytes / 1024:g} GB" if megabytes % 512 == 0 else f"{megabytes} MB"


def _span(ports: Sequence[int]) -> str:
    if not ports:
        return ""
    return str(ports[0]) if len(ports) == 1 else f"{ports[0]}\u2013{ports[-1]}"
