"""A web firewall (WAFv2): blocks known attacks and floods before they reach a server."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import web_firewall_rules as rules
from stackwright.infra.aws.context import Context
from stackwright.infra.aws.web_firewall_rules import RateLimitArgs
from stackwright.model.aws import names
from stackwright.model.aws.stackfile import RETENTION_DAYS

REGIONAL, CLOUDFRONT = "REGIONAL", "CLOUDFRONT"
SCOPES = (REGIONAL, CLOUDFRONT)
#: All of CloudFront is managed in this region (developer guide of WAF, "Resources that you can protect").
CLOUDFRONT_REGION = "us-east-1"
_MOST_ADDRESSES = 10_000
_MOST_BODY_MB = 10_240
_FRIENDS, _FOES = "allow", "deny"
_HIDDEN_HEADERS = ("authorization", "cookie")
#: Logs what the firewall acted on; what it let through is in the logs of the protected resource.
_LOGGED_ACTIONS = ("BLOCK", "COUNT", "EXCLUDED_AS_COUNT")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,255}")
_PATH = re.compile(r"/[A-Za-z0-9._~/-]{0,200}")
_GROUP_RULE = re.compile(r"[\w-]{1,128}")


@dataclass(frozen=True, kw_only=True)
class WebFirewallArgs:
    """The resource to protect, and the rules to apply.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: `REGIONAL` for a load balancer, `CLOUDFRONT` for a distribution; everything for the latter is in us-east-1.
    scope: str
    #: The system's rate limits; WAF applies them approximately (`web_firewall_rules`), nginx exactly.
    limits: Sequence[RateLimitArgs]
    #: Encrypts the log; a key in the scope's region, with `logs` among its services.
    kms_key_arn: pulumi.Input[str]
    #: Largest body that the site accepts; by default no body above 8 KB, and so no upload.
    body_limit_mb: int | None = None
    #: Networks that skip all further rules, such as a scanner's: neither their attacks nor their floods are detected.
    allow_cidrs: Sequence[str] | None = None
    #: Networks that are refused, even if they are also allowed above.
    deny_cidrs: Sequence[str] | None = None
    #: Header in which another company's proxy writes the client's address. The proxy has to overwrite what the client
    #: sent: WAF reads only the first address, and a request without the header escapes limits and lists.
    client_header: str | None = None
    #: Platform of the servers: `linux` or `windows`; by default no rules for either.
    platform: str | None = None
    #: Managed groups (`AWSManagedRulesCommonRuleSet`) and single rules of them (`GROUP/RULE`) in count mode: what they
    #: would refuse is counted and logged.
    count_only: Sequence[str] | None = None
    #: Defaults to 30.
    log_days: int | None = None
    #: Whether to log allowed requests, too.
    log_all: bool | None = None
    #: The application load balancer to protect; a distribution refers to its firewall itself (`CdnArgs.web_acl_arn`).
    load_balancer_arn: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        problems = [
            *_place_problems(self),
            *_limit_problems(self.limits),
            *_list_problems(self),
            *_choice_problems(self),
        ]
        # The costs can be calculated only for valid arguments.
        problems = problems or list(_unit_problems(self))
        if problems:
            raise ValueError("\n".join(f"WebFirewallArgs.{problem}" for problem in problems))

    @property
    def region(self) -> str:
        """Return the region of the firewall and its log."""
        return CLOUDFRONT_REGION if self.scope == CLOUDFRONT else self.context.region

    @property
    def chosen_log_days(self) -> int:
        """Return `log_days`, or a month."""
        return 30 if self.log_days is None else self.log_days

    @property
    def groups(self) -> Sequence[str]:
        """Return the managed groups."""
        return rules.group_names(self.platform, self.client_header)

    @property
    def addresses(self) -> Mapping[str, Sequence[str]]:
        """Return set -> networks, denied ones first; WAF needs one set per IP version."""
        by_purpose = {_FOES: self.deny_cidrs or (), _FRIENDS: self.allow_cidrs or ()}
        sets = {
            f"{purpose}-ipv{version}": sorted(cidr for cidr in cidrs if ipaddress.ip_network(cidr).version == version)
            for purpose, cidrs in by_purpose.items()
            for version in (4, 6)
        }
        return {name: networks for name, networks in sets.items() if networks}

    @property
    def units(self) -> int:
        """Return the maximum cost of the rules, in web ACL capacity units."""
        return rules.units(self.limits, self.groups, len(self.addresses))


