"""The data of an environment of size C: buckets, secrets, and the database and caches managed by AWS."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import pulumi

from stackwright.infra.aws.account import Account
from stackwright.infra.aws.bucket_policies import bucket_arn
from stackwright.infra.aws.cache import Cache
from stackwright.infra.aws.cache_args import CacheArgs, CacheGroupArgs, CacheUserArgs
from stackwright.infra.aws.database import Database
from stackwright.infra.aws.database_args import DatabaseArgs, DatabaseRestoreArgs
from stackwright.infra.aws.database_parameters import rds_values
from stackwright.infra.aws.instance_role import StatementArgs
from stackwright.infra.aws.object_store import ObjectStore
from stackwright.infra.aws.object_store_args import (
    ARTIFACTS,
    LOGS,
    BucketArgs,
    bucket_name,
)
from stackwright.infra.aws.secrets import Secrets, SecretsArgs
from stackwright.model.aws.stackfile import AwsRestore
from stackwright.model.output import BACKUPS, UPLOADS
from stackwright.model.postgresql_settings import postgresql_settings
from stackwright.model.secrets import MASTER, application_names, cloud_names


class Data:
    """The data of an environment; each part is created on first use."""

    def __init__(self, account: Account) -> None:
        self._account, self._environment = account, account.environment
        self._name = account.environment.name

    @cached_property
    def store(self) -> ObjectStore:
        """A bucket for each purpose; backups and uploads are copied to another region if one is configured."""
        account = self._account
        return account.create_buckets(
            {
                ARTIFACTS: BucketArgs(),
                BACKUPS: BucketArgs(),
                LOGS: BucketArgs(expire_days=account.aws.load_balancer.log_days),
                UPLOADS: BucketArgs(),
            }
        )

    def uploads_statements(self) -> list[StatementArgs]:
        """Return the permissions of a server whose applications take uploads: to add and delete, not to read or list.

        Deleted and overwritten objects stay as versions, which no server may delete.
        """
        if not any(app.uploads for app in self._environment.system.apps.values()):
            return []
        context = self._account.context
        bucket = bucket_arn(context, bucket_name(context, UPLOADS))
        return [
            StatementArgs(
                sid="KeepUploads",
                actions=["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:PutObject"],
                resources=[f"{bucket}/*"],
            ),
            self._account.encryption_statement("EncryptUploads", bucket),
        ]

    @cached_property
    def secrets(self) -> Secrets:
        """The secrets that servers read, created empty: `stackwright` fills them, and Pulumi never sees a value."""
        account = self._account
        # Empty until `stackwright database take-over`, and permanently if no replicas are needed.
        taken_over = [] if account.plan.database is None else [MASTER]
        names = sorted([*application_names(self._environment), *taken_over])
        args = SecretsArgs(context=account.context, names=names, kms_key_arn=account.key.arn)
        return Secrets(f"{self._name}-secrets", args, account.options)

    def create_database(self, clients: Mapping[str, pulumi.Input[str]]) -> Database:
        """Create PostgreSQL, with replicas once its master user is taken over from RDS (docs/adr/0010-aws.md)."""
        environment, account = self._environment, self._account
        plan, section, tier, budget = (
            account.plan.database,
            account.aws.database,
            environment.system.database,
            environment.connections,
        )
        if plan is None or tier is None or budget is None:
            raise ValueError(f"{self._name} has no database that AWS runs")
        settings = postgresql_settings(
            memory_mb=plan.usable_mb, cpus=plan.cpus, max_connections=budget.max_connections
        ) | dict(environment.stack.database.parameters)
        args = DatabaseArgs(
            context=account.context,
            vpc_id=account.network.vpc_id,
            subnet_ids=account.subnets("isolated"),
            clients=clients,
            instance_class=plan.instance_class,
            storage_gb=plan.storage_gb,
            max_storage_gb=plan.max_storage_gb,
            kms_key_arn=account.key.arn,
            engine_version=tier.version,
            master_secret_arn=section.master_secret,
            multi_az=plan.multi_az,
            replicas=plan.replicas,
            parameters=rds_values(settings),
            max_connections=budget.max_connections,
            backup_days=plan.backup_days,
            backup_time=environment.backups.time,
            maintenance_day=section.maintenance,
            maintenance_time=section.maintenance_time,
            restore=_restore(section.restore),
            copy_region=section.copy_region,
            copy_kms_key_arn=None if account.copy_key is None else account.copy_key.arn,
            iam_authentication=section.iam_authentication,
            # None uses it where RDS supports it; False only if it is disabled in the configuration.
            blue_green=None if section.blue_green else False,
            secrets=[name for name in cloud_names(self._environment) if name.startswith("postgresql/")],
        )
        # A destroy deletes the login of the master user after the instance, whose deletion takes a while.
        after = pulumi.ResourceOptions(depends_on=[self.secrets])
        return Database(f"{self._name}-database", args, pulumi.ResourceOptions.merge(account.options, after))

    def create_cache(self, clients: Mapping[str, pulumi.Input[str]]) -> Cache:
        """Create a store for each purpose, with a user for each application."""
        environment, account = self._environment, self._account
        section = account.aws.cache
        groups: dict[str, CacheGroupArgs] = {
            purpose: CacheGroupArgs(
                node_type=account.plan.caches[purpose].node_type,
                users=[
                    CacheUserArgs(name=name, secret=f"redis/{purpose}/{name}")
                    for name, app in environment.system.apps.items()
                    if purpose in app.cache
                ],
                port=instance.port,
                eviction=instance.eviction,
                persistence=instance.persistence,
                replicas=account.plan.caches[purpose].replicas,
                snapshot_days=account.plan.caches[purpose].snapshot_days,
                snapshot=section.restore.get(purpose),
            )
            for purpose, instance in environment.system.cache.items()
        }
        args = CacheArgs(
            context=account.context,
            vpc_id=account.network.vpc_id,
            subnet_ids=account.subnets("isolated"),
            clients=clients,
            groups=groups,
            kms_key_arn=account.key.arn,
            engine=section.engine,
            maintenance_day=account.aws.database.maintenance,
            maintenance_time=account.aws.database.maintenance_time,
            snapshot_time=environment.backups.time,
        )
        return Cache(f"{self._name}-cache", args, account.options)


def _restore(restore: AwsRestore | None) -> DatabaseRestoreArgs | None:
    if restore is None:
        return None
    return DatabaseRestoreArgs(snapshot=restore.snapshot, source=restore.source, time=restore.time)
