"""`stackwright status` of what AWS runs: what is asked, what is said of it, and that one refusal hides nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.model import ListShape, Shape, StructureShape
from environments import ROOT
from environments import run as record_environment
from rich.console import Console

from stackwright.cli import status
from stackwright.infra.aws.aws_cli import AwsCliError
from stackwright.infra.aws.cloud_status import CloudStatus, Line
from stackwright.model.environment import Environment, load

NAME, REGION = "taaleem-production", "eu-central-1"
GROUP = f"{NAME}-app"
TARGETS = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/x/1"
SESSION = botocore.session.get_session()


def server(number: int, state: str = "InService", version: str = "7", health: str = "Healthy") -> dict[str, Any]:
    return {
        "InstanceId": f"i-000000000000000{number:02}",
        "AvailabilityZone": f"{REGION}{'abc'[number % 3]}",
        "LifecycleState": state,
        "HealthStatus": health,
        "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": version},
    }


def target(number: int, state: str = "healthy", **more: str) -> dict[str, Any]:
    return {"Target": {"Id": f"i-000000000000000{number:02}"}, "TargetHealth": {"State": state, **more}}


def well() -> dict[str, Any]:
    """What AWS answers of an environment that is well."""
    return {
        "describe-auto-scaling-groups": {
            "AutoScalingGroups": [
                {
                    "AutoScalingGroupName": GROUP,
                    "DesiredCapacity": 2,
                    "MinSize": 2,
                    "MaxSize": 4,
                    "TargetGroupARNs": [TARGETS],
                    "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "7"},
                    "Instances": [server(2), server(1), server(3, "Warmed:Stopped")],
                }
            ]
        },
        "describe-target-health": {"TargetHealthDescriptions": [target(1), target(2)]},
        "describe-instance-refreshes": {"InstanceRefreshes": [{"Status": "Successful", "PercentageComplete": 100}]},
        "describe-db-instances": {
            "DBInstances": [
                {
                    "DBInstanceIdentifier": f"{NAME}-database",
                    "DBInstanceStatus": "available",
                    "MultiAZ": True,
                    "AvailabilityZone": f"{REGION}a",
                    "PendingModifiedValues": {},
                }
            ]
        },
        "describe-replication-groups": {
            "ReplicationGroups": [
                {
                    "ReplicationGroupId": f"{NAME}-{purpose}",
                    "Status": "available",
                    "AutomaticFailover": "enabled",
                    "MemberClusters": ["a", "b"],
                }
                for purpose in ("cache", "rate-limit", "sessions")
            ]
        },
        "describe-alarms": {"MetricAlarms": [], "CompositeAlarms": []},
    }


class Aws:
    """Answers; every option and every answer is one that AWS's own model has."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers, self.asked = answers, list[list[str]]()

    def __call__(self, argv: Sequence[str], given: Mapping[str, Any] | None = None, hide: Sequence[str] = ()) -> str:
        assert (given, hide) == (None, ())
        self.asked.append(list(argv))
        program, service, verb, *options = argv
        assert program == "aws"
        model = SESSION.get_service_model(service)
        operation = next(each for each in model.operation_names if xform_name(each, "-") == verb)
        shapes = model.operation_model(operation)
        known = {f"--{xform_name(each, '-')}" for each in shapes.input_shape.members}
        known |= {"--region", "--output", "--page-size", "--max-items"}
        assert {each for each in options if each.startswith("--")} <= known
        answer = self.answers[verb]
        if callable(answer):
            answer = answer(options)
        if isinstance(answer, Exception):
            raise answer
        require_known(answer, shapes.output_shape, verb)
        return json.dumps(answer)


def require_known(value: Any, shape: Shape, path: str) -> None:
    if isinstance(shape, StructureShape):
        for key, inner in value.items():
            assert key in shape.members, f"{path}.{key}"
            require_known(inner, shape.members[key], f"{path}.{key}")
    elif isinstance(shape, ListShape):
        for each in value:
            require_known(each, shape.member, f"{path}[]")


