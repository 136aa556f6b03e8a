"""podman as the backends see it, in memory; fails where a test tells it to."""

from __future__ import annotations

from typing import Any

from stackwright.infra.local import podman


class FakePodman(podman.Podman):
    """Keeps hosts and networks; `failing` names the methods that raise."""

    def __init__(self) -> None:
        super().__init__(command=("false",))
        self.made: dict[str, podman.Host] = {}
        self.nets: dict[str, podman.Network] = {}
        self.routed: list[tuple[podman.Subnet, str]] = []
        self.stopped: set[str] = set()
        self.limits: dict[str, tuple[float, int]] = {}
        self.keys: dict[str, str] = {}
        self.failing: set[str] = set()
        self.calls: list[str] = []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name in self.failing:
            raise podman.PodmanError(f"{name} was told to fail")

    def networks(self) -> list[dict[str, Any]]:
        self._called("networks")
        return [
            {"name": each.name, "subnets": [{"subnet": each.cidr}], "labels": {podman.LABEL: each.environment}}
            for each in self.nets.values()
        ]

    def routes(self) -> list[tuple[podman.Subnet, str]]:
        return self.routed

    def create_network(self, network: podman.Network) -> None:
        self._called("create_network")
        self.refuse_taken_subnet(network)
        self.nets[network.name] = network

    def remove_network(self, name: str) -> None:
        self._called("remove_network")
        self.nets.pop(name, None)

    def create_host(self, host: podman.Host) -> str:
        self._called("create_host")
        self.made[host.container] = host
        self.limits[host.container] = (host.cpus, host.memory_mb)
        self.keys[host.container] = "\n".join(host.authorized_keys)
        return "0123"

    def start_host(self, container: str) -> None:
        self._called("start_host")
        self.stopped.discard(container)

    def update_host(self, container: str, *, cpus: float, memory_mb: int) -> None:
        self._called("update_host")
        self.limits[container] = (cpus, memory_mb)

    def remove_host(self, container: str) -> None:
        self._called("remove_host")
        self.made.pop(container, None)

    def hosts(self, environment: str) -> list[str]:
        return [name for name, host in self.made.items() if host.environment == environment]

    def find_address(self, address: str) -> str | None:
        return next((name for name, host in self.made.items() if host.address == address), None)

    def execute(self, container: str, script: str, stdin: str = "") -> str:
        self._called("execute")
        if "install" in script:
            self.keys[container] = stdin.strip()
            return ""
        if "authorized_keys" in script:
            return self.keys[container]
        cpus, memory_mb = self.limits[container]
        key = podman.public_key(self.made[container].host_key)
        return f"{memory_mb * 2**20}\n{int(cpus * 100000)} 100000\n{key}\n"

    def inspect(self, container: str) -> dict[str, Any] | None:
        self._called("inspect")
        host = self.made.get(container)
        if host is None:
            return None
        return {
            "State": {"Status": "exited" if container in self.stopped else "running"},
            "ImageName": f"localhost/stackwright/{host.image}:0123456789ab",
            "Config": {
                "Hostname": host.name,
                "Labels": {
                    podman.LABEL: host.environment,
                    podman.LABEL_HOST: host.name,
                    podman.LABEL_ADDRESS: host.address,
                },
            },
            "HostConfig": {"NanoCpus": int(host.cpus * 1e9), "Memory": host.memory_mb * 2**20},
            "NetworkSettings": {"Networks": {host.network: {"IPAddress": ""}}},
        }
