"""Checks policies as IAM would, and more strictly: an invalid policy is refused or, worse, allows nothing.

problems = check(document, "identity")
report = check_resources(recording.resources)
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from stackwright.policy import statements
from stackwright.policy.resources import UNKNOWN, Declared, Resource, as_list, from_declared
from stackwright.policy.rules.exposure import narrows
from stackwright.testing.aws_models import iam_actions, iam_arns

VERSION = "2012-10-17"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """The limits of a policy, by the kind of resource that it is attached to."""

    #: Characters without white space (IAM and STS quotas; the services' own guides).
    limit: int
    principal: bool
    resource: bool = True
    #: What `Resource: "*"` stands for in such a policy; empty if it is not the required value.
    star: str = ""
    #: Prefixes of the actions that make sense; empty if any does.
    services: tuple[str, ...] = ()
    #: Whether the principal may be everyone without a condition.
    public: bool = False


KINDS: Mapping[str, Kind] = {
    "identity": Kind(limit=6144, principal=False),
    "inline": Kind(limit=10240, principal=False),
    "trust": Kind(limit=2048, principal=True, resource=False, services=("sts",)),
    "bucket": Kind(limit=20480, principal=True, services=("s3",)),
    "key": Kind(limit=32768, principal=True, star="this key", services=("kms",)),
    "secret": Kind(limit=20480, principal=True, star="this secret", services=("secretsmanager",)),
    "topic": Kind(limit=30720, principal=True, services=("sns",)),
    "queue": Kind(limit=20480, principal=True, services=("sqs",)),
    "vault": Kind(limit=20480, principal=True, star="this vault", services=("backup",)),
    "logs": Kind(limit=5120, principal=True, services=("logs",)),
    # The policy of an endpoint limits the traffic; other policies control who may act.
    "endpoint": Kind(limit=20480, principal=True, public=True),
}
_INPUTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "backup/vaultPolicy": (("policy", "vault"),),
    "cloudwatch/logResourcePolicy": (("policyDocument", "logs"),),
    "ec2/vpcEndpoint": (("policy", "endpoint"),),
    "iam/policy": (("policy", "identity"),),
    "iam/role": (("assumeRolePolicy", "trust"), ("inlinePolicies", "inline")),
    "iam/rolePolicy": (("policy", "inline"),),
    "kms/key": (("policy", "key"),),
    "kms/keyPolicy": (("policy", "key"),),
    "s3/bucketPolicy": (("policy", "bucket"),),
    "secretsmanager/secret": (("policy", "secret"),),
    "secretsmanager/secretPolicy": (("policy", "secret"),),
    "sns/topic": (("policy", "topic"),),
    "sns/topicPolicy": (("policy", "topic"),),
    "sqs/queue": (("policy", "queue"),),
    "sqs/queuePolicy": (("policy", "queue"),),
}
_DOCUMENT_KEYS = {"Id", "Statement", "Version"}
_STATEMENT_KEYS = {
    "Action",
    "Condition",
    "Effect",
    "NotAction",
    "NotPrincipal",
    "NotResource",
    "Principal",
    "Resource",
    "Sid",
}
_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?")
#: A session is with a host, although the action belongs to Systems Manager.
_ALSO: Mapping[str, tuple[str, ...]] = {"ssm": ("ec2",), "sts": ("iam",), "cloudwatch": (), "tag": ()}
#: Actions on objects in a bucket; all other actions of S3 are on the bucket.
_OBJECT = re.compile(
    r"s3:(\w*Object(?!LockConfiguration)\w*|AbortMultipartUpload|ListMultipartUploadParts|BypassGovernanceRetention|Replicate\w+)"
)
_ON_BUCKET = ("s3:GetBucketObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration")


def check(document: str | Mapping[str, Any], kind: str) -> list[str]:
    """Return every problem of a policy of that kind (`KINDS`)."""
    of = KINDS[kind]
    if isinstance(document, str):
        try:
            document = json.loads(document, object_pairs_hook=_no_key_twice)
        except ValueError as error:
            return [f"no JSON: {error}"]
    if not isinstance(document, Mapping):
        return [f"a policy is a JSON object, not {document!r:.40}"]
    return [*_grammar(document), *_size(document, of), *_whole(document, kind, of), *_each(document, of)]


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"{', '.join(twice)} is there twice, and the last one counts")
    return dict(pairs)


def size(document: str | Mapping[str, Any]) -> int:
    """Return the number of characters as IAM counts them: without white space."""
    parsed = json.loads(document) if isinstance(document, str) else document
    return len(json.dumps(parsed, separators=(",", ":"), ensure_ascii=False, default=str))


def _size(document: Mapping[str, Any], of: Kind) -> Iterator[str]:
    if size(document) > of.limit:
        yield f"{size(document)} characters, accepted: {of.limit}"


def _grammar(document: Mapping[str, Any]) -> Iterator[str]:
    unknown = sorted(set(document) - _DOCUMENT_KEYS)
    if unknown:
        yield f"unknown elements: {', '.join(unknown)}"
    if document.get("Version") != VERSION:
        yield f"Version is {document.get('Version')!r}, accepted: {VERSION}"
    if not statements.statements(document):
        yield "Statement is empty"
    sids = Counter(statement.get("Sid") for statement in statements.statements(document) if statement.get("Sid"))
    yield from (f"Sid {sid!r} is there {count} times" for sid, count in sids.items() if count > 1)


def _whole(document: Mapping[str, Any], kind: str, of: Kind) -> Iterator[str]:
    """Yield the problems that depend on all statements together."""
    if kind == "bucket":
        arns = [arn for statement in statements.statements(document) for arn in as_list(statement.get("Resource"))]
        buckets = {iam_arns.resource(str(arn)).partition("/")[0] for arn in arns if arn is not UNKNOWN}
        if len(buckets) > 1:
            yield f"a bucket's policy is about that bucket alone, not about {', '.join(sorted(buckets))}"
    if kind == "key":
        granting = [
            statement
            for statement in statements.allowed(document)
            if "kms:PutKeyPolicy" in statements.actions(statement)
        ]
        if not granting:
            yield "nobody may change the policy (kms:PutKeyPolicy): KMS refuses it, or the key is lost"
    if of.resource and not any(
        statement.get("Effect") in ("Allow", "Deny") for statement in statements.statements(document)
    ):
        yield "no statement allows or denies anything"


def _each(document: Mapping[str, Any], of: Kind) -> Iterator[str]:
    for position, statement in enumerate(statements.statements(document)):
        where = statement.get("Sid") or f"Statement[{position}]"
        parts = (_elements, _principals, _actions, _resources, _levels, _conditions)
        for part in parts:
            yield from (f"{where}: {problem}" for problem in part(statement, of))


def _elements(statement: Mapping[str, Any], of: Kind) -> Iterator[str]:
    unknown = sorted(set(statement) - _STATEMENT_KEYS)
    if unknown:
        yield f"unknown elements: {', '.join(unknown)}"
    if statement.get("Effect") not in ("Allow", "Deny"):
        yield f"Effect is {statement.get('Effect')!r}, accepted: Allow, Deny"
    if not re.fullmatch(r"[A-Za-z0-9]*", str(statement.get("Sid", ""))):
        yield "Sid has other characters than letters and digits"
    for key, inverse, needed in (
        ("Action", "NotAction", True),
        ("Resource", "NotResource", of.resource),
        ("Principal", "NotPrincipal", of.principal),
    ):
        count = sum(name in statement for name in (key, inverse))
        if count != int(needed):
            yield f"{key} is {'missing' if count < int(needed) else 'one too many' if needed else 'not allowed here'}"
    for name in ("Action", "Resource"):
        if name in statement and not as_list(statement[name]):
            yield f"{name} is empty"


def _principals(statement: Mapping[str, Any], of: Kind) -> Iterator[str]:
    principal = statement.get("Principal")
    if principal is None:
        return
    if isinstance(principal, str):
        if principal != "*":
            yield f"Principal is {principal!r}, accepted: * or a structure"
    elif isinstance(principal, Mapping):
        for name, values in principal.items():
            if name not in ("AWS", "CanonicalUser", "Federated", "Service"):
                yield f"Principal.{name}, accepted: AWS, CanonicalUser, Federated, Service"
            yield from (p for value in as_list(values) if (p := _principal(name, value)))
    allows = statement.get("Effect") == "Allow"
    if allows and not of.public and statements.is_everybody(principal) and not narrows(statement.get("Condition")):
        yield "everybody is let in, and no condition says who"


def _principal(name: str, value: Any) -> str | None:
    if value is UNKNOWN or value == "*":
        return None
    if name == "Service" and not _SERVICE.fullmatch(str(value)):
        return f"Principal.Service is {value!r}, accepted: a name such as ec2.amazonaws.com"
    if name == "AWS" and not re.fullmatch(r"\d{12}", str(value)):
        return iam_arns.problem(str(value))
    return None


def _actions(statement: Mapping[str, Any], of: Kind) -> Iterator[str]:
    allows = statement.get("Effect") == "Allow"
    for action in (
        str(action_name) for name in ("Action", "NotAction") for action_name in as_list(statement.get(name))
    ):
        if "*" in action or "?" in action:
            if allows:
                yield f"{action!r} is a wildcard"
            if action == "*":
                continue
        problem = iam_actions.problem(action)
        if problem:
            yield problem
        elif of.services and action.partition(":")[0].lower() not in of.services:
            yield f"{action!r} has no meaning here, accepted: {', '.join(of.services)}"
    if allows and "NotAction" in statement:
        yield "NotAction allows everything else"


def _resources(statement: Mapping[str, Any], of: Kind) -> Iterator[str]:
    allows = statement.get("Effect") == "Allow"
    for value in (arn for name in ("Resource", "NotResource") for arn in as_list(statement.get(name))):
        if value is UNKNOWN:
            continue
        if value != "*":
            problem = iam_arns.problem(str(value))
            if problem:
                yield problem
        elif allows and not of.star:
            could = [action for action in statements.actions(statement) if not statements.needs_star(action)]
            if could:
                yield f"Resource is * and could be exact for {', '.join(could)}"
    if of.star and as_list(statement.get("Resource")) != ["*"]:
        yield f"Resource is {statement.get('Resource')!r}, accepted: *, which means {of.star}"
    if allows and "NotResource" in statement:
        yield "NotResource allows everything else"


def _levels(statement: Mapping[str, Any], _of: Kind) -> Iterator[str]:
    """Yield each action that has no resource of its type in the statement, and each resource that has no action."""
    resources = as_list(statement.get("Resource"))
    known = [name for name in statements.actions(statement) if "*" not in name]
    if not known or "*" in resources or UNKNOWN in resources or len(known) < len(statements.actions(statement)):
        return
    arns = [str(resource) for resource in resources]
    services = {iam_arns.service(arn) for arn in arns}
    for action in known:
        prefix = action.partition(":")[0].lower()
        if arns and not services & {prefix, *_ALSO.get(prefix, ())}:
            yield f"{action} is allowed on none of its own resources, but on {', '.join(sorted(services))}"
    levels = {_is_object(name) for name in known if name.startswith("s3:")}
    resource_levels = {"/" in iam_arns.resource(arn) for arn in arns if iam_arns.service(arn) == "s3"}
    if levels and resource_levels and levels != resource_levels and not _covers(arns):
        level_names = {True: "objects (arn:aws:s3:::bucket/*)", False: "the bucket (arn:aws:s3:::bucket)"}
        yield from (
            f"its actions on {level_names[level]} have no such resource" for level in sorted(levels - resource_levels)
        )
        yield from (
            f"its resource for {level_names[level]} has no such action" for level in sorted(resource_levels - levels)
        )


def _is_object(action: str) -> bool:
    return bool(_OBJECT.fullmatch(action)) and action not in _ON_BUCKET


def _covers(arns: Iterable[str]) -> bool:
    """Return whether an ARN covers objects, too: a wildcard at the end of a bucket's name does."""
    return any(arn.endswith("*") and "/" not in iam_arns.resource(arn) for arn in arns)


