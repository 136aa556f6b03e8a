"""KMS keys of an environment for data at rest; the policy of each names the services that may use it and for whom."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context
from stackwright.model.aws import names, regions

#: Services that use the key with the permissions of their caller -> their names in `kms:ViaService` (developer guide of
#: KMS, "kms:ViaService"; ElastiCache has two there).
VIA: Mapping[str, tuple[str, ...]] = {
    "backup": ("backup",),
    "ec2": ("ec2",),
    "elasticache": ("elasticache", "dax"),
    "rds": ("rds",),
    "s3": ("s3",),
    "secretsmanager": ("secretsmanager",),
    "sns": ("sns",),
    "ssm": ("ssm",),
}
#: Of these, those that continue to use the key afterwards, through a grant.
_GRANTED = ("backup", "ec2", "elasticache", "rds", "secretsmanager")
#: Services that publish to an encrypted topic themselves -> principal, and the service and resource that they publish
#: for (developer guide of SNS, "Managing encryption keys"; the conditions are unverified against an account).
PUBLISHERS: Mapping[str, tuple[str, str, str]] = {
    "budgets": ("budgets.amazonaws.com", "budgets", "*"),
    "cloudwatch": ("cloudwatch.amazonaws.com", "cloudwatch", "alarm:*"),
    "rds_events": ("events.rds.amazonaws.com", "rds", "*"),
}
SERVICES = tuple(sorted((*VIA, *PUBLISHERS, "autoscaling", "logs")))
_AUTO_SCALING_ROLE = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
_PURPOSE = re.compile(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?")
#: Limits of KMS.
_SHORTEST_DELETION_DAYS, _LONGEST_DELETION_DAYS = 7, 30

_USE = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
#: All actions on the key except its use.
_ADMINISTER = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
_FOR_AWS = {"Bool": {"kms:GrantIsForAWSResource": "true"}}

Statement = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class KeyArgs:
    """A KMS key.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: What it encrypts, in one word: `data`, `logs`.
    purpose: str
    #: Services that may use it, from `SERVICES`.
    services: Sequence[str]
    #: Days within which a deletion can be cancelled; defaults to 30 where data is kept, 7 elsewhere.
    deletion_days: int | None = None
    #: Region other than the context's, for copies and for CloudFront: a key can be used in its own region only.
    region: str | None = None

    def __post_init__(self) -> None:
        problems = []
        if not _PURPOSE.fullmatch(self.purpose):
            problems.append(f"purpose is {self.purpose!r}, accepted: at most 32 lower-case letters, digits and hyphens")
        unknown = sorted(set(self.services) - set(SERVICES))
        if unknown or not self.services:
            problems.append(f"services is {', '.join(self.services) or 'empty'}, accepted: {', '.join(SERVICES)}")
        if not _SHORTEST_DELETION_DAYS <= self.chosen_deletion_days <= _LONGEST_DELETION_DAYS:
            accepted = f"{_SHORTEST_DELETION_DAYS} to {_LONGEST_DELETION_DAYS}"
            problems.append(f"deletion_days is {self.deletion_days}, accepted: {accepted}")
        if self.region is not None and self.region not in regions.ZONES:
            problems.append(f"region is {self.region!r}, accepted: {', '.join(regions.ZONES)}")
        if problems:
            raise ValueError("\n".join(f"KeyArgs.{problem}" for problem in problems))

    @property
    def chosen_deletion_days(self) -> int:
        """Return `deletion_days`, or the default of the environment's class."""
        if self.deletion_days is not None:
            return self.deletion_days
        return _LONGEST_DELETION_DAYS if self.context.keeps_data else _SHORTEST_DELETION_DAYS

    @property
    def chosen_region(self) -> str:
        """Return `region`, or the context's region."""
        return self.region or self.context.region


def key_policy(context: Context, services: Sequence[str], region: str) -> dict[str, Any]:
    """Return the policy: who may administer the key and who may use it.

    `Resource: "*"` means this key: a key policy cannot name another one.
    """
    statements = [_statement("Administration", _account(context), _ADMINISTER)]
    via = [name for service in sorted(set(services)) for name in VIA.get(service, ())]
    if via:
        statements.append(_statement("UseThroughServices", _account(context), _USE, _through(context, region, via)))
    granted = [name for service in sorted(set(services) & set(_GRANTED)) for name in VIA[service]]
    if granted:
        condition = _through(context, region, granted) | _FOR_AWS
        statements.append(_statement("GrantsThroughServices", _account(context), ("kms:CreateGrant",), condition))
    if "logs" in services:
        statements.append(_logs(context, region))
    statements += [_publisher(context, service, region) for service in sorted(set(services) & set(PUBLISHERS))]
    if "autoscaling" in services:
        statements += _auto_scaling(context)
    return {"Version": "2012-10-17", "Statement": statements}


