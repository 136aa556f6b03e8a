"""What operators rely on, on the hosts of the database: after a switchover, changed settings and changed passwords."""

import json
import time

from postgresql_cluster import MEMBERS, PASSWORDS, connect, leader, local, release, whole

from stackwright.testing.testinfra import security_score

testinfra_hosts = ["db1", "db2"]


def test_one_leads_and_one_streams(host):
    whole(host)


def test_the_switchover_moved_the_leader_and_its_copy_is_complete(host):
    history = json.loads(host.check_output("patronictl -c /etc/patroni/config.yml history --format json"))
    assert len(history) >= 1


def test_other_hosts_are_refused(host):
    refused = connect(host, MEMBERS[host.backend.get_hostname()], "SELECT 1")
    assert refused.rc != 0
    assert "rejects connection" in refused.stderr


def test_settings_reached_the_live_cluster(host):
    settings = {
        "data_checksums": "on",
        "ssl": "on",
        "password_encryption": "scram-sha-256",
        "max_connections": "60",
        "track_io_timing": "on",
        "log_temp_files": "20MB",
        "archive_mode": "on",
        "archive_command": "/usr/local/sbin/stackwright-archive push 15"
        " 'test ! -e /run/postgresql/archive-away || sleep 300'",
        "shared_buffers": "128MB",
    }
    assert {name: local(host, f"SHOW {name}") for name in settings} == settings
    assert local(host, "SELECT count(*) FROM pg_settings WHERE pending_restart") == "0"


def test_every_password_is_a_scram_verifier(host):
    kinds = "SELECT rolname FROM pg_authid WHERE rolcanlogin AND rolpassword IS DISTINCT FROM NULL"
    assert set(local(host, kinds).split()) == set(PASSWORDS)
    assert local(host, kinds + " AND rolpassword NOT LIKE 'SCRAM-SHA-256$%'") == ""
    assert local(host, "SELECT rolname FROM pg_authid WHERE rolsuper") == "postgres"


def test_a_role_that_is_to_be_absent_is_gone(host):
    assert local(host, "SELECT count(*) FROM pg_roles WHERE rolname = 'former'") == "0"


def test_the_replica_holds_a_slot(host):
    (follows,) = set(MEMBERS) - {leader(host)}
    streaming = local(host, "SELECT slot_name FROM pg_replication_slots WHERE active")
    assert streaming == (follows if leader(host) == host.backend.get_hostname() else "")


def test_the_log_is_reopened(host):
    log = "/var/log/postgresql/postgresql.log"
    version = release(host)
    control = f"/usr/lib/postgresql/{version}/bin/pg_ctl logrotate --silent --pgdata=/var/lib/postgresql/{version}/main"
    host.check_output(f"rm -f {log}.1 && mv {log} {log}.1 && runuser -u postgres -- {control}")
    deadline = time.monotonic() + 10
    while not host.file(log).exists:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    host.run("runuser -u postgres -- psql -XAtq -d app -c 'SELECT no_such_column'")
    assert "no_such_column" in host.file(log).content_string
    assert (host.file(log).user, host.file(log).group, host.file(log).mode) == ("postgres", "adm", 0o640)


def test_no_password_is_told(host):
    for secret in ("password-of-the-scenario", "password-after-rotation", "SCRAM-SHA-256.4096"):
        assert host.run(f"grep -rl '{secret}' /var/log/postgresql").stdout == ""
        assert host.run(f"ps axww -o args | grep -v grep | grep -c '{secret}'").stdout.strip() == "0"
    assert host.file("/etc/patroni/config.yml").mode == 0o640
    assert host.file("/etc/patroni/config.yml").group == "postgres"


def test_a_bad_configuration_is_named(host):
    host.check_output("sed 's/max_connections: .*/max_connectoins: 5/' /etc/patroni/config.yml > /root/bad.yml")
    refused = host.run("stackwright-patroni-check /root/bad.yml")
    host.check_output("rm /root/bad.yml")
    assert refused.rc != 0
    assert 'unrecognized configuration parameter "max_connectoins"' in refused.stderr
    assert host.run("stackwright-patroni-check /etc/patroni/config.yml").rc == 0


def test_a_killed_postmaster_comes_back(host):
    whole(host)
    killed = host.check_output(f"head -1 /var/lib/postgresql/{release(host)}/main/postmaster.pid")
    assert int(killed) > 1
    host.check_output(f"kill -9 {killed}")
    deadline = time.monotonic() + 60
    while host.run("runuser -u postgres -- psql -XAtq -d app -c 'SELECT 1'").stdout != "1\n":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert host.check_output(f"head -1 /var/lib/postgresql/{release(host)}/main/postmaster.pid") != killed
    whole(host)


def test_hardening(host):
    assert security_score(host, "patroni.service") <= 3.0
