"""Rules for encryption at rest, with the environment's own key wherever AWS supports one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stackwright.policy import statements
from stackwright.policy.references import cis, fsbp
from stackwright.policy.resources import UNKNOWN, Graph, Resource, as_list, is_true
from stackwright.policy.rule import Finding, Rules, Settings

RULES = Rules()
_KEY = "hand in the ARN of the environment's key"
#: Services that write logs to buckets. Load balancers and S3's own access logs cannot use a customer managed key.
_LOG_WRITERS = (
    "delivery.logs.amazonaws.com",
    "logdelivery.elasticloadbalancing.amazonaws.com",
    "logging.s3.amazonaws.com",
)


@RULES.resource(
    "ebs-encrypted",
    "high",
    "ec2/launchTemplate",
    "ec2/instance",
    "ebs/volume",
    fix="set encrypted and kmsKeyId of every block device",
    references=(*fsbp("EC2.3"), *cis("2.2.1")),
)
def _ebs(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Disks are encrypted with the environment's key."""
    for where, disk in _disks(resource):
        if disk is UNKNOWN:
            continue
        if not is_true(disk.get("encrypted")):
            yield f"{where} is not encrypted"
        elif not disk.get("kmsKeyId"):
            yield f"{where} is encrypted with the account's default key"


def _disks(resource: Resource) -> Iterator[tuple[str, Any]]:
    if resource.kind == "ebs/volume":
        yield "the volume", resource.inputs
    elif resource.kind == "ec2/launchTemplate":
        if resource.get("blockDeviceMappings") is UNKNOWN:
            return
        mappings = [mapping for mapping in as_list(resource.get("blockDeviceMappings")) if isinstance(mapping, Mapping)]
        disks = [(f"disk {mapping.get('deviceName')}", mapping["ebs"]) for mapping in mappings if mapping.get("ebs")]
        # Without a mapping, the root disk is as the image defines it.
        yield from disks or [("the image's root disk", {})]
    else:
        root = resource.get("rootBlockDevice")
        if root is not None or not resource.given("launchTemplate"):
            yield "the root disk", root or {}
        for device in as_list(resource.get("ebsBlockDevices")):
            yield f"disk {device.get('deviceName')}", device


