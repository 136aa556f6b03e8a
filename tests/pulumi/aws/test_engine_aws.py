"""The real engine with the recording provider: what mocks cannot show of a program for AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from stackwright.infra import engine
from stackwright.testing import aws
from stackwright.testing.aws import journal

pytestmark = [pytest.mark.cli, pytest.mark.timeout(300)]

ACCOUNT = "111122223333"
CANARY = "canary-4f1d0c9b7e"
STACK = "recorded"

PROGRAM = """
import json
import pathlib
import pulumi
import pulumi_aws as aws

shape = json.loads(pathlib.Path("shape.json").read_text())
provider = aws.Provider(
    "test-aws", region=shape.get("region"), allowed_account_ids=["111122223333"],
    default_tags={"tags": {"owner": "test"}},
)
own = pulumi.ResourceOptions(provider=provider)

vpc = aws.ec2.Vpc("vpc", cidr_block="10.20.0.0/16", tags={"Name": shape.get("vpc", "test")}, opts=own)
subnet = aws.ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.20.0.0/20", opts=own)
renamed = shape.get("renamed", False)
group = aws.ec2.SecurityGroup(
    "firewall" if renamed else "group", vpc_id=vpc.id, description=shape.get("description", "Database"),
    name=shape.get("group_name"),
    egress=[{shape.get("key", "from_port"): 443, "to_port": 443, "protocol": "tcp"}],
    opts=pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(aliases=[pulumi.Alias(name="group")] if renamed else None)),
)
rule = aws.vpc.SecurityGroupIngressRule(
    "rule", security_group_id=group.id, ip_protocol="tcp", from_port=5432, to_port=5432, cidr_ipv4="10.20.0.0/16", opts=own
)
subnets = aws.rds.SubnetGroup("subnets", subnet_ids=[subnet.id], opts=own)
if shape.get("database", True):
    database = aws.rds.Instance(
        "database", identifier="test-db", instance_class="db.t4g.medium", engine="postgres", allocated_storage=20,
        username="admin", password=pulumi.Output.secret(shape["password"]), db_subnet_group_name=subnets.name,
        vpc_security_group_ids=[group.id], skip_final_snapshot=True,
        opts=pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(protect=shape.get("protect", True))),
    )
    pulumi.export("address", database.address)
for number in range(shape.get("more", 0)):
    aws.cloudwatch.LogGroup(f"log{number}", name=f"/test/{number}", retention_in_days=30, opts=own)
