"""The alarms of an environment of size C, for every part that it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stackwright.infra.aws.account import Account
from stackwright.infra.aws.alarm_args import (
    AlarmsArgs,
    CacheAlarmsArgs,
    CdnAlarmsArgs,
    CertificateAlarmsArgs,
    DatabaseAlarmsArgs,
    GroupAlarmsArgs,
    LoadBalancerAlarmsArgs,
    WebFirewallAlarmsArgs,
)
from stackwright.infra.aws.cache import Cache
from stackwright.infra.aws.cloud_edge import Edge
from stackwright.infra.aws.database import Database
from stackwright.infra.aws.host_alarms import host_alarms, nat_gateways
from stackwright.infra.aws.hosts import Hosts
from stackwright.infra.aws.load_balancer_args import APPLICATION
from stackwright.infra.aws.scaling_group import ScalingGroup
from stackwright.model.aws.regions import GLOBAL_REGION


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of an environment to watch."""

    edge: Edge
    hosts: Hosts | None
    database: Database | None
    cache: Cache | None
    group: ScalingGroup | None


def alarms_args(account: Account, parts: Parts) -> AlarmsArgs:
    """Return the arguments of the alarms of all parts."""
    cdn, firewall = parts.edge.cdn, parts.edge.firewall
    return AlarmsArgs(
        context=account.context,
        kms_key_arn=account.key.arn,
        notify=account.aws.notify,
        hosts={} if parts.hosts is None else host_alarms(account, parts.hosts),
        nat_gateway_ids=nat_gateways(account),
        databases=_databases(account, parts.database),
        caches=_caches(account, parts.cache),
        load_balancer=_load_balancer(account, parts.edge),
        groups=_groups(account, parts.group),
        certificates=_certificates(account, parts.edge),
        cdn=None if cdn is None else CdnAlarmsArgs(distribution_id=cdn.distribution_id),
        web_firewall=(
            None
            if firewall is None
            else WebFirewallAlarmsArgs(metric_name=firewall.metric_name, scope=parts.edge.scope)
        ),
        global_kms_key_arn=None if cdn is None else account.global_key.arn,
    )


def _databases(account: Account, database: Database | None) -> Mapping[str, DatabaseAlarmsArgs]:
    plan, budget = account.plan.database, account.environment.connections
    if database is None or plan is None or budget is None:
        return {}
    return {
        "database" if number == 0 else f"replica-{number}": DatabaseAlarmsArgs(
            identifier=database.identifiers[number],
            instance_class=plan.instance_class,
            memory_mb=plan.memory_mb,
            storage_gb=plan.storage_gb,
            max_connections=budget.max_connections,
            replica=number > 0,
        )
        for number in range(plan.replicas + 1)
    }


def _caches(account: Account, cache: Cache | None) -> Mapping[str, CacheAlarmsArgs]:
    if cache is None:
        return {}
    return {
        purpose.replace("_", "-"): CacheAlarmsArgs(
            group_id=cache.group_ids[purpose],
            nodes=account.plan.caches[purpose].replicas + 1,
            keeps=instance.eviction == "noeviction",
        )
        for purpose, instance in account.environment.system.cache.items()
    }


def _load_balancer(account: Account, edge: Edge) -> LoadBalancerAlarmsArgs | None:
    if account.aws.load_balancer.kind != APPLICATION:
        return None
    balancer = edge.balancer
    return LoadBalancerAlarmsArgs(
        arn_suffix=balancer.arn_suffix, target_groups={"app": balancer.target_group_arn_suffix}
    )


def _groups(account: Account, group: ScalingGroup | None) -> Mapping[str, GroupAlarmsArgs]:
    group_settings = account.aws.app.group
    if group is None or group_settings is None:
        return {}
    # The role `host_metrics` sends these metrics, but not on Windows.
    paths = None if account.environment.slots[0].windows else ["/"]
    return {
        "app": GroupAlarmsArgs(
            name=group.group_name, min_size=group_settings.min, max_size=group_settings.max, agent_paths=paths
        )
    }


def _certificates(account: Account, edge: Edge) -> Mapping[str, CertificateAlarmsArgs]:
    certificates = {"load-balancer": CertificateAlarmsArgs(arn=edge.certificate.arn)}
    if edge.cdn is not None and account.aws.region != GLOBAL_REGION:
        certificates["cdn"] = CertificateAlarmsArgs(arn=edge.cdn_certificate.arn, region=GLOBAL_REGION)
    return certificates
