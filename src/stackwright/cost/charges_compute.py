"""Charges of servers, their disks and their network."""

from __future__ import annotations

import base64
import binascii
import gzip
from collections.abc import Iterator, Mapping
from typing import Any

from stackwright.cost.lines import HOURS, Charge, Line, Subject, UnclearError

GROUP = "aws:autoscaling/group:Group"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
#: Included in the price of a gp3 disk: operations a second and MB/s.
GP3_IOPS, GP3_MBPS = 3000, 125
#: Metrics of a server with detailed monitoring (user guide of EC2, list of the instance metrics that are charged for).
DETAILED_METRICS = 7


def instance(subject: Subject) -> Iterator[Line]:
    """Yield the charges of a server with its disks."""
    kind = subject.text("instanceType")
    yield from _server(subject, kind, 1, windows=_windows(subject.get("ami"), subject.get("userDataBase64")))
    yield from _extras(
        subject, kind, 1, detailed=subject.get("monitoring"), credit=subject.get("creditSpecification", "cpuCredits")
    )
    if subject.get("associatePublicIpAddress") is True:
        yield subject.charge("ipv4/hour", "public IPv4 address", HOURS)
    yield from _disk(subject, subject.get("rootBlockDevice") or {}, 1, "root disk")
    for position, disk in enumerate(subject.get("ebsBlockDevices") or ()):
        yield from _disk(subject, disk, 1, f"disk {position + 2}")


def group(subject: Subject) -> Iterator[Line]:
    """Yield the charges of an Auto Scaling group's average number of servers; spot servers are separate lines."""
    least, most = subject.number("minSize"), subject.number("maxSize")
    servers = least + (most - least) * subject.assumptions.scaling_share
    mixed = subject.get("mixedInstancesPolicy")
    reference = subject.get("launchTemplate", "id")
    if mixed:
        reference = subject.get(
            "mixedInstancesPolicy", "launchTemplate", "launchTemplateSpecification", "launchTemplateId"
        )
    template = _other(subject, subject.graph.referred(LAUNCH_TEMPLATE, reference, subject.resource))
    kind = template.text("instanceType")
    windows = _windows(template.get("imageId"), template.get("userData"))
    on_demand = _on_demand(subject, servers) if mixed else servers
    assumed = most != least
    if on_demand:
        yield from _server(subject, kind, on_demand, windows=windows, assumed=assumed)
    if servers > on_demand:
        hours = (servers - on_demand) * HOURS * subject.assumptions.spot_share
        what = f"{servers - on_demand:g} x {kind} on spot, as hours at the full price"
        yield subject.charge(_kind(kind, windows=windows), what, hours, assumed=True)
    credit = template.get("creditSpecification", "cpuCredits")
    yield from _extras(subject, kind, servers, detailed=template.get("monitoring", "enabled"), credit=credit)
    # Servers of a warm pool are stopped, but their disks are still charged.
    disks = servers + subject.number("warmPool", "minSize", default=0)
    for mapping in template.get("blockDeviceMappings") or ():
        yield from _disk(subject, mapping.get("ebs") or {}, disks, f"{disks:g} disks", assumed=assumed)


def _on_demand(subject: Subject, servers: float) -> float:
    path = ("mixedInstancesPolicy", "instancesDistribution")
    base = min(servers, subject.number(*path, "onDemandBaseCapacity", default=0))
    percent = subject.number(*path, "onDemandPercentageAboveBaseCapacity", default=100)
    return base + (servers - base) * percent / 100


def _other(subject: Subject, resource: Any) -> Subject:
    return Subject(
        resource=resource,
        graph=subject.graph,
        region=subject.region,
        prices=subject.prices,
        assumptions=subject.assumptions,
    )


def _windows(image: Any, user_data: Any) -> bool:
    """Return whether an image's name or the user data indicates Windows; an image's id alone does not."""
    if isinstance(image, str) and "windows" in image.lower():
        return True
    # EC2Launch runs the text between these tags (user guide of EC2 for Windows).
    return isinstance(user_data, str) and b"<powershell>" in _decoded(user_data)


def _decoded(user_data: str) -> bytes:
    """Return user data as the server reads it."""
    try:
        raw = base64.b64decode(user_data, validate=True)
        return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
    except (binascii.Error, OSError):
        return b""


def _kind(kind: str, *, windows: bool) -> str:
    return f"ec2-windows/{kind}" if windows else f"ec2/{kind}"


def _server(subject: Subject, kind: str, number: float, *, windows: bool, assumed: bool = False) -> Iterator[Line]:
    what, hours = f"{'' if number == 1 else f'{number:g} x '}{kind}", number * HOURS
    yield subject.charge(_kind(kind, windows=False), what, hours, assumed=assumed)
    if windows:
        # AWS sells the two as one; separate lines show what another operating system would save.
        pair = (_kind(kind, windows=True), _kind(kind, windows=False))
        yield subject.surcharge(*pair, f"licence of Windows, {what}", hours, assumed=assumed)


