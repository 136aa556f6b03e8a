"""The protocols that every provider implements, so that the program is the same for all of them."""

from __future__ import annotations

from typing import Protocol

from stackwright.infra.components.results import CloudResult, ComputeResult, NetworkResult, ServiceResult


class Network(Protocol):
    """The environment's own network."""

    @property
    def result(self) -> NetworkResult: ...


class Compute(Protocol):
    """The hosts of the environment."""

    @property
    def result(self) -> ComputeResult: ...


class LoadBalancer(Protocol):
    """The entry point for users; endpoint `https`."""

    @property
    def result(self) -> ServiceResult: ...


class Database(Protocol):
    """PostgreSQL; endpoint `postgresql`, of whose addresses only one at a time accepts writes."""

    @property
    def result(self) -> ServiceResult: ...


class Cache(Protocol):
    """Redis; an endpoint `redis_<purpose>` for each."""

    @property
    def result(self) -> ServiceResult: ...


class ObjectStore(Protocol):
    """The store for backups; endpoints `database_backups` and `file_backups`."""

    @property
    def result(self) -> ServiceResult: ...


class Watch(Protocol):
    """Alarms and cost notifications of a cloud; other providers have none."""


class Platform(Protocol):
    """A provider that creates the parts of one environment.

    Each part is created on first access, after the parts that it depends on: the dependencies differ between providers,
    the parts do not.
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
