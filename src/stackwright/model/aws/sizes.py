"""Instance types of servers, databases and caches on AWS, and pure functions that select them by neutral sizes.

Servers are as AWS described them (DescribeInstanceTypes and -Offerings, recorded by moto 5.2.5 and compared by a test);
databases and caches are from AWS's product pages as remembered in 2026-11, not verified with an account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Type:
    """An available instance type."""

    name: str
    cpus: int
    memory_mb: int
    #: `x86_64` or `arm64`; irrelevant for data managed by AWS.
    architecture: str


#: Size -> virtual CPUs, for the families that count them alike.
_CPUS: Mapping[str, int] = {
    "large": 2,
    "xlarge": 4,
    "2xlarge": 8,
    "4xlarge": 16,
    "8xlarge": 32,
    "12xlarge": 48,
    "16xlarge": 64,
}
#: Size -> (CPUs, MB) of the burstable families, which are chosen for their price.
_BURST: Mapping[str, tuple[int, int]] = {
    "micro": (2, 1024),
    "small": (2, 2048),
    "medium": (2, 4096),
    "large": (2, 8192),
    "xlarge": (4, 16384),
    "2xlarge": (8, 32768),
}
#: Family -> (MB per CPU, architecture).
_FAMILIES: Mapping[str, tuple[int, str]] = {
    "c7i": (2048, "x86_64"),
    "m7i": (4096, "x86_64"),
    "r7i": (8192, "x86_64"),
    "c7g": (2048, "arm64"),
    "m7g": (4096, "arm64"),
    "r7g": (8192, "arm64"),
}
_BURST_FAMILIES: Mapping[str, str] = {"t3": "x86_64", "t4g": "arm64"}
#: Region -> families that it has no servers of. By region only: which zone is called `a` differs between accounts.
NOT_OFFERED: Mapping[str, tuple[str, ...]] = {
    "af-south-1": ("r7i",),
    "ap-east-1": ("r7i",),
    "eu-central-2": ("r7i",),
    "eu-south-1": ("m7g",),
    "il-central-1": ("r7i",),
    "me-central-1": ("c7g", "r7i"),
    "me-south-1": ("c7i", "m7i", "r7i"),
}
#: Usable memory of a cache node in MB, which is less than the machine's memory.
_CACHE: Mapping[str, int] = {
    "cache.t4g.micro": 512,
    "cache.t4g.small": 1402,
    "cache.t4g.medium": 3164,
    "cache.m7g.large": 6533,
    "cache.m7g.xlarge": 13240,
    "cache.m7g.2xlarge": 26654,
    "cache.r7g.large": 13384,
    "cache.r7g.xlarge": 26942,
    "cache.r7g.2xlarge": 54190,
    "cache.r7g.4xlarge": 108359,
}


def _types() -> dict[str, Type]:
    types = [
        Type(name=f"{family}.{size}", cpus=cpus, memory_mb=cpus * per_cpu, architecture=architecture)
        for family, (per_cpu, architecture) in _FAMILIES.items()
        for size, cpus in _CPUS.items()
    ]
    types += [
        Type(name=f"{family}.{size}", cpus=cpus, memory_mb=memory_mb, architecture=architecture)
        for family, architecture in _BURST_FAMILIES.items()
        for size, (cpus, memory_mb) in _BURST.items()
    ]
    return {type_.name: type_ for type_ in types}


SERVERS: Mapping[str, Type] = _types()
#: RDS offers PostgreSQL 17 on these families; sizes are those of the servers.
DATABASES: Mapping[str, Type] = {
    f"db.{name}": Type(name=f"db.{name}", cpus=type_.cpus, memory_mb=type_.memory_mb, architecture=type_.architecture)
    for name, type_ in SERVERS.items()
    if re.match(r"(t4g|t3|m7g|m7i|r7g|r7i)\.", name)
}
CACHES: Mapping[str, int] = _CACHE


def offered(name: str, region: str) -> bool:
    """Return whether the region offers servers of that type."""
    return name.partition(".")[0] not in NOT_OFFERED.get(region, ())


def server(cpus: int, memory_mb: int, *, architecture: str, bursts: bool, region: str) -> Type:
    """Return the smallest server of the region with at least these sizes; without `bursts` no burstable one.

    Raises ValueError if there is none.
    """
    fitting = [
        type_
        for type_ in SERVERS.values()
        if type_.architecture == architecture and (bursts or not _rationed(type_.name)) and offered(type_.name, region)
    ]
    return _smallest(fitting, cpus, memory_mb, f"{architecture} server of {region}")


def named(name: str) -> Type:
    """Return the server type with that name. Raises ValueError if there is none."""
    if name not in SERVERS:
        raise ValueError(f"no server is called {name}")
    return SERVERS[name]


def database(cpus: int, memory_mb: int, *, bursts: bool) -> Type:
    """Return the smallest database class with at least these sizes, on arm64, which costs less for the same."""
    fitting = [
        type_ for type_ in DATABASES.values() if type_.architecture == "arm64" and (bursts or not _rationed(type_.name))
    ]
    return _smallest(fitting, cpus, memory_mb, "database")


def cache(memory_mb: int) -> str:
    """Return the smallest node for `memory_mb` of data, with a quarter kept for copies and connections (AWS's default).

    A burstable node is sufficient: a store of that size is seldom busy. Raises ValueError if there is none.
    """
    fitting = [(usable, name) for name, usable in CACHES.items() if usable * 0.75 >= memory_mb]
    if not fitting:
        raise ValueError(f"no cache node has room for {memory_mb} MB: at most {int(max(CACHES.values()) * 0.75)}")
    return min(fitting)[1]


def _rationed(name: str) -> bool:
    return re.match(r"((db|cache)\.)?t\d", name) is not None


def _smallest(types: list[Type], cpus: int, memory_mb: int, what: str) -> Type:
    fitting = [type_ for type_ in types if type_.cpus >= cpus and type_.memory_mb >= memory_mb]
    if not types:
        raise ValueError(f"no {what} is known here that fits the class: another region, architecture or class")
    if not fitting:
        largest = max(types, key=lambda type_: (type_.memory_mb, type_.cpus))
        raise ValueError(
            f"no {what} has {cpus} CPUs and {memory_mb} MB: at most {largest.cpus} and {largest.memory_mb}"
        )
    # Of two types with the same size, the burstable one costs less; the name decides between equals.
    return min(fitting, key=lambda type_: (type_.memory_mb, type_.cpus, not _rationed(type_.name), type_.name))
