"""Arguments of the component `LoadBalancer`, and checks that find what AWS would refuse before it is created."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws import bucket_policies, dns_checks, firewall_rules
from stackwright.infra.aws.context import Context
from stackwright.infra.aws.firewall_rules import RuleArgs
from stackwright.infra.aws.target_groups import TargetArgs, target_problems

APPLICATION, NETWORK = "application", "network"
KINDS = (APPLICATION, NETWORK)
#: The first is what AWS recommends and its console selects for an ALB: TLS 1.2 and 1.3, also with post-quantum key
#: exchange (user guide of ALB, "Security policies"). That an NLB accepts it as well, and that the ciphers are those of
#: Mozilla's "intermediate" without CBC and DHE, is from memory and unverified.
TLS_POLICIES = (
    "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
    "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-3-2021-06",
)
#: The third mode, `monitor`, lets everything through.
DESYNC = ("defensive", "strictest")
#: Seconds (API reference of elbv2, LoadBalancerAttribute).
SHORTEST_IDLE, LONGEST_IDLE = 1, 4000
#: Host names per rule, and rules per load balancer (quotas of ALB).
NAMES_PER_RULE, MOST_RULES = 5, 100
#: Characters of a host name in a rule (API reference of elbv2, HostHeaderConditionConfig).
LONGEST_NAME = 128
HTTP_PORT, HTTPS_PORT = 80, 443
_PURPOSE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LOG_PREFIX = re.compile(r"[A-Za-z0-9!_.'()=-]+(/[A-Za-z0-9!_.'()=-]+)*")
_PREFIX_LIST = re.compile(r"pl-[0-9a-f]{8,17}")


@dataclass(frozen=True, kw_only=True)
class OriginOnlyArgs:
    """CloudFront as the only client: the prefix lists that AWS maintains of CloudFront's origin-facing addresses.

    There is no header with a shared secret, as its value would be an input of a listener rule, and so in the state. The
    lists admit the distributions of all AWS customers, not only those of the environment: to restrict access to the
    environment, use an `internal` load balancer behind a VPC origin, which this supports as well.
    """

    #: Id of `com.amazonaws.global.cloudfront.origin-facing`, which differs in each region.
    prefix_list_id: pulumi.Input[str]
    #: Id of `com.amazonaws.global.ipv6.cloudfront.origin-facing`.
    prefix_list_id_ipv6: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class LoadBalancerArgs:
    """A load balancer, its clients, and the hosts behind it.

    Raises ValueError with every problem at once.
    """

    context: Context
    vpc_id: pulumi.Input[str]
    #: Each in another zone: public subnets, or private ones for an `internal` load balancer.
    subnet_ids: Sequence[pulumi.Input[str]]
    #: A certificate in the environment's region (`Certificate.arn`).
    certificate_arn: pulumi.Input[str]
    targets: TargetArgs
    #: Bucket for the logs, which admits load balancers (`ObjectStore.names["logs"]`).
    log_bucket: pulumi.Input[str]
    #: `application` or `network`; defaults to `application`.
    kind: str | None = None
    #: Host names that are forwarded to the targets, including wildcards; any other name is answered with 404. For an
    #: application load balancer only: a network one does not read names and leaves it to the hosts to refuse.
    names: Sequence[str] | None = None
    #: A word that distinguishes it from others of the environment; defaults to `web`.
    purpose: str | None = None
    #: Whether it has no Internet address; defaults to false.
    internal: bool | None = None
    #: Whether it also has IPv6 addresses; the subnets must support IPv6.
    ipv6: bool | None = None
    #: Clients that may connect to 443 and, for an application load balancer, to 80; defaults to all.
    clients: Sequence[RuleArgs] | None = None
    #: Used instead of `clients`.
    origin_only: OriginOnlyArgs | None = None
    #: Time after which an idle connection is closed; defaults to 3600, so that WebSockets and event streams outlast the
    #: hosts' own timeouts. A network load balancer uses 350, which AWS does not allow to be changed for TLS.
    idle_seconds: int | None = None
    #: Prefix of the logs in the bucket; defaults to the one for which `ObjectStore` admits load balancers.
    log_prefix: str | None = None
    #: `defensive` or `strictest`; defaults to `defensive`, which closes the connection after a request that others
    #: could interpret differently, to prevent request smuggling. `strictest` refuses everything that does not comply
    #: with RFC 7230, including harmless clients.
    desync: str | None = None
    #: One of `TLS_POLICIES`; defaults to the first.
    tls_policy: str | None = None

    def __post_init__(self) -> None:
        problems = [
            *_kind_problems(self),
            *_name_problems(self),
            *_client_problems(self),
            *_choice_problems(self),
            *(
                f"targets.{problem}"
                for problem in target_problems(self.targets, self.context, network=self.chosen_kind == NETWORK)
            ),
        ]
        if problems:
            raise ValueError("\n".join(f"LoadBalancerArgs.{problem}" for problem in problems))

    @property
    def chosen_kind(self) -> str:
        """Return `kind`, or `application`."""
        return self.kind or APPLICATION

    @property
    def chosen_log_prefix(self) -> str:
        """Return `log_prefix`, or the prefix in the environment's bucket."""
        return bucket_policies.LOAD_BALANCER_PREFIX if self.log_prefix is None else self.log_prefix

    @property
    def label(self) -> str:
        """Return a part of every name; it holds what AWS cannot change, so that a replacement is created first."""
        kind = [NETWORK] if self.chosen_kind == NETWORK else []
        return "-".join([self.purpose or "web", *kind, *(["internal"] if self.internal else [])])

    @property
    def ingress(self) -> Sequence[RuleArgs]:
        """Return the rules for the clients that may connect."""
        if self.origin_only is not None:
            return _from_cdn(self.origin_only)
        return _from_world(self) if self.clients is None else self.clients

    @property
    def redirects(self) -> bool:
        """Return whether HTTP is reachable and has to be redirected to HTTPS."""
        return any(rule.port == HTTP_PORT for rule in self.ingress)

    @property
    def names_by_rule(self) -> Sequence[Sequence[str]]:
        """Return the names in groups that fit into one rule each."""
        names = self.names or ()
        return [names[first : first + NAMES_PER_RULE] for first in range(0, len(names), NAMES_PER_RULE)]


