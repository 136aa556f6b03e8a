"""What a server may do: exact actions on exact ARNs, and nothing by a policy that somebody else may change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pulumi
import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws.instance_role import InstanceRole, InstanceRoleArgs, StatementArgs
from stackwright.testing.recording import Recording, record

SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:test/app-??????"
READ = StatementArgs(sid="ReadSecrets", actions=["secretsmanager:GetSecretValue"], resources=[SECRET])
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/boundary"


def run(statements: Sequence[StatementArgs] | None = None, **more: Any) -> Recording:
    args = InstanceRoleArgs(context=context(), purpose="app", statements=statements, **more)
    return record(lambda: pulumi.export("arn", InstanceRole("app", args).profile_arn), stack="test")


def agent() -> list[dict[str, Any]]:
    channels = ["CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel"]
    messages = ["AcknowledgeMessage", "DeleteMessage", "FailMessage", "GetEndpoint", "GetMessages", "SendReply"]
    return [
        {
            "Sid": "AgentChannels",
            "Effect": "Allow",
            "Action": [*(f"ec2messages:{each}" for each in messages), *(f"ssmmessages:{each}" for each in channels)],
            "Resource": "*",
        },
        {
            "Sid": "AgentReport",
            "Effect": "Allow",
            "Action": ["ssm:UpdateInstanceInformation"],
            "Resource": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/*",
        },
    ]


def test_a_role_is_these_resources_and_no_other() -> None:
    recording = run([READ], permissions_boundary=BOUNDARY)
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    own = {
        "Sid": "ReadSecrets",
        "Effect": "Allow",
        "Action": ["secretsmanager:GetSecretValue"],
        "Resource": [SECRET],
    }
    recording.seal(
        {
            ("stackwright:aws:InstanceRole", "app"): {},
            ("aws:iam/role:Role", "app-role"): {
                "name": "test-app",
                "description": "Servers of test: app",
                "assumeRolePolicy": json.dumps(trust),
                "permissionsBoundary": BOUNDARY,
                "tags": tags("test-app"),
            },
            ("aws:iam/rolePolicy:RolePolicy", "app-policy"): {
                "name": "test-app",
                "role": "test-app",
                "policy": json.dumps({"Version": "2012-10-17", "Statement": [*agent(), own]}),
            },
            ("aws:iam/instanceProfile:InstanceProfile", "app-profile"): {
                "name": "test-app",
                "role": "test-app",
                "tags": tags("test-app"),
            },
        }
    )
    assert {each.parent for each in recording.resources if each.custom} == {"app"}
    assert not any(each.secrets for each in recording.resources)
    # Who has the profile's name has the rights.
    assert "app-policy" in recording.named("app-profile").depends_on


def test_an_arn_that_is_known_later_comes_into_the_policy() -> None:
    def program() -> None:
        key = pulumi.Output.from_input("arn:aws:kms:eu-central-1:111122223333:key/1")
        statement = StatementArgs(
            sid="Decrypt",
            actions=["kms:Decrypt"],
            resources=[key],
            conditions={"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}},
        )
        InstanceRole("app", InstanceRoleArgs(context=context(), purpose="app", statements=[statement]))

    policy = json.loads(record(program, stack="test").named("app-policy").inputs["policy"])
    assert policy["Statement"][-1] == {
        "Sid": "Decrypt",
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": ["arn:aws:kms:eu-central-1:111122223333:key/1"],
        "Condition": {"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}},
    }


def test_all_problems_are_told_at_once() -> None:
    statements = [
        StatementArgs(sid="Too wide", actions=["s3:*"], resources=["*"]),
        StatementArgs(sid="Twice", actions=["s3:GetObject"], resources=[f"arn:aws:s3:::{'b'}/*"]),
        StatementArgs(sid="Twice", actions=[], resources=["arn:aws:s3:::*"]),
        StatementArgs(sid="AgentReport", actions=["s3:GetObject"], resources=["arn:aws:s3:::bucket/file"]),
    ]
    with pytest.raises(ValueError, match="accepted") as error:
        InstanceRoleArgs(context=context(), purpose="app", statements=statements)
    assert str(error.value).splitlines() == [
        "InstanceRoleArgs.statements[0].sid is 'Too wide', accepted: letters and digits, each name once",
        "InstanceRoleArgs.statements[0].actions has 's3:*', accepted: exact ones such as s3:GetObject, no `*`",
        "InstanceRoleArgs.statements[0].resources has '*', accepted: ARNs that say which, never all",
        "InstanceRoleArgs.statements[1].sid is 'Twice', accepted: letters and digits, each name once",
        "InstanceRoleArgs.statements[2].sid is 'Twice', accepted: letters and digits, each name once",
        "InstanceRoleArgs.statements[2] (Twice) allows nothing, accepted: at least one action and one resource",
        "InstanceRoleArgs.statements[2].resources has 'arn:aws:s3:::*', accepted: ARNs that say which, never all",
        "InstanceRoleArgs.statements[3].sid is 'AgentReport', accepted: letters and digits, each name once",
    ]


def test_a_policy_that_iam_would_refuse_for_its_length_is_refused_here() -> None:
    many = [f"arn:aws:s3:::bucket/{number:0100}" for number in range(100)]
    with pytest.raises(ValueError, match="too long for a role, accepted: 10240 characters"):
        run([StatementArgs(sid="Many", actions=["s3:GetObject"], resources=many)])


def test_other_languages_can_use_it() -> None:
    found = Analyzer("stackwright").analyze([InstanceRole])
    assert found["component_definitions"]["InstanceRole"].inputs
    assert all(each.properties for each in found["type_definitions"].values())