def _extras(subject: Subject, kind: str, number: float, *, detailed: Any, credit: Any) -> Iterator[Line]:
    if detailed is True:
        yield subject.charge("cloudwatch/metric", "detailed monitoring", DETAILED_METRICS * number)
    hours = subject.assumptions.surplus_cpu_hours * number
    if credit == "unlimited" and hours:
        yield subject.charge(f"ec2/surplus-{kind.partition('.')[0]}", "CPU above what is earned", hours, assumed=True)


def _disk(subject: Subject, disk: Any, number: float, what: str, *, assumed: bool = False) -> Iterator[Line]:
    if not isinstance(disk, Mapping):
        yield subject.unknown(what, "the disk is not known yet")
        return
    size, kind = disk.get("volumeSize"), disk.get("volumeType", "gp2")
    if isinstance(size, bool) or not isinstance(size, int | float) or not isinstance(kind, str):
        yield subject.unknown(what, "its size is the image's" if size is None else "its size is not known yet")
        return
    yield subject.charge(f"ebs/{kind}-gb", f"{what}, {kind}", size * number, assumed=assumed)
    if kind == "gp3":
        more_iops = max(0.0, float(disk.get("iops") or GP3_IOPS) - GP3_IOPS) * number
        more_mbps = max(0.0, float(disk.get("throughput") or GP3_MBPS) - GP3_MBPS) * number
        if more_iops:
            yield subject.charge("ebs/gp3-iops", f"{what}, operations above {GP3_IOPS}", more_iops, assumed=assumed)
        if more_mbps:
            yield subject.charge("ebs/gp3-mbps", f"{what}, MB/s above {GP3_MBPS}", more_mbps, assumed=assumed)


def scaling_policy(subject: Subject) -> Iterator[Line]:
    kind = subject.text("policyType", default="SimpleScaling")
    if kind != "TargetTrackingScaling":
        yield subject.free("policy", "Auto Scaling is free of charge")
        return
    group_name = subject.get("autoscalingGroupName")
    payer = _other(subject, subject.graph.referred(GROUP, group_name, subject.resource))
    # AWS creates them itself, one to scale out and one to scale in (user guide of EC2 Auto Scaling, as remembered).
    yield payer.charge("cloudwatch/alarm", "alarms of target tracking", 2)


def volume(subject: Subject) -> Iterator[Line]:
    disk = {"volumeSize": subject.get("size"), "volumeType": subject.text("type", default="gp2")}
    yield from _disk(subject, {**disk, "iops": subject.get("iops"), "throughput": subject.get("throughput")}, 1, "disk")


def address(subject: Subject) -> Iterator[Line]:
    yield subject.charge("ipv4/hour", "public IPv4 address", HOURS)


def nat(subject: Subject) -> Iterator[Line]:
    yield subject.charge("nat/hour", "NAT gateway", HOURS)
    yield subject.charge("nat/gb", "through the gateway", subject.assumptions.nat_gb, assumed=True)


def endpoint(subject: Subject) -> Iterator[Line]:
    kind = subject.text("vpcEndpointType", default="Gateway")
    if kind == "Gateway":
        yield subject.free("gateway", "a gateway endpoint is free of charge")
        return
    zones = subject.count("subnetIds")
    if kind != "Interface" or not zones:
        raise UnclearError(f"an endpoint of type {kind} in {zones} subnets")
    yield subject.charge("endpoint/hour", f"endpoint in {zones} zones", zones * HOURS)
    yield subject.charge("endpoint/gb", "through the endpoint", subject.assumptions.endpoint_gb, assumed=True)


def load_balancer(subject: Subject) -> Iterator[Line]:
    kind = subject.text("loadBalancerType", default="application")
    if kind not in ("application", "network"):
        raise UnclearError(f"a load balancer of type {kind}")
    units = subject.assumptions.load_balancer_units * HOURS
    yield subject.charge(f"lb/{kind}-hour", f"{kind} load balancer", HOURS)
    yield subject.charge(f"lb/{kind}-unit", "capacity units", units, assumed=True)
    if subject.get("internal") is not True:
        zones = subject.count("subnets") or subject.count("subnetMappings")
        if not zones:
            raise UnclearError("its subnets are not known yet, so neither are its public addresses")
        yield subject.charge("ipv4/hour", f"public IPv4 addresses in {zones} zones", zones * HOURS)


def flow_log(subject: Subject) -> Iterator[Line]:
    kind = subject.text("logDestinationType", default="cloud-watch-logs")
    note = "" if kind == "cloud-watch-logs" else f"at the price of CloudWatch; {kind} costs less"
    yield subject.charge(
        "cloudwatch/vended-log-gb", "flow records", subject.assumptions.flow_log_gb, assumed=True, note=note
    )


CHARGES: dict[str, Charge] = {
    GROUP: group,
    "aws:autoscaling/policy:Policy": scaling_policy,
    "aws:ebs/volume:Volume": volume,
    "aws:ec2/eip:Eip": address,
    "aws:ec2/flowLog:FlowLog": flow_log,
    "aws:ec2/instance:Instance": instance,
    "aws:ec2/natGateway:NatGateway": nat,
    "aws:ec2/vpcEndpoint:VpcEndpoint": endpoint,
    "aws:lb/loadBalancer:LoadBalancer": load_balancer,
}
