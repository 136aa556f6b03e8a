"""Access between security groups of different components, where one of them has to exist before the other."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import firewall_rules
from stackwright.infra.aws.context import Context
from stackwright.infra.aws.firewall_rules import RuleArgs


@dataclass(frozen=True, kw_only=True)
class ClientGroupArgs:
    """Arguments of `ClientGroup`: the tier whose servers do not exist yet."""

    context: Context
    #: The Ansible group of the servers.
    tier: str
    vpc_id: pulumi.Input[str]


class ClientGroup(pulumi.ComponentResource):
    """A security group created before the servers of a tier, so that what they need can exist and admit it first."""

    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: ClientGroupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:ClientGroup", name, None, opts)
        context = args.context
        group_name = context.name("security_group", "clients", args.tier)
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            name=group_name,
            description=f"Servers of the tier {args.tier}, to whom they ask",
            vpc_id=args.vpc_id,
            tags=context.tags(group_name, tier=args.tier),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.security_group_id = group.id
        self.register_outputs({"securityGroupId": self.security_group_id})


@dataclass(frozen=True, kw_only=True)
class PathArgs:
    """TCP traffic from one security group to another."""

    #: The tiers, used in the names of the rules.
    source: str
    target: str
    port: int
    #: The reason for the traffic; used as the description of the rules.
    reason: str
    source_id: pulumi.Input[str]
    target_id: pulumi.Input[str]
    #: Whether the target admits the source itself, as `Database` and `Cache` do; otherwise a rule is created here.
    admits: bool | None = None


@dataclass(frozen=True, kw_only=True)
class AccessArgs:
    """Arguments of `Access`: the traffic between security groups.

    Raises ValueError with every problem at once.
    """

    context: Context
    paths: Sequence[PathArgs]

    def __post_init__(self) -> None:
        problems = [
            problem
            for position, path in enumerate(self.paths)
            for problem in firewall_rules.port_problems(f"paths[{position}]", path.reason, None, path.port, None)
        ]
        names = [_name(path) for path in self.paths]
        problems += [
            f"paths has {name} twice, accepted: each once" for name in sorted(set(names)) if names.count(name) > 1
        ]
        if problems:
            raise ValueError("\n".join(f"AccessArgs.{problem}" for problem in problems))


class Access(pulumi.ComponentResource):
    """An egress rule for each source and an ingress rule for each target without one; what depends on it has access."""

    def __init__(self, name: str, args: AccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Access", name, None, opts)
        context = args.context
        for path in args.paths:
            tags = context.tags(context.name("name_tag", path.source, path.target, str(path.port)))
            out = RuleArgs(reason=path.reason, port=path.port, security_group_id=path.target_id)
            firewall_rules.create_rule(self, f"{name}-{_name(path)}", path.source_id, out, tags, incoming=False)
            if not path.admits:
                come = RuleArgs(reason=path.reason, port=path.port, security_group_id=path.source_id)
                firewall_rules.create_rule(
                    self, f"{name}-{_name(path)}-into", path.target_id, come, tags, incoming=True
                )
        self.register_outputs({})


def _name(path: PathArgs) -> str:
    return f"{path.source}-to-{path.target}-{path.port}"