def _from_cdn(origin: OriginOnlyArgs) -> list[RuleArgs]:
    # HTTPS only: the list counts as 55 of the 60 rules of a security group, so that it fits once per IP version.
    rules = [RuleArgs(reason="HTTPS from CloudFront", port=HTTPS_PORT, prefix_list_id=origin.prefix_list_id)]
    if origin.prefix_list_id_ipv6 is not None:
        reason = "HTTPS from CloudFront (IPv6)"
        rules.append(RuleArgs(reason=reason, port=HTTPS_PORT, prefix_list_id=origin.prefix_list_id_ipv6))
    return rules


def _from_world(args: LoadBalancerArgs) -> list[RuleArgs]:
    ports = {"HTTPS from everybody": HTTPS_PORT}
    if args.chosen_kind == APPLICATION:
        ports["HTTP from everybody, to be redirected"] = HTTP_PORT
    rules = [RuleArgs(reason=reason, port=port, cidr="0.0.0.0/0") for reason, port in ports.items()]
    if args.ipv6:
        rules += [RuleArgs(reason=f"{reason} (IPv6)", port=port, cidr_ipv6="::/0") for reason, port in ports.items()]
    return rules


def _kind_problems(args: LoadBalancerArgs) -> Iterator[str]:
    if args.kind not in (None, *KINDS):
        yield f"kind is {args.kind!r}, accepted: {', '.join(KINDS)}"
    if args.purpose is not None and not _PURPOSE.fullmatch(args.purpose):
        yield f"purpose is {args.purpose!r}, accepted: lower-case letters, digits and hyphens"
    # AWS refuses an ALB in one zone; a network load balancer in one zone works until that zone fails.
    least = 2 if args.chosen_kind == APPLICATION or args.context.environment_class == "production" else 1
    if len(args.subnet_ids) < least:
        yield f"subnet_ids has {len(args.subnet_ids)}, accepted: {least} or more, each in another zone"
    if args.chosen_kind == NETWORK:
        for key in ("idle_seconds", "desync"):
            value = getattr(args, key)
            if value is not None:
                yield f"{key} is {value!r}, accepted: none for a network load balancer"


