"""Component for a managed PostgreSQL database on Amazon RDS: AWS takes care of backups, standbys and minor upgrades.

**The master's password.** RDS generates it, stores it in its own secret and rotates it: Pulumi never sees a value.
However, RDS supports neither read replicas nor blue/green deployments for such an instance (user guide, "Limitations
for Secrets Manager integration"; `Creating read replicas for source instance with engine postgres where
ManageMasterUserPassword is enabled is not supported`). A password passed as an input would end up in the state
(pulumi-terraform-bridge#3201), and pulumi-aws 7.51 does not support a master that logs in with IAM
(`MasterUserAuthenticationType`). Replicas are therefore added in steps: create the database without them; take over its
master password outside of Pulumi (`stackwright database take-over`, module `take_over`); then set `master_secret_arn`
to the secret that now holds the password. From then on replicas and blue/green are accepted. Applications never log in
as the master.

**After the take-over** Pulumi still declares `manage_master_user_password` and the key of RDS's secret, as before, but
leaves both unchanged (`ignore_changes`): no password has to be supplied and none is reset. What is known about the
provider (terraform-provider-aws, `internal/service/rds/instance.go`): its Read sets neither of the two, so they stay as
they were last applied ("implicit state passthrough") and a refresh shows no difference after the take-over; its Update
sends `ManageMasterUserPassword` only if the input has changed. Leaving the input out would be such a change, from true
to false, and RDS then requires a password in the same call (API reference of ModifyDBInstance). In addition, an
instance that is created again gets a password this way. Read does set `master_user_secret`, which is empty after the
take-over: until `master_secret_arn` is set, the program stops there with a message. Not tested in an account.
"""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import database_monitoring as monitoring
from stackwright.infra.aws.context import Context
from stackwright.infra.aws.database_args import ADVANCED_INSIGHTS_DAYS, DatabaseArgs
from stackwright.infra.aws.database_place import PORT, Place, Shared, create_shared
from stackwright.infra.components.results import Endpoint, ServiceResult
from stackwright.model.aws import names

#: The CA whose certificates clients verify; RSA, because old drivers support nothing else. Valid until 2061.
_AUTHORITY = "rds-ca-rsa2048-g1"


