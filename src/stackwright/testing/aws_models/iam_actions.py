"""The known actions and condition keys of IAM.

IAM has no model of its own. Most actions are operations of the services, which botocore knows, and are listed here by
service; where they differ, a table has them (service authorization reference, as remembered in 2026-11, unverified).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from stackwright.testing.aws_models import models

#: Prefix of the action -> botocore's names of its service, where they differ; () for services without a public model.
_SERVICES: Mapping[str, tuple[str, ...]] = {
    "budgets": (),
    "ec2messages": (),
    "elasticloadbalancing": ("elbv2", "elb"),
    "rds-db": (),
    "s3": (),
    "servicequotas": ("service-quotas",),
    "ssmmessages": (),
    "tag": ("resourcegroupstaggingapi",),
}
#: Actions that are not operations of that name.
_MORE: Mapping[str, str] = {
    "budgets": "ModifyBudget ViewBudget TagResource UntagResource ListTagsForResource",
    "ec2messages": "AcknowledgeMessage DeleteMessage FailMessage GetEndpoint GetMessages SendReply",
    "elasticache": "Connect",
    "elasticloadbalancing": "SetWebAcl",
    "iam": "PassRole",
    "kms": "ReEncryptFrom ReEncryptTo",
    "lambda": "InvokeFunction",
    "logs": "CreateLogDelivery DeleteLogDelivery GetLogDelivery ListLogDeliveries UpdateLogDelivery",
    "rds-db": "connect",
    "s3": (
        "AbortMultipartUpload BypassGovernanceRetention CreateBucket DeleteBucket DeleteBucketPolicy DeleteObject "
        "DeleteObjectTagging DeleteObjectVersion DeleteObjectVersionTagging GetAccelerateConfiguration "
        "GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging GetBucketNotification "
        "GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus "
        "GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite "
        "GetEncryptionConfiguration GetInventoryConfiguration GetLifecycleConfiguration GetMetricsConfiguration "
        "GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging "
        "GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionAttributes "
        "GetObjectVersionForReplication GetObjectVersionTagging GetReplicationConfiguration InitiateReplication "
        "ListAllMyBuckets ListBucket ListBucketMultipartUploads ListBucketVersions ListMultipartUploadParts "
        "ObjectOwnerOverrideToBucketOwner PutAccelerateConfiguration PutBucketAcl PutBucketCORS PutBucketLogging "
        "PutBucketNotification PutBucketObjectLockConfiguration PutBucketOwnershipControls PutBucketPolicy "
        "PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite "
        "PutEncryptionConfiguration PutInventoryConfiguration PutLifecycleConfiguration PutMetricsConfiguration "
        "PutObject PutObjectAcl PutObjectLegalHold PutObjectRetention PutObjectTagging PutObjectVersionAcl "
        "PutObjectVersionTagging PutReplicationConfiguration ReplicateDelete ReplicateObject ReplicateTags RestoreObject"
    ),
    "secretsmanager": "",
    "sns": "Receive",
    "ssm": (
        "GetManifest ListInstanceAssociations PutConfigurePackageResult UpdateInstanceAssociationStatus "
        "UpdateInstanceInformation"
    ),
    "ssmmessages": "CreateControlChannel CreateDataChannel OpenControlChannel OpenDataChannel",
    "sts": "SetSourceIdentity TagSession",
}
#: Operations that no policy can allow: they require other actions, or none.
_NONE: Mapping[str, str] = {"kms": "ReEncrypt", "lambda": "Invoke InvokeAsync"}

#: Keys that are available for every service.
_GLOBAL = (
    "CalledVia CalledViaFirst CalledViaLast CurrentTime Ec2InstanceSourceVpc EpochTime FederatedProvider "
    "MultiFactorAuthAge MultiFactorAuthPresent PrincipalAccount PrincipalArn PrincipalIsAWSService PrincipalOrgID "
    "PrincipalOrgPaths PrincipalServiceName PrincipalServiceNamesList PrincipalType Referer RequestedRegion "
    "ResourceAccount ResourceOrgID ResourceOrgPaths SecureTransport SourceAccount SourceArn SourceIdentity SourceIp "
    "SourceOrgID SourceOrgPaths SourceOwner SourceVpc SourceVpce TagKeys TokenIssueTime UserAgent UserId Username "
    "ViaAWSService VpcSourceIp"
)
_KEYS: Mapping[str, str] = {
    "aws": _GLOBAL,
    "autoscaling": "LaunchTemplateVersionSpecified MaxSize MinSize",
    "cloudwatch": "namespace AlarmActions",
    "ec2": (
        "Attribute AvailabilityZone CreateAction Encrypted IsLaunchTemplateResource InstanceProfile InstanceType "
        "LaunchTemplate MetadataHttpTokens Owner Region ResourceTag SourceInstanceARN Subnet Vpc VolumeType"
    ),
    "iam": "AWSServiceName AssociatedResourceArn PassedToService PermissionsBoundary PolicyARN",
    "kms": (
        "CallerAccount EncryptionAlgorithm EncryptionContextKeys GrantConstraintType GrantIsForAWSResource "
        "GrantOperations GranteePrincipal KeyOrigin KeySpec KeyUsage MultiRegion RequestAlias ResourceAliases "
        "RetiringPrincipal RotationPeriodInDays ScheduleKeyDeletionPendingWindowInDays ViaService ReEncryptOnSameKey"
    ),
    "logs": "DestinationArn LogGeneratingResourceArns",
    "s3": (
        "AccessPointNetworkOrigin DataAccessPointArn TlsVersion ResourceAccount authType delimiter max-keys "
        "object-lock-legal-hold object-lock-mode object-lock-remaining-retention-days object-lock-retain-until-date "
        "prefix signatureAge signatureversion versionid x-amz-acl x-amz-content-sha256 x-amz-copy-source "
        "x-amz-server-side-encryption x-amz-server-side-encryption-aws-kms-key-id "
        "x-amz-server-side-encryption-customer-algorithm x-amz-storage-class"
    ),
    "secretsmanager": "BlockPublicPolicy Name RotationLambdaARN SecretId VersionId VersionStage resource/AllowRotationLambdaArn",
    "sns": "Endpoint Protocol",
    "ssm": "DocumentCategories DocumentType Overwrite Policies Recursive SessionDocumentAccessCheck SourceInstanceARN",
    "sts": "AWSServiceName DurationSeconds ExternalId RoleSessionName SourceIdentity TransitiveTagKeys",
}
#: Keys that end in a user-defined name.
_OPEN_KEYS = re.compile(
    r"(?i)aws:(RequestTag|ResourceTag|PrincipalTag)/.+|(autoscaling|ec2|ssm|secretsmanager):ResourceTag/.+"
    r"|kms:EncryptionContext:.+|s3:(ExistingObjectTag|RequestObjectTag)/.+"
)
_TEXT = ("Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase", "Like", "NotLike")
_ORDER = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
#: Condition operators, without `IfExists` and the prefixes for sets.
OPERATORS = frozenset(
    {
        *(f"String{comparison}" for comparison in _TEXT),
        *(f"{kind}{comparison}" for kind in ("Numeric", "Date") for comparison in _ORDER),
        *(f"Arn{comparison}" for comparison in ("Equals", "NotEquals", "Like", "NotLike")),
        "BinaryEquals",
        "Bool",
        "IpAddress",
        "NotIpAddress",
        "Null",
    }
)


@cache
def actions(prefix: str) -> frozenset[str] | None:
    """Return the actions of a prefix in lower case, as IAM compares them; None for an unknown prefix."""
    known = _SERVICES.get(prefix)
    if known is None:
        if prefix not in models.services():
            return None
        known = (prefix,)
    operations = {name for service_name in known for name in models.service(service_name).operation_names}
    names = {*operations, *_MORE.get(prefix, "").split()} - set(_NONE.get(prefix, "").split())
    return frozenset(name.lower() for name in names)


def problem(action: str) -> str | None:
    """Return the problem of an action, without regard to wildcards."""
    prefix, colon, name = action.partition(":")
    if not colon:
        return f"{action!r} is no action, accepted: service:Action"
    known = actions(prefix.lower())
    if known is None:
        return f"{action!r} is of no service that is known"
    pattern = re.escape(name.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return (
        None
        if any(re.fullmatch(pattern, known_action) for known_action in known)
        else f"{action!r} is no action of {prefix}"
    )


def key_is_known(key: str) -> bool:
    """Return whether a condition key is known; IAM compares keys in lower case."""
    prefix, _, name = key.partition(":")
    names = {known_name.lower() for known_name in _KEYS.get(prefix.lower(), "").split()}
    return name.lower() in names or bool(_OPEN_KEYS.fullmatch(key))


def operator_is_known(operator: str) -> bool:
    """Return whether a condition operator is known."""
    plain = re.sub(r"^(ForAllValues|ForAnyValue):", "", operator)
    return plain.removesuffix("IfExists") in OPERATORS and plain != "NullIfExists"
