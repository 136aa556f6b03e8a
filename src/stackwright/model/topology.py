"""Which hosts there are and what each does, from counts or from a list of servers that exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stackwright.model import addressing, naming
from stackwright.model.stackfile import Size, StackFile, Tier, Topology

TIERS: tuple[Tier, ...] = ("edge", "app", "database", "cache", "ops")
#: Tiers whose work a cloud does in size C.
MANAGED_TIERS: tuple[Tier, ...] = ("database", "cache")

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
    port: int = 22
    #: Public key line; None where the provider records it at creation.
    host_key: str | None = None


def counts(topology: Topology) -> dict[Tier, int]:
    """Hosts per tier; empty for size A, where one server does it all."""
    if topology.size == "A":
        return {}
    said = told(topology)
    wanted = {tier: said.get(tier, COUNTS[tier]) for tier in TIERS}
    return {tier: n for tier, n in wanted.items() if not (topology.size == "C" and tier in MANAGED_TIERS)}


def told(topology: Topology) -> dict[Tier, int]:
    """The counts that a person wrote."""
    found: dict[Tier, int | None] = {tier: getattr(topology, tier) for tier in TIERS}
    return {tier: number for tier, number in found.items() if number is not None}


def create(stack: StackFile, topology: Topology) -> tuple[Host, ...]:
    """The hosts that a topology asks for, named, sized and addressed."""
    if topology.size == "A":
        return (_host(stack, "server", 1, TIERS),)
    return tuple(
        _host(stack, tier, number, (tier,)) for tier, n in counts(topology).items() for number in range(1, n + 1)
    )


def _host(stack: StackFile, tier: str, number: int, groups: tuple[Tier, ...]) -> Host:
    cpus, memory_mb = SIZES[stack.class_][tier]
    size = next((size for name, size in stack.sizes.items() if name == tier), Size())
    cidr = next((cidr for name, cidr in stack.network.subnets.items() if name == tier), stack.network.cidr)
    return Host(
        name=naming.host_name(tier, number),
        address=addressing.address(cidr, tier, number),
        groups=groups,
        cpus=size.cpus or cpus,
        memory_mb=size.memory_mb or memory_mb,
        disk_gb=size.disk_gb,
        os=stack.os,
    )


def voters(hosts: Sequence[Host]) -> tuple[str, ...]:
    """The hosts that elect the database's leader.

    Those that are told to (group `consensus`), else the database hosts, plus one of ops where their number is even.
    """
    told = tuple(host.name for host in hosts if "consensus" in host.groups)
    if told:
        return told
    database = [host.name for host in hosts if "database" in host.groups]
    others = [host.name for host in hosts if "ops" in host.groups and host.name not in database]
    return tuple(database + others[: 1 - len(database) % 2] if database else [])


def groups(hosts: Sequence[Host]) -> dict[str, tuple[str, ...]]:
    """Group -> its hosts, `consensus` included; a tier without hosts is an empty group, so that plays still parse."""
    found: dict[str, tuple[str, ...]] = {
        tier: tuple(host.name for host in hosts if tier in host.groups) for tier in TIERS
    }
    return found | {"consensus": voters(hosts)}
