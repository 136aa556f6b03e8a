"""Distributions without an engine: every resource with all of its inputs, in each variant."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import Any

import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws.bucket_policies import log_policy
from stackwright.infra.aws.cdn import Cdn
from stackwright.infra.aws.cdn_args import CdnArgs
from stackwright.infra.aws.cdn_behaviours import StaticArgs, kept
from stackwright.infra.aws.context import Context
from stackwright.testing.recording import Properties, Recording, record

NAMES = ["clinic.example.org", "www.clinic.example.org"]
CERTIFICATE = f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/1"
FIREWALL = f"arn:aws:wafv2:us-east-1:{ACCOUNT}:global/webacl/test-cloudfront/1"
LOGS = f"test-logs-{ACCOUNT}"
BUCKET = f"arn:aws:s3:::{LOGS}"
LOAD_BALANCER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/test/50dc6c495c0c9188"
ORIGIN = f"internal-test-1.{REGION}.elb.amazonaws.com"
NEXT = StaticArgs(url="/_next/static", max_age_days=365, immutable=True)
PUBLIC = StaticArgs(url="/public", max_age_days=30)
DISTRIBUTION = f"arn:aws:cloudfront::{ACCOUNT}:distribution/cdn-distribution-id"
COMPUTED = {
    "aws:cloudfront/distribution:Distribution": lambda inputs: {
        "arn": DISTRIBUTION,
        "domainName": "d111111abcdef8.cloudfront.net",
        "hostedZoneId": "Z2FDTNDATAQYW2",
    },
    "aws:cloudwatch/logDeliveryDestination:LogDeliveryDestination": lambda inputs: {"arn": f"arn of {inputs['name']}"},
}
READING = ["GET", "HEAD"]
FIELDS = [
    "date",
    "time",
    "x-edge-location",
    "c-ip",
    "cs-method",
    "cs(Host)",
    "x-host-header",
    "cs-uri-stem",
    "cs-uri-query",
    "cs-protocol",
    "cs-protocol-version",
    "cs-bytes",
    "cs(User-Agent)",
    "cs(Referer)",
    "sc-status",
    "sc-bytes",
    "sc-content-type",
    "time-taken",
    "time-to-first-byte",
    "x-edge-result-type",
    "x-edge-response-result-type",
    "x-edge-detailed-result-type",
    "x-edge-request-id",
    "ssl-protocol",
    "ssl-cipher",
]


def args(environment_class: str = "production", **more: Any) -> CdnArgs:
    fixed: dict[str, Any] = {
        "context": context(environment_class),
        "names": NAMES,
        "certificate_arn": CERTIFICATE,
        "origin_domain": ORIGIN,
        "log_bucket_arn": BUCKET,
        "load_balancer_arn": LOAD_BALANCER,
        "web_acl_arn": FIREWALL,
        "static": [PUBLIC, NEXT],
    }
    return CdnArgs(**(fixed | more))


def run(environment_class: str = "production", *, preview: bool = False, **more: Any) -> Recording:
    def program() -> None:
        Cdn("cdn", args(environment_class, **more))

    return record(program, stack="test", computed=COMPUTED, preview=preview)


def distribution(**more: Any) -> Properties:
    return run(**more).named("cdn-distribution").inputs


def policy(part: str, days: int, queries: str) -> Properties:
    return {
        "name": f"test-{part}",
        "comment": f"taaleem, test: {part}",
        "minTtl": 1,
        "defaultTtl": days * 86_400,
        "maxTtl": days * 86_400,
        "parametersInCacheKeyAndForwardedToOrigin": {
            "cookiesConfig": {"cookieBehavior": "none"},
            "headersConfig": {"headerBehavior": "whitelist", "headers": {"items": ["Host"]}},
            "queryStringsConfig": {"queryStringBehavior": queries},
            "enableAcceptEncodingBrotli": True,
            "enableAcceptEncodingGzip": True,
        },
    }


def static(url: str, part: str) -> Properties:
    return {
        "pathPattern": f"{url}/*",
        "targetOriginId": "application",
        "viewerProtocolPolicy": "redirect-to-https",
        "allowedMethods": READING,
        "cachedMethods": READING,
        "cachePolicyId": f"cdn-{part}-id",
        "compress": True,
    }


def logs(environment_class: str) -> dict[tuple[str, str], Properties]:
    common: Properties = {"region": "us-east-1", "tags": tags("test-cdn", environment_class)}
    return {
        ("aws:cloudwatch/logDeliverySource:LogDeliverySource", "cdn-log-source"): common
        | {"name": "test-cdn", "logType": "ACCESS_LOGS", "resourceArn": DISTRIBUTION},
        ("aws:cloudwatch/logDeliveryDestination:LogDeliveryDestination", "cdn-log-destination"): common
        | {
            "name": "test-cdn",
            "outputFormat": "json",
            "deliveryDestinationConfiguration": {
                "destinationResourceArn": f"{BUCKET}/cdn/AWSLogs/{ACCOUNT}/CloudFront"
            },
        },
        ("aws:cloudwatch/logDelivery:LogDelivery", "cdn-log"): common
        | {
            "deliverySourceName": "test-cdn",
            "deliveryDestinationArn": "arn of test-cdn",
            "recordFields": FIELDS,
            "s3DeliveryConfigurations": [
                {"suffixPath": "{DistributionId}/{yyyy}/{MM}/{dd}/{HH}", "enableHiveCompatiblePath": False}
            ],
        },
    }


@pytest.mark.parametrize(
    ("environment_class", "kept_safe"), [("production", True), ("staging", True), ("development", False)]
)
def test_a_distribution_is_these_resources_and_no_other(environment_class: str, kept_safe: bool) -> None:
    recording = run(environment_class)
    recording.seal(
        {
            ("stackwright:aws:Cdn", "cdn"): {},
            ("aws:cloudfront/vpcOrigin:VpcOrigin", "cdn-vpc-origin"): {
                "vpcOriginEndpointConfig": {
                    "name": "test-application",
                    "arn": LOAD_BALANCER,
                    "httpPort": 80,
                    "httpsPort": 443,
                    "originProtocolPolicy": "https-only",
                    "originSslProtocols": {"items": ["TLSv1.2"], "quantity": 1},
                },
                "tags": tags("test-application", environment_class),
            },
            ("aws:cloudfront/cachePolicy:CachePolicy", "cdn-immutable-365-days"): policy(
                "immutable-365-days", 365, "none"
            ),
            ("aws:cloudfront/cachePolicy:CachePolicy", "cdn-static-30-days"): policy("static-30-days", 30, "all"),
            ("aws:cloudfront/distribution:Distribution", "cdn-distribution"): {
                "enabled": True,
                "comment": "taaleem, test",
                "aliases": NAMES,
                "httpVersion": "http2and3",
                "isIpv6Enabled": True,
                "priceClass": "PriceClass_100",
                "webAclId": FIREWALL,
                "viewerCertificate": {
                    "acmCertificateArn": CERTIFICATE,
                    "minimumProtocolVersion": "TLSv1.2_2021",
                    "sslSupportMethod": "sni-only",
                },
                "origins": [
                    {
                        "originId": "application",
                        "domainName": ORIGIN,
                        "connectionAttempts": 2,
                        "connectionTimeout": 5,
                        "vpcOriginConfig": {
                            "vpcOriginId": "cdn-vpc-origin-id",
                            "originReadTimeout": 120,
                            "originKeepaliveTimeout": 60,
                        },
                    }
                ],
                "defaultCacheBehavior": {
                    "targetOriginId": "application",
                    "viewerProtocolPolicy": "redirect-to-https",
                    "allowedMethods": ["GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE"],
                    "cachedMethods": READING,
                    "cachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
                    "originRequestPolicyId": "216adef6-5c7f-47e4-b989-5492eafa07d3",
                    "compress": False,
                },
                "orderedCacheBehaviors": [
                    static("/_next/static", "immutable-365-days"),
                    static("/public", "static-30-days"),
                ],
                "customErrorResponses": [
                    {"errorCode": each, "errorCachingMinTtl": 0} for each in (404, 414, 500, 501, 502, 503, 504)
                ],
                "restrictions": {"geoRestriction": {"restrictionType": "none", "locations": []}},
                "tags": tags("test-cdn", environment_class),
            },
            **logs(environment_class),
        }
    )
    children = [each for each in recording.resources if each.name != "cdn"]
    assert {each.parent for each in children} == {"cdn"}
    assert {each.name for each in recording.resources if each.protect} == ({"cdn-distribution"} if kept_safe else set())
    assert not any(each.secrets for each in recording.resources)
    assert recording.component_outputs["cdn"] == {
        "distributionId": "cdn-distribution-id",
        "arn": DISTRIBUTION,
        "domainName": "d111111abcdef8.cloudfront.net",
        "hostedZoneId": "Z2FDTNDATAQYW2",
    }


def test_a_public_load_balancer_is_asked_by_its_name() -> None:
    recording = run(load_balancer_arn=None, https_port=8443, read_seconds=30, keepalive_seconds=5)
    assert not any(each.type == "aws:cloudfront/vpcOrigin:VpcOrigin" for each in recording.resources)
    (origin,) = recording.named("cdn-distribution").inputs["origins"]
    assert origin == {
        "originId": "application",
        "domainName": ORIGIN,
        "connectionAttempts": 2,
        "connectionTimeout": 5,
        "customOriginConfig": {
            "httpPort": 80,
            "httpsPort": 8443,
            "originProtocolPolicy": "https-only",
            "originSslProtocols": ["TLSv1.2"],
            "originReadTimeout": 30,
            "originKeepaliveTimeout": 5,
        },
    }


def test_an_internal_load_balancer_can_listen_elsewhere() -> None:
    recording = run(https_port=8443, read_seconds=30, keepalive_seconds=5)
    assert recording.named("cdn-vpc-origin").inputs["vpcOriginEndpointConfig"]["httpsPort"] == 8443
    (origin,) = recording.named("cdn-distribution").inputs["origins"]
    assert origin["vpcOriginConfig"] == {
        "vpcOriginId": "cdn-vpc-origin-id",
        "originReadTimeout": 30,
        "originKeepaliveTimeout": 5,
    }


def test_without_static_files_nothing_is_kept() -> None:
    recording = run(static=None)
    assert recording.named("cdn-distribution").inputs["orderedCacheBehaviors"] == []
    assert not any(each.type == "aws:cloudfront/cachePolicy:CachePolicy" for each in recording.resources)


def test_folders_of_one_kind_and_age_share_a_policy() -> None:
    recording = run(static=[NEXT, StaticArgs(url="/assets", max_age_days=365, immutable=True), PUBLIC])
    policies = [each.name for each in recording.resources if each.type == "aws:cloudfront/cachePolicy:CachePolicy"]
    assert policies == ["cdn-immutable-365-days", "cdn-static-30-days"]
    behaviours = recording.named("cdn-distribution").inputs["orderedCacheBehaviors"]
    assert [each["pathPattern"] for each in behaviours] == ["/_next/static/*", "/assets/*", "/public/*"]


def test_the_longer_of_two_paths_is_looked_at_first() -> None:
    # Otherwise /public/fonts/a.woff2 would be kept as long as the rest of /public.
    fonts = StaticArgs(url="/public/fonts", max_age_days=90)
    patterns = [each["pathPattern"] for each in distribution(static=[PUBLIC, fonts])["orderedCacheBehaviors"]]
    assert next(each for each in patterns if fnmatch("/public/fonts/a.woff2", each)) == "/public/fonts/*"


def test_what_is_not_to_be_kept_is_the_applications() -> None:
    assert kept([StaticArgs(url="/fresh", max_age_days=0), PUBLIC]) == [PUBLIC]
    recording = run(static=[StaticArgs(url="/fresh", max_age_days=0)])
    assert recording.named("cdn-distribution").inputs["orderedCacheBehaviors"] == []


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"restrictionType": "none", "locations": []}),
        ({"only_countries": ["SA", "AE"]}, {"restrictionType": "whitelist", "locations": ["AE", "SA"]}),
        ({"except_countries": ["KP"]}, {"restrictionType": "blacklist", "locations": ["KP"]}),
    ],
)
def test_countries(more: dict[str, Any], expected: Properties) -> None:
    assert distribution(**more)["restrictions"]["geoRestriction"] == expected


def test_choices() -> None:
    inputs = distribution(ipv6=False, price_class="PriceClass_All", tls_policy="TLSv1.3_2025", web_acl_arn=None)
    assert inputs["isIpv6Enabled"] is False
    assert inputs["priceClass"] == "PriceClass_All"
    assert inputs["viewerCertificate"]["minimumProtocolVersion"] == "TLSv1.3_2025"
    assert "webAclId" not in inputs


def test_no_header_is_doubled_and_no_page_is_made_up() -> None:
    inputs = distribution()
    behaviours = [inputs["defaultCacheBehavior"], *inputs["orderedCacheBehaviors"]]
    assert not any("responseHeadersPolicyId" in each for each in behaviours)
    assert "defaultRootObject" not in inputs
    assert not any("responsePagePath" in each for each in inputs["customErrorResponses"])


def test_the_log_has_no_cookies() -> None:
    assert not [each for each in run().named("cdn-log").inputs["recordFields"] if "cookie" in each.lower()]


@pytest.mark.parametrize("added", ["", f"/AWSLogs/{ACCOUNT}/CloudFront"])
def test_the_buckets_policy_lets_the_log_be_written(added: str) -> None:
    """Whether AWS adds its own folders to ours or not."""
    destination = run().named("cdn-log-destination").inputs["deliveryDestinationConfiguration"]
    written = f"{destination['destinationResourceArn']}{added}/E1/2026/11/23/07/E1.gz"
    (statement,) = (each for each in log_policy(context(), LOGS, [])["Statement"] if each["Sid"] == "DeliveredLogs")
    assert any(fnmatch(written, each) for each in statement["Resource"])


def test_a_preview_knows_all_that_does_not_come_from_aws() -> None:
    recording = run(preview=True)
    destination = recording.named("cdn-log-destination").inputs["deliveryDestinationConfiguration"]
    assert destination["destinationResourceArn"].startswith(BUCKET)
    assert recording.named("cdn-distribution").inputs["aliases"] == NAMES


# --- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"names": []}, "names is empty, accepted: at least one, each once"),
        ({"names": NAMES[:1] * 2}, f"names is {NAMES[0]}, {NAMES[0]}, accepted: at least one, each once"),
        ({"names": ["Clinic.example.org"]}, "names has 'Clinic.example.org', accepted: a full name in lower case"),
        ({"origin_domain": "clinic"}, "origin_domain is 'clinic', accepted: a full name in lower case"),
        (
            {"origin_domain": NAMES[0]},
            f"origin_domain is '{NAMES[0]}', accepted: none of names, or CloudFront would ask itself",
        ),
        (
            {"certificate_arn": CERTIFICATE.replace("us-east-1", REGION)},
            f"certificate_arn is '{CERTIFICATE.replace('us-east-1', REGION)}', accepted: a certificate of us-east-1",
        ),
        (
            {"web_acl_arn": FIREWALL.replace("us-east-1", REGION)},
            f"web_acl_arn is '{FIREWALL.replace('us-east-1', REGION)}', accepted: a firewall with the scope CLOUDFRONT",
        ),
        ({"log_bucket_arn": LOGS}, f"log_bucket_arn is '{LOGS}', accepted: the ARN of a bucket"),
        ({"load_balancer_arn": "test"}, "load_balancer_arn is 'test', accepted: the ARN of a load balancer"),
        ({"https_port": 80}, "https_port is 80, accepted: 443 or 1024 to 65535"),
        (
            {"price_class": "PriceClass_300"},
            "price_class is 'PriceClass_300', accepted: PriceClass_100, PriceClass_200, PriceClass_All",
        ),
        (
            {"tls_policy": "TLSv1.1_2016"},
            "tls_policy is 'TLSv1.1_2016', accepted: TLSv1.2_2021, TLSv1.2_2025, TLSv1.3_2025",
        ),
        ({"read_seconds": 300}, "read_seconds is 300, accepted: 1 to 120"),
        ({"keepalive_seconds": 0}, "keepalive_seconds is 0, accepted: 1 to 120"),
        (
            {"only_countries": ["AE"], "except_countries": ["KP"]},
            "only_countries and except_countries are both given, accepted: one of them",
        ),
        ({"only_countries": ["uae"]}, "only_countries has 'uae', accepted: codes such as AE, each once"),
        (
            {"static": [StaticArgs(url="/public/", max_age_days=1)]},
            "static[0].url is '/public/', accepted: a folder such as /_next/static, each once",
        ),
        (
            {"static": [StaticArgs(url="/", max_age_days=1)]},
            "static[0].url is '/', accepted: a folder such as /_next/static, each once",
        ),
        (
            {"static": [StaticArgs(url="/a/../b", max_age_days=1)]},
            "static[0].url is '/a/../b', accepted: a folder such as /_next/static, each once",
        ),
        (
            {"static": [StaticArgs(url="/a*", max_age_days=1)]},
            "static[0].url is '/a*', accepted: a folder such as /_next/static, each once",
        ),
        (
            {"static": [PUBLIC, PUBLIC]},
            "static[1].url is '/public', accepted: a folder such as /_next/static, each once",
        ),
        (
            {"static": [StaticArgs(url="/a", max_age_days=-1)]},
            "static[0].max_age_days is -1, accepted: 0 to 3650",
        ),
        (
            {"static": [StaticArgs(url="/a", max_age_days=0, immutable=True)]},
            "static[0].immutable is True with max_age_days 0, accepted: at least a day",
        ),
    ],
)
def test_bad_input_is_refused_by_name(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'CdnArgs.{message}')}$"):
        args(**more)


def test_cloudfront_of_china_is_another() -> None:
    china = Context(
        environment="test", system="taaleem", environment_class="production", account=ACCOUNT, region="cn-north-1"
    )
    with pytest.raises(ValueError, match=r"^CdnArgs\.context\.region is 'cn-north-1', accepted: none of China's"):
        args(context=china)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ValueError, match="names") as raised:
        args(names=[], read_seconds=0, static=[StaticArgs(url="x", max_age_days=-1)])
    assert [line.split()[0] for line in str(raised.value).splitlines()] == [
        "CdnArgs.names",
        "CdnArgs.read_seconds",
        "CdnArgs.static[0].url",
        "CdnArgs.static[0].max_age_days",
    ]


def test_other_languages_can_use_the_component() -> None:
    found = Analyzer("stackwright").analyze([Cdn])
    assert "originDomain" in found["component_definitions"]["Cdn"].inputs
    assert all(each.properties for each in found["type_definitions"].values())
