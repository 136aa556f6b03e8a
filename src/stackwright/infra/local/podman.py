"""Local hosts: systemd containers under podman, reached over SSH like any server.

The only module that creates such hosts; the Pulumi provider `local` and Molecule's scenarios both use it.
Everything created here has the label `stackwright.environment`, by which it is found and removed again.
"""

from __future__ import annotations

import ipaddress
import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stackwright.infra.local import images

LABEL = "stackwright.environment"
LABEL_HOST = "stackwright.host"
#: podman does not keep the address of a stopped container.
LABEL_ADDRESS = "stackwright.address"

#: Capabilities that systemd in a container needs beyond podman's default: SYS_ADMIN, or unit sandboxing is silently
#: ignored; NET_ADMIN and NET_RAW for nftables and ping inside the host's own network namespace; DAC_READ_SEARCH, which
#: units on real servers may keep to read other users' files.
_CAPABILITIES = "DAC_READ_SEARCH,NET_ADMIN,NET_RAW,SYS_ADMIN"


#: Inotify instances are counted per user over all containers; a booted systemd has about five of them, and without a
#: free one it does not finish booting. The kernel's usual 128 are used up by about twenty hosts.
_INOTIFY_INSTANCES = 4096
_INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


class PodmanError(RuntimeError):
    """podman failed; the message names the problem, and the remedy if one is known."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """The bridge of one environment."""

    name: str
    cidr: str
    environment: str


@dataclass(frozen=True, kw_only=True)
class Host:
    """The definition of a host: everything that must be set before its first boot."""

    name: str
    environment: str
    network: str
    address: str
    #: OpenSSH public keys that may log in as root at first contact.
    authorized_keys: tuple[str, ...]
    #: OpenSSH private key (PEM) that the host identifies itself with.
    host_key: str = field(repr=False)
    image: str = "debian-13"
    cpus: float = 1.0
    memory_mb: int = 1024

    @property
    def container(self) -> str:
        return container_name(self.environment, self.name)


def container_name(environment: str, host: str) -> str:
    """Return the container name of a host; the prefix keeps environments apart."""
    return f"{environment}-{host}"


def mac_address(address: str) -> str:
    """Return a locally administered MAC address derived from the IPv4 address.

    A host that is created again with its old address keeps its MAC: neighbours with a cached entry reach it at once.
    """
    octets = ipaddress.IPv4Address(address).packed
    return "02:53:" + ":".join(f"{octet:02x}" for octet in octets)


def generate_key() -> tuple[str, str]:
    """Return a new ed25519 pair: (private key in OpenSSH's PEM, public key line)."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return private.decode(), public_key(private.decode())


def public_key(private: str) -> str:
    """Return the public key line (`ssh-ed25519 AAAA…`) of an OpenSSH private key."""
    loaded = serialization.load_ssh_private_key(private.encode(), password=None)
    line = loaded.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return line.decode()


class Podman:
    """podman on this machine, with the options that its kernel needs."""

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self.command = tuple(command) if command is not None else _command()

    # --- networks -----------------------------------------------------------------------------------------------

    def networks(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(self._run("network", "ls", "--format", "json") or "[]")
        return listed

    def find_network(self, name: str) -> Network | None:
        """Return the network with the name; None if there is none."""
        for network in self.networks():
            if _value(network, "name") == name:
                environment = (_value(network, "labels") or {}).get(LABEL, "")
                return Network(name=name, cidr=str(_subnets(network)[0]), environment=environment)
        return None

    def create_network(self, network: Network) -> None:
        """Create the network; use an existing one with the same name, subnet and environment as it is."""
        self.refuse_taken_subnet(network)
        if self.find_network(network.name) is None:
            label = f"{LABEL}={network.environment}"
            self._run("network", "create", "--subnet", network.cidr, "--label", label, network.name)

    def refuse_taken_subnet(self, network: Network, *, replacing: bool = False) -> None:
        """Raise PodmanError if the name or the subnet is already in use.

        With `replacing`, the environment's own network may have another subnet: it is deleted before the new one is
        created.
        """
        subnet, own_subnets = ipaddress.ip_network(network.cidr), list[Subnet]()
        for existing in self.networks():
            subnets = _subnets(existing)
            if _value(existing, "name") == network.name:
                if (_value(existing, "labels") or {}).get(LABEL) != network.environment:
                    raise PodmanError(f"network {network.name} exists, but not for environment {network.environment}")
                if subnets == [subnet]:
                    return
                if replacing:
                    own_subnets += subnets
                    continue
                raise PodmanError(
                    f"network {network.name} exists with subnet {', '.join(map(str, subnets))}, wanted {network.cidr}:"
                    f" remove it with `podman network rm {network.name}`"
                )
            for taken in subnets:
                if subnet.overlaps(taken):
                    raise PodmanError(
                        f"subnet {network.cidr} overlaps {taken} of podman network {_value(existing, 'name')}:"
                        " choose another `network.cidr`"
                    )
        self._refuse_routed(subnet, own_subnets)

    def remove_network(self, name: str) -> None:
        """Remove the network if it exists."""
        if any(_value(network, "name") == name for network in self.networks()):
            self._run("network", "rm", name)

    def _refuse_routed(self, subnet: Subnet, own_subnets: Sequence[Subnet]) -> None:
        """Refuse a subnet that this machine already routes: a new bridge would cut it off from the hosts there."""
        for destination, interface in self.routes():
            if destination not in own_subnets and subnet.overlaps(destination):
                raise PodmanError(
                    f"subnet {subnet} overlaps {destination}, which this machine reaches by {interface}:"
                    " choose another `network.cidr`"
                )

    def routes(self) -> list[tuple[Subnet, str]]:
        """Return the networks that this machine does not reach by its default route, with the interface of each."""
        shown = subprocess.run(["ip", "-json", "route"], capture_output=True, text=True, check=False)
        routes = [route for route in json.loads(shown.stdout or "[]") if route["dst"] != "default"]
        return [(ipaddress.ip_network(route["dst"]), route.get("dev", "no interface")) for route in routes]

    # --- hosts --------------------------------------------------------------------------------------------------

    def create_host(self, host: Host) -> str:
        """Create and boot a host; return the container's ID. If this raises, nothing is left behind."""
        existing = self.inspect(host.container)
        if existing is not None:
            if existing["Config"]["Labels"].get(LABEL) != host.environment:
                raise PodmanError(f"a container {host.container} exists that is not of environment {host.environment}")
            # Left by an interrupted run before it was recorded: its state is unknown, so it is created again.
            self.remove_host(host.container)
        image = images.ensure(host.image, self.command)
        _raise_inotify_limit()
        try:
            container = self._run("create", *self._options(host), image, "/lib/systemd/systemd").strip()
            self._install_keys(host)
            self._run("start", host.container)
            self.wait_until_booted(host.container)
        except BaseException:
            self.remove_host(host.container)
            raise
        return container

    def _options(self, host: Host) -> list[str]:
        return [
            *runtime_options(),
            "--name",
            host.container,
            "--hostname",
            host.name,
            "--label",
            f"{LABEL}={host.environment}",
            "--label",
            f"{LABEL_HOST}={host.name}",
            "--label",
            f"{LABEL_ADDRESS}={host.address}",
            "--systemd=always",
            "--cap-add",
            _CAPABILITIES,
            "--network",
            host.network,
            "--ip",
            host.address,
            "--mac-address",
            mac_address(host.address),
            f"--cpus={host.cpus}",
            f"--memory={host.memory_mb}m",
            "--stop-timeout=5",
        ]

    def _install_keys(self, host: Host) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for target, text, mode in (
                ("/root/.ssh/authorized_keys", "\n".join(host.authorized_keys) + "\n", 0o600),
                ("/etc/ssh/ssh_host_ed25519_key", host.host_key, 0o600),
                ("/etc/ssh/ssh_host_ed25519_key.pub", public_key(host.host_key) + "\n", 0o644),
            ):
                path = Path(folder) / "root" / target.lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=mode)
                path.write_text(text)
            (Path(folder) / "root/root/.ssh").chmod(0o700)
            (Path(folder) / "root/root").chmod(0o700)
            self._run("cp", f"{folder}/root/.", f"{host.container}:/")

    def wait_until_booted(self, container: str, seconds: int = 60) -> None:
        """Wait until systemd has finished booting; raise PodmanError with the failed units for a degraded host."""
        script = (
            f"for i in $(seq {seconds}); do [ -S /run/systemd/private ] && break; sleep 0.2; done;"
            f" timeout {seconds} systemctl is-system-running --wait"
        )
        state = self._try("exec", container, "sh", "-c", script).stdout.strip()
        if state not in {"running", "degraded"}:
            raise PodmanError(f"{container} did not boot within {seconds} s: systemd says {state or 'nothing'}")
        if state == "degraded":
            failed = self._try("exec", container, "systemctl", "--failed", "--no-legend", "--plain").stdout.strip()
            raise PodmanError(f"{container} booted with failed units: {failed}")

    def update_host(self, container: str, *, cpus: float, memory_mb: int) -> None:
        """Change the limits of a running host, without a restart."""
        self._run("update", f"--cpus={cpus}", f"--memory={memory_mb}m", container)

    def start_host(self, container: str) -> None:
        """Boot an existing host that does not run, for example after a reboot of this machine."""
        self._run("start", container)
        self.wait_until_booted(container)

    def execute(self, container: str, script: str, stdin: str = "") -> str:
        """Run a shell script inside a running host and return its output; raise PodmanError if it fails."""
        command = [*self.command, "exec", "--interactive", container, "sh", "-euc", script]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise PodmanError(f"in {container}: {done.stderr.strip() or f'exit code {done.returncode}'}")
        return done.stdout

    def remove_host(self, container: str) -> None:
        """Stop and remove the container, with its volumes, if it exists.

        podman 4.3 fails if a container ends by itself just before it is killed; a second attempt removes it.
        """
        command = ("rm", "--force", "--ignore", "--time", "5", "--volumes", container)
        if self._try(*command).returncode != 0:
            self._run(*command)

    def inspect(self, container: str) -> dict[str, Any] | None:
        """Return podman's description of a container; None if there is none with that name."""
        done = self._try("container", "inspect", container)
        if done.returncode != 0:
            if "no such container" in done.stderr.lower() or "no container with name" in done.stderr.lower():
                return None
            raise PodmanError(f"podman container inspect {container}: {done.stderr.strip()}")
        containers: list[dict[str, Any]] = json.loads(done.stdout)
        return containers[0]

    def find_address(self, address: str) -> str | None:
        """Return the container of the host with the address, running or not."""
        out = self._run("ps", "--all", "--filter", f"label={LABEL_ADDRESS}={address}", "--format", "{{.Names}}")
        return next(iter(out.split()), None)

    def hosts(self, environment: str) -> list[str]:
        """Return the containers with the environment's label."""
        out = self._run("ps", "--all", "--filter", f"label={LABEL}={environment}", "--format", "{{.Names}}")
        return out.split()

    def remove_environment(self, environment: str) -> None:
        """Remove every container and network with the environment's label, regardless of who created it."""
        for container in self.hosts(environment):
            self.remove_host(container)
        for network in self.networks():
            if (_value(network, "labels") or {}).get(LABEL) == environment:
                self.remove_network(_value(network, "name"))

    # --- helpers ------------------------------------------------------------------------------------------------

    def _try(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*self.command, *arguments], capture_output=True, text=True, check=False)

    def _run(self, *arguments: str) -> str:
        done = self._try(*arguments)
        if done.returncode != 0:
            raise PodmanError(f"podman {' '.join(arguments[:2])}: {done.stderr.strip()}")
        return done.stdout


