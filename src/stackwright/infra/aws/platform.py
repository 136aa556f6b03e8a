"""The provider `aws`: an environment in an account."""

from __future__ import annotations

from functools import cached_property

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.alarm_args import AlarmsArgs, HostAlarmsArgs
from stackwright.infra.aws.alarms import Alarms
from stackwright.infra.aws.budget import Budget, BudgetArgs
from stackwright.infra.aws.context import Context
from stackwright.infra.aws.dns import Dns, DnsArgs, DnsRecordArgs
from stackwright.infra.aws.encryption_key import EncryptionKey, KeyArgs
from stackwright.infra.aws.firewall_rules import RuleArgs
from stackwright.infra.aws.hosts import BetweenArgs, HostArgs, Hosts, HostsArgs
from stackwright.infra.aws.launch_template import AgentArgs
from stackwright.infra.aws.network import Network
from stackwright.infra.aws.network_args import NetworkArgs
from stackwright.infra.components.results import CloudResult
from stackwright.infra.components.self_hosted import HTTPS_PORT, SelfHostedLoadBalancer, SelfHostedServices, ServiceArgs
from stackwright.infra.keys import KeyPair
from stackwright.model import Environment, naming, topology, traffic
from stackwright.model.aws.plan import DISK_GB, AwsPlan
from stackwright.model.aws.stackfile import Aws
from stackwright.model.topology import Host

_ANYWHERE = "0.0.0.0/0"
#: The tier of a server that does everything; it talks to nobody of its own.
_ALONE = "server"


class Account:
    """What every part of an environment on AWS stands on: the account, the network, the key."""

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
            # Nothing is done in another account, whoever is logged in.
            allowed_account_ids=[self.aws.account],
            default_tags={"tags": {tag: value for tag, value in self.context.tags("").items() if tag != "Name"}},
        )

    @property
    def options(self) -> pulumi.ResourceOptions:
        """For a component: its children are made by the environment's provider, in its region and account."""
        return pulumi.ResourceOptions(providers=[self._provider])

    @cached_property
    def key(self) -> EncryptionKey:
        """Encrypts disks, logs and whatever else the environment keeps."""
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
    def network(self) -> Network:
        """The environment's own."""
        args = NetworkArgs(
            context=self.context,
            cidr=self.environment.network.cidr,
            subnets=self.plan.subnets,
            nat=self.plan.nat,
            ipv6=self.aws.ipv6,
            # The others cost by zone and hour, which a small environment reaches by its NAT.
            endpoints=None if self.context.environment_class == "production" or self.plan.nat == "none" else ["s3"],
            flow_log_days=self.aws.flow_log_days,
            kms_key_arn=self.key.arn,
        )
        return Network(f"{self.environment.name}-network", args, self.options)


