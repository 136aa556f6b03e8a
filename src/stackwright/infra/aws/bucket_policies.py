"""Permissions on buckets and their objects: bucket policies, and statements for the roles of the buckets' users.

Pure. Bucket names are known before the buckets exist, so that every ARN is exact in a preview; keys may be outputs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pulumi

from stackwright.infra.aws.context import Context

#: Prefixes in the log bucket under which each AWS service writes its logs.
LOAD_BALANCER_PREFIX, CDN_PREFIX, NETWORK_PREFIX, BUCKETS_PREFIX = "load-balancer", "cdn", "network", "buckets/"
#: The region that delivers the logs of CloudFront (v2) for any origin (CloudFront developer guide, standard logging).
_CDN_REGION = "us-east-1"
_KEY_HEADER = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_ENCRYPTION_HEADER = "s3:x-amz-server-side-encryption"
#: Prefixes of characters that are neither wildcards nor variables in a policy.
_PREFIX = re.compile(r"([A-Za-z0-9!_.'()=-]+/)*")

Statement = dict[str, Any]


def bucket_arn(context: Context, bucket: str) -> str:
    """Return the ARN of a bucket, which contains neither region nor account."""
    return context.arn("s3", bucket, region="", account="")


def document(statements: Sequence[Statement]) -> dict[str, Any]:
    """Return a policy document with the statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def tls_statements(arn: str) -> list[Statement]:
    """Return statements that deny requests without TLS 1.2 or newer, regardless of what other statements allow."""
    conditions = {
        "DenyWithoutTls": {"Bool": {"aws:SecureTransport": "false"}},
        "DenyOldTls": {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
    }
    # `s3:*`, because these statements deny: an action missing from a list would stay open.
    return [
        {
            "Sid": sid,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": condition,
        }
        for sid, condition in conditions.items()
    ]


def key_statements(arn: str, kms_key_arn: pulumi.Input[str]) -> list[Statement]:
    """Return statements that deny uploads with another key than the bucket's, which is the default of an upload."""
    upload = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"{arn}/*"}
    return [
        upload
        | {
            "Sid": "DenyOtherEncryption",
            # A negated condition is also true if the header is missing, which is allowed here: hence `Null`.
            "Condition": {"Null": {_ENCRYPTION_HEADER: "false"}, "StringNotEquals": {_ENCRYPTION_HEADER: "aws:kms"}},
        },
        upload
        | {
            "Sid": "DenyOtherKeys",
            # KMS without a key means S3's own key, not the bucket's: here a missing header is denied, too.
            "Condition": {
                "StringEquals": {_ENCRYPTION_HEADER: "aws:kms"},
                "StringNotEquals": {_KEY_HEADER: kms_key_arn},
            },
        },
    ]


def private_policy(context: Context, bucket: str, kms_key_arn: pulumi.Input[str]) -> dict[str, Any]:
    """Return the policy of a bucket for the environment's own data. It grants no access; IAM roles do."""
    arn = bucket_arn(context, bucket)
    return document([*tls_statements(arn), *key_statements(arn, kms_key_arn)])


def log_policy(context: Context, bucket: str, logged_buckets: Sequence[str]) -> dict[str, Any]:
    """Return the policy of the log bucket: AWS services may write, each under its prefix and only for this account."""
    arn = bucket_arn(context, bucket)
    return document(
        [
            *tls_statements(arn),
            _load_balancer(context, arn),
            *_vended(context, arn),
            *([_access_logs(context, arn, logged_buckets)] if logged_buckets else []),
        ]
    )


def _load_balancer(context: Context, arn: str) -> Statement:
    """Return the statement for ALB access and connection logs.

    User guide, "Enable access logs": one principal for every region.
    """
    balancers = context.arn("elasticloadbalancing", "loadbalancer/*")
    return {
        "Sid": "LogsOfLoadBalancers",
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"{arn}/{LOAD_BALANCER_PREFIX}/AWSLogs/{context.account}/*",
        "Condition": {"ArnLike": {"aws:SourceArn": balancers}},
    }


def _vended(context: Context, arn: str) -> list[Statement]:
    """Return the statements for logs delivered through CloudWatch Logs: of an NLB, the network and CloudFront (v2).

    v2, because v1 needs an ACL and this bucket has none. CloudWatch Logs guide, "Enabling logging from AWS services".
    """
    regions = sorted({context.region, _CDN_REGION})
    account = {"aws:SourceAccount": context.account}
    sources = {"aws:SourceArn": [context.arn("logs", "*", region=region) for region in regions]}
    prefixes = (LOAD_BALANCER_PREFIX, CDN_PREFIX, NETWORK_PREFIX)
    common = {"Effect": "Allow", "Principal": {"Service": "delivery.logs.amazonaws.com"}}
    return [
        common
        | {
            "Sid": "DeliveredLogs",
            "Action": "s3:PutObject",
            "Resource": [f"{arn}/{prefix}/AWSLogs/{context.account}/*" for prefix in prefixes],
            "Condition": {
                "StringEquals": account | {"s3:x-amz-acl": "bucket-owner-full-control"},
                "ArnLike": sources,
            },
        },
        # The delivery service checks the owner of the bucket.
        common
        | {
            "Sid": "DeliveryChecks",
            "Action": "s3:GetBucketAcl",
            "Resource": arn,
            "Condition": {"StringEquals": account, "ArnLike": sources},
        },
    ]