class Database(pulumi.ComponentResource):
    """A PostgreSQL instance with its replicas, backup copies, parameters, logs and security group.

    Connections require TLS, and only the given clients can connect, to its port alone. Data is encrypted with the given
    key, and Pulumi knows no password. Any second within the backup retention period can be restored. With a standby it
    survives the loss of a zone. Where data is kept, AWS and Pulumi protect the instance against deletion, and it leaves
    a final snapshot and its backups.
    """

    address: pulumi.Output[str]
    port: pulumi.Output[int]
    #: Addresses for reading; the address of the instance itself if there are no replicas.
    replica_addresses: pulumi.Output[Sequence[str]]
    #: Region -> address of the replica in it.
    addresses_elsewhere: pulumi.Output[Mapping[str, str]]
    #: All instances of the region, the one that accepts writes first; for alarms.
    identifiers: pulumi.Output[Sequence[str]]
    arn: pulumi.Output[str]
    #: `db-...`, which IAM policies use to name the instance (`login_statement`).
    resource_id: pulumi.Output[str]
    master_secret_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: DatabaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Database", name, None, opts)
        self._args, self._context = args, args.context
        self._identifiers = _identifiers(args)
        self._role = self._create_role(name)
        shared = self._shared(name, self._home)
        primary = self._create_instance(name, "database", shared)
        replicas = [
            self._create_instance(name, f"replica-{number}", shared, primary.identifier)
            for number in range(1, args.replica_count + 1)
        ]
        elsewhere = self._create_elsewhere(name, primary)
        if args.copy_region is not None:
            self._create_copies(name, primary, args.copy_region)
        self._set_outputs(name, primary, replicas, elsewhere)
        self.security_group_id = shared.security_group.id
        self.register_outputs(
            {
                "address": self.address,
                "port": self.port,
                "replicaAddresses": self.replica_addresses,
                "addressesElsewhere": self.addresses_elsewhere,
                "identifiers": self.identifiers,
                "arn": self.arn,
                "resourceId": self.resource_id,
                "masterSecretArn": self.master_secret_arn,
                "securityGroupId": self.security_group_id,
            }
        )

    @property
    def result(self) -> ServiceResult:
        """Return `postgresql`, which accepts writes, and `postgresql_replica` for reads, the same without replicas."""
        reads = self._replicas or (self.address,)
        endpoints = {
            "postgresql": Endpoint(scheme="postgresql", addresses=(self.address,), port=PORT),
            "postgresql_replica": Endpoint(scheme="postgresql", addresses=reads, port=PORT),
        }
        return ServiceResult(endpoints=endpoints, secrets=tuple(sorted(self._args.secrets or ())))

    @property
    def _home(self) -> Place:
        args = self._args
        return Place(
            region=None,
            part="database",
            vpc_id=args.vpc_id,
            subnet_ids=args.subnet_ids,
            clients=args.clients,
            kms_key_arn=args.kms_key_arn,
            log_key_arn=args.log_key_arn,
        )

    def _set_outputs(
        self,
        name: str,
        primary: aws.rds.Instance,
        replicas: Sequence[aws.rds.Instance],
        elsewhere: Mapping[str, aws.rds.Instance],
    ) -> None:
        self.address = primary.address
        self.port = primary.port
        self._replicas = tuple(replica.address for replica in replicas)
        self.replica_addresses = pulumi.Output.all(*(self._replicas or (primary.address,)))
        addresses: dict[str, Any] = {region: replica.address for region, replica in elsewhere.items()}
        # Not `Output.all`, which turns an empty mapping into a list.
        self.addresses_elsewhere = pulumi.Output.from_input(addresses)
        self.identifiers = pulumi.Output.all(primary.identifier, *(replica.identifier for replica in replicas))
        self.arn = primary.arn
        self.resource_id = primary.resource_id
        taken_over = self._args.master_secret_arn
        if taken_over is None:
            self.master_secret_arn = primary.master_user_secrets.apply(_secret_of_rds)
            self._create_rotation(name)
        else:
            self.master_secret_arn = pulumi.Output.from_input(taken_over)

    def _child(self, **more: Any) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, **more)

    def _create_role(self, name: str) -> tuple[aws.iam.Role, aws.iam.RolePolicy] | None:
        args, context = self._args, self._context
        if not args.chosen_monitoring_seconds:
            return None
        there = args.replica_region
        databases = {
            context.region: [identifier for part, identifier in self._identifiers.items() if part != "elsewhere"]
        }
        if there is not None:
            databases[there.region] = [self._identifiers["elsewhere"]]
        trusted = monitoring.trust(context, databases, blue_green=args.uses_blue_green)
        return monitoring.create_role(name, context, trusted, list(databases), self)

    def _shared(self, name: str, location: Place) -> Shared:
        prefix = name if location.region is None else f"{name}-{location.part}"
        return create_shared(prefix, self._args, location, self)

    def _create_instance(
        self, name: str, part: str, shared: Shared, source: pulumi.Input[str] | None = None
    ) -> aws.rds.Instance:
        """Create the instance that accepts writes, or a replica of `source`."""
        args, context, location = self._args, self._context, shared.location
        identifier = self._identifiers[part]
        prefix = f"{name}-{part}"
        needed = self._create_logs(prefix, identifier, location)
        inputs: dict[str, Any] = (
            self._primary_inputs(shared) if source is None else self._replica_inputs(shared, source)
        )
        ignored = self._ignored() if source is None else []
        return aws.rds.Instance(
            prefix,
            identifier=identifier,
            engine="postgres",
            instance_class=args.instance_class,
            storage_type="gp3",
            max_allocated_storage=args.max_storage_gb,
            storage_encrypted=True,
            kms_key_id=location.kms_key_arn,
            vpc_security_group_ids=[shared.security_group.id],
            parameter_group_name=shared.parameter_group.name,
            port=PORT,
            publicly_accessible=False,
            ca_cert_identifier=_AUTHORITY,
            iam_database_authentication_enabled=bool(args.iam_authentication),
            maintenance_window=args.maintenance_window,
            auto_minor_version_upgrade=True,
            # Where data is kept, changes wait for the maintenance window: many of them cause a failover.
            apply_immediately=not context.keeps_data,
            copy_tags_to_snapshot=True,
            delete_automated_backups=not context.keeps_data,
            deletion_protection=context.keeps_data,
            enabled_cloudwatch_logs_exports=list(monitoring.LOGS),
            region=location.region,
            tags=context.tags(identifier),
            opts=self._child(protect=context.keeps_data, depends_on=needed, ignore_changes=ignored),
            **self._watch_inputs(location),
            **inputs,
        )

    def _ignored(self) -> list[str]:
        """Return the inputs of the primary that are not changed after its creation."""
        ignored: list[str] = []
        if self._args.restore is not None:
            # The restore is done, and a change would replace the instance; the key and the master are those of the
            # source.
            ignored += ["kmsKeyId", "restoreToPointInTime", "snapshotIdentifier", "username"]
        if self._args.master_secret_arn is not None:
            # Disabled by the take-over: RDS would manage the password again, and refuses that while replicas exist.
            ignored += ["manageMasterUserPassword", "masterUserSecretKmsKeyId"]
        return ignored

    def _restore_inputs(self) -> dict[str, Any]:
        restore = self._args.restore
        if restore is None:
            return {}
        if restore.source is None:
            return {"snapshot_identifier": restore.snapshot}
        backups = restore.source if restore.source.startswith("arn:") else None
        point = aws.rds.InstanceRestoreToPointInTimeArgs(
            source_db_instance_automated_backups_arn=backups,
            source_db_instance_identifier=None if backups else restore.source,
            restore_time=restore.time,
            use_latest_restorable_time=None if restore.time else True,
        )
        return {"restore_to_point_in_time": point}

    def _primary_inputs(self, shared: Shared) -> dict[str, Any]:
        args, keeps = self._args, self._context.keeps_data
        # A unique name for each database ever created here: AWS refuses a second snapshot with the same name.
        final = pulumi.Output.concat(
            self._context.name("database_snapshot", "database", "final"), "-", shared.security_group.id
        )
        return {
            **self._restore_inputs(),
            # A major version: AWS installs the minor ones, and the provider ignores differences in them.
            "engine_version": args.chosen_version,
            # A different major version in the args is intended; without this flag AWS refuses the upgrade.
            "allow_major_version_upgrade": True,
            "allocated_storage": args.storage_gb,
            "db_name": args.database_name,
            "username": args.chosen_master,
            "manage_master_user_password": True,
            "master_user_secret_kms_key_id": args.secret_key_arn,
            "db_subnet_group_name": shared.subnet_group.name,
            "multi_az": args.has_standby,
            "backup_retention_period": args.chosen_backup_days,
            "backup_window": args.backup_window,
            "skip_final_snapshot": not keeps,
            "final_snapshot_identifier": final if keeps else None,
            "blue_green_update": aws.rds.InstanceBlueGreenUpdateArgs(enabled=True) if args.uses_blue_green else None,
        }

    def _replica_inputs(self, shared: Shared, source: pulumi.Input[str]) -> dict[str, Any]:
        args, far = self._args, shared.location.region is not None
        return {
            "replicate_source_db": source,
            # In the same region a replica uses the subnets of its source, and RDS chooses the zone.
            "db_subnet_group_name": shared.subnet_group.name if far else None,
            "multi_az": False,
            # The source has backups; a replica in another region needs its own for when it is promoted.
            "backup_retention_period": args.chosen_backup_days if far else 0,
            "backup_window": args.backup_window if far else None,
            # RDS does not create a final snapshot of a replica.
            "skip_final_snapshot": True,
        }

    def _watch_inputs(self, location: Place) -> dict[str, Any]:
        args, days = self._args, self._args.chosen_insights_days
        inputs: dict[str, Any] = {
            "performance_insights_enabled": days > 0,
            "database_insights_mode": "advanced" if days >= ADVANCED_INSIGHTS_DAYS else "standard",
            "monitoring_interval": args.chosen_monitoring_seconds,
        }
        if days:
            inputs["performance_insights_kms_key_id"] = location.kms_key_arn
            inputs["performance_insights_retention_period"] = days
        if self._role is not None:
            inputs["monitoring_role_arn"] = self._role[0].arn
        return inputs

    def _create_logs(self, prefix: str, identifier: str, location: Place) -> list[pulumi.Resource]:
        """Create what an instance needs before it is created, and return it."""
        args = self._args
        groups = monitoring.create_logs(
            prefix,
            self._context,
            identifier,
            days=args.chosen_log_days,
            kms_key_arn=location.log_key_arn,
            region=location.region,
            parent=self,
        )
        # RDS uses the role at once.
        return [*groups, *([self._role[1]] if self._role is not None else [])]

    def _create_elsewhere(self, name: str, primary: aws.rds.Instance) -> dict[str, aws.rds.Instance]:
        """Create the replica in another region by `region` (pulumi-aws 7), as plain args cannot hold a provider."""
        there = self._args.replica_region
        if there is None:
            return {}
        location = Place(
            region=there.region,
            part="database-elsewhere",
            vpc_id=there.vpc_id,
            subnet_ids=there.subnet_ids,
            clients=there.clients or {},
            kms_key_arn=there.kms_key_arn,
            log_key_arn=there.kms_key_arn,
        )
        shared = self._shared(name, location)
        return {there.region: self._create_instance(name, "elsewhere", shared, primary.arn)}

    def _create_copies(self, name: str, primary: aws.rds.Instance, region: str) -> None:
        aws.rds.InstanceAutomatedBackupsReplication(
            f"{name}-copies",
            source_db_instance_arn=primary.arn,
            kms_key_id=self._args.copy_kms_key_arn,
            retention_period=self._args.chosen_backup_days,
            # Where the copies are: RDS starts copying from there.
            region=region,
            opts=self._child(protect=self._context.keeps_data),
        )

    def _create_rotation(self, name: str) -> None:
        """Set the rotation schedule: RDS rotates the secret without a function (terraform-provider-aws#34180)."""
        days = self._args.chosen_rotation_days
        aws.secretsmanager.SecretRotation(
            f"{name}-rotation",
            secret_id=self.master_secret_arn,
            rotate_immediately=False,
            rotation_rules=aws.secretsmanager.SecretRotationRotationRulesArgs(automatically_after_days=days),
            # The secret is deleted with its instance or by the take-over, so that there is nothing to turn off.
            opts=self._child(retain_on_delete=True),
        )


