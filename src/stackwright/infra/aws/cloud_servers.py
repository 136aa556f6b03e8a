"""The servers of an environment of size C: the Auto Scaling group, and named hosts if there are any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import pulumi

from stackwright.infra import signing
from stackwright.infra.aws import bundles
from stackwright.infra.aws.access import ClientGroup, ClientGroupArgs, PathArgs
from stackwright.infra.aws.account import Account, web_rules
from stackwright.infra.aws.cloud_data import Data
from stackwright.infra.aws.cloud_edge import Edge
from stackwright.infra.aws.hosts import BetweenArgs, Hosts, HostsArgs
from stackwright.infra.aws.instance_role import StatementArgs
from stackwright.infra.aws.object_store_args import ARTIFACTS, bucket_name
from stackwright.infra.aws.scaling_group import ScalingGroup
from stackwright.infra.aws.scaling_group_args import BootArgs, ScalingGroupArgs, SpotArgs
from stackwright.infra.aws.scaling_policies import RequestsArgs, ScheduledSizeArgs
from stackwright.infra.aws.secrets import secret_pattern
from stackwright.infra.components.results import ComputeResult
from stackwright.infra.keys import KeyPair
from stackwright.model import topology, traffic
from stackwright.model.aws import stackfile
from stackwright.model.aws.names import group_component
from stackwright.model.secrets import application_names

_APP = "app"


class Servers:
    """The servers: hosts are created before the services that they use, the group after these services.

    Ansible configures the hosts later, whereas the group's servers configure themselves.
    """

    def __init__(self, account: Account, data: Data, edge: Edge, keys: KeyPair) -> None:
        self._account, self._data, self._edge, self._keys = account, data, edge, keys
        self._environment, self._name = account.environment, account.environment.name

    @property
    def result(self) -> ComputeResult:
        """The hosts; servers of the group have no names."""
        return ComputeResult(hosts={}) if self.hosts is None else self.hosts.result

    @cached_property
    def hosts(self) -> Hosts | None:
        """The named hosts, reached through Systems Manager; none of them has a public address."""
        environment, account = self._environment, self._account
        if not environment.hosts:
            return None
        tiers = tuple(dict.fromkeys(tier for host in environment.hosts for tier in host.groups))
        args = HostsArgs(
            context=account.context,
            vpc_id=account.network.vpc_id,
            hosts=[
                account.host(
                    host,
                    host.groups,
                    public=False,
                    statements=self._data.uploads_statements() if _APP in host.groups else (),
                )
                for host in environment.hosts
            ],
            kms_key_arn=account.key.arn,
            authorized_keys=[self._keys.public_key],
            agent=account.agent,
            between=[
                BetweenArgs(from_tier=flow.source, to_tier=flow.target, port=flow.port, reason=flow.reason)
                for flow in traffic.within(environment)
            ],
            egress=dict.fromkeys(tiers, web_rules()),
            ssh_from=environment.access.ssh_from,
        )
        return Hosts(f"{self._name}-compute", args, account.options)

    @cached_property
    def _clients(self) -> ClientGroup:
        account = self._account
        args = ClientGroupArgs(context=account.context, tier=_APP, vpc_id=account.network.vpc_id)
        return ClientGroup(f"{self._name}-clients", args, account.options)

    def security_group(self, tier: str) -> pulumi.Input[str]:
        """Return the security group of the servers of a tier, whether they exist yet or not."""
        if tier == _APP and self._environment.slots:
            return self._clients.security_group_id
        if self.hosts is None:
            raise ValueError(f"{self._name} has no servers of the tier {tier}")
        return self.hosts.security_group_ids[tier]

    def clients(self, tier: str) -> dict[str, pulumi.Input[str]]:
        """Return reason -> security group of the clients of a service that AWS manages."""
        sources = dict.fromkeys(flow.source for flow in traffic.to_services(self._environment) if flow.target == tier)
        what = {"database": "PostgreSQL", "cache": "Redis"}[tier]
        return {f"{what} for {source}": self.security_group(source) for source in sources}

    def paths(self, services: dict[str, pulumi.Input[str]]) -> Iterator[PathArgs]:
        """Yield the paths of which no component knows both ends; `services` are the security groups of managed ones."""
        for admits, every in (
            (True, traffic.to_services(self._environment)),
            (False, traffic.of_group(self._environment)),
        ):
            for flow in every:
                yield PathArgs(
                    source=flow.source,
                    target=flow.target,
                    port=flow.port,
                    reason=flow.reason,
                    source_id=self.security_group(flow.source),
                    target_id=services[flow.target] if admits else self.security_group(flow.target),
                    admits=admits,
                )

    def admit(self) -> None:
        """Admit the load balancer to the application servers."""
        self._edge.balancer.admit(_APP, self.security_group(_APP))
        if self.hosts is not None and not self._environment.slots:
            names = self._environment.groups[_APP]
            self._edge.balancer.attach({name: self.hosts.instance_ids[name] for name in names})

    def create_group(self, first: Sequence[pulumi.Resource]) -> ScalingGroup | None:
        """Create the group after everything that its servers use while they configure themselves."""
        environment, account, group = self._environment, self._account, self._account.aws.app.group
        if group is None or not environment.slots:
            return None
        slot, balancer = environment.slots[0], self._edge.balancer
        args = ScalingGroupArgs(
            context=account.context,
            tier=_APP,
            vpc_id=account.network.vpc_id,
            subnet_ids=account.subnets("private"),
            instance_type=slot.type or "",
            min=group.min,
            max=group.max,
            kms_key_arn=account.key.arn,
            boot=self._boot(),
            os=slot.os,
            architecture=topology.architecture(account.aws, _APP),
            image_id=account.aws.app.image,
            agent=account.agent,
            disk_gb=account.disk_gb(slot),
            egress=web_rules(),
            security_group_ids=[self.security_group(_APP)],
            statements=self._statements(),
            metrics=not slot.windows,
            authorized_keys=[self._keys.public_key],
            target_group_arns=[balancer.target_group_arn],
            cpu_percent=group.cpu_percent,
            requests=self._requests(group),
            warm=group.warm,
            schedules=[
                ScheduledSizeArgs(
                    name=schedule.name, at=schedule.at, min=schedule.min, max=schedule.max, time_zone=schedule.time_zone
                )
                for schedule in group.schedules
            ],
            spot=_spot(group),
        )
        options = pulumi.ResourceOptions.merge(account.options, pulumi.ResourceOptions(depends_on=list(first)))
        return ScalingGroup(group_component(self._name), args, options)

    def _boot(self) -> BootArgs:
        account, environment = self._account, self._environment
        app = next(iter(environment.system.apps.values()))
        return BootArgs(
            bucket=bucket_name(account.context, ARTIFACTS),
            key=bundles.KEY.format(tier=_APP),
            public_key=signing.public_key(environment),
            # The first instance itself, as the host's nginx only answers to host names; the load balancer checks nginx.
            health_url=f"http://127.0.0.1:{app.process.first_port}{app.health.ready_path}",
            kms_key_arn=account.key.arn,
            # A new bundle creates a new version of the template, and thereby new servers, a few at a time.
            minimum_serial=bundles.serial(environment),
        )

    def _statements(self) -> list[StatementArgs]:
        """Return the permissions of the servers: on the applications' secrets and no others, and on their uploads."""
        context, key = self._account.context, self._account.key.arn
        whose = context.arn("secretsmanager", f"secret:{context.environment}/*")
        return [
            StatementArgs(
                sid="ReadSecrets",
                actions=["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
                resources=[secret_pattern(context, name) for name in application_names(self._environment)],
            ),
            StatementArgs(
                sid="DecryptSecrets",
                actions=["kms:Decrypt"],
                resources=[key],
                conditions={
                    "StringEquals": {"kms:ViaService": f"secretsmanager.{context.region}.amazonaws.com"},
                    "StringLike": {"kms:EncryptionContext:SecretARN": whose},
                },
            ),
            *self._data.uploads_statements(),
        ]

    def _requests(self, group: stackfile.ScalingGroup) -> RequestsArgs | None:
        if group.requests_per_instance is None:
            return None
        balancer = self._edge.balancer
        return RequestsArgs(
            per_instance=group.requests_per_instance,
            load_balancer_suffix=balancer.arn_suffix,
            target_group_suffix=balancer.target_group_arn_suffix,
        )


def _spot(group: stackfile.ScalingGroup) -> SpotArgs | None:
    spot = group.spot
    if spot is None:
        return None
    return SpotArgs(types=spot.types, on_demand=spot.on_demand, percent_on_demand=spot.percent_on_demand)
