"""The provider `local`: an environment in systemd containers on this machine."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pulumi

from stackwright.infra.components.results import ComputeResult, HostResult, NetworkResult
from stackwright.infra.components.self_hosted import SelfHostedServices
from stackwright.infra.local.resources import Host, HostArgs, Network, NetworkArgs


@dataclass(frozen=True, kw_only=True)
class LocalNetworkArgs:
    """The network of an environment."""

    environment: pulumi.Input[str]
    cidr: pulumi.Input[str]


class LocalNetwork(pulumi.ComponentResource):
    """A podman bridge, named after the environment."""

    name: pulumi.Output[str]
    cidr: pulumi.Output[str]

    def __init__(self, name: str, args: LocalNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:local:LocalNetwork", name, None, opts)
        network = Network(
            f"{name}-bridge",
            NetworkArgs(name=args.environment, environment=args.environment, cidr=args.cidr),
            pulumi.ResourceOptions(parent=self),
        )
        self.name = network.name
        self.cidr = network.cidr
        self.register_outputs({"name": self.name, "cidr": self.cidr})

    @property
    def result(self) -> NetworkResult:
        """Return the network that the hosts are on."""
        return NetworkResult(name=self.name, cidr=self.cidr)


@dataclass(frozen=True, kw_only=True)
class LocalHostArgs:
    """One host of the environment."""

    name: str
    address: pulumi.Input[str]
    image: pulumi.Input[str]
    cpus: pulumi.Input[float]
    memory_mb: pulumi.Input[int]


@dataclass(frozen=True, kw_only=True)
class LocalComputeArgs:
    """All hosts of the environment."""

    environment: pulumi.Input[str]
    network: pulumi.Input[str]
    authorized_keys: pulumi.Input[Sequence[pulumi.Input[str]]]
    hosts: Sequence[LocalHostArgs]


class LocalCompute(pulumi.ComponentResource):
    """A container per host, each with its own host key."""

    def __init__(self, name: str, args: LocalComputeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:local:LocalCompute", name, None, opts)
        self._hosts = {host.name: self._create_host(name, host, args) for host in args.hosts}
        self.register_outputs({"hostKeys": {name: host.host_key for name, host in self._hosts.items()}})

    def _create_host(self, name: str, host: LocalHostArgs, args: LocalComputeArgs) -> Host:
        return Host(
            f"{name}-{host.name}",
            HostArgs(
                name=host.name,
                environment=args.environment,
                network=args.network,
                address=host.address,
                image=host.image,
                cpus=host.cpus,
                memory_mb=host.memory_mb,
                authorized_keys=args.authorized_keys,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    @property
    def result(self) -> ComputeResult:
        """Return the hosts by name."""
        hosts = {name: HostResult(address=host.address, host_key=host.host_key) for name, host in self._hosts.items()}
        return ComputeResult(hosts=hosts)


class LocalPlatform(SelfHostedServices):
    """An environment on this machine."""

    @cached_property
    def network(self) -> LocalNetwork:
        """Return the podman bridge."""
        environment = self._environment
        args = LocalNetworkArgs(environment=environment.name, cidr=environment.network.cidr)
        return LocalNetwork(f"{environment.name}-network", args)

    @cached_property
    def compute(self) -> LocalCompute:
        """Return the containers."""
        environment = self._environment
        args = LocalComputeArgs(
            environment=environment.name,
            network=self.network.result.name,
            authorized_keys=[self._keys.public_key],
            hosts=[
                LocalHostArgs(
                    name=host.name, address=host.address, image=host.os, cpus=host.cpus, memory_mb=host.memory_mb
                )
                for host in environment.hosts
            ],
        )
        return LocalCompute(f"{environment.name}-compute", args)