class WebFirewall(pulumi.ComponentResource):
    """A web ACL that allows what no rule refuses, its IP sets and its log.

    The rules in order: refused and allowed networks, the system's rate limits (429 with Retry-After), addresses of bad
    reputation, known bad input, the common rules, SQL injection, the servers' platform. The log contains refused or
    counted requests, without cookies and credentials, encrypted. Each rule has a metric with its own name.
    """

    arn: pulumi.Output[str]
    #: Value of the dimension `WebACL` of its metrics.
    metric_name: pulumi.Output[str]
    log_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: WebFirewallArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:WebFirewall", name, None, opts)
        self._args, self._context = args, args.context
        # Not set for the provider's own region, so that a plan contains nothing that AWS does not need.
        self._region = args.region if args.scope == CLOUDFRONT else None
        sets = {part: self._create_ip_set(name, part, networks) for part, networks in args.addresses.items()}
        acl = self._create_acl(name, sets)
        log_group = self._create_log(name, acl)
        if args.load_balancer_arn is not None:
            aws.wafv2.WebAclAssociation(
                f"{name}-association",
                resource_arn=args.load_balancer_arn,
                web_acl_arn=acl.arn,
                opts=self._child(),
            )
        self.arn = acl.arn
        self.metric_name = pulumi.Output.from_input(self._own_name)
        self.log_group_name = log_group.name
        self.register_outputs(
            {"arn": self.arn, "metricName": self.metric_name, "logGroupName": self.log_group_name},
        )

    @property
    def _own_name(self) -> str:
        return self._context.name("web_acl", self._args.scope.lower())

    @property
    def _log_name(self) -> str:
        # WAF writes only to log groups whose name begins with `aws-waf-logs`.
        return names.name("waf_log_group", "aws-waf-logs", self._context.environment, self._args.scope.lower())

    def _child(self, *, protect: bool = False, after: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, protect=protect, depends_on=list(after))

    def _create_ip_set(self, name: str, part: str, networks: Sequence[str]) -> aws.wafv2.IpSet:
        set_name = self._context.name("ip_set", self._args.scope.lower(), part)
        return aws.wafv2.IpSet(
            f"{name}-{part}",
            name=set_name,
            scope=self._args.scope,
            ip_address_version="IPV6" if part.endswith("6") else "IPV4",
            addresses=networks,
            region=self._region,
            tags=self._context.tags(set_name),
            opts=self._child(),
        )

    def _create_acl(self, name: str, sets: Mapping[str, aws.wafv2.IpSet]) -> aws.wafv2.WebAcl:
        acl_name = self._own_name
        content = aws.wafv2.WebAclCustomResponseBodyArgs(
            key=rules.TOO_MANY, content="Too many requests\n", content_type="TEXT_PLAIN"
        )
        return aws.wafv2.WebAcl(
            f"{name}-acl",
            name=acl_name,
            description=f"{self._context.system}, {self._context.environment}",
            scope=self._args.scope,
            default_action={"allow": {}},
            rules=self._rules(sets),
            custom_response_bodies=[content],
            visibility_config=aws.wafv2.WebAclVisibilityConfigArgs(
                metric_name=acl_name, cloudwatch_metrics_enabled=True, sampled_requests_enabled=False
            ),
            region=self._region,
            tags=self._context.tags(acl_name),
            opts=self._child(),
        )

    def _rules(self, sets: Mapping[str, aws.wafv2.IpSet]) -> list[rules.Rule]:
        args, acl_rules = self._args, list[rules.Rule]()
        for part, ip_set in sets.items():
            allow = part.startswith(_FRIENDS)
            acl_rules.append(rules.address_rule(part, len(acl_rules), ip_set.arn, args.client_header, allow=allow))
        # Before the groups: a request that one of them refuses also counts towards a flood.
        for limit in args.limits:
            acl_rules.append(rules.limit_rule(limit, len(acl_rules), args.client_header))
        large_bodies = args.body_limit_mb is not None
        for group in args.groups:
            acl_rules.append(rules.group_rule(group, len(acl_rules), args.count_only or (), large_bodies=large_bodies))
        return acl_rules

    def _create_log(self, name: str, acl: aws.wafv2.WebAcl) -> aws.cloudwatch.LogGroup:
        args, keeps = self._args, self._context.keeps_data
        group = aws.cloudwatch.LogGroup(
            f"{name}-log",
            name=self._log_name,
            kms_key_id=args.kms_key_arn,
            retention_in_days=args.chosen_log_days,
            deletion_protection_enabled=keeps,
            region=self._region,
            tags=self._context.tags(self._log_name),
            opts=self._child(protect=keeps),
        )
        policy = aws.cloudwatch.LogResourcePolicy(
            f"{name}-log-policy",
            # Otherwise WAF would create one that no program manages, and that is cut off in a region that has ten.
            policy_name=self._context.name("iam_policy", "firewall", args.scope.lower()),
            policy_document=json.dumps(self._log_policy()),
            region=self._region,
            opts=self._child(),
        )
        aws.wafv2.WebAclLoggingConfiguration(
            f"{name}-logging",
            resource_arn=acl.arn,
            log_destination_configs=[group.arn],
            redacted_fields=[{"single_header": {"name": header}} for header in _HIDDEN_HEADERS],
            logging_filter=None if args.log_all else _filter(),
            region=self._region,
            opts=self._child(after=[policy]),
        )
        return group

    def _log_policy(self) -> dict[str, object]:
        """Return the policy of the log's writer (guide of CloudWatch Logs, "Logs sent to CloudWatch Logs")."""
        context, region = self._context, self._args.region
        statement = {
            "Sid": "FirewallLogs",
            "Effect": "Allow",
            "Principal": {"Service": "delivery.logs.amazonaws.com"},
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": context.arn("logs", f"log-group:{self._log_name}:log-stream:*", region=region),
            "Condition": {
                "StringEquals": {"aws:SourceAccount": context.account},
                "ArnLike": {"aws:SourceArn": context.arn("logs", "*", region=region)},
            },
        }
        return {"Version": "2012-10-17", "Statement": [statement]}


