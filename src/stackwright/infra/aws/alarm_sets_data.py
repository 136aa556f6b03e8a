"""Alarms of databases, caches and backups. `alarm_sets` describes the kind of values and their sources."""

# No postponed annotations, as in the modules of the args.
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi

from stackwright.infra.aws.alarm_args import CacheAlarmsArgs, DatabaseAlarmsArgs
from stackwright.infra.aws.alarm_sets import (
    ABOVE,
    AT_LEAST,
    BELOW,
    SILENCE_IS_BAD,
    Alarm,
    Dimensions,
    Metric,
    credits_per_hour,
)

_MB, _GB = 1024**2, 1024**3
_DAY_SECONDS = 86400
#: IOPS that the price of gp3 includes.
_IOPS = 3000
#: Latency of a disk operation at which users notice it.
_READ_SECONDS, _WRITE_SECONDS = 0.02, 0.05
#: Half of the transactions that PostgreSQL can count before it stops accepting writes (its manual, "Preventing
#: Transaction ID Wraparound Failures").
_TRANSACTIONS = 1_000_000_000
#: `maxclients` of Redis and Valkey (ElastiCache, engine specific parameters).
_CACHE_CONNECTIONS = 65_000


def databases(args: Mapping[str, DatabaseAlarmsArgs]) -> Iterator[Alarm]:
    """Yield the alarms of RDS instances.

    RDS has no metric for the age of the newest backup, and no event for a backup that did not happen. Closest are the
    event category `failure` of the subscription (`Alarms`), and `backup_vaults` if AWS Backup makes the backups.
    """
    for label, database in args.items():
        yield from _room(label, database)
        yield from _speed(label, database)


def _database(label: str, args: DatabaseAlarmsArgs, part: str, name: str, **more: Any) -> Alarm:
    dimensions = {"DBInstanceIdentifier": args.identifier}
    statistic = more.pop("statistic", "Average")
    metric = Metric(namespace="AWS/RDS", name=name, dimensions=dimensions, statistic=statistic)
    reason = f"Database {label}: {more.pop('reason')}"
    return Alarm(name=("database", label, part), reason=reason, metrics={"value": metric}, **more)


def _room(label: str, args: DatabaseAlarmsArgs) -> Iterator[Alarm]:
    yield _database(
        label,
        args,
        "memory",
        "FreeableMemory",
        reason="less than a tenth of its memory is free; it will read from the disk, or be restarted",
        comparison=BELOW,
        threshold=args.memory_mb * _MB * 0.1,
        chart="Databases: freeable memory, bytes",
    )
    yield _database(
        label,
        args,
        "storage",
        "FreeStorageSpace",
        reason=(
            "its disk is all but full; below 10 % RDS makes it larger by itself, at most every six hours and up to its limit, "
            "which this time has not helped"
        ),
        statistic="Minimum",
        comparison=BELOW,
        threshold=args.storage_gb * _GB * 0.08,
        urgent=True,
        chart="Databases: free storage, bytes",
    )
    yield _database(
        label,
        args,
        "connections",
        "DatabaseConnections",
        reason=f"it has four fifths of the {args.max_connections} connections that it takes; more are refused soon",
        statistic="Maximum",
        comparison=AT_LEAST,
        threshold=args.max_connections * 0.8,
        chart="Databases: connections",
    )
    yield _database(
        label,
        args,
        "transactions",
        "MaximumUsedTransactionIDs",
        reason="vacuum does not keep up: at twice as many transactions without one PostgreSQL stops to write",
        statistic="Maximum",
        comparison=AT_LEAST,
        threshold=_TRANSACTIONS,
        chart="Databases: transactions since the last vacuum",
    )


def _speed(label: str, args: DatabaseAlarmsArgs) -> Iterator[Alarm]:
    yield _database(
        label,
        args,
        "cpu",
        "CPUUtilization",
        reason="its CPUs are busy for a quarter of an hour, so that every query waits",
        comparison=AT_LEAST,
        threshold=90,
        # A running instance sends this metric every minute.
        silence=SILENCE_IS_BAD,
        urgent=True,
        chart="Databases: CPU, %",
    )
    for part, name, seconds in (
        ("read-latency", "ReadLatency", _READ_SECONDS),
        ("write-latency", "WriteLatency", _WRITE_SECONDS),
    ):
        yield _database(
            label,
            args,
            part,
            name,
            reason=f"its disk takes {seconds * 1000:.0f} ms and longer",
            comparison=AT_LEAST,
            threshold=seconds,
            chart="Databases: latency of the disk, seconds",
        )
    yield _database(
        label,
        args,
        "disk-queue",
        "DiskQueueDepth",
        reason="more operations wait for its disk than that does in the time that one may take: it needs more IOPS",
        comparison=AT_LEAST,
        # Little's law: the operations in progress when the disk is fully used and each operation takes this long.
        threshold=(_IOPS if args.iops is None else args.iops) * _READ_SECONDS,
        chart="Databases: waiting operations of the disk",
    )
    if args.replica:
        yield _database(
            label,
            args,
            "lag",
            "ReplicaLag",
            reason="it is a minute and more behind the primary: who reads from it reads what was",
            statistic="Maximum",
            comparison=AT_LEAST,
            threshold=60,
            # A replica whose replication has stopped may send nothing.
            silence=SILENCE_IS_BAD,
            chart="Databases: replica lag, seconds",
        )
    earned = credits_per_hour(args.instance_class)
    if earned is not None:
        yield _database(
            label,
            args,
            "credits",
            "CPUCreditBalance",
            reason="it has used its CPU credits up, and is charged for more: the class is too small for what it does",
            statistic="Minimum",
            comparison=BELOW,
            threshold=earned / 2,
            periods=12,
            chart="Databases: CPU credits",
        )


