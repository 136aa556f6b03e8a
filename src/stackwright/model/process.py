"""The processes of applications, independent of the operating system: which instances run where, with which limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stackwright.model.system import App
from stackwright.model.topology import Host

LOOPBACK = "127.0.0.1"
#: Variables of an instance that follow from the environment; applications must not set them.
GENERATED_VARIABLES: Mapping[str, str] = {
    "HOST": "the address that the instance listens on",
    "PORT": "the port that the instance listens on",
    "INSTANCE_ID": "the name of the instance",
    "TRUSTED_PROXIES": "the addresses of the edge",
    "KILL_TIMEOUT_MS": "`process.kill_seconds`",
    "UPLOADS_DIR": "`uploads`",
    "UPLOADS_DIRS": "`uploads`",
    "UPLOADS_BUCKET": "`uploads`",
    "AWS_REGION": "the region of the uploads",
    "DATABASE_URL": "`database`",
    "DATABASE_READ_URL": "`database`",
    "MIGRATION_DATABASE_URL": "`database`",
    "DATABASE_POOL_MAX": "`database.pool`",
    "DATABASE_POOL_TIMEOUT_MS": "`database.pool_timeout_seconds`",
    "REDIS_CA_FILE": "`cache`",
    "REDIS_CA_SHA256": "`cache`",
    "REDIS_SESSIONS_URL": "`cache`",
    "REDIS_CACHE_URL": "`cache`",
    "REDIS_RATE_LIMIT_URL": "`cache`",
    # Set by PM2 and by Node.js under it.
    "NODE_APP_INSTANCE": "the process manager",
    "NODE_CHANNEL_FD": "the process manager",
    "NODE_CHANNEL_SERIALIZATION_MODE": "the process manager",
    "NODE_UNIQUE_ID": "the process manager",
    "PM2_HOME": "the process manager",
}
#: Endings of variables whose values are secrets, except for those that a bundler includes in pages anyway.
_SECRET_ENDINGS = ("PASSWORD", "PASSPHRASE", "SECRET", "TOKEN", "PRIVATE_KEY", "SECRET_KEY")
_PUBLIC_BEGINNINGS = ("NEXT_PUBLIC_", "VITE_", "REACT_APP_", "NUXT_PUBLIC_", "PUBLIC_", "EXPO_PUBLIC_")


def holds_a_secret(variable: str) -> bool:
    """Return whether a variable's name suggests that its value is a secret."""
    return variable.endswith(_SECRET_ENDINGS) and not variable.startswith(_PUBLIC_BEGINNINGS)


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One process of an application."""

    name: str
    address: str
    port: int


@dataclass(frozen=True, kw_only=True)
class AppPlan:
    """An application in one environment."""

    name: str
    app: App
    memory_mb: int
    database_pool: int
    environment: Mapping[str, str | int | bool]
    #: Relative to the project's root.
    artifact: str
    #: Host -> its instances, in the order of their ports.
    instances: Mapping[str, tuple[Instance, ...]]

    @property
    def endpoints(self) -> tuple[tuple[str, str, int], ...]:
        """Return (host, address, port) of everything that accepts requests; in cluster mode instances share a port."""
        every = ((host, instance.address, instance.port) for host, ones in self.instances.items() for instance in ones)
        return tuple(dict.fromkeys(every))


def instances(app_name: str, app: App, number: int, address: str) -> tuple[Instance, ...]:
    """Return the `number` instances of an application on one host."""
    step = 0 if app.process.mode == "cluster" else 1
    return tuple(
        Instance(name=f"{app_name}-{n + 1}", address=address, port=app.process.first_port + n * step)
        for n in range(number)
    )


def listen_address(host: Host, edge_hosts: Sequence[str], app_hosts: int) -> str:
    """Return the listen address of instances: loopback if their only edge is on their own host, to exclude others."""
    alone = list(edge_hosts) == [host.name] and app_hosts == 1
    return LOOPBACK if alone else host.address
