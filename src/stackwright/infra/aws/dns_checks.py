"""Checks that find what Route 53 refuses, or accepts but cannot serve, before the first record is created."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stackwright.infra.aws.dns import DnsRecordArgs

ALIAS, ADDRESS, CANONICAL = "alias", "A", "CNAME"
KINDS = (ALIAS, ADDRESS, CANONICAL)
#: CloudFront's zone, the same for every distribution (API reference of Route 53, AliasTarget; the second is China's).
CLOUDFRONT_ZONES = ("Z2FDTNDATAQYW2", "Z3RFFRIM2A3IF5")
#: Seconds; Route 53 accepts 0, which no resolver caches, and advises against more than two days.
SHORTEST_TTL, LONGEST_TTL = 1, 172_800
#: Limits of one record (quotas of Route 53).
MOST_VALUES = 400
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_ZONE_ID = re.compile(r"Z[A-Z0-9]{6,31}")
_LONGEST_NAME = 253


def domain(name: str, *, wildcard: bool = False) -> bool:
    """Return whether it is a full name, in lower case without the final dot; a wildcard's first label may be `*`."""
    labels = name.split(".")
    if wildcard and labels[0] == "*":
        labels = labels[1:]
    return len(name) <= _LONGEST_NAME and len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels)


def zone_problems(hosted_zone_id: object, hosted_zone_name: str | None, internal_domain: str) -> Iterator[str]:
    """Yield problems of the two zones."""
    if isinstance(hosted_zone_id, str) and not _ZONE_ID.fullmatch(hosted_zone_id):
        yield f"hosted_zone_id is {hosted_zone_id!r}, accepted: an id such as Z0123456789ABCDEFGHIJ"
    for key, value in (("hosted_zone_name", hosted_zone_name), ("internal_domain", internal_domain)):
        if value is not None and not domain(value):
            yield f"{key} is {value!r}, accepted: a name in lower case such as clinic.example.org"


def record_problems(key: str, zone: str, records: Mapping[str, DnsRecordArgs]) -> Iterator[str]:
    """Yield problems of the records of one zone; `key` is the argument that contains them."""
    for name, record in records.items():
        where = f"{key}[{name}]"
        if not domain(name, wildcard=True) or not f".{name}".endswith(f".{zone}"):
            yield f"{key} has {name!r}, accepted: {zone} or a name below it, in lower case and without a dot at the end"
        if record.kind not in KINDS:
            yield f"{where}.kind is {record.kind!r}, accepted: {', '.join(KINDS)}"
            continue
        if record.kind == CANONICAL and name == zone:
            yield f"{where}.kind is 'CNAME' at the top of its zone, accepted: alias, A"
        if key == "private" and isinstance(record.zone_id, str) and record.zone_id in CLOUDFRONT_ZONES:
            yield f"{where} is an alias of CloudFront, accepted: one in `public`; AWS takes none in a private zone"
        check = {ALIAS: _alias, ADDRESS: _address, CANONICAL: _canonical}[record.kind]
        yield from (f"{where}.{problem}" for problem in (*_common(record), *check(name, record)))


def _common(record: DnsRecordArgs) -> Iterator[str]:
    if record.kind != ALIAS:
        yield from _unused(record, "zone_id", "evaluate_health", "ipv6")
        ttl = record.ttl_seconds
        if ttl is not None and not SHORTEST_TTL <= ttl <= LONGEST_TTL:
            yield f"ttl_seconds is {ttl}, accepted: {SHORTEST_TTL} to {LONGEST_TTL}"
    for key, values in (("values", record.values), ("ipv6_values", record.ipv6_values or ())):
        known = [value for value in values if isinstance(value, str)]
        if len(set(known)) != len(known):
            yield f"{key} is {', '.join(known)}, accepted: each value once"
        if len(values) > MOST_VALUES:
            yield f"{key} has {len(values)} values, accepted: at most {MOST_VALUES}"


def _unused(record: DnsRecordArgs, *keys: str) -> Iterator[str]:
    for key in keys:
        value = getattr(record, key)
        if value is not None and value is not False:
            yield f"{key} goes with no record of the kind {record.kind!r}, accepted: none"


def _alias(name: str, record: DnsRecordArgs) -> Iterator[str]:
    yield from _unused(record, "ttl_seconds", "ipv6_values")
    yield from _one_target(name, record)
    if record.zone_id is None:
        yield "zone_id is missing, accepted: the hosted zone of what the alias means (`zone_id` of a load balancer)"
    if isinstance(record.zone_id, str) and not _ZONE_ID.fullmatch(record.zone_id):
        yield f"zone_id is {record.zone_id!r}, accepted: an id such as Z0123456789ABCDEFGHIJ"
    if record.evaluate_health and isinstance(record.zone_id, str) and record.zone_id in CLOUDFRONT_ZONES:
        yield "evaluate_health is True, accepted: False for CloudFront, whose health Route 53 does not know"


def _canonical(name: str, record: DnsRecordArgs) -> Iterator[str]:
    yield from _unused(record, "ipv6_values")
    yield from _one_target(name, record)


def _one_target(name: str, record: DnsRecordArgs) -> Iterator[str]:
    if len(record.values) != 1:
        yield f"values has {len(record.values)}, accepted: one name"
    for value in record.values:
        if isinstance(value, str) and (_plain(value) == name or not domain(_plain(value))):
            yield f"values has {value!r}, accepted: another full name"


def _plain(target: str) -> str:
    return target.lower().removesuffix(".")


def _address(_name: str, record: DnsRecordArgs) -> Iterator[str]:
    if not record.values:
        yield "values is empty, accepted: at least one address"
    yield from _addresses("values", record.values, ipaddress.IPv4Address, "IPv4 addresses")
    yield from _addresses("ipv6_values", record.ipv6_values or (), ipaddress.IPv6Address, "IPv6 addresses")


def _addresses(key: str, values: Sequence[Any], parse: Callable[[str], object], accepted: str) -> Iterator[str]:
    for value in values:
        if not isinstance(value, str):
            continue
        try:
            parse(value)
        except ValueError:
            yield f"{key} has {value!r}, accepted: {accepted}"
