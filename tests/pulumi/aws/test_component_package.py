"""The components as a package for other languages, in a process of its own, spoken to as the engine does.

`STACKWRIGHT_GOLDEN=write pytest tests/pulumi/aws/test_component_package.py` writes the schema.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import pulumi
import pytest
import yaml
from aws_context import context
from google.protobuf import empty_pb2
from provider_client import plain, struct
from pulumi.output import Unknown
from pulumi.provider.experimental.util import camel_case
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from stackwright.infra import aws
from stackwright.infra.aws import package_descriptions
from stackwright.infra.aws.database import Database
from stackwright.infra.aws.database_args import DatabaseArgs, DatabaseRegionArgs
from stackwright.infra.aws.firewall_rules import RuleArgs
from stackwright.infra.aws.hosts import HostArgs, Hosts, HostsArgs
from stackwright.infra.aws.object_store import ObjectStore
from stackwright.infra.aws.object_store_args import BucketArgs, ObjectStoreArgs
from stackwright.infra.aws.package import NAME, args_class, components
from stackwright.testing.aws import wire
from stackwright.testing.recording import Listener, Recording, listen, record

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "pulumi/components"
SCHEMA = ROOT / "schemas/aws-components.schema.json"
#: How a value says that it is an output, with what it depends on (sdk/go/common/resource/plugin/rpc.go).
OUTPUT = {"4dabf18193072939515e22adb298388d": "d0e6a833031e9bbcd3f4e8bde6ca49a4"}
KEY = "arn:aws:kms:eu-central-1:111122223333:key/data"
STACK = "urn:pulumi:test::stackwright::pulumi:pulumi:Stack::stackwright-test"
INSTANCE = "aws:rds/instance:Instance"
COMPUTED: dict[str, Callable[[Any], Any]] = {
    INSTANCE: lambda inputs: {
        "address": f"{inputs['identifier']}.rds",
        "arn": f"arn of {inputs['identifier']}",
        "resourceId": "db-ABC",
        "masterUserSecrets": [{"secretArn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds-a1B2c3"}],
    },
    "aws:iam/role:Role": lambda inputs: {"arn": f"arn of {inputs['name']}"},
    "aws:s3/bucket:Bucket": lambda inputs: {"arn": f"arn:aws:s3:::{inputs['bucket']}"},
}
CONTEXT = {
    "environment": "test",
    "system": "taaleem",
    "environmentClass": "production",
    "account": "111122223333",
    "region": "eu-central-1",
}
STORE: dict[str, Any] = {
    "context": CONTEXT,
    "buckets": {"logs": {}, "uploads": {"noncurrentDays": 60, "copy": True}},
    "kmsKeyArn": KEY,
    "copyRegion": "eu-west-1",
    "copyKmsKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/there",
}
DATABASE: dict[str, Any] = {
    "context": CONTEXT,
    "vpcId": "vpc",
    "subnetIds": ["subnet-a", "subnet-b"],
    "clients": {"Application servers": "sg-app"},
    "instanceClass": "db.m7g.large",
    "storageGb": 100,
    "maxStorageGb": 400,
    "kmsKeyArn": KEY,
    "masterSecretArn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:test/master-a1B2c3",
    "replicas": 1,
    "multiAz": True,
    "parameters": {"work_mem": "8192"},
    "replicaRegion": {
        "region": "eu-west-1",
        "vpcId": "vpc-there",
        "subnetIds": ["subnet-x", "subnet-y"],
        "kmsKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/there",
    },
}


class Process:
    """The package as the engine starts it: a Python program in a folder, with the engine's address."""

    def __init__(self, engine: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", FOLDER, engine], stdout=subprocess.PIPE, text=True, cwd=FOLDER
        )
        assert self.process.stdout is not None
        self.channel = grpc.insecure_channel(f"127.0.0.1:{int(self.process.stdout.readline())}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)

    def construct(
        self, listener: Listener, kind: str, name: str, inputs: dict[str, Any], **more: Any
    ) -> provider_pb2.ConstructResponse:
        request = provider_pb2.ConstructRequest(
            project="stackwright",
            stack="test",
            monitorEndpoint=listener.address,
            type=f"{NAME}:index:{kind}",
            name=name,
            parent=STACK,
            inputs=struct(inputs),
            **more,
        )
        answer: provider_pb2.ConstructResponse = self.stub.Construct(request, timeout=60)
        return answer

    def refuses(self, listener: Listener, kind: str, inputs: dict[str, Any]) -> str:
        with pytest.raises(grpc.RpcError) as caught:
            self.construct(listener, kind, "wrong", inputs)
        assert listener.recording().resources == ()
        return str(caught.value.details())

    def stop(self) -> None:
        self.channel.close()
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="module")
def package() -> Iterator[Process]:
    with listen(stack="test") as engine:
        process = Process(engine.address)
        try:
            yield process
        finally:
            process.stop()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listen(stack="test", computed=COMPUTED) as found:
        yield found


