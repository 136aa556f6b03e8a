"""Rules of a web firewall: converts a system's rate limits to WAF's, and calculates what the rules cost.

Pure functions. nginx is the exact limiter, as it knows a request's place in a bucket. WAF counts over a minute or more
and only approximately, so that it is the coarse one: it keeps floods away from the servers, and refuses no client that
nginx would serve.
"""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

#: Windows that WAF supports (API reference, RateBasedStatement).
WINDOWS_SECONDS = (60, 120, 300, 600)
#: Limits of the requests in a window (API reference, RateLimit).
LOWEST_LIMIT, HIGHEST_LIMIT = 10, 2_000_000_000
#: WAF estimates a rate, weights recent requests more and applies a limit only approximately (developer guide,
#: "Rate-based rule caveats"): with twice what nginx serves, an estimate refuses no client by mistake.
HEADROOM = 2
PERIODS: Mapping[str, int] = {"second": 1, "minute": 60}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

COMMON, KNOWN_BAD, REPUTATION, SQL = (
    "AWSManagedRulesCommonRuleSet",
    "AWSManagedRulesKnownBadInputsRuleSet",
    "AWSManagedRulesAmazonIpReputationList",
    "AWSManagedRulesSQLiRuleSet",
)
LINUX, WINDOWS = "AWSManagedRulesLinuxRuleSet", "AWSManagedRulesWindowsRuleSet"
PLATFORMS: Mapping[str, str] = {"linux": LINUX, "windows": WINDOWS}
#: Web ACL capacity units of each group (developer guide, "AWS Managed Rules rule groups list"; the first was read
#: there, the others are from memory).
GROUP_UNITS: Mapping[str, int] = {COMMON: 700, KNOWN_BAD: 200, REPUTATION: 25, SQL: 200, LINUX: 200, WINDOWS: 200}
#: Capacity units included in WAF's basic price; more cost extra, up to 5000.
MOST_UNITS = 1500
#: Developer guide, "Rule statements list".
_RATE_UNITS, _IP_SET_UNITS, _REGEX_UNITS, _TRANSFORMATION_UNITS = 2, 1, 3, 10
#: The way nginx reads a path before it compares it; without them `/%61pi` would not match `/api`.
_AS_NGINX_READS = ("URL_DECODE", "NORMALIZE_PATH")
#: Refuses every body above 8 KB.
BODY_RULE = "SizeRestrictions_BODY"
TOO_MANY = "too-many-requests"
_TOO_MANY_REQUESTS, _FORBIDDEN = 429, 403

Rule = aws.wafv2.WebAclRuleArgsDict
_ScopeDown = aws.wafv2.WebAclRuleStatementRateBasedStatementScopeDownStatementArgsDict


@dataclass(frozen=True, kw_only=True)
class RateLimitArgs:
    """How many requests one client may send to a part of a site: `rate_limits` of a system."""

    name: str
    #: This path and all paths below it.
    path: str
    requests: int
    #: `second` or `minute`.
    per: str
    #: Requests above the rate that are served at once; defaults to 0.
    burst: int | None = None
    #: Methods that count; defaults to all.
    methods: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Maximum number of requests of one client within a window; more are refused."""

    requests: int
    window_seconds: int


def served(limit: RateLimitArgs, seconds: int) -> int:
    """Return the most that nginx serves a client in so many seconds: one, the burst, and what the rate adds."""
    return 1 + (limit.burst or 0) + math.floor(limit.requests * seconds / PERIODS[limit.per])


def coarse(limit: RateLimitArgs) -> Rate:
    """Return WAF's rate for a limit: over the shortest window in which twice what nginx serves is countable for WAF."""
    rates = [Rate(requests=HEADROOM * served(limit, window), window_seconds=window) for window in WINDOWS_SECONDS]
    return next(rate for rate in rates if rate.requests >= LOWEST_LIMIT)


def path_pattern(path: str) -> str | None:
    """Return a pattern for a path and all below it, but not `/apiary` for `/api`; None for the whole site."""
    plain = path.rstrip("/")
    return f"^{re.escape(plain)}(?:/|$)" if plain else None


def limit_rule(limit: RateLimitArgs, priority: int, client_header: str | None) -> Rule:
    """Return a rule that refuses clients above the coarse rate with 429."""
    rate = coarse(limit)
    statement: aws.wafv2.WebAclRuleStatementRateBasedStatementArgsDict = {
        "limit": rate.requests,
        "evaluation_window_sec": rate.window_seconds,
        "aggregate_key_type": "IP" if client_header is None else "FORWARDED_IP",
    }
    if client_header is not None:
        # An invalid address does not identify the client; nginx still counts the request.
        statement["forwarded_ip_config"] = {"header_name": client_header, "fallback_behavior": "NO_MATCH"}
    scope = _scope(limit)
    if scope:
        statement["scope_down_statement"] = scope[0] if len(scope) == 1 else {"and_statement": {"statements": scope}}
    response: aws.wafv2.WebAclRuleActionBlockCustomResponseArgsDict = {
        "response_code": _TOO_MANY_REQUESTS,
        "custom_response_body_key": TOO_MANY,
        "response_headers": [{"name": "Retry-After", "value": str(rate.window_seconds)}],
    }
    return _rule(
        f"limit-{limit.name}",
        priority,
        {"rate_based_statement": statement},
        action={"block": {"custom_response": response}},
    )


