"""Certificates that renew themselves: issued by ACM and validated by records in the zone of the domain."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import dns_checks
from stackwright.infra.aws.context import Context

#: Algorithms that ACM issues and both ALB and CloudFront accept (ACM user guide, "Prerequisites for importing": of the
#: elliptic curves CloudFront accepts only P-256).
EC, RSA = "EC_prime256v1", "RSA_2048"
#: Maximum names of a certificate; AWS allows 10 until more are requested (quotas of ACM).
MOST_NAMES = 100
#: Maximum characters of the main name, which is the certificate's common name (API reference of RequestCertificate,
#: DomainName).
LONGEST_MAIN_NAME = 64
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_ZONE_ID = re.compile(r"Z[A-Z0-9]{6,31}")
#: A moved zone is found again within a minute.
_TTL_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class CertificateArgs:
    """The names of a certificate and how they are validated.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: The first is the main one; `*.` in front of a name covers all names one label below it.
    names: Sequence[str]
    #: The public zone of the names, in which the validation records are created.
    hosted_zone_id: pulumi.Input[str] | None = None
    #: Instead of a zone, the `validation_names` of a certificate for the same names in another region: ACM requires the
    #: same records of an account in every region, and Route 53 accepts each once
    #: (hashicorp/terraform-provider-aws#13653).
    validation_names: pulumi.Input[Sequence[pulumi.Input[str]]] | None = None
    #: Region of the certificate, if not the environment's; CloudFront only accepts certificates in us-east-1.
    region: str | None = None
    #: `EC_prime256v1` or `RSA_2048`; defaults to the first, whose handshakes cost less. The second is for clients, such
    #: as old devices, that only support RSA.
    key_algorithm: str | None = None

    def __post_init__(self) -> None:
        problems = [*_name_problems(self.names), *_place_problems(self)]
        if problems:
            raise ValueError("\n".join(f"CertificateArgs.{problem}" for problem in problems))

    @property
    def proven(self) -> tuple[str, ...]:
        """The names to validate, each once: a name and its wildcard share a record."""
        return tuple(dict.fromkeys(plain(name) for name in self.names))


class Certificate(pulumi.ComponentResource):
    """A public certificate, and a record in the zone for each name, which validates it now and at every renewal.

    Its ARN is known when it is issued, not before. Another set of names is another certificate: the new one is in use
    before the old one is deleted.
    """

    #: Known once the certificate can be used.
    arn: pulumi.Output[str]
    #: Names of the validation records, for a certificate for the same names in another region.
    validation_names: pulumi.Output[Sequence[str]]

    def __init__(self, name: str, args: CertificateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Certificate", name, None, opts)
        self._args = args
        certificate = self._create_certificate(name)
        records: Any = self._create_records(name, certificate)
        validation = aws.acm.CertificateValidation(
            f"{name}-validation",
            certificate_arn=certificate.arn,
            validation_record_fqdns=records,
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = validation.certificate_arn
        self.validation_names = pulumi.Output.from_input(records)
        self.register_outputs({"arn": self.arn, "validationNames": self.validation_names})

    def _create_certificate(self, name: str) -> aws.acm.Certificate:
        args, context = self._args, self._args.context
        main, *alternative_names = args.names
        # A tag cannot contain an asterisk.
        label = context.name("name_tag", plain(main))
        return aws.acm.Certificate(
            f"{name}-certificate",
            domain_name=main,
            subject_alternative_names=alternative_names or None,
            validation_method="DNS",
            key_algorithm=args.key_algorithm or EC,
            region=args.region,
            tags=context.tags(label),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_records(self, name: str, certificate: aws.acm.Certificate) -> pulumi.Input[Sequence[pulumi.Input[str]]]:
        args = self._args
        if args.validation_names is not None:
            return args.validation_names
        # CertificateArgs requires one of the two.
        zone_id = "" if args.hosted_zone_id is None else args.hosted_zone_id
        return [self._create_record(name, certificate, zone_id, domain).fqdn for domain in args.proven]

    def _create_record(
        self, name: str, certificate: aws.acm.Certificate, zone_id: pulumi.Input[str], domain: str
    ) -> aws.route53.Record:
        # One record for each domain: the domains are known in advance, only the content of the record waits for ACM.
        option = certificate.domain_validation_options.apply(lambda options: _option(options, domain))
        return aws.route53.Record(
            f"{name}-validation-{domain}",
            zone_id=zone_id,
            name=option["name"],
            type=option["type"],
            ttl=_TTL_SECONDS,
            records=[option["value"]],
            opts=pulumi.ResourceOptions(parent=self),
        )


def plain(name: str) -> str:
    """Return the name without the wildcard, which is the name that ACM validates."""
    return name.removeprefix("*.")


def _option(options: Sequence[aws.acm.outputs.CertificateDomainValidationOption], domain: str) -> Mapping[str, str]:
    # Selected by name, because the options are a set whose order is up to the provider.
    option = next(
        candidate for candidate in options if candidate.domain_name and plain(candidate.domain_name) == domain
    )
    return {
        "name": option.resource_record_name or "",
        "type": option.resource_record_type or "",
        "value": option.resource_record_value or "",
    }


def _name_problems(names: Sequence[str]) -> Iterator[str]:
    if not 1 <= len(names) <= MOST_NAMES:
        yield f"names has {len(names)}, accepted: 1 to {MOST_NAMES}"
    for name in names:
        if not dns_checks.domain(name, wildcard=True) or "_" in name:
            yield f"names has {name!r}, accepted: full names in lower case such as example.org or *.example.org"
    for name in sorted({domain for domain in names if names.count(domain) > 1}):
        yield f"names has {name!r} twice, accepted: each once"
    if names and len(names[0]) > LONGEST_MAIN_NAME:
        yield f"names begins with {names[0]!r}, accepted: a main name of at most {LONGEST_MAIN_NAME} characters"


def _place_problems(args: CertificateArgs) -> Iterator[str]:
    zone_id, names = args.hosted_zone_id, args.validation_names
    if (zone_id is None) == (names is None):
        presence = "both given" if names is not None else "both missing"
        yield f"hosted_zone_id and validation_names are {presence}, accepted: one of them"
    if isinstance(zone_id, str) and not _ZONE_ID.fullmatch(zone_id):
        yield f"hosted_zone_id is {zone_id!r}, accepted: an id such as Z0123456789ABCDEFGHIJ"
    if isinstance(names, list | tuple) and len(names) != len(args.proven):
        yield f"validation_names has {len(names)}, accepted: {len(args.proven)}, one for each of {', '.join(args.proven)}"
    if args.region is not None and not _REGION.fullmatch(args.region):
        yield f"region is {args.region!r}, accepted: a region such as us-east-1"
    if args.key_algorithm not in (None, EC, RSA):
        yield f"key_algorithm is {args.key_algorithm!r}, accepted: {EC}, {RSA}"
