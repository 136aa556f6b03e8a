"""Which hosts there are and what each does, from counts or from a list of servers that exist."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from stackwright.model import addressing, naming
from stackwright.model.aws import regions, sizes, subnets
from stackwright.model.aws.stackfile import Aws
from stackwright.model.stackfile import OperatingSystem, Size, StackFile, Tier, Topology
from stackwright.model.system import System

TIERS: tuple[Tier, ...] = ("edge", "app", "database", "cache", "ops")
#: Hosts of a tier where the topology does not say.
COUNTS: Mapping[Tier, int] = {"edge": 1, "app": 2, "database": 2, "cache": 1, "ops": 1}

#: CPUs and memory of a host by class of the environment and tier; `server` is the one of size A.
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


#: Who may log in to a cloud's image of a system at first.
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
    #: Whether what the server has at first contact may be replaced.
    takeover: bool = False
    port: int = 22
    #: Public key line; None where the provider records it at creation.
    host_key: str | None = None
    #: Of a cloud: where it is, and the type of server that it is.
    zone: str | None = None
    type: str | None = None
    #: A place in a group that grows and shrinks: counted in every budget, but no host that anybody logs in to.
    slot: bool = False

    @property
    def windows(self) -> bool:
        """Whether it is no Linux."""
        return is_windows(self.os)


def is_windows(system: str) -> bool:
    """Whether an operating system is no Linux."""
    return system.startswith("windows-")


def os_of(stack: StackFile, tier: str) -> OperatingSystem:
    """The operating system of the hosts that are created for a tier."""
    return next((system for name, system in stack.tier_os.items() if name == tier), stack.os)


def needed(system: System | None) -> tuple[Tier, ...]:
    """The tiers that a system has work for: what it stores in, and `ops` where there is something to back up; None: all."""
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
    """The tiers that hosts are created for, `server` being that of size A; none where servers exist already."""
    if stack.topology is None or stack.provider == "bare_metal":
        return ()
    if stack.topology.size == "A":
        return ("server",)
    return tuple(tier for tier, number in counts(stack, stack.topology, needed(system)).items() if number)


def managed(stack: StackFile) -> tuple[Tier, ...]:
    """The tiers whose work a cloud does: those of size C, but for a database that the environment runs itself."""
    if stack.topology is None or stack.topology.size != "C":
        return ()
    own_database = stack.aws is not None and stack.aws.database.run_by == "hosts"
    return ("edge", "cache") if own_database else ("edge", "database", "cache")


def copies_to_own_bucket(stack: StackFile) -> bool:
    """Whether the copy of the backups goes into a bucket that the program creates, by the role of the repository host."""
    copy_to = stack.backups.copy_to
    return (
        stack.aws is not None
        and copy_to is not None
        and copy_to.type == "s3"
        and not (copy_to.endpoint or copy_to.bucket)
    )


def counts(stack: StackFile, topology: Topology, tiers: Collection[Tier] = TIERS) -> dict[Tier, int]:
    """Hosts of each of `tiers`; empty for size A, where one server does it all. Who asks for a host of ops gets it."""
    if topology.size == "A":
        return {}
    requested_counts, left_out = told(topology), managed(stack)
    some = {*tiers, *({"ops"} & requested_counts.keys())} - {*left_out}
    host_counts = {tier: requested_counts.get(tier, COUNTS[tier]) for tier in TIERS if tier in some}
    if "database" in left_out:
        # Nobody votes, and backups are the cloud's.
        host_counts["ops"] = requested_counts.get("ops", 0)
    if stack.aws is not None and stack.aws.app.group is not None:
        host_counts["app"] = stack.aws.app.group.max
    return host_counts


def told(topology: Topology) -> dict[Tier, int]:
    """The counts that a person wrote."""
    numbers: dict[Tier, int | None] = {tier: getattr(topology, tier) for tier in TIERS}
    return {tier: number for tier, number in numbers.items() if number is not None}


def create(stack: StackFile, topology: Topology, tiers: Sequence[Tier] = TIERS) -> tuple[Host, ...]:
    """The hosts that a topology asks for in some tiers, named, sized and addressed.

    Raises ValueError where the network or the provider has no place for them.
    """
    if topology.size == "A":
        return (_host(stack, "server", 1, tuple(tiers)),)
    # A cloud's load balancer shares requests out over hosts; on each, an edge of its own over the instances.
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
    """With the zone, and the type that has at least what is asked for; then it has all that the type has."""
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
    """Of the servers of a tier: only the application's may be another than what all our packages are proven on."""
    return aws.app.architecture if tier == "app" else "x86_64"


def voters(hosts: Sequence[Host]) -> tuple[str, ...]:
    """The hosts that elect the database's leader.

    Those that are told to (group `consensus`), else the database hosts, plus one of ops where their number is even.
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
    """Group -> its hosts, for what is asked of hosts of several tiers; empty where a cloud does the work.

    `database_proxy` finds the leader of the environment's own database; `database_pool` shares its connections;
    `database_admin` applies the objects of one that a cloud runs; these where the system has a database; `backup` has a repository or writes to one;
    `metrics` has hosts of a cloud that send it what it cannot see; `windows` has hosts that roles for Linux are not for.
    """
    own_database = "database" not in managed(stack)
    database = system is None or system.database is not None
    pooled = database and (system is None or any(app.database for app in system.apps.values()))
    ops = [host.name for host in hosts if "ops" in host.groups]
    # Of a cloud's servers those that come and go keep nothing, and a repository alone has nothing to keep.
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
    """Group -> its hosts, `consensus` included; a tier without hosts is an empty group, so that plays still parse."""
    tier_hosts: dict[str, tuple[str, ...]] = {
        tier: tuple(host.name for host in hosts if tier in host.groups) for tier in TIERS
    }
    return tier_hosts | {"consensus": voters(hosts)}
