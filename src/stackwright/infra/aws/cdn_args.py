"""Arguments of a distribution, checked for problems before any resource exists."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws import cdn_behaviours as behaviours
from stackwright.infra.aws import dns_checks
from stackwright.infra.aws.cdn_behaviours import StaticArgs
from stackwright.infra.aws.context import Context

#: The region from which CloudFront takes certificates and firewalls, and from which it delivers logs.
HOME_REGION = "us-east-1"
#: Cheapest first; the first lacks South America, Africa, the Near and Far East and Oceania (CloudFront's price list).
PRICE_CLASSES = ("PriceClass_100", "PriceClass_200", "PriceClass_All")
#: TLS 1.2 and newer, or only 1.3 (API reference, MinimumProtocolVersion).
TLS_POLICIES = ("TLSv1.2_2021", "TLSv1.2_2025", "TLSv1.3_2025")
#: Maximum of the timeouts, in seconds (API reference, CustomOriginConfig and VpcOriginConfig).
LONGEST_SECONDS = 120
_HTTPS = 443
_COUNTRY = re.compile(r"[A-Z]{2}")


def nearest_price_class(region: str) -> str:
    """Return the cheapest price class that has edge locations on the region's continent."""
    if region.startswith(("us-", "ca-", "mx-", "eu-", "il-")):
        return "PriceClass_100"
    return "PriceClass_All" if region.startswith(("sa-", "ap-southeast-2", "ap-southeast-4")) else "PriceClass_200"


@dataclass(frozen=True, kw_only=True)
class CdnArgs:
    """A distribution and its origin.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: The names of the site; their DNS records must point to the distribution.
    names: Sequence[str]
    #: A certificate in us-east-1 with all `names`.
    certificate_arn: pulumi.Input[str]
    #: The DNS name of the load balancer (its `dns_name` is enough), none of `names`.
    origin_domain: pulumi.Input[str]
    #: The S3 bucket for access logs; its policy must let CloudWatch Logs write under the prefix `cdn`.
    log_bucket_arn: pulumi.Input[str]
    #: An internal load balancer.
    load_balancer_arn: pulumi.Input[str] | None = None
    #: Port of the load balancer; defaults to 443.
    https_port: int | None = None
    #: A firewall with the scope `CLOUDFRONT`.
    web_acl_arn: pulumi.Input[str] | None = None
    static: Sequence[StaticArgs] | None = None
    #: One of `PRICE_CLASSES`; defaults to the first.
    price_class: str | None = None
    #: Defaults to true.
    ipv6: bool | None = None
    #: One of `TLS_POLICIES`; defaults to the first.
    tls_policy: str | None = None
    #: How long the origin may send nothing; defaults to 120.
    read_seconds: int | None = None
    #: How long an idle connection to the origin is kept, less than the load balancer keeps it; defaults to 60.
    keepalive_seconds: int | None = None
    #: Two-letter country codes (ISO 3166-1); only these countries are served.
    only_countries: Sequence[str] | None = None
    #: These countries are not served.
    except_countries: Sequence[str] | None = None

    def __post_init__(self) -> None:
        problems = [
            *_name_problems(self),
            *_arn_problems(self),
            *_choice_problems(self),
            *_country_problems(self),
            *behaviours.static_problems(self.static or ()),
        ]
        if problems:
            raise ValueError("\n".join(f"CdnArgs.{problem}" for problem in problems))

    @property
    def chosen_read_seconds(self) -> int:
        """`read_seconds`, or by default the maximum of CloudFront."""
        return LONGEST_SECONDS if self.read_seconds is None else self.read_seconds

    @property
    def chosen_keepalive_seconds(self) -> int:
        """`keepalive_seconds`, or by default 60."""
        return 60 if self.keepalive_seconds is None else self.keepalive_seconds

    @property
    def chosen_port(self) -> int:
        """`https_port`, or by default the port of HTTPS."""
        return _HTTPS if self.https_port is None else self.https_port


def _name_problems(args: CdnArgs) -> Iterator[str]:
    if args.context.partition != "aws":
        yield f"context.region is {args.context.region!r}, accepted: none of China's or the government's"
    if not args.names or len(set(args.names)) != len(args.names):
        yield f"names is {', '.join(args.names) or 'empty'}, accepted: at least one, each once"
    for name in args.names:
        if not dns_checks.domain(name, wildcard=True):
            yield f"names has {name!r}, accepted: a full name in lower case"
    origin = args.origin_domain
    if not isinstance(origin, str):
        return
    if not dns_checks.domain(origin):
        yield f"origin_domain is {origin!r}, accepted: a full name in lower case"
    elif origin in args.names:
        yield f"origin_domain is {origin!r}, accepted: none of names, or CloudFront would ask itself"


def _arn_problems(args: CdnArgs) -> Iterator[str]:
    checks = (
        ("certificate_arn", args.certificate_arn, f"arn:aws:acm:{HOME_REGION}:", f"a certificate of {HOME_REGION}"),
        ("web_acl_arn", args.web_acl_arn, f"arn:aws:wafv2:{HOME_REGION}:", "a firewall with the scope CLOUDFRONT"),
        ("log_bucket_arn", args.log_bucket_arn, "arn:aws:s3:::", "the ARN of a bucket"),
        ("load_balancer_arn", args.load_balancer_arn, "arn:aws:elasticloadbalancing:", "the ARN of a load balancer"),
    )
    for key, value, beginning, accepted in checks:
        if isinstance(value, str) and args.context.partition == "aws" and not value.startswith(beginning):
            yield f"{key} is {value!r}, accepted: {accepted}"


def _choice_problems(args: CdnArgs) -> Iterator[str]:
    for key, value, choices in (
        ("price_class", args.price_class, PRICE_CLASSES),
        ("tls_policy", args.tls_policy, TLS_POLICIES),
    ):
        if value is not None and value not in choices:
            yield f"{key} is {value!r}, accepted: {', '.join(choices)}"
    for key, number, most in (
        ("read_seconds", args.chosen_read_seconds, LONGEST_SECONDS),
        ("keepalive_seconds", args.chosen_keepalive_seconds, LONGEST_SECONDS),
    ):
        if not 1 <= number <= most:
            yield f"{key} is {number}, accepted: 1 to {most}"
    # CloudFront only connects to these ports (developer guide, "HTTPS port").
    if not (args.chosen_port == _HTTPS or 1024 <= args.chosen_port <= 65535):
        yield f"https_port is {args.https_port}, accepted: 443 or 1024 to 65535"


def _country_problems(args: CdnArgs) -> Iterator[str]:
    if args.only_countries and args.except_countries:
        yield "only_countries and except_countries are both given, accepted: one of them"
    for key, countries in (
        ("only_countries", args.only_countries or ()),
        ("except_countries", args.except_countries or ()),
    ):
        for country in countries:
            if not _COUNTRY.fullmatch(country) or list(countries).count(country) > 1:
                yield f"{key} has {country!r}, accepted: codes such as AE, each once"