pulumi.export("vpc", vpc.id)
pulumi.export("account", aws.get_caller_identity_output(opts=pulumi.InvokeOptions(provider=provider)).account_id)
"""

RESOURCES = {"vpc", "subnet", "group", "rule", "subnets", "database"}


class Project:
    """A Pulumi project in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        self.failures = folder / "failures.json"
        (folder / "program").mkdir()
        (folder / "state").mkdir()
        (folder / "program/Pulumi.yaml").write_text("name: recorded\nruntime: python\n")
        (folder / "program/__main__.py").write_text(PROGRAM)
        cli = str(engine.cli().parent)
        plugin = aws.environment(aws.install(folder / "bin"), journal=self.journal, failures=self.failures)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PULUMI_"))},
            **plugin,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), cli, plugin["PATH"]]),
            "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "not a secret",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        self.order()
        self.shape()
        self.ok("stack", "init", STACK)

    def shape(self, **values: Any) -> None:
        found = {"region": "eu-central-1", "password": CANARY, **values}
        (self.folder / "program/shape.json").write_text(json.dumps(found))

    def order(self, *failures: dict[str, Any]) -> None:
        """Failures to be made from now on."""
        self.failures.with_suffix(".done").unlink(missing_ok=True)
        self.failures.write_text(json.dumps(failures))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.folder / "program",
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def up(self) -> dict[str, int]:
        """How many resources of AWS were created, updated, ..."""
        self.ok("up", "--yes", "--skip-preview")
        history = (self.folder / "state/.pulumi/history").rglob("*.history.json")
        newest = max(history, key=lambda path: path.stat().st_mtime_ns)
        changes: dict[str, int] = json.loads(newest.read_text())["resourceChanges"]
        return {kind: number for kind, number in changes.items() if number}

    def fails(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def done(self, *operations: str) -> list[str]:
        """What was done, without what failed: `create vpc`."""
        found = journal.read(self.journal, *(operations or ("create", "update", "delete")))
        return [f"{each.operation} {each.name}" for each in found if not each.error]

    def forget(self) -> None:
        """Begin a new journal."""
        self.journal.unlink(missing_ok=True)

    def state(self) -> str:
        return (self.folder / f"state/.pulumi/stacks/recorded/{STACK}.json").read_text()

    def resources(self) -> dict[str, dict[str, Any]]:
        found = json.loads(self.state())["checkpoint"]["latest"].get("resources", [])
        return {each["urn"].rsplit("::", 1)[-1]: each for each in found if each["type"].startswith("aws:")}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    try:
        engine.cli()
    except engine.EngineError as error:
        pytest.skip(str(error))
    return Project(tmp_path)


def created(names: Iterable[str]) -> set[str]:
    return {f"create {each}" for each in names}


def test_preview_up_and_up_again(project: Project) -> None:
    preview = json.loads(project.ok("preview", "--json"))
    steps = {each["urn"].rsplit("::", 1)[-1]: each for each in preview["steps"]}
    subnet = steps["subnet"]["newState"]
    # The id of a network that is not there yet is known to nobody.
    assert subnet["inputs"]["cidrBlock"] == "10.20.0.0/20"
    assert "vpc-" not in json.dumps(subnet)
    assert project.done() == []
    assert not project.resources()

    project.up()
    assert set(project.done()) == created(RESOURCES)
    resources = project.resources()
    assert resources["subnet"]["inputs"]["vpcId"] == resources["vpc"]["id"]
    assert resources["vpc"]["outputs"]["tagsAll"] == {"Name": "test", "owner": "test"}
    outputs = json.loads(project.ok("stack", "output", "--json"))
    assert outputs["account"] == ACCOUNT
    assert outputs["vpc"] == resources["vpc"]["id"]
    assert outputs["address"].startswith("test-db.")
    assert resources["database"]["outputs"]["port"] == 5432

    project.forget()
    assert set(project.up()) == {"same"}
    project.ok("refresh", "--yes", "--skip-preview")
    assert set(project.up()) == {"same"}
    assert project.done() == []

    project.shape(vpc="other")
    assert project.up()["update"] == 1
    assert project.done() == ["update vpc"]
    assert project.resources()["vpc"]["outputs"]["tagsAll"]["Name"] == "other"
    assert project.resources()["vpc"]["outputs"]["arn"] == resources["vpc"]["outputs"]["arn"]


def test_a_secret_is_encrypted_in_the_state_and_masked_in_the_journal(project: Project) -> None:
    project.up()
    for text in (project.state(), project.journal.read_text(), project.ok("stack", "export")):
        assert CANARY not in text
    password = project.resources()["database"]["outputs"]["password"]
    assert password["ciphertext"]
    assert CANARY in project.ok("stack", "export", "--show-secrets")
    (entry,) = (each for each in journal.read(project.journal, "create") if each.name == "database")
    assert entry.inputs["password"] == "[secret]"

    project.shape(password=f"{CANARY}2")
    shown = project.ok("preview", "--diff")
    assert "password" in shown
    assert CANARY not in shown
    assert project.up()["update"] == 1


def test_a_misspelled_key_stops_everything_before_anything_is_there(project: Project) -> None:
    project.shape(key="fromPorts")
    shown = project.fails("preview")
    assert "fromPorts" in shown
    assert "did you mean fromPort?" in shown
    # The preview of `up` stops it. Without one, what depends on nothing wrong would be made first.
    project.fails("up", "--yes")
    assert project.done() == []


def test_a_secret_of_the_wrong_type_is_not_shown(project: Project) -> None:
    project.shape(password={"inner": CANARY})
    shown = project.fails("preview")
    assert "has to be a string, not an object" in shown
    assert CANARY not in shown


def test_a_replacement_makes_the_new_one_before_the_old_one_goes(project: Project) -> None:
    project.up()
    before = project.resources()
    project.forget()
    # The group was named by the provider, hence both can be there at once.
    project.shape(description="Another purpose")
    shown = project.ok("preview", "--diff")
    assert "replace" in shown
    assert project.up()["replace"] >= 1
    done = project.done()
    order = [done.index(each) for each in ("create group", "create rule", "delete rule", "delete group")]
    assert done.index("update database") < done.index("delete group")
    assert order == sorted(order)
    after = project.resources()
    assert after["group"]["id"] != before["group"]["id"]
    assert after["database"]["inputs"]["vpcSecurityGroupIds"] == [after["group"]["id"]]


def test_a_replacement_under_the_same_name_deletes_first(project: Project) -> None:
    project.shape(group_name="fixed", database=False)
    project.up()
    project.forget()
    project.shape(group_name="fixed", database=False, description="Another purpose")
    project.up()
    done = project.done()
    assert done.index("delete group") < done.index("create group")
    # What depends on it goes before it.
    assert done.index("delete rule") < done.index("delete group")


def test_what_is_protected_is_not_deleted(project: Project) -> None:
    project.up()
    project.shape(database=False)
    shown = project.fails("up", "--yes", "--skip-preview")
    assert "protect" in shown
    assert "database" in project.resources()
    assert "protect" in project.fails("destroy", "--yes", "--skip-preview")
    assert "delete database" not in project.done()


def test_an_alias_keeps_a_resource_that_was_renamed(project: Project) -> None:
    project.up()
    before = project.resources()["group"]["id"]
    project.forget()
    project.shape(renamed=True)
    assert set(project.up()) == {"same"}
    assert project.done() == []
    assert project.resources()["firewall"]["id"] == before


def test_a_failure_half_way_is_gone_on_with(project: Project) -> None:
    project.order({"operation": "create", "resource": "group", "message": "VpcLimitExceeded: ordered"})
    shown = project.fails("up", "--yes", "--skip-preview")
    assert "VpcLimitExceeded: ordered" in shown
    first = set(project.done())
    assert "create vpc" in first
    assert not {"create group", "create rule", "create database"} & first
    (failed,) = (each for each in journal.read(project.journal, "create") if each.error)
    assert failed.name == "group"

    # `times` is 1: the same command goes on from there, and makes nothing twice.
    project.forget()
    project.up()
    assert set(project.done()) == created(RESOURCES) - first
    assert set(project.up()) == {"same"}


def test_destroy_takes_dependants_first(project: Project) -> None:
    project.shape(protect=False)
    project.up()
    project.forget()
    project.ok("destroy", "--yes", "--skip-preview")
    deleted = {each.name: each for each in journal.read(project.journal, "delete")}
    assert set(deleted) == RESOURCES
    for dependant, dependency in (
        ("database", "subnets"), ("database", "group"), ("rule", "group"), ("subnets", "subnet"), ("subnet", "vpc"),
        ("group", "vpc"),
    ):  # fmt: skip
        assert deleted[dependant].ended <= deleted[dependency].began, (dependant, dependency)


def test_a_deletion_that_fails_keeps_the_resource(project: Project) -> None:
    project.shape(protect=False)
    project.up()
    project.order({"operation": "delete", "resource": "aws:rds/instance:Instance", "times": 0, "message": "InUse"})
    assert "InUse" in project.fails("destroy", "--yes", "--skip-preview")
    assert {"database", "subnets", "vpc"} <= project.resources().keys()
    project.order()
    project.ok("destroy", "--yes", "--skip-preview")
    assert not project.resources()


def test_without_a_region_nothing_begins(project: Project) -> None:
    project.shape(region=None)
    assert "has no region" in project.fails("up", "--yes", "--skip-preview")
    assert project.done() == []


def test_another_account_is_refused(project: Project) -> None:
    project.environment[aws.ACCOUNT] = "444455556666"
    assert "AWS account ID not allowed: 444455556666" in project.fails("up", "--yes", "--skip-preview")
    assert project.done() == []


def test_the_plugin_does_not_run_without_a_journal(project: Project) -> None:
    del project.environment[aws.JOURNAL]
    shown = project.fails("up", "--yes", "--skip-preview")
    assert "it makes nothing at AWS" in shown
