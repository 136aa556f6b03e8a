"""The functions of the Pulumi program `pulumi/__main__.py`, apart from the components."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import pulumi

from stackwright.infra import keys
from stackwright.infra.bare_metal.components import BareMetalPlatform
from stackwright.infra.components.protocols import (
    Cache,
    Compute,
    Database,
    LoadBalancer,
    Network,
    ObjectStore,
    Platform,
)
from stackwright.infra.components.results import CloudResult, HostResult
from stackwright.infra.local.components import LocalPlatform
from stackwright.model import topology
from stackwright.model.environment import Environment, load
from stackwright.model.output import OUTPUT_VERSION, RETIRING_VARIABLE, login_user, private_key_file
from stackwright.model.secrets import secret_names
from stackwright.model.topology import Host
from stackwright.project import root

#: Set by tests whose provider only records calls.
ALLOW_EXAMPLES = "STACKWRIGHT_ALLOW_EXAMPLES"


def load_environment(name: str) -> Environment:
    """Return the environment that a stack is named after."""
    return load(root() / "inventories" / name / "stack.yml")


def platform(environment: Environment) -> Platform:
    """Return the platform of the environment's provider, with the control machine's key.

    Raise ValueError for an example environment, which may only be previewed.
    """
    refuse_example(environment)
    platforms: dict[str, Callable[[Environment, keys.KeyPair], Platform]] = {
        "local": LocalPlatform,
        "bare_metal": BareMetalPlatform,
        "aws": _aws,
    }
    return platforms[environment.provider](environment, key_pair(environment))


def refuse_example(environment: Environment) -> None:
    """Raise ValueError if an environment with placeholders would be created."""
    example = environment.stack.aws is not None and environment.stack.aws.example
    if example and not pulumi.runtime.is_dry_run() and not os.environ.get(ALLOW_EXAMPLES):
        raise ValueError(
            f"inventories/{environment.name}/stack.yml: aws.example: true: this environment is an example with placeholders;"
            " replace them and remove the key"
        )


def _aws(environment: Environment, pair: keys.KeyPair) -> Platform:
    # Not at the top: the SDK of AWS takes a second to load, which other providers should not pay for.
    if topology.managed(environment.stack):
        from stackwright.infra.aws.cloud_platform import AwsPlatform

        return AwsPlatform(environment, pair)
    from stackwright.infra.aws.platform import AwsHostsPlatform

    return AwsHostsPlatform(environment, pair)


def key_pair(environment: Environment) -> keys.KeyPair:
    """Return the control machine's key: the user's own if the environment names one, else the environment's."""
    if environment.access.ssh_private_key is not None:
        return keys.existing(environment.root / environment.access.ssh_private_key)
    return keys.ensure(environment.root / private_key_file(environment), vault=environment.vault_file)


def inventory_output(
    environment: Environment,
    *,
    network: Network,
    compute: Compute,
    services: Sequence[LoadBalancer | Database | Cache | ObjectStore],
    cloud: CloudResult | None,
) -> dict[str, Any]:
    """Return the program's only output (schemas/stackwright_inventory.schema.json), which contains no secret values."""
    return {
        "version": OUTPUT_VERSION,
        "environment": environment.name,
        "provider": environment.provider,
        "network": {"cidr": network.result.cidr},
        "hosts": {host.name: _host(environment, host, compute.result.hosts[host.name]) for host in environment.hosts},
        **_retiring(),
        "endpoints": {
            name: {"scheme": endpoint.scheme, "addresses": list(endpoint.addresses), "port": endpoint.port}
            for service in services
            for name, endpoint in service.result.endpoints.items()
            if endpoint.addresses
        },
        "secrets": [spec.name for spec in secret_names(environment)],
        **_cloud(cloud),
    }


def _retiring() -> dict[str, Any]:
    retiring = json.loads(os.environ.get(RETIRING_VARIABLE, "{}"))
    return {"retiring": retiring} if retiring else {}


def _cloud(cloud: CloudResult | None) -> dict[str, Any]:
    if cloud is None:
        return {}
    return {"cloud": {**vars(cloud), "buckets": dict(cloud.buckets)}}


def _host(environment: Environment, host: Host, made: HostResult) -> dict[str, Any]:
    cloud = {} if made.instance_id is None else {"instance_id": made.instance_id}
    through = {} if made.through is None else {"through": made.through}
    return {
        "address": made.address,
        **cloud,
        "groups": list(host.groups),
        "cpus": host.cpus,
        "memory_mb": host.memory_mb,
        "os": host.os,
        "connection": {
            "user": login_user(host),
            "bootstrap_user": host.bootstrap_user,
            "port": host.port,
            "private_key_file": private_key_file(environment),
            "host_key": made.host_key,
            **through,
        },
    }