@pytest.fixture(scope="module")
def schema(package: Process) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(package.stub.GetSchema(provider_pb2.GetSchemaRequest(version=0)).schema)
    return found


def in_python(program: Callable[[], Any]) -> Recording:
    return record(lambda: program() and None, stack="test", computed=COMPUTED)


def inputs_of(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], bool]]:
    """Owner, name, property and whether it is required, of every input, however deep."""
    for token, resource in schema["resources"].items():
        for name, each in resource["inputProperties"].items():
            yield token, name, each, name in resource.get("requiredInputs", ())
    for token, kind in schema["types"].items():
        for name, each in kind["properties"].items():
            yield token, name, each, name in kind.get("required", ())


# The schema


def test_the_schema_is_the_checked_in_one(schema: dict[str, Any]) -> None:
    text = json.dumps(schema, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if os.environ.get("STACKWRIGHT_GOLDEN") == "write":
        SCHEMA.write_text(text)
    assert SCHEMA.read_text() == text, "if it was meant: STACKWRIGHT_GOLDEN=write"


def test_every_component_is_in_it_under_one_name(schema: dict[str, Any], package: Process) -> None:
    public = {name for name in aws.__all__ if not name.endswith("Args") and name != "Context"}
    assert set(components()) == public
    assert set(schema["resources"]) == {f"stackwright-aws:index:{name}" for name in public}
    assert all(each["isComponent"] for each in schema["resources"].values())
    # SDKs put both into one namespace.
    assert not set(schema["resources"]) & set(schema["types"])
    assert (schema["name"], schema["version"]) == ("stackwright-aws", version("stackwright"))
    assert package.stub.GetPluginInfo(empty_pb2.Empty()).version == version("stackwright")


def test_every_name_is_described(schema: dict[str, Any]) -> None:
    outputs = [
        (token, name, each)
        for token, resource in schema["resources"].items()
        for name, each in resource["properties"].items()
    ]
    properties = [*((owner, name, each) for owner, name, each, _ in inputs_of(schema)), *outputs]
    assert [f"{owner}.{name}" for owner, name, each in properties if not each.get("description")] == []
    kinds = {**schema["resources"], **schema["types"]}
    assert [token for token, each in kinds.items() if not each.get("description")] == []
    texts = [each["description"] for _, _, each in properties]
    texts += [each["description"] for each in kinds.values()]
    # Of Python alone.
    assert not [text for text in texts if "ValueError" in text or "kms_key_arn" in text]


def test_no_word_describes_what_is_not_there_or_has_a_comment_of_its_own(schema: dict[str, Any]) -> None:
    used = {each["description"] for _, _, each, _ in inputs_of(schema)}
    used |= {
        each["description"] for resource in schema["resources"].values() for each in resource["properties"].values()
    }
    assert sorted(set(package_descriptions.PLAIN.values()) - used) == []


def test_what_has_no_default_is_required_and_nothing_else(schema: dict[str, Any]) -> None:
    classes = package_descriptions.Descriptions(map(args_class, components().values())).classes
    args = {f"{NAME}:index:{name}": args_class(each) for name, each in components().items()}
    of_types = {token: classes[token.rsplit(":", 1)[-1]] for token in schema["types"]}
    expected = {
        (token, camel_case(field.name)): field.default is dataclasses.MISSING
        for token, kind in {**args, **of_types}.items()
        for field in dataclasses.fields(kind)
    }
    assert {(owner, name): required for owner, name, _, required in inputs_of(schema)} == expected
    assert expected[f"{NAME}:index:Database", "storageGb"]
    assert not expected[f"{NAME}:index:Database", "replicas"]


def test_no_input_takes_a_secret(schema: dict[str, Any]) -> None:
    """References alone: a value would be in the state."""
    every = list(inputs_of(schema))
    assert not [name for _, name, each, _ in every if each.get("secret")]
    assert not [name for _, name, _, _ in every if "password" in name.lower() or "token" in name.lower()]


# Components


def test_an_object_store_is_the_same_as_pythons(package: Process, listener: Listener) -> None:
    package.construct(listener, "ObjectStore", "store", STORE)

    def program() -> ObjectStore:
        buckets = {"logs": BucketArgs(), "uploads": BucketArgs(noncurrent_days=60, copy=True)}
        args = ObjectStoreArgs(
            context=context(),
            buckets=buckets,
            kms_key_arn=KEY,
            copy_region=STORE["copyRegion"],
            copy_kms_key_arn=STORE["copyKmsKeyArn"],
        )
        return ObjectStore("store", args)

    expected = in_python(program)
    assert len(expected.resources) > 10
    assert listener.recording().resources == expected.resources
    assert listener.recording().component_outputs == expected.component_outputs


def test_a_database_is_the_same_as_pythons_and_its_outputs_come_back(package: Process, listener: Listener) -> None:
    answer = package.construct(listener, "Database", "db", DATABASE, aliases=[{"spec": {"name": "old"}}])
    assert answer.urn == "urn:pulumi:test::stackwright::stackwright:aws:Database::db"

    def program() -> Database:
        elsewhere = DATABASE["replicaRegion"]
        there = DatabaseRegionArgs(
            region=elsewhere["region"],
            vpc_id=elsewhere["vpcId"],
            subnet_ids=elsewhere["subnetIds"],
            kms_key_arn=elsewhere["kmsKeyArn"],
        )
        args = DatabaseArgs(
            context=context(),
            vpc_id="vpc",
            subnet_ids=["subnet-a", "subnet-b"],
            clients={"Application servers": "sg-app"},
            instance_class="db.m7g.large",
            storage_gb=100,
            max_storage_gb=400,
            kms_key_arn=KEY,
            master_secret_arn=DATABASE["masterSecretArn"],
            replicas=1,
            multi_az=True,
            parameters={"work_mem": "8192"},
            replica_region=there,
        )
        return Database("db", args, pulumi.ResourceOptions(aliases=[pulumi.Alias(name="old")]))

    expected = in_python(program)
    found = listener.recording()
    assert found.resources == expected.resources
    assert found.named("db").aliases == ("old",)
    outputs = plain(answer.state)
    assert outputs["address"] == found.named("db-database").inputs["identifier"] + ".rds"
    assert set(outputs) == {
        "address", "port", "replicaAddresses", "addressesElsewhere", "identifiers", "arn", "resourceId",
        "masterSecretArn", "securityGroupId",
    }  # fmt: skip


def test_hosts_have_their_nested_rules(package: Process, listener: Listener) -> None:
    """Lists in objects in objects: deeper than the SDK's own host maps names."""
    rule = {"reason": "The world", "port": 80, "toPort": 81, "cidrIpv6": "2001:db8::/32"}
    host = {
        "name": "edge-1", "address": "10.0.0.10", "subnetId": "subnet", "instanceType": "t3.small", "diskGb": 20,
        "tiers": ["edge"], "public": True,
    }  # fmt: skip
    keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHBLRW0mGQW5Yl1t9mXyOaGqZ3JjdwmqsUtEAYfZ9kYs test"]
    given = {
        "context": CONTEXT, "vpcId": "vpc", "hosts": [{**host, "imageId": "ami-0123456789abcdef0", "os": "ubuntu-24.04"}],
        "kmsKeyArn": KEY, "authorizedKeys": keys, "ingress": {"edge": [rule]},
    }  # fmt: skip
    package.construct(listener, "Hosts", "hosts", given)

    def program() -> Hosts:
        one = HostArgs(
            name="edge-1", address="10.0.0.10", subnet_id="subnet", instance_type="t3.small", disk_gb=20,
            tiers=["edge"], public=True, image_id="ami-0123456789abcdef0", os="ubuntu-24.04",
        )  # fmt: skip
        ingress = {"edge": [RuleArgs(reason="The world", port=80, to_port=81, cidr_ipv6="2001:db8::/32")]}
        args = HostsArgs(
            context=context(), vpc_id="vpc", hosts=[one], kms_key_arn=KEY, authorized_keys=keys, ingress=ingress
        )
        return Hosts("hosts", args)

    expected = in_python(program)
    assert any(each.type.endswith("SecurityGroupIngressRule") for each in expected.resources)
    assert listener.recording().resources == expected.resources


def test_outputs_of_other_resources_go_in_with_what_they_depend_on(package: Process, listener: Listener) -> None:
    subnet = "urn:pulumi:test::stackwright::aws:ec2/subnet:Subnet::a"
    known = {**OUTPUT, "value": "subnet-a", "dependencies": [subnet]}
    unknown = {**OUTPUT, "dependencies": [subnet]}
    key = {"kmsKeyArn": provider_pb2.ConstructRequest.PropertyDependencies(urns=[subnet])}
    given = {**DATABASE, "subnetIds": [known, "subnet-b"], "vpcId": unknown, "logKmsKeyArn": wire.UNKNOWN}
    package.construct(listener, "Database", "db", given, inputDependencies=key, dryRun=True)
    found = listener.recording()
    assert found.named("db-subnet-group").inputs["subnetIds"] == ["subnet-a", "subnet-b"]
    assert "a" in found.named("db-subnet-group").depends_on
    assert "a" in found.named("db-database").depends_on
    assert found.named("db-database").inputs["kmsKeyId"] == KEY
    (log,) = (each for each in found.resources if each.name == "db-database-postgresql-log")
    assert isinstance(log.inputs["kmsKeyId"], Unknown)


# What is wrong is said by path, and nothing has been registered by then


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"storageGb": None}, "storageGb is missing"),
        ({"context": {**CONTEXT, "region": None}}, "context.region is missing"),
        ({"storageGb": 20.5}, "storageGb has to be a whole number"),
        ({"storageGb": "100"}, "storageGb has to be a whole number"),
        ({"storageGb": True}, "storageGb has to be a whole number"),
        ({"multiAz": "yes"}, "multiAz has to be true or false"),
        ({"instanceClass": 7}, "instanceClass has to be a string"),
        ({"vpcId": 7}, "vpcId has to be a string"),
        ({"subnetIds": "subnet-a"}, "subnetIds has to be a list"),
        ({"subnetIds": ["subnet-a", 7]}, "subnetIds[1] has to be a string"),
        ({"clients": ["sg"]}, "clients has to be an object"),
        ({"replicaRegion": "eu-west-1"}, "replicaRegion has to be an object"),
        ({"replicaRegion": {**DATABASE["replicaRegion"], "vpcID": "x"}}, "replicaRegion.vpcID is no input, accepted: region"),
        ({"storage": 1}, "storage is no input, accepted: context"),
        ({"instanceClass": wire.UNKNOWN}, "instanceClass has to be written out: no output of a resource, and no secret"),
        (
            {"instanceClass": wire.secret("db.canary")},
            "instanceClass has to be written out: no output of a resource, and no secret",
        ),
    ],
)  # fmt: skip
def test_a_wrong_input_is_named(package: Process, listener: Listener, change: dict[str, Any], message: str) -> None:
    given = {name: value for name, value in (DATABASE | change).items() if value is not None}
    if given["context"].get("region", "") is None:
        given["context"] = {name: value for name, value in given["context"].items() if value is not None}
    said = package.refuses(listener, "Database", given)
    assert said.startswith("stackwright-aws:index:Database wrong:\n")
    assert message in said
    assert "Traceback" not in said
    assert "canary" not in said


def test_what_the_args_check_is_said_in_the_words_of_other_languages(package: Process, listener: Listener) -> None:
    said = package.refuses(listener, "Database", {**DATABASE, "storageGb": 19, "backupDays": 99})
    lines = said.splitlines()
    assert "DatabaseArgs.storageGb is 19, accepted: 20 to 65536" in lines
    assert any(line.startswith("DatabaseArgs.backupDays is 99") for line in lines)


def test_an_unknown_component_is_refused(package: Process, listener: Listener) -> None:
    assert "accepted: Alarms, Budget" in package.refuses(listener, "Databse", DATABASE)


def test_the_package_runs_as_pulumi_starts_it() -> None:
    settings = yaml.safe_load((FOLDER / "PulumiPlugin.yaml").read_text())
    assert settings["runtime"]["name"] == "python"
    assert (FOLDER / settings["runtime"]["options"]["virtualenv"]).resolve() == ROOT / ".venv"
    assert (FOLDER / "__main__.py").is_file()
