"""Secrets, without an engine: every resource with all of its inputs, and no value anywhere."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

import pulumi
import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws.secrets import (
    Secrets,
    SecretsArgs,
    read_statements,
    secret_name,
    secret_pattern,
    secret_policy,
)
from stackwright.policy import evaluate
from stackwright.testing.aws_models import botocore_checks, iam
from stackwright.testing.recording import Properties, Recording, record

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/data"
NAMES = ["postgresql/app", "redis/sessions/emr"]
SECRET, POLICY = "aws:secretsmanager/secret:Secret", "aws:secretsmanager/secretPolicy:SecretPolicy"


def arn(name: str) -> str:
    return f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:test/{name}-a1B2c3"


COMPUTED = {SECRET: lambda inputs: {"arn": arn(inputs["name"].removeprefix("test/"))}}


def args(environment_class: str = "production", **more: Any) -> SecretsArgs:
    return SecretsArgs(**({"context": context(environment_class), "names": NAMES, "kms_key_arn": KEY} | more))


def run(environment_class: str = "production", *, preview: bool = False, **more: Any) -> Recording:
    def program() -> None:
        secrets = Secrets("secrets", args(environment_class, **more))
        pulumi.export("arns", secrets.arns)

    return record(program, stack="test", computed=COMPUTED, preview=preview)


def policy() -> str:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "secretsmanager:*", "Resource": "*"}
    other = {
        "StringNotEquals": {"aws:PrincipalAccount": ACCOUNT},
        "Bool": {"aws:PrincipalIsAWSService": "false"},
    }
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                deny | {"Sid": "DenyWithoutTls", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
                deny | {"Sid": "DenyOtherAccounts", "Condition": other},
            ],
        }
    )


def expected(environment_class: str = "production", days: int = 30) -> dict[tuple[str, str], Properties]:
    found: dict[tuple[str, str], Properties] = {("stackwright:aws:Secrets", "secrets"): {}}
    for name in NAMES:
        found[SECRET, f"secrets-{name}"] = {
            "name": f"test/{name}",
            "description": f"taaleem, test: {name}",
            "kmsKeyId": KEY,
            "recoveryWindowInDays": days,
            "tags": tags(f"test/{name}", environment_class),
        }
        found[POLICY, f"secrets-{name}-policy"] = {
            "secretArn": arn(name),
            "policy": policy(),
            "blockPublicPolicy": True,
        }
    return found


def test_production_is_these_resources_and_no_other() -> None:
    run().seal(expected())


def test_development_forgets_sooner() -> None:
    run("development").seal(expected("development", 7))


def test_days_can_be_chosen() -> None:
    run(recovery_days=10).seal(expected(days=10))


def test_what_would_be_missed_is_protected() -> None:
    assert {each.name for each in run().resources if each.protect} == {f"secrets-{name}" for name in NAMES}
    assert not any(each.protect for each in run("development").resources)


def test_every_child_has_its_parent_and_nothing_is_a_secret_or_a_version() -> None:
    recording = run()
    assert {each.parent for each in recording.resources if each.name != "secrets"} == {"secrets"}
    assert not any(each.secrets for each in recording.resources)
    assert not any("SecretVersion" in each.type for each in recording.resources)


def test_outputs() -> None:
    recording = run()
    assert recording.outputs == {"arns": {name: arn(name) for name in NAMES}}
    assert recording.component_outputs["secrets"] == {
        "arns": {name: arn(name) for name in NAMES},
        "names": {name: f"test/{name}" for name in NAMES},
    }


def test_a_preview_declares_the_same() -> None:
    assert [each.name for each in run(preview=True).resources] == [each.name for each in run().resources]


@pytest.mark.parametrize("name", NAMES)
def test_the_pattern_means_this_secret_and_no_longer_name(name: str) -> None:
    pattern = secret_pattern(context(), name)
    assert fnmatch.fnmatchcase(arn(name), pattern)
    assert not fnmatch.fnmatchcase(arn(f"{name}-old"), pattern)
    assert not fnmatch.fnmatchcase(arn(f"{name}/more"), pattern)


def test_who_reads_gets_these_values_and_the_key_for_them_alone() -> None:
    patterns = [f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:test/{name}-??????" for name in NAMES]
    assert read_statements(context(), [*reversed(NAMES), NAMES[0]], KEY) == [
        {
            "Sid": "ReadSecrets",
            "Effect": "Allow",
            "Action": ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"],
            "Resource": patterns,
        },
        {
            "Sid": "DecryptSecrets",
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": [KEY],
            "Condition": {
                "StringEquals": {"kms:ViaService": f"secretsmanager.{REGION}.amazonaws.com"},
                "StringLike": {"kms:EncryptionContext:SecretARN": patterns},
            },
        },
    ]
    with pytest.raises(ValueError, match="^names is empty, accepted: at least one secret$"):
        read_statements(context(), [], KEY)


def test_the_secrets_own_policy_allows_nothing() -> None:
    assert {each["Effect"] for each in secret_policy(context())["Statement"]} == {"Deny"}


def test_aws_takes_every_policy_and_input_and_ours_are_not_violated() -> None:
    assert iam.check(secret_policy(context()), "secret") == []
    statements = read_statements(context(), NAMES, KEY)
    assert iam.check({"Version": "2012-10-17", "Statement": statements}, "identity") == []
    resources = run().resources
    # The budget is a component of its own.
    assert {each.rule for each in evaluate(resources, "production")} <= {"budget"}
    report = botocore_checks.check(resources)
    assert [str(finding) for finding in report.findings] == []
    assert report.values > 10


def test_other_languages_can_use_it() -> None:
    assert set(Analyzer("stackwright-aws").analyze_component(Secrets).inputs) == {
        "context",
        "names",
        "kmsKeyArn",
        "recoveryDays",
    }


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"names": []}, "names is empty, accepted: at least one"),
        ({"names": ["a", "a"]}, "names is a, a, accepted: each name once"),
        ({"names": ["a b"]}, "names has 'a b', accepted: letters, digits and _+=.@- in parts"),
        ({"names": ["/a"]}, "names has '/a', accepted: letters, digits"),
        ({"names": ["redis-abc123"]}, "names has 'redis-abc123', accepted: no hyphen before the last six characters"),
        ({"recovery_days": 0}, "recovery_days is 0, accepted: 7 to 30"),
        ({"recovery_days": 31}, "recovery_days is 31, accepted: 7 to 30"),
    ],
)
def test_what_is_wrong_is_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^SecretsArgs") as caught:
        args(**more)
    assert f"SecretsArgs.{message}" in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="^SecretsArgs") as caught:
        args(names=["a b", "/"], recovery_days=1)
    assert len(str(caught.value).splitlines()) == 3


def test_a_name_of_any_length_fits() -> None:
    assert len(secret_name(context(), "a" * 600)) <= 512
