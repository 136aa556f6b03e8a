"""The resource class of the bare-metal provider for Pulumi programs."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.resource import StackwrightResource


@dataclass(frozen=True, kw_only=True)
class MachineArgs:
    """An existing server, and its minimum requirements."""

    name: pulumi.Input[str]
    address: pulumi.Input[str]
    user: pulumi.Input[str]
    host_key: pulumi.Input[str]
    cpus: pulumi.Input[float]
    memory_mb: pulumi.Input[int]
    port: pulumi.Input[int] | None = None
    private_key_file: pulumi.Input[str] | None = None
    os: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None
    disk_gb: pulumi.Input[int] | None = None
    clock_skew_seconds: pulumi.Input[int] | None = None


class Machine(StackwrightResource):
    """An adopted server. Creating it checks the server over SSH; destroying it does not touch the server."""

    name: pulumi.Output[str]
    address: pulumi.Output[str]
    host_key: pulumi.Output[str]
    found_os: pulumi.Output[str]

    def __init__(self, resource_name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        computed = {"found_os": None, "found_machine": None, "found_cpus": None, "found_memory_mb": None}
        super().__init__("stackwright:baremetal:Machine", resource_name, {**vars(args), **computed}, opts)