def _filter() -> aws.wafv2.WebAclLoggingConfigurationLoggingFilterArgsDict:
    return {
        "default_behavior": "DROP",
        "filters": [
            {
                "behavior": "KEEP",
                "requirement": "MEETS_ANY",
                "conditions": [{"action_condition": {"action": action}} for action in _LOGGED_ACTIONS],
            }
        ],
    }


def _place_problems(args: WebFirewallArgs) -> Iterator[str]:
    if args.scope not in SCOPES:
        yield f"scope is {args.scope!r}, accepted: {', '.join(SCOPES)}"
        return
    if args.scope == CLOUDFRONT and args.context.partition != "aws":
        yield f"scope is 'CLOUDFRONT' in {args.context.region}, accepted: REGIONAL, as CloudFront is run elsewhere"
    key = args.kms_key_arn
    if isinstance(key, str) and not key.startswith(args.context.arn("kms", "", region=args.region, account="")[:-1]):
        yield f"kms_key_arn is {key!r}, accepted: a key of {args.region}"
    target = args.load_balancer_arn
    if target is not None and args.scope == CLOUDFRONT:
        yield "load_balancer_arn is not for the scope 'CLOUDFRONT', accepted: none"
    elif isinstance(target, str) and ":loadbalancer/app/" not in target:
        yield f"load_balancer_arn is {target!r}, accepted: the ARN of an application load balancer"


