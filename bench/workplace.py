"""A separate project and hosts for the measured environments; both are removed in the end.

The project's directory has an `inventories/` with only bench's environments, and links to the rest of the checkout, so
that commands run there as users type them, and no environment of the checkout is changed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from bench.process import BenchError, Finished, checkout, end_marked, results_folder, run
from stackwright.infra import engine
from stackwright.infra.local.podman import Host, Network, Podman, PodmanError, generate_key
from stackwright.model import environment as model

#: Everything that bench creates is labelled with an environment of one of these names, and is removed by it.
ENVIRONMENTS = ("bench-single", "bench-three", "bench-three-servers", "bench-seven", "bench-floor", "bench-host")

_LINKED = (
    *(".venv", "ansible.cfg", "dist", "examples"),
    *("playbooks", "pyproject.toml", "roles", "src", "tools"),
)
#: Networks are taken from 10.232.0.0/16, each once per run: if a host is created again at an address that had another
#: host key, neighbours and shared SSH connections still remember its predecessor.
_NETWORKS = iter(f"10.232.{number % 256}.0/24" for number in range(os.getpid(), os.getpid() + 256))


def say(text: str) -> None:
    """Print the progress of the measurement."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def free_network() -> str:
    """Return a /24 that is not in use on this machine."""
    podman = Podman()
    for cidr in _NETWORKS:
        try:
            podman.refuse_taken_subnet(Network(name="bench-free", cidr=cidr, environment="bench-free"))
        except PodmanError:
            continue
        return cidr
    raise BenchError("every /24 of 10.232.0.0/16 is taken: remove podman networks that are not used")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A host without an environment, accessed through podman."""

    container: str
    address: str

    def run(self, script: str, stdin: str = "") -> str:
        """Return the output of a shell script on the host; raise an error if it fails."""
        return Podman().execute(self.container, script, stdin)

    def timed(self, script: str) -> float:
        """Return how many seconds a shell script takes on the host."""
        started = time.monotonic()
        self.run(script)
        return time.monotonic() - started

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file on the host."""
        self.run(f"install -D -m {mode} /dev/stdin {path}", text)

    def install(self, *packages: str) -> None:
        """Install packages without starting their services."""
        self.run("printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d")
        self.run(
            "export DEBIAN_FRONTEND=noninteractive; apt-get update -qq;"
            f" apt-get install -qq --yes --no-install-recommends {' '.join(packages)}"
        )


def make_hosts(environment: str, names: Sequence[str], **options: Any) -> list[Machine]:
    """Boot hosts on their own network, in parallel if the machine allows it; no known key gives access to them."""
    from concurrent.futures import ThreadPoolExecutor

    podman, cidr = Podman(), free_network()
    podman.create_network(Network(name=environment, cidr=cidr, environment=environment))
    keys = {"authorized_keys": (generate_key()[1],), "host_key": generate_key()[0]}
    hosts = [
        Host(
            name=name,
            environment=environment,
            network=environment,
            address=cidr.replace(".0/24", f".{11 + number}"),
            **keys | options,
        )
        for number, name in enumerate(names)
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(podman.create_host, hosts))
    return [Machine(container=host.container, address=host.address) for host in hosts]


@contextmanager
def one_host(environment: str, *, cpus: float = 2, memory_mb: int = 4096) -> Iterator[Machine]:
    """Provide a host until the block ends."""
    Podman().remove_environment(environment)
    try:
        yield make_hosts(environment, ["host1"], cpus=cpus, memory_mb=memory_mb)[0]
    finally:
        Podman().remove_environment(environment)


class Project:
    """The project of bench; see the module."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder, self.log = folder, log

    def add(self, name: str, stack: Mapping[str, Any]) -> None:
        """Define an environment, or replace an existing definition."""
        inventory = self.folder / "inventories" / name
        inventory.mkdir(parents=True, exist_ok=True)
        (inventory / "stack.yml").write_text(yaml.safe_dump(dict(stack), sort_keys=False))

    def environment(self, name: str) -> model.Environment:
        """Return the environment as the model sees it."""
        return model.load(self.folder / "inventories" / name / "stack.yml")

    def run(self, *argv: str, variables: Mapping[str, str] | None = None, watch: bool = False) -> Finished:
        """Run a command as a user would type it at the project's root."""
        return run(argv, folder=self.folder, log=self.log, variables=variables, watch=watch)

    def pulumi(self, command: engine.Command) -> Finished:
        """Run an engine command."""
        return run(command.argv, folder=command.folder, log=self.log, variables=command.variables)

    def provision(self, name: str) -> float:
        """Create the hosts of an environment; return the seconds of `pulumi up`."""
        self.pulumi(engine.select(name))
        return self.pulumi(engine.up(name)).seconds

    def remove(self, name: str) -> None:
        """Remove an environment with its hosts and its state; faster than `pulumi destroy`, and as thorough."""
        Podman().remove_environment(name)
        for folder in (self.folder / ".state" / name, self.folder / "inventories" / name):
            shutil.rmtree(folder, ignore_errors=True)
        (self.folder / ".state" / f"Pulumi.{name}.yaml").unlink(missing_ok=True)


@contextmanager
def temporary_project(log: Path) -> Iterator[Project]:
    """Provide the project until the block ends."""
    folder, before = results_folder() / "project", os.environ.get("STACKWRIGHT_ROOT")
    shutil.rmtree(folder, ignore_errors=True)
    (checkout() / "dist").mkdir(exist_ok=True)
    for name in _LINKED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(checkout() / name)
    # Copies: paths in Pulumi.yaml are relative to its real location, and a system has to be inside the project.
    for name in ("pulumi", "systems"):
        shutil.copytree(checkout() / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    os.environ["STACKWRIGHT_ROOT"] = str(folder)
    try:
        yield Project(folder, log)
    finally:
        end_marked()
        if before is None:
            del os.environ["STACKWRIGHT_ROOT"]
        else:
            os.environ["STACKWRIGHT_ROOT"] = before
        shutil.rmtree(folder, ignore_errors=True)


def sweep() -> None:
    """Remove everything that bench created on this machine, also in a run that was killed."""
    podman = Podman()
    for name in ENVIRONMENTS:
        podman.remove_environment(name)


@contextmanager
def alone() -> Iterator[None]:
    """Allow one bench at a time, as hosts are identified by name; remove leftovers before and after."""
    results_folder().mkdir(parents=True, exist_ok=True)
    with (results_folder() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BenchError("another bench is running on this checkout: wait for its end") from error
        sweep()
        try:
            yield
        finally:
            sweep()


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started
