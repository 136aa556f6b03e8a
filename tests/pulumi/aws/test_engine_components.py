"""Components on the real engine: under another name, and as the package that other languages use."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from test_engine_aws import Project

from stackwright.infra import engine
from stackwright.testing.aws import journal

pytestmark = [pytest.mark.cli, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "pulumi/components"
SCHEMA = ROOT / "schemas/aws-components.schema.json"
COMPONENT = "stackwright:aws:Database"

PROGRAM = """
import json
import pathlib
import pulumi
import pulumi_aws as aws
from stackwright.infra.aws import Context, Database, DatabaseArgs

shape = json.loads(pathlib.Path("shape.json").read_text())
provider = aws.Provider("test-aws", region="eu-central-1", allowed_account_ids=["111122223333"])
aliases = [pulumi.Alias(name=shape["former"])] if "former" in shape else None
opts = pulumi.ResourceOptions(providers=[provider], aliases=aliases)
context = {
    "environment": "test", "system": "taaleem", "environment_class": "production", "account": "111122223333",
    "region": "eu-central-1",
}
vpc = aws.ec2.Vpc("vpc", cidr_block="10.20.0.0/16", opts=pulumi.ResourceOptions(provider=provider))
own = {
    "vpc_id": vpc.id, "subnet_ids": ["subnet-a", "subnet-b"], "clients": {"Applications": "sg-app"},
    "instance_class": "db.m7g.large", "storage_gb": 100, "max_storage_gb": 400,
    "kms_key_arn": "arn:aws:kms:eu-central-1:111122223333:key/data", "replicas": 1,
    "master_secret_arn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:test/master-a1B2c3",
}


class Remote(pulumi.ComponentResource):
    # What the SDK of any language does with a component of a package.
    address: pulumi.Output[str]

    def __init__(self, name, given, opts):
        found = {camel(key): value for key, value in given.items()}
        found["context"] = {camel(key): value for key, value in context.items()}
        super().__init__("stackwright-aws:index:Database", name, found | {"address": None}, opts, remote=True)


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(each.title() for each in rest)


if shape.get("remote"):
    database = Remote(shape["name"], own | shape.get("change", {}), opts)
else:
    database = Database(shape["name"], DatabaseArgs(context=Context(**context), **own), opts)
pulumi.export("address", database.address)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    try:
        engine.cli()
    except engine.EngineError as error:
        pytest.skip(str(error))
    found = Project(tmp_path)
    (tmp_path / "program/__main__.py").write_text(PROGRAM)
    packages = {"providers": [{"name": "stackwright-aws", "path": os.fspath(PACKAGE)}]}
    settings = {"name": "recorded", "runtime": "python", "plugins": packages}
    (tmp_path / "program/Pulumi.yaml").write_text(json.dumps(settings))
    return found


def ids(project: Project) -> dict[str, str]:
    """Name of a child, without the component's -> its id."""
    return {name.partition("-")[2]: each["id"] for name, each in project.resources().items() if name != "vpc"}


def components(project: Project) -> list[str]:
    recorded = json.loads(project.state())["checkpoint"]["latest"]["resources"]
    return [each["urn"].rsplit("::", 1)[-1] for each in recorded if each["type"] == COMPONENT]


@pytest.mark.long
def test_a_database_survives_another_name_and_another_language(project: Project) -> None:
    project.shape(name="db")
    project.up()
    before = ids(project)
    assert {"database", "replica-1"} <= before.keys()
    address = json.loads(project.ok("stack", "output", "--json"))["address"]
    project.forget()

    # Without an alias it would be another one, and the first would have to go.
    project.shape(name="main")
    assert "protect" in project.fails("preview")

    # From one name to the next, from Python to the package, and both at once: nothing is made, changed or deleted.
    for change in (
        {"name": "main", "former": "db"},
        {"name": "main", "remote": True},
        {"name": "primary", "former": "main", "remote": True},
        {"name": "primary"},
    ):
        project.shape(**change)
        assert set(project.up()) == {"same"}, change
        assert project.done() == [], change
        assert ids(project) == before, change
        assert components(project) == [change["name"]], change
        assert json.loads(project.ok("stack", "output", "--json"))["address"] == address


def test_another_language_makes_and_removes_a_database_and_hears_what_is_wrong(project: Project) -> None:
    project.shape(name="db", remote=True, change={"storage_gb": 19})
    shown = project.fails("preview")
    assert "DatabaseArgs.storageGb is 19, accepted: 20 to 65536" in shown
    # The traceback is that of the test's program, which is Python's; none of the package's lines is in it.
    assert "stackwright/infra" not in shown

    project.shape(name="db", remote=True)
    # The network's id is unknown yet, and goes through the package as that.
    project.ok("preview")
    assert project.done() == []
    project.up()
    found = project.resources()
    assert found["db-security-group"]["inputs"]["vpcId"] == found["vpc"]["id"]
    assert found["db-database"]["inputs"]["allocatedStorage"] == 100
    assert found["db-database"]["protect"]
    (made,) = (each for each in journal.read(project.journal, "create") if each.name == "db-database")
    assert made.inputs["identifier"] == "test-database"
    project.ok("state", "unprotect", "--all", "--yes")
    project.ok("destroy", "--yes", "--skip-preview")
    assert not project.resources()


def test_the_cli_reads_the_package_and_finds_its_schema_right(project: Project) -> None:
    found: dict[str, Any] = json.loads(project.ok("package", "get-schema", os.fspath(PACKAGE)))
    expected = json.loads(SCHEMA.read_text())
    for part in ("name", "version", "resources", "types"):
        assert found[part] == expected[part]
    project.ok("schema", "check", os.fspath(SCHEMA))
