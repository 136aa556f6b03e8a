"""An environment's section `aws` with every default filled in, which the components are created from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackwright.model import topology
from stackwright.model.aws import regions, sizes, subnets
from stackwright.model.aws.stackfile import Aws

if TYPE_CHECKING:
    from stackwright.model.stackfile import StackFile
    from stackwright.model.system import Purpose, System

#: Days within which any second can be restored, by default.
BACKUP_DAYS: Mapping[str, int] = {"development": 1, "staging": 7, "production": 14}
#: GB; gp3 on RDS provides 3000 operations per second at any size.
STORAGE_GB: Mapping[str, int] = {"development": 20, "staging": 20, "production": 100}


#: GB of a server's disk, by default.
DISK_GB: Mapping[str, int] = {"development": 20, "staging": 20, "production": 50}
#: The image takes 30 GB; Windows also needs space for a page file and for files that an update replaces.
WINDOWS_DISK_GB = 50


@dataclass(frozen=True, kw_only=True)
class DatabasePlan:
    """PostgreSQL managed by AWS."""

    instance_class: str
    #: MB; the settings are derived from it.
    memory_mb: int
    cpus: int
    storage_gb: int
    max_storage_gb: int
    multi_az: bool
    replicas: int
    backup_days: int

    @property
    def usable_mb(self) -> int:
        """Return the MB for PostgreSQL; the rest is for system and AWS processes (a tenth, rounded from AWS's docs)."""
        return self.memory_mb * 9 // 10


@dataclass(frozen=True, kw_only=True)
class CachePlan:
    """A replication group for one purpose."""

    node_type: str
    replicas: int
    snapshot_days: int


@dataclass(frozen=True, kw_only=True)
class AwsPlan:
    """What follows from the section and from the class of the environment."""

    zones: tuple[str, ...]
    #: Kind -> zone -> CIDR.
    subnets: Mapping[str, Mapping[str, str]]
    nat: str
    #: None if the environment runs its own database.
    database: DatabasePlan | None
    #: Purpose -> its group; empty if the environment runs its own caches.
    caches: Mapping[str, CachePlan]


def make_plan(stack: StackFile, system: System, aws: Aws) -> AwsPlan:
    """Return the plan. Raises ValueError for problems that `checks` reports with their location."""
    zones = regions.zones(aws.region, aws.zones)
    managed = topology.managed(stack)
    return AwsPlan(
        zones=zones,
        subnets=subnets.plan(stack.network.cidr, zones),
        nat=aws.nat or ("per_zone" if stack.class_ == "production" else "single"),
        database=_database(stack, aws) if system.database is not None and "database" in managed else None,
        caches={purpose: _cache(stack, system, aws, purpose) for purpose in system.cache if "cache" in managed},
    )


def database_type(stack: StackFile, aws: Aws) -> sizes.Type:
    """Return the configured class, else the smallest that is sufficient. Raises ValueError if there is none."""
    if aws.database.instance_class is not None:
        return sizes.DATABASES[aws.database.instance_class]
    cpus, memory_mb = topology.SIZES[stack.class_]["database"]
    override = stack.sizes.get("database")
    return sizes.database(
        (override and override.cpus) or cpus,
        (override and override.memory_mb) or memory_mb,
        bursts=stack.class_ != "production",
    )


def cache_memory_mb(stack: StackFile, system: System, purpose: Purpose) -> int:
    """Return the memory of a purpose in MB."""
    overrides = {name: override.memory_mb for name, override in stack.cache.items()}
    defaults = {name: instance.memory_mb for name, instance in system.cache.items()}
    return (defaults | overrides)[purpose]


def _database(stack: StackFile, aws: Aws) -> DatabasePlan:
    instance_type, settings = database_type(stack, aws), aws.database
    storage_gb = settings.storage_gb or STORAGE_GB[stack.class_]
    return DatabasePlan(
        instance_class=instance_type.name,
        memory_mb=instance_type.memory_mb,
        cpus=instance_type.cpus,
        storage_gb=storage_gb,
        max_storage_gb=settings.max_storage_gb or 4 * storage_gb,
        multi_az=settings.multi_az if settings.multi_az is not None else stack.class_ != "development",
        replicas=replicas(stack, aws),
        backup_days=backup_days(stack, aws),
    )


def replicas(stack: StackFile, aws: Aws) -> int:
    """Return the number of read replicas; by default as many as on own hosts, once RDS can create any."""
    if aws.database.replicas is not None:
        return aws.database.replicas
    count = stack.topology.database if stack.topology else None
    if count is None and aws.database.master_secret is None:
        return 0
    return (count or topology.COUNTS["database"]) - 1


def backup_days(stack: StackFile, aws: Aws) -> int:
    """Return for how many days any second of the database can be restored."""
    return aws.database.backup_days if aws.database.backup_days is not None else BACKUP_DAYS[stack.class_]


def _cache(stack: StackFile, system: System, aws: Aws, purpose: Purpose) -> CachePlan:
    settings = aws.cache
    node_type = settings.node_type or sizes.cache(cache_memory_mb(stack, system, purpose))
    persists = next(instance.persistence for name, instance in system.cache.items() if name == purpose) != "none"
    days = settings.snapshot_days if settings.snapshot_days is not None else backup_days(stack, aws)
    return CachePlan(
        node_type=node_type,
        replicas=settings.replicas if settings.replicas is not None else int(stack.class_ != "development"),
        snapshot_days=days if persists else 0,
    )
