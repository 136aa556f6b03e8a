"""The resource classes of the local provider for Pulumi programs."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.resource import StackwrightResource


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """The network of one environment."""

    name: pulumi.Input[str]
    environment: pulumi.Input[str]
    cidr: pulumi.Input[str]


class Network(StackwrightResource):
    """A podman bridge. A subnet that is already in use on this machine is refused."""

    name: pulumi.Output[str]
    cidr: pulumi.Output[str]
    gateway: pulumi.Output[str]

    def __init__(self, resource_name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:local:Network", resource_name, {**vars(args), "gateway": None}, opts)


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """A host; CPUs and memory can change later, any other change replaces the host."""

    name: pulumi.Input[str]
    environment: pulumi.Input[str]
    network: pulumi.Input[str]
    address: pulumi.Input[str]
    image: pulumi.Input[str]
    cpus: pulumi.Input[float]
    memory_mb: pulumi.Input[int]
    authorized_keys: pulumi.Input[Sequence[pulumi.Input[str]]]


class Host(StackwrightResource):
    """A systemd container that accepts SSH once this resource is created. `host_key` is its SSH host key."""

    name: pulumi.Output[str]
    address: pulumi.Output[str]
    host_key: pulumi.Output[str]
    state: pulumi.Output[str]

    def __init__(self, resource_name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        computed = {"host_key": None, "mac_address": None, "state": None}
        super().__init__("stackwright:local:Host", resource_name, {**vars(args), **computed}, opts)