def _name_problems(args: LoadBalancerArgs) -> Iterator[str]:
    names = args.names or ()
    if args.chosen_kind == NETWORK:
        if names:
            yield f"names is {', '.join(names)}, accepted: none for a network load balancer, which reads no requests"
        return
    if not 1 <= len(names) <= NAMES_PER_RULE * MOST_RULES:
        yield f"names has {len(names)}, accepted: 1 to {NAMES_PER_RULE * MOST_RULES}"
    for name in names:
        # AWS requires letters in the last label, which excludes top-level domains in punycode.
        if not dns_checks.domain(name, wildcard=True) or len(name) > LONGEST_NAME or not name.split(".")[-1].isalpha():
            yield f"names has {name!r}, accepted: full names in lower case such as example.org or *.example.org"
    for name in sorted({domain for domain in names if names.count(domain) > 1}):
        yield f"names has {name!r} twice, accepted: each once"


def _client_problems(args: LoadBalancerArgs) -> Iterator[str]:
    clients, origin = args.clients, args.origin_only
    if clients is not None and origin is not None:
        yield "clients and origin_only are both given, accepted: one of them"
    if args.internal and clients is None and origin is None:
        yield "clients is missing, accepted: who connects to an internal load balancer"
    if clients is not None:
        yield from _rule_problems(args, clients)
    if origin is not None:
        for key in ("prefix_list_id", "prefix_list_id_ipv6"):
            value = getattr(origin, key)
            if isinstance(value, str) and not _PREFIX_LIST.fullmatch(value):
                yield f"origin_only.{key} is {value!r}, accepted: an id such as pl-0123456789abcdef0"


def _rule_problems(args: LoadBalancerArgs, clients: Sequence[RuleArgs]) -> Iterator[str]:
    if not clients:
        yield "clients is empty, accepted: at least one rule"
    yield from firewall_rules.rule_problems(clients, "clients", incoming=True)
    yield from firewall_rules.name_problems(clients, "clients")
    ports = (HTTPS_PORT,) if args.chosen_kind == NETWORK else (HTTP_PORT, HTTPS_PORT)
    for position, rule in enumerate(clients):
        if rule.port not in ports or rule.to_port not in (None, rule.port) or rule.protocol not in (None, "tcp"):
            yield f"clients[{position}] is for a port that nobody listens on, accepted: tcp {', '.join(map(str, ports))}"


def _choice_problems(args: LoadBalancerArgs) -> Iterator[str]:
    idle = args.idle_seconds
    if args.chosen_kind != NETWORK and idle is not None and not SHORTEST_IDLE <= idle <= LONGEST_IDLE:
        yield f"idle_seconds is {idle}, accepted: {SHORTEST_IDLE} to {LONGEST_IDLE}"
    prefix = args.chosen_log_prefix
    if not _LOG_PREFIX.fullmatch(prefix) or "AWSLogs" in prefix:
        yield f"log_prefix is {prefix!r}, accepted: a folder such as load-balancer, without AWSLogs"
    if args.chosen_kind != NETWORK and args.desync not in (None, *DESYNC):
        yield f"desync is {args.desync!r}, accepted: {', '.join(DESYNC)}"
    if args.tls_policy not in (None, *TLS_POLICIES):
        yield f"tls_policy is {args.tls_policy!r}, accepted: {', '.join(TLS_POLICIES)}"
