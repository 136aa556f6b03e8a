"""A single bucket with all the settings that S3 manages as separate resources."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context

_INFREQUENT, _ARCHIVE = "STANDARD_IA", "GLACIER_IR"


@dataclass(frozen=True, kw_only=True)
class StoreBucketArgs:
    """Settings of a bucket; `ObjectStore` chooses them by purpose."""

    context: Context
    #: Globally unique name.
    bucket: str
    policy: pulumi.Input[str]
    noncurrent_days: int
    abandoned_days: int
    #: None for S3's own key (SSE-S3).
    kms_key_arn: pulumi.Input[str] | None = None
    expire_days: int | None = None
    infrequent_days: int | None = None
    archive_days: int | None = None
    lock_days: int | None = None
    lock_mode: str | None = None
    #: Region other than the context's.
    region: str | None = None


class StoreBucket(pulumi.ComponentResource):
    """A versioned and encrypted bucket, closed to the public and to ACLs, that expires objects as configured.

    Where data is kept, neither Pulumi nor S3 deletes it while it contains anything.
    """

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    #: `<bucket>.s3.<region>.amazonaws.com`.
    domain: pulumi.Output[str]

    def __init__(self, name: str, args: StoreBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:StoreBucket", name, None, opts)
        self._args = args
        self.bucket = self._create_bucket(name)
        self._create_encryption(name)
        policy = self._create_access(name)
        #: S3 replicates only between buckets with versioning.
        self.versioning = self._create_versioning(name)
        self._create_lifecycle(name)
        if args.lock_days is not None:
            self._create_lock(name, args.lock_days)
        # The name is taken from the policy, so that its users may write at once: load balancers try it immediately.
        self.name = policy.bucket
        self.arn = self.bucket.arn
        self.domain = self.bucket.bucket_regional_domain_name
        self.register_outputs({"name": self.name, "arn": self.arn, "domain": self.domain})

    def _child(self, *depends_on: pulumi.Resource, protect: bool = False) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(depends_on) or None, protect=protect)

    def _create_bucket(self, name: str) -> aws.s3.Bucket:
        args, context = self._args, self._args.context
        return aws.s3.Bucket(
            f"{name}-bucket",
            bucket=args.bucket,
            force_destroy=not context.keeps_data,
            region=args.region,
            tags=context.tags(args.bucket),
            opts=self._child(protect=context.keeps_data),
        )

    def _create_encryption(self, name: str) -> None:
        key = self._args.kms_key_arn
        default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="AES256" if key is None else "aws:kms", kms_master_key_id=key
        )
        rule = aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
            apply_server_side_encryption_by_default=default,
            # Needs one call to KMS for many objects.
            bucket_key_enabled=None if key is None else True,
            # With a key that only the client knows, an attacker with a stolen role could hold data to ransom.
            blocked_encryption_types=["SSE-C"],
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.bucket.bucket,
            rules=[rule],
            region=self._args.region,
            opts=self._child(),
        )

    def _create_access(self, name: str) -> aws.s3.BucketPolicy:
        args = self._args
        block = aws.s3.BucketPublicAccessBlock(
            f"{name}-public-access",
            bucket=self.bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            region=args.region,
            opts=self._child(),
        )
        ownership = aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=self.bucket.bucket,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            region=args.region,
            # S3 refuses two simultaneous changes of a bucket's access (OperationAborted).
            opts=self._child(block),
        )
        return aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.bucket.bucket,
            policy=args.policy,
            region=args.region,
            opts=self._child(block, ownership),
        )

    def _create_versioning(self, name: str) -> aws.s3.BucketVersioning:
        return aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=self.bucket.bucket,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
            region=self._args.region,
            opts=self._child(),
        )

    def _create_lifecycle(self, name: str) -> None:
        rules = [self._versions(), *self._age(), *self._classes()]
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.bucket.bucket,
            rules=rules,
            region=self._args.region,
            opts=self._child(self.versioning),
        )

    def _versions(self) -> aws.s3.BucketLifecycleConfigurationRuleArgs:
        args = self._args
        return aws.s3.BucketLifecycleConfigurationRuleArgs(
            id="versions",
            status="Enabled",
            filter=_everything(),
            noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                noncurrent_days=args.noncurrent_days
            ),
            # Removes a delete marker that has no versions left under it.
            expiration=aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
            abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=args.abandoned_days
            ),
        )

    def _age(self) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
        days = self._args.expire_days
        if days is None:
            return []
        # A separate rule: S3 does not accept days together with `expired_object_delete_marker`.
        expiration = aws.s3.BucketLifecycleConfigurationRuleExpirationArgs(days=days)
        return [
            aws.s3.BucketLifecycleConfigurationRuleArgs(
                id="age", status="Enabled", filter=_everything(), expiration=expiration
            )
        ]

    def _classes(self) -> list[aws.s3.BucketLifecycleConfigurationRuleArgs]:
        chosen = ((_INFREQUENT, self._args.infrequent_days), (_ARCHIVE, self._args.archive_days))
        transitions = [
            aws.s3.BucketLifecycleConfigurationRuleTransitionArgs(storage_class=storage_class, days=days)
            for storage_class, days in chosen
            if days is not None
        ]
        if not transitions:
            return []
        return [
            aws.s3.BucketLifecycleConfigurationRuleArgs(
                id="classes", status="Enabled", filter=_everything(), transitions=transitions
            )
        ]

    def _create_lock(self, name: str, days: int) -> None:
        retention = aws.s3.BucketObjectLockConfigurationRuleDefaultRetentionArgs(mode=self._args.lock_mode, days=days)
        # Not `object_lock_enabled` of the bucket: enabling that later replaces the bucket, this does not.
        aws.s3.BucketObjectLockConfiguration(
            f"{name}-lock",
            bucket=self.bucket.bucket,
            object_lock_enabled="Enabled",
            rule=aws.s3.BucketObjectLockConfigurationRuleArgs(default_retention=retention),
            region=self._args.region,
            opts=self._child(self.versioning),
        )


def _everything() -> aws.s3.BucketLifecycleConfigurationRuleFilterArgs:
    return aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix="")
