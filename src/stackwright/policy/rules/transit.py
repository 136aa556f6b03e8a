"""Rules for encryption in transit and for TLS versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stackwright.policy import statements
from stackwright.policy.references import cis, fsbp
from stackwright.policy.resources import UNKNOWN, Graph, Resource, as_list
from stackwright.policy.rule import Finding, Rules, Settings

RULES = Rules()
#: TLS 1.2 is the minimum. ELB's policies `...TLS13-1-0...` and `...1-1...` allow older versions, and so do those
#: without a year of 2017 or later.
_LOAD_BALANCER_TLS = re.compile(
    r"ELBSecurityPolicy-(TLS13-1-[23]-.*20\d\d-\d\d|TLS-1-2(-Ext)?-20\d\d-\d\d|FS-1-2-.*20\d\d-\d\d)"
)
#: The minimum for viewers.
_CDN_TLS = re.compile(r"TLSv1\.2_20(2[1-9]|[3-9]\d)|TLSv1\.3_20\d\d")
_ORIGIN_TLS = {"TLSv1.2", "TLSv1.3"}


@RULES.resource(
    "rds-force-ssl",
    "high",
    "rds/parameterGroup",
    fix="set rds.force_ssl to 1",
    references=fsbp("RDS.38"),
)
def _force_ssl(resource: Resource, _settings: Settings) -> Iterator[str]:
    """PostgreSQL refuses connections without TLS."""
    if not str(resource.get("family") or "").startswith("postgres") or resource.get("parameters") is UNKNOWN:
        return
    values = {parameter.get("name"): parameter.get("value") for parameter in as_list(resource.get("parameters"))}
    if values.get("rds.force_ssl") is not UNKNOWN and str(values.get("rds.force_ssl")) != "1":
        yield f"rds.force_ssl is {values.get('rds.force_ssl')!r}"


@RULES.resource(
    "rds-own-parameters", "high", "rds/instance", fix="set parameterGroupName to a group of the environment's own"
)
def _own_parameters(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A database has its own parameter group, as AWS's default group of older versions does not force TLS."""
    group = resource.get("parameterGroupName")
    if not resource.given("parameterGroupName") or str(group).startswith("default."):
        yield f"parameterGroupName is {group!r}"


