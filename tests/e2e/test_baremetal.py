"""taaleem-baremetal: servers that existed before, that are somebody else's to make and to remove."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stackwright import state_files
from stackwright.infra import keys
from stackwright.infra.local import podman
from stackwright.testing.e2e import Environment, differences

NAME = "taaleem-baremetal"
#: Whose the servers are: an environment that the one under test knows nothing of.
OWNER = "e2e-baremetal-servers"

pytestmark = pytest.mark.timeout(5400)


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Servers that run, and what their owner recorded of them."""

    environment: Environment
    containers: dict[str, str]
    host_keys: dict[str, Path]
    private_key_file: Path

    def boots(self) -> dict[str, str]:
        """When each server booted: it changes if one is touched that was to be left alone."""
        client = podman.Podman()
        return {
            host: client.execute(container, "systemctl show --property=UserspaceTimestampMonotonic --value")
            for host, container in self.containers.items()
        }


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    client, environment = podman.Podman(), Environment(NAME)
    _forget(client, environment)
    try:
        yield _start(client, environment)
    finally:
        _forget(client, environment)


def _forget(client: podman.Podman, environment: Environment) -> None:
    environment.stackwright("destroy", "--yes", expect=None)
    client.remove_environment(OWNER)
    # `destroy` keeps what opens servers that run on; these do not.
    shutil.rmtree(environment.state_folder, ignore_errors=True)


def _start(client: podman.Podman, environment: Environment) -> Servers:
    key = keys.ensure(environment.state_folder / "ssh" / "id_ed25519")
    client.create_network(podman.Network(name=OWNER, cidr=environment.model.network.cidr, environment=OWNER))
    containers, host_keys = {}, {}
    for host in environment.model.hosts:
        private, public = podman.generate_key()
        server = podman.Host(
            name=host.name,
            environment=OWNER,
            network=OWNER,
            address=host.address,
            authorized_keys=(key.public_key,),
            host_key=private,
            cpus=host.cpus,
            memory_mb=host.memory_mb,
        )
        client.create_host(server)
        containers[host.name] = server.container
        host_keys[host.name] = environment.state_folder / "host-keys" / f"{host.name}.pub"
        state_files.write(host_keys[host.name], f"{public}\n", mode=0o644)
    return Servers(
        environment=environment, containers=containers, host_keys=host_keys, private_key_file=key.private_key_file
    )


@pytest.fixture(scope="module")
def adopted(servers: Servers) -> Environment:
    servers.environment.stackwright("up")
    servers.environment.forget()
    return servers.environment


def test_a_server_with_another_host_key_is_refused_before_anything_is_done(servers: Servers) -> None:
    file = servers.host_keys["db2"]
    recorded = file.read_text()
    state_files.write(file, f"{podman.generate_key()[1]}\n", mode=0o644)
    try:
        done = servers.environment.stackwright("up", seconds=1200, expect=1)
    finally:
        state_files.write(file, recorded, mode=0o644)
    assert "root@10.87.40.13:22: the server's host key is not the recorded one" in " ".join(done.output.split())
    assert "Converging" not in done.output
    assert podman.Podman().execute(servers.containers["app1"], "getent passwd stackwright || echo none") == "none\n"


def test_a_server_that_is_not_empty_is_refused_before_any_is_touched(servers: Servers) -> None:
    client, occupied = podman.Podman(), servers.containers["db1"]
    client.execute(occupied, "mkdir /etc/haproxy && touch /etc/haproxy/haproxy.cfg")
    try:
        argv = ["ansible-playbook", "-i", str(servers.environment.file), "playbooks/adopt.yml"]
        done = servers.environment.run(*argv, expect=2)
    finally:
        client.execute(occupied, "rm -r /etc/haproxy")
    assert "db1 (10.87.40.12): /etc/haproxy/haproxy.cfg is there" in done.output
    for container in servers.containers.values():
        assert client.execute(container, "getent passwd stackwright || echo none") == "none\n"


def test_servers_are_adopted_and_answer(servers: Servers, adopted: Environment) -> None:
    adopted.stackwright("verify", seconds=300)
    assert adopted.group("edge") == ["app1"]
    assert None not in adopted.releases()
    assert adopted.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'", "postgres") == "1"


