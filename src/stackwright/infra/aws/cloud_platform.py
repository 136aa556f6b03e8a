"""The `aws` provider in size C: AWS manages load balancer, database and caches; application servers are autoscaled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pulumi

from stackwright.infra.aws.access import Access, AccessArgs
from stackwright.infra.aws.account import Account
from stackwright.infra.aws.alarms import Alarms
from stackwright.infra.aws.cache import Cache
from stackwright.infra.aws.cloud_alarms import Parts, alarms_args
from stackwright.infra.aws.cloud_data import Data
from stackwright.infra.aws.cloud_edge import Edge
from stackwright.infra.aws.cloud_servers import Servers
from stackwright.infra.aws.database import Database
from stackwright.infra.aws.dns import Dns, DnsArgs, DnsRecordArgs
from stackwright.infra.aws.network import Network
from stackwright.infra.aws.object_store_args import KEPT_DAYS, bucket_name
from stackwright.infra.aws.scaling_group import ScalingGroup
from stackwright.infra.components import protocols
from stackwright.infra.components.results import CloudResult, ServiceResult
from stackwright.infra.components.self_hosted import SelfHostedServices
from stackwright.infra.keys import KeyPair
from stackwright.model import naming, topology
from stackwright.model.environment import Environment

_NOTHING = ServiceResult(endpoints={}, secrets=())


@dataclass(frozen=True, kw_only=True)
class _Service:
    """A service made of several components, or of none."""

    result: ServiceResult


class _OnHosts(SelfHostedServices):
    """A self-hosted database and its backups, on hosts as with any provider."""

    def __init__(self, environment: Environment, keys: KeyPair, servers: Servers) -> None:
        super().__init__(environment, keys)
        self._servers = servers

    @property
    def compute(self) -> Servers:
        """The hosts among the servers."""
        return self._servers


class AwsPlatform:
    """The platform of an environment of size C."""

    def __init__(self, environment: Environment, keys: KeyPair) -> None:
        self._environment = environment
        self._account = Account(environment)
        self._managed = topology.managed(environment.stack)
        self._data = Data(self._account)
        self._edge = Edge(self._account, self._data)
        self._servers = Servers(self._account, self._data, self._edge, keys)
        self._on_hosts = _OnHosts(environment, keys, self._servers)

    @property
    def network(self) -> Network:
        """The VPC."""
        return self._account.network

    @cached_property
    def compute(self) -> Servers:
        """The hosts, and the group of application servers, created after everything that these servers use."""
        self._servers.admit()
        self._group  # noqa: B018 - made with it
        return self._servers

    @cached_property
    def load_balancer(self) -> _Service:
        """The endpoint that users reach, with its web firewall and DNS records."""
        self._edge.firewall  # noqa: B018 - made with it
        self._dns  # noqa: B018 - made with it
        return _Service(result=self._edge.result)

    @cached_property
    def database(self) -> protocols.Database:
        """RDS, or the self-hosted database."""
        if "database" not in self._managed:
            return self._on_hosts.database
        return self._database or _Service(result=_NOTHING)

    @cached_property
    def cache(self) -> protocols.Cache:
        """The ElastiCache stores."""
        return self._cache or _Service(result=_NOTHING)

    @cached_property
    def object_store(self) -> protocols.ObjectStore:
        """The buckets; backups of a self-hosted database are on hosts."""
        store = self._data.store
        return store if "database" in self._managed else self._on_hosts.object_store

    @cached_property
    def watch(self) -> Alarms | None:
        """E-mails about problems and cost to the configured addresses; None without addresses."""
        account = self._account
        if not account.aws.notify:
            return None
        account.create_budget()
        parts = Parts(
            edge=self._edge, hosts=self._servers.hosts, database=self._database, cache=self._cache, group=self._group
        )
        return Alarms(f"{self._environment.name}-alarms", alarms_args(account, parts), account.options)

    @property
    def cloud(self) -> CloudResult:
        """The buckets and where the secrets are; AWS manages the secret of the database's master user."""
        context = self._account.context
        return CloudResult(
            region=context.region,
            account=context.account,
            buckets={purpose: bucket_name(context, purpose) for purpose in KEPT_DAYS},
            secrets_prefix=f"{context.environment}/",
            master_secret=None if self._database is None else self._database.master_secret_arn,
        )

    @cached_property
    def _database(self) -> Database | None:
        if self._account.plan.database is None:
            return None
        return self._data.create_database(self._servers.clients("database"))

    @cached_property
    def _cache(self) -> Cache | None:
        if not self._account.plan.caches:
            return None
        return self._data.create_cache(self._servers.clients("cache"))

    @cached_property
    def _access(self) -> Access:
        made = {"database": self._database, "cache": self._cache}
        services = {tier: component.security_group_id for tier, component in made.items() if component is not None}
        args = AccessArgs(context=self._account.context, paths=list(self._servers.paths({**services})))
        return Access(f"{self._environment.name}-access", args, self._account.options)

    @cached_property
    def _group(self) -> ScalingGroup | None:
        first: list[pulumi.Resource] = [self.network, self._data.store, self._data.secrets, self._access]
        first += [component for component in (self._database, self._cache) if component is not None]
        return self._servers.create_group(first)

    @cached_property
    def _dns(self) -> Dns:
        environment, account = self._environment, self._account
        args = DnsArgs(
            context=account.context,
            internal_domain=environment.internal_domain,
            vpc_id=self.network.vpc_id,
            hosted_zone_id=account.aws.hosted_zone.id,
            hosted_zone_name=account.aws.hosted_zone.name,
            public=self._edge.records,
            private=self._private_records(),
        )
        return Dns(f"{environment.name}-dns", args, account.options)

    def _private_records(self) -> dict[str, DnsRecordArgs]:
        """Return names that stay when their targets change; TLS verifies AWS's own names, which are in the output."""
        environment = self._environment
        records = {
            naming.fqdn(host.name, environment.name): DnsRecordArgs(kind="A", values=[host.address])
            for host in environment.hosts
        }
        names: dict[str, pulumi.Input[str]] = {}
        if self._database is not None:
            names["database-primary"] = self._database.address
            names["database-replica"] = self._database.replica_addresses[0]
        if self._cache is not None:
            for purpose in self._account.plan.caches:
                names[f"cache-{purpose.replace('_', '-')}"] = self._cache.primary_addresses[purpose]
        return records | {
            naming.fqdn(name, environment.name): DnsRecordArgs(kind="CNAME", values=[value])
            for name, value in names.items()
        }
