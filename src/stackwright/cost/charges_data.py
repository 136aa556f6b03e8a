"""Charges of data stores: databases, caches, buckets, backups, keys, secrets."""

from __future__ import annotations

from collections.abc import Iterator

from stackwright.cost.lines import HOURS, Charge, Line, Subject, UnclearError
from stackwright.model.aws.sizes import DATABASES

#: From this size on, the price of gp3 storage for PostgreSQL includes more (user guide of RDS, "gp3 storage", as
#: remembered in 2026-11).
_STRIPED_GB = 400
#: Operations a second and MB/s included in the price of gp3: below that size, and from it on.
_GP3 = {False: (3000, 125), True: (12_000, 500)}


def database(subject: Subject) -> Iterator[Line]:
    """Yield the charges of a database with its storage, single or Multi-AZ; a replica, too, declares its own class."""
    kind = subject.text("instanceClass")
    where = "multi" if subject.get("multiAz") is True else "single"
    # A replica has its source's engine and storage, which it need not declare.
    engine = subject.text("engine", default="postgres" if subject.get("replicateSourceDb") is not None else None)
    if engine != "postgres":
        raise UnclearError(f"a database of engine {engine}")
    zones = "in two zones" if where == "multi" else "in one zone"
    yield subject.charge(f"rds-postgresql/{kind}/{where}", f"PostgreSQL on {kind} {zones}", HOURS)
    size = subject.get("allocatedStorage")
    if size is None:
        yield subject.unknown("storage", "allocatedStorage is missing (a replica has as much as its source)")
    else:
        yield from _storage(subject, subject.number("allocatedStorage"), where)
    if subject.assumptions.database_backup_gb:
        backup = subject.assumptions.database_backup_gb
        yield subject.charge("rds/backup-gb", "backups above the database's size", backup, assumed=True)
    if subject.number("performanceInsightsRetentionPeriod", default=0) > 7:  # a week is free of charge
        cpus = DATABASES[kind].cpus if kind in DATABASES else None
        if cpus is None:
            yield subject.unknown("Performance Insights", f"the CPUs of {kind} are not known")
        else:
            yield subject.charge("rds/insights-vcpu", "Performance Insights beyond a week", cpus)
    if subject.get("manageMasterUserPassword") is True:
        yield subject.charge("secrets/secret", "secret of the master user, which RDS keeps", 1)
    if subject.number("monitoringInterval", default=0):
        written = subject.assumptions.log_gb
        yield subject.charge("cloudwatch/log-gb", "enhanced monitoring, log lines", written, assumed=True)


def _storage(subject: Subject, size: float, where: str) -> Iterator[Line]:
    kind = subject.text("storageType", default="gp2")
    yield subject.charge(f"rds/{kind}-gb/{where}", f"storage, {kind}", size)
    iops, mbps = subject.number("iops", default=0), subject.number("storageThroughput", default=0)
    included = _GP3[size >= _STRIPED_GB] if kind == "gp3" else (0, 0)
    if iops > included[0]:
        yield subject.charge(f"rds/{kind}-iops/{where}", "operations a second", iops - included[0])
    if mbps > included[1]:
        yield subject.charge(f"rds/{kind}-mbps/{where}", "MB/s", mbps - included[1])


def backup_copy(subject: Subject) -> Iterator[Line]:
    """Yield the charge of copies of a database's backups in another region, where nothing is free of charge."""
    note = "traffic between the regions is not counted"
    copied = subject.assumptions.database_copy_gb
    yield subject.charge("rds/backup-gb", "copies of backups", copied, assumed=True, note=note)


def proxy(subject: Subject) -> Iterator[Line]:
    """Yield the charge of a proxy, which is billed by the CPUs of its database, and for at least two."""
    databases = subject.graph.of_type("aws:rds/instance:Instance")
    if not databases:
        raise UnclearError("the database of this proxy is not declared here")
    kinds = [str(instance.inputs.get("instanceClass")) for instance in databases]
    largest = max((DATABASES[kind].cpus for kind in kinds if kind in DATABASES), default=0)
    if not largest:
        raise UnclearError(f"the CPUs of {kinds[0]} are not known")
    cpus = max(2, largest)
    yield subject.charge("rds/proxy-vcpu", f"proxy of {cpus} CPUs", cpus * HOURS)


def cache(subject: Subject) -> Iterator[Line]:
    kind, engine = subject.text("nodeType"), subject.text("engine", default="redis")
    nodes = subject.number("numCacheClusters", default=0)
    if not nodes:
        nodes = subject.number("numNodeGroups", default=1) * (1 + subject.number("replicasPerNodeGroup", default=0))
    yield subject.charge(f"cache-{engine}/{kind}", f"{nodes:g} x {engine.capitalize()} on {kind}", nodes * HOURS)
    # One snapshot a day is free of charge for each store; AWS keeps as many as configured.
    more = subject.number("snapshotRetentionLimit", default=0) - 1
    if more > 0:
        stored = more * subject.assumptions.cache_backup_gb
        yield subject.charge("cache/backup-gb", f"{more:g} more snapshots", stored, assumed=True)


def bucket(subject: Subject) -> Iterator[Line]:
    use = subject.assumptions
    note = "without older versions, colder classes and copies in other regions"
    yield subject.charge("s3/standard-gb", "objects", use.bucket_gb, assumed=True, note=note)
    yield subject.charge("s3/writes", "requests that write or list", use.bucket_writes_thousand, assumed=True)
    yield subject.charge("s3/reads", "requests that read", use.bucket_reads_thousand, assumed=True)


def vault(subject: Subject) -> Iterator[Line]:
    yield subject.charge("backup/disk-gb", "recovery points", subject.assumptions.vault_gb, assumed=True)


def key(subject: Subject) -> Iterator[Line]:
    rotates = subject.get("enableKeyRotation") is True
    # AWS stops charging for more after the second rotation.
    note = "each of the first two yearly rotations adds as much again" if rotates else ""
    yield subject.charge("kms/key", "key", 1, note=note)
    yield subject.charge("kms/requests", "requests", subject.assumptions.kms_requests_thousand, assumed=True)


def secret(subject: Subject) -> Iterator[Line]:
    yield subject.charge("secrets/secret", "secret", 1 + subject.count("replicas"))
    yield subject.charge("secrets/calls", "requests", subject.assumptions.secret_calls_thousand, assumed=True)


def parameter(subject: Subject) -> Iterator[Line]:
    tier = subject.text("tier", default="Standard")
    if tier == "Standard":
        yield subject.free("parameter", "a standard parameter is free of charge")
    elif tier == "Advanced":
        yield subject.charge("ssm/advanced-parameter", "advanced parameter", 1)
    else:
        raise UnclearError(f"a parameter of tier {tier}")


CHARGES: dict[str, Charge] = {
    "aws:backup/vault:Vault": vault,
    "aws:elasticache/replicationGroup:ReplicationGroup": cache,
    "aws:kms/key:Key": key,
    "aws:rds/instance:Instance": database,
    "aws:rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication": backup_copy,
    "aws:rds/proxy:Proxy": proxy,
    "aws:s3/bucket:Bucket": bucket,
    "aws:secretsmanager/secret:Secret": secret,
    "aws:ssm/parameter:Parameter": parameter,
}