def _conditions(statement: Mapping[str, Any], _of: Kind) -> Iterator[str]:
    condition = statement.get("Condition", {})
    if not isinstance(condition, Mapping):
        yield f"Condition is {condition!r:.40}, accepted: operators with their keys"
        return
    for operator, pairs in condition.items():
        if not iam_actions.operator_is_known(operator):
            yield f"{operator!r} is no operator of a condition"
        if not isinstance(pairs, Mapping) or not pairs:
            yield f"{operator} has no keys"
            continue
        for key, values in pairs.items():
            if not iam_actions.key_is_known(key):
                yield f"{key!r} is no key of a condition that is known here"
            yield from (p for value in as_list(values) if (p := _condition_value(operator, key, value)))


def _condition_value(operator: str, key: str, value: Any) -> str | None:
    if value is UNKNOWN:
        return None
    lowered = str(value).lower()
    if operator.startswith(("Bool", "Null")) and lowered not in ("true", "false"):
        return f"{operator} {key} is {value!r}, accepted: true, false"
    if operator.startswith("Arn") and value != "*" and iam_arns.service(str(value)) == "":
        return f"{operator} {key} is {value!r}, which is no ARN"
    if key.lower() in ("aws:sourceaccount", "kms:calleraccount", "aws:principalaccount", "aws:resourceaccount"):
        return None if re.fullmatch(r"\d{12}", str(value)) else f"{key} is {value!r}, accepted: 12 digits"
    return None


