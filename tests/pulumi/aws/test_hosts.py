"""Named servers: every resource with all of its inputs, and what is refused before the first one exists."""

from __future__ import annotations

import base64
import json
from typing import Any

import pulumi
import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws.firewall_rules import RuleArgs
from stackwright.infra.aws.hosts import BetweenArgs, HostArgs, Hosts, HostsArgs, user_data
from stackwright.infra.aws.instance_role import StatementArgs, agent_statements, metrics_statement
from stackwright.infra.aws.launch_template import AgentArgs
from stackwright.testing.aws import invokes
from stackwright.testing.aws.configuration import Configuration
from stackwright.testing.recording import Properties, Recording, record

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUGbl6ztn+p9K2dLxgYqkA9i0Sg4JcvV1WjEwT9xQzr ops"
KMS = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
AGENT = AgentArgs(version="3.3.2299.0", sha256={"x86_64": "ab" * 32, "arm64": "cd" * 32})
EDGE = HostArgs(
    name="edge1",
    address="10.20.64.21",
    subnet_id="subnet-public",
    instance_type="t3.small",
    disk_gb=20,
    tiers=["edge"],
    public=True,
)
DB = HostArgs(
    name="db1",
    address="10.20.0.41",
    subnet_id="subnet-private",
    instance_type="m7i.xlarge",
    disk_gb=100,
    tiers=["database", "consensus"],
    statements=[
        StatementArgs(sid="WriteBackups", actions=["s3:PutObject"], resources=["arn:aws:s3:::test-backups/database/*"])
    ],
)
TO_DATABASE = BetweenArgs(from_tier="edge", to_tier="database", port=5432, reason="The pooler reads and writes")
WEB = RuleArgs(reason="Users by HTTPS", port=443, cidr="0.0.0.0/0")
OUT = RuleArgs(reason="Services of AWS and packages", port=443, cidr="0.0.0.0/0")
INSTANCE = "aws:ec2/instance:Instance"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
COMPUTED = {
    "aws:ec2/eip:Eip": lambda _: {"allocationId": "eipalloc-1", "publicIp": "198.51.100.7"},
    "aws:iam/role:Role": lambda inputs: {"arn": f"arn:aws:iam::{ACCOUNT}:role/{inputs['name']}"},
}


def args(environment_class: str = "production", **more: Any) -> HostsArgs:
    usual: dict[str, Any] = {
        "vpc_id": "vpc-1",
        "hosts": [EDGE, DB],
        "kms_key_arn": KMS,
        "authorized_keys": [KEY],
        "agent": AGENT,
    }
    return HostsArgs(context=context(environment_class), **(usual | more))


def run(environment_class: str = "production", **more: Any) -> Recording:
    def program() -> None:
        hosts = Hosts("hosts", args(environment_class, **more))
        pulumi.export("hosts", {name: vars(host) for name, host in hosts.result.hosts.items()})

    return record(program, stack="test", computed=COMPUTED)


def image_id(parameter: str) -> str:
    """What the recorder answers: an id, which the provider can look up before it creates an instance."""
    configuration = Configuration(region=REGION)
    return str(invokes.answer("aws:ssm/getParameter:getParameter", {"name": parameter}, configuration)["value"])


