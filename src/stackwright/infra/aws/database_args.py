"""Arguments of the component `Database`, and their defaults."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws import database_checks as checks
from stackwright.infra.aws.cache_args import DAYS
from stackwright.infra.aws.context import Context
from stackwright.model.aws.plan import BACKUP_DAYS

#: From this value on Database Insights is `advanced`, which requires fifteen months (user guide, "Database Insights").
ADVANCED_INSIGHTS_DAYS = 465


@dataclass(frozen=True, kw_only=True)
class DatabaseRegionArgs:
    """A further region that has a replica."""

    region: str
    vpc_id: pulumi.Input[str]
    #: In at least two zones.
    subnet_ids: Sequence[pulumi.Input[str]]
    #: A key in that region.
    kms_key_arn: pulumi.Input[str]
    #: Reason -> security group in that region that may connect; by default nothing can connect until the region fails.
    clients: Mapping[str, pulumi.Input[str]] | None = None


@dataclass(frozen=True, kw_only=True)
class DatabaseRestoreArgs:
    """The initial data of the database: a snapshot, or another instance at a point in time."""

    #: Name or ARN of a snapshot in the region.
    snapshot: str | None = None
    #: Identifier of an instance in the region, or the ARN of its automated backups.
    source: str | None = None
    #: Point in time of `source`, in UTC, such as `2026-11-22T10:00:00Z`; defaults to the latest restorable time.
    time: str | None = None


@dataclass(frozen=True, kw_only=True)
class DatabaseArgs:
    """A managed PostgreSQL database on Amazon RDS.

    Raises ValueError with every problem at once.
    """

    context: Context
    vpc_id: pulumi.Input[str]
    #: Isolated subnets in at least two zones, as RDS requires.
    subnet_ids: Sequence[pulumi.Input[str]]
    #: Reason -> security group that may connect.
    clients: Mapping[str, pulumi.Input[str]]
    #: Such as `db.m7g.large`.
    instance_class: str
    storage_gb: int
    #: Limit up to which the storage grows automatically.
    max_storage_gb: int
    #: Key for data, backups, insights, logs and the master's secret (`EncryptionKey` with `logs`, `rds` and
    #: `secretsmanager`).
    kms_key_arn: pulumi.Input[str]
    #: Key for the logs; defaults to `kms_key_arn`.
    log_kms_key_arn: pulumi.Input[str] | None = None
    #: Key for the master's secret; defaults to `kms_key_arn`.
    secret_kms_key_arn: pulumi.Input[str] | None = None
    #: Major version; defaults to 17. AWS installs minor versions automatically.
    engine_version: str | None = None
    #: Defaults to `postgres`, which always exists.
    database_name: str | None = None
    #: Defaults to `stackwright`.
    master_user: str | None = None
    #: ARN of the secret with the master's password, after it was taken over from RDS. Required for replicas and
    #: blue/green, as RDS supports neither for an instance whose password it manages. By default RDS generates, stores
    #: and rotates it.
    master_secret_arn: pulumi.Input[str] | None = None
    #: Days after which RDS generates a new password for the master; defaults to 7.
    rotation_days: int | None = None
    #: Whether there is a standby in another zone; defaults to true where data is kept.
    multi_az: bool | None = None
    #: Number of read replicas in the same region; defaults to 0.
    replicas: int | None = None
    #: A further replica in another region, to continue with if the region fails.
    replica_region: DatabaseRegionArgs | None = None
    #: PostgreSQL settings in the units of RDS (`database_parameters.rds_values`).
    parameters: Mapping[str, str] | None = None
    #: Defaults to the value that RDS derives from the memory.
    max_connections: int | None = None
    #: Days within which any second can be restored; defaults to 14 in production, 7 in staging, 1 in development.
    backup_days: int | None = None
    #: In UTC; backups start within the hour that begins here; defaults to 02:00.
    backup_time: str | None = None
    #: Day of the week, such as `Sun`; AWS makes changes within the hour that begins at `maintenance_time`.
    maintenance_day: str | None = None
    #: In UTC; defaults to 04:00.
    maintenance_time: str | None = None
    #: Region that backups are copied to, for `backup_days`.
    copy_region: str | None = None
    #: A key in that region.
    copy_kms_key_arn: pulumi.Input[str] | None = None
    #: Takes effect only when the instance is created, and has to stay: the key and the master's name are those of the
    #: source.
    restore: DatabaseRestoreArgs | None = None
    #: Whether users of the database may log in with an IAM token.
    iam_authentication: bool | None = None
    #: Defaults to 7. From 465 on, Database Insights is `advanced`; 0 turns it off.
    insights_days: int | None = None
    #: Interval of the operating system metrics; defaults to 60. 0 turns them off.
    monitoring_seconds: int | None = None
    #: Whether changes that need a restart are made on a copy that then replaces the instance; defaults to true where it
    #: is possible and there is a standby.
    blue_green: bool | None = None
    #: Days that logs are kept; defaults to 30.
    log_days: int | None = None
    #: Names of the secrets that are needed to use the database, for `result`.
    secrets: Sequence[str] | None = None

    def __post_init__(self) -> None:
        problems = list(checks.problems(self))
        if problems:
            raise ValueError("\n".join(f"DatabaseArgs.{problem}" for problem in problems))

    @property
    def chosen_version(self) -> str:
        """Return `engine_version`, or the newest version."""
        return checks.VERSIONS[-1] if self.engine_version is None else self.engine_version

    @property
    def chosen_master(self) -> str:
        """Return `master_user`, or the project's default."""
        return "stackwright" if self.master_user is None else self.master_user

    @property
    def has_standby(self) -> bool:
        """Return `multi_az`, or the default of the environment's class."""
        return self.context.keeps_data if self.multi_az is None else self.multi_az

    @property
    def replica_count(self) -> int:
        """Return `replicas`, or 0."""
        return 0 if self.replicas is None else self.replicas

    @property
    def chosen_backup_days(self) -> int:
        """Return `backup_days`, or the default of the environment's class."""
        return BACKUP_DAYS[self.context.environment_class] if self.backup_days is None else self.backup_days

    @property
    def chosen_insights_days(self) -> int:
        """Return `insights_days`, or a week, which is free of charge."""
        return 7 if self.insights_days is None else self.insights_days

    @property
    def chosen_monitoring_seconds(self) -> int:
        """Return `monitoring_seconds`, or a minute."""
        return 60 if self.monitoring_seconds is None else self.monitoring_seconds

    @property
    def chosen_rotation_days(self) -> int:
        """Return `rotation_days`, or a week, the default of RDS."""
        return 7 if self.rotation_days is None else self.rotation_days

    @property
    def chosen_log_days(self) -> int:
        """Return `log_days`, or a month."""
        return 30 if self.log_days is None else self.log_days

    @property
    def log_key_arn(self) -> pulumi.Input[str]:
        """Return `log_kms_key_arn`, or `kms_key_arn`."""
        return self.kms_key_arn if self.log_kms_key_arn is None else self.log_kms_key_arn

    @property
    def secret_key_arn(self) -> pulumi.Input[str]:
        """Return `secret_kms_key_arn`, or `kms_key_arn`."""
        return self.kms_key_arn if self.secret_kms_key_arn is None else self.secret_kms_key_arn

    @property
    def uses_blue_green(self) -> bool:
        """Return `blue_green`; by default whether there is a standby and nothing rules blue/green out."""
        if self.blue_green is not None:
            return self.blue_green
        return self.has_standby and self.chosen_backup_days > 0 and not any(checks.against_blue_green(self))

    @property
    def backup_window(self) -> str:
        """Return the window as RDS writes it: `02:00-03:00`."""
        start = self.backup_time or "02:00"
        return f"{start}-{checks.clock(checks.minutes(start) + 60)}"

    @property
    def maintenance_window(self) -> str:
        """Return the window as RDS writes it: `sun:04:00-sun:05:00`."""
        day, start = self.maintenance_day or "Sun", self.maintenance_time or "04:00"
        after = DAYS[(DAYS.index(day) + (checks.minutes(start) + 60) // checks.DAY_MINUTES) % len(DAYS)]
        return f"{day.lower()}:{start}-{after.lower()}:{checks.clock(checks.minutes(start) + 60)}"
