"""Arguments of the component `ObjectStore`, and checks that find problems before a bucket is created."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws.context import Context
from stackwright.model.aws import names
from stackwright.model.output import BACKUPS, UPLOADS

ARTIFACTS, LOGS = "artifacts", "logs"
#: Purpose -> days that overwritten or deleted objects can be restored.
KEPT_DAYS: Mapping[str, int] = {ARTIFACTS: 90, BACKUPS: 30, LOGS: 7, UPLOADS: 30}
#: Data that cannot be created again, and is copied if there is a region for copies.
COPIED = (BACKUPS, UPLOADS)
LOG_DAYS = 90
GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
#: Days: the minimum age that S3 requires before an object moves to infrequent access, and the minimum billed there.
SHORTEST_INFREQUENT_DAYS = 30
#: S3 accepts a lock of a hundred years; more than ten years is treated as a typing error.
LONGEST_DAYS = 3650
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


@dataclass(frozen=True, kw_only=True)
class BucketArgs:
    """The life cycle of the objects in a bucket; all values in days."""

    #: How long overwritten or deleted objects can be restored; defaults to `KEPT_DAYS`.
    noncurrent_days: int | None = None
    #: Age at which objects are deleted; defaults to 90 for logs, to never elsewhere.
    expire_days: int | None = None
    #: Age at which objects move to infrequent access (cheaper to store, more expensive to read); defaults to never.
    infrequent_days: int | None = None
    #: Age at which objects move to Glacier Instant Retrieval, which still reads immediately; defaults to never.
    archive_days: int | None = None
    #: Age at which incomplete uploads are deleted; defaults to 7.
    abandoned_days: int | None = None
    #: Whether objects are copied to `copy_region`; defaults to true for backups and uploads if there is one.
    copy: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ObjectStoreArgs:
    """The buckets of an environment.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: By purpose: `artifacts`, `backups`, `uploads`, and always `logs`, which receives the logs of the others.
    buckets: Mapping[str, BucketArgs]
    #: Encrypts all buckets but the logs; its policy has to admit S3 (`EncryptionKey` with `s3`).
    kms_key_arn: pulumi.Input[str]
    #: Region that data is copied to if it cannot be created again.
    copy_region: str | None = None
    #: A key in that region.
    copy_kms_key_arn: pulumi.Input[str] | None = None
    #: How long a backup is locked against deletion; by default it is not locked.
    object_lock_days: int | None = None
    #: `GOVERNANCE`, which authorized users can lift, or `COMPLIANCE`, which cannot be lifted, not even by AWS; defaults
    #: to `GOVERNANCE`.
    object_lock_mode: str | None = None

    def __post_init__(self) -> None:
        problems = [*_purpose_problems(self.buckets), *_copy_problems(self), *_lock_problems(self)]
        for purpose, bucket in self.buckets.items():
            problems += [f"buckets[{purpose}].{problem}" for problem in _bucket_problems(bucket, purpose)]
        if problems:
            raise ValueError("\n".join(f"ObjectStoreArgs.{problem}" for problem in problems))

    def copied(self, purpose: str) -> bool:
        """Return whether the bucket has a copy."""
        copy = self.buckets[purpose].copy
        return self.copy_region is not None and (purpose in COPIED if copy is None else copy)

    def noncurrent_days(self, purpose: str) -> int:
        """Return `noncurrent_days`, or the default of the purpose."""
        days = self.buckets[purpose].noncurrent_days
        return KEPT_DAYS[purpose] if days is None else days

    def expire_days(self, purpose: str) -> int | None:
        """Return `expire_days`, or the default of the purpose."""
        days = self.buckets[purpose].expire_days
        return LOG_DAYS if days is None and purpose == LOGS else days

    def lock_days(self, purpose: str) -> int | None:
        """Return the lock, of backups only: applications need to delete, and S3 writes no logs to a locked bucket."""
        return self.object_lock_days if purpose == BACKUPS else None


def bucket_name(context: Context, purpose: str) -> str:
    """Return the name of the bucket for a purpose."""
    return names.bucket(context.environment, purpose, context.account)


def copy_name(context: Context, purpose: str, region: str) -> str:
    """Return the name of the copy in that region."""
    return context.name("bucket", purpose, context.account, region)


def _purpose_problems(buckets: Mapping[str, BucketArgs]) -> Iterator[str]:
    for purpose in buckets:
        if purpose not in KEPT_DAYS:
            yield f"buckets has {purpose!r}, accepted: {', '.join(KEPT_DAYS)}"
    if LOGS not in buckets:
        yield f"buckets is for {', '.join(buckets) or 'nothing'}, accepted: {LOGS} among them"


def _copy_problems(args: ObjectStoreArgs) -> Iterator[str]:
    region = args.copy_region
    if region is not None and (region == args.context.region or not _REGION.fullmatch(region)):
        yield f"copy_region is {region!r}, accepted: a region other than {args.context.region}"
    if region is not None and args.copy_kms_key_arn is None:
        yield f"copy_kms_key_arn is missing, accepted: a key of {region}"
    if region is None and args.copy_kms_key_arn is not None:
        yield "copy_region is missing, accepted: the region of copy_kms_key_arn"
    for purpose, bucket in args.buckets.items():
        if bucket.copy and purpose == LOGS:
            yield f"buckets[{purpose}].copy is True, accepted: none, as they have no key of ours"
        elif bucket.copy and region is None:
            yield f"buckets[{purpose}].copy is True without copy_region, accepted: both or neither"


def _lock_problems(args: ObjectStoreArgs) -> Iterator[str]:
    days, mode = args.object_lock_days, args.object_lock_mode
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        yield f"object_lock_days is {days}, accepted: 1 to {LONGEST_DAYS}"
    if days is not None and BACKUPS not in args.buckets:
        yield f"object_lock_days is {days} without {BACKUPS}, accepted: both or neither"
    if mode is not None and mode not in (GOVERNANCE, COMPLIANCE):
        yield f"object_lock_mode is {mode!r}, accepted: {GOVERNANCE}, {COMPLIANCE}"
    if mode is not None and days is None:
        yield f"object_lock_mode is {mode!r} without object_lock_days, accepted: both or neither"
    if mode == COMPLIANCE and not args.context.keeps_data:
        yield f"object_lock_mode is {mode!r}, accepted: {GOVERNANCE} in development, which could never be destroyed"


def _bucket_problems(bucket: BucketArgs, purpose: str) -> Iterator[str]:
    for key in ("noncurrent_days", "expire_days", "archive_days", "abandoned_days"):
        days = getattr(bucket, key)
        if days is not None and not 1 <= days <= LONGEST_DAYS:
            yield f"{key} is {days}, accepted: 1 to {LONGEST_DAYS}"
    infrequent, archive = bucket.infrequent_days, bucket.archive_days
    if infrequent is not None and not SHORTEST_INFREQUENT_DAYS <= infrequent <= LONGEST_DAYS:
        yield f"infrequent_days is {infrequent}, accepted: {SHORTEST_INFREQUENT_DAYS} to {LONGEST_DAYS}"
    if infrequent is not None and archive is not None and archive < infrequent + SHORTEST_INFREQUENT_DAYS:
        yield f"archive_days is {archive}, accepted: {SHORTEST_INFREQUENT_DAYS} or more after infrequent_days"
    last = max(infrequent or 0, archive or 0)
    expire = LOG_DAYS if bucket.expire_days is None and purpose == LOGS else bucket.expire_days
    if expire is not None and 1 <= expire <= last:
        yield f"expire_days is {expire}, accepted: more than {last}, when the objects move"