def test_root_is_no_longer_admitted(servers: Servers, adopted: Environment) -> None:
    """The first user's way in is closed once the admin's is open."""
    options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"]
    known = f"UserKnownHostsFile={adopted.state_folder / 'ssh' / 'known_hosts'}"
    for host in adopted.hosts:
        argv = [
            "ssh",
            *options,
            "-o",
            known,
            "-i",
            str(servers.private_key_file),
            f"root@{adopted.address(host)}",
            "true",
        ]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 255
        assert "Permission denied" in done.stderr
        assert adopted.ssh(host, "id -un").strip() == "root"


def test_provisioning_again_changes_nothing(adopted: Environment) -> None:
    """The state knows the servers by a user that they refuse by now. For the converge of a second `up`: the last test."""
    shown = adopted.pulumi("up", "--refresh", "--yes", "--skip-preview")
    assert re.search(r"Resources:\s+\d+ unchanged", shown), shown


def test_destroying_forgets_the_servers_and_leaves_them_running(servers: Servers, adopted: Environment) -> None:
    before, client, edge = servers.boots(), adopted.client, adopted.edge
    secrets = adopted.secrets.all()
    shown = adopted.stackwright("destroy", "--yes", seconds=600).output
    assert f".state/{NAME} keeps what opens them and their backups" in " ".join(shown.split())
    assert not json.loads(adopted.pulumi("stack", "ls", "--json"))
    assert servers.boots() == before
    assert edge.get(client.name, "/api/ready").status == 200
    assert adopted.ssh("db1", "id -un").strip() == "root"
    assert adopted.secrets.all() == secrets


def test_servers_that_were_forgotten_are_taken_in_again_as_they_are(adopted: Environment) -> None:
    before = adopted.processes()
    shown = adopted.stackwright("plan", seconds=300).output
    assert "to create" in shown
    assert "nothing to change" in shown
    assert "0 changed" in adopted.stackwright("up").output
    assert not differences(before, adopted.processes())


#: host, what is done by hand, the role that answers for it.
CHANGES = [
    ("app1", "echo '# x' >> /etc/nginx/staging/http.conf", "nginx"),
    ("app1", "echo '; x' >> /etc/pgbouncer/pgbouncer.ini", "pgbouncer"),
    ("app1", "redis-admin cache CONFIG SET maxmemory 99mb", "redis"),
    ("app1", "echo '//' >> $(ls -d /srv/emr/releases/*/server.js | head -1)", "app_release"),
    ("app1", "chmod 0666 /etc/stackwright/ca", "tls"),
    ("db1", "chmod 0666 /etc/etcd/etcd.env", "etcd"),
    ("db1", "systemctl stop stackwright-logrotate.timer", "log_rotation"),
    ("db1", "nft add rule inet stackwright input tcp dport 9999 accept", "firewall"),
    ("db2", "systemctl disable --now chrony.service", "baseline"),
    ("db2", "echo 'x' >> /etc/pgbackrest/pgbackrest.conf", "backup"),
]
#: A certificate of somebody else's, which a former run would put back: to ask must not.
CERTIFICATE = """
cd $(readlink -f /etc/stackwright/tls/postgresql)
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x -keyout tls.key -out tls.crt 2>&1
"""


def drift(environment: Environment) -> dict[str, Any]:
    """What `stackwright drift --json` prints on standard output."""
    shown = environment.stackwright("drift", "--json", seconds=300, expect=None).output
    report: dict[str, Any] = json.loads(shown[shown.index("\n{\n") :])
    return report


