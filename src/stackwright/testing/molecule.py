"""The hosts of a Molecule scenario: `python -m stackwright.testing.molecule create|destroy|ca`.

Molecule calls this from its shared playbooks and passes the scenario in `MOLECULE_*` variables. The hosts are created
by the same code as those of the provider `local`; in addition they get the admin user, as adoption creates it on a
server.
"""

from __future__ import annotations

import ipaddress
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from stackwright import secret_store
from stackwright.infra.local.podman import Host, Network, Podman, generate_key, public_key

USER = "stackwright"


def _folder() -> Path:
    return Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])


def _environment() -> str:
    # Addresses are fixed, so two checkouts can run the same scenario only one after the other.
    return f"molecule-{os.environ['MOLECULE_SCENARIO_NAME']}"


def create() -> None:
    """Boot every platform of the scenario, and write the file that Molecule needs to reach them."""
    destroy()
    platforms: list[dict[str, Any]] = yaml.safe_load(Path(os.environ["MOLECULE_FILE"]).read_text())["platforms"]
    podman, environment = Podman(), _environment()
    cidr = str(ipaddress.ip_network(f"{platforms[0]['ip']}/24", strict=False))
    podman.create_network(Network(name=environment, cidr=cidr, environment=environment))
    private, public = generate_key()
    key_file = _write("id_ed25519", private)
    known_hosts, instances = [], []
    for platform in platforms:
        host_key, _ = generate_key()
        host = Host(
            name=platform["name"],
            environment=environment,
            network=environment,
            address=platform["ip"],
            authorized_keys=(public,),
            host_key=host_key,
            image=platform.get("image", "debian-13"),
            cpus=platform.get("cpus", 2),
            memory_mb=platform.get("memory_mb", 2048),
        )
        podman.create_host(host)
        _adopt(podman, host, public, [f"{peer['ip']} {peer['name']}" for peer in platforms])
        known_hosts.append(f"{host.address} {public_key(host_key)}")
        instances.append(
            {
                "instance": host.name,
                "address": host.address,
                "user": USER,
                "port": 22,
                "identity_file": str(key_file),
            }
        )
    _write("known_hosts", "\n".join(known_hosts) + "\n")
    Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).write_text(yaml.safe_dump(instances))


def _adopt(podman: Podman, host: Host, key: str, entries: list[str]) -> None:
    script = f"""
        useradd --create-home --shell /bin/bash {USER}
        install -d -m 700 -o {USER} -g {USER} /home/{USER}/.ssh
        printf '%s\\n' '{key}' > /home/{USER}/.ssh/authorized_keys
        chown {USER}: /home/{USER}/.ssh/authorized_keys
        echo '{USER} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{USER}
        printf '%s\\n' {" ".join(f"'{entry}'" for entry in entries)} >> /etc/hosts
    """
    subprocess.run(
        [*podman.command, "exec", "--interactive", host.container, "sh", "-eu"],
        input=script,
        text=True,
        check=True,
        capture_output=True,
    )


def destroy() -> None:
    """Remove the scenario's hosts and network, including those of an interrupted run."""
    Podman().remove_environment(_environment())
    Path(os.environ["MOLECULE_INSTANCE_CONFIG"]).unlink(missing_ok=True)


def ca() -> None:
    """Print the scenario's CA as JSON (certificate, private_key in PEM); it is created by the first call."""
    path = _folder() / "ca.json"
    if not path.exists():
        path.write_text(json.dumps(_make_ca()))
        path.chmod(0o600)
    print(path.read_text())


def _make_ca() -> dict[str, str]:
    made = secret_store.new_ca(_environment())
    return {"certificate": made[secret_store.CA_CERTIFICATE], "private_key": made[secret_store.CA_KEY]}


def _write(name: str, text: str) -> Path:
    path = _folder() / name
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
    return path


if __name__ == "__main__":
    {"create": create, "destroy": destroy, "ca": ca}[sys.argv[1]]()
