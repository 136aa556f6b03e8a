"""The local provider's resources as a program uses them."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.resource import StackwrightResource


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """A network of an environment's own."""

    name: pulumi.Input[str]
    environment: pulumi.Input[str]
    cidr: pulumi.Input[str]


class Network(StackwrightResource):
    """A podman bridge. Refuses a subnet that anything on this machine already uses."""

    name: pulumi.Output[str]
    cidr: pulumi.Output[str]
    gateway: pulumi.Output[str]

    def __init__(self, resource_name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:local:Network", resource_name, {**vars(args), "gateway": None}, opts)


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """A host; CPUs and memory can change later, everything else makes a new host."""

    name: pulumi.Input[str]
    environment: pulumi.Input[str]
    network: pulumi.Input[str]
    address: pulumi.Input[str]
    image: pulumi.Input[str]
    cpus: pulumi.Input[float]
    memory_mb: pulumi.Input[int]
    authorized_keys: pulumi.Input[Sequence[pulumi.Input[str]]]


class Host(StackwrightResource):
    """A systemd container that answers SSH when this resource is there. `host_key` is what to trust it by."""

    name: pulumi.Output[str]
    address: pulumi.Output[str]
    host_key: pulumi.Output[str]
    state: pulumi.Output[str]

    def __init__(self, resource_name: str, args: HostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        computed = {"host_key": None, "mac_address": None, "state": None}
        super().__init__("stackwright:local:Host", resource_name, {**vars(args), **computed}, opts)
