"""Properties that force replacement, though the SDK's docs do not say so, for the types that most others depend on.

The documentation of 118 of 1,748 types mentions replacement. The lists were read in hashicorp/terraform-provider-aws
(`ForceNew`, `RequiresReplace`), in stored versions of 2022 to 2026; what newer versions are known to update in place,
such as a database's identifier, is left out. A file can add more, see `stackwright.testing.aws.REPLACES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_SOURCE = "ForceNew or RequiresReplace in internal/service/{} of hashicorp/terraform-provider-aws"


@dataclass(frozen=True, kw_only=True)
class Immutable:
    """Properties of a type that can only be set at creation."""

    properties: tuple[str, ...]
    source: str


def _of(file: str, properties: str) -> Immutable:
    return Immutable(properties=tuple(properties.split()), source=_SOURCE.format(file))


IMMUTABLE: Mapping[str, Immutable] = {
    "aws:ec2/subnet:Subnet": _of(
        "ec2/vpc_subnet.go",
        "availabilityZone availabilityZoneId cidrBlock ipv4IpamPoolId ipv4NetmaskLength ipv6IpamPoolId ipv6Native"
        " ipv6NetmaskLength outpostArn vpcId",
    ),
    "aws:ec2/vpc:Vpc": _of("ec2/vpc_.go", "cidrBlock ipv4IpamPoolId ipv4NetmaskLength"),
    "aws:elasticache/replicationGroup:ReplicationGroup": _of(
        "elasticache/replication_group.go",
        "atRestEncryptionEnabled dataTieringEnabled globalReplicationGroupId kmsKeyId networkType port replicationGroupId"
        " securityGroupNames snapshotArns snapshotName subnetGroupName",
    ),
    "aws:iam/role:Role": _of("iam/role.go", "name namePrefix path"),
    "aws:lb/loadBalancer:LoadBalancer": _of(
        "elbv2/load_balancer.go", "customerOwnedIpv4Pool internal loadBalancerType name namePrefix"
    ),
    "aws:lb/targetGroup:TargetGroup": _of(
        "elbv2/target_group.go", "ipAddressType name namePrefix port protocol protocolVersion targetType vpcId"
    ),
    "aws:rds/instance:Instance": _of(
        "rds/instance.go",
        "availabilityZone characterSetName customIamInstanceProfile dbName engine kmsKeyId ncharCharacterSetName"
        " restoreToPointInTime snapshotIdentifier storageEncrypted timezone username",
    ),
    "aws:rds/subnetGroup:SubnetGroup": _of("rds/subnet_group.go", "name namePrefix"),
    "aws:route53/record:Record": _of("route53/record.go", "name zoneId"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _of(
        "ec2/vpc_security_group_ingress_rule.go", "securityGroupId"
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _of(
        "ec2/vpc_security_group_ingress_rule.go", "securityGroupId"
    ),
}
