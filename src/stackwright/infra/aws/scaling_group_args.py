"""Arguments of the component `ScalingGroup`."""

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
    """The part of the group on Spot capacity, which AWS may reclaim with two minutes' notice."""

    #: Further suitable instance types of the same architecture.
    types: Sequence[str]
    #: Number of servers that are always on-demand; defaults to 1.
    on_demand: int | None = None
    #: Percentage of on-demand servers above `on_demand`; defaults to 50.
    percent_on_demand: int | None = None


@dataclass(frozen=True, kw_only=True)
class BootArgs:
    """How a server configures itself (`stackwright.model.aws.boot`)."""

    #: Name of the bucket, not an output, so that user data is known before the bucket exists.
    bucket: str
    #: Key of the bundle (`.tar.gz`) in the bucket.
    key: str
    #: Ed25519, PEM; the other half of the key that signs the bundle.
    public_key: str
    #: URL on the server itself, by plain HTTP or HTTPS; redirects are not followed.
    health_url: str
    #: Key of the bucket, if it has one of its own.
    kms_key_arn: pulumi.Input[str] | None = None
    #: Older bundles are refused. A new number creates a new template: the servers are replaced one by one.
    minimum_serial: int | None = None
    #: Defaults to `playbooks/configure-self.yml`.
    playbook: str | None = None
    #: Names and ARNs that the playbooks read; values that look like secrets are refused.
    facts: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class ScalingGroupArgs:
    """A group of identical servers.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: The Ansible group.
    tier: str
    vpc_id: pulumi.Input[str]
    #: One per zone.
    subnet_ids: Sequence[pulumi.Input[str]]
    instance_type: str
    min: int
    max: int
    kms_key_arn: pulumi.Input[str]
    boot: BootArgs
    #: Defaults to `debian-13`.
    os: str | None = None
    #: Defaults to `x86_64`.
    architecture: str | None = None
    #: Defaults to the newest image of the operating system each time a server starts; in that case no change can be
    #: rolled back, as AWS supports that only for images given by id.
    image_id: pulumi.Input[str] | None = None
    agent: AgentArgs | None = None
    #: Defaults to 20.
    disk_gb: int | None = None
    #: Peers that may connect, in addition to those that admit themselves (`LoadBalancer.admit`).
    ingress: Sequence[RuleArgs] | None = None
    #: Peers that the servers may connect to; at least the bundle, AWS services and their data.
    egress: Sequence[RuleArgs] | None = None
    #: Further security groups of each server, such as one that may connect to the database: they exist before the
    #: servers.
    security_group_ids: Sequence[pulumi.Input[str]] | None = None
    statements: Sequence[StatementArgs] | None = None
    #: Whether the servers send metrics, in the namespace of the CloudWatch agent.
    metrics: bool | None = None
    permissions_boundary: pulumi.Input[str] | None = None
    #: Public keys of the users that log in through Systems Manager.
    authorized_keys: Sequence[str] | None = None
    target_group_arns: Sequence[pulumi.Input[str]] | None = None
    #: Target for the average CPU utilization of the group; defaults to 55.
    cpu_percent: int | None = None
    requests: RequestsArgs | None = None
    #: Number of servers that are kept stopped and configured.
    warm: int | None = None
    schedules: Sequence[ScheduledSizeArgs] | None = None
    spot: SpotArgs | None = None
    #: Time for a server to configure itself; defaults to 1800.
    launch_timeout_seconds: int | None = None
    #: Time for a server to finish its work; defaults to 120.
    drain_seconds: int | None = None
    #: Time before the health checks of the load balancer count for a new server; defaults to 60, as it already serves
    #: then.
    health_grace_seconds: int | None = None
    #: Time before the load of a new server counts; defaults to 120.
    warmup_seconds: int | None = None
    #: Names of alarms that stop the replacement of servers.
    rollback_alarms: Sequence[str] | None = None
    detailed_monitoring: bool | None = None
    cpu_credits: str | None = None

    def __post_init__(self) -> None:
        problems = list(scaling_checks.problems(self))
        if problems:
            raise ValueError("\n".join(f"ScalingGroupArgs.{problem}" for problem in problems))

    @property
    def image(self) -> Image:
        """Return the image of the operating system. Raises ValueError if there is none."""
        return image(self.os or "debian-13", self.architecture or "x86_64")

    @property
    def name(self) -> str:
        """Return the name of the group."""
        return names.auto_scaling_group(self.context.environment, self.tier)

    def hook(self, part: str) -> str:
        """Return the name of the hook `launch` or `terminate`."""
        return self.context.name("lifecycle_hook", self.tier, part)

    @property
    def chosen_launch_timeout_seconds(self) -> int:
        """Return `launch_timeout_seconds`, or half an hour."""
        return 1800 if self.launch_timeout_seconds is None else self.launch_timeout_seconds

    @property
    def chosen_drain_seconds(self) -> int:
        """Return `drain_seconds`, or two minutes."""
        return 120 if self.drain_seconds is None else self.drain_seconds
