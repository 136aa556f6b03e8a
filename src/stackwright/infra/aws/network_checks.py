"""Checks of the arguments of a network, so that a mistake is reported before half a network is created."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence

from stackwright.model import addressing
from stackwright.model.aws import subnets as plan
from stackwright.model.aws.stackfile import RETENTION_DAYS

NAT = ("none", "single", "per_zone")
#: The service with a gateway endpoint, which is a route instead of an address and free of charge.
GATEWAY = "s3"
#: Services that hosts may need; adding one takes a line here, and a misspelt one is reported as an error.
SERVICES = (
    *("autoscaling", "ec2", "ec2messages", "ecr.api", "ecr.dkr", "elasticache", "elasticloadbalancing", "events"),
    *("kms", "lambda", "logs", "monitoring", "rds", GATEWAY, "secretsmanager", "sns", "sqs", "ssm", "ssmmessages"),
    *("sts", "xray"),
)
DEFAULT_ENDPOINTS = (GATEWAY, "ssm", "ssmmessages", "ec2messages", "secretsmanager", "ecr.api", "ecr.dkr", "logs")
#: Without these and without NAT, hosts cannot be reached, and can read neither their bundle nor their secrets.
NEEDED_WITHOUT_NAT = (GATEWAY, "ssm", "ssmmessages", "ec2messages", "secretsmanager", "logs")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def address_problems(region: str, cidr: str, subnets: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield problems of the network's and the subnets' addresses."""
    accepted = f"a network such as 10.20.0.0/16, from /{plan.LARGEST_PREFIX} to /{plan.SMALLEST_PREFIX}"
    whole = _network(cidr)
    if whole is None:
        yield f"cidr is {cidr!r}, accepted: {accepted}"
    if sorted(subnets) != sorted(plan.KINDS) or not all(subnets.values()):
        yield f"subnets is for {', '.join(subnets) or 'nothing'}, accepted: {', '.join(plan.KINDS)}, each with a zone"
        return
    if len({frozenset(zones) for zones in subnets.values()}) > 1:
        shown = "; ".join(f"{kind}: {', '.join(sorted(zones))}" for kind, zones in subnets.items())
        yield f"subnets has zones that differ ({shown}), accepted: the same zones for every kind"
    for zone in sorted({zone for zones in subnets.values() for zone in zones}):
        if not re.fullmatch(rf"{re.escape(region)}[a-z]", zone):
            yield f"subnets has the zone {zone!r}, accepted: zones of {region} such as {region}a"
    yield from _subnet_problems(cidr if whole else None, subnets, accepted)


def _subnet_problems(cidr: str | None, subnets: Mapping[str, Mapping[str, str]], accepted: str) -> Iterator[str]:
    places = {f"subnets[{kind}][{zone}]": subnet for kind, zones in subnets.items() for zone, subnet in zones.items()}
    good = {argument: subnet for argument, subnet in places.items() if _network(subnet) is not None}
    for where, block in places.items():
        if where not in good:
            yield f"{where} is {block!r}, accepted: {accepted}"
        elif cidr is not None and not addressing.within(cidr, block):
            yield f"{where} is {block}, accepted: a part of {cidr}"
    for i, j in addressing.overlaps(list(good.values())):
        yield f"{list(good)[i]} and {list(good)[j]} overlap, accepted: subnets that share no address"


def choice_problems(
    nat: str, endpoints: Sequence[str], readable_buckets: Sequence[str], flow_log_days: int
) -> Iterator[str]:
    """Yield problems of all other arguments."""
    if nat not in NAT:
        yield f"nat is {nat!r}, accepted: {', '.join(NAT)}"
    for unknown in sorted(set(endpoints) - set(SERVICES)):
        yield f"endpoints has {unknown!r}, accepted: {', '.join(SERVICES)}"
    if len(set(endpoints)) != len(endpoints):
        yield f"endpoints is {', '.join(endpoints)}, accepted: each service once"
    missing = [service for service in NEEDED_WITHOUT_NAT if service not in endpoints]
    if nat == "none" and missing:
        yield f"endpoints lacks {', '.join(missing)} while nat is 'none', accepted: these, or another nat"
    for bucket in readable_buckets:
        if not _BUCKET.fullmatch(bucket):
            yield f"readable_buckets has {bucket!r}, accepted: names of buckets"
    if flow_log_days not in RETENTION_DAYS:
        yield f"flow_log_days is {flow_log_days}, accepted: {', '.join(map(str, RETENTION_DAYS))}"


def _network(cidr: str) -> ipaddress.IPv4Network | None:
    try:
        network = ipaddress.IPv4Network(cidr)
    except ValueError:
        return None
    return network if plan.LARGEST_PREFIX <= network.prefixlen <= plan.SMALLEST_PREFIX else None
