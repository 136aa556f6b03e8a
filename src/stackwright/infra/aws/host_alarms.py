"""What is watched of servers with a name and of the network's ways out, in every size."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from stackwright.infra.aws.account import Account
from stackwright.infra.aws.alarm_args import HostAlarmsArgs
from stackwright.infra.aws.hosts import Hosts
from stackwright.model import topology


def host_alarms(account: Account, hosts: Hosts) -> dict[str, HostAlarmsArgs]:
    """Return the alarms of each server: those of what its role `host_metrics` sends as well, where it has that role."""
    environment = account.environment
    groups = topology.playbook_groups(environment.stack, environment.hosts, environment.system)
    return {
        host.name: HostAlarmsArgs(
            instance_id=hosts.instance_ids[host.name],
            instance_type=host.type or "",
            # One disk holds all: `Hosts` makes no other.
            agent_paths=["/"] if host.name in groups["metrics"] else None,
            failed_units=host.name in groups["metrics"],
            backups=host.name in groups["metrics"] and host.name in groups["backup"],
            replication=host.name in groups["metrics"] and "database" in host.groups,
        )
        for host in environment.hosts
    }


def nat_gateways(account: Account) -> Mapping[str, pulumi.Input[str]]:
    """Return the NAT gateways to watch: zone -> id."""
    network = account.network
    return {zone: network.nat_gateway_ids[zone] for zone in network.nat_zones}