@pytest.fixture(scope="module")
def environment() -> Environment:
    return load(ROOT / "inventories" / NAME)


def lines(environment: Environment, answers: Mapping[str, Any]) -> list[Line]:
    return list(CloudStatus(environment=environment, region=REGION, ask=Aws(answers)).lines())


def said(environment: Environment, answers: Mapping[str, Any]) -> list[str]:
    """What is not well."""
    return [f"{each.kind} {each.name}: {each.state}" for each in lines(environment, answers) if not each.good]


def test_an_environment_that_is_well(environment: Environment) -> None:
    assert [(each.kind, each.name, each.location, each.state) for each in lines(environment, well())] == [
        ("servers", GROUP, "", "2 of 2 serve (between 2 and 4)"),
        ("server", "i-00000000000000003", f"{REGION}a", "Warmed:Stopped, not with the load balancer"),
        ("server", "i-00000000000000001", f"{REGION}b", "InService, healthy"),
        ("server", "i-00000000000000002", f"{REGION}c", "InService, healthy"),
        ("database", f"{NAME}-database", f"{REGION}a", "available, with a standby"),
        ("cache", f"{NAME}-sessions", "sessions", "available, 2 nodes, failover enabled"),
        ("cache", f"{NAME}-cache", "cache", "available, 2 nodes, failover enabled"),
        ("cache", f"{NAME}-rate-limit", "rate_limit", "available, 2 nodes, failover enabled"),
        ("alarms", "", "", "none rings"),
    ]
    assert said(environment, well()) == []


def test_the_names_are_those_of_the_program(project: Path, environment: Environment) -> None:
    recording = record_environment(project, NAME)
    asked = {each.name for each in lines(environment, well()) if each.kind in ("servers", "database", "cache")}
    named = [
        resource.inputs.get(key)
        for resource in recording.resources
        for key in ("name", "identifier", "replicationGroupId")
        if resource.type.startswith(
            ("aws:autoscaling/group:", "aws:rds/instance:", "aws:elasticache/replicationGroup:")
        )
    ]
    assert asked <= set(named), named


def test_servers_that_do_not_serve_or_are_of_another_version(environment: Environment) -> None:
    answers = well()
    group = answers["describe-auto-scaling-groups"]["AutoScalingGroups"][0]
    group["Instances"] = [server(1, "Pending:Wait"), server(2, version="6"), server(3, health="Unhealthy")]
    answers["describe-target-health"]["TargetHealthDescriptions"] = [
        target(2),
        target(3, "unhealthy", Description="Health checks failed with these codes: [502]"),
    ]
    refresh = {"Status": "InProgress", "PercentageComplete": 50}
    answers["describe-instance-refreshes"]["InstanceRefreshes"] = [refresh]
    assert said(environment, answers) == [
        f"servers {GROUP}: 1 of 2 serve (between 2 and 4)",
        "server i-00000000000000003: InService, unhealthy Health checks failed with these codes: [502], to be replaced",
        "server i-00000000000000001: Pending:Wait, not with the load balancer",
        "server i-00000000000000002: InService, healthy, version 6 of 7",
    ]
    assert [each.state for each in lines(environment, answers) if each.kind == "replacement"] == ["InProgress, 50 %"]
    refresh |= {"Status": "Failed", "StatusReason": "no server became healthy"}
    assert f"replacement {GROUP}: Failed, 50 %: no server became healthy" in said(environment, answers)