def role(name: str, *own: dict[str, Any]) -> dict[tuple[str, str], Properties]:
    publish = {
        "Sid": "PublishHostKey",
        "Effect": "Allow",
        "Action": ["ssm:PutParameter"],
        "Resource": [f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/stackwright/test/host-keys/{name}"],
    }
    policy = {"Version": "2012-10-17", "Statement": [*agent_statements(context()), metrics_statement(), *own, publish]}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    named = {"name": f"test-{name}", "role": f"test-{name}"}
    return {
        ("stackwright:aws:InstanceRole", f"hosts-{name}"): {},
        ("aws:iam/role:Role", f"hosts-{name}-role"): {
            "name": f"test-{name}",
            "description": f"Servers of test: {name}",
            "assumeRolePolicy": json.dumps(trust),
            "tags": tags(f"test-{name}"),
        },
        ("aws:iam/rolePolicy:RolePolicy", f"hosts-{name}-policy"): named | {"policy": json.dumps(policy)},
        ("aws:iam/instanceProfile:InstanceProfile", f"hosts-{name}-profile"): named | {"tags": tags(f"test-{name}")},
    }


def key_parameter(name: str, tier: str) -> dict[tuple[str, str], Properties]:
    parameter = f"/stackwright/test/host-keys/{name}"
    inputs = {
        "name": parameter,
        "description": f"Public host key of {name}, written by the host itself",
        "type": "String",
        "insecureValue": "unpublished",
        "tags": tags(parameter, tier=tier),
    }
    return {("aws:ssm/parameter:Parameter", f"hosts-{name}-host-key"): inputs}


def group(tier: str) -> dict[tuple[str, str], Properties]:
    inputs = {
        "name": f"test-hosts-{tier}",
        "description": f"Hosts of the tier {tier}",
        "vpcId": "vpc-1",
        "tags": tags(f"test-hosts-{tier}", tier=tier),
    }
    return {("aws:ec2/securityGroup:SecurityGroup", f"hosts-{tier}-group"): inputs}


def instance(host: HostArgs, **more: Any) -> dict[tuple[str, str], Properties]:
    own = tags(f"test-{host.name}", tier=host.tiers[0])
    inputs = {
        "ami": image_id("/aws/service/debian/release/13/latest/amd64"),
        "instanceType": host.instance_type,
        "subnetId": host.subnet_id,
        "privateIp": host.address,
        "associatePublicIpAddress": False,
        "vpcSecurityGroupIds": [f"hosts-{tier}-group-id" for tier in host.tiers],
        "iamInstanceProfile": f"test-{host.name}",
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
            "instanceMetadataTags": "disabled",
        },
        "rootBlockDevice": {
            "volumeType": "gp3",
            "volumeSize": host.disk_gb,
            "encrypted": True,
            "kmsKeyId": KMS,
            "deleteOnTermination": False,
            "tags": own,
        },
        "ebsOptimized": True,
        "monitoring": True,
        "disableApiTermination": True,
        "instanceInitiatedShutdownBehavior": "stop",
        "maintenanceOptions": {"autoRecovery": "default"},
        "userDataBase64": user_data(args(), host).encoded(),
        "tags": own,
    }
    return {(INSTANCE, f"hosts-{host.name}-instance"): inputs | more}


def rule(tier: str, reason: str, port: int, **place: str) -> Properties:
    return {
        "securityGroupId": f"hosts-{tier}-group-id",
        "description": reason,
        "ipProtocol": "tcp",
        "fromPort": port,
        "toPort": port,
        "tags": tags(f"test-hosts-{tier}", tier=tier),
        **place,
    }


