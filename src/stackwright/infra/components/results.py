"""The results that components return to the rest of the program, the same for every provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class NetworkResult:
    """The network that the hosts are on."""

    name: pulumi.Input[str]
    cidr: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class HostResult:
    """A host and how to reach it; only its recorded host key is trusted."""

    address: pulumi.Input[str]
    #: None if the host publishes it once it has booted.
    host_key: pulumi.Input[str] | None
    #: The instance ID in a cloud.
    instance_id: pulumi.Input[str] | None = None
    #: The tunnel for SSH if the host accepts no connections: `ssm`.
    through: str | None = None


@dataclass(frozen=True, kw_only=True)
class ComputeResult:
    """The environment's hosts by name."""

    hosts: Mapping[str, HostResult]


@dataclass(frozen=True, kw_only=True)
class CloudResult:
    """The location and the resources of an environment in a cloud."""

    region: str
    account: str
    #: Purpose -> name.
    buckets: Mapping[str, pulumi.Input[str]]
    secrets_prefix: str
    #: The ARN of the secret of the database's master user, if the database is managed.
    master_secret: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The addresses and the port of a service."""

    scheme: str
    addresses: tuple[pulumi.Input[str], ...]
    port: int


@dataclass(frozen=True, kw_only=True)
class ServiceResult:
    """A service: its endpoints by name, and the names of the secrets that are needed to use or run it."""

    endpoints: Mapping[str, Endpoint]
    #: Names, never values.
    secrets: tuple[str, ...]