def _limit_problems(limits: Sequence[RateLimitArgs]) -> Iterator[str]:
    limit_names = [limit.name for limit in limits]
    for position, limit in enumerate(limits):
        where = f"limits[{position}]"
        if not _NAME.fullmatch(limit.name) or limit.name in limit_names[:position]:
            yield f"{where}.name is {limit.name!r}, accepted: letters, digits, _ and -, each name once"
        if not _PATH.fullmatch(limit.path):
            yield f"{where}.path is {limit.path!r}, accepted: a path such as /api"
        burst = limit.burst or 0
        if limit.per not in rules.PERIODS:
            yield f"{where}.per is {limit.per!r}, accepted: {', '.join(rules.PERIODS)}"
        elif limit.requests < 1 or burst < 0 or rules.coarse(limit).requests > rules.HIGHEST_LIMIT:
            rate = f"requests is {limit.requests} with a burst of {burst}"
            yield f"{where}.{rate}, accepted: at least 1 and 0, and what WAF can count ({rules.HIGHEST_LIMIT})"
        for method in limit.methods or ():
            if method not in rules.METHODS:
                yield f"{where}.methods has {method!r}, accepted: {', '.join(rules.METHODS)}"


def _list_problems(args: WebFirewallArgs) -> Iterator[str]:
    for key, cidrs in (("allow_cidrs", args.allow_cidrs or ()), ("deny_cidrs", args.deny_cidrs or ())):
        if len(cidrs) > _MOST_ADDRESSES or len(set(cidrs)) != len(cidrs):
            yield f"{key} has {len(cidrs)} networks, accepted: at most {_MOST_ADDRESSES}, each once"
        for cidr in cidrs:
            try:
                network = ipaddress.ip_network(cidr)
            except ValueError:
                network = None
            # WAF does not support a set of all addresses.
            if network is None or "/" not in cidr or network.prefixlen == 0:
                yield f"{key} has {cidr!r}, accepted: a network such as 203.0.113.0/24"


def _choice_problems(args: WebFirewallArgs) -> Iterator[str]:
    limit, header, days = args.body_limit_mb, args.client_header, args.log_days
    if limit is not None and not 1 <= limit <= _MOST_BODY_MB:
        yield f"body_limit_mb is {limit}, accepted: 1 to {_MOST_BODY_MB}"
    if header is not None and (not _HEADER.fullmatch(header) or header.lower() == "x-forwarded-for"):
        accepted = (
            "a header that the proxy sets, such as CF-Connecting-IP; of X-Forwarded-For WAF reads the client's part"
        )
        yield f"client_header is {header!r}, accepted: {accepted}"
    if days is not None and days not in RETENTION_DAYS:
        yield f"log_days is {days}, accepted: {', '.join(map(str, RETENTION_DAYS))}"
    if args.platform is not None and args.platform not in rules.PLATFORMS:
        yield f"platform is {args.platform!r}, accepted: {', '.join(rules.PLATFORMS)}"
        return
    for name in args.count_only or ():
        group, _, rule = name.partition("/")
        if group not in args.groups or ("/" in name and not _GROUP_RULE.fullmatch(rule)):
            yield f"count_only has {name!r}, accepted: {', '.join(args.groups)}, or a rule of theirs as GROUP/RULE"


def _unit_problems(args: WebFirewallArgs) -> Iterator[str]:
    if args.units > rules.MOST_UNITS:
        yield f"limits and lists need {args.units} capacity units, accepted: {rules.MOST_UNITS}, so fewer of them"
