"""From state X to state Y under load, on an environment of few small hosts: nobody notices, and what went leaves nothing behind.

The tests follow each other; each says what its change cost.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie

import pytest

from stackwright.testing.e2e import Environment, wait_until
from stackwright.testing.leftovers import stack_leftovers
from stackwright.testing.load import Load
from stackwright.testing.variant import Variant, variant

NAME = "taaleem-transitions"
SIZES = "sizes: {app: {memory_mb: 4096}}\n"
SMALL = "topology: {size: B, edge: 1, app: 1, database: 1, cache: 1, ops: 1}"
STACK = f"""
system: taaleem
provider: local
class: development
domain: transitions.test
network: {{cidr: 10.87.90.0/24}}
{SMALL}
certificates: {{issuer: internal}}
"""

#: Requests, of twelve a second, that may fail while another host becomes the leader.
SWITCHOVER = 12

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]


class Site:
    """The environment, and how to change its files."""

    def __init__(self, files: Variant, environment: Environment) -> None:
        self.files, self.environment = files, environment
        environment.stackwright("up")
        answer = environment.client.log_in(environment.secrets.get(f"app/{environment.app}/admin"))
        assert answer.status == 200, answer
        self.session = SimpleCookie(answer.headers["set-cookie"])["sid"].value

    def topology(self, **counts: int) -> None:
        """Write other counts of hosts; what is not named stays one."""
        numbers = {"edge": 1, "app": 1, "database": 1, "cache": 1, "ops": 1} | counts
        written = ", ".join(f"{tier}: {number}" for tier, number in numbers.items())
        lines = [
            f"topology: {{size: B, {written}}}" if line.startswith("topology:") else line
            for line in self.files.stack.read_text().splitlines()
        ]
        self.files.stack.write_text("\n".join(lines) + "\n")

    def run(self, what: str, verb: str = "up", *options: str, tolerated: int = 0) -> None:
        """Bring the change about under load: at most `tolerated` requests fail, and nothing acknowledged is lost."""
        with Load(self.environment.client, self.session) as load:
            time.sleep(3)
            began = time.monotonic()
            try:
                self.environment.stackwright(verb, *options)
            finally:
                spent = time.monotonic() - began
                time.sleep(5)
        tally = load.tally
        print(f"{what}: {spent:.0f} s, {sum(tally.sent.values())} requests, {len(tally.failures)} failed")
        self.environment.forget()
        assert len(tally.failures) <= tolerated, tally.failures
        assert min(tally.sent.values()) >= 20, tally.sent
        self.nothing_is_lost(load)

    def nothing_is_lost(self, load: Load) -> None:
        """Each write that was acknowledged is there."""
        query = f"SELECT count(*) FROM patients WHERE full_name LIKE '{load.mark} %'"
        assert int(self.environment.sql(query, "taaleem")) >= len(set(load.tally.added))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with variant(tmp_path_factory.mktemp("transitions") / "project", NAME) as (files, environment):
        files.stack.parent.mkdir(parents=True)
        files.stack.write_text(STACK)
        try:
            yield Site(files, environment)
        finally:
            environment.stackwright("destroy", "--yes", expect=None)
        assert not environment.leftovers()


def test_hosts_are_added(site: Site) -> None:
    site.topology(app=2, database=2, cache=2)
    site.run("an application, a database and a cache host added")
    assert site.environment.group("database") == ["db1", "db2"]


def test_a_second_run_changes_nothing(site: Site) -> None:
    before = site.environment.processes()
    assert "  0 changed" in site.environment.stackwright("up").output
    assert site.environment.processes() == before


def podman(verb: str, host: str, *options: str) -> None:
    subprocess.run(["podman", verb, *options, f"{NAME}-{host}"], check=True, capture_output=True)


def whole(environment: Environment) -> bool:
    """Whether `status` finds nothing to say of any host."""
    return environment.stackwright("status", expect=None).code == 0


def through(site: Site, what: str, event: Callable[[], object]) -> None:
    """Say what an event costs under load; it loses no acknowledged write, and the environment becomes whole by itself."""
    environment = site.environment
    with Load(environment.client, site.session) as load:
        time.sleep(3)
        began = time.monotonic()
        event()
        wait_until(lambda: whole(environment), f"the environment whole after {what}", seconds=300, pause=3)
        spent = time.monotonic() - began
        time.sleep(3)
    tally = load.tally
    print(f"{what}: whole after {spent:.0f} s, {len(tally.failures)} of {sum(tally.sent.values())} requests failed")
    site.nothing_is_lost(load)


@pytest.mark.parametrize("host", ["edge1", "app1", "app2", "db1", "db2", "cache1", "cache2", "ops1"])
def test_a_host_that_restarts_comes_back_by_itself(site: Site, host: str) -> None:
    through(site, f"{host} restarted", lambda: podman("restart", host, "--time", "20"))


def lose_leader(environment: Environment) -> str:
    """Kill the host that leads, wait until another one does, and start it again."""
    victim = environment.leader()
    podman("kill", victim)
    wait_until(lambda: environment.client.get("/api/ready").status == 200, "another leader", seconds=120)
    podman("start", victim)
    return victim


def follows(environment: Environment, host: str) -> bool:
    """Whether the PostgreSQL of a host streams from the leader."""
    other = next(name for name in environment.group("database") if name != host)
    members = json.loads(environment.ssh(other, "patronictl -c /etc/patroni/config.yml list --format json"))
    return any((member["Member"], member["State"]) == (host, "streaming") for member in members)


def test_the_leader_is_lost_twice_once_without_the_archive(site: Site) -> None:
    environment = site.environment

    def without_archive() -> None:
        environment.ssh("ops1", "systemctl stop pgbackrest.service")
        victim = lose_leader(environment)
        # It streams from the new leader before the archive is back.
        wait_until(lambda: follows(environment, victim), f"{victim} streams", seconds=180, pause=3)
        environment.ssh("ops1", "systemctl start pgbackrest.service")

    through(site, "the leader killed", lambda: lose_leader(environment))
    through(site, "the leader killed again, the archive away", without_archive)


def test_a_leader_that_returns_is_enough_where_the_repository_host_votes_and_is_away(site: Site) -> None:
    """With two database hosts the third voter is the repository host: without it and the leader nobody leads."""
    environment = site.environment

    def two_of_three_voters() -> None:
        victim = environment.leader()
        podman("stop", "ops1", "--time", "20")
        podman("kill", victim)
        wait_until(lambda: environment.client.get("/api/ready").status != 200, "nobody leads", seconds=120)
        podman("start", victim)
        wait_until(lambda: environment.client.get("/api/ready").status == 200, "a leader again", seconds=240)
        podman("start", "ops1")

    through(site, "the leader and the repository host killed, the leader back", two_of_three_voters)


def test_the_ca_is_replaced_under_load(site: Site) -> None:
    before = site.environment.ca_file.read_text()
    with Load(site.environment.client, site.session) as load:
        site.environment.stackwright("rotate-ca")
    site.environment.forget()
    assert site.environment.ca_file.read_text() != before
    # The load's clients trust the previous CA: the edge's certificate is of the new one from the second step on.
    refused = [each for each in load.tally.failures if "CERTIFICATE_VERIFY_FAILED" not in each]
    assert not refused, refused
    assert whole(site.environment)


def test_updates_are_installed_under_load(site: Site) -> None:
    environment = site.environment
    packages = {
        "db1": ["etcd-server", "etcd-client", "postgresql-17", "patroni"],
        "db2": ["postgresql-17", "patroni"],
        "app1": ["pgbouncer"],
        "app2": ["pgbouncer"],
    }
    for host, names in packages.items():
        environment.ask(host, "newer_packages", names)
    site.run("updates installed", "update", tolerated=SWITCHOVER)
    for host in packages:
        environment.ssh(host, "test \"$(pending-updates)\" = '[]'")
    assert whole(environment)


def test_the_domain_and_settings_of_postgresql_change(site: Site) -> None:
    """The name before stays as an alias; one of the settings counts from the next start of PostgreSQL."""
    site.files.edit(
        ("domain: transitions.test", "domain: clinic.test\naliases: [transitions.test]"),
        ("max_connections: 100", "max_connections: 110"),
        ("certificates:", "database: {parameters: {work_mem: 6MB}}\ncertificates:"),
    )
    site.run("another domain, and other settings of PostgreSQL", tolerated=SWITCHOVER)
    environment = site.environment
    assert (environment.domain, environment.client.get("/api/ready").status) == ("clinic.test", 200)
    assert (
        environment.sql("SELECT current_setting('work_mem'), current_setting('max_connections')", "taaleem")
        == "6MB|110"
    )


def test_hosts_are_removed_one_of_them_the_leader(site: Site) -> None:
    environment = site.environment
    if environment.leader() == "db1":
        environment.ssh(
            "db1", "patronictl -c /etc/patroni/config.yml switchover main --leader db1 --candidate db2 --force"
        )
        time.sleep(15)
    addresses = {name: environment.address(name) for name in ("app2", "db2", "cache2")}
    site.topology()
    site.run("the leader, an application and a cache host removed", tolerated=SWITCHOVER)
    for name, address in addresses.items():
        assert not stack_leftovers(environment, name, address)


def test_ports_and_memory_change(site: Site) -> None:
    site.files.edit(
        ("first_port: 5005", "first_port: 5105"),
        ("port: 6379", "port: 6479"),
        ("topology:", f"{SIZES}topology:"),
    )
    site.run("other ports of instances and of Redis, more memory")
    environment = site.environment
    for host, port in (("app1", 5005), ("cache1", 6379)):
        assert f":{port} " not in environment.ssh(host, "ss -Hltn")
        assert f"dport {port} " not in environment.ssh(host, "nft list table inet stackwright")


def test_a_dead_host_is_given_up_by_name(site: Site) -> None:
    site.topology(app=2)
    site.run("an application host added")
    address = site.environment.address("app2")
    podman("kill", "app2")
    site.topology()
    refused = site.environment.stackwright("up", expect=None)
    assert refused.code != 0
    assert "app2 (" in refused.output
    assert "--lost app2" in refused.output
    site.environment.stackwright("up", "--lost", "app2")
    site.environment.forget()
    assert not stack_leftovers(site.environment, "app2", address)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [("10.87.90.0/24", "10.87.91.0/24", "network.cidr"), (SMALL, "topology: {size: A}", "holds the only backups")],
)
def test_a_change_that_would_lose_data_is_refused_before_anything_is_touched(
    site: Site, old: str, new: str, reason: str
) -> None:
    site.topology()
    text = site.files.stack.read_text()
    before = site.environment.processes()
    # Topology A has no size of an application host.
    site.files.stack.write_text(text.replace(old, new).replace(SIZES, ""))
    try:
        shown = [site.environment.stackwright(verb, expect=None) for verb in ("validate", "plan", "up")]
    finally:
        site.files.stack.write_text(text)
    for done in shown:
        assert done.code == 1
        assert "stack.yml:" in done.output
        assert reason in done.output
    assert json.dumps(site.environment.processes()) == json.dumps(before)