class AwsHostsPlatform(SelfHostedServices):
    """Sizes A and B: the same hosts with the same roles as anywhere, as servers of AWS."""

    def __init__(self, environment: Environment, keys: KeyPair) -> None:
        super().__init__(environment, keys)
        self._account = Account(environment)

    @property
    def network(self) -> Network:
        """A VPC."""
        return self._account.network

    @cached_property
    def compute(self) -> Hosts:
        """Servers by name, reached through Systems Manager."""
        environment, account = self._environment, self._account
        agent = account.aws.ssm_agent
        tiers = tuple(dict.fromkeys(tier for host in environment.hosts for tier in self._tiers(host)))
        between = traffic.within(environment) if tiers != (_ALONE,) else ()
        web = [
            RuleArgs(reason=f"{name} of users", port=port, cidr=_ANYWHERE)
            for name, port in (("HTTP", 80), ("HTTPS", 443))
        ]
        out = [
            RuleArgs(reason=f"{name}: packages, time stamps of certificates, AWS", port=port, cidr=_ANYWHERE)
            for name, port in (("HTTP", 80), ("HTTPS", 443))
        ]
        args = HostsArgs(
            context=account.context,
            vpc_id=self.network.vpc_id,
            hosts=[self._host(host) for host in environment.hosts],
            kms_key_arn=account.key.arn,
            authorized_keys=[self._keys.public_key],
            agent=AgentArgs(version=agent.version, sha256=dict(agent.sha256.items())) if agent else None,
            between=[
                BetweenArgs(from_tier=each.source, to_tier=each.target, port=each.port, reason=each.reason)
                for each in between
            ],
            ingress={_ALONE if tiers == (_ALONE,) else "edge": web},
            egress=dict.fromkeys(tiers, out),
            ssh_from=environment.access.ssh_from,
        )
        return Hosts(f"{environment.name}-compute", args, account.options)

    @cached_property
    def load_balancer(self) -> SelfHostedLoadBalancer:
        """The edge's nginx, at public addresses that the domain's names lead to."""
        self._dns  # noqa: B018 - made with it
        hosts = {name: self.compute.public_addresses[name] for name in self._environment.groups["edge"]}
        args = ServiceArgs(scheme="https", hosts=hosts, ports={"https": HTTPS_PORT}, secrets=[])
        return SelfHostedLoadBalancer(f"{self._environment.name}-load-balancer", args)

    @cached_property
    def _dns(self) -> Dns:
        environment, account = self._environment, self._account
        edge = [self.compute.public_addresses[name] for name in environment.groups["edge"]]
        names = (environment.domain, *environment.aliases)
        args = DnsArgs(
            context=account.context,
            internal_domain=environment.internal_domain,
            vpc_id=self.network.vpc_id,
            hosted_zone_id=account.aws.hosted_zone.id,
            hosted_zone_name=account.aws.hosted_zone.name,
            public={name: DnsRecordArgs(kind="A", values=edge) for name in names},
            private={
                naming.fqdn(host.name, environment.name): DnsRecordArgs(kind="A", values=[host.address])
                for host in environment.hosts
            },
        )
        return Dns(f"{environment.name}-dns", args, account.options)

    @cached_property
    def watch(self) -> Alarms | None:
        """Mails to who is named: about servers in trouble, and about cost; None where nobody is."""
        environment, account = self._environment, self._account
        notify = account.aws.notify
        if not notify:
            return None
        if account.aws.budget is not None:
            budget = BudgetArgs(context=account.context, monthly_usd=float(account.aws.budget.usd), notify=notify)
            Budget(f"{environment.name}-budget", budget, account.options)
        args = AlarmsArgs(
            context=account.context,
            kms_key_arn=account.key.arn,
            notify=notify,
            hosts={
                host.name: HostAlarmsArgs(
                    instance_id=self.compute.instance_ids[host.name], instance_type=host.type or ""
                )
                for host in environment.hosts
            },
        )
        return Alarms(f"{environment.name}-alarms", args, account.options)

    @property
    def cloud(self) -> CloudResult:
        """No buckets, and the secrets are the control machine's."""
        account = self._account
        return CloudResult(region=account.aws.region, account=account.aws.account, buckets={}, secrets_prefix="")

    def _tiers(self, host: Host) -> tuple[str, ...]:
        return (_ALONE,) if len(self._environment.hosts) == 1 else host.groups

    def _host(self, host: Host) -> HostArgs:
        kind = "public" if "edge" in host.groups else "private"
        zone = host.zone or self._account.plan.zones[0]
        tier = next((each for each in topology.TIERS if each in self._tiers(host)), _ALONE)
        return HostArgs(
            name=host.name,
            address=host.address,
            subnet_id=self.network.subnet_ids[kind][zone],
            instance_type=host.type or "",
            disk_gb=host.disk_gb or DISK_GB[self._environment.environment_class],
            tiers=self._tiers(host),
            os=host.os,
            architecture=topology.architecture(self._account.aws, tier),
            image_id=self._account.aws.app.image if tier == "app" else None,
            public=kind == "public",
        )
