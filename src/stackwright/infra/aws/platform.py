"""The provider `aws`: runs an environment in an AWS account."""

from __future__ import annotations

from functools import cached_property

from stackwright.infra.aws.account import ANYWHERE, Account, web_rules
from stackwright.infra.aws.alarm_args import AlarmsArgs
from stackwright.infra.aws.alarms import Alarms
from stackwright.infra.aws.dns import Dns, DnsArgs, DnsRecordArgs
from stackwright.infra.aws.firewall_rules import RuleArgs
from stackwright.infra.aws.host_alarms import host_alarms, nat_gateways
from stackwright.infra.aws.hosts import BetweenArgs, HostArgs, Hosts, HostsArgs
from stackwright.infra.aws.network import Network
from stackwright.infra.aws.object_store_args import LOGS, BucketArgs, bucket_name
from stackwright.infra.components.results import CloudResult
from stackwright.infra.components.self_hosted import (
    HTTPS_PORT,
    SelfHostedLoadBalancer,
    SelfHostedObjectStore,
    SelfHostedServices,
    ServiceArgs,
)
from stackwright.infra.keys import KeyPair
from stackwright.model import naming, topology, traffic
from stackwright.model.environment import Environment
from stackwright.model.output import BACKUPS
from stackwright.model.topology import Host

#: The tier of a server that does everything; it needs no connections to other hosts.
_ALONE = "server"


class AwsHostsPlatform(SelfHostedServices):
    """Platform of sizes A and B: the same hosts with the same roles as with any provider, as AWS servers."""

    def __init__(self, environment: Environment, keys: KeyPair) -> None:
        super().__init__(environment, keys)
        self._account = Account(environment)

    @property
    def network(self) -> Network:
        """Return the VPC."""
        return self._account.network

    @cached_property
    def compute(self) -> Hosts:
        """Return the named servers, reached through Systems Manager."""
        environment, account = self._environment, self._account
        tiers = tuple(dict.fromkeys(tier for host in environment.hosts for tier in self._tiers(host)))
        between = traffic.within(environment) if tiers != (_ALONE,) else ()
        web = [
            RuleArgs(reason=f"{name} of users", port=port, cidr=ANYWHERE)
            for name, port in (("HTTP", 80), ("HTTPS", 443))
        ]
        args = HostsArgs(
            context=account.context,
            vpc_id=self.network.vpc_id,
            hosts=[self._host(host) for host in environment.hosts],
            kms_key_arn=account.key.arn,
            authorized_keys=[self._keys.public_key],
            agent=account.agent,
            between=[
                BetweenArgs(from_tier=flow.source, to_tier=flow.target, port=flow.port, reason=flow.reason)
                for flow in between
            ],
            ingress={_ALONE if tiers == (_ALONE,) else "edge": web},
            egress=dict.fromkeys(tiers, web_rules()),
            ssh_from=environment.access.ssh_from,
        )
        return Hosts(f"{environment.name}-compute", args, account.options)

    @cached_property
    def load_balancer(self) -> SelfHostedLoadBalancer:
        """Return the edge's nginx, at public addresses that the domain's names resolve to."""
        self._dns  # noqa: B018 - made with it
        hosts = {name: self.compute.public_addresses[name] for name in self._environment.groups["edge"]}
        args = ServiceArgs(scheme="https", hosts=hosts, ports={"https": HTTPS_PORT}, secrets=[])
        return SelfHostedLoadBalancer(f"{self._environment.name}-load-balancer", args)

    @cached_property
    def object_store(self) -> SelfHostedObjectStore:
        """Return the repositories on hosts; create the bucket for their copies if the environment has its own."""
        if self._buckets:
            self._account.create_buckets({purpose: BucketArgs() for purpose in self._buckets})
        return super().object_store

    @property
    def _buckets(self) -> tuple[str, ...]:
        return (BACKUPS, LOGS) if topology.copies_to_own_bucket(self._environment.stack) else ()

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
        """Return the alarms about servers in trouble and about cost, mailed to `notify`; None without an address."""
        environment, account = self._environment, self._account
        notify = account.aws.notify
        if not notify:
            return None
        account.create_budget()
        args = AlarmsArgs(
            context=account.context,
            kms_key_arn=account.key.arn,
            notify=notify,
            hosts=host_alarms(account, self.compute),
            nat_gateway_ids=nat_gateways(account),
        )
        return Alarms(f"{environment.name}-alarms", args, account.options)

    @property
    def cloud(self) -> CloudResult:
        """Return the bucket of the copies; the control machine manages the secrets."""
        account = self._account
        buckets = {purpose: bucket_name(account.context, purpose) for purpose in self._buckets}
        return CloudResult(region=account.aws.region, account=account.aws.account, buckets=buckets, secrets_prefix="")

    def _tiers(self, host: Host) -> tuple[str, ...]:
        return (_ALONE,) if len(self._environment.hosts) == 1 else host.groups

    def _host(self, host: Host) -> HostArgs:
        return self._account.host(host, self._tiers(host), public="edge" in host.groups)
