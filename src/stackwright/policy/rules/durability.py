"""Rules for durability: data and service survive a mistake, a broken disk and the loss of a zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from stackwright.policy.references import cis, fsbp
from stackwright.policy.resources import UNKNOWN, Graph, Resource, as_list
from stackwright.policy.rule import Finding, Rules, Settings

RULES = Rules()
#: Minimum number of days that a database can be restored back to.
BACKUP_DAYS: Mapping[str, int] = {"development": 1, "staging": 7, "production": 7}
#: Minimum number of days in which a deleted key or secret can be recovered, outside development.
_RECOVERY_DAYS = {"kms/key": 30, "secretsmanager/secret": 7}
_PROTECTED = ("elasticache/replicationGroup", "kms/key", "rds/instance", "s3/bucket")


def _is_replica(resource: Resource) -> bool:
    return resource.given("replicateSourceDb")


@RULES.resource(
    "deletion-protection",
    "high",
    "lb/loadBalancer",
    "rds/instance",
    fix="set deletionProtection (rds) or enableDeletionProtection (load balancer)",
    references=fsbp("RDS.8", "ELB.6"),
)
def _deletion(resource: Resource, settings: Settings) -> Iterator[str]:
    """Outside development, databases and load balancers have deletion protection."""
    name = "deletionProtection" if resource.kind == "rds/instance" else "enableDeletionProtection"
    if settings.keeps_data and not resource.on(name):
        yield f"{name} is off"


@RULES.resource("protected-by-pulumi", "high", *_PROTECTED, fix="declare it with ResourceOptions(protect=True)")
def _protect(resource: Resource, settings: Settings) -> Iterator[str]:
    """Outside development, Pulumi protects resources that hold data, and the keys without which data is lost."""
    if not settings.keeps_data or _is_replica(resource):
        return
    # A cache without snapshots holds no data that could be lost.
    holds_data = resource.kind != "elasticache/replicationGroup" or bool(resource.get("snapshotRetentionLimit"))
    if holds_data and not resource.protect:
        yield "protect is off"


@RULES.resource("no-force-destroy", "high", "s3/bucket", "route53/zone", fix="leave forceDestroy off", references=())
def _force(resource: Resource, settings: Settings) -> Iterator[str]:
    """Outside development, a bucket or hosted zone that is not empty cannot be deleted."""
    if settings.keeps_data and resource.get("forceDestroy") is True:
        yield "forceDestroy is on"


@RULES.resource(
    "final-snapshot",
    "high",
    "rds/instance",
    "elasticache/replicationGroup",
    fix="set finalSnapshotIdentifier, and skipFinalSnapshot to false",
)
def _final(resource: Resource, settings: Settings) -> Iterator[str]:
    """Outside development, the final state of a data store is kept when it is deleted."""
    if not settings.keeps_data or _is_replica(resource):
        return
    if resource.kind == "elasticache/replicationGroup" and not resource.get("snapshotRetentionLimit"):
        return
    if resource.get("skipFinalSnapshot") is True:
        yield "skipFinalSnapshot is on"
    elif not resource.given("finalSnapshotIdentifier"):
        yield "finalSnapshotIdentifier is missing"


@RULES.resource(
    "backup-retention",
    "high",
    "rds/instance",
    fix="set backupRetentionPeriod: 1 day in development, 7 or more elsewhere; leave deleteAutomatedBackups off",
    references=fsbp("RDS.11"),
)
def _backups(resource: Resource, settings: Settings) -> Iterator[str]:
    """A database can be restored to any second of at least the last week, in development of the last day."""
    if _is_replica(resource):
        return
    days, required_days = resource.get("backupRetentionPeriod"), BACKUP_DAYS[settings.environment_class]
    if days is not UNKNOWN and (days or 0) < required_days:
        yield f"backupRetentionPeriod is {days or 0:g}, of at least {required_days}"
    if settings.keeps_data and resource.get("deleteAutomatedBackups") in (None, True):
        yield "deleteAutomatedBackups is on: the backups would go with the database"


@RULES.resource(
    "multi-az",
    "high",
    "rds/instance",
    "elasticache/replicationGroup",
    fix="set multiAz (rds), or automaticFailoverEnabled and multiAzEnabled (elasticache)",
    references=fsbp("RDS.5", "ElastiCache.3"),
)
def _multi_az(resource: Resource, settings: Settings) -> Iterator[str]:
    """In production, a data store survives the loss of a zone."""
    if not settings.is_production or _is_replica(resource):
        return
    names = ("multiAz",) if resource.kind == "rds/instance" else ("automaticFailoverEnabled", "multiAzEnabled")
    yield from (f"{name} is off" for name in names if not resource.on(name))


@RULES.resource(
    "several-zones",
    "medium",
    "autoscaling/group",
    "lb/loadBalancer",
    fix="hand in subnets of two zones or more",
    references=fsbp("AutoScaling.2", "ELB.13"),
)
def _zones(resource: Resource, settings: Settings) -> Iterator[str]:
    """In production, servers and load balancers are in more than one zone."""
    if not settings.is_production:
        return
    name = "vpcZoneIdentifiers" if resource.kind == "autoscaling/group" else "subnets"
    subnets = resource.get("subnetMappings") if name == "subnets" and not resource.given(name) else resource.get(name)
    if subnets is not UNKNOWN and len(as_list(subnets)) < 2:
        yield f"{name} has {len(as_list(subnets))} of at least 2"


@RULES.graph(
    "s3-versioning",
    "medium",
    fix="declare a BucketVersioning that is Enabled",
    references=fsbp("S3.14"),
)
def _versioning(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """An overwritten or deleted object can be recovered."""
    for bucket in graph.of("s3/bucket"):
        versionings = graph.pointing_at(bucket, "s3/bucketVersioning", "bucket")
        if not any(
            versioning.get("versioningConfiguration.status") in ("Enabled", UNKNOWN) for versioning in versionings
        ):
            yield bucket, "versioning is not enabled"


@RULES.graph(
    "s3-lifecycle",
    "low",
    fix="declare a BucketLifecycleConfiguration",
    references=fsbp("S3.10", "S3.13"),
)
def _lifecycle(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """A bucket has lifecycle rules, because old versions and incomplete uploads cost money for ever."""
    for bucket in graph.of("s3/bucket"):
        if not any(True for _ in graph.pointing_at(bucket, "s3/bucketLifecycleConfiguration", "bucket")):
            yield bucket, "it has no lifecycle"


@RULES.resource(
    "recovery-window",
    "medium",
    "kms/key",
    "secretsmanager/secret",
    fix="set deletionWindowInDays (key) to 30, recoveryWindowInDays (secret) to 7 or more",
    references=fsbp("KMS.3"),
)
def _recovery(resource: Resource, settings: Settings) -> Iterator[str]:
    """Outside development, a deleted key or secret can be recovered for a while."""
    name = "deletionWindowInDays" if resource.kind == "kms/key" else "recoveryWindowInDays"
    days, required_days = resource.get(name), _RECOVERY_DAYS[resource.kind]
    # Both services default to 30 days.
    if settings.keeps_data and isinstance(days, (int, float)) and days < required_days:
        yield f"{name} is {days:g}, of at least {required_days}"


@RULES.resource(
    "automatic-upgrades",
    "medium",
    "rds/instance",
    "elasticache/replicationGroup",
    fix="leave autoMinorVersionUpgrade on",
    references=(*fsbp("RDS.13", "ElastiCache.2"), *cis("2.3.2")),
)
def _upgrades(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Security fixes of the engine are installed automatically, in the maintenance window."""
    if resource.get("autoMinorVersionUpgrade") in (False, "false"):
        yield "autoMinorVersionUpgrade is off"


@RULES.resource("snapshot-tags", "low", "rds/instance", fix="set copyTagsToSnapshot", references=fsbp("RDS.17"))
def _snapshot_tags(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A snapshot carries the tags of its database, so that its owner is known."""
    if not resource.on("copyTagsToSnapshot"):
        yield "copyTagsToSnapshot is off"