def _scope(limit: RateLimitArgs) -> list[pulumi.Input[_ScopeDown]]:
    statements: list[pulumi.Input[_ScopeDown]] = []
    pattern = path_pattern(limit.path)
    if pattern is not None:
        statements.append(
            {
                "regex_match_statement": {
                    "regex_string": pattern,
                    "field_to_match": {"uri_path": {}},
                    "text_transformations": [
                        {"priority": number, "type": transformation}
                        for number, transformation in enumerate(_AS_NGINX_READS)
                    ],
                }
            }
        )
    if limit.methods:
        statements.append(
            {
                "regex_match_statement": {
                    "regex_string": f"^(?:{'|'.join(sorted(limit.methods))})$",
                    "field_to_match": {"method": {}},
                    "text_transformations": [{"priority": 0, "type": "NONE"}],
                }
            }
        )
    return statements


def address_rule(
    name: str, priority: int, ip_set_arn: pulumi.Input[str], client_header: str | None, *, allow: bool
) -> Rule:
    """Return a rule that allows or refuses the addresses of a set, before all rules that follow."""
    statement: aws.wafv2.WebAclRuleStatementIpSetReferenceStatementArgsDict = {"arn": ip_set_arn}
    if client_header is not None:
        statement["ip_set_forwarded_ip_config"] = {
            "header_name": client_header,
            # An invalid address is not on the list of allowed networks, but may be on that of denied ones.
            "fallback_behavior": "NO_MATCH" if allow else "MATCH",
            "position": "FIRST",
        }
    refused: aws.wafv2.WebAclRuleActionArgsDict = {"block": {"custom_response": {"response_code": _FORBIDDEN}}}
    return _rule(name, priority, {"ip_set_reference_statement": statement}, action={"allow": {}} if allow else refused)


def group_names(platform: str | None, client_header: str | None) -> list[str]:
    """Return the managed groups, cheapest first."""
    # The reputation list cannot read a header: behind a proxy it would check the proxy, and refuse all clients or none.
    reputation = [] if client_header is not None else [REPUTATION]
    return [*reputation, KNOWN_BAD, COMMON, SQL, *([PLATFORMS[platform]] if platform is not None else [])]


def group_rule(group: str, priority: int, count_only: Sequence[str], *, large_bodies: bool) -> Rule:
    """Return a rule for a group of AWS; `count_only` has groups (`GROUP`) and single rules (`GROUP/RULE`)."""
    counted = [name.partition("/")[2] for name in count_only if name.startswith(f"{group}/")]
    if group == COMMON and large_bodies:
        # Its limit of 8 KB would refuse every upload; nginx and the application enforce the site's own limit.
        counted.append(BODY_RULE)
    statement: aws.wafv2.WebAclRuleStatementManagedRuleGroupStatementArgsDict = {"vendor_name": "AWS", "name": group}
    if counted:
        statement["rule_action_overrides"] = [
            {"name": rule, "action_to_use": {"count": {}}} for rule in sorted(set(counted))
        ]
    override: aws.wafv2.WebAclRuleOverrideActionArgsDict = {"count": {}} if group in count_only else {"none": {}}
    return _rule(group, priority, {"managed_rule_group_statement": statement}, override=override)


def _rule(
    name: str,
    priority: int,
    statement: aws.wafv2.WebAclRuleStatementArgsDict,
    *,
    action: aws.wafv2.WebAclRuleActionArgsDict | None = None,
    override: aws.wafv2.WebAclRuleOverrideActionArgsDict | None = None,
) -> Rule:
    rule: Rule = {
        "name": name,
        "priority": priority,
        "statement": statement,
        "visibility_config": {
            "metric_name": name,
            "cloudwatch_metrics_enabled": True,
            # Samples contain cookies and credentials, which the log omits.
            "sampled_requests_enabled": False,
        },
    }
    if action is not None:
        rule["action"] = action
    if override is not None:
        rule["override_action"] = override
    return rule


def units(limits: Iterable[RateLimitArgs], groups: Iterable[str], ip_sets: int) -> int:
    """Return the maximum cost of the rules, in web ACL capacity units.

    A maximum, as WAF counts the same transformation of the same part of a request once for all rules, this each time.
    """
    return sum((*_limit_units(limits), *(GROUP_UNITS[group] for group in groups), _IP_SET_UNITS * ip_sets))


def _limit_units(limits: Iterable[RateLimitArgs]) -> Iterator[int]:
    for limit in limits:
        of_path = 0 if path_pattern(limit.path) is None else _REGEX_UNITS + len(_AS_NGINX_READS) * _TRANSFORMATION_UNITS
        # `NONE` is no transformation (unverified); the AND of both costs 1 or nothing.
        of_methods = 1 + _REGEX_UNITS if limit.methods else 0
        yield _RATE_UNITS + of_path + of_methods