@RULES.resource(
    "cache-transit",
    "high",
    "elasticache/replicationGroup",
    fix="set transitEncryptionEnabled, and transitEncryptionMode to required",
    references=fsbp("ElastiCache.5"),
)
def _cache(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A cache accepts TLS connections only."""
    if not resource.on("transitEncryptionEnabled"):
        yield "transitEncryptionEnabled is off"
    elif resource.get("transitEncryptionMode") not in (None, UNKNOWN, "required"):
        yield f"transitEncryptionMode is {resource.get('transitEncryptionMode')!r}: plain connections are let in"


@RULES.resource(
    "cache-login",
    "high",
    "elasticache/replicationGroup",
    fix="set userGroupIds",
    references=fsbp("ElastiCache.6"),
)
def _cache_login(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A cache authenticates its clients: with its own users (RBAC), or with a token where the engine has no users."""
    if not any(resource.given(name) for name in ("userGroupIds", "authToken", "authTokenWo")):
        yield "userGroupIds is empty: whoever reaches the port is in"


@RULES.resource(
    "load-balancer-https",
    "high",
    "lb/listener",
    fix="redirect HTTP to HTTPS with a 301; give HTTPS and TLS a certificate",
    references=fsbp("ELB.1", "ELB.3"),
)
def _https(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A load balancer serves nothing over plain HTTP."""
    protocol = resource.get("protocol")
    if protocol == "HTTP":
        for action in as_list(resource.get("defaultActions")):
            target = action.get("redirect") or {}
            if action.get("type") != "redirect" or target.get("protocol") != "HTTPS":
                yield f"HTTP is answered with {action.get('type')!r}, not with a redirect to HTTPS"
    elif protocol in ("HTTPS", "TLS") and not resource.given("certificateArn"):
        yield f"{protocol} without certificateArn"


@RULES.resource(
    "load-balancer-tls",
    "high",
    "lb/listener",
    fix="use ELBSecurityPolicy-TLS13-1-2-Res-2021-06 or a newer one",
    references=fsbp("ELB.17"),
)
def _tls(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A load balancer accepts TLS 1.2 and 1.3 only."""
    policy = resource.get("sslPolicy")
    if resource.get("protocol") not in ("HTTPS", "TLS") or policy is UNKNOWN:
        return
    if not _LOAD_BALANCER_TLS.fullmatch(str(policy)):
        yield f"sslPolicy is {policy!r}: TLS below 1.2, or AWS's default of 2016"


@RULES.resource("target-tls", "medium", "lb/targetGroup", fix="set protocol to HTTPS or TLS", references=fsbp("ELB.22"))
def _targets(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Requests between the load balancer and the hosts are encrypted, too."""
    # TCP passes on the client's encrypted traffic.
    if resource.get("protocol") in ("HTTP", "UDP", "TCP_UDP"):
        yield f"protocol is {resource.get('protocol')}"


@RULES.graph(
    "s3-tls-only",
    "high",
    fix="add a statement that denies everything where aws:SecureTransport is false",
    references=(*fsbp("S3.5"), *cis("2.1.1")),
)
def _buckets(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """A bucket refuses requests without TLS."""
    for bucket in graph.of("s3/bucket"):
        policies = list(graph.pointing_at(bucket, "s3/bucketPolicy", "bucket"))
        if not any(policy.get("policy") is UNKNOWN or _denies_plain(policy) for policy in policies):
            yield bucket, "its policy does not deny requests without TLS" if policies else "it has no policy"


def _denies_plain(policy: Resource) -> bool:
    return any(
        statement.get("Effect") == "Deny"
        and statements.is_everybody(statement.get("Principal"))
        and set(statements.actions(statement)) & {"s3:*", "*"}
        and _says_plain(statement.get("Condition"))
        for _, document in statements.documents(policy, statements.RESOURCE_BASED)
        for statement in statements.statements(document)
    )


def _says_plain(condition: Any) -> bool:
    secure = condition.get("Bool", {}).get("aws:SecureTransport") if isinstance(condition, Mapping) else None
    return as_list(secure)[:1] in (["false"], [False]) and len(condition) == 1


@RULES.resource(
    "cdn-https",
    "high",
    "cloudfront/distribution",
    fix="set viewerProtocolPolicy of every behaviour to redirect-to-https or https-only",
    references=fsbp("CloudFront.3"),
)
def _cdn(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A distribution serves nothing over plain HTTP."""
    behaviours = [resource.get("defaultCacheBehavior"), *as_list(resource.get("orderedCacheBehaviors"))]
    for behaviour in behaviours:
        if isinstance(behaviour, Mapping):
            policy = behaviour.get("viewerProtocolPolicy")
            if policy is not UNKNOWN and policy not in ("redirect-to-https", "https-only"):
                yield f"{behaviour.get('pathPattern', 'the default behaviour')}: viewerProtocolPolicy is {policy!r}"


@RULES.resource(
    "cdn-tls",
    "high",
    "cloudfront/distribution",
    fix="set minimumProtocolVersion to TLSv1.2_2021 or newer, with a certificate of one's own",
    references=fsbp("CloudFront.7", "CloudFront.15"),
)
def _cdn_tls(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A distribution accepts TLS 1.2 and newer only; AWS's default certificate would allow TLS 1.0."""
    certificate = resource.get("viewerCertificate")
    if certificate is UNKNOWN:
        return
    if resource.get("viewerCertificate.cloudfrontDefaultCertificate"):
        yield "cloudfrontDefaultCertificate lets TLS 1.0 in"
        return
    version = resource.get("viewerCertificate.minimumProtocolVersion")
    if version is not UNKNOWN and not _CDN_TLS.fullmatch(str(version)):
        yield f"minimumProtocolVersion is {version!r}"


@RULES.resource(
    "cdn-origin-tls",
    "high",
    "cloudfront/distribution",
    fix="set originProtocolPolicy to https-only and originSslProtocols to TLSv1.2",
    references=fsbp("CloudFront.9", "CloudFront.10"),
)
def _origins(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A distribution connects to its origin with TLS 1.2 only."""
    for origin in as_list(resource.get("origins")):
        custom = origin.get("customOriginConfig") if isinstance(origin, Mapping) else None
        if not isinstance(custom, Mapping):
            continue
        where = f"origin {origin.get('originId')}"
        if custom.get("originProtocolPolicy") not in ("https-only", UNKNOWN):
            yield f"{where}: originProtocolPolicy is {custom.get('originProtocolPolicy')!r}"
        protocols = custom.get("originSslProtocols")
        old = (
            [] if protocols is UNKNOWN else [protocol for protocol in as_list(protocols) if protocol not in _ORIGIN_TLS]
        )
        if old:
            yield f"{where}: originSslProtocols has {', '.join(map(str, old))}"


@RULES.resource(
    "load-balancer-requests",
    "medium",
    "lb/loadBalancer",
    fix="set dropInvalidHeaderFields, and desyncMitigationMode to defensive or strictest",
    references=fsbp("ELB.4", "ELB.12"),
)
def _requests(resource: Resource, _settings: Settings) -> Iterator[str]:
    """An application load balancer forwards no request that two parsers could interpret differently."""
    if resource.get("loadBalancerType") not in (None, "application"):
        return
    if not resource.on("dropInvalidHeaderFields"):
        yield "dropInvalidHeaderFields is off"
    if resource.get("desyncMitigationMode") == "monitor":
        yield "desyncMitigationMode is monitor"
