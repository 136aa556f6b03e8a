"""The provider `bare_metal`: an environment on existing servers."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pulumi

from stackwright.infra.bare_metal.resources import Machine, MachineArgs
from stackwright.infra.components.results import ComputeResult, HostResult, NetworkResult
from stackwright.infra.components.self_hosted import SelfHostedServices


@dataclass(frozen=True, kw_only=True)
class BareMetalNetworkArgs:
    """The network that the servers are on."""

    name: pulumi.Input[str]
    cidr: pulumi.Input[str]


class BareMetalNetwork(pulumi.ComponentResource):
    """The existing network: recorded, not created."""

    name: pulumi.Output[str]
    cidr: pulumi.Output[str]

    def __init__(self, name: str, args: BareMetalNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:baremetal:BareMetalNetwork", name, None, opts)
        self.name = pulumi.Output.from_input(args.name)
        self.cidr = pulumi.Output.from_input(args.cidr)
        self.register_outputs({"name": self.name, "cidr": self.cidr})

    @property
    def result(self) -> NetworkResult:
        """Return the network that the hosts are on."""
        return NetworkResult(name=self.name, cidr=self.cidr)


@dataclass(frozen=True, kw_only=True)
class BareMetalHostArgs:
    """A server, and its minimum requirements."""

    name: str
    address: pulumi.Input[str]
    port: pulumi.Input[int]
    user: pulumi.Input[str]
    host_key: pulumi.Input[str]
    os: pulumi.Input[str]
    cpus: pulumi.Input[float]
    memory_mb: pulumi.Input[int]
    disk_gb: pulumi.Input[int] | None = None


@dataclass(frozen=True, kw_only=True)
class BareMetalComputeArgs:
    """All servers of the environment."""

    private_key_file: pulumi.Input[str]
    hosts: Sequence[BareMetalHostArgs]


class BareMetalCompute(pulumi.ComponentResource):
    """The adopted servers; all of them are checked over SSH before any of them is changed."""

    def __init__(self, name: str, args: BareMetalComputeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:baremetal:BareMetalCompute", name, None, opts)
        self._machines = {host.name: self._adopt(name, host, args) for host in args.hosts}
        self.register_outputs({"hostKeys": {name: machine.host_key for name, machine in self._machines.items()}})

    def _adopt(self, name: str, host: BareMetalHostArgs, args: BareMetalComputeArgs) -> Machine:
        return Machine(
            f"{name}-{host.name}",
            MachineArgs(
                name=host.name,
                address=host.address,
                port=host.port,
                user=host.user,
                host_key=host.host_key,
                private_key_file=args.private_key_file,
                os=[host.os],
                cpus=host.cpus,
                memory_mb=host.memory_mb,
                disk_gb=host.disk_gb,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    @property
    def result(self) -> ComputeResult:
        """Return the servers by name."""
        hosts = {
            name: HostResult(address=machine.address, host_key=machine.host_key)
            for name, machine in self._machines.items()
        }
        return ComputeResult(hosts=hosts)


class BareMetalPlatform(SelfHostedServices):
    """An environment on existing servers."""

    @cached_property
    def network(self) -> BareMetalNetwork:
        """Return the network that the servers are on."""
        environment = self._environment
        args = BareMetalNetworkArgs(name=environment.name, cidr=environment.network.cidr)
        return BareMetalNetwork(f"{environment.name}-network", args)

    @cached_property
    def compute(self) -> BareMetalCompute:
        """Return the servers."""
        environment = self._environment
        args = BareMetalComputeArgs(
            private_key_file=str(self._keys.private_key_file),
            hosts=[
                BareMetalHostArgs(
                    name=host.name,
                    address=host.address,
                    port=host.port,
                    user=host.bootstrap_user,
                    # The model has already rejected a server without one.
                    host_key=host.host_key or "",
                    os=host.os,
                    cpus=host.cpus,
                    memory_mb=host.memory_mb,
                    disk_gb=host.disk_gb,
                )
                for host in environment.hosts
            ],
        )
        return BareMetalCompute(f"{environment.name}-compute", args)
