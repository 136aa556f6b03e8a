"""Target group of a load balancer: health checks of its hosts, and how hosts are added and removed."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context

ROUND_ROBIN, LEAST_REQUESTS = "round_robin", "least_outstanding_requests"
#: Protocol of a target -> its name in a network load balancer.
PROTOCOLS: Mapping[str, str] = {"HTTPS": "TLS", "HTTP": "TCP"}
#: Limits, in seconds or counts: API reference of elbv2, CreateTargetGroup and TargetGroupAttribute (botocore's service
#: model).
LIMITS: Mapping[str, tuple[int, int]] = {
    "port": (1, 65_535),
    "interval_seconds": (5, 300),
    "timeout_seconds": (2, 120),
    "healthy_count": (2, 10),
    "unhealthy_count": (2, 10),
    "slow_start_seconds": (30, 900),
    "drain_seconds": (0, 3600),
    "sticky_seconds": (1, 604_800),
}
_PATH = re.compile(r"/[!-~]{0,1023}")
_CODES = re.compile(r"[2-4]\d\d([,-][2-4]\d\d)*")


@dataclass(frozen=True, kw_only=True)
class TargetArgs:
    """Health checks of hosts, and how requests are distributed to them."""

    #: Path that answers with `success_codes` when the host can serve.
    health_path: str
    #: Defaults to 443.
    port: int | None = None
    #: `HTTPS`, or in development `HTTP`; defaults to `HTTPS`, with any certificate: load balancers do not verify those
    #: of hosts.
    protocol: str | None = None
    #: Time between checks; defaults to 10.
    interval_seconds: int | None = None
    #: Defaults to 5.
    timeout_seconds: int | None = None
    #: Successful checks in a row until a host gets requests; defaults to 2.
    healthy_count: int | None = None
    #: Failed checks in a row until a host gets no more requests; defaults to 3.
    unhealthy_count: int | None = None
    #: Defaults to `200`; examples: `200,204` or `200-299`.
    success_codes: str | None = None
    #: Time in which the share of a new host grows to that of the others; by default it gets it at once. Not for a
    #: network load balancer.
    slow_start_seconds: int | None = None
    #: Time for requests to end on a host that is removed; defaults to 120.
    drain_seconds: int | None = None
    #: Time for which a browser returns to the same host, by a cookie; by default any host serves it, as sessions are in
    #: the cache. Not for a network load balancer.
    sticky_seconds: int | None = None
    #: `least_outstanding_requests` or `round_robin`; defaults to the first, or to the second with a slow start. Not for
    #: a network load balancer, which distributes connections.
    algorithm: str | None = None

    @property
    def chosen_port(self) -> int:
        """Return `port`, or 443."""
        return 443 if self.port is None else self.port

    @property
    def chosen_protocol(self) -> str:
        """Return `protocol`, or `HTTPS`."""
        return self.protocol or "HTTPS"

    @property
    def chosen_interval_seconds(self) -> int:
        """Return `interval_seconds`, or 10."""
        return 10 if self.interval_seconds is None else self.interval_seconds

    @property
    def chosen_timeout_seconds(self) -> int:
        """Return `timeout_seconds`, or 5."""
        return 5 if self.timeout_seconds is None else self.timeout_seconds

    @property
    def chosen_algorithm(self) -> str:
        """Return `algorithm`, or the best one that is compatible with the other arguments."""
        return self.algorithm or (ROUND_ROBIN if self.slow_start_seconds else LEAST_REQUESTS)


def target_problems(targets: TargetArgs, context: Context, *, network: bool) -> Iterator[str]:
    """Yield problems of the targets of a load balancer; `network` says whether it is a network load balancer."""
    if targets.protocol not in (None, *PROTOCOLS):
        yield f"protocol is {targets.protocol!r}, accepted: {', '.join(PROTOCOLS)}"
    elif targets.protocol == "HTTP" and context.keeps_data:
        yield "protocol is 'HTTP', accepted: HTTPS where data is kept, as it travels in plain text otherwise"
    if not _PATH.fullmatch(targets.health_path):
        yield f"health_path is {targets.health_path!r}, accepted: a path such as /api/health"
    if targets.success_codes is not None and not _CODES.fullmatch(targets.success_codes):
        yield f"success_codes is {targets.success_codes!r}, accepted: codes from 200 to 499 such as 200,204 or 200-299"
    for key, (least, most) in LIMITS.items():
        value = getattr(targets, key)
        if value is not None and not least <= value <= most:
            yield f"{key} is {value}, accepted: {least} to {most}"
    if targets.chosen_timeout_seconds >= targets.chosen_interval_seconds:
        yield (
            f"timeout_seconds is {targets.chosen_timeout_seconds} and interval_seconds"
            f" {targets.chosen_interval_seconds}, accepted: a timeout below the interval"
        )
    yield from _network_problems(targets) if network else _algorithm_problems(targets)


def _network_problems(targets: TargetArgs) -> Iterator[str]:
    for key in ("slow_start_seconds", "sticky_seconds", "algorithm"):
        value = getattr(targets, key)
        if value is not None:
            yield f"{key} is {value!r}, accepted: none for a network load balancer, which knows no requests"


def _algorithm_problems(targets: TargetArgs) -> Iterator[str]:
    if targets.algorithm not in (None, ROUND_ROBIN, LEAST_REQUESTS):
        yield f"algorithm is {targets.algorithm!r}, accepted: {LEAST_REQUESTS}, {ROUND_ROBIN}"
    if targets.algorithm == LEAST_REQUESTS and targets.slow_start_seconds is not None:
        yield f"slow_start_seconds is {targets.slow_start_seconds} with {LEAST_REQUESTS}, accepted: {ROUND_ROBIN} with it"


def create_target_group(
    owner: pulumi.Resource,
    name: str,
    targets: TargetArgs,
    context: Context,
    vpc_id: pulumi.Input[str],
    *,
    label: str,
    network: bool,
) -> aws.lb.TargetGroup:
    """Create the group in which instances are registered."""
    protocol = PROTOCOLS[targets.chosen_protocol] if network else targets.chosen_protocol
    # Part of the name: what AWS cannot change leads to another group, created while the old one is still in use. So is
    # the load balancer's label, as a group belongs to one load balancer.
    group_name = context.name("target_group", label, f"{protocol.lower()}-{targets.chosen_port}")
    return aws.lb.TargetGroup(
        name,
        name=group_name,
        vpc_id=vpc_id,
        target_type="instance",
        port=targets.chosen_port,
        protocol=protocol,
        # A WebSocket starts as HTTP/1.1.
        protocol_version=None if network else "HTTP1",
        health_check=_health_check(targets),
        deregistration_delay=120 if targets.drain_seconds is None else targets.drain_seconds,
        # A host that is removed closes its remaining connections; an ALB does so by itself.
        connection_termination=True if network else None,
        preserve_client_ip="true" if network else None,
        # Zeros and similar values are set explicitly: an omitted value would stay as it was.
        slow_start=None if network else (targets.slow_start_seconds or 0),
        load_balancing_algorithm_type=None if network else targets.chosen_algorithm,
        stickiness=aws.lb.TargetGroupStickinessArgs(
            enabled=targets.sticky_seconds is not None,
            type="source_ip" if network else "lb_cookie",
            cookie_duration=targets.sticky_seconds,
        ),
        tags=context.tags(group_name),
        opts=pulumi.ResourceOptions(parent=owner),
    )


def _health_check(targets: TargetArgs) -> aws.lb.TargetGroupHealthCheckArgs:
    return aws.lb.TargetGroupHealthCheckArgs(
        enabled=True,
        protocol=targets.chosen_protocol,
        port="traffic-port",
        path=targets.health_path,
        matcher=targets.success_codes or "200",
        interval=targets.chosen_interval_seconds,
        timeout=targets.chosen_timeout_seconds,
        healthy_threshold=2 if targets.healthy_count is None else targets.healthy_count,
        unhealthy_threshold=3 if targets.unhealthy_count is None else targets.unhealthy_count,
    )