@RULES.resource(
    "rds-encrypted",
    "critical",
    "rds/instance",
    fix="set storageEncrypted and kmsKeyId, and the keys of the master secret and of Performance Insights",
    references=(*fsbp("RDS.3"), *cis("2.3.1")),
)
def _rds(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A database, its backups, its insights and its master secret are encrypted with the environment's key."""
    source = resource.get("replicateSourceDb")
    # A replica in its source's region has the source's encryption and key; RDS refuses other keys.
    inherits = bool(source) and not resource.given("kmsKeyId") and not str(source).startswith("arn:")
    if not inherits:
        if not resource.on("storageEncrypted") and not (source and resource.given("kmsKeyId")):
            yield "storageEncrypted is off"
        elif not resource.given("kmsKeyId"):
            yield "kmsKeyId is missing: the account's default key would be used"
    if resource.on("manageMasterUserPassword") and not resource.given("masterUserSecretKmsKeyId"):
        yield "masterUserSecretKmsKeyId is missing: the account's default key would be used"
    if resource.on("performanceInsightsEnabled") and not resource.given("performanceInsightsKmsKeyId"):
        yield "performanceInsightsKmsKeyId is missing: the account's default key would be used"


@RULES.resource(
    "cache-encrypted",
    "high",
    "elasticache/replicationGroup",
    fix="set atRestEncryptionEnabled and kmsKeyId",
    references=fsbp("ElastiCache.4"),
)
def _cache(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A cache's disks and snapshots are encrypted with the environment's key."""
    if not resource.on("atRestEncryptionEnabled"):
        yield "atRestEncryptionEnabled is off"
    elif not resource.given("kmsKeyId"):
        yield "kmsKeyId is missing: the service's own key would be used"


@RULES.graph(
    "s3-encrypted",
    "high",
    fix="declare a BucketServerSideEncryptionConfiguration with aws:kms, kmsMasterKeyId and bucketKeyEnabled",
    references=fsbp("S3.17"),
)
def _buckets(graph: Graph, _settings: Settings) -> Iterator[Finding]:
    """Objects in a bucket are encrypted with the environment's key, except logs that AWS cannot write with it."""
    for bucket in graph.of("s3/bucket"):
        configurations = list(graph.pointing_at(bucket, "s3/bucketServerSideEncryptionConfiguration", "bucket"))
        if not configurations:
            yield bucket, "no encryption is declared: S3's own key would be used"
        for configuration in configurations:
            default = "rules.applyServerSideEncryptionByDefault"
            algorithm = configuration.get(f"{default}.sseAlgorithm")
            if algorithm is UNKNOWN:
                continue
            if str(algorithm).startswith("aws:kms"):
                if not configuration.given(f"{default}.kmsMasterKeyId"):
                    yield bucket, "kmsMasterKeyId is missing: the account's default key would be used"
            elif not _takes_logs(graph, bucket):
                yield bucket, f"sseAlgorithm is {algorithm!r}, and the bucket takes no logs of AWS that need it"


def _takes_logs(graph: Graph, bucket: Resource) -> bool:
    for policy in graph.pointing_at(bucket, "s3/bucketPolicy", "bucket"):
        if policy.get("policy") is UNKNOWN:
            return True
        for _, document in statements.documents(policy, statements.RESOURCE_BASED):
            for statement in statements.allowed(document):
                principal = statement.get("Principal")
                services = as_list(principal.get("Service")) if isinstance(principal, Mapping) else []
                if set(services) & set(_LOG_WRITERS):
                    return True
    return False


@RULES.resource(
    "sns-encrypted", "medium", "sns/topic", fix="set kmsMasterKeyId to the environment's key", references=fsbp("SNS.1")
)
def _topics(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Messages of a topic are encrypted with a key that CloudWatch may use; it may not use AWS's own key."""
    if not resource.given("kmsMasterKeyId"):
        yield "kmsMasterKeyId is missing"
    elif str(resource.get("kmsMasterKeyId")).endswith("alias/aws/sns"):
        yield "kmsMasterKeyId is AWS's own key, with which no alarm can publish"


@RULES.resource("log-group-encrypted", "medium", "cloudwatch/logGroup", fix=_KEY)
def _logs(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Logs are encrypted with the environment's key, as they contain what users typed."""
    if not resource.given("kmsKeyId"):
        yield "kmsKeyId is missing"


@RULES.resource("secret-encrypted", "high", "secretsmanager/secret", fix=_KEY)
def _secrets(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Secrets are encrypted with the environment's key, so that the key's policy controls who may read them."""
    if not resource.given("kmsKeyId"):
        yield "kmsKeyId is missing: every principal of the account could decrypt it"


@RULES.resource("parameter-encrypted", "high", "ssm/parameter", fix=_KEY)
def _parameters(resource: Resource, _settings: Settings) -> Iterator[str]:
    """A SecureString is encrypted with the environment's key."""
    if resource.get("type") == "SecureString" and not resource.given("keyId"):
        yield "keyId is missing: the account's default key would be used"


@RULES.resource("backup-vault-encrypted", "high", "backup/vault", fix=_KEY, references=fsbp("Backup.1"))
def _vaults(resource: Resource, _settings: Settings) -> Iterator[str]:
    """Backups are encrypted with the environment's key."""
    if not resource.given("kmsKeyArn"):
        yield "kmsKeyArn is missing: the account's default key would be used"


@RULES.resource(
    "kms-rotation", "medium", "kms/key", fix="set enableKeyRotation", references=(*fsbp("KMS.4"), *cis("3.6"))
)
def _rotation(resource: Resource, _settings: Settings) -> Iterator[str]:
    """AWS rotates a symmetric key every year."""
    symmetric = resource.get("customerMasterKeySpec") in (None, "SYMMETRIC_DEFAULT")
    if symmetric and not resource.on("enableKeyRotation"):
        yield "enableKeyRotation is off"