def _command() -> tuple[str, ...]:
    if shutil.which("podman") is None:
        raise PodmanError("podman is not installed: run `make setup`")
    if os.geteuid() == 0:
        return ("podman",)
    # Fixed addresses on a bridge and nftables inside the hosts need root.
    if shutil.which("sudo") is None or subprocess.run(["sudo", "-n", "true"], check=False).returncode != 0:
        raise PodmanError("local hosts need rootful podman: run as root, or allow sudo without a password")
    return ("sudo", "-n", "podman")


def runtime_options() -> list[str]:
    """Return the podman options that this machine's control groups and limits require."""
    options: list[str] = []
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        # crun, podman's default, does not start systemd on the v1 and hybrid hierarchies.
        if shutil.which("runc") is None:
            raise PodmanError("this machine has control groups v1, where local hosts need runc: run `make setup`")
        options += ["--runtime", "runc"]
    for name, limit, preferred in (
        ("nofile", resource.RLIMIT_NOFILE, 1048576),
        ("nproc", resource.RLIMIT_NPROC, 16384),
    ):
        hard = resource.getrlimit(limit)[1]
        value = preferred if hard == resource.RLIM_INFINITY else min(preferred, hard)
        # podman's own default is above the hard limit of many machines, and then no container starts.
        options += ["--ulimit", f"{name}={value}:{value}"]
    return options


def _raise_inotify_limit() -> None:
    """Raise the limit so that enough hosts can run at once; this lasts until this machine's next boot."""
    if not _INOTIFY_LIMIT.is_file() or int(_INOTIFY_LIMIT.read_text()) >= _INOTIFY_INSTANCES:
        return
    setting = f"fs.inotify.max_user_instances={_INOTIFY_INSTANCES}"
    become = () if os.geteuid() == 0 else ("sudo", "-n")
    done = subprocess.run([*become, "sysctl", "--write", setting], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PodmanError(
            f"this machine's {setting.partition('=')[0]} is too low, and cannot be raised to"
            f" {_INOTIFY_INSTANCES} from here: run `sysctl --write {setting}` ({done.stderr.strip()})"
        )


def _value(network: dict[str, Any], key: str) -> Any:
    """Return a value of a network: podman 3 and 4 with CNI capitalise keys (`Name`), netavark uses lower case."""
    return network.get(key, network.get(key.capitalize()))


def _subnets(network: dict[str, Any]) -> list[Subnet]:
    return [ipaddress.ip_network(subnet["subnet"]) for subnet in network.get("subnets") or []]
