"""The network on AWS without an engine: every resource with all of its inputs, in each of its variants."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pulumi
import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.output import Unknown
from pulumi.provider.experimental.analyzer import Analyzer
from pulumi.runtime import rpc

from stackwright.infra.aws.network import Network, ipv6_subnet
from stackwright.infra.aws.network_args import NetworkArgs
from stackwright.infra.aws.network_endpoints import NetworkEndpoints, s3_policy
from stackwright.infra.aws.network_flow_logs import NetworkFlowLogs
from stackwright.model.aws import subnets
from stackwright.testing.recording import Properties, Recording, record

CIDR = "10.20.0.0/16"
ZONES = ("eu-central-1a", "eu-central-1b", "eu-central-1c")
PLAN = subnets.plan(CIDR, ZONES)
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/logs"
BLOCK = "2a05:d014:1:2300::/56"
LOG_GROUP = "test/network/flow-logs"
LOG_GROUP_ARN = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{LOG_GROUP}"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/test-flow-logs"
INTERFACES = ("ssm", "ssmmessages", "ec2messages", "secretsmanager", "ecr.api", "ecr.dkr", "logs")
RESERVATION = "aws:ec2/subnetCidrReservation:SubnetCidrReservation"
COMPUTED = {
    "aws:ec2/vpc:Vpc": lambda inputs: {
        "defaultRouteTableId": "main-routes",
        "ipv6CidrBlock": BLOCK if inputs["assignGeneratedIpv6CidrBlock"] else "",
    },
    "aws:ec2/eip:Eip": lambda inputs: {"publicIp": f"address of {inputs['tags']['Name']}"},
    "aws:ec2/vpcEndpoint:VpcEndpoint": lambda inputs: {"prefixListId": "pl-s3"},
    "aws:cloudwatch/logGroup:LogGroup": lambda inputs: {"arn": LOG_GROUP_ARN},
    "aws:iam/role:Role": lambda inputs: {"arn": ROLE_ARN},
}
Resources = dict[tuple[str, str], Properties]


def args(environment_class: str = "production", **more: Any) -> NetworkArgs:
    fixed: dict[str, Any] = {
        "context": context(environment_class),
        "cidr": CIDR,
        "subnets": PLAN,
        "kms_key_arn": KEY,
    }
    return NetworkArgs(**(fixed | more))


def run(environment_class: str = "production", **more: Any) -> Recording:
    def program() -> None:
        network = Network("net", args(environment_class, **more))
        pulumi.export("result", {"name": network.result.name, "cidr": network.result.cidr})

    return record(program, stack="test", computed=COMPUTED)


def names(recording: Recording, kind: str) -> list[str]:
    return [each.name for each in recording.resources if each.type == f"aws:ec2/{kind}:{kind[0].upper()}{kind[1:]}"]


def core(environment_class: str = "production", *, ipv6: bool = False) -> Resources:
    """What there is whatever is chosen: the VPC, its subnets, route tables and associations."""
    vpc = {"vpcId": "net-vpc-id"}

    def named(*parts: str) -> Properties:
        return {"tags": tags("-".join(("test", *parts)), environment_class)}

    found: Resources = {
        ("stackwright:aws:Network", "net"): {},
        ("aws:ec2/vpc:Vpc", "net-vpc"): {
            "cidrBlock": CIDR,
            "enableDnsSupport": True,
            "enableDnsHostnames": True,
            "assignGeneratedIpv6CidrBlock": ipv6,
            **named("network"),
        },
        ("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "net-default-group"): {
            **vpc,
            "ingress": [],
            "egress": [],
            **named("default", "closed"),
        },
        ("aws:ec2/defaultRouteTable:DefaultRouteTable", "net-default-routes"): {
            "defaultRouteTableId": "main-routes",
            "routes": [],
            **named("default", "closed"),
        },
        ("aws:ec2/internetGateway:InternetGateway", "net-internet"): vpc | named("internet"),
        ("aws:ec2/routeTable:RouteTable", "net-public-routes"): vpc | named("public", "routes"),
        ("aws:ec2/routeTable:RouteTable", "net-isolated-routes"): vpc | named("isolated", "routes"),
        **dict([route("net-public-routes-internet", "net-public-routes", gatewayId="net-internet-id")]),
    }
    for zone in ZONES:
        letter = zone[-1]
        private = f"net-private-{letter}-routes"
        found[("aws:ec2/routeTable:RouteTable", private)] = vpc | named("private", letter, "routes")
        tables = {"public": "net-public-routes", "private": private, "isolated": "net-isolated-routes"}
        for kind, table in tables.items():
            name = f"net-{kind}-{letter}"
            block = {"ipv6CidrBlock": ipv6_subnet(BLOCK, subnets.ipv6_index(kind, zone))} if ipv6 else {}
            found[("aws:ec2/subnet:Subnet", name)] = {
                **vpc,
                "availabilityZone": zone,
                "cidrBlock": PLAN[kind][zone],
                "mapPublicIpOnLaunch": False,
                "assignIpv6AddressOnCreation": ipv6 and kind != "public",
                **block,
                **named(kind, letter),
            }
            found[("aws:ec2/routeTableAssociation:RouteTableAssociation", f"{name}-association")] = {
                "subnetId": f"{name}-id",
                "routeTableId": f"{table}-id",
            }
    return found


def route(name: str, table: str, **target: str) -> tuple[tuple[str, str], Properties]:
    ipv6 = name.endswith("-ipv6")
    destination = {"destinationIpv6CidrBlock": "::/0"} if ipv6 else {"destinationCidrBlock": "0.0.0.0/0"}
    return ("aws:ec2/route:Route", name), {"routeTableId": f"{table}-id", **destination, **target}


def nat(letters: str, environment_class: str = "production") -> Resources:
    """A NAT gateway in each of these zones; a zone that has none uses the first's."""
    found: Resources = {}
    for letter in letters:
        name, tag = f"net-nat-{letter}", tags(f"test-nat-{letter}", environment_class)
        found[("aws:ec2/eip:Eip", f"{name}-address")] = {"domain": "vpc", "tags": tag}
        found[("aws:ec2/natGateway:NatGateway", name)] = {
            "allocationId": f"{name}-address-id",
            "subnetId": f"net-public-{letter}-id",
            "tags": tag,
        }
    for zone in ZONES:
        letter = zone[-1]
        used = letter if letter in letters else letters[0]
        table = f"net-private-{letter}-routes"
        found |= dict([route(f"{table}-internet", table, natGatewayId=f"net-nat-{used}-id")])
    return found


