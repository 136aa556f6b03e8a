"""A group of servers that configure themselves: every resource with all of its inputs, each choice, each refusal."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pulumi
import pytest
import yaml
from aws_context import ACCOUNT, REGION, context, tags
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws.firewall_rules import RuleArgs
from stackwright.infra.aws.instance_role import StatementArgs, agent_statements
from stackwright.infra.aws.launch_template import AgentArgs, LaunchTemplate
from stackwright.infra.aws.scaling_checks import user_data
from stackwright.infra.aws.scaling_group import ScalingGroup
from stackwright.infra.aws.scaling_group_args import BootArgs, ScalingGroupArgs, SpotArgs
from stackwright.infra.aws.scaling_policies import RequestsArgs, ScheduledSizeArgs
from stackwright.testing.recording import Properties, Recording, record

KMS = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
PUBLIC_KEY = (
    ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    .public_key()
    .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
BOOT = BootArgs(
    bucket=f"test-artifacts-{ACCOUNT}",
    key="bundles/app.tar.gz",
    public_key=PUBLIC_KEY,
    health_url="http://127.0.0.1/health",
    kms_key_arn=KMS,
)
BUNDLE = f"arn:aws:s3:::test-artifacts-{ACCOUNT}/bundles/app.tar.gz"
TARGETS = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/test-app/1"
GROUP = "aws:autoscaling/group:Group"
HOOK = "aws:autoscaling/lifecycleHook:LifecycleHook"
POLICY = "aws:autoscaling/policy:Policy"
AMI = "ami-0123456789abcdef0"
OUT = RuleArgs(reason="Services of AWS", port=443, cidr="10.20.0.0/16")
METRICS = ["DesiredCapacity", "InServiceInstances", "MaxSize", "MinSize", "PendingInstances", "StandbyInstances"]
METRICS += ["TerminatingInstances", "TotalInstances"]
COMPUTED = {
    "aws:ec2/launchTemplate:LaunchTemplate": lambda _: {"latestVersion": 3},
    "aws:autoscaling/group:Group": lambda inputs: {"arn": f"arn of {inputs['name']}"},
    "aws:iam/role:Role": lambda inputs: {"arn": f"arn:aws:iam::{ACCOUNT}:role/{inputs['name']}"},
    "aws:iam/instanceProfile:InstanceProfile": lambda inputs: {"arn": f"arn of profile {inputs['name']}"},
}


def args(environment_class: str = "production", **more: Any) -> ScalingGroupArgs:
    usual: dict[str, Any] = {
        "tier": "app",
        "vpc_id": "vpc-1",
        "subnet_ids": ["subnet-a", "subnet-b"],
        "instance_type": "m7i.large",
        "min": 2,
        "max": 6,
        "kms_key_arn": KMS,
        "boot": BOOT,
        "agent": AgentArgs(version="3.3.2299.0", sha256={"x86_64": "ab" * 32}),
        "target_group_arns": [TARGETS],
        "egress": [OUT],
    }
    return ScalingGroupArgs(context=context(environment_class), **(usual | more))


def run(environment_class: str = "production", **more: Any) -> Recording:
    return record(lambda: export(environment_class, **more), stack="test", computed=COMPUTED)


def export(environment_class: str, **more: Any) -> None:
    pulumi.export("group", ScalingGroup("app", args(environment_class, **more)).group_name)


def role() -> dict[tuple[str, str], Properties]:
    own = [
        {
            "Sid": "ReadBundle",
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": [BUNDLE, f"{BUNDLE}.sig"],
        },
        {
            "Sid": "SayHowItWent",
            "Effect": "Allow",
            "Action": ["autoscaling:CompleteLifecycleAction"],
            "Resource": [f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:autoScalingGroup:*:autoScalingGroupName/test-app"],
        },
        {
            "Sid": "DecryptBundle",
            "Effect": "Allow",
            "Action": ["kms:Decrypt"],
            "Resource": [KMS],
            "Condition": {"StringEquals": {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}},
        },
    ]
    policy = {"Version": "2012-10-17", "Statement": [*agent_statements(context()), *own]}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    named = {"name": "test-app-group", "role": "test-app-group"}
    return {
        ("stackwright:aws:InstanceRole", "app-servers"): {},
        ("aws:iam/role:Role", "app-servers-role"): {
            "name": "test-app-group",
            "description": "Servers of test: app-group",
            "assumeRolePolicy": json.dumps(trust),
            "tags": tags("test-app-group"),
        },
        ("aws:iam/rolePolicy:RolePolicy", "app-servers-policy"): named | {"policy": json.dumps(policy)},
        ("aws:iam/instanceProfile:InstanceProfile", "app-servers-profile"): named | {"tags": tags("test-app-group")},
    }


def template(**more: Any) -> dict[tuple[str, str], Properties]:
    own = tags("test-app", tier="app")
    inputs = {
        "name": "test-app",
        "updateDefaultVersion": True,
        "imageId": "resolve:ssm:/aws/service/debian/release/13/latest/amd64",
        "instanceType": "m7i.large",
        "iamInstanceProfile": {"arn": "arn of profile test-app-group"},
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
            "instanceMetadataTags": "disabled",
        },
        "blockDeviceMappings": [
            {
                "deviceName": "/dev/xvda",
                "ebs": {
                    "volumeType": "gp3",
                    "volumeSize": 20,
                    "iops": 3000,
                    "throughput": 125,
                    "encrypted": "true",
                    "kmsKeyId": KMS,
                    "deleteOnTermination": "true",
                },
            }
        ],
        "networkInterfaces": [
            {
                "deviceIndex": 0,
                "associatePublicIpAddress": "false",
                "deleteOnTermination": "true",
                "securityGroups": ["app-firewall-id"],
            }
        ],
        "monitoring": {"enabled": True},
        "ebsOptimized": "true",
        "instanceInitiatedShutdownBehavior": "terminate",
        "tagSpecifications": [
            {"resourceType": kind, "tags": own} for kind in ("instance", "volume", "network-interface")
        ],
        "userData": user_data(args()).encoded(),
        "tags": own,
    }
    return {
        ("stackwright:aws:LaunchTemplate", "app-servers"): {},
        ("aws:ec2/launchTemplate:LaunchTemplate", "app-servers-template"): inputs | more,
    }


def hook(part: str) -> Properties:
    launch = {"lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING", "heartbeatTimeout": 1800}
    end = {"lifecycleTransition": "autoscaling:EC2_INSTANCE_TERMINATING", "heartbeatTimeout": 150}
    found = launch | {"defaultResult": "ABANDON"} if part == "launch" else end | {"defaultResult": "CONTINUE"}
    return {"name": f"test-app-{part}"} | found


def group() -> Properties:
    return {
        "name": "test-app",
        "minSize": 2,
        "maxSize": 6,
        "vpcZoneIdentifiers": ["subnet-a", "subnet-b"],
        "launchTemplate": {"id": "app-servers-template-id", "version": "3"},
        "capacityRebalance": False,
        "targetGroupArns": [TARGETS],
        "healthCheckType": "ELB",
        "healthCheckGracePeriod": 60,
        "defaultInstanceWarmup": 120,
        "initialLifecycleHooks": [hook("launch"), hook("terminate")],
        "instanceRefresh": {
            "strategy": "Rolling",
            "preferences": {
                "autoRollback": False,
                "minHealthyPercentage": 100,
                "maxHealthyPercentage": 150,
                "instanceWarmup": "120",
            },
            "triggers": ["tag"],
        },
        "instanceMaintenancePolicy": {"minHealthyPercentage": 100, "maxHealthyPercentage": 150},
        "enabledMetrics": [f"Group{each}" for each in METRICS],
        "waitForCapacityTimeout": "2100s",
        "tags": [
            {"key": key, "value": value, "propagateAtLaunch": True}
            for key, value in tags("test-app", tier="app").items()
        ],
    }


def test_a_group_is_these_resources_and_no_other() -> None:
    recording = run()
    firewall = tags("test-group-app", tier="app")
    recording.seal(
        {
            ("stackwright:aws:ScalingGroup", "app"): {},
            ("aws:ec2/securityGroup:SecurityGroup", "app-firewall"): {
                "name": "test-group-app",
                "description": "Servers of the group app",
                "vpcId": "vpc-1",
                "tags": firewall,
            },
            ("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule", "app-to-tcp-443-services-of-aws"): {
                "securityGroupId": "app-firewall-id",
                "description": "Services of AWS",
                "ipProtocol": "tcp",
                "fromPort": 443,
                "toPort": 443,
                "cidrIpv4": "10.20.0.0/16",
                "tags": firewall,
            },
            **role(),
            **template(),
            (GROUP, "app-group"): group(),
            (HOOK, "app-launch-hook"): hook("launch") | {"autoscalingGroupName": "test-app"},
            (HOOK, "app-terminate-hook"): hook("terminate") | {"autoscalingGroupName": "test-app"},
            (POLICY, "app-cpu"): {
                "name": "test-app-cpu",
                "autoscalingGroupName": "test-app",
                "policyType": "TargetTrackingScaling",
                "targetTrackingConfiguration": {
                    "targetValue": 55,
                    "predefinedMetricSpecification": {"predefinedMetricType": "ASGAverageCPUUtilization"},
                },
            },
        }
    )
    parents = {each.name: each.parent for each in recording.resources if each.custom}
    assert set(parents.values()) == {"app", "app-servers"}
    assert not any(each.secrets for each in recording.resources)
    assert recording.component_outputs["app"] == {
        "groupName": "test-app",
        "groupArn": "arn of test-app",
        "securityGroupId": "app-firewall-id",
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/test-app-group",
        "launchTemplateId": "app-servers-template-id",
    }


def test_the_first_servers_wait_for_hooks_and_rules_too() -> None:
    found = run().named("app-group")
    assert found.ignore_changes == ("initialLifecycleHooks",)
    assert "app-to-tcp-443-services-of-aws" in found.depends_on


def test_an_image_by_its_id_can_be_rolled_back() -> None:
    recording = run(image_id=AMI, rollback_alarms=["test-5xx"])
    preferences = recording.named("app-group").inputs["instanceRefresh"]["preferences"]
    assert preferences["autoRollback"] is True
    assert preferences["alarmSpecification"] == {"alarms": ["test-5xx"]}
    assert recording.named("app-servers-template").inputs["imageId"] == AMI


def test_a_new_serial_of_the_bundle_is_a_new_template() -> None:
    boot = BootArgs(**(vars(BOOT) | {"minimum_serial": 8}))
    before, after = (each.named("app-servers-template").inputs["userData"] for each in (run(), run(boot=boot)))
    assert before != after
    config = yaml.safe_load(gzip.decompress(base64.b64decode(after)))
    files = {each["path"]: each["content"] for each in config["write_files"]}
    settings = json.loads(files["/etc/stackwright/boot.json"])
    assert settings["minimum_serial"] == 8
    # AWS's patience is longer than the server's, so that the server has the last word.
    assert settings["deadline_seconds"] < 1800
    assert settings["drain_seconds"] < 150


def test_warm_servers_are_stopped_ones_and_as_many_as_are_asked_for() -> None:
    inputs = run(warm=2).named("app-group").inputs
    assert inputs["warmPool"] == {
        "poolState": "Stopped",
        "minSize": 2,
        "maxGroupPreparedCapacity": 4,
        "instanceReusePolicy": {"reuseOnScaleIn": False},
    }
    pool = ["DesiredCapacity", "PendingCapacity", "TotalCapacity", "WarmedCapacity"]
    assert inputs["enabledMetrics"][len(METRICS) :] == [f"WarmPool{each}" for each in pool]


def test_spot_capacity_has_several_types_and_a_floor_of_the_other_kind() -> None:
    spot = SpotArgs(types=["c7i.xlarge", "r7i.large"], on_demand=2, percent_on_demand=25)
    inputs = run(spot=spot).named("app-group").inputs
    assert "launchTemplate" not in inputs
    assert inputs["capacityRebalance"] is True
    assert inputs["mixedInstancesPolicy"] == {
        "launchTemplate": {
            "launchTemplateSpecification": {"launchTemplateId": "app-servers-template-id", "version": "3"},
            "overrides": [{"instanceType": each} for each in ("m7i.large", "c7i.xlarge", "r7i.large")],
        },
        "instancesDistribution": {
            "onDemandAllocationStrategy": "prioritized",
            "onDemandBaseCapacity": 2,
            "onDemandPercentageAboveBaseCapacity": 25,
            "spotAllocationStrategy": "price-capacity-optimized",
        },
    }


def test_requests_are_counted_where_the_load_balancer_counts_them() -> None:
    requests = RequestsArgs(
        per_instance=600,
        load_balancer_suffix="app/test/1",
        target_group_suffix="targetgroup/t/2",
    )
    found = run(requests=requests, cpu_percent=40)
    assert found.named("app-requests").inputs == {
        "name": "test-app-requests",
        "autoscalingGroupName": "test-app",
        "policyType": "TargetTrackingScaling",
        "targetTrackingConfiguration": {
            "targetValue": 600,
            "predefinedMetricSpecification": {
                "predefinedMetricType": "ALBRequestCountPerTarget",
                "resourceLabel": "app/test/1/targetgroup/t/2",
            },
        },
    }
    assert found.named("app-cpu").inputs["targetTrackingConfiguration"]["targetValue"] == 40


def test_sizes_at_known_times_leave_the_number_in_between_alone() -> None:
    morning = ScheduledSizeArgs(name="morning", at="0 6 * * MON-FRI", min=4, max=6, time_zone="Asia/Dubai")
    found = run(schedules=[morning])
    # A run in opening hours leaves the sizes alone that the schedule has set.
    assert found.named("app-group").ignore_changes == ("initialLifecycleHooks", "minSize", "maxSize")
    assert found.named("app-at-morning").inputs == {
        "scheduledActionName": "test-app-morning",
        "autoscalingGroupName": "test-app",
        "recurrence": "0 6 * * MON-FRI",
        "timeZone": "Asia/Dubai",
        "minSize": 4,
        "maxSize": 6,
        "desiredCapacity": -1,
    }


def test_without_a_load_balancer_ec2_says_who_is_healthy() -> None:
    inputs = run(target_group_arns=None).named("app-group").inputs
    assert inputs["healthCheckType"] == "EC2"
    assert "targetGroupArns" not in inputs


def test_rationed_cpus_and_minutes_of_metrics_follow_the_class() -> None:
    for environment_class, credit, detailed in (("development", "standard", False), ("staging", "unlimited", True)):
        inputs = run(environment_class, instance_type="t3.large").named("app-servers-template").inputs
        assert inputs["creditSpecification"] == {"cpuCredits": credit}
        assert inputs["monitoring"] == {"enabled": detailed}
    chosen = run(instance_type="t3.large", cpu_credits="standard", detailed_monitoring=False)
    inputs = chosen.named("app-servers-template").inputs
    assert (inputs["creditSpecification"], inputs["monitoring"]) == ({"cpuCredits": "standard"}, {"enabled": False})


def test_what_is_known_later_is_known_to_nothing_that_a_preview_needs() -> None:
    recording = record(
        lambda: export("production", kms_key_arn=pulumi.Output.from_input(KMS)),
        stack="test",
        computed=COMPUTED,
        preview=True,
    )
    assert recording.named("app-servers-template").inputs["userData"] == user_data(args()).encoded()


def changed_boot(**more: Any) -> BootArgs:
    return BootArgs(**(vars(BOOT) | more))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"tier": "App"}, "tier is 'App', accepted: lower-case letters, digits and hyphens"),
        ({"min": 7}, "min is 7 and max 6, accepted: 1 or more, `min` not above `max`"),
        ({"min": 1}, "min is 1 in 2 zones, accepted in production: at least 2 servers in 2 zones"),
        ({"subnet_ids": ["subnet-a"]}, "min is 2 in 1 zones, accepted in production: at least 2 servers in 2 zones"),
        ({"subnet_ids": []}, "subnet_ids is empty, accepted: one a zone"),
        ({"cpu_percent": 0}, "cpu_percent is 0, accepted: 1 to 100"),
        ({"warm": 91}, "warm is 91, accepted: 0 to 90"),
        ({"warm": 1, "spot": SpotArgs(types=["c7i.large"])}, "warm is 1 with `spot`, accepted: one of them"),
        ({"spot": SpotArgs(types=[])}, "spot.types is empty, accepted: at least one further type, each once"),
        ({"spot": SpotArgs(types=["m7i.large"])}, "spot.types is m7i.large, accepted: at least one further type"),
        (
            {"spot": SpotArgs(types=["m7g.large"])},
            "spot.types has m7g.large, accepted: types of x86_64, as m7i.large is",
        ),
        (
            {"spot": SpotArgs(types=["t3.large"])},
            "spot.types mixes t3.large with others, accepted: all with rationed CPUs",
        ),
        ({"spot": SpotArgs(types=["c7i.large"], on_demand=7)}, "spot.on_demand is 7, accepted: 0 to `max`, 6"),
        (
            {"spot": SpotArgs(types=["c7i.large"], percent_on_demand=101)},
            "percent_on_demand is 101, accepted: 0 to 100",
        ),
        ({"launch_timeout_seconds": 60}, "launch_timeout_seconds is 60, accepted: 360 to 7200"),
        ({"drain_seconds": 7200}, "drain_seconds is 7200, accepted: 30 to 7170"),
        ({"warmup_seconds": -1}, "warmup_seconds is -1, accepted: 0 to 7200"),
        ({"os": "windows-2022"}, "boot is for Linux, as Ansible runs on no Windows, accepted: None"),
        ({"os": "beos"}, "os or architecture: 'beos' is no operating system that is known here"),
        ({"architecture": "arm64"}, "instance_type is m7i.large, accepted: a type of arm64, as the image is"),
        ({"image_id": "newest"}, "image_id is 'newest', accepted: an id such as ami-0123456789abcdef0"),
        ({"rollback_alarms": ["a"]}, "rollback_alarms needs `image_id`, accepted: both"),
        ({"disk_gb": 4}, "disk_gb is 4, accepted: 8 to 16384"),
        ({"agent": None}, "user data: agent is missing, and debian-13 has none"),
        ({"boot": changed_boot(key="app.zip")}, "boot.bundle is 's3://test-artifacts-111122223333/app.zip', accepted:"),
        ({"boot": changed_boot(facts={"db_password": "x"})}, "boot.facts[db_password] looks like a secret"),
        (
            {"requests": RequestsArgs(per_instance=0, load_balancer_suffix="a", target_group_suffix="b")},
            "requests.per_instance is 0, accepted: 1 or more a minute",
        ),
        (
            {
                "target_group_arns": None,
                "requests": RequestsArgs(per_instance=1, load_balancer_suffix="a", target_group_suffix="b"),
            },
            "requests counts those of a load balancer, accepted: with `target_group_arns`",
        ),
        (
            {"schedules": [ScheduledSizeArgs(name="x", at="0 6 * * *", min=1, max=9)]},
            "schedules[0] is 1 to 9, accepted: sizes within 2 to 6, `min` not above `max`",
        ),
        (
            {"schedules": [ScheduledSizeArgs(name="x", at="6 o'clock", min=2, max=3)]},
            'schedules[0].at is "6 o\'clock", accepted: five fields of cron such as 0 6 * * MON-FRI',
        ),
        (
            {"schedules": [ScheduledSizeArgs(name="x", at="0 6 * * *", min=2, max=3, time_zone="GMT+4!")]},
            "schedules[0].time_zone is 'GMT+4!', accepted: names such as Europe/Berlin",
        ),
        (
            {"schedules": [ScheduledSizeArgs(name="Night", at="0 6 * * *", min=2, max=3)]},
            "schedules[0].name is 'Night', accepted: lower-case letters, digits and hyphens, each name once",
        ),
        (
            {"ingress": [RuleArgs(reason="x", port=22, cidr="10.0.0.0/8")]},
            "ingress[0] opens SSH, accepted: none; servers of a group are reached by Systems Manager",
        ),
        ({"ingress": [RuleArgs(reason="x", port=8080, cidr="0.0.0.0/0")]}, "ingress[0] lets 0.0.0.0/0 in"),
        (
            {"statements": [StatementArgs(sid="ReadBundle", actions=["s3:GetObject"], resources=[BUNDLE])]},
            "statements has 'ReadBundle', accepted: names that the group does not use itself",
        ),
    ],
)
def test_what_would_not_work_is_refused_before_there_is_anything(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="accepted") as error:
        args(**more)
    assert message in str(error.value)
    assert all(line.startswith("ScalingGroupArgs.") for line in str(error.value).splitlines())


@pytest.mark.parametrize("component", [ScalingGroup, LaunchTemplate])
def test_other_languages_can_use_it(component: type[pulumi.ComponentResource]) -> None:
    found = Analyzer("stackwright").analyze([component])
    assert found["component_definitions"][component.__name__].inputs
    assert all(each.properties for each in found["type_definitions"].values())