def test_drift_names_all_that_was_altered(adopted: Environment) -> None:
    """The converge of the test above has changed nothing, so that its calls are recorded."""
    shown = adopted.stackwright("drift", seconds=300).output
    assert re.search(r"no differences in [1-9]\d\d checks", shown), shown
    for kind, at_least in {"mode": 300, "content": 200, "enabled": 40}.items():
        altered = [(host, *entry) for host in adopted.hosts for entry in adopted.ask(host, "sweep", kind)]
        # systemd sets the mode of a service's StateDirectory at each start of it: no difference any more.
        if kind == "mode":
            adopted.ssh("db1", "systemctl start backup-status.service || true")
        report = drift(adopted)
        repaired = {(host, path) for host in adopted.hosts for path in adopted.ask(host, "sweep", "undo")}
        assert all(path.startswith("/var/lib/") for _, path in repaired), repaired
        assert kind != "mode" or ("db1", "/var/lib/stackwright-backup") in repaired
        altered = [entry for entry in altered if (entry[0], entry[3]) not in repaired]
        named: dict[tuple[str, str, str], str | None] = {
            (host["name"], each["role"], each["task"]): each["actual"]
            for host in report["hosts"]
            for each in host["differences"]
        }
        missed = [
            entry for entry in altered if entry[:3] not in named or not (entry[4] or entry[3] in str(named[entry[:3]]))
        ]
        print(f"{kind}: {len(altered)} altered, {len(missed)} missed")
        assert len(altered) >= at_least
        assert missed == []


def test_drift_names_what_was_changed_by_hand_and_changes_nothing(adopted: Environment) -> None:
    leader = adopted.leader()
    for host, script, _ in CHANGES:
        adopted.ssh(host, script)
    adopted.ssh("db2", CERTIFICATE)
    adopted.sql("ALTER ROLE emr CREATEDB", "postgres")

    def state() -> dict[str, Any]:
        clusters = "runuser -u postgres -- pg_dumpall --roles-only | grep -v '^.restrict\\|^.unrestrict'"
        return {
            **adopted.condition(),
            **adopted.processes(),
            **{host: adopted.ssh(host, "nft list ruleset; ls -lR /etc /srv | sha256sum") for host in adopted.hosts},
            "roles": adopted.ssh(leader, f"cd / && {clusters}"),
            "patroni": adopted.ssh(leader, "patronictl -c /etc/patroni/config.yml show-config"),
        }

    before = state()
    asked = drift(adopted)
    assert asked["exit_code"] == 1
    assert not differences(before, state())
    named = {(host["name"], each["role"]) for host in asked["hosts"] for each in host["differences"]}
    assert named >= {(host, role) for host, _, role in CHANGES} | {("db2", "tls"), (leader, "postgresql")}, named
    assert not [host["problem"] for host in asked["hosts"] if host["problem"]]
    # An altered record is no measure.
    adopted.ssh("db2", "sed -i 's/0644/0666/' /var/lib/stackwright/recorded-calls.json")
    shown = adopted.stackwright("drift", seconds=300, expect=1).output
    assert "db2   not compared: /var/lib/stackwright/recorded-calls.json does not match the last converge" in shown


def test_a_quick_converge_repairs_what_differs_and_then_verifies(adopted: Environment) -> None:
    """After the changes by hand of the test above; `plan` names beforehand what the converge then does."""
    shown = adopted.stackwright("plan", "--json", seconds=300, expect=2).output
    planned = json.loads(shown[shown.index("\n{\n") :])
    named = {(host["name"], change["role"]) for host in planned["hosts"] for change in host["changes"]}
    effects = {(change["role"], change["effect"]) for host in planned["hosts"] for change in host["changes"]}
    assert effects >= {("nginx", "reload"), ("pgbouncer", "reload_or_restart"), ("etcd", "rolling_restart")}
    repaired = adopted.converge_quickly()
    done = {
        (host, role)
        for host, roles in re.findall(r"^  (\w+): ((?:\w+ \d+(?:, )?)+)$", repaired, re.MULTILINE)
        for role in re.findall(r"([a-z]\w*) \d", roles)
    }
    assert done
    assert done <= named, done - named
    assert re.search(r"full run: \w+ (differs|was not compared)", repaired), repaired
    assert "0 changed" not in repaired
    recording = adopted.converge_quickly()
    assert re.search(r"full run: the last full run changed (app1|db1|db2)", recording), recording
    assert "0 changed" in recording
    before = {**adopted.condition(), **adopted.processes()}
    verified = adopted.converge_quickly()
    assert {*re.findall(r"^  (\w+) +verified: [1-9]\d* checks; last full run 20", verified, re.MULTILINE)} == {
        *adopted.hosts
    }
    assert "playbooks/site.yml" not in verified
    assert not differences(before, {**adopted.condition(), **adopted.processes()})
