"""The recording provider over its gRPC contract, as the engine speaks it; no CLI."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from stackwright.testing import aws
from stackwright.testing.aws import documentation, journal, plausible, sdk_schema, sdk_source, wire
from stackwright.testing.aws.failures import Failures, OrderError
from stackwright.testing.aws.immutable import IMMUTABLE
from stackwright.testing.aws.plugin import Recorder

ACCOUNT = "111122223333"
REGION = "eu-central-1"
VPC = "aws:ec2/vpc:Vpc"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
DATABASE = "aws:rds/instance:Instance"
CERTIFICATE = "aws:acm/certificate:Certificate"
ROLE = "aws:iam/role:Role"
CONFIG = {"region": REGION, "allowedAccountIds": json.dumps([ACCOUNT])}
DATABASE_INPUTS = {
    "identifier": "test-db",
    "instanceClass": "db.t4g.medium",
    "engine": "postgres",
    "allocatedStorage": 20,
}
NONE, SOME = provider_pb2.DiffResponse.DIFF_NONE, provider_pb2.DiffResponse.DIFF_SOME


class Client:
    """The engine's side, in plain values."""

    def __init__(self, stub: Any, path: Path) -> None:
        self.stub = stub
        self.journal = path

    def configure(self, **config: Any) -> None:
        self.stub.Configure(provider_pb2.ConfigureRequest(args=struct(config), acceptSecrets=True))

    def check(self, kind: str, new: dict[str, Any], old: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self.stub.Check(provider_pb2.CheckRequest(urn=urn(kind), olds=struct(old or {}), news=struct(new)))
        assert not answer.failures, answer.failures
        return plain(answer.inputs)

    def failures(self, kind: str, new: dict[str, Any]) -> dict[str, str]:
        answer = self.stub.Check(provider_pb2.CheckRequest(urn=urn(kind), news=struct(new)))
        return {each.property: each.reason for each in answer.failures}

    def diff(self, kind: str, old: dict[str, Any], new: dict[str, Any], **more: Any) -> Any:
        state = more.pop("state", old)
        return self.stub.Diff(
            provider_pb2.DiffRequest(
                id="x", urn=urn(kind), olds=struct(state), old_inputs=struct(old), news=struct(new), **more
            )
        )

    def create(self, kind: str, inputs: dict[str, Any], *, preview: bool = False, name: str = "some") -> Any:
        request = provider_pb2.CreateRequest(urn=urn(kind, name), properties=struct(inputs), preview=preview)
        return self.stub.Create(request)

    def update(self, kind: str, made: Any, old: dict[str, Any], new: dict[str, Any], *, preview: bool = False) -> Any:
        request = provider_pb2.UpdateRequest(
            id=made.id, urn=urn(kind), olds=made.properties, old_inputs=struct(old), news=struct(new), preview=preview
        )
        return plain(self.stub.Update(request).properties)

    def delete(self, kind: str, resource_id: str) -> None:
        self.stub.Delete(provider_pb2.DeleteRequest(id=resource_id, urn=urn(kind)))

    def invoke(self, token: str, **arguments: Any) -> dict[str, Any]:
        answer = self.stub.Invoke(provider_pb2.InvokeRequest(tok=token, args=struct(arguments)))
        return plain(getattr(answer, "return"))


def urn(kind: str, name: str = "some") -> str:
    """Of a resource inside a component, where types are chained."""
    return f"urn:pulumi:test::program::stackwright:aws:Thing${kind}::{name}"


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


def plain(message: struct_pb2.Struct) -> dict[str, Any]:
    return json_format.MessageToDict(message)


def secret(value: Any) -> dict[str, Any]:
    return {rpc._special_sig_key: rpc._special_secret_sig, "value": value}


Start = Callable[..., Client]


@contextmanager
def serving(recorder: Recorder, path: Path) -> Iterator[Client]:
    server = grpc.server(ThreadPoolExecutor(max_workers=4))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(recorder, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Client(provider_pb2_grpc.ResourceProviderStub(channel), path)
    server.stop(None)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(Recorder(tmp_path / "journal"), tmp_path / "journal") as found:
        found.configure(**CONFIG)
        yield found


# The SDK as a schema


def test_every_resource_of_the_sdk_can_be_found() -> None:
    tokens = sdk_source.tokens()
    assert len(tokens) > 1700
    assert sdk_source.version() == "7.51.1"
    # One of each odd kind: arguments of another name, a file of another name, a service with a keyword's name.
    for token in ("aws:s3/bucketLogging:BucketLogging", "aws:s3/bucketV2:BucketV2", "aws:lambda/function:Function"):
        assert sdk_schema.resource(token).inputs, token


def test_the_schema_is_the_sdks() -> None:
    found = sdk_schema.resource(DATABASE)
    assert {name for name, each in found.inputs.items() if each.required} == {"instanceClass"}
    assert found.inputs["allocatedStorage"].type(sdk_schema.Kind.INTEGER)
    assert found.outputs["address"].required
    assert found.computed("address")
    assert not found.outputs["password"].required
    assert found.secrets == {"password", "passwordWo"}


#: They have no argument at all.
WITHOUT_INPUTS = {
    "aws:iam/outboundWebIdentityFederation:OutboundWebIdentityFederation",
    "aws:ram/sharingWithOrganization:SharingWithOrganization",
}


@pytest.mark.timeout(120)
@pytest.mark.long
def test_every_type_of_the_sdk_is_understood_and_answered_for() -> None:
    """All of them, ten seconds: an update of the SDK that is written otherwise has to be noticed."""
    without = set()
    for token in sdk_source.tokens():
        found = sdk_schema.resource(token)
        without |= set() if found.inputs else {token}
        for each in found.inputs.values():
            assert each.types, (token, each.name)
        made = plausible.Made(resource=found, urn=urn(token), account=ACCOUNT, region=REGION, inputs={})
        outputs = plausible.outputs(made)
        assert made.id, token
        assert {name for name, each in found.outputs.items() if each.required} <= outputs.keys(), token
        # What would not travel fails here.
        assert wire.values(wire.message(outputs)).keys() == outputs.keys(), token
    assert without == WITHOUT_INPUTS


def test_importing_the_sdk_is_not_needed() -> None:
    code = (
        "import sys; from stackwright.testing.aws import sdk_schema; sdk_schema.resource('aws:ec2/vpc:Vpc');"
        "sys.exit('pulumi_aws' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_replaces_can_be_looked_at() -> None:
    found = sdk_schema.replacements(GROUP)
    assert {"name", "description", "namePrefix", "vpcId"} <= found.keys()
    assert "forces new" in found["name"].sentence
    cache = sdk_schema.replacements("aws:elasticache/cluster:Cluster")
    assert cache["snapshotName"].sentence == "Changing `snapshot_name` forces a new resource."
    assert (cache["port"].conditional, cache["nodeType"].conditional) == (False, True)
    nested = sdk_schema.replacements("aws:ec2/instance:Instance")["secondaryNetworkInterfaces[].deviceIndex"]
    assert nested.sentence == "Forces replacement."
    # What the documentation leaves out is told with its source.
    assert "internal/service/ec2/vpc_.go" in sdk_schema.replacements(VPC)["cidrBlock"].sentence


def test_what_is_known_beside_the_documentation_exists() -> None:
    for token, known in IMMUTABLE.items():
        assert set(known.properties) <= sdk_schema.resource(token).inputs.keys(), token


@pytest.mark.parametrize(
    ("text", "replaces"),
    [
        ("Name of it. Changing this forces a new resource. More.", True),
        ("Type (Forces new resource).", True),
        ("Changing this value will re-create the resource.", True),
        ("Changing this does not force a new resource.", None),
        ("For Memcached, changing this value will re-create the resource.", False),
        ("Changing this value triggers an update to `password_wo`.", None),
    ],
)
def test_a_sentence_about_replacement_is_understood(text: str, replaces: bool | None) -> None:
    found = documentation.replacement(text)
    assert (not found.conditional if found else None) is replaces


# Check


@pytest.mark.parametrize(
    ("kind", "inputs", "path", "reason"),
    [
        (VPC, {"cidrBlok": "10.0.0.0/16"}, "cidrBlok", "is not a property of aws:ec2/vpc:Vpc; did you mean cidrBlock?"),
        (VPC, {"enableDnsHostnames": "yes"}, "enableDnsHostnames", "has to be true or false, not a string"),
        (VPC, {"tags": {"Name": 5}}, "tags.Name", "has to be a string, not a whole number"),
        (VPC, {"tags": {"a:b": 5}}, 'tags["a:b"]', "has to be a string, not a whole number"),
        (VPC, {"tags": ["a"]}, "tags", "has to be a map, not a list"),
        (VPC, {"ipv4NetmaskLength": 16.5}, "ipv4NetmaskLength", "has to be a whole number, not a fraction"),
        (DATABASE, {}, "instanceClass", "is required by aws:rds/instance:Instance and missing"),
        (ROLE, {"assumeRolePolicy": 5}, "assumeRolePolicy", "has to be a string or an object, not a whole number"),
        (
            GROUP,
            {"ingress": [{"fromPort": 1, "toPort": 1, "protocol": "tcp"}, {"from_port": 1, "toPort": 1, "protocol": "tcp"}]},
            "ingress[1].from_port",
            "is not a property of SecurityGroupIngress; did you mean fromPort?",
        ),
        (
            "aws:wafv2/webAcl:WebAcl",
            {
                "scope": "REGIONAL",
                "visibilityConfig": {"cloudwatchMetricsEnabled": True, "metricName": "x", "sampledRequestsEnabled": True},
                "rules": [
                    {
                        "name": "x",
                        "priority": 1,
                        "visibilityConfig": {
                            "cloudwatchMetricsEnabled": True, "metricName": "x", "sampledRequestsEnabled": True,
                        },
                        "statement": {"rateBasedStatement": {"limit": "100"}},
                    }
                ],
            },
            "rules[0].statement.rateBasedStatement.limit",
            "has to be a whole number, not a string",
        ),
    ],
)  # fmt: skip
def test_check_names_the_property_and_what_is_wrong(
    client: Client, kind: str, inputs: dict[str, Any], path: str, reason: str
) -> None:
    assert client.failures(kind, inputs)[path] == reason


def test_check_reports_everything_at_once(client: Client) -> None:
    assert set(client.failures(DATABASE, {"colour": "red", "port": "x"})) == {"colour", "port", "instanceClass"}


def test_a_secret_that_is_wrong_is_not_named_to_the_engine_which_would_print_it(client: Client) -> None:
    for value in (secret(48151623), 48151623):
        found = client.failures(DATABASE, DATABASE_INPUTS | {"password": value})
        assert found == {"": "password has to be a string, not a whole number"}
    assert client.failures(VPC, {"tags": secret(["a"])}) == {"": "tags has to be a map, not a list"}


def test_unknowns_and_secrets_pass_the_check_as_they_are(client: Client) -> None:
    given = {
        "vpcId": rpc.UNKNOWN,
        "name": secret("x"),
        "description": secret(rpc.UNKNOWN),
        "ingress": [{"fromPort": rpc.UNKNOWN, "toPort": 1, "protocol": "tcp", "securityGroups": [rpc.UNKNOWN]}],
        "egress": rpc.UNKNOWN,
    }
    assert client.check(GROUP, given) == given


def test_a_resource_without_a_name_is_given_one_and_keeps_it(client: Client) -> None:
    first = client.check(GROUP, {"description": "x"})
    assert first["name"].startswith("some-")
    assert first == client.check(GROUP, {"description": "x"})
    assert client.check(GROUP, {"description": "y"}, {"name": "older", "__defaults": ["name"]})["name"] == "older"
    assert "name" not in client.check(GROUP, {"namePrefix": "x"})


def test_the_providers_tags_are_put_to_every_resource(client: Client) -> None:
    client.configure(**CONFIG, defaultTags=json.dumps({"tags": {"owner": "me", "Name": "default"}}))
    assert client.check(VPC, {"tags": {"Name": "mine"}})["tags"] == {"owner": "me", "Name": "mine"}
    assert client.check(VPC, {})["tags"] == {"owner": "me", "Name": "default"}
    assert client.check(VPC, {"tags": rpc.UNKNOWN})["tags"] == rpc.UNKNOWN
    # These tags are a list of objects.
    group = {"maxSize": 1, "minSize": 1, "name": "x"}
    assert "tags" not in client.check("aws:autoscaling/group:Group", group)


def test_a_policy_given_as_an_object_is_text_afterwards(client: Client) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
    found = client.check(ROLE, {"name": "x", "assumeRolePolicy": document})
    assert json.loads(found["assumeRolePolicy"]) == document
    failures = client.failures(ROLE, {"assumeRolePolicy": {**document, "Statements": []}})
    assert "did you mean Statement?" in failures["assumeRolePolicy.Statements"]


def test_an_unknown_type_is_named(client: Client) -> None:
    with pytest.raises(grpc.RpcError, match="aws:ec2/vpcc:Vpcc is not a resource of pulumi-aws 7"):
        client.failures("aws:ec2/vpcc:Vpcc", {})


# Diff


def test_nothing_changed_is_no_difference(client: Client) -> None:
    assert client.diff(VPC, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.0.0.0/16"}).changes == NONE
    assert client.diff(DATABASE, {"password": secret("a")}, {"password": "a"}).changes == NONE


def test_a_change_is_shown_where_it_is(client: Client) -> None:
    old = {"ingress": [{"fromPort": 1, "toPort": 1}], "tags": {"a": "1", "b": "2"}}
    new = {"ingress": [{"fromPort": 2, "toPort": 1}, {"fromPort": 3}], "tags": {"b": "2", "c:d": "3"}}
    found = client.diff(GROUP, old, new)
    kinds = {path: provider_pb2.PropertyDiff.Kind.Name(each.kind) for path, each in found.detailedDiff.items()}
    assert kinds == {"ingress[0].fromPort": "UPDATE", "ingress[1]": "ADD", "tags.a": "DELETE", 'tags["c:d"]': "ADD"}
    assert (found.changes, list(found.diffs), list(found.replaces)) == (SOME, ["ingress", "tags"], [])


def test_a_documented_change_replaces(client: Client) -> None:
    assert list(client.diff(VPC, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.1.0.0/16"}).replaces) == ["cidrBlock"]
    found = client.diff(GROUP, {"description": "a", "vpcId": "v"}, {"description": "b", "vpcId": rpc.UNKNOWN})
    assert list(found.replaces) == ["description", "vpcId"]
    assert found.detailedDiff["description"].kind == provider_pb2.PropertyDiff.UPDATE_REPLACE
    assert not found.deleteBeforeReplace


def test_a_documented_change_inside_a_list_replaces(client: Client) -> None:
    old, new = ({"secondaryNetworkInterfaces": [{"deviceIndex": index}]} for index in (1, 2))
    found = client.diff("aws:ec2/instance:Instance", old, new)
    assert list(found.replaces) == ["secondaryNetworkInterfaces"]
    kind = found.detailedDiff["secondaryNetworkInterfaces[0].deviceIndex"].kind
    assert kind == provider_pb2.PropertyDiff.UPDATE_REPLACE


def test_what_replaces_under_a_condition_is_an_update(client: Client) -> None:
    found = client.diff("aws:elasticache/cluster:Cluster", {"nodeType": "a"}, {"nodeType": "b"})
    assert (found.changes, list(found.replaces)) == (SOME, [])


def test_a_name_of_ones_own_makes_the_old_one_go_first(client: Client) -> None:
    old, new = {"name": "x", "description": "a"}, {"name": "x", "description": "b"}
    assert client.diff(GROUP, old, new).deleteBeforeReplace
    chosen = {"__defaults": ["name"]}
    assert not client.diff(GROUP, old | chosen, new | chosen).deleteBeforeReplace
    assert not client.diff(GROUP, old, new | {"name": "y"}).deleteBeforeReplace


def test_ignored_changes_are_no_difference(client: Client) -> None:
    found = client.diff(VPC, {"tags": {"a": "1"}}, {"tags": {"a": "2"}}, ignoreChanges=["tags.a"])
    assert found.changes == NONE


def test_a_provider_of_another_region_replaces(client: Client) -> None:
    found = client.diff(VPC, {}, {}, state={"region": "us-east-1"})
    assert list(found.replaces) == ["region"]
    # Roles are of no region.
    assert client.diff(ROLE, {}, {}, state={"region": "us-east-1"}).changes == NONE


def test_more_replacements_can_be_told(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "journal", replaces={VPC: ["tags"]})
    with serving(recorder, tmp_path) as found:
        found.configure(**CONFIG)
        assert list(found.diff(VPC, {"tags": {"a": "1"}}, {"tags": {"a": "2"}}).replaces) == ["tags"]


# Create, read, update, delete


def test_creation_fills_every_declared_output_the_same_each_time(client: Client) -> None:
    made = client.create(DATABASE, DATABASE_INPUTS)
    found = plain(made.properties)
    assert made.id == "test-db"
    assert found["arn"] == f"arn:aws:rds:{REGION}:{ACCOUNT}:db:test-db"
    assert found["endpoint"] == f"{found['address']}:5432"
    assert found["address"].endswith(f".{REGION}.rds.amazonaws.com")
    assert found["port"] == 5432
    declared = sdk_schema.resource(DATABASE).outputs
    assert {name for name, each in declared.items() if each.required} <= found.keys()
    again = client.create(DATABASE, DATABASE_INPUTS)
    assert (again.id, plain(again.properties)) == (made.id, found)


@pytest.mark.parametrize(
    ("kind", "inputs", "output", "form"),
    [
        (VPC, {}, "arn", rf"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-[0-9a-f]{{17}}"),
        ("aws:ec2/subnet:Subnet", {"vpcId": "v"}, "id", r"subnet-[0-9a-f]{17}"),
        ("aws:ec2/eip:Eip", {}, "allocationId", r"eipalloc-[0-9a-f]{17}"),
        ("aws:ec2/eip:Eip", {}, "publicIp", r"203\.0\.113\.\d+"),
        ("aws:kms/key:Key", {}, "arn", rf"arn:aws:kms:{REGION}:{ACCOUNT}:key/[0-9a-f-]{{36}}"),
        (ROLE, {"name": "r"}, "arn", rf"arn:aws:iam::{ACCOUNT}:role/r"),
        (ROLE, {"name": "r", "path": "/a/"}, "arn", rf"arn:aws:iam::{ACCOUNT}:role/a/r"),
        ("aws:s3/bucket:Bucket", {"bucket": "b"}, "arn", "arn:aws:s3:::b"),
        ("aws:lb/loadBalancer:LoadBalancer", {"name": "l"}, "dnsName", rf"l-\d+\.{REGION}\.elb\.amazonaws\.com"),
        (
            "aws:lb/loadBalancer:LoadBalancer", {"name": "l"}, "id",
            rf"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/l/[0-9a-f]{{16}}",
        ),
        ("aws:route53/zone:Zone", {"name": "a.example"}, "zoneId", "Z[0-9A-Z]{13}"),
        ("aws:sqs/queue:Queue", {"name": "q"}, "url", rf"https://sqs\.{REGION}\.amazonaws\.com/{ACCOUNT}/q"),
        ("aws:ssm/parameter:Parameter", {"name": "/a/b"}, "arn", rf"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/a/b"),
        (
            "aws:elasticache/replicationGroup:ReplicationGroup", {"replicationGroupId": "c"}, "primaryEndpointAddress",
            rf"master\.c\.[0-9a-f]+\.{REGION}\.cache\.amazonaws\.com",
        ),
    ],
)  # fmt: skip
def test_outputs_look_like_awss(client: Client, kind: str, inputs: dict[str, Any], output: str, form: str) -> None:
    made = client.create(kind, inputs)
    found = plain(made.properties) | {"id": made.id}
    assert re.fullmatch(form, found[output]), found[output]


def test_a_certificate_has_one_record_per_name(client: Client) -> None:
    names = {"domainName": "a.example", "subjectAlternativeNames": ["*.a.example", "b.example"]}
    found = plain(client.create(CERTIFICATE, names).properties)["domainValidationOptions"]
    assert [each["domainName"] for each in found] == ["a.example", "*.a.example", "b.example"]
    # A wildcard is proved by its domain's record.
    assert found[0]["resourceRecordName"] == found[1]["resourceRecordName"] != found[2]["resourceRecordName"]


def test_other_inputs_are_another_resource(client: Client) -> None:
    assert client.create(VPC, {"cidrBlock": "10.0.0.0/16"}).id != client.create(VPC, {"cidrBlock": "10.1.0.0/16"}).id


def test_a_preview_knows_only_what_was_put_in(client: Client) -> None:
    made = client.create(VPC, {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}}, preview=True)
    found = plain(made.properties)
    assert made.id == ""
    assert found["arn"] == found["mainRouteTableId"] == rpc.UNKNOWN
    assert (found["cidrBlock"], found["tagsAll"], found["region"]) == ("10.0.0.0/16", {"a": "b"}, REGION)
    assert not journal.read(client.journal, "create")
    assert journal.read(client.journal, "create", preview=True)


def test_secrets_stay_secret(client: Client) -> None:
    inputs = DATABASE_INPUTS | {"password": secret("canary"), "username": secret("who")}
    made = client.create(DATABASE, inputs)
    found = plain(made.properties)
    assert (found["password"], found["username"]) == (secret("canary"), secret("who"))
    # One that arrives unmarked is marked, as the SDK says.
    assert plain(client.create(DATABASE, DATABASE_INPUTS | {"password": "canary"}).properties)["password"] == secret(
        "canary"
    )
    tagged = plain(client.create(VPC, {"tags": {"a": secret("canary")}}).properties)
    assert tagged["tagsAll"] == secret({"a": "canary"})
    assert client.update(DATABASE, made, inputs, inputs | {"port": 1})["password"] == secret("canary")


def test_an_update_keeps_what_aws_gave(client: Client) -> None:
    made = client.create(VPC, {"cidrBlock": "10.0.0.0/16"})
    found = client.update(VPC, made, {"cidrBlock": "10.0.0.0/16"}, {"cidrBlock": "10.0.0.0/16", "tags": {"a": "b"}})
    before = plain(made.properties)
    assert found == before | {"tags": {"a": "b"}, "tagsAll": {"a": "b"}}


def test_every_version_of_a_launch_template_has_a_number(client: Client) -> None:
    kind = "aws:ec2/launchTemplate:LaunchTemplate"
    made = client.create(kind, {"name": "x"})
    assert plain(made.properties)["latestVersion"] == 1
    assert (
        client.update(kind, made, {"name": "x"}, {"name": "x", "imageId": "ami-1"}, preview=True)["latestVersion"]
        == rpc.UNKNOWN
    )
    assert client.update(kind, made, {"name": "x"}, {"name": "x", "imageId": "ami-1"})["latestVersion"] == 2


def test_read_echoes_and_makes_up_what_it_never_saw(client: Client) -> None:
    made = client.create(VPC, {"cidrBlock": "10.0.0.0/16"})
    request = provider_pb2.ReadRequest(
        id=made.id, urn=urn(VPC), properties=made.properties, inputs=struct({"cidrBlock": "10.0.0.0/16"})
    )
    found = client.stub.Read(request)
    assert (found.id, found.properties, found.inputs) == (made.id, made.properties, request.inputs)
    other = client.stub.Read(provider_pb2.ReadRequest(id="vpc-1", urn=urn(VPC)))
    assert other.id == "vpc-1"
    assert plain(other.properties)["arn"] == f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc/vpc-1"


def test_the_journal_tells_what_was_done_in_order_and_no_secret(client: Client) -> None:
    began = time.time()
    inputs = DATABASE_INPUTS | {"password": secret("canary"), "tags": {"a": secret("canary"), "b": "c"}}
    made = client.create(DATABASE, inputs)
    client.update(DATABASE, made, inputs, inputs | {"port": 5433})
    client.delete(DATABASE, made.id)
    found = journal.read(client.journal)
    assert [each.operation for each in found] == ["configure", "create", "update", "delete"]
    create = found[1]
    assert (create.urn, create.type, create.name, create.id) == (urn(DATABASE), DATABASE, "some", "test-db")
    assert create.inputs == DATABASE_INPUTS | {"password": "[secret]", "tags": {"a": "[secret]", "b": "c"}}
    assert began <= create.began <= create.ended <= found[3].began
    assert "canary" not in client.journal.read_text()
    assert client.journal.stat().st_mode & 0o777 == 0o600


def test_after_cancel_nothing_new_begins(client: Client) -> None:
    client.stub.Cancel(empty_pb2.Empty())
    with pytest.raises(grpc.RpcError, match="cancelled before it began"):
        client.create(VPC, {})


# Failures


@contextmanager
def failing(folder: Path, *orders: dict[str, Any]) -> Iterator[Client]:
    file = folder / "failures.json"
    file.write_text(json.dumps(orders))
    with serving(Recorder(folder / "journal", failures=file), folder / "journal") as found:
        found.configure(**CONFIG)
        yield found


def test_a_failure_once_is_over_for_the_next_process_too(tmp_path: Path) -> None:
    order = {"operation": "create", "resource": "some", "message": "Throttling"}
    with failing(tmp_path, order) as found:
        assert found.create(VPC, {}, preview=True)
        with pytest.raises(grpc.RpcError) as failed:
            found.create(VPC, {})
        assert failed.value.details() == "Throttling"
        assert [each.error for each in journal.read(found.journal, "create")] == ["Throttling"]
    with failing(tmp_path, order) as found:
        assert found.create(VPC, {}).id


def test_a_failure_for_ever_and_by_type(tmp_path: Path) -> None:
    with failing(tmp_path, {"operation": "delete", "resource": "aws:ec2/*", "times": 0}) as found:
        for _ in range(3):
            with pytest.raises(grpc.RpcError, match="the test ordered this failure"):
                found.delete(VPC, "vpc-1")
        found.delete(DATABASE, "test-db")


def test_a_failure_after_some(tmp_path: Path) -> None:
    with failing(tmp_path, {"operation": "create", "after": 2}) as found:
        found.create(VPC, {}, name="a")
        found.create(VPC, {}, name="b")
        with pytest.raises(grpc.RpcError, match="ordered"):
            found.create(VPC, {}, name="c")
        assert found.create(VPC, {}, name="c").id


def test_an_order_that_is_misspelled_is_refused(tmp_path: Path) -> None:
    (tmp_path / "failures.json").write_text('[{"operation": "create", "time": 1}]')
    with pytest.raises(OrderError, match=r"order 0: .*is not an object of after, message, operation, resource, times"):
        Failures(tmp_path / "failures.json")


# Configuration and questions


def test_without_a_region_every_call_fails(tmp_path: Path) -> None:
    with serving(Recorder(tmp_path / "journal"), tmp_path) as found:
        found.configure()
        calls: list[Callable[[], Any]] = [
            lambda: found.failures(VPC, {}),
            lambda: found.diff(VPC, {}, {}),
            lambda: found.create(VPC, {}),
            lambda: found.delete(VPC, "x"),
            lambda: found.invoke("aws:index/getCallerIdentity:getCallerIdentity"),
        ]
        for call in calls:
            with pytest.raises(grpc.RpcError, match="has no region"):
                call()


def test_the_configuration_is_checked(client: Client) -> None:
    request = provider_pb2.CheckRequest(news=struct({"regoin": "x", "allowedAccountIds": '"1"', "version": "7.51.1"}))
    found = {each.property: each.reason for each in client.stub.CheckConfig(request).failures}
    assert found == {
        "regoin": "is not a property of provider aws; did you mean region?",
        "allowedAccountIds": "has to be a list, not a string",
    }


def test_another_account_is_refused(tmp_path: Path) -> None:
    with (
        serving(Recorder(tmp_path / "journal", account="444455556666"), tmp_path) as found,
        pytest.raises(grpc.RpcError, match="AWS account ID not allowed: 444455556666"),
    ):
        found.configure(**CONFIG)


def test_configure_keeps_secrets_and_offers_previews(client: Client) -> None:
    answer = client.stub.Configure(provider_pb2.ConfigureRequest(variables={"aws:config:region": REGION}))
    assert (answer.acceptSecrets, answer.supportsPreview, answer.acceptOutputs) == (True, True, False)
    assert client.create(VPC, {}).id


def test_questions_with_one_answer_are_answered(client: Client) -> None:
    assert client.invoke("aws:index/getCallerIdentity:getCallerIdentity")["accountId"] == ACCOUNT
    assert client.invoke("aws:index/getRegion:getRegion")["region"] == REGION
    assert client.invoke("aws:index/getPartition:getPartition")["partition"] == "aws"
    zones = client.invoke("aws:index/getAvailabilityZones:getAvailabilityZones", state="available")
    assert zones["names"] == [f"{REGION}{letter}" for letter in "abc"]
    assert zones["zoneIds"] == ["euc1-az1", "euc1-az2", "euc1-az3"]
    listed = client.invoke("aws:ec2/getManagedPrefixList:getManagedPrefixList", name="com.amazonaws.eu-central-1.s3")
    assert listed["id"].startswith("pl-")
    assert listed["arn"] == f"arn:aws:ec2:{REGION}:aws:prefix-list/{listed['id']}"
    image = client.invoke("aws:ssm/getParameter:getParameter", name="/aws/service/debian/release/13/latest/amd64")
    assert re.fullmatch(r"ami-[0-9a-f]{17}", image["value"])
    statement = {
        "actions": ["s3:GetObject"],
        "resources": ["a", "b"],
        "principals": [{"type": "Service", "identifiers": ["x.amazonaws.com"]}],
        "conditions": [{"test": "StringEquals", "variable": "aws:SourceAccount", "values": [ACCOUNT]}],
    }
    document = client.invoke("aws:iam/getPolicyDocument:getPolicyDocument", statements=[statement])
    assert json.loads(document["json"])["Statement"] == [
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": ["a", "b"],
            "Principal": {"Service": "x.amazonaws.com"},
            "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
        }
    ]


def test_an_instance_with_a_root_disk_needs_an_image_that_ec2_can_describe(client: Client) -> None:
    """The provider asks EC2 for the image first, and EC2 knows no `resolve:ssm:` there."""
    kind = "aws:ec2/instance:Instance"
    parameter = "resolve:ssm:/aws/service/debian/release/13/latest/amd64"
    disk = {"volumeSize": 20}
    with pytest.raises(grpc.RpcError, match='InvalidAMIID.Malformed: Invalid id: "resolve:ssm:'):
        client.create(kind, {"ami": parameter, "rootBlockDevice": disk})
    assert client.create(kind, {"ami": parameter}).id
    assert client.create(kind, {"ami": "ami-0123456789abcdef0", "rootBlockDevice": disk}).id


def test_every_other_question_is_refused_by_name(client: Client) -> None:
    with pytest.raises(grpc.RpcError, match="aws:ec2/getAmi:getAmi would ask AWS, and there is none here"):
        client.invoke("aws:ec2/getAmi:getAmi", mostRecent=True)


# The process


def test_the_schema_names_every_resource(client: Client) -> None:
    request = provider_pb2.GetSchemaRequest(version=0)
    schema = json.loads(client.stub.GetSchema(request).schema)
    assert (schema["name"], schema["version"]) == ("aws", "7.51.1")
    assert DATABASE in schema["resources"]
    assert client.stub.GetPluginInfo(empty_pb2.Empty()).version == "7.51.1"


def test_the_installed_wrapper_serves_and_ends_with_its_parent(tmp_path: Path) -> None:
    folder = aws.install(tmp_path / "bin")
    found = aws.environment(folder, journal=tmp_path / "journal")
    assert found["PATH"].split(os.pathsep)[0] == str(folder)
    plugin = subprocess.Popen(
        [folder / "pulumi-resource-aws", "127.0.0.1:1"], env=os.environ | found, stdout=subprocess.PIPE, text=True
    )
    assert plugin.stdout is not None
    port = int(plugin.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        assert stub.GetPluginInfo(empty_pb2.Empty()).version == "7.51.1"
    plugin.terminate()
    plugin.wait(10)


def test_without_a_journal_it_does_not_run(tmp_path: Path) -> None:
    folder = aws.install(tmp_path / "bin")
    clean = {name: value for name, value in os.environ.items() if name != aws.JOURNAL}
    done = subprocess.run([folder / "pulumi-resource-aws"], env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "it makes nothing at AWS: STACKWRIGHT_AWS_JOURNAL has to name its journal" in done.stderr


def test_nothing_that_is_installed_has_the_real_plugins_name() -> None:
    scripts = Path(__file__).parents[3] / "pyproject.toml"
    assert "pulumi-resource-aws" not in scripts.read_text()
