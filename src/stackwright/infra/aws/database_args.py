"""What a database is asked for, and what RDS would refuse of it, said before a resource exists."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws.cache_args import DAYS, slug
from stackwright.infra.aws.context import Context
from stackwright.infra.aws.database_parameters import ALWAYS, NOT_SETTABLE
from stackwright.model.aws import regions
from stackwright.model.aws.plan import BACKUP_DAYS
from stackwright.model.aws.stackfile import RETENTION_DAYS

#: Major versions that RDS offers.
VERSIONS = ("14", "15", "16", "17")
#: Quotas of RDS: replicas of an instance, and bounds of gp3 in GB.
MOST_REPLICAS, LEAST_STORAGE_GB, MOST_STORAGE_GB = 15, 20, 65_536
MOST_BACKUP_DAYS, LEAST_PRODUCTION_BACKUP_DAYS = 35, 7
#: What Performance Insights keeps: a week, whole months (31 days each), two years. 0 turns it off.
INSIGHTS_DAYS = (0, 7, *(31 * months for months in range(1, 24)), 731)
#: From here on Database Insights is `advanced`, which asks for fifteen months (user guide, "Database Insights").
ADVANCED_INSIGHTS_DAYS = 465
MONITORING_SECONDS = (0, 1, 5, 10, 15, 30, 60)
#: Of the master's password; Secrets Manager rotates at most this seldom.
MOST_ROTATION_DAYS = 1000
_DATABASE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_MASTER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,15}")
#: Names that RDS or PostgreSQL keep to themselves.
_RESERVED = ("admin", "postgres", "rdsadmin", "rds_superuser", "rds_iam", "rdsrepladmin", "rds_replication")
_CLASS = re.compile(r"db\.[a-z0-9]+\.[a-z0-9]+")
_PARAMETER = re.compile(r"[a-z][a-z0-9_.]*")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
#: What EC2 takes in the description of a rule.
_REASON = re.compile(r"[A-Za-z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,200}")
_DAY_MINUTES = 24 * 60
_TAKEN_OVER = (
    "first create the database without, then take its master over from RDS"
    " (aws rds modify-db-instance --no-manage-master-user-password) and name the new secret in master_secret_arn"
)


@dataclass(frozen=True, kw_only=True)
class DatabaseRegionArgs:
    """Where else a replica is."""

    region: str
    vpc_id: pulumi.Input[str]
    #: In two zones at least.
    subnet_ids: Sequence[pulumi.Input[str]]
    #: A key of that region.
    kms_key_arn: pulumi.Input[str]
    #: Reason -> security group there of who may connect; otherwise nobody until the region fails.
    clients: Mapping[str, pulumi.Input[str]] | None = None


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """PostgreSQL run by AWS.

    Raises ValueError with every problem at once.
    """

    context: Context
    vpc_id: pulumi.Input[str]
    #: Isolated ones, in two zones at least, as RDS asks for.
    subnet_ids: Sequence[pulumi.Input[str]]
    #: Reason -> security group of who may connect.
    clients: Mapping[str, pulumi.Input[str]]
    #: Such as `db.m7g.large`.
    instance_class: str
    storage_gb: int
    #: It grows by itself up to here.
    max_storage_gb: int
    #: Encrypts data, backups, insights, logs and the master's secret (`EncryptionKey` with `logs`, `rds` and
    #: `secretsmanager`).
    kms_key_arn: pulumi.Input[str]
    #: Of the logs; otherwise `kms_key_arn`.
    log_kms_key_arn: pulumi.Input[str] | None = None
    #: Of the master's secret; otherwise `kms_key_arn`.
    secret_kms_key_arn: pulumi.Input[str] | None = None
    #: Major one; otherwise 17. AWS installs minor ones by itself.
    engine_version: str | None = None
    #: Otherwise `postgres`, which is always there.
    database_name: str | None = None
    #: Otherwise `stackwright`.
    master_user: str | None = None
    #: Of the secret with the master's password, once somebody has taken it over from RDS. Replicas and blue/green need
    #: that: RDS has neither for an instance whose password it manages. Otherwise RDS makes, keeps and rotates it.
    master_secret_arn: pulumi.Input[str] | None = None
    #: How often RDS makes a new password for the master; otherwise 7.
    rotation_days: int | None = None
    #: A standby in another zone; otherwise where data is kept.
    multi_az: bool | None = None
    #: For reading, in the same region; otherwise 0.
    replicas: int | None = None
    #: One more replica, to go on with when the region fails.
    replica_region: DatabaseRegionArgs | None = None
    #: In RDS's words (`database_parameters.rds_values`).
    parameters: Mapping[str, str] | None = None
    #: Otherwise RDS's own, by memory.
    max_connections: int | None = None
    #: How long any second can be restored; otherwise 14 in production, 7 in staging, 1 in development.
    backup_days: int | None = None
    #: UTC; backups begin in the hour from here; otherwise 02:00.
    backup_time: str | None = None
    #: Of the week, such as `Sun`; an hour from `maintenance_time` is AWS's for changes.
    maintenance_day: str | None = None
    #: UTC; otherwise 04:00.
    maintenance_time: str | None = None
    #: Backups are copied there, for `backup_days`.
    copy_region: str | None = None
    #: A key of that region.
    copy_kms_key_arn: pulumi.Input[str] | None = None
    #: Users of the database may log in with a token of IAM.
    iam_authentication: bool | None = None
    #: Otherwise 7. From 465 on, Database Insights is `advanced`; 0 is none.
    insights_days: int | None = None
    #: Between two looks at the operating system; otherwise 60. 0 is none.
    monitoring_seconds: int | None = None
    #: Changes that need a restart are made on a copy, and then switched to; otherwise so where it is possible and there
    #: is a standby.
    blue_green: bool | None = None
    #: Otherwise 30.
    log_days: int | None = None
    #: Names of secrets that one needs to use the database, for `result`.
    secrets: Sequence[str] | None = None

    def __post_init__(self) -> None:
        problems = [
            *_engine_problems(self),
            *_size_problems(self),
            *_client_problems("clients", self.clients),
            *_parameter_problems(self.parameters or {}),
            *_watch_problems(self),
        ]
        problems += [*(times := list(_time_problems(self))), *(() if times else _window_problems(self))]
        problems += [*_backup_problems(self), *_region_problems(self), *_master_problems(self)]
        if not self.clients:
            problems.append("clients is empty, accepted: the security group of at least one who connects")
        if problems:
            raise ValueError("\n".join(f"DatabaseArgs.{each}" for each in problems))

    @property
    def chosen_version(self) -> str:
        """`engine_version`, or the newest."""
        return VERSIONS[-1] if self.engine_version is None else self.engine_version

    @property
    def chosen_master(self) -> str:
        """`master_user`, or this project's."""
        return "stackwright" if self.master_user is None else self.master_user

    @property
    def has_standby(self) -> bool:
        """`multi_az`, or what the class of the environment asks for."""
        return self.context.keeps_data if self.multi_az is None else self.multi_az

    @property
    def replica_count(self) -> int:
        """`replicas`, or none."""
        return 0 if self.replicas is None else self.replicas

    @property
    def chosen_backup_days(self) -> int:
        """`backup_days`, or what the class of the environment asks for."""
        return BACKUP_DAYS[self.context.environment_class] if self.backup_days is None else self.backup_days

    @property
    def chosen_insights_days(self) -> int:
        """`insights_days`, or a week, which costs nothing."""
        return 7 if self.insights_days is None else self.insights_days

    @property
    def chosen_monitoring_seconds(self) -> int:
        """`monitoring_seconds`, or a minute."""
        return 60 if self.monitoring_seconds is None else self.monitoring_seconds

    @property
    def chosen_rotation_days(self) -> int:
        """`rotation_days`, or a week, as RDS has it."""
        return 7 if self.rotation_days is None else self.rotation_days

    @property
    def chosen_log_days(self) -> int:
        """`log_days`, or a month."""
        return 30 if self.log_days is None else self.log_days

    @property
    def log_key_arn(self) -> pulumi.Input[str]:
        """`log_kms_key_arn`, or the one key."""
        return self.kms_key_arn if self.log_kms_key_arn is None else self.log_kms_key_arn

    @property
    def secret_key_arn(self) -> pulumi.Input[str]:
        """`secret_kms_key_arn`, or the one key."""
        return self.kms_key_arn if self.secret_kms_key_arn is None else self.secret_kms_key_arn

    @property
    def uses_blue_green(self) -> bool:
        """`blue_green`, or wherever there is a standby to keep up and nothing against it."""
        if self.blue_green is not None:
            return self.blue_green
        return self.has_standby and self.chosen_backup_days > 0 and not any(_against_blue_green(self))

    @property
    def backup_window(self) -> str:
        """In RDS's words: `02:00-03:00`."""
        start = self.backup_time or "02:00"
        return f"{start}-{_clock(_minutes(start) + 60)}"

    @property
    def maintenance_window(self) -> str:
        """In RDS's words: `sun:04:00-sun:05:00`."""
        day, start = self.maintenance_day or "Sun", self.maintenance_time or "04:00"
        after = DAYS[(DAYS.index(day) + (_minutes(start) + 60) // _DAY_MINUTES) % len(DAYS)]
        return f"{day.lower()}:{start}-{after.lower()}:{_clock(_minutes(start) + 60)}"


def _minutes(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"


def _against_blue_green(args: DatabaseArgs) -> Iterator[str]:
    """Why RDS, or AWS's provider, would not switch to a copy (user guide, "Limitations for blue/green deployments")."""
    if args.master_secret_arn is None:
        yield f"a master that is taken over: {_TAKEN_OVER}"
    if args.replica_count:
        # hashicorp/terraform-provider-aws#33702: the replicas stay with the old instance.
        yield "no replicas, which the provider would leave behind"
    if args.replica_region is not None:
        yield "no replica_region"


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
        yield f"insights_days is {args.insights_days}, accepted: 0, 7, 731 or 31 times 1 to 23"
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
    apart = (_minutes(backup) - _minutes(maintenance)) % _DAY_MINUTES
    if not 60 <= apart <= _DAY_MINUTES - 60:
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
    others = [each for each in regions.ZONES if each != args.context.region]
    if args.copy_region is not None and args.copy_region not in others:
        yield f"copy_region is {args.copy_region!r}, accepted: another region of {', '.join(others)}"
    if (args.copy_region is None) != (args.copy_kms_key_arn is None):
        yield "copy_region and copy_kms_key_arn: accepted: both, or none"
    there = args.replica_region
    if there is None:
        return
    if there.region not in others:
        yield f"replica_region.region is {there.region!r}, accepted: another region of {', '.join(others)}"
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
        for each in _against_blue_green(args):
            yield f"blue_green is True, accepted with {each}"
