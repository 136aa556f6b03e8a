"""Web firewalls without an engine: every resource with all of its inputs, in each variant; rates by property."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from aws_context import ACCOUNT, REGION, context, tags
from hypothesis import given
from hypothesis import strategies as st
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws import web_firewall_rules as rules
from stackwright.infra.aws.context import Context
from stackwright.infra.aws.web_firewall import CLOUDFRONT, REGIONAL, WebFirewall, WebFirewallArgs
from stackwright.infra.aws.web_firewall_rules import RateLimitArgs
from stackwright.testing.recording import Properties, Recording, record

REGIONS = {REGIONAL: REGION, CLOUDFRONT: "us-east-1"}
LOAD_BALANCER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/test/50dc6c495c0c9188"
NETWORK_BALANCER = LOAD_BALANCER.replace("/app/", "/net/")
HEADER = "a header that the proxy sets, such as CF-Connecting-IP; of X-Forwarded-For WAF reads the client's part"
COUNTED = "at least 1 and 0, and what WAF can count (2000000000)"
LOGIN = RateLimitArgs(name="login", path="/api/login", requests=5, per="minute", burst=5, methods=["POST"])
API = RateLimitArgs(name="api", path="/api", requests=20, per="second", burst=40)
COMMON, BAD = "AWSManagedRulesCommonRuleSet", "AWSManagedRulesKnownBadInputsRuleSet"
REPUTATION, SQL = "AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesSQLiRuleSet"
LINUX, WINDOWS = "AWSManagedRulesLinuxRuleSet", "AWSManagedRulesWindowsRuleSet"
COMPUTED = {
    "aws:wafv2/webAcl:WebAcl": lambda inputs: {"arn": f"arn of {inputs['name']}"},
    "aws:wafv2/ipSet:IpSet": lambda inputs: {"arn": f"arn of {inputs['name']}"},
    "aws:cloudwatch/logGroup:LogGroup": lambda inputs: {"arn": f"arn of {inputs['name']}"},
}


def key(scope: str) -> str:
    return f"arn:aws:kms:{REGIONS.get(scope, REGION)}:{ACCOUNT}:key/logs"


def args(environment_class: str = "production", **more: Any) -> WebFirewallArgs:
    scope = more.get("scope", REGIONAL)
    fixed: dict[str, Any] = {
        "context": context(environment_class),
        "scope": scope,
        "limits": [LOGIN, API],
        "kms_key_arn": key(scope),
    }
    return WebFirewallArgs(**(fixed | more))


def run(environment_class: str = "production", **more: Any) -> Recording:
    def program() -> None:
        WebFirewall("waf", args(environment_class, **more))

    recording = record(program, stack="test", computed=COMPUTED)
    parsed = [
        dataclasses.replace(
            each,
            inputs={
                name: json.loads(value) if name == "policyDocument" else value for name, value in each.inputs.items()
            },
        )
        for each in recording.resources
    ]
    return dataclasses.replace(recording, resources=tuple(parsed))


def acl_rules(**more: Any) -> list[Properties]:
    found: list[Properties] = run(**more).named("waf-acl").inputs["rules"]
    assert [each["priority"] for each in found] == list(range(len(found)))
    return found


def rule(name: str, priority: int, statement: Properties, **more: Any) -> Properties:
    visible = {"metricName": name, "cloudwatchMetricsEnabled": True, "sampledRequestsEnabled": False}
    return {"name": name, "priority": priority, "statement": statement, "visibilityConfig": visible} | more


def limited(name: str, priority: int, rate: Properties, window: str = "60") -> Properties:
    response = {
        "responseCode": 429,
        "customResponseBodyKey": "too-many-requests",
        "responseHeaders": [{"name": "Retry-After", "value": window}],
    }
    return rule(name, priority, {"rateBasedStatement": rate}, action={"block": {"customResponse": response}})


def group(name: str, priority: int, *, counted: bool = False, overridden: tuple[str, ...] = ()) -> Properties:
    overrides = [{"name": each, "actionToUse": {"count": {}}} for each in overridden]
    statement: Properties = {"vendorName": "AWS", "name": name}
    if overrides:
        statement["ruleActionOverrides"] = overrides
    override: Properties = {"count": {}} if counted else {"none": {}}
    return rule(name, priority, {"managedRuleGroupStatement": statement}, overrideAction=override)


def path(pattern: str) -> Properties:
    transformations = [{"priority": 0, "type": "URL_DECODE"}, {"priority": 1, "type": "NORMALIZE_PATH"}]
    return {
        "regexMatchStatement": {
            "regexString": pattern,
            "fieldToMatch": {"uriPath": {}},
            "textTransformations": transformations,
        }
    }


def method(pattern: str) -> Properties:
    return {
        "regexMatchStatement": {
            "regexString": pattern,
            "fieldToMatch": {"method": {}},
            "textTransformations": [{"priority": 0, "type": "NONE"}],
        }
    }


LOGIN_RATE = {
    "limit": 22,
    "evaluationWindowSec": 60,
    "aggregateKeyType": "IP",
    "scopeDownStatement": {"andStatement": {"statements": [path("^/api/login(?:/|$)"), method("^(?:POST)$")]}},
}
API_RATE = {
    "limit": 2482,
    "evaluationWindowSec": 60,
    "aggregateKeyType": "IP",
    "scopeDownStatement": path("^/api(?:/|$)"),
}
PLAIN_RULES = [
    limited("limit-login", 0, LOGIN_RATE),
    limited("limit-api", 1, API_RATE),
    group(REPUTATION, 2),
    group(BAD, 3),
    group(COMMON, 4),
    group(SQL, 5),
]


@pytest.mark.parametrize(
    ("scope", "environment_class", "kept"),
    [(REGIONAL, "production", True), (CLOUDFRONT, "staging", True), (REGIONAL, "development", False)],
)
def test_a_firewall_is_these_resources_and_no_other(scope: str, environment_class: str, kept: bool) -> None:
    recording = run(environment_class, scope=scope)
    part, where = scope.lower(), REGIONS[scope]
    own, log = f"test-{part}", f"aws-waf-logs-test-{part}"
    placed: Properties = {"region": where} if scope == CLOUDFRONT else {}
    recording.seal(
        {
            ("stackwright:aws:WebFirewall", "waf"): {},
            ("aws:wafv2/webAcl:WebAcl", "waf-acl"): placed
            | {
                "name": own,
                "description": "taaleem, test",
                "scope": scope,
                "defaultAction": {"allow": {}},
                "rules": PLAIN_RULES,
                "customResponseBodies": [
                    {"key": "too-many-requests", "content": "Too many requests\n", "contentType": "TEXT_PLAIN"}
                ],
                "visibilityConfig": {
                    "metricName": own,
                    "cloudwatchMetricsEnabled": True,
                    "sampledRequestsEnabled": False,
                },
                "tags": tags(own, environment_class),
            },
            ("aws:cloudwatch/logGroup:LogGroup", "waf-log"): placed
            | {
                "name": log,
                "kmsKeyId": key(scope),
                "retentionInDays": 30,
                "deletionProtectionEnabled": kept,
                "tags": tags(log, environment_class),
            },
            ("aws:cloudwatch/logResourcePolicy:LogResourcePolicy", "waf-log-policy"): placed
            | {
                "policyName": f"test-firewall-{part}",
                "policyDocument": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Sid": "FirewallLogs",
                            "Effect": "Allow",
                            "Principal": {"Service": "delivery.logs.amazonaws.com"},
                            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                            "Resource": f"arn:aws:logs:{where}:{ACCOUNT}:log-group:{log}:log-stream:*",
                            "Condition": {
                                "StringEquals": {"aws:SourceAccount": ACCOUNT},
                                "ArnLike": {"aws:SourceArn": f"arn:aws:logs:{where}:{ACCOUNT}:*"},
                            },
                        }
                    ],
                },
            },
            ("aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration", "waf-logging"): placed
            | {
                "resourceArn": f"arn of {own}",
                "logDestinationConfigs": [f"arn of {log}"],
                "redactedFields": [{"singleHeader": {"name": "authorization"}}, {"singleHeader": {"name": "cookie"}}],
                "loggingFilter": {
                    "defaultBehavior": "DROP",
                    "filters": [
                        {
                            "behavior": "KEEP",
                            "requirement": "MEETS_ANY",
                            "conditions": [
                                {"actionCondition": {"action": each}}
                                for each in ("BLOCK", "COUNT", "EXCLUDED_AS_COUNT")
                            ],
                        }
                    ],
                },
            },
        }
    )
    children = [each for each in recording.resources if each.name != "waf"]
    assert {each.parent for each in children} == {"waf"}
    assert {each.name for each in recording.resources if each.protect} == ({"waf-log"} if kept else set())
    assert not any(each.secrets for each in recording.resources)
    assert "waf-log-policy" in recording.named("waf-logging").depends_on
    assert recording.component_outputs["waf"] == {
        "arn": f"arn of {own}",
        "metricName": own,
        "logGroupName": log,
    }


def test_networks_are_refused_first_and_let_through_next() -> None:
    recording = run(
        limits=[], deny_cidrs=["2001:db8::/32", "203.0.113.0/24"], allow_cidrs=["198.51.100.7/32", "192.0.2.0/24"]
    )
    networks = {
        "deny-ipv4": ("IPV4", ["203.0.113.0/24"]),
        "deny-ipv6": ("IPV6", ["2001:db8::/32"]),
        "allow-ipv4": ("IPV4", ["192.0.2.0/24", "198.51.100.7/32"]),
    }
    sets = {each.name: each.inputs for each in recording.resources if each.type == "aws:wafv2/ipSet:IpSet"}
    assert sets == {
        f"waf-{part}": {
            "name": f"test-regional-{part}",
            "scope": "REGIONAL",
            "ipAddressVersion": version,
            "addresses": addresses,
            "tags": tags(f"test-regional-{part}"),
        }
        for part, (version, addresses) in networks.items()
    }
    refused = {"block": {"customResponse": {"responseCode": 403}}}

    def member(part: str) -> Properties:
        return {"ipSetReferenceStatement": {"arn": f"arn of test-regional-{part}"}}

    assert recording.named("waf-acl").inputs["rules"][:3] == [
        rule("deny-ipv4", 0, member("deny-ipv4"), action=refused),
        rule("deny-ipv6", 1, member("deny-ipv6"), action=refused),
        rule("allow-ipv4", 2, member("allow-ipv4"), action={"allow": {}}),
    ]


def test_sets_of_addresses_are_where_the_firewall_is() -> None:
    recording = run(scope=CLOUDFRONT, deny_cidrs=["203.0.113.0/24"])
    assert recording.named("waf-deny-ipv4").inputs["region"] == "us-east-1"
    assert recording.named("waf-deny-ipv4").inputs["scope"] == "CLOUDFRONT"


def test_behind_a_proxy_the_clients_address_is_what_its_header_says() -> None:
    recording = run(
        limits=[API], client_header="CF-Connecting-IP", deny_cidrs=["203.0.113.0/24"], allow_cidrs=["192.0.2.0/24"]
    )
    header = {"headerName": "CF-Connecting-IP"}
    deny, allow, limit, *groups = recording.named("waf-acl").inputs["rules"]
    configs = [each["statement"]["ipSetReferenceStatement"]["ipSetForwardedIpConfig"] for each in (deny, allow)]
    assert configs == [
        header | {"fallbackBehavior": "MATCH", "position": "FIRST"},
        header | {"fallbackBehavior": "NO_MATCH", "position": "FIRST"},
    ]
    assert limit["statement"]["rateBasedStatement"] == API_RATE | {
        "aggregateKeyType": "FORWARDED_IP",
        "forwardedIpConfig": header | {"fallbackBehavior": "NO_MATCH"},
    }
    # The reputation list would judge the proxy.
    assert [each["name"] for each in groups] == [BAD, COMMON, SQL]


@pytest.mark.parametrize(("platform", "name"), [("linux", LINUX), ("windows", WINDOWS)])
def test_the_servers_platform_has_rules_of_its_own(platform: str, name: str) -> None:
    assert acl_rules(platform=platform) == [*PLAIN_RULES, group(name, 6)]


def test_uploads_are_counted_and_not_refused_for_their_size() -> None:
    assert acl_rules(limits=[], body_limit_mb=50)[2] == group(COMMON, 2, overridden=("SizeRestrictions_BODY",))


def test_groups_and_rules_on_probation_are_counted() -> None:
    found = acl_rules(limits=[], body_limit_mb=50, count_only=[SQL, f"{COMMON}/CrossSiteScripting_BODY"])
    assert found == [
        group(REPUTATION, 0),
        group(BAD, 1),
        group(COMMON, 2, overridden=("CrossSiteScripting_BODY", "SizeRestrictions_BODY")),
        group(SQL, 3, counted=True),
    ]


def test_a_limit_of_the_whole_site_has_no_path() -> None:
    whole = RateLimitArgs(name="all", path="/", requests=1, per="minute")
    (found,) = (each for each in acl_rules(limits=[whole]) if each["name"] == "limit-all")
    rate = {"limit": 12, "evaluationWindowSec": 300, "aggregateKeyType": "IP"}
    assert found == limited("limit-all", 0, rate, "300")


def test_a_limit_of_methods_alone_looks_at_them_alone() -> None:
    writes = RateLimitArgs(name="writes", path="/", requests=1, per="second", methods=["PUT", "POST"])
    rate = acl_rules(limits=[writes])[0]["statement"]["rateBasedStatement"]
    assert rate["scopeDownStatement"] == method("^(?:POST|PUT)$")


def test_everything_can_be_logged_and_for_longer() -> None:
    recording = run(log_all=True, log_days=365)
    assert "loggingFilter" not in recording.named("waf-logging").inputs
    assert recording.named("waf-log").inputs["retentionInDays"] == 365


def test_a_load_balancer_is_protected() -> None:
    association = run(load_balancer_arn=LOAD_BALANCER).named("waf-association")
    assert association.type == "aws:wafv2/webAclAssociation:WebAclAssociation"
    assert association.inputs == {"resourceArn": LOAD_BALANCER, "webAclArn": "arn of test-regional"}
    assert association.parent == "waf"


# --- rates ---------------------------------------------------------------------------------------------------------

LIMITS = st.builds(
    RateLimitArgs,
    name=st.just("x"),
    path=st.just("/x"),
    requests=st.integers(1, 5000),
    per=st.sampled_from(["second", "minute"]),
    burst=st.none() | st.integers(0, 10_000),
)


def served_by_nginx(limit: RateLimitArgs, times_ms: list[int]) -> list[int]:
    """Times of the requests that `limit_req` with `nodelay` serves (ngx_http_limit_req_module: excess in thousandths)."""
    per_second = limit.requests * 1000 // (60 if limit.per == "minute" else 1)
    burst, excess, last, found = (limit.burst or 0) * 1000, None, 0, []
    for now in times_ms:
        wanted = 0 if excess is None else max(0, excess - per_second * (now - last) // 1000 + 1000)
        if wanted <= burst:
            excess, last = wanted, now
            found.append(now)
    return found


#: Small enough for a list of requests to come up against them.
SMALL = st.builds(dataclasses.replace, LIMITS, requests=st.integers(1, 6), burst=st.none() | st.integers(0, 20))


@given(SMALL, st.lists(st.integers(0, 300) | st.integers(0, 20_000), min_size=30, max_size=80))
def test_waf_refuses_nobody_whom_nginx_serves(limit: RateLimitArgs, gaps_ms: list[int]) -> None:
    rate = rules.coarse(limit)
    times, now = [], 0
    for gap in gaps_ms:
        now += gap
        times.append(now)
    served = served_by_nginx(limit, times)
    window = rate.window_seconds * 1000
    most = max((sum(start <= each < start + window for each in served) for start in served), default=0)
    assert most <= rules.served(limit, rate.window_seconds) <= rate.requests


@pytest.mark.parametrize(
    "limit", [LOGIN, dataclasses.replace(LOGIN, requests=1, burst=0), dataclasses.replace(API, burst=3)]
)
def test_waf_refuses_no_client_that_asks_as_fast_as_nginx_lets_it(limit: RateLimitArgs) -> None:
    rate = rules.coarse(limit)
    step = 100
    served = served_by_nginx(limit, [each // 50 * step for each in range(rate.window_seconds * 1000 // step * 50)])
    # The client leaves nothing unused, so that the count is nginx's own limit, about; WAF's is twice that.
    assert len(served) <= rate.requests <= rules.HEADROOM * (len(served) + 2)


@given(LIMITS)
def test_a_rate_is_twice_the_limit_and_one_that_waf_takes(limit: RateLimitArgs) -> None:
    rate = rules.coarse(limit)
    seconds = 60 if limit.per == "minute" else 1
    assert rate.window_seconds in (60, 120, 300, 600)
    assert 10 <= rate.requests <= 2_000_000_000
    assert rate.requests >= 2 * limit.requests * rate.window_seconds / seconds
    shorter = [each for each in (60, 120, 300, 600) if each < rate.window_seconds]
    assert all(2 * rules.served(limit, each) < 10 for each in shorter)


@pytest.mark.parametrize(
    ("requests", "per", "burst", "expected"),
    [
        (5, "minute", 5, (22, 60)),
        (20, "second", 40, (2482, 60)),
        (1, "minute", None, (12, 300)),
        (4, "minute", 0, (10, 60)),
    ],
)
def test_rates(requests: int, per: str, burst: int | None, expected: tuple[int, int]) -> None:
    rate = rules.coarse(RateLimitArgs(name="x", path="/", requests=requests, per=per, burst=burst))
    assert (rate.requests, rate.window_seconds) == expected


def test_a_path_is_it_and_what_is_below() -> None:
    pattern = rules.path_pattern("/v1.0/api/")
    assert pattern is not None
    assert all(re.search(pattern, each) for each in ("/v1.0/api", "/v1.0/api/", "/v1.0/api/login"))
    assert not any(re.search(pattern, each) for each in ("/v1.0/apiary", "/v1x0/api", "/x/v1.0/api", "/"))
    assert rules.path_pattern("/") is None


def test_the_costs_are_those_of_the_rules() -> None:
    assert args(limits=[]).units == 25 + 200 + 700 + 200
    assert args(limits=[], platform="linux", allow_cidrs=["192.0.2.0/24"], deny_cidrs=["192.0.2.0/25"]).units == 1327
    assert args(limits=[LOGIN, API]).units == 1125 + (2 + 23 + 4) + (2 + 23)


# --- bad input -----------------------------------------------------------------------------------------------------


def limit(**more: Any) -> list[RateLimitArgs]:
    return [dataclasses.replace(API, **more)]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"scope": "GLOBAL"}, "scope is 'GLOBAL', accepted: REGIONAL, CLOUDFRONT"),
        ({"limits": limit(name="a b")}, "limits[0].name is 'a b', accepted: letters, digits, _ and -, each name once"),
        ({"limits": [API, API]}, "limits[1].name is 'api', accepted: letters, digits, _ and -, each name once"),
        ({"limits": limit(path="api")}, "limits[0].path is 'api', accepted: a path such as /api"),
        ({"limits": limit(path="/a|b")}, "limits[0].path is '/a|b', accepted: a path such as /api"),
        ({"limits": limit(per="hour")}, "limits[0].per is 'hour', accepted: second, minute"),
        (
            {"limits": limit(requests=0)},
            f"limits[0].requests is 0 with a burst of 40, accepted: {COUNTED}",
        ),
        (
            {"limits": limit(burst=-1)},
            f"limits[0].requests is 20 with a burst of -1, accepted: {COUNTED}",
        ),
        (
            {"limits": limit(requests=20_000_000)},
            f"limits[0].requests is 20000000 with a burst of 40, accepted: {COUNTED}",
        ),
        (
            {"limits": limit(methods=["get"])},
            "limits[0].methods has 'get', accepted: GET, HEAD, POST, PUT, PATCH, DELETE",
        ),
        ({"body_limit_mb": 0}, "body_limit_mb is 0, accepted: 1 to 10240"),
        ({"allow_cidrs": ["0.0.0.0/0"]}, "allow_cidrs has '0.0.0.0/0', accepted: a network such as 203.0.113.0/24"),
        ({"deny_cidrs": ["::/0"]}, "deny_cidrs has '::/0', accepted: a network such as 203.0.113.0/24"),
        ({"deny_cidrs": ["192.0.2.1/24"]}, "deny_cidrs has '192.0.2.1/24', accepted: a network such as 203.0.113.0/24"),
        ({"deny_cidrs": ["192.0.2.1"]}, "deny_cidrs has '192.0.2.1', accepted: a network such as 203.0.113.0/24"),
        (
            {"deny_cidrs": ["192.0.2.0/24", "192.0.2.0/24"]},
            "deny_cidrs has 2 networks, accepted: at most 10000, each once",
        ),
        (
            {"client_header": "x-forwarded-for"},
            f"client_header is 'x-forwarded-for', accepted: {HEADER}",
        ),
        ({"platform": "plan9"}, "platform is 'plan9', accepted: linux, windows"),
        (
            {"count_only": [LINUX]},
            f"count_only has '{LINUX}', accepted: {REPUTATION}, {BAD}, {COMMON}, {SQL}, or a rule of theirs as GROUP/RULE",
        ),
        (
            {"count_only": [f"{SQL}/"]},
            f"count_only has '{SQL}/', accepted: {REPUTATION}, {BAD}, {COMMON}, {SQL}, or a rule of theirs as GROUP/RULE",
        ),
        ({"kms_key_arn": key(CLOUDFRONT)}, f"kms_key_arn is '{key(CLOUDFRONT)}', accepted: a key of eu-central-1"),
        (
            {"scope": CLOUDFRONT, "kms_key_arn": key(REGIONAL)},
            f"kms_key_arn is '{key(REGIONAL)}', accepted: a key of us-east-1",
        ),
        (
            {"scope": CLOUDFRONT, "load_balancer_arn": LOAD_BALANCER},
            "load_balancer_arn is not for the scope 'CLOUDFRONT', accepted: none",
        ),
        (
            {"load_balancer_arn": NETWORK_BALANCER},
            f"load_balancer_arn is '{NETWORK_BALANCER}', accepted: the ARN of an application load balancer",
        ),
        (
            {"limits": [dataclasses.replace(LOGIN, name=f"x{each}") for each in range(7)], "platform": "linux"},
            "limits and lists need 1528 capacity units, accepted: 1500, so fewer of them",
        ),
    ],
)
def test_bad_input_is_refused_by_name(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(f'WebFirewallArgs.{message}')}$"):
        args(**more)


def test_a_log_is_kept_as_long_as_cloudwatch_offers() -> None:
    with pytest.raises(ValueError, match=r"^WebFirewallArgs\.log_days is 31, accepted: 1, 3, 5, 7, 14, 30, "):
        args(log_days=31)


def test_cloudfront_is_run_from_the_partition_aws() -> None:
    china = Context(
        environment="test", system="taaleem", environment_class="production", account=ACCOUNT, region="cn-north-1"
    )
    with pytest.raises(ValueError, match=r"scope is 'CLOUDFRONT' in cn-north-1, accepted: REGIONAL, as CloudFront is"):
        args(context=china, scope=CLOUDFRONT)


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ValueError, match=r"platform.*") as raised:
        args(platform="plan9", body_limit_mb=0, deny_cidrs=["x"], limits=limit(per="hour"))
    lines = str(raised.value).splitlines()
    assert [line.split()[0] for line in lines] == [
        "WebFirewallArgs.limits[0].per",
        "WebFirewallArgs.deny_cidrs",
        "WebFirewallArgs.body_limit_mb",
        "WebFirewallArgs.platform",
    ]


def test_other_languages_can_use_the_component() -> None:
    found = Analyzer("stackwright").analyze([WebFirewall])
    assert "limits" in found["component_definitions"]["WebFirewall"].inputs
    assert all(each.properties for each in found["type_definitions"].values())
