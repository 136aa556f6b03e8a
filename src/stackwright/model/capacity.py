"""Capacity of hosts: memory and instances per host, database connections, and the kernel limits that follow.

Values are in megabytes unless the name says otherwise. Each part that runs on a host has a share of its memory; the sum
of the shares must not exceed the memory of the host.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: Kernel, systemd, SSH, journald, and room for apt: what a Debian server uses without any workload.
SYSTEM_MB = 384
#: Microsoft's requirement for Windows Server with desktop, which the public images have ("Hardware requirements").
WINDOWS_MB = 2048
EDGE_MB = 128
#: PgBouncer and HAProxy on an application host.
PROXIES_MB = 128
CONSENSUS_MB = 128
OPS_MB = 192
#: With less memory, PostgreSQL with 100 connections has no room for its buffers.
DATABASE_MIN_MB = 512
#: Redis' own structures, client buffers, and the pages that a fork for persistence copies.
CACHE_OVERHEAD = 1.5

#: Connections of the database that PgBouncer may not use, by their users.
RESERVED_CONNECTIONS: Mapping[str, int] = {"superuser": 3, "patroni": 3, "backup": 2, "operator": 2}
#: PgBouncer looks up a user's password over a connection of its own.
AUTH_CONNECTIONS_PER_HOST = 1
#: An instance needs one connection to write and one to read; otherwise every request waits for other requests.
MIN_CONNECTIONS_PER_INSTANCE = 2


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What an application requires on each of its hosts."""

    app: str
    #: A number, or None for one per CPU.
    instances: int | None
    max_instances: int
    memory_mb: int


@dataclass(frozen=True, kw_only=True)
class HostPlan:
    """The shares of a host's memory."""

    memory_mb: int
    #: Part -> megabytes.
    shares: Mapping[str, int]
    #: Application -> instances.
    instances: Mapping[str, int]

    @property
    def needed_mb(self) -> int:
        return sum(self.shares.values())

    @property
    def fits(self) -> bool:
        return self.needed_mb <= self.memory_mb

    @property
    def sum_text(self) -> str:
        """Return the sum in readable form: `system 384 + emr 4 x 1024 = 4480 MB of 2048 MB`."""
        parts = [f"{part} {self._product(part, mb)}" for part, mb in self.shares.items()]
        return f"{' + '.join(parts)} = {self.needed_mb} MB of {self.memory_mb} MB"

    def _product(self, part: str, mb: int) -> str:
        number = self.instances.get(part)
        return f"{number} x {mb // number}" if number else str(mb)


def plan_host(
    *,
    groups: Sequence[str],
    cpus: int,
    memory_mb: int,
    demands: Sequence[Demand],
    cache_mb: Sequence[int],
    windows: bool = False,
) -> HostPlan:
    """Divide a host's memory. The database gets what the others leave; it is over budget only below its minimum."""
    shares = {"system": WINDOWS_MB if windows else SYSTEM_MB}
    if "edge" in groups:
        shares["edge"] = EDGE_MB
    if "app" in groups:
        shares["proxies"] = PROXIES_MB
    if "cache" in groups:
        shares["cache"] = cache_memory(cache_mb)
    if "consensus" in groups:
        shares["consensus"] = CONSENSUS_MB
    if "ops" in groups:
        shares["ops"] = OPS_MB
    reserved_mb = DATABASE_MIN_MB if "database" in groups else 0
    instances: dict[str, int] = {}
    if "app" in groups:
        free = memory_mb - sum(shares.values()) - reserved_mb
        instances = plan_instances(cpus=cpus, memory_mb=free, demands=demands)
        for demand in demands:
            shares[demand.app] = instances[demand.app] * demand.memory_mb
    if "database" in groups:
        shares["database"] = max(DATABASE_MIN_MB, memory_mb - sum(shares.values()))
    return HostPlan(memory_mb=memory_mb, shares=shares, instances=instances)


def plan_instances(*, cpus: int, memory_mb: int, demands: Sequence[Demand]) -> dict[str, int]:
    """Return the instances per application: the requested number, else one per CPU as far as memory and ports allow.

    The result is at least one; whether that fits is determined by the host's sum.
    """
    free = memory_mb - sum((demand.instances or 0) * demand.memory_mb for demand in demands)
    planned: dict[str, int] = {}
    open_demands = sum(1 for demand in demands if demand.instances is None)
    for demand in demands:
        if demand.instances is not None:
            planned[demand.app] = demand.instances
            continue
        fitting = free // open_demands // demand.memory_mb
        planned[demand.app] = max(1, min(cpus, demand.max_instances, fitting))
        free -= planned[demand.app] * demand.memory_mb
        open_demands -= 1
    return planned


def cache_memory(instances_mb: Sequence[int]) -> int:
    """Return the total memory that cache instances with these `maxmemory` values need."""
    return sum(math.ceil(mb * CACHE_OVERHEAD) for mb in instances_mb)


@dataclass(frozen=True, kw_only=True)
class Client:
    """The instances of an application on one host, as the database sees them."""

    host: str
    app: str
    instances: int
    #: Connections that one instance opens to PgBouncer.
    pool: int
    reads_replica: bool


