"""The Pulumi resource `stackwright:local:Host`: a systemd container that is reached over SSH like any server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from stackwright.infra import checks
from stackwright.infra.local import images, podman
from stackwright.infra.local.network import podman_errors
from stackwright.infra.provider.backend import Computed, Failure, Found, Input, Kind, Properties

_INPUTS = (
    Input(
        name="environment",
        kind=Kind.STRING,
        description="The environment that the host belongs to.",
        replaces=True,
        accepts=checks.name,
    ),
    Input(name="name", kind=Kind.STRING, description="Host name.", replaces=True, accepts=checks.name),
    Input(name="network", kind=Kind.STRING, description="Name of the network that it is on.", replaces=True),
    Input(
        name="address",
        kind=Kind.STRING,
        description="Fixed IPv4 address within the network.",
        replaces=True,
        accepts=checks.ipv4,
    ),
    Input(
        name="image",
        kind=Kind.STRING,
        description="The distribution, for example debian-13.",
        default="debian-13",
        replaces=True,
        accepts=lambda value: (
            None if value in images.RECIPES else f"{value!r} is not one of {', '.join(sorted(images.RECIPES))}"
        ),
    ),
    Input(
        name="cpus",
        kind=Kind.NUMBER,
        description="CPUs that the host may use; changed without a restart.",
        default=1.0,
        accepts=checks.between(0.1, 256),
    ),
    Input(
        name="memoryMb",
        kind=Kind.INTEGER,
        description="Memory that the host may use, in MiB; changed without a restart.",
        default=1024,
        accepts=checks.between(128, 4194304),
    ),
    Input(
        name="authorizedKeys",
        kind=Kind.STRINGS,
        description="OpenSSH public keys that may log in as root at first contact.",
        accepts=checks.public_keys,
    ),
)

#: Read inside the host: podman before 5 neither shows nor keeps limits that were changed after creation.
_FACTS = """
if [ -e /sys/fs/cgroup/memory.max ]; then
  cat /sys/fs/cgroup/memory.max; cat /sys/fs/cgroup/cpu.max
else
  cat /sys/fs/cgroup/memory/memory.limit_in_bytes
  echo $(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us)
fi
cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub
"""


class HostBackend:
    """Local hosts. A stopped host is started by the next update; a deleted one is created again."""

    token = "stackwright:local:Host"
    description = "A local host: a systemd container with a fixed address, reached by SSH."
    inputs = _INPUTS
    computed = (
        Computed(name="hostKey", kind=Kind.STRING, description="The host's SSH public key, recorded at creation."),
        Computed(name="macAddress", kind=Kind.STRING, description="MAC address, derived from the address."),
        Computed(name="state", kind=Kind.STRING, description="`running`, or what podman says instead."),
    )

    def __init__(self, connect: Callable[[], podman.Podman]) -> None:
        self._podman = connect
        # Several hosts are created at once, and the first of them may have to build the image.
        self._image = threading.Lock()

    def check(self, old: Properties | None, new: Properties) -> list[Failure]:
        if old is not None and old.get("address") == new["address"]:
            return []
        try:
            taken = self._podman().find_address(new["address"])
            # Within the environment, two hosts may be about to swap addresses.
            if taken is None or taken in self._podman().hosts(new["environment"]):
                return []
        except podman.PodmanError as error:
            return [Failure(property="", reason=str(error))]
        return [Failure(property="address", reason=f"{new['address']} is in use by container {taken}")]

    def preview(self, inputs: Properties) -> Properties:
        return {"macAddress": podman.mac_address(inputs["address"]), "state": "running"}

    def create(self, inputs: Properties) -> Found:
        private, public = podman.generate_key()
        host = podman.Host(
            name=inputs["name"],
            environment=inputs["environment"],
            network=inputs["network"],
            address=inputs["address"],
            image=inputs["image"],
            cpus=inputs["cpus"],
            memory_mb=inputs["memoryMb"],
            authorized_keys=tuple(inputs["authorizedKeys"]),
            host_key=private,
        )
        with podman_errors():
            with self._image:
                images.ensure(host.image, self._podman().command)
            self._podman().create_host(host)
        properties = inputs | self.preview(inputs) | {"hostKey": public}
        return Found(id=host.container, inputs=inputs, properties=properties)

    def read(self, resource_id: str, state: Properties) -> Found | None:
        with podman_errors():
            container = self._podman().inspect(resource_id)
            if container is None:
                return None
            inputs = _declared(container)
            # The roles manage the authorized keys after the first contact; only an import has to read them.
            status = container["State"]["Status"]
            properties: Properties = {"state": status, "hostKey": state.get("hostKey", "")}
            inputs["authorizedKeys"] = state.get("authorizedKeys", [])
            if status == "running":
                memory, cpu, properties["hostKey"] = self._podman().execute(resource_id, _FACTS).splitlines()
                inputs |= _limits(memory, cpu)
                inputs["authorizedKeys"] = inputs["authorizedKeys"] or self._authorized_keys(resource_id)
        properties |= inputs | {"macAddress": podman.mac_address(inputs["address"])}
        return Found(id=resource_id, inputs=inputs, properties=properties)

    def needs_repair(self, state: Properties) -> list[str]:
        return [] if state.get("state") == "running" else ["state"]

    def update(self, resource_id: str, state: Properties, inputs: Properties) -> Properties:
        with podman_errors():
            if self.needs_repair(state):
                self._podman().start_host(resource_id)
            self._podman().update_host(resource_id, cpus=inputs["cpus"], memory_mb=inputs["memoryMb"])
            if inputs["authorizedKeys"] != state["authorizedKeys"]:
                self._podman().execute(
                    resource_id,
                    "install -m 0600 /dev/stdin /root/.ssh/authorized_keys",
                    stdin="\n".join(inputs["authorizedKeys"]) + "\n",
                )
        return state | inputs | {"state": "running"}

    def delete(self, resource_id: str, state: Properties) -> None:
        with podman_errors():
            self._podman().remove_host(resource_id)

    def _authorized_keys(self, container: str) -> list[str]:
        text = self._podman().execute(container, "cat /root/.ssh/authorized_keys 2>/dev/null || true")
        return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _declared(container: dict[str, Any]) -> Properties:
    """Return a host's inputs as read from podman."""
    labels = container["Config"]["Labels"]
    network, settings = next(iter(container["NetworkSettings"]["Networks"].items()))
    image = container["ImageName"].removeprefix(f"{images.REPOSITORY}/").partition(":")[0]
    return {
        "environment": labels.get(podman.LABEL, ""),
        "name": labels.get(podman.LABEL_HOST, container["Config"]["Hostname"]),
        "network": network,
        "address": labels.get(podman.LABEL_ADDRESS) or settings["IPAddress"],
        "image": image,
        "cpus": container["HostConfig"]["NanoCpus"] / 1e9,
        "memoryMb": container["HostConfig"]["Memory"] // 2**20,
    }


def _limits(memory: str, cpu: str) -> Properties:
    """Return the current limits, from the files of control groups v1 or v2."""
    limits: Properties = {}
    quota, period = cpu.split()
    if quota not in {"max", "-1"}:
        limits["cpus"] = round(int(quota) / int(period), 3)
    if memory.isdigit():
        limits["memoryMb"] = int(memory) // 2**20
    return limits
