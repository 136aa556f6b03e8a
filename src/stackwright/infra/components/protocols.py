"""What every provider has to offer, so that the program is the same for all of them."""

from __future__ import annotations

from typing import Protocol

from stackwright.infra.components.results import CloudResult, ComputeResult, NetworkResult, ServiceResult


class Network(Protocol):
    """A network of the environment's own."""

    @property
    def result(self) -> NetworkResult: ...


class Compute(Protocol):
    """The hosts."""

    @property
    def result(self) -> ComputeResult: ...


class LoadBalancer(Protocol):
    """What users reach; endpoint `https`."""

    @property
    def result(self) -> ServiceResult: ...


class Database(Protocol):
    """PostgreSQL; endpoint `postgresql`, of whose addresses one at a time accepts writes."""

    @property
    def result(self) -> ServiceResult: ...


class Cache(Protocol):
    """Redis; an endpoint `redis_<purpose>` for each."""

    @property
    def result(self) -> ServiceResult: ...


class ObjectStore(Protocol):
    """Where backups go; endpoints `database_backups` and `file_backups`."""

    @property
    def result(self) -> ServiceResult: ...


class Watch(Protocol):
    """What tells people of trouble and of cost where a cloud does it; elsewhere nothing."""


class Platform(Protocol):
    """A provider at work on an environment.

    Each part is made when it is first asked for, after those that it stands on: what stands on what differs between
    providers, the parts do not.
    """

    @property
    def network(self) -> Network: ...

    @property
    def compute(self) -> Compute: ...

    @property
    def load_balancer(self) -> LoadBalancer: ...

    @property
    def database(self) -> Database: ...

    @property
    def cache(self) -> Cache: ...

    @property
    def object_store(self) -> ObjectStore: ...

    @property
    def watch(self) -> Watch | None: ...

    @property
    def cloud(self) -> CloudResult | None: ...