@dataclass(kw_only=True)
class Report:
    """The findings, and the number of checks."""

    #: `resource.input: problem`.
    findings: list[str] = field(default_factory=list)
    documents: int = 0
    statements: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    #: Policies that are unknown in a preview.
    unknown: int = 0

    def __str__(self) -> str:
        summary = f"{self.documents} policies, {self.statements} statements, {self.actions.total()} actions "
        summary += f"({len(self.actions)} different), {self.unknown} unknown, {len(self.findings)} findings"
        return "\n".join([summary, *self.findings])


def check_resources(resources: Iterable[Declared | Resource]) -> Report:
    """Check every policy of a declared graph."""
    report = Report()
    inline: Counter[str] = Counter()
    for resource in from_declared(resources).resources:
        for name, kind in _INPUTS.get(resource.kind, ()) if resource.is_aws else ():
            for value in as_list(resource.inputs.get(name)):
                block = isinstance(value, Mapping) and "Statement" not in value
                document = value.get("policy") if block else value
                if document is UNKNOWN:
                    report.unknown += 1
                elif document:
                    _count(report, f"{resource.name}.{name}", document, kind)
                    if kind == "inline":
                        inline[str(resource.get("role") or resource.get("name") or resource.name)] += size(document)
    for role, total in inline.items():
        if total > KINDS["inline"].limit:
            report.findings.append(f"role {role}: its inline policies have {total} characters, accepted: 10240")
    return report


def _count(report: Report, where: str, document: str | Mapping[str, Any], kind: str) -> None:
    report.documents += 1
    report.findings += [f"{where}: {problem}" for problem in check(document, kind)]
    try:
        parsed = statements.parse(document)
    except ValueError:
        return
    report.statements += len(statements.statements(parsed))
    report.actions.update(
        action for statement in statements.statements(parsed) for action in statements.actions(statement)
    )
