"""DNS of an environment on AWS: public names, and stable internal names that only its own network resolves."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import dns_checks
from stackwright.infra.aws.context import Context

#: Clients find a service that moved within a minute.
_TTL_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class DnsRecordArgs:
    """A DNS record.

    The kinds: `alias` is a load balancer or distribution of AWS, whose addresses Route 53 follows; `CNAME` is another
    name; `A` is addresses.
    """

    kind: str
    #: Exactly one name for an alias or a CNAME, otherwise IPv4 addresses.
    values: Sequence[pulumi.Input[str]]
    #: The hosted zone of an alias's target.
    zone_id: pulumi.Input[str] | None = None
    #: Whether an alias returns healthy targets only; defaults to true except for CloudFront, where AWS refuses it.
    evaluate_health: bool | None = None
    #: Whether an alias also answers AAAA queries; its target must support IPv6.
    ipv6: bool | None = None
    #: IPv6 addresses (AAAA) in addition to the addresses of an `A` record.
    ipv6_values: Sequence[pulumi.Input[str]] | None = None
    #: Seconds; defaults to 60; an alias has the TTL of its target.
    ttl_seconds: int | None = None


@dataclass(frozen=True, kw_only=True)
class DnsArgs:
    """Both zones of an environment, and their records by full name.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: Records of the internal zone, such as `database.<internal_domain>`; only this network can resolve it.
    internal_domain: str
    vpc_id: pulumi.Input[str]
    #: The public zone, which has to exist already; required with `public`.
    hosted_zone_id: pulumi.Input[str] | None = None
    hosted_zone_name: str | None = None
    public: Mapping[str, DnsRecordArgs] | None = None
    private: Mapping[str, DnsRecordArgs] | None = None

    def __post_init__(self) -> None:
        problems = [
            *dns_checks.zone_problems(self.hosted_zone_id, self.hosted_zone_name, self.internal_domain),
            *dns_checks.record_problems("private", self.internal_domain, self.private or {}),
        ]
        if self.public and (self.hosted_zone_id is None or self.hosted_zone_name is None):
            problems.append("hosted_zone_id and hosted_zone_name are missing, accepted: those of the zone of `public`")
        elif self.public and self.hosted_zone_name is not None:
            problems += dns_checks.record_problems("public", self.hosted_zone_name, self.public)
        if problems:
            raise ValueError("\n".join(f"DnsArgs.{problem}" for problem in problems))


class Dns(pulumi.ComponentResource):
    """A private zone for the internal domain, which only the network can resolve, and records in both zones."""

    #: The zone of the internal domain.
    zone_id: pulumi.Output[str]
    internal_domain: pulumi.Output[str]
    #: Name in the args -> the same name, known once the record exists.
    public_names: pulumi.Output[Mapping[str, str]]
    private_names: pulumi.Output[Mapping[str, str]]

    def __init__(self, name: str, args: DnsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Dns", name, None, opts)
        context = args.context
        zone = aws.route53.Zone(
            f"{name}-internal",
            name=args.internal_domain,
            comment=f"{context.system}, {context.environment}: names inside the network",
            vpcs=[aws.route53.ZoneVpcArgs(vpc_id=args.vpc_id, vpc_region=context.region)],
            tags=context.tags(args.internal_domain),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.zone_id = zone.zone_id
        self.internal_domain = zone.name
        self.private_names = self._create_records(f"{name}-private", zone.zone_id, args.private or {})
        # The args reject public records without a zone.
        public_zone = "" if args.hosted_zone_id is None else args.hosted_zone_id
        self.public_names = self._create_records(f"{name}-public", public_zone, args.public or {})
        self.register_outputs(
            {
                "zoneId": self.zone_id,
                "internalDomain": self.internal_domain,
                "publicNames": self.public_names,
                "privateNames": self.private_names,
            }
        )

    def _create_records(
        self, prefix: str, zone_id: pulumi.Input[str], records: Mapping[str, DnsRecordArgs]
    ) -> pulumi.Output[Mapping[str, str]]:
        made = {name: self._create_record(prefix, zone_id, name, record) for name, record in records.items()}
        names: Any = {name: record.fqdn for name, record in made.items()}
        return pulumi.Output.from_input(names)

    def _create_record(
        self, prefix: str, zone_id: pulumi.Input[str], name: str, record: DnsRecordArgs
    ) -> aws.route53.Record:
        options = pulumi.ResourceOptions(parent=self)
        # The resource's name does not contain the kind: Route 53 changes it in one step, and would refuse a second
        # record.
        resource = f"{prefix}-{name.replace('*', 'any')}"
        if record.kind == dns_checks.ALIAS:
            targets = [_target(record)]
            if record.ipv6:
                aws.route53.Record(
                    f"{resource}-ipv6", zone_id=zone_id, name=name, type="AAAA", aliases=targets, opts=options
                )
            return aws.route53.Record(resource, zone_id=zone_id, name=name, type="A", aliases=targets, opts=options)
        ttl = record.ttl_seconds or _TTL_SECONDS
        if record.ipv6_values:
            aws.route53.Record(
                f"{resource}-ipv6",
                zone_id=zone_id,
                name=name,
                type="AAAA",
                ttl=ttl,
                records=record.ipv6_values,
                opts=options,
            )
        return aws.route53.Record(
            resource, zone_id=zone_id, name=name, type=record.kind, ttl=ttl, records=record.values, opts=options
        )


def _target(record: DnsRecordArgs) -> aws.route53.RecordAliasArgs:
    zone_id = "" if record.zone_id is None else record.zone_id
    evaluates: pulumi.Input[bool]
    if record.evaluate_health is not None:
        evaluates = record.evaluate_health
    elif isinstance(zone_id, str):
        evaluates = zone_id not in dns_checks.CLOUDFRONT_ZONES
    else:
        evaluates = pulumi.Output.all(zone_id).apply(lambda known: known[0] not in dns_checks.CLOUDFRONT_ZONES)
    return aws.route53.RecordAliasArgs(name=record.values[0], zone_id=zone_id, evaluate_target_health=evaluates)
