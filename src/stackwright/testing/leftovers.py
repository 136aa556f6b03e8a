"""Finds references to a removed host on the remaining hosts."""

from __future__ import annotations

from stackwright.infra.local.podman import Podman
from stackwright.testing.e2e import Environment

#: Where services name their peers; records of the past in Pulumi, Ansible and logs do not count.
_FOLDERS = "/etc/nginx /etc/haproxy /etc/patroni /etc/etcd /etc/redis /etc/pgbouncer /etc/pgbackrest /etc/stackwright /etc/hosts /etc/systemd/system"


def stack_leftovers(environment: Environment, host: str, address: str) -> list[str]:
    """Return where a removed host is still named: its container, files, packet filters, members of etcd and Patroni."""
    container = f"{environment.name}-{host}"
    mentions = [f"container {container}"] if container in Podman().hosts(environment.name) else []
    for name in environment.hosts:
        files = environment.ssh(name, f"grep -rlwE '{host}|{address}' {_FOLDERS} 2>/dev/null || true").split()
        mentions += [f"{name}:{file}" for file in files]
        if address in environment.ssh(name, "nft list ruleset"):
            mentions.append(f"{name}: packet filter")
    database = environment.group("database")[0]
    environment_of_etcd = "set -a; . /etc/etcd/etcdctl.env 2>/dev/null || true"
    for what, script in {
        "member of etcd": f"{environment_of_etcd}; etcdctl member list",
        "member of Patroni": "patronictl -c /etc/patroni/config.yml list --format json",
        "replication slot": "runuser -u postgres -- psql -Atc 'SELECT slot_name FROM pg_replication_slots'",
        "replication": "runuser -u postgres -- psql -Atc 'SELECT client_addr FROM pg_stat_replication'",
    }.items():
        shown = environment.ssh(database, f"cd /; {script}")
        if address in shown or host in shown.replace("_", "-"):
            mentions.append(f"{what}: {shown.strip()}")
    return mentions