def _statement(
    sid: str, principal: Mapping[str, str], actions: Sequence[str], condition: Mapping[str, Any] | None = None
) -> Statement:
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Principal": dict(principal), "Action": list(actions)}
    return statement | {"Resource": "*"} | ({"Condition": dict(condition)} if condition else {})


def _account(context: Context) -> dict[str, str]:
    # The account's root stands for the account's IAM policies, which define the exact permissions.
    return {"AWS": context.arn("iam", "root", region="")}


def _through(context: Context, region: str, via: Sequence[str]) -> dict[str, Any]:
    hosts = [f"{name}.{region}.amazonaws.com" for name in via]
    return {"StringEquals": {"kms:CallerAccount": context.account, "kms:ViaService": hosts}}


def _logs(context: Context, region: str) -> Statement:
    # CloudWatch Logs names the log only in the encryption context. Any group matches: AWS chooses the names of some.
    groups = context.arn("logs", "log-group:*", region=region)
    condition = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": groups}}
    return _statement("UseByLogs", {"Service": f"logs.{region}.amazonaws.com"}, _USE, condition)


def _publisher(context: Context, service: str, region: str) -> Statement:
    principal, prefix, resource = PUBLISHERS[service]
    # Budgets belong to an account, not to a region.
    source = context.arn(prefix, resource, region="" if service == "budgets" else region)
    condition = {"StringEquals": {"aws:SourceAccount": context.account}, "ArnLike": {"aws:SourceArn": source}}
    sid = f"PublishBy{service.title().replace('_', '')}"
    return _statement(sid, {"Service": principal}, ("kms:Decrypt", "kms:GenerateDataKey"), condition)


def _auto_scaling(context: Context) -> list[Statement]:
    """Allow encrypted disks of an Auto Scaling group: its service-linked role uses the key, and grants it to EC2."""
    # AWS creates the role with the account's first group, and KMS refuses a policy that names a principal that does not
    # exist yet. A condition may name it, and admits no other principal.
    role = context.arn("iam", _AUTO_SCALING_ROLE, region="")
    condition: dict[str, Any] = {
        "StringEquals": {"kms:CallerAccount": context.account},
        "ArnEquals": {"aws:PrincipalArn": role},
    }
    anybody = {"AWS": "*"}
    return [
        _statement("UseByAutoScaling", anybody, _USE, condition),
        _statement("GrantsByAutoScaling", anybody, ("kms:CreateGrant",), condition | _FOR_AWS),
    ]


class EncryptionKey(pulumi.ComponentResource):
    """A symmetric key that AWS rotates every year, its alias, and a policy with exact users.

    Where data is kept, Pulumi cannot delete it, and a deletion becomes final only after a month.
    """

    arn: pulumi.Output[str]
    key_id: pulumi.Output[str]
    #: `alias/<environment>-<purpose>`.
    alias: pulumi.Output[str]

    def __init__(self, name: str, args: KeyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:EncryptionKey", name, None, opts)
        context = args.context
        key = aws.kms.Key(
            f"{name}-key",
            description=f"{context.system}, {context.environment}: {args.purpose}",
            enable_key_rotation=True,
            deletion_window_in_days=args.chosen_deletion_days,
            policy=json.dumps(key_policy(context, args.services, args.chosen_region)),
            region=args.region,
            tags=context.tags(context.name("name_tag", "key", args.purpose)),
            opts=pulumi.ResourceOptions(parent=self, protect=context.keeps_data),
        )
        alias = aws.kms.Alias(
            f"{name}-alias",
            # The prefix `alias/` is required by KMS and is not part of the environment's name.
            name=names.name("kms_alias", f"alias/{context.environment}", args.purpose),
            target_key_id=key.key_id,
            region=args.region,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.arn = key.arn
        self.key_id = key.key_id
        self.alias = alias.name
        self.register_outputs({"arn": self.arn, "keyId": self.key_id, "alias": self.alias})