def test_two_hosts_are_these_resources_and_no_other() -> None:
    recording = run(between=[TO_DATABASE], ingress={"edge": [WEB]}, egress={"database": [OUT]})
    backups = {
        "Sid": "WriteBackups",
        "Effect": "Allow",
        "Action": ["s3:PutObject"],
        "Resource": ["arn:aws:s3:::test-backups/database/*"],
    }
    reason = "The pooler reads and writes"
    recording.seal(
        {
            ("stackwright:aws:Hosts", "hosts"): {},
            **group("edge"),
            **group("database"),
            **group("consensus"),
            **role("edge1"),
            **role("db1", backups),
            **key_parameter("edge1", "edge"),
            **key_parameter("db1", "database"),
            **instance(EDGE, creditSpecification={"cpuCredits": "unlimited"}),
            **instance(DB),
            ("aws:ec2/eip:Eip", "hosts-edge1-address"): {"domain": "vpc", "tags": tags("test-edge1", tier="edge")},
            ("aws:ec2/eipAssociation:EipAssociation", "hosts-edge1-address-of-host"): {
                "allocationId": "eipalloc-1",
                "instanceId": "hosts-edge1-instance-id",
            },
            (INGRESS, "hosts-edge-from-tcp-443-users-by-https"): rule(
                "edge", "Users by HTTPS", 443, cidrIpv4="0.0.0.0/0"
            ),
            (EGRESS, "hosts-database-to-tcp-443-services-of-aws-and-packages"): rule(
                "database", "Services of AWS and packages", 443, cidrIpv4="0.0.0.0/0"
            ),
            (INGRESS, "hosts-database-from-tcp-5432-the-pooler-reads-and-writes-edge"): rule(
                "database", reason, 5432, referencedSecurityGroupId="hosts-edge-group-id"
            ),
            (EGRESS, "hosts-edge-to-tcp-5432-the-pooler-reads-and-writes-database"): rule(
                "edge", reason, 5432, referencedSecurityGroupId="hosts-database-group-id"
            ),
        }
    )
    assert all(each.parent for each in recording.resources if each.custom)
    assert not any(each.secrets for each in recording.resources)
    assert recording.component_outputs["hosts"] == {
        "instanceIds": {"edge1": "hosts-edge1-instance-id", "db1": "hosts-db1-instance-id"},
        "publicAddresses": {"edge1": "198.51.100.7"},
        "roleArns": {name: f"arn:aws:iam::{ACCOUNT}:role/test-{name}" for name in ("edge1", "db1")},
        "hostKeyParameters": {name: f"/stackwright/test/host-keys/{name}" for name in ("edge1", "db1")},
        "securityGroupIds": {tier: f"hosts-{tier}-group-id" for tier in ("edge", "database", "consensus")},
    }
    assert recording.outputs["hosts"]["db1"] == {
        "address": "10.20.0.41",
        "instance_id": "hosts-db1-instance-id",
        "through": "ssm",
    }


@pytest.mark.parametrize(
    ("environment_class", "kept"), [("production", True), ("staging", True), ("development", False)]
)
def test_only_development_loses_a_host_without_being_asked_twice(environment_class: str, kept: bool) -> None:
    recording = run(environment_class)
    found = recording.named("hosts-db1-instance")
    assert (found.protect, found.inputs["disableApiTermination"]) == (kept, kept)
    assert found.inputs["rootBlockDevice"]["deleteOnTermination"] is not kept
    assert recording.named("hosts-edge1-address").protect is kept
    assert found.inputs["monitoring"] is kept
    credit = recording.named("hosts-edge1-instance").inputs["creditSpecification"]["cpuCredits"]
    assert credit == ("unlimited" if kept else "standard")


def test_a_newer_image_replaces_no_host() -> None:
    recording = run()
    ignored = set(recording.named("hosts-db1-instance").ignore_changes)
    assert ignored == {"ami", "userDataBase64", "associatePublicIpAddress"}
    assert recording.named("hosts-db1-host-key").ignore_changes == ("insecureValue",)


def test_a_host_waits_for_its_rights_and_for_where_its_key_goes() -> None:
    waits = set(run().named("hosts-db1-instance").depends_on)
    assert {"hosts-db1-policy", "hosts-db1-profile", "hosts-db1-host-key"} <= waits