@dataclass(frozen=True, kw_only=True)
class Pool:
    """PgBouncer's connections for one application on one host."""

    host: str
    app: str
    primary: int
    replica: int
    #: Connections of all its instances to PgBouncer.
    clients: int


@dataclass(frozen=True, kw_only=True)
class ConnectionBudget:
    """How the database's connections are divided. Replica pools count too: without a replica they use the primary."""

    max_connections: int
    reserved: Mapping[str, int]
    pools: tuple[Pool, ...]
    #: The minimum that the instances need.
    needed: int

    @property
    def pooled(self) -> int:
        return sum(pool.primary + pool.replica for pool in self.pools)

    @property
    def total(self) -> int:
        return sum(self.reserved.values()) + max(self.pooled, self.needed)

    @property
    def fits(self) -> bool:
        return self.total <= self.max_connections

    @property
    def sum_text(self) -> str:
        parts = [f"{name} {number}" for name, number in self.reserved.items()]
        parts.append(f"PgBouncer {max(self.pooled, self.needed)}")
        return f"{' + '.join(parts)} = {self.total} of max_connections {self.max_connections}"


def plan_connections(
    *, max_connections: int, role_limits: Sequence[int], clients: Sequence[Client], per_host: int | None
) -> ConnectionBudget:
    """Divide the connections: reserved ones first, the rest evenly over hosts, then over instances.

    `role_limits`: limits of roles that log in without PgBouncer. `per_host`: what the environment configures, or None.
    """
    hosts = list(dict.fromkeys(client.host for client in clients))
    reserved = dict(RESERVED_CONNECTIONS) | {"other roles": sum(limit for limit in role_limits if limit > 0)}
    reserved["password queries"] = AUTH_CONNECTIONS_PER_HOST * len(hosts)
    free = max_connections - sum(reserved.values())
    share = per_host if per_host is not None else max(0, free) // max(1, len(hosts))
    pools = tuple(
        pool for host in hosts for pool in _pools(share, [client for client in clients if client.host == host])
    )
    return ConnectionBudget(
        max_connections=max_connections,
        reserved=reserved,
        pools=pools,
        needed=sum(client.instances for client in clients) * MIN_CONNECTIONS_PER_INSTANCE,
    )


def _pools(share: int, clients: Sequence[Client]) -> list[Pool]:
    """Divide the host's share by instances; two thirds are for the primary, which reads and writes."""
    instances = sum(client.instances for client in clients)
    pools = []
    for client in clients:
        portion = share * client.instances // instances
        # Primary and replica have one connection each as long as there are two.
        replica = min(portion // 2, max(1, portion // 3)) if client.reads_replica else 0
        # An instance opens its pool to each of the two addresses.
        connections = client.instances * client.pool * (2 if client.reads_replica else 1)
        pools.append(
            Pool(host=client.host, app=client.app, primary=portion - replica, replica=replica, clients=connections)
        )
    return pools


def edge_connections(memory_mb: int) -> int:
    """Return the connections of one edge worker: 4 per megabyte of the host, from 1024 to 16384."""
    return min(16_384, max(1024, memory_mb * 4))


def kernel_limits(
    *, groups: Sequence[str], memory_mb: int, clients: int, max_connections: int
) -> dict[str, dict[str, int | str]]:
    """Return the `sysctl` values and the `open_files` by service that the groups of a host require.

    `clients`: connections to PgBouncer on this host. An edge connection is two files: the client's and the instance's.
    """
    sysctl: dict[str, int | str] = {"net.core.somaxconn": 4096, "vm.swappiness": 10}
    files: dict[str, int | str] = {}
    if "edge" in groups:
        files["nginx"] = 2 * edge_connections(memory_mb) + 1024
        sysctl["net.ipv4.tcp_max_syn_backlog"] = 8192
        # Above all ports that services listen on.
        sysctl["net.ipv4.ip_local_port_range"] = "10240 65535"
    if "app" in groups:
        files["pgbouncer"] = _rounded(2 * (clients + max_connections) + 256)
        files["haproxy"] = _rounded(4 * max_connections + 256)
        files["app"] = 65_536
    if "database" in groups:
        files["postgresql"] = 65_536
        sysctl |= {"vm.swappiness": 1, "vm.dirty_background_bytes": 64 * 2**20, "vm.dirty_bytes": 512 * 2**20}
    # One value per host: Redis, which forks to persist, needs 1; PostgreSQL alone on a large host is safer with 2.
    if "cache" in groups:
        files["redis"] = 16_384
        sysctl["vm.overcommit_memory"] = 1
    elif tuple(group for group in groups if group != "consensus") == ("database",) and memory_mb >= 4096:
        sysctl |= {"vm.overcommit_memory": 2, "vm.overcommit_ratio": 90}
    if "consensus" in groups:
        files["etcd"] = 65_536
    sysctl["fs.file-max"] = max(262_144, 256 * memory_mb)
    return {"sysctl": dict(sorted(sysctl.items())), "open_files": dict(sorted(files.items()))}


def _rounded(number: int) -> int:
    """Round up to the next power of two, so that a small change of a pool changes no limit."""
    return 1 << max(0, number - 1).bit_length()
