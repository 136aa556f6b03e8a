"""Alarms of named servers and of the network's NAT gateways, in every size."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi

from stackwright.infra.aws.account import Account
from stackwright.infra.aws.alarm_args import HostAlarmsArgs
from stackwright.infra.aws.hosts import Hosts
from stackwright.model import topology


def host_alarms(account: Account, hosts: Hosts) -> dict[str, HostAlarmsArgs]:
    """Return the alarms of each server, including those for metrics of the role `host_metrics` if it has that role."""
    environment = account.environment
    groups = topology.playbook_groups(environment.stack, environment.hosts, environment.system)
    return {
        host.name: HostAlarmsArgs(
            instance_id=hosts.instance_ids[host.name],
            instance_type=host.type or "",
            # There is a single disk: `Hosts` creates no other.
            agent_paths=["/"] if host.name in groups["metrics"] else None,
            failed_units=host.name in groups["metrics"],
            backups=host.name in groups["metrics"] and host.name in groups["backup"],
            replication=host.name in groups["metrics"] and "database" in host.groups,
        )
        for host in environment.hosts
    }


def nat_gateways(account: Account) -> Mapping[str, pulumi.Input[str]]:
    """Return the NAT gateways to monitor: zone -> id."""
    network = account.network
    return {zone: network.nat_gateway_ids[zone] for zone in network.nat_zones}
