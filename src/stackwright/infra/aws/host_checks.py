"""Checks of the arguments of hosts, so that a mistake is reported before the first host is created."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from stackwright.infra.aws import firewall_rules, instance_role, launch_template
from stackwright.model.aws import sizes

if TYPE_CHECKING:
    from stackwright.infra.aws.hosts import HostArgs, HostsArgs

#: Security groups per network interface, unless AWS raises the quota.
_GROUPS_LIMIT = 5
_TIER = re.compile(r"[a-z][a-z0-9-]{0,29}")
_SMALLEST_SSH_PREFIX = {4: 8, 6: 32}


def problems(args: HostsArgs) -> Iterator[str]:
    """Yield every problem of the arguments."""
    for host in args.hosts:
        yield from _host_problems(args, host)
    for what, values in (
        ("name", [host.name for host in args.hosts]),
        ("address", [host.address for host in args.hosts]),
    ):
        for value in sorted({identifier for identifier in values if values.count(identifier) > 1}):
            yield f"hosts has two with the {what} {value}, accepted: one"
    yield from _rule_problems(args)
    for position, cidr in enumerate(args.ssh_from or ()):
        yield from _ssh_problems(f"ssh_from[{position}]", cidr)


def _host_problems(args: HostsArgs, host: HostArgs) -> Iterator[str]:
    where = f"hosts[{host.name}]"
    try:
        ipaddress.IPv4Address(host.address)
    except ValueError:
        yield f"{where}.address is {host.address!r}, accepted: an IPv4 address of its subnet"
    if not 1 <= len(set(host.tiers)) == len(host.tiers) <= _GROUPS_LIMIT:
        yield f"{where}.tiers is {', '.join(host.tiers) or 'empty'}, accepted: one to {_GROUPS_LIMIT}, each once"
    for tier in host.tiers:
        if not _TIER.fullmatch(tier):
            yield f"{where}.tiers has {tier!r}, accepted: lower-case letters, digits and hyphens"
    for problem in launch_template.machine_problems(host.disk_gb, None, None, args.cpu_credits):
        yield f"{where}.{problem}"
    for problem in instance_role.statement_problems(host.statements or ()):
        yield f"{where}.{problem}"
    yield from _image_problems(args, host, where)


def _image_problems(args: HostsArgs, host: HostArgs, where: str) -> Iterator[str]:
    from stackwright.infra.aws.hosts import user_data

    try:
        image = host.image
    except ValueError as problem:
        yield f"{where}.os or architecture: {problem}"
        return
    if isinstance(host.image_id, str) and not re.fullmatch(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", host.image_id):
        yield f"{where}.image_id is {host.image_id!r}, accepted: an id such as ami-0123456789abcdef0"
    if host.disk_gb < image.least_disk_gb:
        yield f"{where}.disk_gb is {host.disk_gb}, accepted: at least the image's own {image.least_disk_gb}"
    known = sizes.SERVERS.get(host.instance_type)
    if known is not None and known.architecture != image.architecture:
        yield f"{where}.instance_type is {host.instance_type}, accepted: a type of {image.architecture}, as the image is"
    try:
        user_data(args, host).encoded()
    except ValueError as problem:
        yield from (f"{where}: {line}" for line in str(problem).splitlines())


def _rule_problems(args: HostsArgs) -> Iterator[str]:
    known = args.tiers
    for position, between in enumerate(args.between or ()):
        where = f"between[{position}]"
        yield from firewall_rules.port_problems(where, between.reason, between.protocol, between.port, between.to_port)
        for name in ("from_tier", "to_tier"):
            tier = getattr(between, name)
            if tier not in known:
                yield f"{where}.{name} is {tier!r}, which has no host, accepted: {', '.join(known)}"
    flows = [
        (traffic.from_tier, traffic.to_tier, traffic.protocol or "tcp", traffic.port) for traffic in args.between or ()
    ]
    for source, target, protocol, port in sorted({flow for flow in flows if flows.count(flow) > 1}):
        yield f"between has {protocol} {port} from {source} to {target} twice, accepted: once"
    for name, rules in (("ingress", args.ingress or {}), ("egress", args.egress or {})):
        for tier, tier_rules in rules.items():
            if tier not in known:
                yield f"{name}[{tier}] is for a tier without a host, accepted: {', '.join(known)}"
            yield from firewall_rules.rule_problems(tier_rules, f"{name}[{tier}]", incoming=name == "ingress")
            yield from firewall_rules.name_problems(tier_rules, f"{name}[{tier}]")
            if name == "ingress":
                yield from _ssh_rules(tier_rules, f"{name}[{tier}]")


def _ssh_rules(rules: Sequence[firewall_rules.RuleArgs], where: str) -> Iterator[str]:
    for position, rule in enumerate(rules):
        last = rule.port if rule.to_port is None else rule.to_port
        if (rule.cidr or rule.cidr_ipv6) and rule.port <= 22 <= last:
            yield f"{where}[{position}] opens SSH to a network, accepted: `ssh_from`, which says it in one place"


def _ssh_problems(where: str, cidr: str) -> Iterator[str]:
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError:
        yield f"{where} is {cidr!r}, accepted: a network such as 203.0.113.0/24"
        return
    least = _SMALLEST_SSH_PREFIX[network.version]
    if network.prefixlen < least:
        yield f"{where} is {cidr}, accepted: networks of people, from /{least}; others have Systems Manager"
