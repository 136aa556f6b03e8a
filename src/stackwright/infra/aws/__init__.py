"""The `aws` provider: components that any Pulumi program can use one by one, and the platform built from them.

    from stackwright.infra.aws import Context, Network, NetworkArgs

Names are imported on first use: the AWS SDK takes a second to load, and the CLI should not have to wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: Public name -> the module that defines it.
_PUBLIC = {
    "AgentArgs": "launch_template",
    "Alarms": "alarms",
    "AlarmsArgs": "alarm_args",
    "Budget": "budget",
    "BudgetArgs": "budget",
    "Cache": "cache",
    "CacheArgs": "cache_args",
    "CacheGroupArgs": "cache_args",
    "CacheUserArgs": "cache_args",
    "Cdn": "cdn",
    "CdnArgs": "cdn_args",
    "Certificate": "certificate",
    "CertificateArgs": "certificate",
    "Context": "context",
    "Database": "database",
    "DatabaseArgs": "database_args",
    "DatabaseRegionArgs": "database_args",
    "DatabaseRestoreArgs": "database_args",
    "Dns": "dns",
    "DnsArgs": "dns",
    "DnsRecordArgs": "dns",
    "EncryptionKey": "encryption_key",
    "HostAlarmsArgs": "alarm_args",
    "Hosts": "hosts",
    "HostsArgs": "hosts",
    "InstanceRole": "instance_role",
    "InstanceRoleArgs": "instance_role",
    "KeyArgs": "encryption_key",
    "LoadBalancer": "load_balancer",
    "LoadBalancerArgs": "load_balancer_args",
    "Network": "network",
    "NetworkArgs": "network_args",
    "ObjectStore": "object_store",
    "ObjectStoreArgs": "object_store_args",
    "ScalingGroup": "scaling_group",
    "ScalingGroupArgs": "scaling_group_args",
    "Secrets": "secrets",
    "SecretsArgs": "secrets",
    "WebFirewall": "web_firewall",
    "WebFirewallArgs": "web_firewall",
}
__all__ = sorted(_PUBLIC)  # noqa: PLE0605 - a list of names all the same


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
