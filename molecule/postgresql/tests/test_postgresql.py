"""What applications and operators rely on: after a switchover, changed settings and changed passwords."""

import json
import time

import pytest

from stackwright.testing.testinfra import security_score

MEMBERS = {"db1": "10.231.19.11", "db2": "10.231.19.12"}
CA = "/etc/stackwright/tls/postgresql/ca.crt"
PASSWORDS = {
    "app": "app-password-after-rotation",
    "reader": "reader-password-of-the-scenario",
    "pgbouncer": "pgbouncer-password-of-the-scenario",
    "replicator": "replication-password-after-rotation",
    "rewind": "rewind-password-after-rotation",
}


@pytest.fixture
def here(host):
    return host.backend.get_hostname()


@pytest.fixture
def database(here):
    if here not in MEMBERS:
        pytest.skip("a host without a database")


@pytest.fixture
def client(here):
    if here != "ops1":
        pytest.skip("only ops1 is a network that roles may come from")


def cluster(host):
    return json.loads(host.check_output("patronictl -c /etc/patroni/config.yml list --format json"))


def leader(host):
    return next(member["Member"] for member in cluster(host) if member["Role"] == "Leader")


def whole(host, seconds=90):
    """Wait until there is one leader and one replica that streams."""
    deadline = time.monotonic() + seconds
    while sorted((m["Role"], m["State"]) for m in cluster(host)) != [("Leader", "running"), ("Replica", "streaming")]:
        assert time.monotonic() < deadline, cluster(host)
        time.sleep(1)


def local(host, sql, database="app"):
    with host.sudo("postgres"):
        return host.check_output(f'psql -XAtq -v ON_ERROR_STOP=1 -d {database} -c "{sql}"')


def connect(host, address, sql, *, user="app", password=None, database="app", options="sslmode=verify-full"):
    """As an application does it; the password travels by environment of the process on the test host."""
    secret = PASSWORDS[user] if password is None else password
    where = f"host={address} dbname={database} user={user} connect_timeout=5 {options} sslrootcert={CA}"
    return host.run(f"PGPASSWORD='{secret}' psql -XAtq '{where}' -c \"{sql}\"")


def primary_of(host):
    """The address where a write is taken, found as an application without a proxy would."""
    for address in MEMBERS.values():
        if connect(host, address, "SELECT pg_is_in_recovery()").stdout == "f\n":
            return address
    raise AssertionError("no member leads")


def test_one_leads_and_one_streams(host, database):
    whole(host)


def test_the_switchover_moved_the_leader_and_its_copy_is_complete(host, database):
    history = json.loads(host.check_output("patronictl -c /etc/patroni/config.yml history --format json"))
    assert len(history) >= 1


def test_what_is_written_here_is_read_there(host, client):
    mark = str(time.time())
    leads = primary_of(host)
    (follows,) = set(MEMBERS.values()) - {leads}
    done = connect(host, leads, f"CREATE TABLE IF NOT EXISTS mark (at text); INSERT INTO mark VALUES ('{mark}')")
    assert done.rc == 0, done.stderr
    deadline = time.monotonic() + 10
    while connect(host, follows, f"SELECT 1 FROM mark WHERE at = '{mark}'").stdout != "1\n":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    refused = connect(host, follows, "INSERT INTO mark VALUES ('x')")
    assert "read-only transaction" in refused.stderr


def test_a_role_has_what_was_granted_and_no_more(host, client):
    address = primary_of(host)
    assert connect(host, address, "CREATE TABLE IF NOT EXISTS mark (at text)").rc == 0
    assert connect(host, address, "SELECT count(*) FROM mark", user="reader").rc == 0
    assert "permission denied" in connect(host, address, "DELETE FROM mark", user="reader").stderr
    assert "permission denied" in connect(host, address, "CREATE DATABASE more", user="app").stderr
    assert "permission denied" in connect(host, address, "SELECT * FROM pg_authid", user="app").stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"password": "app-password-of-the-scenario"}, "password authentication failed"),
        ({"password": "wrong"}, "password authentication failed"),
        ({"options": "sslmode=disable"}, "rejects connection"),
        ({"database": "other"}, "rejects connection"),
        ({"database": "postgres"}, "rejects connection"),
        ({"user": "rewind", "database": "postgres"}, "rejects connection"),
        ({"user": "replicator", "options": "replication=true sslmode=require"}, "rejects replication connection"),
        ({"options": "require_auth=md5 sslmode=require"}, "SASL authentication"),
    ],
)
def test_who_is_refused(host, client, arguments, complaint):
    refused = connect(host, MEMBERS["db1"], "SELECT 1", **arguments)
    assert refused.rc != 0
    assert complaint in refused.stderr


def test_other_hosts_are_refused(host, database, here):
    refused = connect(host, MEMBERS[here], "SELECT 1")
    assert refused.rc != 0
    assert "rejects connection" in refused.stderr


def test_the_certificate_carries_the_names_of_the_proxy(host, client):
    for name in ("database-primary.molecule.internal", "database-replica.molecule.internal"):
        answer = connect(host, name, "SELECT 1", options=f"hostaddr={MEMBERS['db1']} sslmode=verify-full")
        assert answer.stdout == "1\n", answer.stderr


