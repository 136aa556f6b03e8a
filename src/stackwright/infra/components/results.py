"""What a component gives to the rest of the program, the same for every provider."""

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
    """A host and how to reach it: by its recorded host key and no other."""

    address: pulumi.Input[str]
    #: None where the host publishes it once it has booted.
    host_key: pulumi.Input[str] | None
    #: Of a cloud.
    instance_id: pulumi.Input[str] | None = None
    #: What SSH goes through where the host admits no connection: `ssm`.
    through: str | None = None


@dataclass(frozen=True, kw_only=True)
class ComputeResult:
    """The environment's hosts by name."""

    hosts: Mapping[str, HostResult]


@dataclass(frozen=True, kw_only=True)
class CloudResult:
    """Where in a cloud the environment is."""

    region: str
    account: str
    #: Purpose -> name.
    buckets: Mapping[str, pulumi.Input[str]]
    secrets_prefix: str
    #: The ARN of the secret of the database's master user, where the cloud runs a database.
    master_secret: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a service answers."""

    scheme: str
    addresses: tuple[pulumi.Input[str], ...]
    port: int


@dataclass(frozen=True, kw_only=True)
class ServiceResult:
    """A service: its endpoints by name, and the names of the secrets that one needs to use or run it."""

    endpoints: Mapping[str, Endpoint]
    #: Names, never values.
    secrets: tuple[str, ...]
