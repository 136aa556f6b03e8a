"""The resources that every part of an environment on AWS is built on, in every size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.bucket_policies import bucket_arn
from stackwright.infra.aws.budget import Budget, BudgetArgs
from stackwright.infra.aws.context import Context
from stackwright.infra.aws.encryption_key import EncryptionKey, KeyArgs
from stackwright.infra.aws.firewall_rules import RuleArgs
from stackwright.infra.aws.hosts import HostArgs
from stackwright.infra.aws.instance_role import StatementArgs
from stackwright.infra.aws.launch_template import AgentArgs
from stackwright.infra.aws.network import Network
from stackwright.infra.aws.network_args import NetworkArgs
from stackwright.infra.aws.object_store import ObjectStore
from stackwright.infra.aws.object_store_args import BucketArgs, ObjectStoreArgs, bucket_name
from stackwright.model import topology
from stackwright.model.aws.plan import DISK_GB, WINDOWS_DISK_GB, AwsPlan
from stackwright.model.aws.regions import GLOBAL_REGION
from stackwright.model.aws.stackfile import Aws
from stackwright.model.aws.subnets import reserved
from stackwright.model.environment import Environment
from stackwright.model.output import BACKUPS
from stackwright.model.topology import Host

ANYWHERE = "0.0.0.0/0"


def web_rules() -> list[RuleArgs]:
    """Return the rules for the Internet access of every server."""
    return [
        RuleArgs(reason=f"{name}: packages, time stamps of certificates, AWS", port=port, cidr=ANYWHERE)
        for name, port in (("HTTP", 80), ("HTTPS", 443))
    ]


class Account:
    """The base of every part of an environment on AWS: the account, the network and the key."""

    def __init__(self, environment: Environment) -> None:
        if environment.stack.aws is None or environment.plan.aws is None:
            raise ValueError(f"{environment.name} has no section `aws`")
        self.environment = environment
        self.aws: Aws = environment.stack.aws
        self.plan: AwsPlan = environment.plan.aws
        self.context = Context(
            environment=environment.name,
            system=environment.system.name,
            environment_class=environment.environment_class,
            account=self.aws.account,
            region=self.aws.region,
        )
        self._provider = aws.Provider(
            f"{environment.name}-aws",
            region=self.aws.region,
            # Refuse to change another account, regardless of the credentials in use.
            allowed_account_ids=[self.aws.account],
            default_tags={"tags": {tag: value for tag, value in self.context.tags("").items() if tag != "Name"}},
        )

    @property
    def options(self) -> pulumi.ResourceOptions:
        """The options for a component, whose children the environment's provider creates in its region and account."""
        return pulumi.ResourceOptions(providers=[self._provider])

    @property
    def lookup_options(self) -> pulumi.InvokeOutputOptions:
        """The options for a lookup by the environment's provider, in its region and account."""
        return pulumi.InvokeOutputOptions(provider=self._provider)

    @property
    def agent(self) -> AgentArgs | None:
        """The SSM agent for servers whose image has none."""
        agent = self.aws.ssm_agent
        return AgentArgs(version=agent.version, sha256=dict(agent.sha256.items())) if agent else None

    def create_budget(self) -> None:
        """Create the budget if the environment has one."""
        if self.aws.budget is not None:
            args = BudgetArgs(context=self.context, monthly_usd=float(self.aws.budget.usd), notify=self.aws.notify)
            Budget(f"{self.environment.name}-budget", args, self.options)

    def subnets(self, kind: str) -> list[pulumi.Input[str]]:
        """Return the ids of the subnets of a kind, in the order of the zones."""
        return [self.network.subnet_ids[kind][zone] for zone in self.plan.zones]

    def host(
        self, host: Host, tiers: Sequence[str], *, public: bool, statements: Sequence[StatementArgs] = ()
    ) -> HostArgs:
        """Return the arguments of a named server, whose role gets the permissions in `statements`."""
        zone = host.zone or self.plan.zones[0]
        tier = next((candidate_tier for candidate_tier in topology.TIERS if candidate_tier in tiers), tiers[0])
        return HostArgs(
            name=host.name,
            address=host.address,
            subnet_id=self.network.subnet_ids["public" if public else "private"][zone],
            instance_type=host.type or "",
            disk_gb=self.disk_gb(host),
            tiers=tiers,
            os=host.os,
            architecture=topology.architecture(self.aws, "app" if "app" in tiers and "edge" in tiers else tier),
            image_id=self.aws.app.image if "app" in tiers else None,
            public=public,
            statements=[*statements, *self.backup_statements(host)],
        )

    def disk_gb(self, host: Host) -> int:
        """Return the disk size of a server in GB."""
        # A configured size has been checked against the image.
        return host.disk_gb or max(DISK_GB[self.context.environment_class], WINDOWS_DISK_GB if host.windows else 0)

    @cached_property
    def key(self) -> EncryptionKey:
        """The key that encrypts disks, logs and all other data of the environment."""
        services = [
            "autoscaling",
            "cloudwatch",
            "ec2",
            "elasticache",
            "logs",
            "rds",
            "rds_events",
            "s3",
            "secretsmanager",
            "sns",
        ]
        args = KeyArgs(context=self.context, purpose="environment", services=services)
        return EncryptionKey(f"{self.environment.name}-key", args, self.options)

    @cached_property
    def global_key(self) -> EncryptionKey:
        """The key for resources of CloudFront, which are in us-east-1 regardless of the environment's region."""
        if self.aws.region == GLOBAL_REGION:
            return self.key
        return self._key_elsewhere("global", GLOBAL_REGION, ["cloudwatch", "logs", "sns"])

    @property
    def copy_region(self) -> str | None:
        """The other region to which S3 copies backups and uploads, and RDS its backups; None without copies."""
        copy_to = self.environment.stack.backups.copy_to
        if copy_to is not None and topology.copies_to_own_bucket(self.environment.stack):
            return copy_to.region or self.aws.database.copy_region
        return self.aws.database.copy_region

    def backup_statements(self, host: Host) -> list[StatementArgs]:
        """Return the permissions that the host with the repositories needs to copy them to the environment's bucket.

        It can hide copies but not remove them: overwritten and deleted objects stay as versions, which no server may
        delete.
        """
        environment = self.environment
        if host.name not in environment.groups["ops"][:1] or not topology.copies_to_own_bucket(environment.stack):
            return []
        bucket = bucket_arn(self.context, bucket_name(self.context, BACKUPS))
        return [
            StatementArgs(sid="FindBackups", actions=["s3:GetBucketLocation", "s3:ListBucket"], resources=[bucket]),
            StatementArgs(
                sid="CopyBackups",
                actions=[
                    "s3:AbortMultipartUpload",
                    "s3:DeleteObject",
                    "s3:GetObject",
                    "s3:ListMultipartUploadParts",
                    "s3:PutObject",
                ],
                resources=[f"{bucket}/{environment.name}/*"],
            ),
            self.encryption_statement("EncryptBackups", bucket),
        ]

    def encryption_statement(self, sid: str, bucket: str) -> StatementArgs:
        """Return the permissions on the environment's key that are needed to write to one of its buckets."""
        return StatementArgs(
            sid=sid,
            # `Decrypt`, because every part of an upload except the first needs the key of the first part.
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[self.key.arn],
            conditions={
                "StringEquals": {
                    "kms:ViaService": f"s3.{self.context.region}.amazonaws.com",
                    # The ARN of the bucket and not of an object, because the bucket has a bucket key.
                    "kms:EncryptionContext:aws:s3:arn": bucket,
                }
            },
        )

    def create_buckets(self, buckets: Mapping[str, BucketArgs]) -> ObjectStore:
        """Create buckets by purpose, with copies of backups and uploads in another region if one is configured."""
        args = ObjectStoreArgs(
            context=self.context,
            buckets=buckets,
            kms_key_arn=self.key.arn,
            copy_region=self.copy_region,
            copy_kms_key_arn=None if self.copy_key is None else self.copy_key.arn,
        )
        return ObjectStore(f"{self.environment.name}-object-store", args, self.options)

    @cached_property
    def copy_key(self) -> EncryptionKey | None:
        """The key that encrypts the copies of backups in another region; None without copies."""
        region = self.copy_region
        return None if region is None else self._key_elsewhere("copies", region, ["rds", "s3"])

    def _key_elsewhere(self, purpose: str, region: str, services: list[str]) -> EncryptionKey:
        args = KeyArgs(context=self.context, purpose=purpose, services=services, region=region)
        return EncryptionKey(f"{self.environment.name}-key-{purpose}", args, self.options)

    @cached_property
    def network(self) -> Network:
        """The network of the environment."""
        args = NetworkArgs(
            context=self.context,
            cidr=self.environment.network.cidr,
            subnets=self.plan.subnets,
            reserved=reserved(self.plan.subnets, [host.address for host in self.environment.hosts]),
            nat=self.plan.nat,
            ipv6=self.aws.ipv6,
            # The other endpoints cost by zone and hour; a small environment reaches these services through its NAT.
            endpoints=None if self.context.environment_class == "production" else ["s3"],
            flow_log_days=self.aws.flow_log_days,
            kms_key_arn=self.key.arn,
        )
        return Network(f"{self.environment.name}-network", args, self.options)
