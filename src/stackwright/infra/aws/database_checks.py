"""Checks that find what RDS would refuse of a database, before a resource is created."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from stackwright.infra.aws.cache_args import DAYS, slug
from stackwright.model.aws import regions
from stackwright.model.aws.rds import ALWAYS, NOT_SETTABLE
from stackwright.model.aws.stackfile import RETENTION_DAYS

if TYPE_CHECKING:
    import pulumi

    from stackwright.infra.aws.database_args import DatabaseArgs

#: Major versions that RDS offers.
VERSIONS = ("14", "15", "16", "17")
#: Quotas of RDS: replicas of an instance, and bounds of gp3 in GB.
MOST_REPLICAS, LEAST_STORAGE_GB, MOST_STORAGE_GB = 15, 20, 65_536
MOST_BACKUP_DAYS, LEAST_PRODUCTION_BACKUP_DAYS = 35, 7
#: Retention that Database Insights offers: a week (standard) or 15 months (advanced). 0 turns it off. AWS ended the
#: other periods in 2026 together with the console of Performance Insights.
INSIGHTS_DAYS = (0, 7, 465)
MONITORING_SECONDS = (0, 1, 5, 10, 15, 30, 60)
#: Longest interval in which Secrets Manager rotates the master's password.
MOST_ROTATION_DAYS = 1000
_DATABASE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_MASTER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}")
#: Names that RDS or PostgreSQL reserves.
_RESERVED = ("admin", "postgres", "rdsadmin", "rds_superuser", "rds_iam", "rdsrepladmin", "rds_replication")
_CLASS = re.compile(r"db\.[a-z0-9]+\.[a-z0-9]+")
_PARAMETER = re.compile(r"[a-z][a-z0-9_.]*")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
#: Characters that EC2 accepts in the description of a rule.
_REASON = re.compile(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,200}")
DAY_MINUTES = 24 * 60
_TAKEN_OVER = (
    "first create the database without, then take its master over from RDS"
    " (`stackwright database take-over`, module `database`) and name its secret in master_secret_arn"
)


def problems(args: DatabaseArgs) -> Iterator[str]:
    """Yield the problems; each names the argument, its value and what is accepted."""
    yield from _engine_problems(args)
    yield from _size_problems(args)
    if not args.clients:
        yield "clients is empty, accepted: the security group of at least one who connects"
    yield from _client_problems("clients", args.clients)
    yield from _parameter_problems(args.parameters or {})
    yield from _watch_problems(args)
    times = list(_time_problems(args))
    yield from times or _window_problems(args)
    yield from _backup_problems(args)
    yield from _region_problems(args)
    yield from _master_problems(args)
    restore = args.restore
    if restore is not None and (restore.snapshot is None) == (restore.source is None):
        yield "restore names both or neither, accepted: a snapshot or a source"
    if restore is not None and restore.time is not None and restore.source is None:
        yield f"restore.time is {restore.time!r}, accepted: none without a source"


def minutes(time: str) -> int:
    """Return the minutes since midnight."""
    hours, minutes_past = time.split(":")
    return int(hours) * 60 + int(minutes_past)


def clock(since_midnight: int) -> str:
    """Return the time of day, such as `04:00`; from 24 hours on it is of the next day."""
    return f"{since_midnight // 60 % 24:02d}:{since_midnight % 60:02d}"


def against_blue_green(args: DatabaseArgs) -> Iterator[str]:
    """Yield what prevents blue/green in RDS (user guide, "Limitations for blue/green deployments") or the provider."""
    if args.master_secret_arn is None:
        yield f"a master that is taken over: {_TAKEN_OVER}"
    if args.replica_count:
        # hashicorp/terraform-provider-aws#33702: the replicas stay with the old instance.
        yield "no replicas, which the provider would leave behind"
    if args.replica_region is not None:
        yield "no replica_region"
    if args.copy_region is not None:
        # Unverified: the copies belong to a resource id, which stays with the old instance.
        yield "no copy_region, whose copies would end with the old instance"


def _engine_problems(args: DatabaseArgs) -> Iterator[str]:
    if args.chosen_version not in VERSIONS:
        yield f"engine_version is {args.engine_version!r}, accepted: {', '.join(VERSIONS)}"
    if not _CLASS.fullmatch(args.instance_class):
        yield f"instance_class is {args.instance_class!r}, accepted: a class such as db.m7g.large"
    name = args.database_name
    if name is not None and not _DATABASE.fullmatch(name):
        yield f"database_name is {name!r}, accepted: at most 63 letters, digits and _, a letter first"
    if not _MASTER.fullmatch(args.chosen_master) or args.chosen_master in _RESERVED:
        yield f"master_user is {args.master_user!r}, accepted: at most 16 letters, digits and _, and no reserved word"


def _size_problems(args: DatabaseArgs) -> Iterator[str]:
    if not LEAST_STORAGE_GB <= args.storage_gb <= MOST_STORAGE_GB:
        yield f"storage_gb is {args.storage_gb}, accepted: {LEAST_STORAGE_GB} to {MOST_STORAGE_GB}"
    # RDS refuses a limit that is less than a tenth above the storage.
    least = -(-args.storage_gb * 11 // 10)
    if not least <= args.max_storage_gb <= MOST_STORAGE_GB:
        yield f"max_storage_gb is {args.max_storage_gb}, accepted: {least} to {MOST_STORAGE_GB}, a tenth above storage_gb"
    if not 0 <= args.replica_count <= MOST_REPLICAS:
        yield f"replicas is {args.replicas}, accepted: 0 to {MOST_REPLICAS}"
    if args.max_connections is not None and not 6 <= args.max_connections <= 262_143:
        yield f"max_connections is {args.max_connections}, accepted: 6 to 262143"
    if len(args.subnet_ids) < 2:
        yield f"subnet_ids has {len(args.subnet_ids)}, accepted: 2 or more, each in another zone"


def _client_problems(key: str, clients: Mapping[str, pulumi.Input[str]]) -> Iterator[str]:
    for reason in clients:
        if not _REASON.fullmatch(reason) or not slug(reason):
            yield f"{key} has {reason!r}, accepted: a reason of at most 200 plain characters"
    if len({slug(reason) for reason in clients}) < len(clients):
        yield f"{key} has {', '.join(clients)}, accepted: reasons that differ in a letter or a digit"


def _parameter_problems(parameters: Mapping[str, str]) -> Iterator[str]:
    for name in parameters:
        if not _PARAMETER.fullmatch(name):
            yield f"parameters has {name!r}, accepted: a setting of PostgreSQL such as work_mem"
        elif name in NOT_SETTABLE:
            yield f"parameters has {name}, accepted: no setting that RDS decides"
        elif name in ALWAYS or name in ("max_connections", "rds.logical_replication"):
            yield f"parameters has {name}, accepted: no setting that the component decides"


def _watch_problems(args: DatabaseArgs) -> Iterator[str]:
    if args.chosen_insights_days not in INSIGHTS_DAYS:
        yield f"insights_days is {args.insights_days}, accepted: 0, 7 or 465"
    if args.chosen_monitoring_seconds not in MONITORING_SECONDS:
        accepted = ", ".join(map(str, MONITORING_SECONDS))
        yield f"monitoring_seconds is {args.monitoring_seconds}, accepted: {accepted}"
    if args.chosen_log_days not in RETENTION_DAYS:
        yield f"log_days is {args.log_days}, accepted: {', '.join(map(str, RETENTION_DAYS))}"


def _time_problems(args: DatabaseArgs) -> Iterator[str]:
    if args.maintenance_day is not None and args.maintenance_day not in DAYS:
        yield f"maintenance_day is {args.maintenance_day!r}, accepted: {', '.join(DAYS)}"
    for key in ("maintenance_time", "backup_time"):
        value = getattr(args, key)
        if value is not None and not _TIME.fullmatch(value):
            yield f"{key} is {value!r}, accepted: a time such as 04:00, in UTC"


def _window_problems(args: DatabaseArgs) -> Iterator[str]:
    backup, maintenance = args.backup_time or "02:00", args.maintenance_time or "04:00"
    apart = (minutes(backup) - minutes(maintenance)) % DAY_MINUTES
    if not 60 <= apart <= DAY_MINUTES - 60:
        yield f"backup_time is {backup}, accepted: an hour or more away from maintenance_time ({maintenance})"


def _backup_problems(args: DatabaseArgs) -> Iterator[str]:
    days = args.chosen_backup_days
    copied = args.replica_count or args.replica_region is not None or args.copy_region is not None or args.blue_green
    least = 0
    if args.context.environment_class == "production":
        least = LEAST_PRODUCTION_BACKUP_DAYS
    elif args.context.keeps_data or copied:
        least = 1
    if not least <= days <= MOST_BACKUP_DAYS:
        why = ", as replicas and copies are made from backups" if copied and least == 1 else ""
        yield f"backup_days is {args.backup_days}, accepted: {least} to {MOST_BACKUP_DAYS}{why}"


def _region_problems(args: DatabaseArgs) -> Iterator[str]:
    other_regions = [region for region in regions.ZONES if region != args.context.region]
    if args.copy_region is not None and args.copy_region not in other_regions:
        yield f"copy_region is {args.copy_region!r}, accepted: another region of {', '.join(other_regions)}"
    if (args.copy_region is None) != (args.copy_kms_key_arn is None):
        yield "copy_region and copy_kms_key_arn: accepted: both, or none"
    there = args.replica_region
    if there is None:
        return
    if there.region not in other_regions:
        yield f"replica_region.region is {there.region!r}, accepted: another region of {', '.join(other_regions)}"
    if len(there.subnet_ids) < 2:
        yield f"replica_region.subnet_ids has {len(there.subnet_ids)}, accepted: 2 or more, each in another zone"
    yield from _client_problems("replica_region.clients", there.clients or {})


def _master_problems(args: DatabaseArgs) -> Iterator[str]:
    if not 1 <= args.chosen_rotation_days <= MOST_ROTATION_DAYS:
        yield f"rotation_days is {args.rotation_days}, accepted: 1 to {MOST_ROTATION_DAYS}"
    if args.master_secret_arn is not None and args.rotation_days is not None:
        yield f"rotation_days is {args.rotation_days}, accepted: none with master_secret_arn, as RDS rotates its own alone"
    if args.master_secret_arn is None:
        if args.replica_count:
            yield f"replicas is {args.replicas}, accepted: 0 while RDS manages the master's password; {_TAKEN_OVER}"
        if args.replica_region is not None:
            yield f"replica_region is set, accepted: none while RDS manages the master's password; {_TAKEN_OVER}"
    if args.blue_green:
        for requirement in against_blue_green(args):
            yield f"blue_green is True, accepted with {requirement}"
