"""Buckets without an engine: every resource with all of its inputs, in each variant; policies as data."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import pulumi
import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws import bucket_policies as policies
from stackwright.infra.aws.object_store import ObjectStore
from stackwright.infra.aws.object_store_args import BucketArgs, ObjectStoreArgs
from stackwright.infra.aws.store_bucket import StoreBucket
from stackwright.testing.recording import Properties, Recording, record

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/data"
ELSEWHERE = "eu-west-1"
COPY_KEY = f"arn:aws:kms:{ELSEWHERE}:{ACCOUNT}:key/copies"
LOGS = f"arn:aws:s3:::test-logs-{ACCOUNT}"
BACKUPS = f"arn:aws:s3:::test-backups-{ACCOUNT}"
COPIES = f"{BACKUPS}-{ELSEWHERE}"
COMPUTED = {
    "aws:s3/bucket:Bucket": lambda inputs: {
        "arn": f"arn:aws:s3:::{inputs['bucket']}",
        "bucketRegionalDomainName": f"{inputs['bucket']}.s3.{inputs.get('region', REGION)}.amazonaws.com",
    },
    "aws:iam/role:Role": lambda inputs: {"arn": f"arn:aws:iam::{ACCOUNT}:role/{inputs['name']}"},
}
ALL = {purpose: BucketArgs() for purpose in ("artifacts", "backups", "logs", "uploads")}
TWO = {purpose: BucketArgs() for purpose in ("backups", "logs")}
DENY_TLS = [
    {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["BUCKET", "BUCKET/*"],
        "Condition": condition,
    }
    for sid, condition in (
        ("DenyWithoutTls", {"Bool": {"aws:SecureTransport": "false"}}),
        ("DenyOldTls", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
    )
]


def args(environment_class: str = "production", **more: Any) -> ObjectStoreArgs:
    fixed: dict[str, Any] = {"context": context(environment_class), "buckets": ALL, "kms_key_arn": KEY}
    return ObjectStoreArgs(**(fixed | more))


def run(environment_class: str = "production", *, preview: bool = False, **more: Any) -> Recording:
    def program() -> None:
        store = ObjectStore("store", args(environment_class, **more))
        pulumi.export("secrets", list(store.result.secrets))
        for endpoint, found in store.result.endpoints.items():
            pulumi.export(endpoint, {"at": list(found.addresses), "scheme": found.scheme, "port": found.port})

    return parsed(record(program, stack="test", computed=COMPUTED, preview=preview))


def parsed(recording: Recording) -> Recording:
    """With policies as data: the order of their keys says nothing."""
    resources = [
        dataclasses.replace(
            each,
            inputs={name: json.loads(value) if name in POLICIES else value for name, value in each.inputs.items()},
        )
        for each in recording.resources
    ]
    return dataclasses.replace(recording, resources=tuple(resources))


def denials(arn: str, key: str | None = None) -> list[Properties]:
    found = json.loads(json.dumps(DENY_TLS).replace("BUCKET", arn))
    upload = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"{arn}/*"}
    encryption = "s3:x-amz-server-side-encryption"
    wrong = [
        {
            "Sid": "DenyOtherEncryption",
            "Condition": {"Null": {encryption: "false"}, "StringNotEquals": {encryption: "aws:kms"}},
        },
        {
            "Sid": "DenyOtherKeys",
            "Condition": {
                "StringEquals": {encryption: "aws:kms"},
                "StringNotEquals": {f"{encryption}-aws-kms-key-id": key},
            },
        },
    ]
    return [*found, *([upload | each for each in wrong] if key else [])]


def deliveries(*logged: str) -> list[Properties]:
    delivery = {"Service": "delivery.logs.amazonaws.com"}
    account = {"aws:SourceAccount": ACCOUNT}
    sources = {"aws:SourceArn": [f"arn:aws:logs:{region}:{ACCOUNT}:*" for region in (REGION, "us-east-1")]}
    return [
        {
            "Sid": "LogsOfLoadBalancers",
            "Effect": "Allow",
            "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"{LOGS}/load-balancer/AWSLogs/{ACCOUNT}/*",
            "Condition": {
                "ArnLike": {"aws:SourceArn": f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/*"}
            },
        },
        {
            "Sid": "DeliveredLogs",
            "Effect": "Allow",
            "Principal": delivery,
            "Action": "s3:PutObject",
            "Resource": [f"{LOGS}/{prefix}/AWSLogs/{ACCOUNT}/*" for prefix in ("load-balancer", "cdn", "network")],
            "Condition": {
                "StringEquals": account | {"s3:x-amz-acl": "bucket-owner-full-control"},
                "ArnLike": sources,
            },
        },
        {
            "Sid": "DeliveryChecks",
            "Effect": "Allow",
            "Principal": delivery,
            "Action": "s3:GetBucketAcl",
            "Resource": LOGS,
            "Condition": {"StringEquals": account, "ArnLike": sources},
        },
        {
            "Sid": "LogsOfBuckets",
            "Effect": "Allow",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": f"{LOGS}/buckets/*",
            "Condition": {
                "StringEquals": account,
                "ArnLike": {"aws:SourceArn": [f"arn:aws:s3:::test-{each}-{ACCOUNT}" for each in logged]},
            },
        },
    ]


def document(statements: list[Properties]) -> Properties:
    return {"Version": "2012-10-17", "Statement": statements}


def rule(name: str, **more: Any) -> Properties:
    return {"id": name, "status": "Enabled", "filter": {"prefix": ""}} | more


def versions(days: int, abandoned: int = 7) -> Properties:
    return rule(
        "versions",
        noncurrentVersionExpiration={"noncurrentDays": days},
        expiration={"expiredObjectDeleteMarker": True},
        abortIncompleteMultipartUpload={"daysAfterInitiation": abandoned},
    )


def bucket(
    part: str,
    statements: list[Properties],
    rules: list[Properties],
    *,
    name: str | None = None,
    key: str | None = None,
    region: str | None = None,
    environment_class: str = "production",
) -> Mapping[Any, Properties]:
    name = name or f"test-{part}-{ACCOUNT}"
    where: Properties = {"region": region} if region else {}
    of = {"bucket": name} | where
    default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key} if key else {"sseAlgorithm": "AES256"}
    encryption: Properties = {
        "applyServerSideEncryptionByDefault": default,
        "blockedEncryptionTypes": ["SSE-C"],
    } | ({"bucketKeyEnabled": True} if key else {})
    return {
        ("stackwright:aws:StoreBucket", f"store-{part}"): {},
        ("aws:s3/bucket:Bucket", f"store-{part}-bucket"): of
        | {"forceDestroy": environment_class == "development", "tags": tags(name, environment_class)},
        (
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            f"store-{part}-encryption",
        ): of | {"rules": [encryption]},
        ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", f"store-{part}-public-access"): of
        | {
            "blockPublicAcls": True,
            "blockPublicPolicy": True,
            "ignorePublicAcls": True,
            "restrictPublicBuckets": True,
        },
        ("aws:s3/bucketOwnershipControls:BucketOwnershipControls", f"store-{part}-ownership"): of
        | {"rule": {"objectOwnership": "BucketOwnerEnforced"}},
        ("aws:s3/bucketPolicy:BucketPolicy", f"store-{part}-policy"): of | {"policy": document(statements)},
        ("aws:s3/bucketVersioning:BucketVersioning", f"store-{part}-versioning"): of
        | {"versioningConfiguration": {"status": "Enabled"}},
        ("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration", f"store-{part}-lifecycle"): of
        | {"rules": rules},
    }


def logging(part: str) -> Mapping[Any, Properties]:
    return {
        ("aws:s3/bucketLogging:BucketLogging", f"store-{part}-logging"): {
            "bucket": f"test-{part}-{ACCOUNT}",
            "targetBucket": f"test-logs-{ACCOUNT}",
            "targetPrefix": "buckets/",
            "targetObjectKeyFormat": {"partitionedPrefix": {"partitionDateSource": "EventTime"}},
        }
    }


def own(part: str, rules: list[Properties], environment_class: str = "production") -> Mapping[Any, Properties]:
    arn = f"arn:aws:s3:::test-{part}-{ACCOUNT}"
    made = bucket(part, denials(arn, KEY), rules, key=KEY, environment_class=environment_class)
    return {**made, **logging(part)}


def log_bucket(*logged: str, environment_class: str = "production") -> Mapping[Any, Properties]:
    statements = [*denials(LOGS), *deliveries(*logged)]
    rules = [versions(7), rule("age", expiration={"days": 90})]
    return bucket("logs", statements, rules, environment_class=environment_class)


def lock(part: str, mode: str, days: int, **more: Any) -> Mapping[Any, Properties]:
    fixed = {
        "bucket": f"test-{part}-{ACCOUNT}",
        "objectLockEnabled": "Enabled",
        "rule": {"defaultRetention": {"mode": mode, "days": days}},
    }
    key = ("aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration", f"store-{part}-lock")
    return {key: fixed | more}


POLICIES = ("policy", "assumeRolePolicy")
PARTS = ("bucket", "encryption", "public-access", "ownership", "policy", "versioning", "lifecycle", "lock")
STORE = ("stackwright:aws:ObjectStore", "store")


@pytest.mark.parametrize("environment_class", ["production", "development"])
def test_the_four_buckets_are_these_resources_and_no_other(environment_class: str) -> None:
    run(environment_class).seal(
        {
            STORE: {},
            **own("artifacts", [versions(90)], environment_class),
            **own("backups", [versions(30)], environment_class),
            **log_bucket("artifacts", "backups", "uploads", environment_class=environment_class),
            **own("uploads", [versions(30)], environment_class),
        }
    )


def test_every_choice_of_a_life_reaches_its_rule() -> None:
    backups = BucketArgs(noncurrent_days=60, expire_days=400, infrequent_days=30, archive_days=90, abandoned_days=2)
    moves = [{"storageClass": "STANDARD_IA", "days": 30}, {"storageClass": "GLACIER_IR", "days": 90}]
    run(buckets=TWO | {"backups": backups}).seal(
        {
            STORE: {},
            **own(
                "backups",
                [versions(60, abandoned=2), rule("age", expiration={"days": 400}), rule("classes", transitions=moves)],
            ),
            **log_bucket("backups"),
        }
    )


@pytest.mark.parametrize(
    ("asked", "mode"), [(None, "GOVERNANCE"), ("GOVERNANCE", "GOVERNANCE"), ("COMPLIANCE", "COMPLIANCE")]
)
def test_backups_alone_are_locked(asked: str | None, mode: str) -> None:
    run(buckets=TWO, object_lock_days=35, object_lock_mode=asked).seal(
        {STORE: {}, **own("backups", [versions(30)]), **lock("backups", mode, 35), **log_bucket("backups")}
    )


def copying() -> Mapping[Any, Properties]:
    role = "test-copy-backups"
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": BACKUPS}},
    }
    return {
        ("aws:iam/role:Role", "store-backups-copy-role"): {
            "name": role,
            "description": f"S3 copies test-backups-{ACCOUNT} to {ELSEWHERE}",
            "assumeRolePolicy": document([trust]),
            "tags": tags(role),
        },
        ("aws:iam/rolePolicy:RolePolicy", "store-backups-copy-permissions"): {
            "name": role,
            "role": role,
            "policy": document(COPY_PERMISSIONS),
        },
        ("aws:s3/bucketReplicationConfig:BucketReplicationConfig", "store-backups-copying"): {
            "bucket": f"test-backups-{ACCOUNT}",
            "role": f"arn:aws:iam::{ACCOUNT}:role/{role}",
            "rules": [
                {
                    "id": "everything",
                    "status": "Enabled",
                    "priority": 0,
                    "filter": {"prefix": ""},
                    "deleteMarkerReplication": {"status": "Enabled"},
                    "sourceSelectionCriteria": {"sseKmsEncryptedObjects": {"status": "Enabled"}},
                    "destination": {
                        "bucket": COPIES,
                        "encryptionConfiguration": {"replicaKmsKeyId": COPY_KEY},
                    },
                }
            ],
        },
    }


def use_of_key(key: str, arn: str, region: str, *actions: str, prefix: str = "") -> Properties:
    return {
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": key,
        "Condition": {
            "StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"},
            "StringLike": {"kms:EncryptionContext:aws:s3:arn": [arn, f"{arn}/{prefix}*"]},
        },
    }


COPY_PERMISSIONS = [
    {"Effect": "Allow", "Action": ["s3:GetReplicationConfiguration", "s3:ListBucket"], "Resource": BACKUPS},
    {
        "Effect": "Allow",
        "Action": [
            "s3:GetObjectLegalHold",
            "s3:GetObjectRetention",
            "s3:GetObjectVersionAcl",
            "s3:GetObjectVersionForReplication",
            "s3:GetObjectVersionTagging",
        ],
        "Resource": f"{BACKUPS}/*",
    },
    {
        "Effect": "Allow",
        "Action": ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"],
        "Resource": f"{COPIES}/*",
    },
    use_of_key(KEY, BACKUPS, REGION, "kms:Decrypt"),
    use_of_key(COPY_KEY, COPIES, ELSEWHERE, "kms:Encrypt", "kms:GenerateDataKey"),
]


def test_backups_are_copied_to_the_other_region_with_its_key_and_lock() -> None:
    name = f"test-backups-{ACCOUNT}-{ELSEWHERE}"
    run(buckets=TWO, copy_region=ELSEWHERE, copy_kms_key_arn=COPY_KEY, object_lock_days=35).seal(
        {
            STORE: {},
            **own("backups", [versions(30)]),
            **lock("backups", "GOVERNANCE", 35),
            **log_bucket("backups"),
            **bucket(
                "backups-copy", denials(COPIES, COPY_KEY), [versions(30)], name=name, key=COPY_KEY, region=ELSEWHERE
            ),
            **lock("backups-copy", "GOVERNANCE", 35, bucket=name, region=ELSEWHERE),
            **copying(),
        }
    )


def test_copies_are_of_what_cannot_be_made_again_or_is_asked_for() -> None:
    where: dict[str, Any] = {"copy_region": ELSEWHERE, "copy_kms_key_arn": COPY_KEY}
    copied = run(**where).component_outputs["store"]["copyNames"]
    assert set(copied) == {"backups", "uploads"}
    asked = ALL | {"artifacts": BucketArgs(copy=True), "uploads": BucketArgs(copy=False)}
    assert set(run(buckets=asked, **where).component_outputs["store"]["copyNames"]) == {"artifacts", "backups"}


def test_buckets_are_protected_where_data_is_kept() -> None:
    where: dict[str, Any] = {"copy_region": ELSEWHERE, "copy_kms_key_arn": COPY_KEY}
    protected = {each.name for each in run(**where).resources if each.protect}
    names = ("artifacts", "backups", "logs", "uploads", "backups-copy", "uploads-copy")
    assert protected == {f"store-{each}-bucket" for each in names}
    assert not any(each.protect for each in run("development", **where).resources)


def test_every_child_has_its_parent_and_no_input_is_a_secret() -> None:
    recording = run(copy_region=ELSEWHERE, copy_kms_key_arn=COPY_KEY, object_lock_days=7)
    buckets = [each for each in recording.resources if each.type == "stackwright:aws:StoreBucket"]
    assert len(buckets) == 6
    own = {f"{each.name}-{part}": each.name for each in buckets for part in PARTS}
    for each in recording.resources:
        assert each.parent == ("" if each.name == "store" else own.get(each.name, "store")), each.name
    assert not any(each.secrets for each in recording.resources)


def test_order_spares_s3s_refusals() -> None:
    recording = run(copy_region=ELSEWHERE, copy_kms_key_arn=COPY_KEY, object_lock_days=7)
    waits = {
        "store-backups-policy": {"store-backups-public-access", "store-backups-ownership"},
        "store-backups-lifecycle": {"store-backups-versioning"},
        "store-backups-lock": {"store-backups-versioning"},
        # Through the name, which is the policy's.
        "store-backups-logging": {"store-logs-policy", "store-backups-policy"},
        "store-backups-copying": {
            "store-backups-versioning",
            "store-backups-copy-versioning",
            "store-backups-copy-permissions",
        },
    }
    for name, needed in waits.items():
        assert needed <= set(recording.named(name).depends_on), name


def test_outputs() -> None:
    recording = run(buckets=TWO, copy_region=ELSEWHERE, copy_kms_key_arn=COPY_KEY)
    assert recording.component_outputs["store"] == {
        "names": {"backups": f"test-backups-{ACCOUNT}", "logs": f"test-logs-{ACCOUNT}"},
        "arns": {"backups": BACKUPS, "logs": LOGS},
        "copyNames": {"backups": f"test-backups-{ACCOUNT}-{ELSEWHERE}"},
    }
    at = {"at": [f"test-backups-{ACCOUNT}.s3.{REGION}.amazonaws.com"], "scheme": "https", "port": 443}
    assert recording.outputs == {"database_backups": at, "file_backups": at, "secrets": []}
    alone = run(buckets={"logs": BucketArgs()})
    assert alone.outputs == {"secrets": []}
    assert alone.component_outputs["store"]["copyNames"] == {}


def test_logs_alone_are_nobody_elses() -> None:
    run(buckets={"logs": BucketArgs()}).seal(
        {
            STORE: {},
            **bucket(
                "logs",
                [*denials(LOGS), *deliveries()[:-1]],
                [versions(7), rule("age", expiration={"days": 90})],
            ),
        }
    )


def test_keys_may_be_outputs_and_a_preview_declares_the_same() -> None:
    def program() -> None:
        key, copy_key = pulumi.Output.from_input(KEY), pulumi.Output.from_input(COPY_KEY)
        ObjectStore("store", args(buckets=TWO, kms_key_arn=key, copy_region=ELSEWHERE, copy_kms_key_arn=copy_key))

    found = parsed(record(program, stack="test", computed=COMPUTED, preview=True))
    plain = run(buckets=TWO, copy_region=ELSEWHERE, copy_kms_key_arn=COPY_KEY, preview=True)
    assert found.resources == plain.resources


# --- policies ------------------------------------------------------------------------------------------------------


def statements(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def test_a_reader_reads_its_folder_and_nothing_else() -> None:
    found = policies.read_statements(context(), f"test-backups-{ACCOUNT}", "emr/", KEY)
    assert statements(found) == [
        {"Effect": "Allow", "Action": ["s3:GetBucketLocation"], "Resource": BACKUPS},
        {
            "Effect": "Allow",
            "Action": ["s3:ListBucket"],
            "Resource": BACKUPS,
            "Condition": {"StringLike": {"s3:prefix": ["emr/*"]}},
        },
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": f"{BACKUPS}/emr/*"},
        use_of_key(KEY, BACKUPS, REGION, "kms:Decrypt", prefix="emr/"),
    ]


@pytest.mark.parametrize("deletes", [False, True])
def test_a_writer_adds_and_hides_but_deletes_no_version(deletes: bool) -> None:
    found = policies.write_statements(context(), f"test-backups-{ACCOUNT}", "emr/", KEY, deletes=deletes)
    actions = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"]
    assert statements(found)[2:] == [
        {
            "Effect": "Allow",
            "Action": [*actions, *(["s3:DeleteObject"] if deletes else [])],
            "Resource": f"{BACKUPS}/emr/*",
        },
        use_of_key(KEY, BACKUPS, REGION, "kms:Decrypt", "kms:GenerateDataKey", prefix="emr/"),
    ]


def test_a_whole_bucket_without_a_key_and_a_bucket_elsewhere() -> None:
    whole = policies.read_statements(context(), f"test-logs-{ACCOUNT}", "")
    assert statements(whole) == [
        {"Effect": "Allow", "Action": ["s3:GetBucketLocation"], "Resource": LOGS},
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": LOGS},
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": f"{LOGS}/*"},
    ]
    elsewhere = policies.read_statements(context(), "copies", "a/", COPY_KEY, region=ELSEWHERE)
    assert elsewhere[-1]["Condition"]["StringEquals"] == {"kms:ViaService": f"s3.{ELSEWHERE}.amazonaws.com"}


@pytest.mark.parametrize("prefix", ["*", "emr", "a/*/", "/a/", "${aws:username}/", "a?/", "a//"])
@pytest.mark.parametrize("build", [policies.read_statements, policies.write_statements])
def test_a_folder_is_no_pattern(build: Any, prefix: str) -> None:
    with pytest.raises(ValueError, match="accepted: a folder such as emr/"):
        build(context(), "bucket", prefix, KEY)


def test_nothing_that_is_allowed_is_a_wildcard() -> None:
    documents = [
        each.inputs[key]
        for each in run(copy_region=ELSEWHERE, copy_kms_key_arn=COPY_KEY).resources
        for key in POLICIES
        if key in each.inputs
    ]
    allowed = [each for found in documents for each in found["Statement"] if each["Effect"] == "Allow"]
    assert len(allowed) >= 4 + 2 * 6
    for each in allowed:
        actions = [each["Action"]] if isinstance(each["Action"], str) else each["Action"]
        assert not any("*" in action for action in actions)
        assert each.get("Resource") != "*"
        assert each.get("Principal") not in ("*", {"AWS": "*"})
        # A service has to say for whom it comes.
        assert "Principal" not in each or "aws:SourceArn" in each["Condition"]["ArnLike"]


# --- mistakes ------------------------------------------------------------------------------------------------------

COPYING = {"copy_region": ELSEWHERE, "copy_kms_key_arn": COPY_KEY}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"buckets": ALL | {"media": BucketArgs()}}, "buckets has 'media', accepted: artifacts, backups, logs, uploads"),
    ({"buckets": {}}, "buckets is for nothing, accepted: logs among them"),
    ({"buckets": {"uploads": BucketArgs()}}, "buckets is for uploads, accepted: logs among them"),
    (COPYING | {"copy_region": REGION}, f"copy_region is '{REGION}', accepted: a region other than {REGION}"),
    (COPYING | {"copy_region": "Ireland"}, f"copy_region is 'Ireland', accepted: a region other than {REGION}"),
    ({"copy_region": ELSEWHERE}, f"copy_kms_key_arn is missing, accepted: a key of {ELSEWHERE}"),
    ({"copy_kms_key_arn": COPY_KEY}, "copy_region is missing, accepted: the region of copy_kms_key_arn"),
    ({"buckets": ALL | {"uploads": BucketArgs(copy=True)}}, "buckets[uploads].copy is True without copy_region"),
    (COPYING | {"buckets": TWO | {"logs": BucketArgs(copy=True)}}, "buckets[logs].copy is True, accepted: none"),
    ({"object_lock_days": 0}, "object_lock_days is 0, accepted: 1 to 3650"),
    ({"object_lock_days": 7, "buckets": {"logs": BucketArgs()}}, "object_lock_days is 7 without backups"),
    ({"object_lock_days": 7, "object_lock_mode": "x"}, "object_lock_mode is 'x', accepted: GOVERNANCE, COMPLIANCE"),
    ({"object_lock_mode": "GOVERNANCE"}, "object_lock_mode is 'GOVERNANCE' without object_lock_days"),
]
WRONG_BUCKETS: list[tuple[dict[str, Any], str]] = [
    ({"noncurrent_days": 0}, "noncurrent_days is 0, accepted: 1 to 3650"),
    ({"expire_days": 3651}, "expire_days is 3651, accepted: 1 to 3650"),
    ({"archive_days": 0}, "archive_days is 0, accepted: 1 to 3650"),
    ({"abandoned_days": -1}, "abandoned_days is -1, accepted: 1 to 3650"),
    ({"infrequent_days": 29}, "infrequent_days is 29, accepted: 30 to 3650"),
    ({"infrequent_days": 30, "archive_days": 59}, "archive_days is 59, accepted: 30 or more after infrequent_days"),
    ({"archive_days": 90}, "expire_days is 90, accepted: more than 90, when the objects move"),
]


def refused(environment_class: str = "production", **more: Any) -> str:
    with pytest.raises(ValueError, match="^ObjectStoreArgs") as caught:
        args(environment_class, **more)
    return str(caught.value)


@pytest.mark.parametrize(("more", "message"), WRONG, ids=lambda each: str(each)[:40])
def test_what_is_wrong_is_named(more: dict[str, Any], message: str) -> None:
    assert f"ObjectStoreArgs.{message}" in refused(**more)


@pytest.mark.parametrize(("more", "message"), WRONG_BUCKETS, ids=lambda each: str(each)[:40])
def test_what_is_wrong_with_a_bucket_is_named(more: dict[str, Any], message: str) -> None:
    assert f"ObjectStoreArgs.buckets[logs].{message}" in refused(buckets={"logs": BucketArgs(**more)})


def test_a_lock_that_nobody_lifts_is_not_for_development() -> None:
    found = refused("development", object_lock_days=7, object_lock_mode="COMPLIANCE")
    assert found == (
        "ObjectStoreArgs.object_lock_mode is 'COMPLIANCE', accepted: GOVERNANCE in development,"
        " which could never be destroyed"
    )


def test_all_problems_are_told_at_once() -> None:
    buckets = {"media": BucketArgs(noncurrent_days=0, abandoned_days=0)}
    assert len(refused(buckets=buckets, copy_region=REGION, object_lock_days=0).splitlines()) == 8


@pytest.mark.parametrize("component", [ObjectStore, StoreBucket])
def test_other_languages_can_use_the_component(component: type[pulumi.ComponentResource]) -> None:
    found = Analyzer("stackwright").analyze([component])
    assert found["component_definitions"][component.__name__].inputs
    assert all(each.properties for each in found["type_definitions"].values())
