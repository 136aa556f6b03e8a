"""Permissions of a server in the account: access through Systems Manager, and the given statements with exact names."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context
from stackwright.model.aws.names import AGENT_NAMESPACE

#: What the agent needs for sessions and commands. Not AWS's policy AmazonSSMManagedInstanceCore: it may read every
#: parameter of the account and write inventories and associations, none of which are used here.
_CHANNELS = (
    "ec2messages:AcknowledgeMessage",
    "ec2messages:DeleteMessage",
    "ec2messages:FailMessage",
    "ec2messages:GetEndpoint",
    "ec2messages:GetMessages",
    "ec2messages:SendReply",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
)
_ACTION = re.compile(r"[a-z0-9-]+:[A-Za-z0-9]+")
_SID = re.compile(r"[A-Za-z0-9]+")
#: Characters of all inline policies of a role, without whitespace (IAM's quotas).
_LIMIT = 10_240


@dataclass(frozen=True, kw_only=True)
class StatementArgs:
    """One allowed set of actions."""

    #: Letters and digits; the reason, in a word or two.
    sid: str
    #: Exact action names, without wildcards.
    actions: Sequence[str]
    #: ARNs; `*` only inside one, for a part that cannot be known.
    resources: Sequence[pulumi.Input[str]]
    #: Condition operator -> key -> value.
    conditions: Mapping[str, Mapping[str, str]] | None = None


@dataclass(frozen=True, kw_only=True)
class InstanceRoleArgs:
    """Permissions of a server, or of a group of identical servers.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: Part of the role's name: the host or the tier.
    purpose: str
    statements: Sequence[StatementArgs] | None = None
    #: Whether it sends metrics, in the namespace of the CloudWatch agent.
    metrics: bool | None = None
    #: ARN of the policy that limits the permissions of every role of the account.
    permissions_boundary: pulumi.Input[str] | None = None

    def __post_init__(self) -> None:
        problems = list(statement_problems(self.statements or ()))
        if problems:
            raise ValueError("\n".join(f"InstanceRoleArgs.{problem}" for problem in problems))


def statement_problems(statements: Sequence[StatementArgs]) -> Iterator[str]:
    """Yield problems of the given statements."""
    names = [permission.sid for permission in statements]
    for position, statement in enumerate(statements):
        where = f"statements[{position}]"
        if (
            not _SID.fullmatch(statement.sid)
            or names.count(statement.sid) > 1
            or statement.sid in ("AgentChannels", "AgentReport", "SendMetrics")
        ):
            yield f"{where}.sid is {statement.sid!r}, accepted: letters and digits, each name once"
        if not statement.actions or not statement.resources:
            yield f"{where} ({statement.sid}) allows nothing, accepted: at least one action and one resource"
        for action in statement.actions:
            if not _ACTION.fullmatch(action):
                yield f"{where}.actions has {action!r}, accepted: exact ones such as s3:GetObject, no `*`"
        for resource in statement.resources:
            if isinstance(resource, str) and not re.fullmatch(
                r"arn:[a-z-]+:[a-z0-9-]+:[^:]*:[^:]*:(?!\*$).+", resource
            ):
                yield f"{where}.resources has {resource!r}, accepted: ARNs that say which, never all"


def agent_statements(context: Context) -> list[dict[str, Any]]:
    """Return the statements for sessions and commands through Systems Manager."""
    return [
        {
            "Sid": "AgentChannels",
            "Effect": "Allow",
            "Action": list(_CHANNELS),
            # These actions have no resource level: an instance gets its own messages only, regardless of the policy.
            "Resource": "*",
        },
        {
            "Sid": "AgentReport",
            "Effect": "Allow",
            "Action": ["ssm:UpdateInstanceInformation"],
            # The instance id is known only after the role exists.
            "Resource": context.arn("ec2", "instance/*"),
        },
    ]


def metrics_statement() -> dict[str, Any]:
    """Return what the Ansible role `host_metrics`, or the CloudWatch agent, needs to send metrics."""
    return {
        "Sid": "SendMetrics",
        "Effect": "Allow",
        "Action": ["cloudwatch:PutMetricData"],
        # The action has no resource level: the namespace is the only possible restriction.
        "Resource": "*",
        "Condition": {"StringEquals": {"cloudwatch:namespace": AGENT_NAMESPACE}},
    }


class InstanceRole(pulumi.ComponentResource):
    """A role that only EC2 can assume, with its instance profile.

    It allows access through Systems Manager and what `statements` allow; no AWS managed policy is attached. It works
    with version 2 of the metadata service, the only one that the templates and hosts of this package enable.
    """

    #: Name of the instance profile, for hosts.
    profile_name: pulumi.Output[str]
    #: ARN of the instance profile, for launch templates.
    profile_arn: pulumi.Output[str]
    role_name: pulumi.Output[str]
    #: ARN of the role, for policies of keys, buckets and secrets.
    role_arn: pulumi.Output[str]

    def __init__(self, name: str, args: InstanceRoleArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:InstanceRole", name, None, opts)
        self._args = args
        role = self._create_role(name)
        policy = self._create_policy(name, role)
        profile = self._create_profile(name, role, policy)
        self.profile_name = profile.name
        self.profile_arn = profile.arn
        self.role_name = role.name
        self.role_arn = role.arn
        self.register_outputs(
            {
                "profileName": self.profile_name,
                "profileArn": self.profile_arn,
                "roleName": self.role_name,
                "roleArn": self.role_arn,
            }
        )

    def _create_role(self, name: str) -> aws.iam.Role:
        args, context = self._args, self._args.context
        role_name = context.name("iam_role", args.purpose)
        service = "ec2.amazonaws.com.cn" if context.partition == "aws-cn" else "ec2.amazonaws.com"
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
        }
        return aws.iam.Role(
            f"{name}-role",
            name=role_name,
            description=f"Servers of {context.environment}: {args.purpose}",
            assume_role_policy=json.dumps(trust),
            permissions_boundary=args.permissions_boundary,
            tags=context.tags(role_name),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_policy(self, name: str, role: aws.iam.Role) -> aws.iam.RolePolicy:
        args, context = self._args, self._args.context
        metrics = [metrics_statement()] if args.metrics else []
        statements = [
            *agent_statements(context),
            *metrics,
            *(_statement(statement) for statement in args.statements or ()),
        ]
        document = {"Version": "2012-10-17", "Statement": statements}
        known = all(
            isinstance(resource, str) for statement in args.statements or () for resource in statement.resources
        )
        if known and len(json.dumps(document, separators=(",", ":"))) > _LIMIT:
            raise ValueError(f"InstanceRoleArgs.statements are too long for a role, accepted: {_LIMIT} characters")
        return aws.iam.RolePolicy(
            f"{name}-policy",
            name=context.name("iam_policy", args.purpose),
            role=role.name,
            policy=json.dumps(document) if known else pulumi.Output.json_dumps(document),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_profile(self, name: str, role: aws.iam.Role, policy: aws.iam.RolePolicy) -> aws.iam.InstanceProfile:
        args, context = self._args, self._args.context
        profile_name = context.name("instance_profile", args.purpose)
        return aws.iam.InstanceProfile(
            f"{name}-profile",
            name=profile_name,
            role=role.name,
            tags=context.tags(profile_name),
            # The policy has to exist before the profile can be used: a server requests both in its first second.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )


def _statement(args: StatementArgs) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": args.sid,
        "Effect": "Allow",
        "Action": list(args.actions),
        "Resource": list(args.resources),
    }
    if args.conditions:
        statement["Condition"] = {operator: dict(keys) for operator, keys in args.conditions.items()}
    return statement
