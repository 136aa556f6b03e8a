"""The output of a provisioned environment: hosts, how to connect to them, endpoints, and the names of secrets.

Its JSON Schema is `schemas/stackwright_inventory.schema.json`; the Pulumi program exports it as OUTPUT_NAME.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from stackwright.model.environment import Environment
from stackwright.model.schema_types import (
    Address,
    Cidr,
    Cpus,
    Identifier,
    LoginUser,
    MegaBytes,
    Name,
    Port,
    PublicKey,
    schema,
)
from stackwright.model.secrets import secret_names
from stackwright.model.topology import Host

OUTPUT_NAME = "stackwright_inventory"
OUTPUT_VERSION = 1
#: Hosts that the program leaves unchanged, as JSON: its output's `retiring`.
RETIRING_VARIABLE = "STACKWRIGHT_RETIRING"
ADMIN_USER = "stackwright"
#: The purpose of the bucket that applications write to.
UPLOADS = "uploads"
#: The purpose of the bucket that the repository host copies backups to.
BACKUPS = "backups"


class InventoryError(ValueError):
    """An environment is not provisioned, or not as its file describes it; the message contains the remedy."""


@schema
class Connection:
    """How to connect to a host."""

    user: LoginUser
    """The user that logs in once the host is adopted."""
    bootstrap_user: LoginUser
    """The user that may log in at first contact."""
    port: Port
    private_key_file: str
    """Path relative to the project's root, or absolute."""
    host_key: PublicKey | None = None
    """Public host key; null where the host publishes it after its boot (AWS) and it is recorded from there
    in `.state/<environment>/host-keys/<host>.pub`."""
    through: Literal["ssm"] | None = None
    """Set if the host accepts no connection: SSH goes through a session of AWS's Systems Manager."""


@schema
class OutputHost:
    """An existing host."""

    address: Address
    instance_id: str | None = None
    """Instance id in a cloud."""
    groups: tuple[str, ...]
    connection: Connection
    cpus: Cpus
    memory_mb: MegaBytes
    os: str | None = None
    """Operating system; null in the output of an earlier version."""


@schema
class Endpoint:
    """Where a service can be reached, on own hosts or in a cloud."""

    scheme: Literal["https", "postgresql", "rediss"]
    addresses: Annotated[tuple[str, ...], Field(min_length=1)]
    port: Port


@schema
class OutputNetwork:
    """The environment's network."""

    cidr: Cidr


@schema
class OutputCloud:
    """The environment's location in a cloud."""

    region: str
    account: str
    buckets: dict[Identifier, str]
    """Purpose -> name of the bucket."""
    secrets_prefix: str
    """Prefix of the name of each secret in the cloud's own store."""
    master_secret: str | None = None
    """ARN of the secret with name and password of the database's master user; null if the cloud manages no database."""


@schema
class Output:
    """What the Pulumi program exports."""

    version: Literal[1]
    environment: str
    provider: Literal["local", "bare_metal", "aws"]
    network: OutputNetwork
    hosts: dict[Name, OutputHost]
    retiring: dict[Name, OutputHost] = Field(default_factory=dict)
    """Hosts that are about to be removed, and hosts that stay and are about to lose the tiers in `groups`."""
    endpoints: dict[Identifier, Endpoint]
    """`https`, `postgresql`, `postgresql_replica`, `redis_<purpose>`, `database_backups`, `file_backups`."""
    secrets: tuple[str, ...]
    """Names of the secrets; never values."""
    cloud: OutputCloud | None = None


def host_key_file(environment: Environment, host: str) -> Path:
    """Return the file that the host's published key is recorded in."""
    return environment.state_folder / "host-keys" / f"{host}.pub"


def make_output(environment: Environment, host_keys: Mapping[str, str]) -> dict[str, Any]:
    """Return the output of an environment whose hosts have the public keys `host_keys` (by host)."""
    return {
        "version": OUTPUT_VERSION,
        "environment": environment.name,
        "provider": environment.provider,
        "network": {"cidr": environment.network.cidr},
        "hosts": {
            host.name: {
                "address": host.address,
                "groups": list(host.groups),
                "connection": {
                    "user": login_user(host),
                    "bootstrap_user": host.bootstrap_user,
                    "port": host.port,
                    "private_key_file": private_key_file(environment),
                    "host_key": host_keys[host.name],
                },
                "cpus": host.cpus,
                "memory_mb": host.memory_mb,
                "os": host.os,
            }
            for host in environment.hosts
        },
        "endpoints": endpoints(environment),
        "secrets": [spec.name for spec in secret_names(environment)],
    }


def login_user(host: Host) -> str:
    """Return the user that logs in once the host is adopted; on Windows it is that of the first login."""
    return host.bootstrap_user if host.windows else ADMIN_USER


def private_key_file(environment: Environment) -> str:
    """Return the key that this machine logs in with, relative to the project's root."""
    return environment.access.ssh_private_key or f".state/{environment.name}/ssh/id_ed25519"


def endpoints(environment: Environment) -> dict[str, Any]:
    """Return where each service is reached that runs on the environment's own hosts."""
    services = [("edge", "https", "https", 443)]
    if environment.system.database is not None:
        services.append(("database", "postgresql", "postgresql", 5432))
        services.append(("ops", "database_backups", "https", 8432))
    services += [
        ("cache", f"redis_{purpose}", "rediss", instance.port) for purpose, instance in environment.system.cache.items()
    ]
    services.append(("ops", "file_backups", "https", 8500))
    addresses = {tier: [host.address for host in environment.hosts if tier in host.groups] for tier, *_ in services}
    return {
        name: {"scheme": scheme, "addresses": addresses[tier], "port": port}
        for tier, name, scheme, port in services
        if addresses[tier]
    }


def from_environment(environment: Environment) -> dict[str, Any]:
    """Return the output for existing servers, which are completely described in the environment's file."""
    if environment.provider != "bare_metal":
        raise InventoryError(
            f"{environment.name} is not provisioned: run `stackwright up {environment.name}`"
            f" (or `pulumi -C pulumi up --stack {environment.name}`)"
        )
    keys = {host.name: host.host_key for host in environment.hosts}
    missing = [name for name, key in keys.items() if key is None]
    if missing:
        raise InventoryError(
            f"the host key of {', '.join(missing)} is not recorded: write it to the `host_key_file` that"
            f" inventories/{environment.name}/stack.yml names"
            " (ssh-keyscan -t ed25519 ADDRESS, compared with the console)"
        )
    return make_output(environment, {name: key for name, key in keys.items() if key is not None})


def hosts_of(environment: Environment, output: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the hosts of `output`, after checking that it is an output of this environment and matches its file."""
    try:
        TypeAdapter(Output).validate_json(_json(output))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InventoryError(
            f"the output of stack {environment.name} is not one that this version reads ({where}: {first['msg']}):"
            f" run `stackwright up {environment.name}`"
        ) from error
    if output["environment"] != environment.name:
        raise InventoryError(f"the output is of environment {output['environment']}, not of {environment.name}")
    hosts: Mapping[str, Mapping[str, Any]] = output["hosts"]
    missing = {host.name for host in environment.hosts} - set(hosts)
    if missing:
        raise InventoryError(
            f"{', '.join(sorted(missing))} in the stack.yml of {environment.name} is not provisioned:"
            f" run `stackwright up {environment.name}`"
        )
    return hosts


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value)