def _access_logs(context: Context, arn: str, logged_buckets: Sequence[str]) -> Statement:
    """Return the statement for access logs of the other buckets (S3 user guide, "Enabling server access logging")."""
    return {
        "Sid": "LogsOfBuckets",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"{arn}/{BUCKETS_PREFIX}*",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": context.account},
            "ArnLike": {"aws:SourceArn": [bucket_arn(context, bucket) for bucket in logged_buckets]},
        },
    }


def read_statements(
    context: Context,
    bucket: str,
    prefix: str,
    kms_key_arn: pulumi.Input[str] | None = None,
    *,
    region: str | None = None,
) -> list[Statement]:
    """Return the permissions that a reader's role needs under `prefix`, such as `emr/`; "" is the whole bucket.

    They have no `Sid`, so that the statements for several prefixes can be combined in one policy. `kms_key_arn` is None
    for a bucket without a key (logs). A key may be an output: dump with `pulumi.Output.json_dumps`.
    Raises ValueError for a prefix that a policy would take for a pattern.
    """
    objects = _objects(context, bucket, prefix)
    statements = [*_list(context, bucket, prefix), _allow(["s3:GetObject", "s3:GetObjectVersion"], objects)]
    return statements + _key(context, bucket, prefix, kms_key_arn, ["kms:Decrypt"], region)


def write_statements(
    context: Context,
    bucket: str,
    prefix: str,
    kms_key_arn: pulumi.Input[str] | None = None,
    *,
    deletes: bool = False,
    region: str | None = None,
) -> list[Statement]:
    """Return the permissions that a writer's role needs: to add and, with `deletes`, to hide; versions always stay.

    They do not include reading: a program that also reads, such as pgBackRest, needs `read_statements` as well.
    """
    objects = _objects(context, bucket, prefix)
    actions = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"]
    if deletes:
        actions.append("s3:DeleteObject")
    # Every part of a multipart upload except the first needs the key of the first part.
    keys = ["kms:Decrypt", "kms:GenerateDataKey"]
    return [
        *_list(context, bucket, prefix),
        _allow(actions, objects),
        *_key(context, bucket, prefix, kms_key_arn, keys, region),
    ]


def _allow(actions: Sequence[str], resource: pulumi.Input[str], condition: dict[str, Any] | None = None) -> Statement:
    statement: Statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})


def _objects(context: Context, bucket: str, prefix: str) -> str:
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(f"prefix is {prefix!r}, accepted: a folder such as emr/, in plain characters")
    return f"{bucket_arn(context, bucket)}/{prefix}*"


def _list(context: Context, bucket: str, prefix: str) -> list[Statement]:
    arn = bucket_arn(context, bucket)
    below = {"StringLike": {"s3:prefix": [f"{prefix}*"]}} if prefix else None
    return [
        _allow(["s3:GetBucketLocation"], arn),
        _allow(["s3:ListBucket"], arn, below),
    ]


def _key(
    context: Context,
    bucket: str,
    prefix: str,
    kms_key_arn: pulumi.Input[str] | None,
    actions: Sequence[str],
    region: str | None,
) -> list[Statement]:
    if kms_key_arn is None:
        return []
    arn = bucket_arn(context, bucket)
    condition = {
        "StringEquals": {"kms:ViaService": f"s3.{region or context.region}.amazonaws.com"},
        # S3 names the bucket, which has a bucket key, or the object if a client disabled the bucket key.
        "StringLike": {"kms:EncryptionContext:aws:s3:arn": [arn, f"{arn}/{prefix}*"]},
    }
    return [_allow(actions, kms_key_arn, condition)]


def copy_trust(context: Context, bucket: str) -> dict[str, Any]:
    """Return the trust policy that lets S3 assume the replication role for this bucket only."""
    return document(
        [
            {
                "Effect": "Allow",
                "Principal": {"Service": "s3.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": context.account},
                    "ArnLike": {"aws:SourceArn": bucket_arn(context, bucket)},
                },
            }
        ]
    )


def copy_permissions(
    context: Context,
    bucket: str,
    kms_key_arn: pulumi.Input[str],
    copy: str,
    copy_kms_key_arn: pulumi.Input[str],
    copy_region: str,
) -> dict[str, Any]:
    """Return the permissions to copy from a bucket and its key to the copy and its key.

    S3 user guide, "Permissions for replication".
    """
    source, target = bucket_arn(context, bucket), bucket_arn(context, copy)
    versions = [
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionTagging",
    ]
    copied = ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"]
    statements = [
        _allow(["s3:GetReplicationConfiguration", "s3:ListBucket"], source),
        _allow(versions, f"{source}/*"),
        _allow(copied, f"{target}/*"),
        *_key(context, bucket, "", kms_key_arn, ["kms:Decrypt"], None),
        *_key(context, copy, "", copy_kms_key_arn, ["kms:Encrypt", "kms:GenerateDataKey"], copy_region),
    ]
    return document(statements)