def caches(args: Mapping[str, CacheAlarmsArgs]) -> Iterator[Alarm]:
    """Yield the alarms of every node of the replication groups, because a failover makes another node the primary."""
    for label, cache in args.items():
        for number in range(1, cache.nodes + 1):
            yield from _node(label, cache, f"{number:03d}")


def _node(label: str, args: CacheAlarmsArgs, node: str) -> Iterator[Alarm]:
    # A plain string stays one, because an Output only works in a running Pulumi program.
    group = args.group_id
    member = f"{group}-{node}" if isinstance(group, str) else pulumi.Output.concat(group, "-", node)
    of: Dimensions = {"CacheClusterId": member}
    connections = _CACHE_CONNECTIONS if args.max_connections is None else args.max_connections

    def alarm(part: str, name: str, statistic: str, threshold: float, reason: str, **more: Any) -> Alarm:
        metric = Metric(namespace="AWS/ElastiCache", name=name, dimensions=of, statistic=statistic)
        fixed: dict[str, Any] = {"comparison": AT_LEAST, "reason": f"Cache {label}, node {node}: {reason}"}
        return Alarm(
            name=("cache", label, node, part), metrics={"value": metric}, threshold=threshold, **(fixed | more)
        )

    # The first says more on nodes with two CPUs, the second on larger ones: the engine uses only one CPU.
    busy = "is busy for a quarter of an hour, so that everyone waits"
    yield alarm(
        "cpu", "CPUUtilization", "Average", 90, f"its machine {busy}", silence=SILENCE_IS_BAD, chart="Caches: CPU, %"
    )
    yield alarm("engine-cpu", "EngineCPUUtilization", "Average", 90, f"its engine {busy}", chart="Caches: CPU, %")
    full = "it refuses to write when it is full" if args.keeps else "it throws away what is still wanted"
    yield alarm(
        "memory",
        "DatabaseMemoryUsagePercentage",
        "Maximum",
        # A cache evicts by design, and is full most of the time.
        80 if args.keeps else 95,
        f"its memory is all but used; {full}",
        urgent=bool(args.keeps),
        chart="Caches: memory, %",
    )
    if args.keeps:
        yield alarm(
            "evictions",
            "Evictions",
            "Sum",
            0,
            "it has thrown away data that nobody else has: is its `maxmemory-policy` still `noeviction`?",
            comparison=ABOVE,
            periods=1,
            urgent=True,
            chart="Caches: evictions",
        )
    if args.nodes > 1:
        yield alarm(
            "lag",
            "ReplicationLag",
            "Maximum",
            30,
            "it is half a minute and more behind the primary: that much is lost when it takes over",
            chart="Caches: replication lag, seconds",
        )
    yield alarm(
        "connections",
        "CurrConnections",
        "Maximum",
        connections * 0.8,
        f"it has four fifths of the {connections} connections that it takes",
        chart="Caches: connections",
    )


def backups(vaults: Mapping[str, pulumi.Input[str]]) -> Iterator[Alarm]:
    """Yield the alarms of AWS Backup vaults."""
    for label, vault in vaults.items():
        of = {"BackupVaultName": vault}
        failed = Metric(namespace="AWS/Backup", name="NumberOfBackupJobsFailed", dimensions=of, statistic="Sum")
        yield Alarm(
            name=("backup", label, "failed"),
            reason=f"Backup vault {label}: a backup has failed",
            metrics={"value": failed},
            comparison=ABOVE,
            threshold=0,
            periods=1,
            chart="Backups: failed jobs",
        )
        done = Metric(namespace="AWS/Backup", name="NumberOfBackupJobsCompleted", dimensions=of, statistic="Sum")
        yield Alarm(
            name=("backup", label, "age"),
            reason=f"Backup vault {label}: a day has gone by without a backup",
            metrics={"value": done},
            comparison=BELOW,
            threshold=1,
            period_seconds=_DAY_SECONDS,
            periods=1,
            # A vault that sends nothing has received no backup.
            silence=SILENCE_IS_BAD,
            chart="Backups: completed jobs",
        )