def test_each_host_may_write_its_own_key_and_no_others() -> None:
    recording = run()
    for name in ("edge1", "db1"):
        statements = json.loads(recording.named(f"hosts-{name}-policy").inputs["policy"])["Statement"]
        (publish,) = (each for each in statements if "ssm:PutParameter" in each["Action"])
        assert publish["Resource"] == [f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/stackwright/test/host-keys/{name}"]


def test_without_networks_of_people_there_is_no_ssh_and_without_rules_no_traffic() -> None:
    assert not [each for each in run().resources if each.type in (INGRESS, EGRESS)]


def test_ssh_is_for_the_networks_that_are_named() -> None:
    recording = run(hosts=[EDGE], ssh_from=["203.0.113.0/24", "2001:db8::/48"])
    rules = {each.name: each.inputs for each in recording.resources if each.type in (INGRESS, EGRESS)}
    assert rules == {
        "hosts-edge-from-tcp-22-ssh-of-people-at-203-0-113-0-24": rule(
            "edge", "SSH of people at 203.0.113.0/24", 22, cidrIpv4="203.0.113.0/24"
        ),
        "hosts-edge-from-tcp-22-ssh-of-people-at-2001-db8-48": rule(
            "edge", "SSH of people at 2001:db8::/48", 22, cidrIpv6="2001:db8::/48"
        ),
    }


def test_hosts_of_one_tier_may_talk_to_each_other() -> None:
    own = BetweenArgs(from_tier="edge", to_tier="edge", port=112, to_port=113, protocol="udp", reason="Heartbeats")
    recording = run(hosts=[EDGE], between=[own])
    found = {each.type: each.inputs for each in recording.resources if each.type in (INGRESS, EGRESS)}
    assert set(found) == {INGRESS, EGRESS}
    for inputs in found.values():
        assert inputs["securityGroupId"] == inputs["referencedSecurityGroupId"] == "hosts-edge-group-id"
        assert (inputs["ipProtocol"], inputs["fromPort"], inputs["toPort"]) == ("udp", 112, 113)


def test_other_systems_and_images() -> None:
    ubuntu = HostArgs(**(vars(DB) | {"os": "ubuntu-24.04", "architecture": "arm64", "instance_type": "m7g.xlarge"}))
    pinned = HostArgs(**(vars(EDGE) | {"image_id": "ami-0123456789abcdef0"}))
    recording = run(hosts=[ubuntu, pinned])
    image = image_id("/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id")
    assert recording.named("hosts-db1-instance").inputs["ami"] == image
    assert recording.named("hosts-edge1-instance").inputs["ami"] == "ami-0123456789abcdef0"


def test_a_windows_host_is_reached_and_known_as_others_are() -> None:
    windows = HostArgs(**(vars(DB) | {"name": "win1", "os": "windows-2022", "tiers": ["windows"]}))
    recording = run(hosts=[windows], ssh_from=["203.0.113.0/24"])
    [parameter] = [each for each in recording.resources if each.type == "aws:ssm/parameter:Parameter"]
    name = parameter.inputs["name"]
    assert recording.component_outputs["hosts"]["hostKeyParameters"] == {"win1": name}
    assert f":parameter{name}" in recording.named("hosts-win1-policy").inputs["policy"]
    text = base64.b64decode(recording.named("hosts-win1-instance").inputs["userDataBase64"]).decode()
    assert f"$HostKeyParameter = '{name}'" in text
    assert "$AuthorizedKeys = @('ssh-ed25519 " in text
    assert "$SshFrom = @('203.0.113.0/24')" in text


def changed(host: HostArgs, **more: Any) -> HostArgs:
    return HostArgs(**(vars(host) | more))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"hosts": [EDGE, EDGE]}, "hosts has two with the name edge1, accepted: one"),
        ({"hosts": [EDGE, changed(EDGE, name="edge2")]}, "hosts has two with the address 10.20.64.21, accepted: one"),
        (
            {"hosts": [changed(EDGE, address="10.20.64")]},
            "address is '10.20.64', accepted: an IPv4 address of its subnet",
        ),
        ({"hosts": [changed(EDGE, tiers=[])]}, "tiers is empty, accepted: one to 5, each once"),
        ({"hosts": [changed(EDGE, tiers=list("abcdef"))]}, "tiers is a, b, c, d, e, f, accepted: one to 5, each once"),
        ({"hosts": [changed(EDGE, tiers=["Edge"])]}, "tiers has 'Edge', accepted: lower-case letters, digits and"),
        ({"hosts": [changed(EDGE, disk_gb=4)]}, "disk_gb is 4, accepted: 8 to 16384"),
        ({"hosts": [changed(EDGE, os="windows-2022")]}, "disk_gb is 20, accepted: at least the image's own 30"),
        ({"hosts": [changed(EDGE, os="beos")]}, "os or architecture: 'beos' is no operating system"),
        ({"hosts": [changed(EDGE, image_id="debian")]}, "image_id is 'debian', accepted: an id such as ami-"),
        ({"hosts": [changed(EDGE, architecture="arm64")]}, "is t3.small, accepted: a type of arm64, as the image is"),
        ({"hosts": [changed(EDGE, name="Edge_1")]}, "user data: hostname is 'Edge_1'"),
        ({"agent": None}, "hosts[edge1]: user data: agent is missing, and debian-13 has none"),
        ({"agent": AgentArgs(version="3.3.1.0", sha256={})}, "agent.sha256 is '', accepted: 64 hexadecimal digits"),
        ({"cpu_credits": "some"}, "cpu_credits is 'some', accepted: standard, unlimited"),
        (
            {"hosts": [changed(EDGE, statements=[StatementArgs(sid="All", actions=["s3:*"], resources=["*"])])]},
            "hosts[edge1].statements[0].actions has 's3:*', accepted: exact ones",
        ),
        (
            {"between": [BetweenArgs(from_tier="edge", to_tier="cache", port=6379, reason="x")]},
            "between[0].to_tier is 'cache', which has no host, accepted: edge, database, consensus",
        ),
        ({"between": [TO_DATABASE, TO_DATABASE]}, "between has tcp 5432 from edge to database twice, accepted: once"),
        (
            {"between": [BetweenArgs(from_tier="edge", to_tier="edge", port=0, reason="x")]},
            "between[0] is for the ports 0 to 0, accepted: 1 to 65535, the smaller one first",
        ),
        (
            {"ingress": {"cache": []}},
            "ingress[cache] is for a tier without a host, accepted: edge, database, consensus",
        ),
        (
            {"ingress": {"edge": [RuleArgs(reason="x", port=5432, cidr="0.0.0.0/0")]}},
            "ingress[edge][0] lets 0.0.0.0/0 in, accepted: from /8; everybody may reach 80 and 443 alone",
        ),
        (
            {"ingress": {"edge": [RuleArgs(reason="x", port=80, to_port=443, cidr="0.0.0.0/0")]}},
            "ingress[edge][0] lets 0.0.0.0/0 in",
        ),
        (
            {"ingress": {"edge": [RuleArgs(reason="x", port=20, to_port=30, cidr="10.0.0.0/8")]}},
            "ingress[edge][0] opens SSH to a network, accepted: `ssh_from`, which says it in one place",
        ),
        ({"egress": {"edge": [RuleArgs(reason="x", port=443)]}}, "egress[edge][0] has 0 places, accepted: exactly one"),
        (
            {"egress": {"edge": [RuleArgs(reason="", port=443, cidr="10.0.0.0/8")]}},
            "egress[edge][0].reason is '', accepted: up to 255 letters",
        ),
        (
            {"egress": {"edge": [RuleArgs(reason="x", port=443, protocol="all", cidr="10.0.0.0/8")]}},
            "egress[edge][0].protocol is 'all', accepted: tcp, udp",
        ),
        (
            {"egress": {"edge": [RuleArgs(reason="x", port=443, cidr="fd00::/8")]}},
            "egress[edge][0] has the network 'fd00::/8', accepted: IPv4 such as 10.20.0.0/16",
        ),
        ({"egress": {"edge": [OUT, OUT]}}, "egress[edge] has two rules 'tcp-443-services-of-aws-and-packages'"),
        ({"ssh_from": ["0.0.0.0/0"]}, "ssh_from[0] is 0.0.0.0/0, accepted: networks of people, from /8"),
        ({"ssh_from": ["office"]}, "ssh_from[0] is 'office', accepted: a network such as 203.0.113.0/24"),
    ],
)
def test_a_mistake_is_told_before_there_is_a_host(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="accepted") as error:
        args(**more)
    assert message in str(error.value)
    assert all(line.startswith("HostsArgs.") for line in str(error.value).splitlines())


def test_other_languages_can_use_it() -> None:
    found = Analyzer("stackwright").analyze([Hosts])
    assert found["component_definitions"]["Hosts"].inputs
    assert all(each.properties for each in found["type_definitions"].values())
