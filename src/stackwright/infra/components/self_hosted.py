"""Services that run on the environment's own hosts: nothing to make here, Ansible installs them.

What the rest of the program sees is the same as of a managed service: endpoints and names of secrets.
"""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.components.protocols import Compute
from stackwright.infra.components.results import Endpoint, ServiceResult
from stackwright.model import Environment
from stackwright.model.secrets import secret_names

#: Ports of docs/architecture.md; those of the cache are the system's.
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
    """Common to the four: records what the service is, creates nothing."""

    def __init__(self, token: str, name: str, args: ServiceArgs, opts: pulumi.ResourceOptions | None) -> None:
        super().__init__(token, name, None, opts)
        self._args = args
        self.register_outputs({"hosts": args.hosts, "ports": args.ports, "secrets": args.secrets})

    @property
    def result(self) -> ServiceResult:
        """Where it answers, and the secrets it needs."""
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


class SelfHostedServices:
    """The half of a `Platform` that is the same wherever the services run on own hosts."""

    def load_balancer(self, environment: Environment, compute: Compute) -> SelfHostedLoadBalancer:
        hosts = _tier(environment, compute, "edge")
        args = ServiceArgs(scheme="https", hosts=hosts, ports={"https": HTTPS_PORT}, secrets=[])
        return SelfHostedLoadBalancer(f"{environment.name}-load-balancer", args)

    def database(self, environment: Environment, compute: Compute) -> SelfHostedDatabase:
        args = ServiceArgs(
            scheme="postgresql",
            hosts=_tier(environment, compute, "database"),
            ports={"postgresql": POSTGRESQL_PORT} if environment.system.database else {},
            secrets=_secrets(environment, "postgresql/", "patroni/", "etcd/", "pgbouncer/"),
        )
        return SelfHostedDatabase(f"{environment.name}-database", args)

    def cache(self, environment: Environment, compute: Compute) -> SelfHostedCache:
        args = ServiceArgs(
            scheme="rediss",
            hosts=_tier(environment, compute, "cache"),
            ports={f"redis_{purpose}": instance.port for purpose, instance in environment.system.cache.items()},
            secrets=_secrets(environment, "redis/"),
        )
        return SelfHostedCache(f"{environment.name}-cache", args)

    def object_store(self, environment: Environment, compute: Compute) -> SelfHostedObjectStore:
        database = {"database_backups": PGBACKREST_PORT} if environment.system.database else {}
        args = ServiceArgs(
            scheme="https",
            hosts=_tier(environment, compute, "ops"),
            ports={**database, "file_backups": RESTIC_PORT},
            secrets=_secrets(environment, "pgbackrest/", "restic/"),
        )
        return SelfHostedObjectStore(f"{environment.name}-object-store", args)


def _tier(environment: Environment, compute: Compute, tier: str) -> dict[str, pulumi.Input[str]]:
    return {name: compute.result.hosts[name].address for name in environment.groups[tier]}


def _secrets(environment: Environment, *prefixes: str) -> list[str]:
    return [spec.name for spec in secret_names(environment) if spec.name.startswith(prefixes)]
