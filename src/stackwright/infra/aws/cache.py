"""Redis managed by AWS: a replication group per purpose, so that one purpose cannot evict another's data.

**Passwords.** ElastiCache requires the password in the call that creates a user and cannot refer to a secret.
`passwords_wo` of pulumi-aws 7.51 is "write-only" only for Terraform: Pulumi keeps the value, encrypted, among the
inputs in the state (pulumi-terraform-bridge#3201, open). IAM tokens last 15 minutes and their connections 12 hours,
which no ordinary client supports. So a user is created with IAM authentication, which no role is granted: it is locked.
When the secrets are filled, its password is set from its secret, outside of Pulumi:

    aws elasticache modify-user --user-id NAME --authentication-mode Type=password,Passwords=...

(in a file, not on the command line, and 16 to 128 characters). From then on any client logs in with name and password
over TLS. Pulumi still manages the permissions and ignores only `authenticationMode`. A rotation sets both passwords,
then only the new one.
"""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import cache_users
from stackwright.infra.aws.cache_args import CacheArgs, CacheGroupArgs, persists, port, slug
from stackwright.infra.components.results import Endpoint, ServiceResult
from stackwright.model.aws import names

#: Per cent of a node's memory for snapshots and failovers (AWS's default and advice; `model.aws.sizes.cache` relies on
#: it).
RESERVED_PERCENT = 25
_LOGS = ("slow-log", "engine-log")