def test_data_that_is_away_and_alarms_that_ring(environment: Environment) -> None:
    answers = well()
    instance = answers["describe-db-instances"]["DBInstances"][0]
    instance |= {
        "DBInstanceStatus": "storage-full",
        "MultiAZ": False,
        "PendingModifiedValues": {"AllocatedStorage": 200},
    }
    answers["describe-replication-groups"]["ReplicationGroups"][0]["Status"] = "modifying"
    answers["describe-replication-groups"]["ReplicationGroups"].pop()
    rings = {"AlarmName": f"{NAME}-database-storage", "StateUpdatedTimestamp": "2026-11-23T03:12:00+00:00"}
    answers["describe-alarms"]["MetricAlarms"] = [rings]
    assert said(environment, answers) == [
        f"database {NAME}-database: storage-full, without a standby, waits for its hour of maintenance: AllocatedStorage",
        f"cache {NAME}-sessions: is not there: stackwright up {NAME}",
        f"cache {NAME}-cache: modifying, 2 nodes, failover enabled",
        f"alarm {NAME}-database-storage: rings since 2026-11-23T03:12:00+00:00",
    ]


def test_what_is_not_there(environment: Environment) -> None:
    answers = well()
    answers["describe-auto-scaling-groups"]["AutoScalingGroups"] = []
    answers["describe-db-instances"]["DBInstances"] = []
    remedy = f"is not there: stackwright up {NAME}"
    assert said(environment, answers) == [f"servers {GROUP}: {remedy}", f"database {NAME}-database: {remedy}"]


def test_a_group_of_several_types_has_a_version_too(environment: Environment) -> None:
    answers = well()
    group = answers["describe-auto-scaling-groups"]["AutoScalingGroups"][0]
    template = group.pop("LaunchTemplate")
    group["MixedInstancesPolicy"] = {"LaunchTemplate": {"LaunchTemplateSpecification": template}}
    assert said(environment, answers) == []


def test_what_may_not_be_asked_hides_nothing_else(environment: Environment) -> None:
    answers = well()
    refused = AwsCliError("`aws rds describe-db-instances` failed: An error occurred (AccessDenied)", "AccessDenied")
    answers["describe-db-instances"] = refused
    assert said(environment, answers) == [f"database : cannot be asked: {refused}"]
    assert len(lines(environment, answers)) == len(lines(environment, well()))


@pytest.mark.parametrize("width", [80, 140])
def test_what_a_person_sees(environment: Environment, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    asked: list[Sequence[str]] = []
    monkeypatch.setattr("stackwright.infra.aws.aws_cli.ask", Aws(well()))
    found = status.ask(Said(asked), environment, {"hosts": {}, "apps": {}})  # type: ignore[arg-type]
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    status.show(console, found)
    text = console.export_text()
    assert all(len(line) <= width for line in text.splitlines())
    shown = "".join(text.split())
    for each in lines(environment, well()):
        assert "".join(each.state.split()) in shown or width == 80
    assert asked[0][1:3] == ["autoscaling", "describe-auto-scaling-groups"]
    assert len(asked) == 6
    assert (found.state, found.exit_code) == ("ok", 0)


def test_how_urgent_it_is(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    def states(answers: Mapping[str, Any]) -> set[tuple[str, str]]:
        monkeypatch.setattr("stackwright.infra.aws.aws_cli.ask", Aws(answers))
        found = status.ask(Said([]), environment, {"hosts": {}, "apps": {}})  # type: ignore[arg-type]
        return {(each.state, each.name.partition(" ")[0]) for each in found.findings if each.state != "ok"}

    answers = well()
    answers["describe-alarms"]["MetricAlarms"] = [{"AlarmName": "x", "StateUpdatedTimestamp": "2026-11-23T03:12:00Z"}]
    answers["describe-auto-scaling-groups"]["AutoScalingGroups"][0]["Instances"][0] = server(2, version="6")
    answers["describe-replication-groups"] = AwsCliError("AccessDenied")
    assert states(answers) == {("critical", "alarm"), ("warning", "server"), ("unknown", "cache")}


class Said:
    """A runner that notes what it would print."""

    def __init__(self, commands: list[Sequence[str]]) -> None:
        self.commands = commands

    def say(self, argv: Sequence[str]) -> None:
        self.commands.append(argv)

    def results(self, *_: Any) -> list[Any]:
        """Of a host that is none of this."""
        return [{"host": "ops1"}]
