"""How the tests ask a member of the cluster, and how they connect as its clients do."""

import json
import time

MEMBERS = {"db1": "10.231.19.11", "db2": "10.231.19.12"}
CA = "/etc/stackwright/tls/postgresql/ca.crt"
PASSWORDS = {
    "app": "app-password-after-rotation",
    "reader": "reader-password-of-the-scenario",
    "pgbouncer": "pgbouncer-password-of-the-scenario",
    "replicator": "replication-password-after-rotation",
    "rewind": "rewind-password-after-rotation",
}


def release(host):
    """The major release that the distribution packages."""
    return host.check_output("ls /usr/lib/postgresql").strip()


def cluster(host):
    return json.loads(host.check_output("patronictl -c /etc/patroni/config.yml list --format json"))


def leader(host):
    return next(member["Member"] for member in cluster(host) if member["Role"] == "Leader")


def whole(host, seconds=90):
    """Wait until there is one leader and one replica that streams."""
    deadline = time.monotonic() + seconds
    # Patroni 3.0, Debian 12's, says no more of a replica than that it runs.
    following = "running" if "patroni 3.0" in host.check_output("patroni --version") else "streaming"
    while sorted((m["Role"], m["State"]) for m in cluster(host)) != [("Leader", "running"), ("Replica", following)]:
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
