"""What a group of servers is made from."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws import scaling_checks
from stackwright.infra.aws.context import Context
from stackwright.infra.aws.firewall_rules import RuleArgs
from stackwright.infra.aws.instance_role import StatementArgs
from stackwright.infra.aws.launch_template import AgentArgs
from stackwright.infra.aws.scaling_policies import RequestsArgs, ScheduledSizeArgs
from stackwright.model.aws import names
from stackwright.model.aws.images import Image, image


@dataclass(frozen=True, kw_only=True)
class SpotArgs:
    """Part of the group on capacity that AWS may take back with two minutes' notice."""

    #: Further types that will do, of the same architecture.
    types: Sequence[str]
    #: Servers that are never of that kind; otherwise 1.
    on_demand: int | None = None
    #: Of those above `on_demand`; otherwise 50.
    percent_on_demand: int | None = None


@dataclass(frozen=True, kw_only=True)
class BootArgs:
    """How a server configures itself (`stackwright.model.aws.boot`)."""

    #: Names, so that user data is known before the bucket exists.
    bucket: str
    #: Of the bundle (`.tar.gz`).
    key: str
    #: Ed25519, PEM; what the bundle is signed with has its other half.
    public_key: str
    #: On the server itself, by plain HTTP or HTTPS; no redirect is followed.
    health_url: str
    #: Of the bucket, where it has one of its own.
    kms_key_arn: pulumi.Input[str] | None = None
    #: An older bundle is refused. A new number here is a new template: the servers are replaced one by one.
    minimum_serial: int | None = None
    #: Otherwise `playbooks/configure-self.yml`.
    playbook: str | None = None
    #: Names and ARNs that the playbooks read; whatever looks like a secret is refused.
    facts: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class ScalingGroupArgs:
    """A group of equal servers.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: Ansible's group.
    tier: str
    vpc_id: pulumi.Input[str]
    #: One a zone.
    subnet_ids: Sequence[pulumi.Input[str]]
    instance_type: str
    min: int
    max: int
    kms_key_arn: pulumi.Input[str]
    boot: BootArgs
    #: Otherwise `debian-13`.
    os: str | None = None
    #: Otherwise `x86_64`.
    architecture: str | None = None
    #: Otherwise the newest of the operating system each time that a server starts; then no change can be rolled back,
    #: as AWS does that for images named by their id alone.
    image_id: pulumi.Input[str] | None = None
    agent: AgentArgs | None = None
    #: Otherwise 20.
    disk_gb: int | None = None
    #: Who may connect, beyond those that admit themselves (`LoadBalancer.admit`).
    ingress: Sequence[RuleArgs] | None = None
    #: Whom the servers may connect to; at least the bundle, AWS's services and their data.
    egress: Sequence[RuleArgs] | None = None
    #: Further ones that each server is in, such as that of who may ask the database: they exist before the servers do.
    security_group_ids: Sequence[pulumi.Input[str]] | None = None
    statements: Sequence[StatementArgs] | None = None
    #: Whether the servers send metrics, in the namespace of CloudWatch's agent.
    metrics: bool | None = None
    permissions_boundary: pulumi.Input[str] | None = None
    #: Public keys of who logs in through Systems Manager.
    authorized_keys: Sequence[str] | None = None
    target_group_arns: Sequence[pulumi.Input[str]] | None = None
    #: Average of the CPUs that the group aims at; otherwise 55.
    cpu_percent: int | None = None
    requests: RequestsArgs | None = None
    #: Servers kept stopped and configured.
    warm: int | None = None
    schedules: Sequence[ScheduledSizeArgs] | None = None
    spot: SpotArgs | None = None
    #: For a server to configure itself; otherwise 1800.
    launch_timeout_seconds: int | None = None
    #: For a server to finish what it does; otherwise 120.
    drain_seconds: int | None = None
    #: Before the load balancer's opinion of a new server counts; otherwise 60, as it serves when it comes in.
    health_grace_seconds: int | None = None
    #: Before the load of a new server counts; otherwise 120.
    warmup_seconds: int | None = None
    #: Names of alarms that stop the replacing of servers.
    rollback_alarms: Sequence[str] | None = None
    detailed_monitoring: bool | None = None
    cpu_credits: str | None = None

    def __post_init__(self) -> None:
        problems = list(scaling_checks.problems(self))
        if problems:
            raise ValueError("\n".join(f"ScalingGroupArgs.{problem}" for problem in problems))

    @property
    def image(self) -> Image:
        """Of the operating system. Raises ValueError where there is none."""
        return image(self.os or "debian-13", self.architecture or "x86_64")

    @property
    def name(self) -> str:
        """Of the group."""
        return names.auto_scaling_group(self.context.environment, self.tier)

    def hook(self, part: str) -> str:
        """The name of the hook `launch` or `terminate`."""
        return self.context.name("lifecycle_hook", self.tier, part)

    @property
    def chosen_launch_timeout_seconds(self) -> int:
        """`launch_timeout_seconds`, or half an hour."""
        return 1800 if self.launch_timeout_seconds is None else self.launch_timeout_seconds

    @property
    def chosen_drain_seconds(self) -> int:
        """`drain_seconds`, or two minutes."""
        return 120 if self.drain_seconds is None else self.drain_seconds
