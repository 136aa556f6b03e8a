"""The measured environments: copies of the checkout's own, under other names and on free networks."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from bench.process import checkout
from bench.workplace import Project, free_network
from stackwright import state_files
from stackwright.infra import keys
from stackwright.infra.local.podman import Host, Network, Podman, generate_key

#: Number of hosts -> name of the environment, and the one that it is a copy of.
BY_HOSTS = {
    1: ("bench-single", "taaleem-single"),
    3: ("bench-three", "taaleem-baremetal"),
    7: ("bench-seven", "taaleem-local"),
}


def define(project: Project, hosts: int) -> str:
    """Define the environment with that number of hosts on a new network; return its name."""
    name, original = BY_HOSTS[hosts]
    stack = yaml.safe_load((checkout() / "inventories" / original / "stack.yml").read_text())
    project.add(name, moved(stack, name, free_network()))
    if stack["provider"] == "bare_metal":
        _make_servers(project, name)
    return name


def moved(stack: dict[str, Any], name: str, cidr: str) -> dict[str, Any]:
    """Return an environment's definition under another name and on another /24."""
    definition = copy.deepcopy(stack)
    definition["network"] = {"cidr": cidr}
    definition["domain"] = f"{name}.test"
    definition.pop("aliases", None)
    for server in definition.get("hosts", []):
        server["address"] = cidr.rpartition(".")[0] + "." + server["address"].rpartition(".")[2]
        server["host_key_file"] = f".state/{name}/host-keys/{server['name']}.pub"
    return definition


def _make_servers(project: Project, name: str) -> None:
    """Create servers that exist before the environment does and belong to another owner."""
    podman, environment, owner = Podman(), project.environment(name), f"{name}-servers"
    key = keys.ensure(environment.state_folder / "ssh" / "id_ed25519")
    podman.create_network(Network(name=owner, cidr=environment.network.cidr, environment=owner))
    for host in environment.hosts:
        private, public = generate_key()
        _write_key(environment.state_folder / "host-keys" / f"{host.name}.pub", public)
        podman.create_host(
            Host(
                name=host.name,
                environment=owner,
                network=owner,
                address=host.address,
                authorized_keys=(key.public_key,),
                host_key=private,
                cpus=host.cpus,
                memory_mb=host.memory_mb,
            )
        )


def _write_key(path: Path, public: str) -> None:
    state_files.write(path, f"{public}\n", mode=0o644)


def remove(project: Project, hosts: int) -> None:
    """Remove the environment with that number of hosts, and the servers that it adopted."""
    name, _ = BY_HOSTS[hosts]
    project.remove(name)
    project.remove(f"{name}-servers")
