"""Hosts and their groups, from counts or from a list of existing servers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from stackwright.model import addressing, naming
from stackwright.model.aws import regions, sizes, subnets
from stackwright.model.aws.stackfile import Aws
from stackwright.model.stackfile import OperatingSystem, Size, StackFile, Tier, Topology
from stackwright.model.system import System

TIERS: tuple[Tier, ...] = ("edge", "app", "database", "cache", "ops")
#: Hosts of a tier if the topology has no count.
COUNTS: Mapping[Tier, int] = {"edge": 1, "app": 2, "database": 2, "cache": 1, "ops": 1}

#: CPUs and memory of a host by class of the environment and tier; `server` is the host of size A.
SIZES: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "development": {
        "server": (2, 8192),
        "edge": (1, 1024),
        "app": (2, 3072),
        "database": (1, 2048),
        "cache": (1, 1024),
        "ops": (1, 1024),
    },
    "staging": {
        "server": (4, 8192),
        "edge": (1, 1024),
        "app": (2, 4096),
        "database": (2, 4096),
        "cache": (1, 2048),
        "ops": (1, 2048),
    },
    "production": {
        "server": (4, 16384),
        "edge": (2, 4096),
        "app": (4, 8192),
        "database": (4, 16384),
        "cache": (2, 4096),
        "ops": (2, 4096),
    },
}


#: The user that may log in at first, by the operating system of a cloud's image.
USERS: Mapping[str, str] = {
    "debian-12": "admin",
    "debian-13": "admin",
    "ubuntu-24.04": "ubuntu",
    "windows-2022": "Administrator",
    "windows-2025": "Administrator",
}


@dataclass(frozen=True, kw_only=True)
class Host:
    """A server of the environment."""

    name: str
    address: str
    #: In the order of `TIERS`, then `consensus`.
    groups: tuple[str, ...]
    cpus: int
    memory_mb: int
    disk_gb: int | None = None
    os: str = "debian-13"
    bootstrap_user: str = "root"
    #: Whether the content of the server may be replaced at first contact.
    takeover: bool = False
    port: int = 22
    #: Public key line; None if the provider records it at creation.
    host_key: str | None = None
    #: In a cloud: the zone and the instance type.
    zone: str | None = None
    type: str | None = None
    #: A slot of an Auto Scaling group: counted in every budget, but not a host that users log in to.
    slot: bool = False

    @property
    def windows(self) -> bool:
        """Return whether the host runs Windows."""
        return is_windows(self.os)


def is_windows(system: str) -> bool:
    """Return whether an operating system is Windows."""
    return system.startswith("windows-")


def os_of(stack: StackFile, tier: str) -> OperatingSystem:
    """Return the operating system of the hosts that are created for a tier."""
    return next((system for name, system in stack.tier_os.items() if name == tier), stack.os)


def needed(system: System | None) -> tuple[Tier, ...]:
    """Return the tiers that a system needs: its stores, and `ops` if there is something to back up; for None all."""
    if system is None:
        return TIERS
    stored = system.database is not None or any(instance.persistence != "none" for instance in system.cache.values())
    work: dict[Tier, bool] = {
        "edge": True,
        "app": True,
        "database": system.database is not None,
        "cache": bool(system.cache),
        "ops": stored or any(app.uploads for app in system.apps.values()),
    }
    return tuple(tier for tier in TIERS if work[tier])


def created(stack: StackFile, system: System | None = None) -> tuple[str, ...]:
    """Return the tiers that hosts are created for, `server` for size A; none if the servers exist already."""
    if stack.topology is None or stack.provider == "bare_metal":
        return ()
    if stack.topology.size == "A":
        return ("server",)
    return tuple(tier for tier, number in counts(stack, stack.topology, needed(system)).items() if number)


def managed(stack: StackFile) -> tuple[Tier, ...]:
    """Return the tiers that a cloud manages: those of size C, except a database that the environment runs itself."""
    if stack.topology is None or stack.topology.size != "C":
        return ()
    own_database = stack.aws is not None and stack.aws.database.run_by == "hosts"
    return ("edge", "cache") if own_database else ("edge", "database", "cache")


def copies_to_own_bucket(stack: StackFile) -> bool:
    """Return whether backups are copied to a bucket that the program creates, with the repository host's role."""
    copy_to = stack.backups.copy_to
    return (
        stack.aws is not None
        and copy_to is not None
        and copy_to.type == "s3"
        and not (copy_to.endpoint or copy_to.bucket)
    )


def counts(stack: StackFile, topology: Topology, tiers: Collection[Tier] = TIERS) -> dict[Tier, int]:
    """Return the number of hosts of each tier; empty for size A (one server). Requested ops hosts always count."""
    if topology.size == "A":
        return {}
    requested_counts, left_out = told(topology), managed(stack)
    some = {*tiers, *({"ops"} & requested_counts.keys())} - {*left_out}
    host_counts = {tier: requested_counts.get(tier, COUNTS[tier]) for tier in TIERS if tier in some}
    if "database" in left_out:
        # There is no vote, and the cloud makes the backups.
        host_counts["ops"] = requested_counts.get("ops", 0)
    if stack.aws is not None and stack.aws.app.group is not None:
        host_counts["app"] = stack.aws.app.group.max
    return host_counts


