"""What users reach, without an engine: every resource with all of its inputs, each choice, each refusal."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from aws_context import ACCOUNT, REGION, context, tags
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra.aws.firewall_rules import RuleArgs
from stackwright.infra.aws.load_balancer import LoadBalancer
from stackwright.infra.aws.load_balancer_args import TLS_POLICIES, LoadBalancerArgs, OriginOnlyArgs
from stackwright.infra.aws.target_groups import TargetArgs
from stackwright.testing.recording import Properties, Recording, record

BALANCER = "aws:lb/loadBalancer:LoadBalancer"
GROUP = "aws:lb/targetGroup:TargetGroup"
LISTENER = "aws:lb/listener:Listener"
RULE = "aws:lb/listenerRule:ListenerRule"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/1"
BUCKET = f"test-logs-{ACCOUNT}"
TLS = "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"
LISTS = {"prefix_list_id": "pl-0123456789abcdef0", "prefix_list_id_ipv6": "pl-fedcba98"}
COMPUTED = {
    BALANCER: lambda inputs: {
        "arn": f"arn of {inputs['name']}",
        "arnSuffix": f"app/{inputs['name']}/1",
        "dnsName": f"{inputs['name']}.elb.amazonaws.com",
        "zoneId": "Z215JYRZR1TBD5",
    },
    GROUP: lambda inputs: {"arn": f"arn of {inputs['name']}", "arnSuffix": f"targetgroup/{inputs['name']}/1"},
    LISTENER: lambda inputs: {"arn": f"arn of {inputs['protocol']}"},
    RULE: lambda inputs: {"arn": f"arn of rule {inputs['priority']}"},
}
Key = tuple[str, str]


def targets(**more: Any) -> TargetArgs:
    return TargetArgs(**({"health_path": "/api/ready"} | more))


def args(environment_class: str = "production", **more: Any) -> LoadBalancerArgs:
    fixed: dict[str, Any] = {
        "context": context(environment_class),
        "vpc_id": "vpc-1",
        "subnet_ids": ["subnet-a", "subnet-b"],
        "certificate_arn": CERTIFICATE,
        "names": ["clinic.example.org"],
        "targets": targets(),
        "log_bucket": BUCKET,
    }
    if more.get("kind") == "network":
        del fixed["names"]
    return LoadBalancerArgs(**(fixed | more))


def run(
    environment_class: str = "production", then: Callable[[LoadBalancer], None] = lambda _: None, **more: Any
) -> Recording:
    return record(lambda: then(LoadBalancer("lb", args(environment_class, **more))), stack="test", computed=COMPUTED)


def ingress(name: str, reason: str, port: int, *, group: str = "test-web", **source: str) -> dict[Key, Properties]:
    return {
        (INGRESS, f"lb-from-tcp-{port}-{name}"): {
            "securityGroupId": "lb-security-group-id",
            "description": reason,
            "ipProtocol": "tcp",
            "fromPort": port,
            "toPort": port,
            "tags": tags(group),
            **source,
        }
    }


def world() -> dict[Key, Properties]:
    return ingress("https-from-everybody", "HTTPS from everybody", 443, cidrIpv4="0.0.0.0/0") | ingress(
        "http-from-everybody-to-be-redirected", "HTTP from everybody, to be redirected", 80, cidrIpv4="0.0.0.0/0"
    )


def security_group(name: str = "test-web") -> dict[Key, Properties]:
    return {
        ("aws:ec2/securityGroup:SecurityGroup", "lb-security-group"): {
            "name": name,
            "description": "Clients of the load balancer",
            "vpcId": "vpc-1",
            "tags": tags(name),
        }
    }


def balancer(name: str = "test-web", **more: Any) -> dict[Key, Properties]:
    logs = {"bucket": BUCKET, "prefix": "load-balancer", "enabled": True}
    return {
        (BALANCER, "lb-load-balancer"): {
            "name": name,
            "loadBalancerType": "application",
            "internal": False,
            "ipAddressType": "ipv4",
            "subnets": ["subnet-a", "subnet-b"],
            "securityGroups": ["lb-security-group-id"],
            "enableDeletionProtection": True,
            "accessLogs": logs,
            "connectionLogs": logs,
            "healthCheckLogs": logs,
            "idleTimeout": 3600,
            "enableHttp2": True,
            "dropInvalidHeaderFields": True,
            "desyncMitigationMode": "defensive",
            "preserveHostHeader": True,
            "xffHeaderProcessingMode": "append",
            "enableWafFailOpen": False,
            "tags": tags(name),
            **more,
        }
    }


def health(**more: Any) -> Properties:
    return {
        "enabled": True,
        "protocol": "HTTPS",
        "port": "traffic-port",
        "path": "/api/ready",
        "matcher": "200",
        "interval": 10,
        "timeout": 5,
        "healthyThreshold": 2,
        "unhealthyThreshold": 3,
        **more,
    }


def target_group(name: str = "test-web-https-443", **more: Any) -> dict[Key, Properties]:
    return {
        (GROUP, "lb-targets"): {
            "name": name,
            "vpcId": "vpc-1",
            "targetType": "instance",
            "port": 443,
            "protocol": "HTTPS",
            "protocolVersion": "HTTP1",
            "healthCheck": health(),
            "deregistrationDelay": 120,
            "slowStart": 0,
            "loadBalancingAlgorithmType": "least_outstanding_requests",
            "stickiness": {"enabled": False, "type": "lb_cookie"},
            "tags": tags(name),
            **more,
        }
    }


def https(balancer_name: str = "test-web", **more: Any) -> dict[Key, Properties]:
    nothing = {"contentType": "text/plain", "messageBody": "Not found", "statusCode": "404"}
    return {
        (LISTENER, "lb-https"): {
            "loadBalancerArn": f"arn of {balancer_name}",
            "port": 443,
            "protocol": "HTTPS",
            "sslPolicy": TLS,
            "certificateArn": CERTIFICATE,
            "routingHttpResponseServerEnabled": False,
            "defaultActions": [{"type": "fixed-response", "fixedResponse": nothing}],
            "tags": tags(f"{balancer_name}-https"),
            **more,
        }
    }


def redirect() -> dict[Key, Properties]:
    return {
        (LISTENER, "lb-http"): {
            "loadBalancerArn": "arn of test-web",
            "port": 80,
            "protocol": "HTTP",
            "routingHttpResponseServerEnabled": False,
            "defaultActions": [
                {"type": "redirect", "redirect": {"statusCode": "HTTP_301", "protocol": "HTTPS", "port": "443"}}
            ],
            "tags": tags("test-web-http"),
        }
    }


def names(*values: str, number: int = 1, label: str = "test-web") -> dict[Key, Properties]:
    return {
        (RULE, f"lb-names-{number}"): {
            "listenerArn": "arn of HTTPS",
            "priority": number * 100,
            "conditions": [{"hostHeader": {"values": list(values)}}],
            "actions": [{"type": "forward", "targetGroupArn": f"arn of {label}-https-443"}],
            "tags": tags(f"{label}-names-{number}"),
        }
    }


COMPONENT: dict[Key, Properties] = {("stackwright:aws:LoadBalancer", "lb"): {}}
USUAL = COMPONENT | security_group() | world() | balancer() | target_group() | https() | redirect()


def test_an_application_load_balancer_is_these_resources_and_no_other() -> None:
    recording = run()
    recording.seal(USUAL | names("clinic.example.org"))
    assert {each.parent for each in recording.resources if each.name != "lb"} == {"lb"}
    assert {each.name for each in recording.resources if each.protect} == {"lb-load-balancer"}
    assert not any(each.secrets for each in recording.resources)


def test_its_outputs_name_what_others_need() -> None:
    assert run().component_outputs["lb"] == {
        "arn": "arn of test-web",
        "arnSuffix": "app/test-web/1",
        "dnsName": "test-web.elb.amazonaws.com",
        "zoneId": "Z215JYRZR1TBD5",
        "listenerArn": "arn of HTTPS",
        "targetGroupArn": "arn of test-web-https-443",
        "targetGroupArnSuffix": "targetgroup/test-web-https-443/1",
        "securityGroupId": "lb-security-group-id",
    }


def test_the_result_is_what_every_provider_gives() -> None:
    found: dict[str, Any] = {}

    def keep(balancer: LoadBalancer) -> None:
        ((found["name"], found["endpoint"]),) = balancer.result.endpoints.items()
        found["secrets"] = balancer.result.secrets
        pulumi.export("address", found["endpoint"].addresses[0])

    recording = run(then=keep)
    assert (found["name"], found["endpoint"].scheme, found["endpoint"].port) == ("https", "https", 443)
    assert (found["secrets"], recording.outputs["address"]) == ((), "test-web.elb.amazonaws.com")


def test_a_policy_by_requests_waits_until_the_group_gets_some() -> None:
    def use(balancer: LoadBalancer) -> None:
        pulumi.CustomResource("test:index:Policy", "policy", {"targets": balancer.target_group_arn_suffix})

    assert "lb-names-1" in run(then=use).named("policy").depends_on
    assert "lb-tls" in run(then=use, kind="network").named("policy").depends_on


def test_in_development_it_can_be_deleted() -> None:
    found = run("development").named("lb-load-balancer")
    assert (found.inputs["enableDeletionProtection"], found.protect) == (False, False)


def test_ipv6_is_reached_too() -> None:
    recording = run(ipv6=True)
    six = {"cidrIpv6": "::/0"}
    assert recording.named("lb-load-balancer").inputs["ipAddressType"] == "dualstack"
    sources = {
        each.name: {key: value for key, value in each.inputs.items() if key.startswith("cidr")}
        for each in recording.resources
        if each.type == INGRESS
    }
    assert sources == {
        "lb-from-tcp-443-https-from-everybody": {"cidrIpv4": "0.0.0.0/0"},
        "lb-from-tcp-443-https-from-everybody-ipv6": six,
        "lb-from-tcp-80-http-from-everybody-to-be-redirected": {"cidrIpv4": "0.0.0.0/0"},
        "lb-from-tcp-80-http-from-everybody-to-be-redirected-ipv6": six,
    }


def test_behind_cloudfront_nobody_else_gets_in_and_there_is_no_http() -> None:
    recording = run(origin_only=OriginOnlyArgs(**LISTS))
    four, six = LISTS.values()
    recording.seal(
        COMPONENT
        | security_group()
        | ingress("https-from-cloudfront", "HTTPS from CloudFront", 443, prefixListId=four)
        | ingress("https-from-cloudfront-ipv6", "HTTPS from CloudFront (IPv6)", 443, prefixListId=six)
        | balancer()
        | target_group()
        | https()
        | names("clinic.example.org")
    )


def test_an_internal_one_behind_a_vpc_origin() -> None:
    recording = run(internal=True, origin_only=OriginOnlyArgs(prefix_list_id=LISTS["prefix_list_id"]))
    label = "test-web-internal"
    from_cdn = {"group": label, "prefixListId": LISTS["prefix_list_id"]}
    recording.seal(
        COMPONENT
        | security_group(label)
        | ingress("https-from-cloudfront", "HTTPS from CloudFront", 443, **from_cdn)
        # The last entry of X-Forwarded-For is what CloudFront appended: the client.
        | balancer(label, internal=True, xffHeaderProcessingMode="preserve")
        | target_group(f"{label}-https-443")
        | https(label)
        | names("clinic.example.org", label=label)
    )


def test_clients_may_be_named() -> None:
    clients = [
        RuleArgs(reason="Laboratory", port=443, cidr="198.51.100.0/24"),
        RuleArgs(reason="Application servers", port=443, security_group_id="sg-app"),
    ]
    recording = run(clients=clients)
    recording.seal(
        COMPONENT
        | security_group()
        | ingress("laboratory", "Laboratory", 443, cidrIpv4="198.51.100.0/24")
        | ingress("application-servers", "Application servers", 443, referencedSecurityGroupId="sg-app")
        | balancer()
        | target_group()
        | https()
        | names("clinic.example.org")
    )
    redirected = run(clients=[*clients, RuleArgs(reason="Laboratory", port=80, cidr="198.51.100.0/24")])
    assert "lb-http" in {each.name for each in redirected.resources}


def test_more_names_than_a_rule_holds_get_a_second_one() -> None:
    sites = [f"{letter}.example.org" for letter in "abcde"]
    recording = run(names=[*sites, "*.example.net"])
    recording.seal(USUAL | names(*sites) | names("*.example.net", number=2))


def test_choices_of_the_load_balancer_are_passed_on() -> None:
    recording = run(
        purpose="lab",
        idle_seconds=4000,
        log_prefix="logs/lb",
        desync="strictest",
        tls_policy="ELBSecurityPolicy-TLS13-1-3-PQ-2025-09",
    )
    logs = {"bucket": BUCKET, "prefix": "logs/lb", "enabled": True}
    found = dict.fromkeys(("accessLogs", "connectionLogs", "healthCheckLogs"), logs)
    choices = {"idleTimeout": 4000, "desyncMitigationMode": "strictest", **found}
    assert recording.named("lb-load-balancer").inputs == balancer("test-lab", **choices)[(BALANCER, "lb-load-balancer")]
    assert recording.named("lb-https").inputs["sslPolicy"] == "ELBSecurityPolicy-TLS13-1-3-PQ-2025-09"
    assert recording.named("lb-security-group").inputs["name"] == "test-lab"
    assert recording.named("lb-targets").inputs["name"] == "test-lab-https-443"


def test_choices_of_the_targets_are_passed_on() -> None:
    chosen = targets(
        port=8443,
        interval_seconds=20,
        timeout_seconds=19,
        healthy_count=10,
        unhealthy_count=4,
        success_codes="200,204",
        slow_start_seconds=30,
        drain_seconds=0,
        sticky_seconds=604_800,
    )
    checks = {"interval": 20, "timeout": 19, "healthyThreshold": 10, "unhealthyThreshold": 4, "matcher": "200,204"}
    expected = target_group(
        "test-web-https-8443",
        port=8443,
        healthCheck=health(**checks),
        deregistrationDelay=0,
        slowStart=30,
        loadBalancingAlgorithmType="round_robin",
        stickiness={"enabled": True, "type": "lb_cookie", "cookieDuration": 604_800},
    )
    assert run(targets=chosen).named("lb-targets").inputs == expected[(GROUP, "lb-targets")]


def test_in_development_hosts_may_speak_http() -> None:
    plain = targets(protocol="HTTP", port=8080)
    found = run("development", targets=plain).named("lb-targets").inputs
    assert (found["protocol"], found["healthCheck"]["protocol"], found["port"]) == ("HTTP", "HTTP", 8080)


def test_a_network_load_balancer_is_these_resources_and_no_other() -> None:
    recording = run(kind="network")
    label = "test-web-network"
    group = f"{label}-tls-443"
    recording.seal(
        COMPONENT
        | security_group(label)
        | ingress("https-from-everybody", "HTTPS from everybody", 443, group=label, cidrIpv4="0.0.0.0/0")
        | {
            (BALANCER, "lb-load-balancer"): {
                "name": label,
                "loadBalancerType": "network",
                "internal": False,
                "ipAddressType": "ipv4",
                "subnets": ["subnet-a", "subnet-b"],
                "securityGroups": ["lb-security-group-id"],
                "enableDeletionProtection": True,
                "enableCrossZoneLoadBalancing": True,
                "accessLogs": {"bucket": BUCKET, "prefix": "load-balancer", "enabled": True},
                "tags": tags(label),
            },
            (GROUP, "lb-targets"): {
                "name": group,
                "vpcId": "vpc-1",
                "targetType": "instance",
                "port": 443,
                "protocol": "TLS",
                "healthCheck": health(),
                "deregistrationDelay": 120,
                "connectionTermination": True,
                "preserveClientIp": "true",
                "stickiness": {"enabled": False, "type": "source_ip"},
                "tags": tags(group),
            },
            (LISTENER, "lb-tls"): {
                "loadBalancerArn": f"arn of {label}",
                "port": 443,
                "protocol": "TLS",
                "sslPolicy": TLS,
                "alpnPolicy": "HTTP2Preferred",
                "certificateArn": CERTIFICATE,
                "defaultActions": [{"type": "forward", "targetGroupArn": f"arn of {group}"}],
                "tags": tags(f"{label}-tls"),
            },
        }
    )
    assert {each.name for each in recording.resources if each.protect} == {"lb-load-balancer"}
    assert not any(each.secrets for each in recording.resources)


def test_behind_a_network_load_balancer_plain_hosts_are_spoken_to_in_http_1() -> None:
    recording = run("development", kind="network", targets=targets(protocol="HTTP", port=80), subnet_ids=["subnet-a"])
    assert recording.named("lb-tls").inputs["alpnPolicy"] == "HTTP1Only"
    found = recording.named("lb-targets").inputs
    assert (found["protocol"], found["healthCheck"]["protocol"]) == ("TCP", "HTTP")


def test_stable_hosts_and_groups_are_registered() -> None:
    def attach(balancer: LoadBalancer) -> None:
        balancer.attach({"app1": "i-1", "app2": pulumi.Output.from_input("i-2")})
        balancer.attach_group("workers", "test-workers")

    recording = run(then=attach)
    group = "arn of test-web-https-443"
    attachment = "aws:lb/targetGroupAttachment:TargetGroupAttachment"
    recording.seal(
        USUAL
        | names("clinic.example.org")
        | {
            (attachment, "lb-target-app1"): {"targetGroupArn": group, "targetId": "i-1", "port": 443},
            (attachment, "lb-target-app2"): {"targetGroupArn": group, "targetId": "i-2", "port": 443},
            ("aws:autoscaling/attachment:Attachment", "lb-group-workers"): {
                "autoscalingGroupName": "test-workers",
                "lbTargetGroupArn": group,
            },
        }
    )
    assert {each.parent for each in recording.resources if each.name != "lb"} == {"lb"}


def test_hosts_admit_it_on_their_port_and_it_reaches_nobody_else() -> None:
    recording = run(then=lambda balancer: balancer.admit("app", "sg-app"), targets=targets(port=8443))
    common = {"ipProtocol": "tcp", "fromPort": 8443, "toPort": 8443, "tags": tags("test-web")}
    assert recording.named("lb-to-app").inputs == common | {
        "securityGroupId": "lb-security-group-id",
        "description": "Requests and health checks to app",
        "referencedSecurityGroupId": "sg-app",
    }
    assert recording.named("lb-into-app").inputs == common | {
        "securityGroupId": "sg-app",
        "description": "Requests and health checks of the load balancer web",
        "referencedSecurityGroupId": "lb-security-group-id",
    }
    assert [each.name for each in recording.resources if each.type == EGRESS] == ["lb-to-app"]
    assert {recording.named(name).parent for name in ("lb-to-app", "lb-into-app")} == {"lb"}


def test_until_hosts_admit_it_it_reaches_nobody() -> None:
    assert not [each for each in run().resources if each.type == EGRESS]


@pytest.mark.parametrize("method", ["admit", "attach_group"])
def test_a_part_has_to_make_a_name(method: str) -> None:
    def use(balancer: LoadBalancer) -> None:
        getattr(balancer, method)("App servers", "sg-app")

    with pytest.raises(ValueError, match="part is 'App servers', accepted: lower-case letters, digits and hyphens"):
        run(then=use)


def test_every_name_fits_however_long_the_environments_is() -> None:
    long = dataclasses.replace(context(), environment="taaleem-production-of-the-north")
    recording = run(context=long, purpose="patient-portal")
    wider = run(context=long, purpose="patient-portal", targets=targets(port=8443))
    found = [recording.named("lb-load-balancer"), recording.named("lb-targets"), wider.named("lb-targets")]
    own = [each.inputs["name"] for each in found]
    assert all(len(name) <= 32 for name in own)
    # What is cut off still tells them apart.
    assert len(set(own)) == len(own)


LAB = RuleArgs(reason="Laboratory", port=443, cidr="198.51.100.0/24")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"kind": "gateway"}, "kind is 'gateway', accepted: application, network"),
        ({"purpose": "Web_1"}, "purpose is 'Web_1', accepted: lower-case letters, digits and hyphens"),
        ({"subnet_ids": ["a"]}, "subnet_ids has 1, accepted: 2 or more, each in another zone"),
        ({"kind": "network", "subnet_ids": ["a"]}, "subnet_ids has 1, accepted: 2 or more, each in another zone"),
        ({"names": None}, "names has 0, accepted: 1 to 500"),
        ({"names": ["Clinic.org"]}, "names has 'Clinic.org', accepted: full names in lower case such as example.org"),
        ({"names": ["clinic.xn--p1ai"]}, "names has 'clinic.xn--p1ai', accepted: full names in lower case"),
        (
            {"names": [".".join(["a" * 60] * 3)]},
            f"names has '{'.'.join(['a' * 60] * 3)}', accepted: full names in lower case",
        ),
        ({"names": ["a.org", "a.org"]}, "names has 'a.org' twice, accepted: each once"),
        (
            {"kind": "network", "names": ["a.org"]},
            "names is a.org, accepted: none for a network load balancer, which reads no requests",
        ),
        (
            {"clients": [LAB], "origin_only": OriginOnlyArgs(**LISTS)},
            "clients and origin_only are both given, accepted: one of them",
        ),
        ({"internal": True}, "clients is missing, accepted: who connects to an internal load balancer"),
        ({"clients": []}, "clients is empty, accepted: at least one rule"),
        (
            {"clients": [RuleArgs(reason="x", port=443)]},
            "clients[0] has 0 places, accepted: exactly one",
        ),
        (
            {"clients": [LAB, LAB]},
            "clients has two rules 'tcp-443-laboratory', accepted: a reason of its own for each",
        ),
        (
            {"clients": [RuleArgs(reason="x", port=8443, security_group_id="sg-1")]},
            "clients[0] is for a port that nobody listens on, accepted: tcp 80, 443",
        ),
        (
            {"clients": [RuleArgs(reason="x", port=80, to_port=443, security_group_id="sg-1")]},
            "clients[0] is for a port that nobody listens on, accepted: tcp 80, 443",
        ),
        (
            {"clients": [RuleArgs(reason="x", port=443, protocol="udp", security_group_id="sg-1")]},
            "clients[0] is for a port that nobody listens on, accepted: tcp 80, 443",
        ),
        (
            {"kind": "network", "clients": [RuleArgs(reason="x", port=80, security_group_id="sg-1")]},
            "clients[0] is for a port that nobody listens on, accepted: tcp 443",
        ),
        (
            {"origin_only": OriginOnlyArgs(prefix_list_id="com.amazonaws.global.cloudfront.origin-facing")},
            "origin_only.prefix_list_id is 'com.amazonaws.global.cloudfront.origin-facing', accepted: an id such as pl-",
        ),
        (
            {"origin_only": OriginOnlyArgs(prefix_list_id="pl-01234567", prefix_list_id_ipv6="::/0")},
            "origin_only.prefix_list_id_ipv6 is '::/0', accepted: an id such as pl-",
        ),
        ({"idle_seconds": 0}, "idle_seconds is 0, accepted: 1 to 4000"),
        ({"idle_seconds": 4001}, "idle_seconds is 4001, accepted: 1 to 4000"),
        (
            {"kind": "network", "idle_seconds": 350},
            "idle_seconds is 350, accepted: none for a network load balancer",
        ),
        (
            {"kind": "network", "desync": "strictest"},
            "desync is 'strictest', accepted: none for a network load balancer",
        ),
        ({"desync": "monitor"}, "desync is 'monitor', accepted: defensive, strictest"),
        ({"log_prefix": "/lb/"}, "log_prefix is '/lb/', accepted: a folder such as load-balancer, without AWSLogs"),
        ({"log_prefix": "AWSLogs"}, "log_prefix is 'AWSLogs', accepted: a folder such as load-balancer"),
        (
            {"tls_policy": "ELBSecurityPolicy-2016-08"},
            f"tls_policy is 'ELBSecurityPolicy-2016-08', accepted: {', '.join(TLS_POLICIES)}",
        ),
    ],
)
def test_what_aws_would_refuse_is_said_first(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"LoadBalancerArgs.{problem}")) as raised:
        args(**more)
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"protocol": "TCP"}, "protocol is 'TCP', accepted: HTTPS, HTTP"),
        ({"protocol": "HTTP"}, "protocol is 'HTTP', accepted: HTTPS where data is kept"),
        ({"health_path": "health"}, "health_path is 'health', accepted: a path such as /api/health"),
        ({"health_path": "/he alth"}, "health_path is '/he alth', accepted: a path such as /api/health"),
        ({"success_codes": "500"}, "success_codes is '500', accepted: codes from 200 to 499"),
        ({"port": 0}, "port is 0, accepted: 1 to 65535"),
        ({"interval_seconds": 301}, "interval_seconds is 301, accepted: 5 to 300"),
        ({"timeout_seconds": 1}, "timeout_seconds is 1, accepted: 2 to 120"),
        ({"healthy_count": 1}, "healthy_count is 1, accepted: 2 to 10"),
        ({"unhealthy_count": 11}, "unhealthy_count is 11, accepted: 2 to 10"),
        ({"slow_start_seconds": 29}, "slow_start_seconds is 29, accepted: 30 to 900"),
        ({"drain_seconds": 3601}, "drain_seconds is 3601, accepted: 0 to 3600"),
        ({"sticky_seconds": 0}, "sticky_seconds is 0, accepted: 1 to 604800"),
        (
            {"timeout_seconds": 10},
            "timeout_seconds is 10 and interval_seconds 10, accepted: a timeout below the interval",
        ),
        (
            {"algorithm": "weighted_random"},
            "algorithm is 'weighted_random', accepted: least_outstanding_requests, round_robin",
        ),
        (
            {"algorithm": "least_outstanding_requests", "slow_start_seconds": 60},
            "slow_start_seconds is 60 with least_outstanding_requests, accepted: round_robin with it",
        ),
    ],
)
def test_what_aws_would_refuse_of_targets_is_said_first(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"LoadBalancerArgs.targets.{problem}")) as raised:
        args(targets=targets(**more))
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    "more",
    [{"slow_start_seconds": 60}, {"sticky_seconds": 60}, {"algorithm": "round_robin"}],
    ids=lambda more: str(*more),
)
def test_a_network_load_balancer_knows_no_requests(more: dict[str, Any]) -> None:
    ((key, value),) = more.items()
    problem = f"targets.{key} is {value!r}, accepted: none for a network load balancer, which knows no requests"
    with pytest.raises(ValueError, match=re.escape(problem)):
        args(kind="network", targets=targets(**more))


def test_all_problems_are_said_at_once() -> None:
    with pytest.raises(ValueError, match="LoadBalancerArgs") as raised:
        args(purpose="Web", names=[], clients=[], idle_seconds=0, targets=targets(health_path="x", port=0))
    assert [line.split(" ")[0].removeprefix("LoadBalancerArgs.") for line in str(raised.value).splitlines()] == [
        "purpose",
        "names",
        "clients",
        "idle_seconds",
        "targets.health_path",
        "targets.port",
    ]


def test_other_languages_can_use_the_component() -> None:
    found = Analyzer("stackwright").analyze([LoadBalancer])
    definition = found["component_definitions"]["LoadBalancer"]
    assert set(definition.inputs) >= {"context", "vpcId", "subnetIds", "certificateArn", "targets", "logBucket"}
    assert set(definition.outputs) == {
        "arn",
        "arnSuffix",
        "dnsName",
        "zoneId",
        "listenerArn",
        "targetGroupArn",
        "targetGroupArnSuffix",
        "securityGroupId",
    }
    assert all(each.properties for each in found["type_definitions"].values())
