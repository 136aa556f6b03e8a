"""Rules of security groups as data: each has a reason and an exact peer, and none is open to everything."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

_PROTOCOLS = ("tcp", "udp")
#: Characters that EC2 accepts in the description of a rule (API reference of IpRange).
_DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{1,255}")
#: Networks larger than these belong to no single owner.
_LARGEST = {4: 8, 6: 7}


@dataclass(frozen=True, kw_only=True)
class RuleArgs:
    """Traffic that a security group lets in or out; exactly one of the four peer fields is set."""

    #: Used as the description of the rule.
    reason: str
    port: int
    #: `tcp` or `udp`; defaults to `tcp`.
    protocol: str | None = None
    #: The last port of a range.
    to_port: int | None = None
    cidr: str | None = None
    cidr_ipv6: str | None = None
    security_group_id: pulumi.Input[str] | None = None
    prefix_list_id: pulumi.Input[str] | None = None


def rule_problems(rules: Sequence[RuleArgs], key: str, *, incoming: bool) -> Iterator[str]:
    """Yield problems of rules; `key` is the name of the argument."""
    for position, rule in enumerate(rules):
        where = f"{key}[{position}]"
        peers = [rule.cidr, rule.cidr_ipv6, rule.security_group_id, rule.prefix_list_id]
        if sum(peer is not None for peer in peers) != 1:
            yield f"{where} has {sum(peer is not None for peer in peers)} places, accepted: exactly one"
        yield from port_problems(where, rule.reason, rule.protocol, rule.port, rule.to_port)
        for cidr, version in ((rule.cidr, 4), (rule.cidr_ipv6, 6)):
            if cidr is not None:
                yield from cidr_problems(where, cidr, version, closed=incoming and not _is_web(rule))


def port_problems(where: str, reason: str, protocol: str | None, port: int, to_port: int | None) -> Iterator[str]:
    """Yield problems of the traffic of a rule."""
    if not _DESCRIPTION.fullmatch(reason):
        yield f"{where}.reason is {reason!r}, accepted: up to 255 letters, digits and ._-:/()#,@[]+=&;{{}}!$*"
    if protocol not in (None, *_PROTOCOLS):
        yield f"{where}.protocol is {protocol!r}, accepted: {', '.join(_PROTOCOLS)}"
    last = port if to_port is None else to_port
    if not 1 <= port <= last <= 65_535:
        yield f"{where} is for the ports {port} to {last}, accepted: 1 to 65535, the smaller one first"


def cidr_problems(where: str, cidr: str, version: int, *, closed: bool) -> Iterator[str]:
    """Yield problems of a network; a `closed` rule must not be open to all addresses."""
    try:
        network = ipaddress.ip_network(cidr)
    except ValueError:
        network = None
    if network is None or network.version != version:
        example = "10.20.0.0/16" if version == 4 else "2001:db8::/32"
        yield f"{where} has the network {cidr!r}, accepted: IPv{version} such as {example}"
    elif closed and network.prefixlen < _LARGEST[version]:
        yield f"{where} lets {cidr} in, accepted: from /{_LARGEST[version]}; everybody may reach 80 and 443 alone"


def _is_web(rule: RuleArgs) -> bool:
    return rule.port in (80, 443) and rule.to_port in (None, rule.port)


def create_rule(
    owner: pulumi.Resource,
    name: str,
    group: pulumi.Input[str],
    rule: RuleArgs,
    tags: Mapping[str, str],
    *,
    incoming: bool,
) -> pulumi.Resource:
    """Create one rule as a separate resource, so that removing one from a list does not move the others.

    DNS of the VPC, the metadata service and the time service need no rule: security groups do not filter them.
    """
    kind = aws.vpc.SecurityGroupIngressRule if incoming else aws.vpc.SecurityGroupEgressRule
    return kind(
        name,
        security_group_id=group,
        description=rule.reason,
        ip_protocol=rule.protocol or "tcp",
        from_port=rule.port,
        to_port=rule.port if rule.to_port is None else rule.to_port,
        cidr_ipv4=rule.cidr,
        cidr_ipv6=rule.cidr_ipv6,
        referenced_security_group_id=rule.security_group_id,
        prefix_list_id=rule.prefix_list_id,
        tags=tags,
        opts=pulumi.ResourceOptions(parent=owner),
    )


def rule_name(rule: RuleArgs, *, incoming: bool) -> str:
    """Return a name that is unique in the group: built from traffic and reason, so that the order does not matter."""
    words = re.sub(r"[^a-z0-9]+", "-", rule.reason.lower()).strip("-")
    return f"{'from' if incoming else 'to'}-{rule.protocol or 'tcp'}-{rule.port}-{words}"


def name_problems(rules: Sequence[RuleArgs], key: str) -> Iterator[str]:
    """Yield rules whose names would be identical."""
    names = [rule_name(rule, incoming=True) for rule in rules]
    for name in sorted({full_name for full_name in names if names.count(full_name) > 1}):
        yield f"{key} has two rules {name.removeprefix('from-')!r}, accepted: a reason of its own for each"