def flow_logs(environment_class: str = "production", days: int = 30) -> Resources:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": ACCOUNT},
            "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:{REGION}:{ACCOUNT}:vpc-flow-log/*"},
        },
    }
    permissions = {
        "Effect": "Allow",
        "Action": ["logs:CreateLogStream", "logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        "Resource": [LOG_GROUP_ARN, f"{LOG_GROUP_ARN}:*"],
    }
    return {
        ("stackwright:aws:NetworkFlowLogs", "net-flow-logs"): {},
        ("aws:cloudwatch/logGroup:LogGroup", "net-flow-logs-group"): {
            "name": LOG_GROUP,
            "kmsKeyId": KEY,
            "retentionInDays": days,
            "deletionProtectionEnabled": environment_class != "development",
            "tags": tags(LOG_GROUP, environment_class),
        },
        ("aws:iam/role:Role", "net-flow-logs-role"): {
            "name": "test-flow-logs",
            "description": "VPC writes flow logs",
            "assumeRolePolicy": json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            "tags": tags("test-flow-logs", environment_class),
        },
        ("aws:iam/rolePolicy:RolePolicy", "net-flow-logs-role-policy"): {
            "name": "test-flow-logs",
            "role": "test-flow-logs",
            "policy": json.dumps({"Version": "2012-10-17", "Statement": [permissions]}),
        },
        ("aws:ec2/flowLog:FlowLog", "net-flow-logs-log"): {
            "vpcId": "net-vpc-id",
            "trafficType": "ALL",
            "logDestinationType": "cloud-watch-logs",
            "logDestination": LOG_GROUP_ARN,
            "iamRoleArn": ROLE_ARN,
            "tags": tags("test-flow-logs", environment_class),
        },
    }


def endpoints(*services: str, environment_class: str = "production", buckets: tuple[str, ...] = ()) -> Resources:
    """The endpoint of S3, and interface endpoints of `services`."""
    base = "net-endpoints"
    tables = [f"net-private-{zone[-1]}-routes-id" for zone in ZONES]
    policy = s3_policy(context(environment_class), services, buckets)
    found: Resources = {
        ("stackwright:aws:NetworkEndpoints", base): {},
        ("aws:ec2/vpcEndpoint:VpcEndpoint", f"{base}-s3"): {
            "vpcId": "net-vpc-id",
            "vpcEndpointType": "Gateway",
            "serviceName": f"com.amazonaws.{REGION}.s3",
            "routeTableIds": [*tables, "net-isolated-routes-id"],
            "policy": json.dumps(policy),
            "tags": tags("test-endpoint-s3", environment_class),
        },
    }
    if services:
        group_tags = {"tags": tags("test-endpoints", environment_class)}
        found[("aws:ec2/securityGroup:SecurityGroup", f"{base}-group")] = {
            "name": "test-endpoints",
            "description": "Addresses of AWS services inside the network",
            "vpcId": "net-vpc-id",
            **group_tags,
        }
        found[("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", f"{base}-group-https")] = {
            "securityGroupId": f"{base}-group-id",
            "description": "Hosts of the network call AWS services",
            "ipProtocol": "tcp",
            "fromPort": 443,
            "toPort": 443,
            "cidrIpv4": CIDR,
            **group_tags,
        }
    for service in services:
        part = service.replace(".", "-")
        found[("aws:ec2/vpcEndpoint:VpcEndpoint", f"{base}-{part}")] = {
            "vpcId": "net-vpc-id",
            "vpcEndpointType": "Interface",
            "serviceName": f"com.amazonaws.{REGION}.{service}",
            "subnetIds": [f"net-private-{zone[-1]}-id" for zone in ZONES],
            "securityGroupIds": [f"{base}-group-id"],
            "privateDnsEnabled": True,
            "tags": tags(f"test-endpoint-{part}", environment_class),
        }
    return found


def test_production_is_these_resources_and_no_other() -> None:
    run().seal(core() | nat("abc") | flow_logs() | endpoints(*INTERFACES))


def test_staging_has_one_nat_gateway_for_all_zones() -> None:
    expected = core("staging") | nat("a", "staging") | flow_logs("staging")
    run("staging").seal(expected | endpoints(*INTERFACES, environment_class="staging"))


def test_a_network_without_nat_has_no_way_out() -> None:
    recording = run(nat="none")
    recording.seal(core() | flow_logs() | endpoints(*INTERFACES))
    assert names(recording, "route") == ["net-public-routes-internet"]


def test_endpoints_are_those_asked_for() -> None:
    buckets = ("packages-of-a-friend",)
    recording = run(endpoints=["s3"], readable_buckets=list(buckets), nat="single")
    recording.seal(core() | nat("a") | flow_logs() | endpoints(buckets=buckets))
    outputs = recording.component_outputs["net"]
    assert (outputs["s3PrefixListId"], outputs.get("endpointSecurityGroupId")) == ("pl-s3", None)


def test_no_endpoint_is_no_endpoint() -> None:
    recording = run(endpoints=[])
    recording.seal(core() | nat("abc") | flow_logs() | {("stackwright:aws:NetworkEndpoints", "net-endpoints"): {}})
    assert recording.component_outputs["net"].get("s3EndpointId") is None


def test_ipv6_gives_every_subnet_a_block_and_private_ones_a_way_out_alone() -> None:
    recording = run(ipv6=True)
    more: Resources = dict(
        route(f"net-private-{zone[-1]}-routes-internet-ipv6", f"net-private-{zone[-1]}-routes", **gateway)
        for zone in ZONES
        for gateway in ({"egressOnlyGatewayId": "net-egress-only-id"},)
    )
    more |= dict([route("net-public-routes-internet-ipv6", "net-public-routes", gatewayId="net-internet-id")])
    gateway = {"vpcId": "net-vpc-id", "tags": tags("test-egress-only")}
    more[("aws:ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway", "net-egress-only")] = gateway
    recording.seal(core(ipv6=True) | nat("abc") | flow_logs() | endpoints(*INTERFACES) | more)
    blocks = [each.inputs["ipv6CidrBlock"] for each in recording.resources if each.type == "aws:ec2/subnet:Subnet"]
    assert len(set(blocks)) == 9
    assert recording.named("net-public-a").inputs["ipv6CidrBlock"] == "2a05:d014:1:2308::/64"
    assert recording.component_outputs["net"]["ipv6Cidr"] == BLOCK


def test_isolated_subnets_have_no_route_of_their_own() -> None:
    recording = run(ipv6=True)
    routes = [each.inputs["routeTableId"] for each in recording.resources if each.type == "aws:ec2/route:Route"]
    assert "net-isolated-routes-id" not in routes
    assert len(routes) == 8


def test_the_order_in_which_a_plan_names_its_zones_changes_nothing() -> None:
    turned = {kind: dict(reversed(zones.items())) for kind, zones in reversed(PLAN.items())}
    recording = run(subnets=turned)
    recording.seal(core() | nat("abc") | flow_logs() | endpoints(*INTERFACES))
    assert recording.component_outputs["net"] == run().component_outputs["net"]


def test_addresses_of_hosts_are_reserved_before_anything_else_is_in_the_subnet() -> None:
    blocks = {"public": {ZONES[0]: ["10.20.64.8/29", "10.20.64.16/28"]}}
    recording = run(reserved=blocks)
    made = [each for each in recording.resources if each.type == RESERVATION]
    assert sorted((each.inputs for each in made), key=lambda inputs: inputs["cidrBlock"], reverse=True) == [
        {
            "subnetId": "net-public-a-id",
            "cidrBlock": block,
            "reservationType": "explicit",
            "description": "Servers with fixed addresses",
        }
        for block in blocks["public"][ZONES[0]]
    ]
    after = {each.name for each in recording.resources if set(each.depends_on) >= {one.name for one in made}}
    assert {"net-nat-a", "net-nat-b", "net-nat-c"} <= after
    assert recording.component_outputs["net"]["subnetIds"]["public"][ZONES[0]] == "net-public-a-id"


def test_the_outputs() -> None:
    recording = run()
    ids = {kind: {zone: f"net-{kind}-{zone[-1]}-id" for zone in ZONES} for kind in subnets.KINDS}
    outputs = recording.component_outputs["net"]
    assert outputs == {
        "vpcId": "net-vpc-id",
        "cidr": CIDR,
        "publicSubnetIds": list(ids["public"].values()),
        "privateSubnetIds": list(ids["private"].values()),
        "isolatedSubnetIds": list(ids["isolated"].values()),
        "subnetIds": ids,
        "privateRouteTableIds": {zone: f"net-private-{zone[-1]}-routes-id" for zone in ZONES},
        "natAddresses": [f"address of test-nat-{letter}" for letter in "abc"],
        "natGatewayIds": {zone: f"net-nat-{zone[-1]}-id" for zone in ZONES},
        "endpointSecurityGroupId": "net-endpoints-group-id",
        "s3EndpointId": "net-endpoints-s3-id",
        "s3PrefixListId": "pl-s3",
        "flowLogGroupName": LOG_GROUP,
    }
    assert recording.outputs == {"result": {"name": "net-vpc-id", "cidr": CIDR}}


def test_a_preview_knows_addresses_and_policies_and_not_what_aws_chooses() -> None:
    def program() -> None:
        Network("net", args(ipv6=True))

    computed = {"aws:ec2/vpc:Vpc": lambda _: {"ipv6CidrBlock": rpc.UNKNOWN, "defaultRouteTableId": rpc.UNKNOWN}}
    recording = record(program, stack="test", computed=computed, preview=True)
    subnet = recording.named("net-private-b").inputs
    assert subnet["cidrBlock"] == PLAN["private"][ZONES[1]]
    assert isinstance(subnet["ipv6CidrBlock"], Unknown)
    policy = json.loads(recording.named("net-flow-logs-role-policy").inputs["policy"])
    assert policy["Statement"][0]["Resource"] == [LOG_GROUP_ARN, f"{LOG_GROUP_ARN}:*"]


@pytest.mark.parametrize(
    ("environment_class", "kept"), [("production", True), ("staging", True), ("development", False)]
)
def test_flow_logs_outlive_a_mistake_outside_development(environment_class: str, kept: bool) -> None:
    recording = run(environment_class)
    group = recording.named("net-flow-logs-group")
    assert (group.protect, group.inputs["deletionProtectionEnabled"]) == (kept, kept)
    assert [each.name for each in recording.resources if each.protect] == (["net-flow-logs-group"] if kept else [])


def test_every_child_has_its_parent_and_nothing_is_secret() -> None:
    recording = run(ipv6=True)
    parents = {each.name: each.parent for each in recording.resources}
    for name, parent in parents.items():
        longest = max(
            (own for own in ("", "net", "net-endpoints", "net-flow-logs") if name != own and name.startswith(own)),
            key=len,
        )
        assert parent == longest, name
    assert not any(each.secrets for each in recording.resources)


def test_what_needs_the_internet_gateway_waits_for_it() -> None:
    recording = run()
    for name in ("net-nat-a", "net-nat-a-address"):
        assert "net-internet" in recording.named(name).depends_on
    assert "net-flow-logs-role-policy" in recording.named("net-flow-logs-log").depends_on


def test_s3_lets_through_the_environments_buckets_and_named_downloads_alone() -> None:
    own, downloads = s3_policy(context(), ("ssm",), ("friend",))["Statement"]
    assert own["Resource"] == ["arn:aws:s3:::test-*", "arn:aws:s3:::test-*/*"]
    assert own["Condition"]["StringEquals"] == {"aws:ResourceAccount": ACCOUNT, "aws:PrincipalAccount": ACCOUNT}
    assert downloads["Action"] == ["s3:GetObject"]
    assert f"arn:aws:s3:::amazon-ssm-{REGION}/*" in downloads["Resource"]
    assert downloads["Resource"][-1] == "arn:aws:s3:::friend/*"
    assert not any("*" in action for action in own["Action"])
    assert not any("starport" in each for each in downloads["Resource"])
    with_ecr = s3_policy(context(), ("ecr.dkr",), ())["Statement"][1]["Resource"]
    assert f"arn:aws:s3:::prod-{REGION}-starport-layer-bucket/*" in with_ecr


def test_a_bucket_of_the_environment_passes() -> None:
    own = s3_policy(context(), (), ())["Statement"][0]["Resource"][0]
    assert f"arn:aws:s3:::{context().name('bucket', 'backups', ACCOUNT)}".startswith(own.rstrip("*"))


def changed(kind: str, zone: str, cidr: str) -> dict[str, dict[str, str]]:
    return PLAN | {kind: PLAN[kind] | {zone: cidr}}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cidr": "10.20.0.0/8"}, "cidr is '10.20.0.0/8', accepted: a network such as 10.20.0.0/16, from /16 to /28"),
        ({"cidr": "10.20.0.1/16"}, "cidr is '10.20.0.1/16', accepted: a network such as"),
        (
            {"subnets": {"public": PLAN["public"]}},
            "subnets is for public, accepted: private, public, isolated, each with a zone",
        ),
        ({"subnets": {}}, "subnets is for nothing, accepted: private, public, isolated, each with a zone"),
        ({"subnets": PLAN | {"public": {}}}, "subnets is for private, public, isolated, accepted: private, public,"),
        (
            {"subnets": PLAN | {"public": {ZONES[0]: PLAN["public"][ZONES[0]]}}},
            "subnets has zones that differ (private: eu-central-1a, eu-central-1b, eu-central-1c; public: eu-central-1a;",
        ),
        (
            {"context": dataclasses.replace(context(), region="eu-west-1")},
            "subnets has the zone 'eu-central-1a', accepted: zones of eu-west-1 such as eu-west-1a",
        ),
        (
            {"subnets": changed("public", ZONES[0], "10.21.0.0/24")},
            "subnets[public][eu-central-1a] is 10.21.0.0/24, accepted: a part of 10.20.0.0/16",
        ),
        (
            {"subnets": changed("public", ZONES[0], "none")},
            "subnets[public][eu-central-1a] is 'none', accepted: a network such as 10.20.0.0/16, from /16 to /28",
        ),
        (
            {"subnets": changed("public", ZONES[0], PLAN["private"][ZONES[2]])},
            "subnets[private][eu-central-1c] and subnets[public][eu-central-1a] overlap, accepted: subnets that",
        ),
        ({"nat": "two"}, "nat is 'two', accepted: none, single, per_zone"),
        ({"endpoints": ["s3", "ssmm"]}, "endpoints has 'ssmm', accepted: autoscaling, ec2, ec2messages"),
        ({"endpoints": ["s3", "ssm", "s3"]}, "endpoints is s3, ssm, s3, accepted: each service once"),
        (
            {"nat": "none", "endpoints": ["s3", "ssm", "ec2messages", "logs"]},
            "endpoints lacks ssmmessages, secretsmanager while nat is 'none', accepted: these, or another nat",
        ),
        ({"readable_buckets": ["*"]}, "readable_buckets has '*', accepted: names of buckets"),
        ({"flow_log_days": 31}, "flow_log_days is 31, accepted: 1, 3, 5, 7, 14, 30, 60"),
        ({"flow_log_days": 0}, "flow_log_days is 0, accepted: 1, 3"),
    ],
)
def test_a_wrong_argument_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(f"NetworkArgs.{message}")):
        args(**wrong)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="NetworkArgs") as caught:
        args(nat="two", flow_log_days=31, cidr="x")
    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "NetworkArgs.cidr",
        "NetworkArgs.nat",
        "NetworkArgs.flow_log_days",
    ]


@pytest.mark.parametrize("component", [Network, NetworkEndpoints, NetworkFlowLogs])
def test_other_languages_can_use_the_component(component: type[pulumi.ComponentResource]) -> None:
    found = Analyzer("stackwright").analyze([component])
    assert found["component_definitions"][component.__name__].inputs
    assert found["component_definitions"][component.__name__].outputs
    assert all(each.properties for each in found["type_definitions"].values())
