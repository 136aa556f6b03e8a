"""The Pulumi resource `stackwright:local:Network`: the podman bridge of one environment."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stackwright.infra import checks
from stackwright.infra.local import images, podman
from stackwright.infra.provider.backend import Computed, Failure, Found, Input, Kind, Properties, ProviderError


class NetworkBackend:
    """Networks of local hosts. An existing one of the same name and subnet is adopted; other conflicts are refused."""

    token = "stackwright:local:Network"
    description = "A network for local hosts: a podman bridge with a subnet of its own."
    inputs = (
        Input(name="name", kind=Kind.STRING, description="Name of the network.", replaces=True, accepts=checks.name),
        Input(
            name="environment",
            kind=Kind.STRING,
            description="The environment that the network belongs to.",
            replaces=True,
            accepts=checks.name,
        ),
        Input(
            name="cidr",
            kind=Kind.STRING,
            description="IPv4 subnet; no other network of this machine may overlap it.",
            replaces=True,
            accepts=checks.cidr,
        ),
    )
    computed = (Computed(name="gateway", kind=Kind.STRING, description="This machine's address on the network."),)

    def __init__(self, connect: Callable[[], podman.Podman]) -> None:
        self._podman = connect

    def check(self, old: Properties | None, new: Properties) -> list[Failure]:
        if old == new:
            return []
        try:
            # The engine checks a replacement as if there were no previous network.
            self._podman().refuse_taken_subnet(_network(new), replacing=True)
        except podman.PodmanError as error:
            return [Failure(property="cidr", reason=str(error))]
        return []

    def preview(self, inputs: Properties) -> Properties:
        return {"gateway": _gateway(inputs["cidr"])}

    def create(self, inputs: Properties) -> Found:
        with podman_errors():
            self._podman().create_network(_network(inputs))
        return Found(id=inputs["name"], inputs=inputs, properties=inputs | self.preview(inputs))

    def read(self, resource_id: str, state: Properties) -> Found | None:
        with podman_errors():
            network = self._podman().find_network(resource_id)
        if network is None:
            return None
        inputs: Properties = {"name": network.name, "environment": network.environment, "cidr": network.cidr}
        return Found(id=resource_id, inputs=inputs, properties=inputs | self.preview(inputs))

    def needs_repair(self, state: Properties) -> list[str]:
        return []

    def update(self, resource_id: str, state: Properties, inputs: Properties) -> Properties:
        raise ProviderError("a network cannot be changed, only replaced")

    def delete(self, resource_id: str, state: Properties) -> None:
        with podman_errors():
            self._podman().remove_network(resource_id)


@contextmanager
def podman_errors() -> Iterator[None]:
    """Turn errors of podman and of the image into the provider's error."""
    try:
        yield
    except (podman.PodmanError, images.ImageError) as error:
        raise ProviderError(str(error)) from error


def _network(inputs: Properties) -> podman.Network:
    return podman.Network(name=inputs["name"], cidr=inputs["cidr"], environment=inputs["environment"])


def _gateway(cidr: str) -> str:
    return str(next(ipaddress.IPv4Network(cidr).hosts()))
