"""What an environment's buckets are asked for, and what is wrong with it, said before a bucket exists."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws.context import Context
from stackwright.model.aws import names
from stackwright.model.output import BACKUPS, UPLOADS

ARTIFACTS, LOGS = "artifacts", "logs"
#: Purpose -> days that what was overwritten or deleted can still be had.
KEPT_DAYS: Mapping[str, int] = {ARTIFACTS: 90, BACKUPS: 30, LOGS: 7, UPLOADS: 30}
#: What cannot be made again, and is copied where there is a region for copies.
COPIED = (BACKUPS, UPLOADS)
LOG_DAYS = 90
GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
#: Days: what S3 demands before an object goes to infrequent access, and what it bills at least there.
SHORTEST_INFREQUENT_DAYS = 30
#: S3 takes a hundred years of lock; ten years of anything here are a slip of the finger.
LONGEST_DAYS = 3650
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


@dataclass(frozen=True, kw_only=True)
class BucketArgs:
    """The life of what is in a bucket; all of it in days."""

    #: How long what was overwritten or deleted can still be had; otherwise as `KEPT_DAYS`.
    noncurrent_days: int | None = None
    #: After which objects go; otherwise 90 for logs, never elsewhere.
    expire_days: int | None = None
    #: After which objects go to infrequent access: cheaper to keep, dearer to read; otherwise never.
    infrequent_days: int | None = None
    #: After which objects go to Glacier Instant Retrieval, which still reads at once; otherwise never.
    archive_days: int | None = None
    #: After which uploads that were broken off are thrown away; otherwise 7.
    abandoned_days: int | None = None
    #: Into `copy_region`; otherwise so for backups and uploads where there is one.
    copy: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ObjectStoreArgs:
    """The buckets of an environment.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: By purpose: `artifacts`, `backups`, `uploads`, and always `logs`, which the others write their logs to.
    buckets: Mapping[str, BucketArgs]
    #: Encrypts all but the logs; its policy has to admit S3 (`EncryptionKey` with `s3`).
    kms_key_arn: pulumi.Input[str]
    #: What cannot be made again is copied there.
    copy_region: str | None = None
    #: Of that region.
    copy_kms_key_arn: pulumi.Input[str] | None = None
    #: How long nobody can delete a backup; otherwise as long as nobody does.
    object_lock_days: int | None = None
    #: `GOVERNANCE`, which those who are allowed to can lift, or `COMPLIANCE`, which nobody can, AWS included; otherwise
    #: the first.
    object_lock_mode: str | None = None

    def __post_init__(self) -> None:
        problems = [*_purpose_problems(self.buckets), *_copy_problems(self), *_lock_problems(self)]
        for purpose, bucket in self.buckets.items():
            problems += [f"buckets[{purpose}].{problem}" for problem in _bucket_problems(bucket, purpose)]
        if problems:
            raise ValueError("\n".join(f"ObjectStoreArgs.{problem}" for problem in problems))

    def copied(self, purpose: str) -> bool:
        """Whether the bucket has a copy."""
        copy = self.buckets[purpose].copy
        return self.copy_region is not None and (purpose in COPIED if copy is None else copy)

    def noncurrent_days(self, purpose: str) -> int:
        """`noncurrent_days`, or what the purpose asks for."""
        days = self.buckets[purpose].noncurrent_days
        return KEPT_DAYS[purpose] if days is None else days

    def expire_days(self, purpose: str) -> int | None:
        """`expire_days`, or what the purpose asks for."""
        days = self.buckets[purpose].expire_days
        return LOG_DAYS if days is None and purpose == LOGS else days

    def lock_days(self, purpose: str) -> int | None:
        """Backups alone: what applications write has to be deletable, and S3 writes no logs into a locked bucket."""
        return self.object_lock_days if purpose == BACKUPS else None


def bucket_name(context: Context, purpose: str) -> str:
    """Return the name of the bucket for a purpose."""
    return names.bucket(context.environment, purpose, context.account)


def copy_name(context: Context, purpose: str, region: str) -> str:
    """Of the copy in that region."""
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
