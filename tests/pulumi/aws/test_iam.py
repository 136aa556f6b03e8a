"""A policy that AWS would refuse, or that allows nothing or everything, is found without AWS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from aws_context import ACCOUNT, REGION, context

from stackwright.infra.aws.encryption_key import SERVICES, EncryptionKey, KeyArgs, key_policy
from stackwright.policy import statements
from stackwright.policy.resources import UNKNOWN, Resource
from stackwright.testing.aws_models import iam, iam_actions, iam_arns
from stackwright.testing.recording import record

BUCKET = "arn:aws:s3:::test-data"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:test/app-??????"
EC2 = {"Service": "ec2.amazonaws.com"}
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def document(*several: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(several), **more}


def allow(action: str | list[str], resource: Any = None, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action} | ({} if resource is None else {"Resource": resource}) | more


def condition(operator: str, key: str, value: Any) -> dict[str, Any]:
    return allow("s3:GetObject", f"{BUCKET}/*", Condition={operator: {key: value}})


#: (kind, policy) that is as it should be.
GOOD: list[tuple[str, Mapping[str, Any]]] = [
    ("identity", document(allow(["s3:GetObject", "s3:PutObject"], f"{BUCKET}/uploads/*", Sid="Uploads"))),
    ("identity", document(allow(["s3:ListBucket", "s3:GetBucketLocation"], BUCKET))),
    ("identity", document(allow(["s3:ListBucket", "s3:GetObject"], [BUCKET, f"{BUCKET}/*"]))),
    ("identity", document(allow("secretsmanager:GetSecretValue", SECRET))),
    ("identity", document(allow(["ssmmessages:OpenDataChannel", "ec2messages:GetMessages"], "*"))),
    ("identity", document(allow("ssm:StartSession", f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"))),
    ("identity", document(allow("ssm:GetDocument", f"arn:aws:ssm:{REGION}::document/AWS-StartSSHSession"))),
    ("identity", document(allow("rds-db:connect", f"arn:aws:rds-db:{REGION}:{ACCOUNT}:dbuser:db-ABC/app"))),
    (
        "identity",
        document(
            allow(
                "autoscaling:CompleteLifecycleAction",
                f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/test-app",
            )
        ),
    ),
    (
        "identity",
        document(allow("cloudwatch:PutMetricData", "*", Condition={"StringEquals": {"cloudwatch:namespace": "x"}})),
    ),
    ("identity", document({"Effect": "Deny", "Action": "s3:*", "Resource": "*"})),
    ("identity", document(allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/test-app"))),
    ("trust", document(allow("sts:AssumeRole", Principal=EC2))),
    (
        "trust",
        document(allow("sts:AssumeRole", Principal=EC2, Condition={"StringEquals": {"aws:SourceAccount": ACCOUNT}})),
    ),
    (
        "bucket",
        document(
            {
                "Sid": "Tls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [BUCKET, f"{BUCKET}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            allow(
                "s3:PutObject", f"{BUCKET}/*", Principal={"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
            ),
        ),
    ),
    ("secret", document(allow("secretsmanager:GetSecretValue", "*", Principal=ROOT))),
    (
        "topic",
        document(
            allow("sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:x", Principal={"Service": "cloudwatch.amazonaws.com"})
        ),
    ),
    ("endpoint", document(allow("s3:GetObject", f"{BUCKET}/*", Principal="*"))),
    ("identity", document(condition("ForAnyValue:StringLikeIfExists", "aws:PrincipalTag/team", "a*"))),
    ("identity", document(condition("NumericLessThan", "s3:TlsVersion", "1.2"))),
]

#: (kind, policy, what is said).
BAD: list[tuple[str, str | Mapping[str, Any], str]] = [
    ("identity", "{", "no JSON: "),
    ("identity", "[]", "a policy is a JSON object, not []"),
    (
        "identity",
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Effect": "Deny"}]}',
        "Effect is there twice",
    ),
    ("identity", document(), "Statement is empty"),
    ("identity", {"Version": "2008-10-17", "Statement": []}, "Version is '2008-10-17', accepted: 2012-10-17"),
    ("identity", document(allow("s3:GetObject", f"{BUCKET}/*"), Statements=[]), "unknown elements: Statements"),
    ("identity", document(allow("s3:GetObject", f"{BUCKET}/*", Ressource="*")), "unknown elements: Ressource"),
    (
        "identity",
        document(allow("s3:GetObject", f"{BUCKET}/*") | {"Effect": "allow"}),
        "Effect is 'allow', accepted: Allow, Deny",
    ),
    ("identity", document(allow("s3:GetObject", f"{BUCKET}/*", Sid="a b")), "Sid has other characters"),
    ("identity", document(*(allow("s3:GetObject", f"{BUCKET}/*", Sid="A"),) * 2), "Sid 'A' is there 2 times"),
    ("identity", document(allow("s3:GetObject")), "Resource is missing"),
    ("identity", document(allow([], f"{BUCKET}/*")), "Action is empty"),
    ("identity", document(allow("s3:GetObject", f"{BUCKET}/*", NotAction="s3:PutObject")), "Action is one too many"),
    # Principals.
    ("identity", document(allow("s3:GetObject", f"{BUCKET}/*", Principal="*")), "Principal is not allowed here"),
    ("trust", document(allow("sts:AssumeRole")), "Principal is missing"),
    ("trust", document(allow("sts:AssumeRole", "*", Principal=EC2)), "Resource is not allowed here"),
    (
        "trust",
        document(allow("sts:AssumeRole", Principal={"Service": "ec2"})),
        "Principal.Service is 'ec2', accepted: a name",
    ),
    (
        "trust",
        document(allow("sts:AssumeRole", Principal={"Services": "ec2.amazonaws.com"})),
        "Principal.Services, accepted: AWS",
    ),
    (
        "trust",
        document(allow("sts:AssumeRole", Principal={"AWS": "arn:aws:iam:eu-west-1:1:role/x"})),
        "region 'eu-west-1', accepted: none",
    ),
    (
        "trust",
        document(allow("sts:AssumeRole", Principal="everybody")),
        "Principal is 'everybody', accepted: * or a structure",
    ),
    (
        "trust",
        document(allow("sts:AssumeRole", Principal={"AWS": "*"})),
        "everybody is let in, and no condition says who",
    ),
    (
        "bucket",
        document(allow("s3:GetObject", f"{BUCKET}/*", Principal="*")),
        "everybody is let in, and no condition says who",
    ),
    # Actions.
    ("identity", document(allow("s3:GetObjects", f"{BUCKET}/*")), "'s3:GetObjects' is no action of s3"),
    ("identity", document(allow("s3:HeadObject", f"{BUCKET}/*")), "'s3:HeadObject' is no action of s3"),
    (
        "identity",
        document(allow("kms:ReEncrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1")),
        "'kms:ReEncrypt' is no action of kms",
    ),
    (
        "identity",
        document(allow("monitoring:PutMetricData", "*")),
        "'monitoring:PutMetricData' is of no service that is known",
    ),
    ("identity", document(allow("GetObject", f"{BUCKET}/*")), "'GetObject' is no action, accepted: service:Action"),
    ("identity", document(allow("s3:*", f"{BUCKET}/*")), "'s3:*' is a wildcard"),
    ("identity", document(allow("*", f"{BUCKET}/*")), "'*' is a wildcard"),
    ("identity", document({"Effect": "Deny", "Action": "s3:Frob*", "Resource": "*"}), "'s3:Frob*' is no action of s3"),
    (
        "identity",
        document({"Effect": "Allow", "NotAction": "iam:PassRole", "Resource": BUCKET}),
        "NotAction allows everything else",
    ),
    ("trust", document(allow("s3:GetObject", Principal=EC2)), "'s3:GetObject' has no meaning here, accepted: sts"),
    # Resources.
    ("identity", document(allow(["ec2:DescribeInstances", "s3:GetObject"], "*")), "could be exact for s3:GetObject"),
    ("identity", document(allow("s3:GetObject", "test-data/*")), "'test-data/*' is no ARN, accepted: arn:"),
    (
        "identity",
        document(allow("s3:GetObject", f"arn:aws:s3:{REGION}:{ACCOUNT}:x/*")),
        f"region '{REGION}', accepted: none",
    ),
    (
        "identity",
        document(allow("rds:DeleteDBInstance", f"arn:aws:rds:{REGION}:{ACCOUNT}:instance:x")),
        "resource 'instance:x', accepted: ",
    ),
    (
        "identity",
        document(allow("kms:Decrypt", f"arn:aws:kms:{REGION}:1234:key/x")),
        "account '1234', accepted: 12 digits",
    ),
    (
        "identity",
        document(allow("kms:Decrypt", f"arn:amazon:kms:{REGION}:{ACCOUNT}:key/x")),
        "partition 'amazon', accepted: aws",
    ),
    (
        "identity",
        document(allow("kms:Decrypt", f"arn:aws:kmss:{REGION}:{ACCOUNT}:key/x")),
        "the form of ARNs of 'kmss' is not known",
    ),
    (
        "identity",
        document({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": BUCKET}),
        "NotResource allows everything else",
    ),
    ("identity", document(allow("s3:GetObject", BUCKET)), "objects (arn:aws:s3:::bucket/*) have no such resource"),
    ("identity", document(allow("s3:ListBucket", [BUCKET, f"{BUCKET}/*"])), "has no such action"),
    (
        "identity",
        document(allow("secretsmanager:GetSecretValue", f"{BUCKET}/*")),
        "is allowed on none of its own resources, but on s3",
    ),
    (
        "bucket",
        document(allow("s3:GetObject", [f"{BUCKET}/*", f"{BUCKET}2/*"], Principal=ROOT)),
        "about that bucket alone",
    ),
    (
        "secret",
        document(allow("secretsmanager:GetSecretValue", SECRET, Principal=ROOT)),
        "accepted: *, which means this secret",
    ),
    ("key", document(allow("kms:Decrypt", "*", Principal=ROOT)), "nobody may change the policy (kms:PutKeyPolicy)"),
    # Conditions.
    ("identity", document(condition("StringEqual", "aws:SourceAccount", ACCOUNT)), "'StringEqual' is no operator"),
    ("identity", document(condition("NullIfExists", "aws:SourceAccount", "true")), "'NullIfExists' is no operator"),
    ("identity", document(condition("StringEquals", "aws:SourceAcount", ACCOUNT)), "'aws:SourceAcount' is no key"),
    ("identity", document(condition("StringEquals", "kms:TlsVersion", "1.2")), "'kms:TlsVersion' is no key"),
    ("identity", document(condition("Bool", "aws:SecureTransport", "no")), "is 'no', accepted: true, false"),
    ("identity", document(condition("ArnLike", "aws:SourceArn", "test")), "is 'test', which is no ARN"),
    ("identity", document(condition("StringEquals", "aws:SourceAccount", "1234")), "is '1234', accepted: 12 digits"),
    ("identity", document(allow("s3:GetObject", f"{BUCKET}/*", Condition={"Bool": {}})), "Bool has no keys"),
    ("identity", document(allow("s3:GetObject", f"{BUCKET}/*", Condition="x")), "accepted: operators with their keys"),
]


@pytest.mark.parametrize(("kind", "policy"), GOOD)
def test_what_iam_takes_passes(kind: str, policy: Mapping[str, Any]) -> None:
    assert iam.check(policy, kind) == []
    assert iam.check(json.dumps(policy), kind) == []


@pytest.mark.parametrize(("kind", "policy", "message"), BAD)
def test_what_is_wrong_is_found(kind: str, policy: str | Mapping[str, Any], message: str) -> None:
    problems = iam.check(policy, kind)
    assert any(message in each for each in problems), problems


@pytest.mark.parametrize(
    ("kind", "limit"), [("identity", 6144), ("inline", 10240), ("bucket", 20480), ("trust", 2048), ("key", 32768)]
)
def test_a_policy_has_a_size(kind: str, limit: int) -> None:
    def grown(by: int) -> dict[str, Any]:
        more = {} if kind == "trust" else {"Resource": "*" if kind == "key" else [f"{BUCKET}/*"]}
        who = {"Principal": ROOT} if kind in ("trust", "bucket", "key") else {}
        action = {"trust": "sts:AssumeRole", "key": "kms:PutKeyPolicy"}.get(kind, "s3:GetObject")
        return document({"Sid": "A" * by, "Effect": "Allow", "Action": action, **more, **who})

    fitting = limit - iam.size(grown(0))
    assert iam.check(json.dumps(grown(fitting), indent=4), kind) == []
    assert iam.check(grown(fitting + 1), kind) == [f"{limit + 1} characters, accepted: {limit}"]


def test_a_problem_says_in_which_statement() -> None:
    policy = document(allow("s3:Get", f"{BUCKET}/*", Sid="Read"), allow("s3:Put", f"{BUCKET}/*"))
    assert [each.partition(":")[0] for each in iam.check(policy, "identity") if "no action" in each] == [
        "Read",
        "Statement[1]",
    ]


@pytest.mark.parametrize(
    "action",
    [
        "acm:RequestCertificate",
        "autoscaling:CompleteLifecycleAction",
        "cloudwatch:PutMetricData",
        "ec2:DescribeInstances",
        "elasticache:Connect",
        "elasticloadbalancing:RegisterTargets",
        "iam:PassRole",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "lambda:InvokeFunction",
        "logs:CreateLogDelivery",
        "logs:PutLogEvents",
        "rds:DescribeDBInstances",
        "s3:GetObjectVersion",
        "s3:ListBucketMultipartUploads",
        "secretsmanager:GetSecretValue",
        "sns:Publish",
        "SNS:publish",
        "ssm:GetParametersByPath",
        "ssm:UpdateInstanceInformation",
        "ssmmessages:OpenControlChannel",
        "sts:AssumeRole",
        "wafv2:GetWebACL",
    ],
)
def test_an_action_is_known(action: str) -> None:
    assert iam_actions.problem(action) is None


def test_every_action_without_a_resource_level_exists() -> None:
    for pattern in statements.NO_RESOURCE_LEVEL:
        prefixes = pattern.partition(":")[0].strip("()").split("|")
        for prefix in prefixes:
            known = iam_actions.actions(prefix)
            # X-Ray and Cost Explorer have models; the agents' channels a table.
            assert known, prefix


def test_an_unknown_kind_of_arn_has_no_form() -> None:
    assert iam_arns.problem("arn:aws:s3:::test-*/*") is None
    assert iam_arns.problem(f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/*") is None
    assert iam_arns.service("x") == iam_arns.resource("x") == ""


def test_policies_of_a_recording_are_found_and_counted() -> None:
    def program() -> None:
        EncryptionKey("key", KeyArgs(context=context(), purpose="data", services=list(SERVICES)))

    report = iam.check_resources(record(program, stack="test").resources)
    assert (report.findings, report.documents) == ([], 1)
    assert report.statements >= 8
    assert report.actions["kms:Decrypt"] >= 5
    assert str(report).startswith("1 policies, ")


def test_the_keys_policy_is_judged_as_one_of_a_key() -> None:
    policy = key_policy(context(), ["rds"], REGION)
    policy["Statement"] = policy["Statement"][1:]
    key = Resource(type="aws:kms/key:Key", name="key", inputs={"policy": json.dumps(policy)})
    (finding,) = iam.check_resources([key]).findings
    assert finding.startswith("key.policy: nobody may change the policy")


def test_inline_policies_of_a_role_share_their_size() -> None:
    big = document(allow("s3:GetObject", [f"{BUCKET}/{'x' * 900}/{number}/*" for number in range(6)]))
    policies = [
        Resource(
            type="aws:iam/rolePolicy:RolePolicy", name=f"p{number}", inputs={"role": "app", "policy": json.dumps(big)}
        )
        for number in range(2)
    ]
    assert iam.check_resources(policies[:1]).findings == []
    (finding,) = iam.check_resources(policies).findings
    assert finding.startswith("role app: its inline policies have 11")


def test_what_a_preview_does_not_know_is_counted() -> None:
    role = Resource(
        type="aws:iam/role:Role",
        name="role",
        inputs={
            "assumeRolePolicy": json.dumps(document(allow("sts:AssumeRole", Principal=EC2))),
            "inlinePolicies": [{"name": "x", "policy": UNKNOWN}],
        },
    )
    report = iam.check_resources([role, Resource(type="stackwright:local:Host", name="x")])
    assert (report.findings, report.documents, report.unknown) == ([], 1, 1)
    assert dict(report.actions) == {"sts:AssumeRole": 1}
