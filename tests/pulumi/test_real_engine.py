"""The real engine, the real provider and real containers, on a small network of the test's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import WriteStack
from engine_stack import Stack

from stackwright.infra import engine
from stackwright.infra.bare_metal import ssh
from stackwright.infra.local import podman
from stackwright.model.environment import load

pytestmark = [pytest.mark.cli, pytest.mark.timeout(600)]

ENVIRONMENT = "pulumitest"
CIDR = "10.231.90.0/24"
ADOPTED = "pulumitest-adopted"
HOST = "stackwright:local:Host"


@pytest.fixture
def containers() -> Iterator[podman.Podman]:
    """Podman; what an earlier, interrupted run left goes first, and what this one leaves goes last."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    try:
        engine.cli()
    except engine.EngineError as error:
        pytest.skip(str(error))
    client = podman.Podman()
    for environment in (ENVIRONMENT, ADOPTED):
        client.remove_environment(environment)
    yield client
    for environment in (ENVIRONMENT, ADOPTED):
        client.remove_environment(environment)


@pytest.fixture
def stack(project: Path, containers: podman.Podman, write_stack: WriteStack) -> Stack:
    write_stack(ENVIRONMENT, cidr=CIDR)
    return Stack(project, ENVIRONMENT)


def limits(cpus: int, memory_mb: int) -> str:
    return f"sizes: {{server: {{cpus: {cpus}, memory_mb: {memory_mb}}}}}\n"


