"""Services on the environment's own hosts: Pulumi creates nothing for them, Ansible installs them.

To the rest of the program they look like a managed service: endpoints and names of secrets.
"""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pulumi

from stackwright.infra.components.protocols import Compute, Watch
from stackwright.infra.components.results import CloudResult, Endpoint, ServiceResult
from stackwright.infra.keys import KeyPair
from stackwright.model.environment import Environment
from stackwright.model.secrets import secret_names

#: Ports as in docs/architecture.md; those of the cache are defined by the system.
HTTPS_PORT = 443
POSTGRESQL_PORT = 5432
PGBACKREST_PORT = 8432
RESTIC_PORT = 8500


@dataclass(frozen=True, kw_only=True)
class ServiceArgs:
    """A service on hosts of the environment."""

    scheme: str
    #: Host -> address.
    hosts: Mapping[str, pulumi.Input[str]]
    #: Endpoint -> port; every host has every endpoint.
    ports: Mapping[str, int]
    #: Names, never values.
    secrets: Sequence[str]


class SelfHostedService(pulumi.ComponentResource):
    """Base class of the four services: records the service, creates nothing."""

    def __init__(self, token: str, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None) -> None:
        super().__init__(token, name, None, opts)
        self._args = args
        self.register_outputs({"hosts": args.hosts, "ports": args.ports, "secrets": args.secrets})

    @property
    def result(self) -> ServiceResult:
        """Return the endpoints of the service, and the secrets it needs."""
        addresses = tuple(self._args.hosts.values())
        return ServiceResult(
            endpoints={
                name: Endpoint(scheme=self._args.scheme, addresses=addresses, port=port)
                for name, port in self._args.ports.items()
            },
            secrets=tuple(self._args.secrets),
        )


class SelfHostedLoadBalancer(SelfHostedService):
    """nginx on the hosts of the tier `edge`."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:selfhosted:LoadBalancer", name, args, opts)


class SelfHostedDatabase(SelfHostedService):
    """PostgreSQL under Patroni on the hosts of the tier `database`."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:selfhosted:Database", name, args, opts)


class SelfHostedCache(SelfHostedService):
    """Redis on the hosts of the tier `cache`, an instance per purpose."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:selfhosted:Cache", name, args, opts)


class SelfHostedObjectStore(SelfHostedService):
    """The backup repositories on the hosts of the tier `ops`."""

    def __init__(self, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:selfhosted:ObjectStore", name, args, opts)


class SelfHostedServices(ABC):
    """The part of a `Platform` that is the same for all providers whose services run on the environment's own hosts."""

    def __init__(self, environment: Environment, keys: KeyPair) -> None:
        self._environment, self._keys = environment, keys

    @property
    @abstractmethod
    def compute(self) -> Compute:
        """Return the hosts that the services run on."""

    @cached_property
    def load_balancer(self) -> SelfHostedLoadBalancer:
        """Return the load balancer: nginx on the edge hosts."""
        args = ServiceArgs(scheme="https", hosts=self._tier("edge"), ports={"https": HTTPS_PORT}, secrets=[])
        return SelfHostedLoadBalancer(f"{self._environment.name}-load-balancer", args)

    @cached_property
    def database(self) -> SelfHostedDatabase:
        """Return the database: PostgreSQL under Patroni."""
        args = ServiceArgs(
            scheme="postgresql",
            hosts=self._tier("database"),
            ports={"postgresql": POSTGRESQL_PORT} if self._environment.system.database else {},
            secrets=self._secrets("postgresql/", "patroni/", "etcd/", "pgbouncer/"),
        )
        return SelfHostedDatabase(f"{self._environment.name}-database", args)

    @cached_property
    def cache(self) -> SelfHostedCache:
        """Return the cache: Redis, an instance per purpose."""
        ports = {f"redis_{purpose}": redis.port for purpose, redis in self._environment.system.cache.items()}
        args = ServiceArgs(scheme="rediss", hosts=self._tier("cache"), ports=ports, secrets=self._secrets("redis/"))
        return SelfHostedCache(f"{self._environment.name}-cache", args)

    @cached_property
    def object_store(self) -> SelfHostedObjectStore:
        """Return the object store: the repositories of pgBackRest and restic."""
        database = {"database_backups": PGBACKREST_PORT} if self._environment.system.database else {}
        args = ServiceArgs(
            scheme="https",
            hosts=self._tier("ops"),
            ports={**database, "file_backups": RESTIC_PORT},
            secrets=self._secrets("pgbackrest/", "restic/"),
        )
        return SelfHostedObjectStore(f"{self._environment.name}-object-store", args)

    @property
    def watch(self) -> Watch | None:
        """Return None: self-hosted services are monitored by software on their hosts."""
        return None

    @property
    def cloud(self) -> CloudResult | None:
        """Return None, unless the provider is a cloud and overrides this."""
        return None

    def _tier(self, tier: str) -> dict[str, pulumi.Input[str]]:
        return {name: self.compute.result.hosts[name].address for name in self._environment.groups[tier]}

    def _secrets(self, *prefixes: str) -> list[str]:
        return [spec.name for spec in secret_names(self._environment) if spec.name.startswith(prefixes)]
