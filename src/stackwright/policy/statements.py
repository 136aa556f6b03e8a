"""IAM documents as rules read them: statements of a JSON text, and the actions without resource-level permissions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from stackwright.policy.resources import UNKNOWN, Resource, as_list

#: Actions that accept `Resource: "*"` only, with the reason. Source: the service authorization reference, from memory,
#: unverified. A pattern must match the whole action.
NO_RESOURCE_LEVEL: Mapping[str, str] = {
    r"(autoscaling|cloudwatch|ec2|elasticloadbalancing):Describe\w+": "descriptions are of the account",
    r"acm:ListCertificates": "lists are of the account",
    r"ce:\w+": "costs are of the account",
    r"cloudfront:List\w+": "lists are of the account",
    r"cloudwatch:(GetMetricData|GetMetricStatistics|ListMetrics|PutMetricData)": "metrics have no ARN; a condition on cloudwatch:namespace narrows",
    r"ec2messages:\w+": "the agent's channel has no ARN",
    r"ecr:GetAuthorizationToken": "a token is for the whole registry",
    r"iam:(ListRoles|ListPolicies|ListInstanceProfiles|GetAccountSummary)": "lists are of the account",
    r"kms:(CreateKey|ListAliases|ListKeys)": "there is no key yet, or all of them",
    r"logs:(\w+LogDelivery|ListLogDeliveries|\w+ResourcePolicy|\w+ResourcePolicies)": "log delivery has no ARN",
    r"route53:(GetChange|ListHostedZones|ListHostedZonesByName)": "lists are of the account",
    r"s3:ListAllMyBuckets": "a list of the account",
    r"secretsmanager:(GetRandomPassword|ListSecrets|BatchGetSecretValue)": "no secret is named",
    r"ssm:(DescribeInstanceInformation|GetDeployablePatchSnapshotForInstance|GetManifest|PutConfigurePackageResult"
    r"|PutInventory|PutComplianceItems|ListAssociations|ListInstanceAssociations)": "the agent asks for its own host",
    r"ssmmessages:\w+": "the agent's channel has no ARN",
    r"sts:GetCallerIdentity": "names nobody",
    r"xray:Put\w+": "traces have no ARN",
}

#: Kind -> the inputs that hold a document.
IDENTITY: Mapping[str, tuple[str, ...]] = {
    "iam/groupPolicy": ("policy",),
    "iam/policy": ("policy",),
    "iam/rolePolicy": ("policy",),
    "iam/userPolicy": ("policy",),
    "iam/role": ("inlinePolicies",),
}
TRUST: Mapping[str, tuple[str, ...]] = {"iam/role": ("assumeRolePolicy",)}
RESOURCE_BASED: Mapping[str, tuple[str, ...]] = {
    "backup/vaultPolicy": ("policy",),
    "cloudwatch/logResourcePolicy": ("policyDocument",),
    "kms/key": ("policy",),
    "kms/keyPolicy": ("policy",),
    "s3/bucketPolicy": ("policy",),
    "secretsmanager/secret": ("policy",),
    "secretsmanager/secretPolicy": ("policy",),
    "sns/topic": ("policy",),
    "sns/topicPolicy": ("policy",),
    "sqs/queue": ("policy",),
    "sqs/queuePolicy": ("policy",),
}


def documents(resource: Resource, inputs: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, Any]]:
    """Yield (input, parsed document) of a resource; UNKNOWN if a preview does not have it yet. Raises ValueError."""
    for name in inputs.get(resource.kind, ()):
        for value in as_list(resource.inputs.get(name)):
            # A role's inline policy is a block around the text; the SDK also accepts a document as a structure.
            inline = isinstance(value, Mapping) and "Statement" not in value
            text = value.get("policy") if inline else value
            if text and text is not UNKNOWN:
                yield name, parse(text)


def parse(text: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a parsed document. Raises ValueError for a text that is not a JSON object."""
    document = json.loads(text) if isinstance(text, str) else text
    if not isinstance(document, Mapping):
        raise ValueError(f"a policy is a JSON object, not {document!r:.40}")  # noqa: TRY004 - a bad value, as any other text is
    return document


def statements(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the statements of a document; a single one may be given without a list."""
    return [statement for statement in as_list(document.get("Statement")) if isinstance(statement, Mapping)]


def allowed(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the statements that allow something."""
    return [statement for statement in statements(document) if statement.get("Effect") == "Allow"]


def actions(statement: Mapping[str, Any]) -> list[str]:
    """Return the actions of a statement."""
    return [str(action) for action in as_list(statement.get("Action"))]


def needs_star(action: str) -> bool:
    """Return whether the action does not support resource-level permissions."""
    return any(re.fullmatch(pattern, action) for pattern in NO_RESOURCE_LEVEL)


def is_everybody(principal: Any) -> bool:
    """Return whether the principal is everyone."""
    values = principal.values() if isinstance(principal, Mapping) else [principal]
    return any("*" in as_list(identifiers) for identifiers in values)
