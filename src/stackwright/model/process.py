"""The process tier, in words of no operating system: which instances run where, with which limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stackwright.model.system import App
from stackwright.model.topology import Host

LOOPBACK = "127.0.0.1"


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
    #: From the project's root.
    artifact: str
    #: Host -> its instances, in the order of their ports.
    instances: Mapping[str, tuple[Instance, ...]]

    @property
    def endpoints(self) -> tuple[tuple[str, str, int], ...]:
        """(host, address, port) of everything that accepts requests; in cluster mode instances share a port."""
        every = ((host, one.address, one.port) for host, ones in self.instances.items() for one in ones)
        return tuple(dict.fromkeys(every))


def instances(app_name: str, app: App, number: int, address: str) -> tuple[Instance, ...]:
    """The `number` instances of an application on one host."""
    step = 0 if app.process.mode == "cluster" else 1
    return tuple(
        Instance(name=f"{app_name}-{n + 1}", address=address, port=app.process.first_port + n * step)
        for n in range(number)
    )


def listen_address(host: Host, edge_hosts: Sequence[str], app_hosts: int) -> str:
    """Where instances listen: on loopback where their only edge is on their own host, so that nobody else can."""
    alone = list(edge_hosts) == [host.name] and app_hosts == 1
    return LOOPBACK if alone else host.address
