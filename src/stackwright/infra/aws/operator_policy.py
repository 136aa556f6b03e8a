"""IAM policies for the operator: what the environment's resources need, and no named resource of other environments."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from stackwright.infra.aws.context import TAG_PREFIX, Context
from stackwright.infra.aws.operator_actions import BY_TYPE, EVERY

#: Characters of a managed policy, without whitespace (IAM's quotas).
LIMIT = 6144
#: Services whose resource names begin with the environment's name: patterns of what an action may change. Other
#: resources have ids that AWS chooses; there the region is the only possible restriction.
_NAMED: Mapping[str, tuple[str, ...]] = {
    "autoscaling": (
        "arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{environment}-*",
    ),
    "budgets": ("arn:{partition}:budgets::{account}:budget/{environment}-*",),
    "cloudwatch": (
        "arn:{partition}:cloudwatch:{region}:{account}:alarm:{environment}-*",
        # Dashboards belong to no region.
        "arn:{partition}:cloudwatch:*:{account}:dashboard/{environment}-*",
    ),
    "iam": (
        "arn:{partition}:iam::{account}:role/{environment}-*",
        "arn:{partition}:iam::{account}:instance-profile/{environment}-*",
    ),
    "s3": ("arn:{partition}:s3:::{environment}-*",),
    "secretsmanager": (
        "arn:{partition}:secretsmanager:{region}:{account}:secret:{environment}/*",
        "arn:{partition}:secretsmanager:{region}:{account}:secret:rds!db-*",
    ),
    "sns": ("arn:{partition}:sns:{region}:{account}:{environment}-*",),
    "ssm": (
        "arn:{partition}:ssm:{region}:{account}:parameter/stackwright/{environment}/*",
        "arn:{partition}:ssm:{region}::parameter/aws/service/*",
    ),
}
#: Services that belong to no region.
_GLOBAL = ("budgets", "cloudfront", "iam", "route53", "s3")
#: In most services, read-only actions cannot be restricted to a resource; actions that read contents are excluded.
_LOOKS = re.compile(r"(Describe|List|View)\w*|Get(?!Object$|SecretValue$|Parameters?$)\w*")
_SESSIONS = ("ResumeSession", "StartSession", "TerminateSession")
_DOCUMENT = "AWS-StartSSHSession"
#: Services for which AWS creates a role at their first use.
_LINKED = (
    *("autoscaling", "elasticache", "elasticloadbalancing", "rds"),
    *("delivery.logs", "vpcorigin.cloudfront", "wafv2"),
)


class Declared(Protocol):
    """A resource that a program declares."""

    @property
    def type(self) -> str:
        """The type token, such as `aws:ec2/vpc:Vpc`."""

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The inputs, named as in Pulumi's protocol."""


def actions(types: Iterable[str]) -> dict[str, set[str]]:
    """Return service -> actions for types of resources. Raises ValueError with the types that the table lacks."""
    aws_types = sorted({token.removeprefix("aws:") for token in types if token.startswith("aws:")})
    unknown = [kind for kind in aws_types if kind not in BY_TYPE]
    if unknown:
        raise ValueError(f"no actions are known for {', '.join(unknown)}: add them to BY_TYPE of operator_actions.py")
    by_service: dict[str, set[str]] = {}
    for text in (EVERY, *(BY_TYPE[kind] for kind in aws_types)):
        for part in text.split(";"):
            service, _, names = part.strip().partition(": ")
            by_service.setdefault(service, set()).update(names.split())
    return by_service


def policies(context: Context, resources: Collection[Declared]) -> dict[str, dict[str, Any]]:
    """Return the policies by name, each small enough for IAM; together they are what the operator needs."""
    regions = sorted(
        {context.region, *(str(resource.inputs["region"]) for resource in resources if resource.inputs.get("region"))}
    )
    statements = list(_statements(context, actions(resource.type for resource in resources), regions))
    documents: list[list[dict[str, Any]]] = [[]]
    for statement in statements:
        if len(_compact([*documents[-1], statement])) > LIMIT:
            documents.append([])
        documents[-1].append(statement)
    names = (f"{context.environment}-operator-{number}" for number in range(1, len(documents) + 1))
    return {name: _document(document) for name, document in zip(names, documents, strict=True)}


def _document(statements: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _compact(statements: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(_document(statements), separators=(",", ":"))


def _statements(
    context: Context, by_service: Mapping[str, set[str]], regions: Sequence[str]
) -> Iterator[dict[str, Any]]:
    looks = [
        f"{service}:{action}" for service, names in by_service.items() for action in names if _LOOKS.fullmatch(action)
    ]
    yield _allow("Look", looks, ["*"])
    yield _allow(
        "ServiceRoles",
        ["iam:CreateServiceLinkedRole"],
        [context.arn("iam", "role/aws-service-role/*", region="")],
        {"StringLike": {"iam:AWSServiceName": [_principal(linked) for linked in _LINKED]}},
    )
    for service, names in sorted(by_service.items()):
        changes = [action for action in names if not _LOOKS.fullmatch(action) and action not in _SESSIONS]
        if changes:
            yield _changes(context, service, changes, regions)
    if by_service["ssm"] & set(_SESSIONS):
        yield from _sessions(context)


def _changes(context: Context, service: str, names: Sequence[str], regions: Sequence[str]) -> dict[str, Any]:
    patterns = _NAMED.get(service, ("*",))
    values = {"partition": context.partition, "account": context.account, "environment": context.environment}
    arns = dict.fromkeys(pattern.format(region=region, **values) for pattern in patterns for region in regions)
    somewhere = {"StringEquals": {"aws:RequestedRegion": list(regions)}}
    condition = None if service in _GLOBAL or service in _NAMED else somewhere
    return _allow(service.title().replace("-", ""), [f"{service}:{action}" for action in names], list(arns), condition)


def _sessions(context: Context) -> Iterator[dict[str, Any]]:
    """Yield the statements for SSH through Systems Manager, to servers of this environment only."""
    tag = {"StringEquals": {f"aws:ResourceTag/{TAG_PREFIX}:environment": context.environment}}
    yield _allow("Sessions", ["ssm:StartSession"], [context.arn("ec2", "instance/*")], tag)
    document = context.arn("ssm", f"document/{_DOCUMENT}", account="")
    yield _allow("SessionDocument", ["ssm:StartSession"], [document])
    sessions = context.arn("ssm", "session/${aws:username}-*")
    yield _allow("OwnSessions", ["ssm:ResumeSession", "ssm:TerminateSession"], [sessions])


def _principal(service: str) -> str:
    return f"{service}.amazonaws.com"


def _allow(
    sid: str, names: Collection[str], resources: Sequence[str], condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": sid, "Effect": "Allow", "Action": sorted(names), "Resource": list(resources)}
    return statement | ({"Condition": dict(condition)} if condition else {})
