"""What a database is asked for, and what that means where nothing is said."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws import database_checks as checks
from stackwright.infra.aws.cache_args import DAYS
from stackwright.infra.aws.context import Context
from stackwright.model.aws.plan import BACKUP_DAYS

#: From here on Database Insights is `advanced`, which asks for fifteen months (user guide, "Database Insights").
ADVANCED_INSIGHTS_DAYS = 465


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
class DatabaseRestoreArgs:
    """What the database begins with: a snapshot, or another instance as it was."""

    #: Name or ARN of a snapshot in the region.
    snapshot: str | None = None
    #: Identifier of an instance in the region, or the ARN of its automated backups.
    source: str | None = None
    #: Of `source`, in UTC, such as `2026-11-22T10:00:00Z`; otherwise the newest that can be restored.
    time: str | None = None


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
    #: Has an effect when the instance is created, and has to stay: the key and the master's name are those of the source.
    restore: DatabaseRestoreArgs | None = None
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
        problems = list(checks.problems(self))
        if problems:
            raise ValueError("\n".join(f"DatabaseArgs.{problem}" for problem in problems))

    @property
    def chosen_version(self) -> str:
        """`engine_version`, or the newest."""
        return checks.VERSIONS[-1] if self.engine_version is None else self.engine_version

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
        return self.has_standby and self.chosen_backup_days > 0 and not any(checks.against_blue_green(self))

    @property
    def backup_window(self) -> str:
        """In RDS's words: `02:00-03:00`."""
        start = self.backup_time or "02:00"
        return f"{start}-{checks.clock(checks.minutes(start) + 60)}"

    @property
    def maintenance_window(self) -> str:
        """In RDS's words: `sun:04:00-sun:05:00`."""
        day, start = self.maintenance_day or "Sun", self.maintenance_time or "04:00"
        after = DAYS[(DAYS.index(day) + (checks.minutes(start) + 60) // checks.DAY_MINUTES) % len(DAYS)]
        return f"{day.lower()}:{start}-{after.lower()}:{checks.clock(checks.minutes(start) + 60)}"
