"""The operator's policies: every resource of every environment is covered, and nothing that has another's name."""

from __future__ import annotations

import fnmatch
import importlib
import json
import re
from dataclasses import dataclass
from typing import Any

import pulumi
import pytest
from environments import ENVIRONMENTS, GOLDEN, ROOT
from typer.testing import CliRunner

from stackwright.cli import app as cli
from stackwright.infra.aws.context import Context
from stackwright.infra.aws.operator_policy import LIMIT, actions, policies
from stackwright.testing.aws_models import iam, iam_actions

ACCOUNT = "111122223333"
#: Type -> what makes it, and its ARN by the inputs; of the services whose resources have names.
NAMED: dict[str, tuple[str, str]] = {
    "aws:autoscaling/group:Group": (
        "autoscaling:CreateAutoScalingGroup",
        "autoscaling:{region}:{account}:autoScalingGroup:1-2:autoScalingGroupName/{name}",
    ),
    "aws:budgets/budget:Budget": ("budgets:ModifyBudget", "budgets::{account}:budget/{name}"),
    "aws:cloudwatch/dashboard:Dashboard": (
        "cloudwatch:PutDashboard",
        "cloudwatch::{account}:dashboard/{dashboardName}",
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:{region}:{account}:alarm:{name}",
    ),
    "aws:iam/instanceProfile:InstanceProfile": (
        "iam:CreateInstanceProfile",
        "iam::{account}:instance-profile/{name}",
    ),
    "aws:iam/role:Role": ("iam:CreateRole", "iam::{account}:role/{name}"),
    "aws:s3/bucket:Bucket": ("s3:CreateBucket", "s3:::{bucket}"),
    "aws:secretsmanager/secret:Secret": (
        "secretsmanager:CreateSecret",
        "secretsmanager:{region}:{account}:secret:{name}-a1B2c3",
    ),
    "aws:sns/topic:Topic": ("sns:CreateTopic", "sns:{region}:{account}:{name}"),
    "aws:ssm/parameter:Parameter": ("ssm:PutParameter", "ssm:{region}:{account}:parameter{name}"),
}


@dataclass(frozen=True, kw_only=True)
class Golden:
    """A resource of a golden graph."""

    type: str
    inputs: dict[str, Any]


def golden(name: str) -> list[Golden]:
    graph = json.loads((GOLDEN / f"{name}.json").read_text())
    return [Golden(type=key.split(" ")[0], inputs=value) for key, value in graph.items()]


def made(name: str) -> dict[str, dict[str, Any]]:
    context = Context(
        environment=name, system="taaleem", environment_class="staging", account=ACCOUNT, region="eu-central-1"
    )
    return policies(context, golden(name))


def statements(name: str) -> dict[str, dict[str, Any]]:
    return {each["Sid"]: each for policy in made(name).values() for each in policy["Statement"]}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_resource_is_covered_by_policies_that_iam_takes(name: str) -> None:
    found = made(name)
    assert list(found) == [f"{name}-operator-{number}" for number in range(1, len(found) + 1)]
    # The quota of managed policies of a role.
    assert len(found) <= 10
    for policy in found.values():
        assert len(json.dumps(policy, separators=(",", ":"))) <= LIMIT
        # What looks, or has an id that AWS chooses, is of any resource.
        assert [each for each in iam.check(policy, "identity") if "could be exact" not in each] == []
    allowed = {action for each in statements(name).values() for action in each["Action"]}
    asked = actions(each.type for each in golden(name))
    assert {f"{service}:{action}" for service, names in asked.items() for action in names} <= allowed


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_named_resources_are_within_the_patterns_and_those_of_others_are_not(name: str) -> None:
    by_action = {action: each["Resource"] for each in statements(name).values() for action in each["Action"]}
    seen = set()
    for resource in golden(name):
        if resource.type in NAMED:
            action, form = NAMED[resource.type]
            own = {"region": "eu-central-1", "account": ACCOUNT} | resource.inputs
            arn = f"arn:aws:{form.format(**own)}"
            assert any(fnmatch.fnmatchcase(arn, each) for each in by_action[action]), arn
            other = arn.replace(name, "other")
            assert not any(fnmatch.fnmatchcase(other, each) for each in by_action[action]), other
            seen.add(resource.type)
    assert len(seen) >= 6


def test_the_table_has_every_resource_that_a_component_makes() -> None:
    types = set()
    for file in sorted((ROOT / "src/stackwright/infra/aws").glob("*.py")):
        for module, kind in re.findall(r"\baws\.(\w+)\.([A-Z]\w+)\(", file.read_text()):
            found = getattr(importlib.import_module(f"pulumi_aws.{module}"), kind)
            if issubclass(found, pulumi.CustomResource):
                types.add(f"aws:{module}/{kind[0].lower()}{kind[1:]}:{kind}")
    assert len(types) > 60
    actions(types)


def test_every_action_is_one_that_iam_has() -> None:
    from stackwright.infra.aws.operator_actions import BY_TYPE

    found = actions(f"aws:{each}" for each in BY_TYPE)
    problems = (iam_actions.problem(f"{service}:{name}") for service, names in found.items() for name in names)
    assert [each for each in problems if each] == []


def test_a_type_without_actions_is_named() -> None:
    with pytest.raises(ValueError, match="no actions are known for sqs/queue:Queue: add them to BY_TYPE"):
        actions(["aws:sqs/queue:Queue", "stackwright:aws:Hosts", "pulumi:pulumi:Stack"])


def test_sessions_are_with_servers_of_the_environment_alone() -> None:
    found = statements("taaleem-staging")
    assert found["Sessions"]["Condition"] == {
        "StringEquals": {"aws:ResourceTag/stackwright:environment": "taaleem-staging"}
    }
    assert not any("ssm:StartSession" in each["Action"] for sid, each in found.items() if "Session" not in sid)


def test_only_roles_of_the_environment_can_be_passed_on() -> None:
    for each in statements("taaleem-production").values():
        if "iam:PassRole" in each["Action"]:
            assert all(f"::{ACCOUNT}:" in arn and "/taaleem-production-*" in arn for arn in each["Resource"])


def test_what_has_no_name_is_bound_to_the_regions_of_the_graph() -> None:
    found = statements("taaleem-production")
    regions = found["Ec2"]["Condition"]["StringEquals"]["aws:RequestedRegion"]
    assert regions == ["eu-central-1", "eu-west-1", "us-east-1"]


def test_the_command_prints_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(cli.app, ["operator-policy", "taaleem-staging"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.output) == json.loads(json.dumps(made("taaleem-staging")))


def test_no_policy_where_there_is_no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(cli.app, ["operator-policy", "taaleem-local"])
    assert done.exit_code != 0
    assert "taaleem-local is on local; must be on aws" in str(done.exception)