def told(topology: Topology) -> dict[Tier, int]:
    """Return the counts that the user configured."""
    numbers: dict[Tier, int | None] = {tier: getattr(topology, tier) for tier in TIERS}
    return {tier: number for tier, number in numbers.items() if number is not None}


def create(stack: StackFile, topology: Topology, tiers: Sequence[Tier] = TIERS) -> tuple[Host, ...]:
    """Return the hosts of a topology in some tiers, with names, sizes and addresses.

    Raises ValueError if the network or the provider has no room for them.
    """
    if topology.size == "A":
        return (_host(stack, "server", 1, tuple(tiers)),)
    # A cloud's load balancer distributes requests over hosts; on each host an edge distributes them over its instances.
    app_tiers: tuple[Tier, ...] = ("edge", "app")
    return tuple(
        _host(stack, tier, number, app_tiers if tier == "app" and "edge" in managed(stack) else (tier,))
        for tier, n in counts(stack, topology, tiers).items()
        for number in range(1, n + 1)
    )


def _host(stack: StackFile, tier: str, number: int, groups: tuple[Tier, ...]) -> Host:
    cpus, memory_mb = SIZES[stack.class_][tier]
    size = next((size for name, size in stack.sizes.items() if name == tier), Size())
    cidr = next((cidr for name, cidr in stack.network.subnets.items() if name == tier), stack.network.cidr)
    host = Host(
        name=naming.host_name(tier, number),
        address="",
        groups=groups,
        cpus=size.cpus or cpus,
        memory_mb=size.memory_mb or memory_mb,
        disk_gb=size.disk_gb,
        os=os_of(stack, tier),
    )
    if stack.aws is not None:
        return _in_cloud(stack, stack.aws, host, tier, number)
    return replace(host, address=addressing.address(cidr, tier, number))


def _in_cloud(stack: StackFile, aws: Aws, host: Host, tier: str, number: int) -> Host:
    """Return the host with its zone and the type that has at least the requested size; the type sets its final size."""
    zones = regions.zones(aws.region, aws.zones)
    zone = zones[(number - 1) % len(zones)]
    bursts = stack.class_ != "production"
    if tier == "app" and aws.app.instance_type is not None:
        server_type = sizes.named(aws.app.instance_type)
    else:
        server_type = sizes.server(
            host.cpus, host.memory_mb, architecture=architecture(aws, tier), bursts=bursts, region=aws.region
        )
    slot = tier == "app" and aws.app.group is not None
    cidr = subnets.plan(stack.network.cidr, zones)[subnets.kind(tier)][zone]
    return replace(
        host,
        address="" if slot else addressing.address(cidr, tier, number),
        cpus=server_type.cpus,
        memory_mb=server_type.memory_mb,
        bootstrap_user=USERS[host.os],
        zone=zone,
        type=server_type.name,
        slot=slot,
    )


def architecture(aws: Aws, tier: str) -> str:
    """Return the architecture of a tier's servers; only the app tier may differ from the one packages are tested on."""
    return aws.app.architecture if tier == "app" else "x86_64"


def voters(hosts: Sequence[Host]) -> tuple[str, ...]:
    """Return the hosts that elect the database's leader.

    These are the hosts of the group `consensus`, else the database hosts, plus one ops host if their number is even.
    """
    database = [host.name for host in hosts if "database" in host.groups]
    consensus = tuple(host.name for host in hosts if "consensus" in host.groups)
    if consensus and database:
        return consensus
    ops = [host.name for host in hosts if "ops" in host.groups and host.name not in database]
    return tuple(database + ops[: 1 - len(database) % 2] if database else [])


def playbook_groups(
    stack: StackFile, hosts: Sequence[Host], system: System | None = None
) -> dict[str, tuple[str, ...]]:
    """Return group -> its hosts, for tasks of hosts of several tiers; empty if a cloud does the work.

    `database_proxy` finds the leader of the environment's own database, and `database_pool` shares its connections;
    `database_admin` applies the objects of a managed database; these three need a system with a database. `backup` has
    a repository or writes to one; `metrics` has hosts in a cloud that send it what it cannot see; `windows` has hosts
    that roles for Linux do not support.
    """
    own_database = "database" not in managed(stack)
    database = system is None or system.database is not None
    pooled = database and (system is None or any(app.database for app in system.apps.values()))
    ops = [host.name for host in hosts if "ops" in host.groups]
    # Servers of an Auto Scaling group store nothing permanently, and a repository alone has nothing to back up.
    has_backups = bool(ops) and any(set(host.groups) - {"ops"} for host in hosts if not host.slot)
    return {
        "database_proxy": tuple(host.name for host in hosts if own_database and pooled and "app" in host.groups),
        "database_pool": tuple(host.name for host in hosts if pooled and "app" in host.groups),
        "database_admin": () if own_database or not database else tuple(ops[:1]),
        "backup": tuple(host.name for host in hosts if has_backups),
        "metrics": tuple(host.name for host in hosts if stack.aws is not None and not host.windows),
        "windows": tuple(host.name for host in hosts if host.windows),
    }


def groups(hosts: Sequence[Host]) -> dict[str, tuple[str, ...]]:
    """Return group -> its hosts, with `consensus`; a tier without hosts is an empty group, so plays still parse."""
    tier_hosts: dict[str, tuple[str, ...]] = {
        tier: tuple(host.name for host in hosts if tier in host.groups) for tier in TIERS
    }
    return tier_hosts | {"consensus": voters(hosts)}
