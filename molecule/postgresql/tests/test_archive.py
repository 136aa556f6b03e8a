"""The archive is away: neither a switchover nor a rejoin nor a second loss of the leader waits for it."""

import os
import time

import pytest
import testinfra
from postgresql_cluster import MEMBERS, leader, local, whole

AWAY = "/run/postgresql/archive-away"
testinfra_hosts = ["db1"]


@pytest.fixture(scope="module")
def members():
    """Every database host by name, with an archive that hangs."""
    inventory = os.environ["MOLECULE_INVENTORY_FILE"]
    hosts = {name: testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}", sudo=True) for name in MEMBERS}
    for member in hosts.values():
        member.check_output(f"touch {AWAY}")
    yield hosts
    for member in hosts.values():
        member.check_output(f"rm -f {AWAY} /run/postgresql/stackwright-archive-*")


def lose(host):
    """End all processes of the database at once, as when the host loses its power."""
    host.check_output(
        "systemctl mask --runtime patroni && systemctl kill --signal=KILL --kill-whom=all patroni;"
        " sleep 1; pkill -9 -u postgres postgres; systemctl stop patroni"
    )


def come_back(host):
    host.check_output("systemctl unmask --runtime patroni && systemctl start patroni")


def leave_wal(host):
    """Write WAL files that wait for the archive."""
    for _ in range(6):
        local(host, "INSERT INTO archive_away VALUES (now())")
        local(host, "SELECT pg_switch_wal()")


def count(host):
    return int(local(host, "SELECT count(*) FROM archive_away"))


def wait_for_other_leader(host, lost):
    deadline = time.monotonic() + 90
    while host.run("patronictl -c /etc/patroni/config.yml list").rc != 0 or _leader(host) in (None, lost):
        assert time.monotonic() < deadline
        time.sleep(1)


def _leader(host):
    try:
        return leader(host)
    except StopIteration:
        return None


def test_commands_after_one_that_ran_out_of_time_fail_at_once(host):
    started = time.monotonic()
    for _ in range(20):
        assert host.run("runuser -u postgres -- stackwright-archive test 2 'sleep 60'").rc == 124
    assert time.monotonic() - started < 20
    host.check_output("rm /run/postgresql/stackwright-archive-test")
    assert host.run("runuser -u postgres -- stackwright-archive test 2 'exit 3'").rc == 3


@pytest.mark.long
def test_the_leader_is_lost_twice_in_a_row(members):
    whole(members["db1"])
    first = leader(members["db1"])
    (second,) = set(MEMBERS) - {first}
    local(members[first], "CREATE TABLE IF NOT EXISTS archive_away (at timestamptz)")
    before = count(members[first])
    for lost, survivor in ((first, second), (second, first)):
        leave_wal(members[lost])
        # Replication is asynchronous here.
        time.sleep(2)
        lose(members[lost])
        wait_for_other_leader(members[survivor], lost)
        come_back(members[lost])
        whole(members[survivor], seconds=90)
    assert count(members[first]) == before + 12
