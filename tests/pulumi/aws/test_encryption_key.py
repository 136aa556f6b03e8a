"""Keys without an engine: every resource with all of its inputs, and the policy for each service."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws.encryption_key import SERVICES, VIA, EncryptionKey, KeyArgs, key_policy
from stackwright.testing.recording import Recording, record

ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
COMPUTED = {"aws:kms/key:Key": lambda inputs: {"arn": "arn of the key", "keyId": "id of the key"}}
USE = [
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
]
FOR_AWS = {"kms:GrantIsForAWSResource": "true"}


def run(environment_class: str = "production", **more: Any) -> Recording:
    fixed: dict[str, Any] = {"context": context(environment_class), "purpose": "data", "services": ["rds", "logs"]}

    def program() -> None:
        EncryptionKey("key", KeyArgs(**(fixed | more)))

    return record(program, stack="test", computed=COMPUTED)


def statements(*services: str, region: str = REGION) -> dict[str, dict[str, Any]]:
    policy = key_policy(context(), services, region)
    return {each["Sid"]: {key: each[key] for key in each if key != "Sid"} for each in policy["Statement"]}


@pytest.mark.parametrize(
    ("environment_class", "days", "kept"), [("production", 30, True), ("staging", 30, True), ("development", 7, False)]
)
def test_a_key_is_these_resources_and_no_other(environment_class: str, days: int, kept: bool) -> None:
    recording = run(environment_class)
    recording.seal(
        {
            ("stackwright:aws:EncryptionKey", "key"): {},
            ("aws:kms/key:Key", "key-key"): {
                "description": "taaleem, test: data",
                "enableKeyRotation": True,
                "deletionWindowInDays": days,
                "policy": json.dumps(key_policy(context(), ["rds", "logs"], REGION)),
                "tags": tags("test-key-data", environment_class),
            },
            ("aws:kms/alias:Alias", "key-alias"): {"name": "alias/test-data", "targetKeyId": "id of the key"},
        }
    )
    assert {each.name: (each.parent, each.protect) for each in recording.resources} == {
        "key": ("", False),
        "key-key": ("key", kept),
        "key-alias": ("key", False),
    }
    outputs = {"arn": "arn of the key", "keyId": "id of the key", "alias": "alias/test-data"}
    assert recording.component_outputs["key"] == outputs
    assert not any(each.secrets for each in recording.resources)


def test_a_key_of_another_region_is_made_there_and_trusts_the_services_there() -> None:
    recording = run(region="us-east-1", services=["logs", "s3", "cloudwatch"], deletion_days=14)
    key = recording.named("key-key").inputs
    assert (key["region"], recording.named("key-alias").inputs["region"]) == ("us-east-1", "us-east-1")
    assert key["deletionWindowInDays"] == 14
    assert "s3.us-east-1.amazonaws.com" in key["policy"]
    assert REGION not in key["policy"]


def test_the_account_administers_the_key_and_cannot_use_it_by_that() -> None:
    administration = statements("logs")["Administration"]
    assert administration["Principal"] == ROOT
    assert not set(administration["Action"]) & {*USE, "kms:CreateGrant"} - {"kms:DescribeKey"}
    # Without it nobody could ever change the policy again, and AWS refuses the key.
    assert "kms:PutKeyPolicy" in administration["Action"]


def test_services_act_for_their_callers_in_this_account_alone() -> None:
    found = statements("s3", "rds", "elasticache")
    assert list(found) == ["Administration", "UseThroughServices", "GrantsThroughServices"]
    assert found["UseThroughServices"] == {
        "Effect": "Allow",
        "Principal": ROOT,
        "Action": USE,
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "kms:CallerAccount": ACCOUNT,
                "kms:ViaService": [f"{each}.{REGION}.amazonaws.com" for each in ("elasticache", "dax", "rds", "s3")],
            }
        },
    }
    assert found["GrantsThroughServices"] == {
        "Effect": "Allow",
        "Principal": ROOT,
        "Action": ["kms:CreateGrant"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {
                "kms:CallerAccount": ACCOUNT,
                "kms:ViaService": [f"{each}.{REGION}.amazonaws.com" for each in ("elasticache", "dax", "rds")],
            },
            "Bool": FOR_AWS,
        },
    }


def test_a_service_that_needs_no_grant_gets_none() -> None:
    assert list(statements("s3", "sns", "ssm")) == ["Administration", "UseThroughServices"]


def test_logs_use_the_key_for_log_groups_of_this_account_alone() -> None:
    assert statements("logs")["UseByLogs"] == {
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{REGION}.amazonaws.com"},
        "Action": USE,
        "Resource": "*",
        "Condition": {
            "ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*"}
        },
    }


@pytest.mark.parametrize(
    ("service", "sid", "principal", "source"),
    [
        ("budgets", "PublishByBudgets", "budgets.amazonaws.com", f"arn:aws:budgets::{ACCOUNT}:*"),
        (
            "cloudwatch",
            "PublishByCloudwatch",
            "cloudwatch.amazonaws.com",
            f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*",
        ),
        ("rds_events", "PublishByRdsEvents", "events.rds.amazonaws.com", f"arn:aws:rds:{REGION}:{ACCOUNT}:*"),
    ],
)
def test_publishers_use_the_key_for_this_account_alone(service: str, sid: str, principal: str, source: str) -> None:
    assert statements(service)[sid] == {
        "Effect": "Allow",
        "Principal": {"Service": principal},
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": source}},
    }


def test_auto_scaling_starts_instances_with_encrypted_disks() -> None:
    found = statements("autoscaling")
    condition = {"StringEquals": {"kms:CallerAccount": ACCOUNT}, "ArnEquals": {"aws:PrincipalArn": ROLE}}
    fixed = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": "*"}
    assert found["UseByAutoScaling"] == {**fixed, "Action": USE, "Condition": condition}
    assert found["GrantsByAutoScaling"] == {
        **fixed,
        "Action": ["kms:CreateGrant"],
        "Condition": condition | {"Bool": FOR_AWS},
    }


def test_everything_at_once_is_a_policy_that_kms_takes() -> None:
    policy = key_policy(context(), SERVICES, REGION)
    sids = [each["Sid"] for each in policy["Statement"]]
    assert len(set(sids)) == len(sids) == 9
    assert len(json.dumps(policy)) < 32_768
    for each in policy["Statement"]:
        assert not any("*" in action for action in each["Action"])
        # Whoever is not named is bound to this account by a condition.
        bound = each["Principal"] == ROOT or ACCOUNT in json.dumps(each["Condition"])
        assert bound, each["Sid"]
    assert set(VIA) < set(SERVICES)


def test_the_order_of_the_services_changes_nothing() -> None:
    assert key_policy(context(), ["s3", "rds", "logs"], REGION) == key_policy(context(), ["logs", "rds", "s3"], REGION)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"purpose": "Data"}, "purpose is 'Data', accepted: at most 32 lower-case letters, digits and hyphens"),
        ({"purpose": "data-"}, "purpose is 'data-', accepted"),
        ({"purpose": "d" * 33}, f"purpose is '{'d' * 33}', accepted"),
        (
            {"services": ["log"]},
            "services is log, accepted: autoscaling, backup, budgets, cloudwatch, ec2, elasticache",
        ),
        ({"services": []}, "services is empty, accepted: autoscaling"),
        ({"region": "us-east1"}, "region is 'us-east1', accepted: af-south-1"),
        ({"deletion_days": 6}, "deletion_days is 6, accepted: 7 to 30"),
        ({"deletion_days": 31}, "deletion_days is 31, accepted: 7 to 30"),
        ({"deletion_days": 0}, "deletion_days is 0, accepted: 7 to 30"),
    ],
)
def test_a_wrong_argument_is_refused(wrong: dict[str, Any], message: str) -> None:
    fixed: dict[str, Any] = {"context": context(), "purpose": "data", "services": ["logs"]}
    with pytest.raises(ValueError, match=f"^KeyArgs.{message}"):
        KeyArgs(**(fixed | wrong))


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="KeyArgs") as caught:
        KeyArgs(context=context(), purpose="", services=["x"], deletion_days=1)
    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "KeyArgs.purpose",
        "KeyArgs.services",
        "KeyArgs.deletion_days",
    ]


def test_other_languages_can_use_the_component() -> None:
    found = Analyzer("stackwright").analyze([EncryptionKey])
    assert sorted(found["component_definitions"]["EncryptionKey"].outputs) == ["alias", "arn", "keyId"]
    assert all(each.properties for each in found["type_definitions"].values())


def test_an_alias_belongs_to_its_environment() -> None:
    def program() -> None:
        for name in ("one", "two"):
            EncryptionKey(name, KeyArgs(context=context(), purpose=name, services=["logs"]))

    recording = record(program, stack="test", computed=COMPUTED)
    aliases = [each.inputs["name"] for each in recording.resources if each.type == "aws:kms/alias:Alias"]
    assert aliases == ["alias/test-one", "alias/test-two"]