class Cache(pulumi.ComponentResource):
    """A replication group per purpose, with its users, logs and parameters, and one security group.

    It requires TLS and a password, is encrypted with the key, and only the named clients reach its ports. With a
    replica it survives the loss of a zone. Persistent stores have daily snapshots; where data is kept, they are also
    protected and leave a final snapshot.
    """

    #: By purpose: the DNS name that always points to the primary, which accepts writes.
    primary_addresses: pulumi.Output[Mapping[str, str]]
    #: By purpose: the DNS name that points to all nodes that answer reads.
    reader_addresses: pulumi.Output[Mapping[str, str]]
    ports: pulumi.Output[Mapping[str, int]]
    #: By purpose: the replication group, for alarms.
    group_ids: pulumi.Output[Mapping[str, str]]
    #: Purpose -> application -> its user name.
    user_names: pulumi.Output[Mapping[str, Mapping[str, str]]]
    #: Purpose -> application -> name of the secret with its password.
    secrets: pulumi.Output[Mapping[str, Mapping[str, str]]]
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: CacheArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Cache", name, None, opts)
        self._args, self._context = args, args.context
        security_group = self._create_security_group(name)
        subnet_group = self._create_subnet_group(name)
        groups = {
            purpose: self._create_group(name, purpose, group, security_group, subnet_group)
            for purpose, group in args.groups.items()
        }
        self._primary = {purpose: group.primary_endpoint_address for purpose, group in groups.items()}
        self._set_outputs(groups, security_group)

    @property
    def result(self) -> ServiceResult:
        """An endpoint `redis_<purpose>` for each purpose, with the name of the primary, because applications write."""
        args = self._args
        endpoints = {
            f"redis_{purpose}": Endpoint(scheme="rediss", addresses=(self._primary[purpose],), port=port(group))
            for purpose, group in args.groups.items()
        }
        secrets = {user.secret for group in args.groups.values() for user in group.users}
        return ServiceResult(endpoints=endpoints, secrets=tuple(sorted(secrets)))

    def _set_outputs(
        self, groups: Mapping[str, aws.elasticache.ReplicationGroup], security_group: aws.ec2.SecurityGroup
    ) -> None:
        context, requested_groups = self._context, self._args.groups
        self.primary_addresses = pulumi.Output.all(**self._primary)
        self.reader_addresses = pulumi.Output.all(
            **{purpose: group.reader_endpoint_address for purpose, group in groups.items()}
        )
        self.ports = pulumi.Output.from_input({purpose: port(group) for purpose, group in requested_groups.items()})
        self.group_ids = pulumi.Output.all(**{purpose: group.id for purpose, group in groups.items()})
        self.user_names = pulumi.Output.from_input(
            {
                purpose: {user.name: cache_users.user_name(context, purpose, user.name) for user in group.users}
                for purpose, group in requested_groups.items()
            }
        )
        self.secrets = pulumi.Output.from_input(
            {purpose: {user.name: user.secret for user in group.users} for purpose, group in requested_groups.items()}
        )
        self.security_group_id = security_group.id
        self.register_outputs(
            {
                "primaryAddresses": self.primary_addresses,
                "readerAddresses": self.reader_addresses,
                "ports": self.ports,
                "groupIds": self.group_ids,
                "userNames": self.user_names,
                "secrets": self.secrets,
                "securityGroupId": self.security_group_id,
            }
        )

    def _child(self, *, protect: bool = False, ignore_changes: list[str] | None = None) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=protect, ignore_changes=ignore_changes)

    def _create_security_group(self, name: str) -> aws.ec2.SecurityGroup:
        args, context = self._args, self._context
        group_name = context.name("security_group", "cache")
        tags = context.tags(group_name)
        group = aws.ec2.SecurityGroup(
            f"{name}-security-group",
            name=group_name,
            description="Redis run by AWS",
            vpc_id=args.vpc_id,
            tags=tags,
            opts=self._child(),
        )
        for reason, client in args.clients.items():
            # One rule per port, because two purposes may share a port and AWS refuses duplicate rules.
            for number in sorted({port(cache_group) for cache_group in args.groups.values()}):
                aws.vpc.SecurityGroupIngressRule(
                    f"{name}-security-group-{slug(reason)}-{number}",
                    security_group_id=group.id,
                    description=reason,
                    ip_protocol="tcp",
                    from_port=number,
                    to_port=number,
                    referenced_security_group_id=client,
                    tags=tags,
                    opts=self._child(),
                )
        return group

    def _create_subnet_group(self, name: str) -> aws.elasticache.SubnetGroup:
        # ElastiCache converts the name to lower case.
        group_name = self._context.name("cache_subnet_group", "cache").lower()
        return aws.elasticache.SubnetGroup(
            f"{name}-subnet-group",
            name=group_name,
            description="Where the stores are",
            subnet_ids=self._args.subnet_ids,
            tags=self._context.tags(group_name),
            opts=self._child(),
        )

    def _create_group(
        self,
        name: str,
        purpose: str,
        group: CacheGroupArgs,
        security_group: aws.ec2.SecurityGroup,
        subnet_group: aws.elasticache.SubnetGroup,
    ) -> aws.elasticache.ReplicationGroup:
        args, context = self._args, self._context
        part = _part(purpose)
        group_name = names.cache_group(context.environment, purpose)
        replicas = args.replicas(group)
        keeps = persists(group) and context.keeps_data
        logs = [self._create_log(name, purpose, kind) for kind in _LOGS]
        return aws.elasticache.ReplicationGroup(
            f"{name}-{part}",
            replication_group_id=group_name,
            description=f"{context.system}, {context.environment}: {purpose}",
            engine=args.chosen_engine,
            engine_version=args.chosen_version,
            # Once AWS has upgraded the minor version, `engine_version` has to follow: an older one creates a new store.
            auto_minor_version_upgrade=True,
            node_type=group.node_type,
            port=port(group),
            num_cache_clusters=1 + replicas,
            automatic_failover_enabled=replicas > 0,
            multi_az_enabled=replicas > 0,
            parameter_group_name=self._create_parameters(name, purpose, group).name,
            subnet_group_name=subnet_group.name,
            security_group_ids=[security_group.id],
            user_group_ids=[self._create_users(name, purpose, group).user_group_id],
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            kms_key_id=args.kms_key_arn,
            log_delivery_configurations=logs,
            maintenance_window=args.maintenance_window,
            snapshot_window=args.snapshot_window,
            snapshot_retention_limit=args.snapshot_days(group),
            snapshot_name=group.snapshot,
            final_snapshot_identifier=self._final_snapshot(part, security_group) if keeps else None,
            # Where data is kept, changes wait for the maintenance window: many of them cause a failover.
            apply_immediately=not context.keeps_data,
            tags=context.tags(group_name),
            # The snapshot is only used at creation, and a change of it would replace the store.
            opts=self._child(protect=keeps, ignore_changes=["snapshotName"] if group.snapshot else None),
        )

    def _final_snapshot(self, part: str, security_group: aws.ec2.SecurityGroup) -> pulumi.Output[str]:
        """Return a name that no earlier group of this name has used, because AWS refuses duplicate snapshot names."""
        name = self._context.name("cache_snapshot", part, "final").lower()
        suffix = security_group.id.apply(lambda group_id: group_id[-8:].lower())
        return pulumi.Output.concat(name[: names.RULES["cache_snapshot"].limit - 9].rstrip("-"), "-", suffix)

    def _create_parameters(self, name: str, purpose: str, group: CacheGroupArgs) -> aws.elasticache.ParameterGroup:
        part = _part(purpose)
        # The family is part of the name: a new family is a new group, created while the old one is still in use.
        group_name = self._context.name("cache_parameter_group", part, self._args.family).lower()
        values = {
            "maxmemory-policy": group.eviction or "noeviction",
            "reserved-memory-percent": str(RESERVED_PERCENT),
        }
        # `close-on-replica-write` stays on, its default, so that clients of the old primary notice a failover.
        return aws.elasticache.ParameterGroup(
            f"{name}-{part}-parameters",
            name=group_name,
            family=self._args.family,
            description=f"{self._context.environment}: {purpose}",
            parameters=[
                aws.elasticache.ParameterGroupParameterArgs(name=key, value=value) for key, value in values.items()
            ],
            tags=self._context.tags(group_name),
            opts=self._child(),
        )

    def _create_users(self, name: str, purpose: str, group: CacheGroupArgs) -> aws.elasticache.UserGroup:
        args, context = self._args, self._context
        part = _part(purpose)
        access = {user.name: user.access_string for user in group.users}
        users = [
            self._create_user(
                name, purpose, user, access_string or cache_users.application_access(context.system, len(access))
            )
            for user, access_string in access.items()
        ]
        if args.chosen_engine == "redis":
            users.append(self._create_default(name, purpose))
        group_name = context.name("cache_user_group", part).lower()
        return aws.elasticache.UserGroup(
            f"{name}-{part}-users",
            user_group_id=group_name,
            engine=args.chosen_engine,
            user_ids=[user.user_id for user in users],
            tags=context.tags(group_name),
            opts=self._child(),
        )

    def _create_user(self, name: str, purpose: str, user: str, access: str) -> aws.elasticache.User:
        user_name = cache_users.user_name(self._context, purpose, user)
        return aws.elasticache.User(
            f"{name}-{_part(purpose)}-user-{user}",
            user_id=user_name,
            user_name=user_name,
            engine=self._args.chosen_engine,
            access_string=access,
            authentication_mode=aws.elasticache.UserAuthenticationModeArgs(type="iam"),
            tags=self._context.tags(user_name),
            # Setting the password changes it (see above); changing it back to IAM would lock the application out.
            opts=self._child(ignore_changes=["authenticationMode"]),
        )

    def _create_default(self, name: str, purpose: str) -> aws.elasticache.User:
        """Create the user `default`: Redis requires it (DefaultUserRequired); Valkey refuses one without a password."""
        user_id = cache_users.user_name(self._context, purpose, "default")
        return aws.elasticache.User(
            f"{name}-{_part(purpose)}-user-default",
            user_id=user_id,
            user_name="default",
            engine=self._args.chosen_engine,
            access_string=cache_users.NOBODY,
            authentication_mode=aws.elasticache.UserAuthenticationModeArgs(type="no-password-required"),
            tags=self._context.tags(user_id),
            opts=self._child(),
        )

    def _create_log(
        self, name: str, purpose: str, kind: str
    ) -> aws.elasticache.ReplicationGroupLogDeliveryConfigurationArgs:
        context, part = self._context, _part(purpose)
        group_name = context.name("log_group", "cache", part, kind)
        group = aws.cloudwatch.LogGroup(
            f"{name}-{part}-{kind}",
            name=group_name,
            kms_key_id=self._args.log_key_arn,
            retention_in_days=self._args.chosen_log_days,
            deletion_protection_enabled=context.keeps_data,
            tags=context.tags(group_name),
            opts=self._child(protect=context.keeps_data),
        )
        return aws.elasticache.ReplicationGroupLogDeliveryConfigurationArgs(
            destination=group.name, destination_type="cloudwatch-logs", log_format="json", log_type=kind
        )


def _part(purpose: str) -> str:
    # ElastiCache names cannot contain underscores.
    return purpose.replace("_", "-")