def test_the_lookup_of_verifiers_is_for_pgbouncer_alone(host, client):
    lookup = "SELECT username, left(password, 14) FROM pgbouncer.get_auth('{}')"
    address = primary_of(host)
    assert connect(host, address, lookup.format("app"), user="pgbouncer").stdout == "app|SCRAM-SHA-256$\n"
    for hidden in ("postgres", "replicator", "nobody"):
        assert connect(host, address, lookup.format(hidden), user="pgbouncer").stdout == ""
    assert "permission denied" in connect(host, address, lookup.format("app"), user="app").stderr


def test_settings_reached_the_live_cluster(host, database):
    settings = {
        "data_checksums": "on",
        "ssl": "on",
        "password_encryption": "scram-sha-256",
        "max_connections": "60",
        "track_io_timing": "on",
        "log_temp_files": "20MB",
        "archive_mode": "on",
        "archive_command": "test -f %p",
        "shared_buffers": "128MB",
    }
    assert {name: local(host, f"SHOW {name}") for name in settings} == settings
    assert local(host, "SELECT count(*) FROM pg_settings WHERE pending_restart") == "0"


def test_every_password_is_a_scram_verifier(host, database):
    kinds = "SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS DISTINCT FROM NULL"
    assert set(local(host, kinds).split()) == set(PASSWORDS)
    assert local(host, kinds + " AND rolpassword NOT LIKE 'SCRAM-SHA-256$%'") == ""
    assert local(host, "SELECT rolname FROM pg_authid WHERE rolsuper") == "postgres"


def test_a_role_that_is_to_be_absent_is_gone(host, database):
    assert local(host, "SELECT count(*) FROM pg_roles WHERE rolname = 'former'") == "0"


def test_the_replica_holds_a_slot(host, database):
    if leader(host) != host.backend.get_hostname():
        pytest.skip("the leader holds it")
    (follows,) = set(MEMBERS) - {leader(host)}
    assert local(host, "SELECT slot_name, active FROM pg_replication_slots") == f"{follows}|t"


def test_patroni_tells_all_and_obeys_none_without_a_certificate(host, client):
    def ask(method, path):
        script = (
            "import ssl,urllib.request as r;"
            f"c=ssl.create_default_context(cafile='{CA}');"
            f"q=r.Request('https://{MEMBERS['db1']}:8008{path}',method='{method}');"
            "print(r.urlopen(q,timeout=5,context=c).status)"
        )
        return host.run(f'python3 -c "{script}"')

    assert ask("GET", "/health").stdout == "200\n"
    for method, path in (("POST", "/restart"), ("DELETE", "/restart"), ("POST", "/reload")):
        refused = ask(method, path)
        assert refused.rc != 0
        assert "HTTP Error 403" in refused.stderr


def test_the_log_is_reopened(host, database):
    log = "/var/log/postgresql/postgresql.log"
    control = "/usr/lib/postgresql/17/bin/pg_ctl logrotate --silent --pgdata=/var/lib/postgresql/17/main"
    host.check_output(f"rm -f {log}.1 && mv {log} {log}.1 && runuser -u postgres -- {control}")
    deadline = time.monotonic() + 10
    while not host.file(log).exists:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    host.run("runuser -u postgres -- psql -XAtq -d app -c 'SELECT no_such_column'")
    assert "no_such_column" in host.file(log).content_string
    assert (host.file(log).user, host.file(log).group, host.file(log).mode) == ("postgres", "adm", 0o640)


def test_no_password_is_told(host, database):
    for secret in ("password-of-the-scenario", "password-after-rotation", "SCRAM-SHA-256.4096"):
        assert host.run(f"grep -rl '{secret}' /var/log/postgresql").stdout == ""
        assert host.run(f"ps axww -o args | grep -v grep | grep -c '{secret}'").stdout.strip() == "0"
    assert host.file("/etc/patroni/config.yml").mode == 0o640
    assert host.file("/etc/patroni/config.yml").group == "postgres"


def test_a_bad_configuration_is_named(host, database):
    host.check_output("sed 's/max_connections: .*/max_connectoins: 5/' /etc/patroni/config.yml > /root/bad.yml")
    refused = host.run("stackwright-patroni-check /root/bad.yml")
    host.check_output("rm /root/bad.yml")
    assert refused.rc != 0
    assert 'unrecognized configuration parameter "max_connectoins"' in refused.stderr
    assert host.run("stackwright-patroni-check /etc/patroni/config.yml").rc == 0


def test_a_killed_postmaster_comes_back(host, database):
    whole(host)
    killed = host.check_output("head -1 /var/lib/postgresql/17/main/postmaster.pid")
    assert int(killed) > 1
    host.check_output(f"kill -9 {killed}")
    deadline = time.monotonic() + 60
    while host.run("runuser -u postgres -- psql -XAtq -d app -c 'SELECT 1'").stdout != "1\n":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert host.check_output("head -1 /var/lib/postgresql/17/main/postmaster.pid") != killed
    whole(host)


def test_hardening(host, database):
    assert security_score(host, "patroni.service") <= 3.0
