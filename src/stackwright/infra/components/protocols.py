"""What every provider has to offer, so that the program is the same for all of them."""

from __future__ import annotations

from typing import Protocol

from stackwright.infra.components.results import ComputeResult, NetworkResult, ServiceResult
from stackwright.infra.keys import KeyPair
from stackwright.model import Environment


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


class Platform(Protocol):
    """A provider: how it makes each of them for an environment."""

    def network(self, environment: Environment) -> Network: ...

    def compute(self, environment: Environment, network: Network, keys: KeyPair) -> Compute: ...

    def load_balancer(self, environment: Environment, compute: Compute) -> LoadBalancer: ...

    def database(self, environment: Environment, compute: Compute) -> Database: ...

    def cache(self, environment: Environment, compute: Compute) -> Cache: ...

    def object_store(self, environment: Environment, compute: Compute) -> ObjectStore: ...