def test_an_environment_from_preview_to_destroy(
    project: Path, stack: Stack, containers: podman.Podman, write_stack: WriteStack
) -> None:
    container = f"{ENVIRONMENT}-server1"

    # A preview makes nothing.
    assert "server1" in stack.ok(engine.preview(ENVIRONMENT))
    assert containers.hosts(ENVIRONMENT) == []

    # Up: the host answers SSH with the recorded key and no other.
    assert stack.up()["create"] == 9
    output = stack.output()
    assert containers.hosts(ENVIRONMENT) == [container]
    connection = output["hosts"]["server1"]["connection"]
    target = ssh.Target(
        address=output["hosts"]["server1"]["address"],
        user="root",
        host_key=connection["host_key"],
        private_key_file=str(project / connection["private_key_file"]),
    )
    assert ssh.run(target, "hostname; systemctl is-system-running").split() == ["server1", "running"]
    other = ssh.Target(**{**vars(target), "host_key": podman.generate_key()[1]})
    with pytest.raises(ssh.SshError, match="host key"):
        ssh.run(other, "true")

    # The state has no private key, neither the host's nor ours.
    state = stack.state()
    assert "PRIVATE KEY" not in state
    for secret in (
        ssh.run(target, "sed -n 3p /etc/ssh/ssh_host_ed25519_key").strip(),
        (project / connection["private_key_file"]).read_text().splitlines()[2],
        Path(engine.variables(ENVIRONMENT)["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text(),
    ):
        assert len(secret) > 20
        assert secret not in state

    # Ansible reads the backend without the CLI, and logs in.
    done = subprocess.run(
        [
            "ansible",
            "all",
            "-i",
            f"inventories/{ENVIRONMENT}",
            "-m",
            "raw",
            "-a",
            "hostname",
            "-e",
            "ansible_user=root",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "server1" in done.stdout, done.stderr
    assert done.returncode == 0

    # A second up changes nothing.
    assert stack.up() == {"same": 9}

    # CPUs and memory change in place: same container, same boot.
    boot = ssh.run(target, "cat /proc/1/stat | cut -d' ' -f22")
    path = write_stack(ENVIRONMENT, cidr=CIDR)
    path.write_text(path.read_text() + limits(1, 6144))
    assert stack.up()["update"] == 1
    assert ssh.run(target, "cat /proc/1/stat | cut -d' ' -f22") == boot
    (host,) = stack.resources(HOST)
    assert (host["outputs"]["cpus"], host["outputs"]["memoryMb"]) == (1, 6144)
    stack.ok(engine.refresh(ENVIRONMENT))
    assert stack.up() == {"same": 9}

    # A host that stopped is started; its limits are put back, which podman forgets.
    subprocess.run([*containers.command, "stop", "--time", "1", container], check=True, capture_output=True)
    assert stack.up()["update"] == 1
    assert ssh.run(target, "hostname").strip() == "server1"
    stack.ok(engine.refresh(ENVIRONMENT))
    assert stack.up() == {"same": 9}

    # A host that is gone is noticed, and made anew with a host key of its own.
    containers.remove_host(container)
    stack.ok(engine.refresh(ENVIRONMENT))
    assert not stack.resources(HOST)
    assert stack.up()["create"] == 1
    assert stack.output()["hosts"]["server1"]["connection"]["host_key"] != connection["host_key"]

    # Another address is another host; another subnet another network, and all that is on it.
    path.write_text(path.read_text().replace(CIDR, "10.231.91.0/24"))
    assert stack.up()["replace"] == 2
    assert stack.output()["hosts"]["server1"]["address"] == "10.231.91.11"

    # Destroy leaves nothing behind.
    stack.ok(engine.destroy(ENVIRONMENT))
    stack.ok(engine.remove(ENVIRONMENT))
    assert containers.hosts(ENVIRONMENT) == []
    assert not any(each.get("name") == ENVIRONMENT for each in containers.networks())
    assert not (project / f".state/Pulumi.{ENVIRONMENT}.yaml").exists()


def test_a_subnet_in_use_stops_the_preview(stack: Stack, containers: podman.Podman) -> None:
    containers.create_network(podman.Network(name=ADOPTED, cidr="10.231.90.128/25", environment=ADOPTED))
    done = stack.run(engine.preview(ENVIRONMENT))
    assert done.returncode != 0
    assert "overlaps 10.231.90.128/25 of podman network pulumitest-adopted" in done.stdout + done.stderr


def test_a_create_that_fails_half_way_leaves_nothing(
    stack: Stack, containers: podman.Podman, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    # podman as it is, but a host that was started never finishes booting.
    fake = project / "bin" / "podman"
    fake.parent.mkdir()
    fake.write_text(
        '#!/bin/sh\n[ "$1" = start ] && { echo "no start today" >&2; exit 125; }\n'
        f'exec {shutil.which("podman")} "$@"\n'
    )
    fake.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_path", lambda before=engine._path: [str(fake.parent), *before()])
        done = stack.run(engine.up(ENVIRONMENT))
    assert done.returncode != 0
    assert "podman start" in done.stdout + done.stderr
    assert "no start today" in done.stdout + done.stderr
    assert containers.hosts(ENVIRONMENT) == []
    assert not stack.resources(HOST)
    # The same command goes on from there.
    assert stack.up()["create"] == 1


def test_a_run_that_was_killed_is_gone_on_with(stack: Stack, containers: podman.Podman) -> None:
    command = engine.up(ENVIRONMENT)
    engine.remember_machine(ENVIRONMENT)
    run = subprocess.Popen(
        command.argv, cwd=command.folder, env={**os.environ, **command.variables}, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not containers.hosts(ENVIRONMENT) and time.monotonic() < deadline:
        time.sleep(0.05)
    run.kill()
    run.wait()
    assert containers.hosts(ENVIRONMENT)
    assert stack.run(engine.up(ENVIRONMENT)).returncode != 0
    for each in engine.recover(ENVIRONMENT):
        stack.ok(each)
    stack.up()
    assert stack.up() == {"same": 9}
    assert containers.hosts(ENVIRONMENT) == [f"{ENVIRONMENT}-server1"]


def test_a_host_that_no_state_knows_is_made_anew(stack: Stack, containers: podman.Podman) -> None:
    stack.up()
    stack.ok(stack.command("state", "delete", "--yes", f"{_urn(stack)}"))
    assert stack.up()["create"] == 1
    assert len(containers.hosts(ENVIRONMENT)) == 1


def test_import_takes_a_host_over(stack: Stack) -> None:
    stack.up()
    stack.ok(stack.command("state", "delete", "--yes", f"{_urn(stack)}"))
    stack.ok(
        stack.command(
            "import", "--yes", "--skip-preview", "--generate-code=false", "--protect=false",
            HOST, "imported", f"{ENVIRONMENT}-server1",
        )
    )  # fmt: skip
    (host,) = stack.resources(HOST)
    assert host["inputs"]["address"] == "10.231.90.11"
    assert host["inputs"]["authorizedKeys"][0].startswith("ssh-ed25519 ")
    assert host["outputs"]["hostKey"].startswith("ssh-ed25519 ")


def test_servers_are_adopted_and_never_touched(
    project: Path, containers: podman.Podman, write_stack: WriteStack
) -> None:
    # A server that somebody else made.
    private, public = podman.generate_key()
    host_private, host_public = podman.generate_key()
    (project / "id").write_text(private)
    (project / "id").chmod(0o600)
    containers.create_network(podman.Network(name=ADOPTED, cidr=CIDR, environment=ADOPTED))
    server = podman.Host(
        name="big", environment=ADOPTED, network=ADOPTED, address="10.231.90.11",
        authorized_keys=(public,), host_key=host_private,
    )  # fmt: skip
    containers.create_host(server)

    def describe(cpus: int, host_key: str) -> None:
        write_stack(
            ENVIRONMENT,
            f"system: taaleem\nprovider: bare_metal\nclass: staging\ndomain: pulumi.test\n"
            f"network: {{cidr: {CIDR}}}\naccess: {{ssh_private_key: id}}\n"
            f"hosts:\n  - {{name: big, address: 10.231.90.11, groups: [edge, app, database, cache, ops], cpus: {cpus},"
            f' memory_mb: 8192, host_key: "{host_key}"}}\n',
        )

    stack = Stack(project, ENVIRONMENT)

    describe(2, podman.generate_key()[1])
    done = stack.run(engine.preview(ENVIRONMENT))
    assert "the server's host key is not the recorded one" in done.stdout + done.stderr

    describe(200, host_public)
    done = stack.run(engine.preview(ENVIRONMENT))
    assert "200 are needed" in done.stdout + done.stderr

    describe(2, host_public)
    assert stack.up()["create"] == 8
    assert stack.up() == {"same": 8}

    # Adopted: the admin's way in is open, the first user's closed. All goes on, and an update and a new state as well.
    containers.execute(
        server.container,
        "useradd --create-home stackwright && usermod -p '*' stackwright && cp -a /root/.ssh ~stackwright"
        " && chown -R stackwright: ~stackwright && echo 'stackwright ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/stackwright"
        " && echo PermitRootLogin no > /etc/ssh/sshd_config.d/00-stackwright.conf && systemctl reload ssh",
    )
    assert stack.up() == {"same": 8}
    stack.ok(engine.preview(ENVIRONMENT))
    describe(1, host_public)
    assert stack.up()["update"] == 1
    stack.ok(engine.destroy(ENVIRONMENT))
    stack.ok(engine.remove(ENVIRONMENT))
    stack = Stack(project, ENVIRONMENT)
    stack.ok(engine.preview(ENVIRONMENT))
    assert stack.up()["create"] == 8

    # Out of reach is an error, and the server stays in the state.
    subprocess.run([*containers.command, "stop", "--time", "1", server.container], check=True, capture_output=True)
    stack.ok(engine.refresh(ENVIRONMENT))
    done = stack.run(engine.up(ENVIRONMENT))
    assert done.returncode != 0
    assert "10.231.90.11:22: " in done.stdout + done.stderr
    assert len(stack.resources("stackwright:baremetal:Machine")) == 1
    containers.start_host(server.container)

    before = containers.execute(server.container, "find /root /etc -newer /proc/1 -type f | wc -l")
    stack.ok(engine.destroy(ENVIRONMENT))
    assert containers.hosts(ADOPTED) == [server.container]
    assert containers.execute(server.container, "find /root /etc -newer /proc/1 -type f | wc -l") == before


def _urn(stack: Stack) -> str:
    (host,) = stack.resources(HOST)
    urn: str = host["urn"]
    return urn


def test_the_environment_is_the_one_of_the_stacks_name(stack: Stack, project: Path) -> None:
    assert load(project / "inventories" / ENVIRONMENT).name == ENVIRONMENT
    done = stack.run(stack.command("preview", "--stack", "nowhere", "--non-interactive"))
    assert done.returncode != 0


def test_the_policy_pack_judges_a_program(project: Path, stack: Stack) -> None:
    """On a component of AWS's type, which needs no provider of AWS."""
    (project / "pulumi" / "__main__.py").write_text(
        """
import pulumi

class Group(pulumi.ComponentResource):
    def __init__(self, name, **inputs):
        super().__init__("aws:ec2/securityGroup:SecurityGroup", name, inputs)

Group("open", ingress=[{"cidrBlocks": ["0.0.0.0/0"], "fromPort": 22, "toPort": 22, "protocol": "tcp"}])
"""
    )
    done = stack.run(stack.command("preview", "--policy-pack", str(project / "pulumi" / "policy"), "--non-interactive"))
    assert done.returncode != 0
    assert "no-open-inline-rule" in done.stdout, done.stdout + done.stderr
    assert "an inline rule is open to the world" in done.stdout
