"""S3 buckets: backups, artifacts, uploads and logs outlive the hosts that created them."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import bucket_policies as policies
from stackwright.infra.aws.object_store_args import GOVERNANCE, LOGS, ObjectStoreArgs, bucket_name, copy_name
from stackwright.infra.aws.store_bucket import StoreBucket, StoreBucketArgs
from stackwright.infra.components.results import Endpoint, ServiceResult
from stackwright.model.output import BACKUPS

_HTTPS = 443
#: Endpoints through which backups are read; both are in one bucket, each under its own prefix.
_ENDPOINTS = ("database_backups", "file_backups")


@dataclass(frozen=True, kw_only=True)
class _Elsewhere:
    """The region of copies, and its key."""

    region: str
    key: pulumi.Input[str]


class ObjectStore(pulumi.ComponentResource):
    """One bucket per purpose, named after environment, purpose and account.

    Each is versioned, accepts only TLS 1.2 or newer and the given key, is closed to the public, and writes access logs
    to the bucket for logs. Data that cannot be created again is copied to another region if one is given, and backups
    can be locked. `bucket_policies.read_statements` and `write_statements` return what a role needs to use a part of a
    bucket.
    """

    #: Name of each bucket, by purpose.
    names: pulumi.Output[Mapping[str, str]]
    arns: pulumi.Output[Mapping[str, str]]
    #: Name of each copy, by purpose, for buckets that have one.
    copy_names: pulumi.Output[Mapping[str, str]]

    def __init__(self, name: str, args: ObjectStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:ObjectStore", name, None, opts)
        self._args, self._context = args, args.context
        self._buckets = {purpose: self._create_bucket(name, purpose) for purpose in args.buckets}
        for purpose in args.buckets:
            # S3 would log its own logging endlessly.
            if purpose != LOGS:
                self._create_logging(name, purpose)
        copies = {}
        if args.copy_region is not None and args.copy_kms_key_arn is not None:
            elsewhere = _Elsewhere(region=args.copy_region, key=args.copy_kms_key_arn)
            copied = [purpose for purpose in args.buckets if args.copied(purpose)]
            copies = {purpose: self._create_copy(name, purpose, elsewhere) for purpose in copied}
        self.names = _together({purpose: bucket.name for purpose, bucket in self._buckets.items()})
        self.arns = _together({purpose: bucket.arn for purpose, bucket in self._buckets.items()})
        self.copy_names = _together({purpose: copy.name for purpose, copy in copies.items()})
        self.register_outputs({"names": self.names, "arns": self.arns, "copyNames": self.copy_names})

    @property
    def result(self) -> ServiceResult:
        """Return the endpoints for backups; there is no secret, as a role gives the hosts access."""
        if BACKUPS not in self._buckets:
            return ServiceResult(endpoints={}, secrets=())
        endpoint = Endpoint(scheme="https", addresses=(self._buckets[BACKUPS].domain,), port=_HTTPS)
        return ServiceResult(endpoints=dict.fromkeys(_ENDPOINTS, endpoint), secrets=())

    def _bucket_name(self, purpose: str) -> str:
        return bucket_name(self._context, purpose)

    def _create_bucket(self, name: str, purpose: str) -> StoreBucket:
        args, context = self._args, self._context
        bucket = self._bucket_name(purpose)
        logged = [self._bucket_name(source) for source in args.buckets if source != LOGS]
        # Load balancers and S3 itself cannot write logs to a bucket with a customer managed key: they support SSE-S3
        # only.
        key = None if purpose == LOGS else args.kms_key_arn
        policy = (
            json.dumps(policies.log_policy(context, bucket, logged))
            if key is None
            else pulumi.Output.json_dumps(policies.private_policy(context, bucket, key))
        )
        bucket_args = self._bucket_args(purpose, bucket, policy, key)
        return StoreBucket(f"{name}-{purpose}", bucket_args, pulumi.ResourceOptions(parent=self))

    def _bucket_args(
        self,
        purpose: str,
        bucket: str,
        policy: pulumi.Input[str],
        key: pulumi.Input[str] | None,
        region: str | None = None,
    ) -> StoreBucketArgs:
        args, choice = self._args, self._args.buckets[purpose]
        locked = args.lock_days(purpose)
        return StoreBucketArgs(
            context=self._context,
            bucket=bucket,
            policy=policy,
            kms_key_arn=key,
            noncurrent_days=args.noncurrent_days(purpose),
            abandoned_days=7 if choice.abandoned_days is None else choice.abandoned_days,
            expire_days=args.expire_days(purpose),
            infrequent_days=choice.infrequent_days,
            archive_days=choice.archive_days,
            lock_days=locked,
            lock_mode=(args.object_lock_mode or GOVERNANCE) if locked else None,
            region=region,
        )

    def _create_logging(self, name: str, purpose: str) -> None:
        by_day = aws.s3.BucketLoggingTargetObjectKeyFormatPartitionedPrefixArgs(partition_date_source="EventTime")
        aws.s3.BucketLogging(
            f"{name}-{purpose}-logging",
            bucket=self._buckets[purpose].name,
            target_bucket=self._buckets[LOGS].name,
            target_prefix=policies.BUCKETS_PREFIX,
            target_object_key_format=aws.s3.BucketLoggingTargetObjectKeyFormatArgs(partitioned_prefix=by_day),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_copy(self, name: str, purpose: str, elsewhere: _Elsewhere) -> StoreBucket:
        """Create another bucket, in the other region and with another key, and the replication to it.

        It has no access logs: S3 writes them only to a bucket in the same region.
        """
        bucket, key = copy_name(self._context, purpose, elsewhere.region), elsewhere.key
        policy = pulumi.Output.json_dumps(policies.private_policy(self._context, bucket, key))
        bucket_args = self._bucket_args(purpose, bucket, policy, key, elsewhere.region)
        copy = StoreBucket(f"{name}-{purpose}-copy", bucket_args, pulumi.ResourceOptions(parent=self))
        role, permissions = self._create_copy_role(name, purpose, bucket, elsewhere)
        source = self._buckets[purpose]
        aws.s3.BucketReplicationConfig(
            f"{name}-{purpose}-copying",
            bucket=source.name,
            role=role.arn,
            rules=[_copy_rule(copy.arn, key)],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[source.versioning, copy.versioning, permissions]),
        )
        return copy

    def _create_copy_role(
        self, name: str, purpose: str, copy: str, elsewhere: _Elsewhere
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        args, context = self._args, self._context
        source = self._bucket_name(purpose)
        role_name = context.name("iam_role", "copy", purpose)
        role = aws.iam.Role(
            f"{name}-{purpose}-copy-role",
            name=role_name,
            description=f"S3 copies {source} to {elsewhere.region}",
            assume_role_policy=json.dumps(policies.copy_trust(context, source)),
            tags=context.tags(role_name),
            opts=pulumi.ResourceOptions(parent=self),
        )
        permissions = policies.copy_permissions(
            context, source, args.kms_key_arn, copy, elsewhere.key, elsewhere.region
        )
        policy = aws.iam.RolePolicy(
            f"{name}-{purpose}-copy-permissions",
            name=context.name("iam_policy", "copy", purpose),
            role=role.name,
            policy=pulumi.Output.json_dumps(permissions),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return role, policy


def _together(outputs: Mapping[str, Any]) -> pulumi.Output[Any]:
    # Not `Output.all`, which turns an empty mapping into a list.
    return pulumi.Output.from_input(outputs)


def _copy_rule(target: pulumi.Input[str], key: pulumi.Input[str]) -> aws.s3.BucketReplicationConfigRuleArgs:
    encrypted = aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaSseKmsEncryptedObjectsArgs(status="Enabled")
    return aws.s3.BucketReplicationConfigRuleArgs(
        id="everything",
        status="Enabled",
        priority=0,
        filter=aws.s3.BucketReplicationConfigRuleFilterArgs(prefix=""),
        # A deletion hides the copy as well, and the copy's own rules keep its versions; deleted versions are not
        # replicated.
        delete_marker_replication=aws.s3.BucketReplicationConfigRuleDeleteMarkerReplicationArgs(status="Enabled"),
        source_selection_criteria=aws.s3.BucketReplicationConfigRuleSourceSelectionCriteriaArgs(
            sse_kms_encrypted_objects=encrypted
        ),
        destination=aws.s3.BucketReplicationConfigRuleDestinationArgs(
            bucket=target,
            encryption_configuration=aws.s3.BucketReplicationConfigRuleDestinationEncryptionConfigurationArgs(
                replica_kms_key_id=key
            ),
        ),
    )