def _secret_of_rds(secrets: Sequence[Any] | None) -> str:
    """Return the ARN of RDS's secret. Raises RunError, a message without a traceback, if there is none."""
    if not secrets:
        raise pulumi.RunError(
            "RDS no longer manages the master's password: name the secret that has it in master_secret_arn, in stack.yml"
            " aws.database.master_secret (`stackwright database take-over ENV` tells its ARN)"
        )
    arn: str = secrets[0].secret_arn
    return arn


def _identifiers(args: DatabaseArgs) -> dict[str, str]:
    """Return the identifiers, known in preview because logs and roles are named after them. RDS lower-cases them."""
    context = args.context
    parts = ["database", *(f"replica-{number}" for number in range(1, args.replica_count + 1))]
    identifiers = {part: names.database_instance(context.environment, part) for part in parts}
    if args.replica_region is not None:
        identifiers["elsewhere"] = context.name("database", "database-elsewhere").lower()
    return identifiers


def login_statement(context: Context, resource_id: pulumi.Input[str], users: Sequence[str]) -> dict[str, Any]:
    """Return the statement that a role needs to log in as these database users, with `iam_authentication`."""
    prefix = context.arn("rds-db", "dbuser:")
    return {
        "Sid": "LogInToDatabase",
        "Effect": "Allow",
        "Action": ["rds-db:connect"],
        "Resource": [pulumi.Output.concat(prefix, resource_id, f"/{user}") for user in users],
    }
