"""Inputs and calls of the network, of hosts and of Auto Scaling groups (EC2, Auto Scaling)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stackwright.testing.aws_models.convert import Call, NotSent, Target, one_of, text

Fields = Mapping[str, Target]
_PERMISSION = "IpPermissions[]"
#: Not in the model of EC2 (API reference of CreateSecurityGroup and IpRange, "Constraints").
_REASON = text(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]*", limit=255)
_LATER = NotSent(reason="another call, after the resource exists")
_PROVIDER = NotSent(reason="tells the provider what to do")
#: One tag resource for all types of EC2; the call requires the type in addition to the tags.
_TAGS = NotSent(reason="a call of its own (CreateTags); the rule `tags` and the walk over tags look at them")


def _tagged(type_: str, operation: str, fields: Fields | None = None, **more: Any) -> Call:
    """Return a call of EC2 that takes tags as a specification of the type."""
    return Call(
        service="ec2",
        operation=operation,
        fields={"tags": "TagSpecifications[].Tags", **(fields or {})},
        constants={**more.pop("constants", {})} | ({"TagSpecifications[].ResourceType": type_} if type_ else {}),
        **more,
    )


def _rule(operation: str) -> Call:
    return _tagged(
        "",
        operation,
        {
            "securityGroupId": "GroupId",
            "ipProtocol": f"{_PERMISSION}.IpProtocol",
            "fromPort": f"{_PERMISSION}.FromPort",
            "toPort": f"{_PERMISSION}.ToPort",
            "cidrIpv4": f"{_PERMISSION}.IpRanges[].CidrIp",
            "cidrIpv6": f"{_PERMISSION}.Ipv6Ranges[].CidrIpv6",
            "prefixListId": f"{_PERMISSION}.PrefixListIds[].PrefixListId",
            "referencedSecurityGroupId": f"{_PERMISSION}.UserIdGroupPairs[].GroupId",
            "description": _REASON,
        },
    )


_ROUTE: Fields = {"egressOnlyGatewayId": "EgressOnlyInternetGatewayId"}
_GROUP: Fields = {
    "name": "AutoScalingGroupName",
    "healthCheckGracePeriod": "HealthCheckGracePeriod",
    "vpcZoneIdentifiers": NotSent(reason="joined by commas into VPCZoneIdentifier"),
    "loadBalancers": "LoadBalancerNames",
    "placementGroup": "PlacementGroup",
    "protectFromScaleIn": "NewInstancesProtectedFromScaleIn",
    "launchConfiguration": "LaunchConfigurationName",
    "initialLifecycleHooks": "LifecycleHookSpecificationList",
    "capacityRebalance": "CapacityRebalance",
    "desiredCapacity": "DesiredCapacity",
    "enabledMetrics": _LATER,
    "forceDelete": _PROVIDER,
    "forceDeleteWarmPool": _PROVIDER,
    "ignoreFailedScalingActivities": _PROVIDER,
    "instanceRefresh": _LATER,
    "metricsGranularity": _LATER,
    "minElbCapacity": _PROVIDER,
    "suspendedProcesses": _LATER,
    "waitForCapacityTimeout": _PROVIDER,
    "waitForElbCapacity": _PROVIDER,
    "warmPool": _LATER,
}
_SCALING_POLICY: Fields = {
    "name": "PolicyName",
    "autoscalingGroupName": "AutoScalingGroupName",
    "enabled": "Enabled",
}
_INSTANCE: Fields = {
    "ami": "ImageId",
    "privateIp": "PrivateIpAddress",
    "primaryNetworkInterface": _PROVIDER,
    "secondaryNetworkInterfaces": _PROVIDER,
    "vpcSecurityGroupIds": "SecurityGroupIds",
    "securityGroups": "SecurityGroups",
    "ebsBlockDevices": "BlockDeviceMappings",
    "rootBlockDevice": "BlockDeviceMappings",
    "associatePublicIpAddress": NotSent(reason="goes with the network interface that the provider declares"),
    "availabilityZone": "Placement.AvailabilityZone",
    "tenancy": "Placement.Tenancy",
    "hostId": "Placement.HostId",
    "placementGroup": "Placement.GroupName",
    "placementGroupId": "Placement.GroupId",
    "placementPartitionNumber": "Placement.PartitionNumber",
    "hostResourceGroupArn": "Placement.HostResourceGroupArn",
    "disableApiTermination": "DisableApiTermination",
    "disableApiStop": "DisableApiStop",
    "iamInstanceProfile": "IamInstanceProfile.Name",
    "monitoring": "Monitoring.Enabled",
    "hibernation": "HibernationOptions.Configured",
    "secondaryPrivateIps": NotSent(reason="goes with the network interface that the provider declares"),
    "sourceDestCheck": _LATER,
    "volumeTags": _TAGS,
    "userDataBase64": "UserData",
    "userDataReplaceOnChange": _PROVIDER,
    "getPasswordData": _PROVIDER,
    "forceDestroy": _PROVIDER,
    "ephemeralBlockDevices": "BlockDeviceMappings",
}
_TEMPLATE: Fields = {
    "name": "LaunchTemplateName",
    "description": "VersionDescription",
    "vpcSecurityGroupIds": "LaunchTemplateData.SecurityGroupIds",
    "securityGroupNames": "LaunchTemplateData.SecurityGroups",
    "defaultVersion": _LATER,
    "updateDefaultVersion": _PROVIDER,
}

CALLS: Mapping[str, Call] = {
    "ec2/vpc": _tagged(
        "vpc",
        "CreateVpc",
        {
            "enableDnsHostnames": _LATER,
            "enableDnsSupport": _LATER,
            "enableNetworkAddressUsageMetrics": _LATER,
            "assignGeneratedIpv6CidrBlock": "AmazonProvidedIpv6CidrBlock",
        },
    ),
    "ec2/subnet": _tagged(
        "subnet",
        "CreateSubnet",
        {
            "assignIpv6AddressOnCreation": _LATER,
            "customerOwnedIpv4Pool": _LATER,
            "enableDns64": _LATER,
            "enableLniAtDeviceIndex": _LATER,
            "enableResourceNameDnsARecordOnLaunch": _LATER,
            "enableResourceNameDnsAaaaRecordOnLaunch": _LATER,
            "mapCustomerOwnedIpOnLaunch": _LATER,
            "mapPublicIpOnLaunch": _LATER,
            "privateDnsHostnameTypeOnLaunch": one_of("ip-name", "resource-name"),
        },
    ),
    "ec2/subnetCidrReservation": Call(
        service="ec2", operation="CreateSubnetCidrReservation", fields={"cidrBlock": "Cidr"}
    ),
    "ec2/internetGateway": _tagged("internet-gateway", "CreateInternetGateway", {"vpcId": _LATER}),
    "ec2/egressOnlyInternetGateway": _tagged("egress-only-internet-gateway", "CreateEgressOnlyInternetGateway"),
    "ec2/routeTable": _tagged("route-table", "CreateRouteTable", {"routes": _LATER, "propagatingVgws": _LATER}),
    "ec2/defaultRouteTable": Call(
        service="ec2",
        operation="CreateTags",
        fields={
            "defaultRouteTableId": "Resources",
            "routes": _LATER,
            "propagatingVgws": _LATER,
        },
        constants={"Tags": []},
    ),
    "ec2/route": Call(service="ec2", operation="CreateRoute", fields=_ROUTE),
    "ec2/routeTableAssociation": Call(service="ec2", operation="AssociateRouteTable"),
    "ec2/defaultSecurityGroup": Call(
        service="ec2",
        operation="CreateTags",
        fields={"vpcId": "Resources", "ingress": _LATER, "egress": _LATER, "revokeRulesOnDelete": _PROVIDER},
    ),
    "ec2/defaultNetworkAcl": Call(
        service="ec2",
        operation="CreateTags",
        fields={"defaultNetworkAclId": "Resources", "ingress": _LATER, "egress": _LATER, "subnetIds": _LATER},
    ),
    "ec2/natGateway": _tagged(
        "natgateway",
        "CreateNatGateway",
        {
            "secondaryPrivateIpAddressCount": "SecondaryPrivateIpAddressCount",
            "privateIp": "PrivateIpAddress",
            "availabilityZoneAddresses": "AvailabilityZoneAddresses",
        },
    ),
    "ec2/eip": _tagged(
        "elastic-ip",
        "AllocateAddress",
        {
            "associateWithPrivateIp": _LATER,
            "instance": _LATER,
            "networkInterface": _LATER,
            "ipamPoolId": "IpamPoolId",
        },
    ),
    "ec2/eipAssociation": Call(service="ec2", operation="AssociateAddress"),
    "ec2/vpcEndpoint": _tagged(
        "vpc-endpoint",
        "CreateVpcEndpoint",
        {"policy": "PolicyDocument", "autoAccept": _PROVIDER},
    ),
    "ec2/flowLog": _tagged(
        "vpc-flow-log",
        "CreateFlowLogs",
        {
            "vpcId": "ResourceIds",
            "subnetId": "ResourceIds",
            "eniId": "ResourceIds",
            "transitGatewayId": "ResourceIds",
            "transitGatewayAttachmentId": "ResourceIds",
            "regionalNatGatewayId": "ResourceIds",
            "iamRoleArn": "DeliverLogsPermissionArn",
        },
        constants={"ResourceType": "VPC"},
    ),
    "ec2/securityGroup": _tagged(
        "security-group",
        "CreateSecurityGroup",
        {
            "name": "GroupName",
            "ingress": _LATER,
            "egress": _LATER,
            "revokeRulesOnDelete": _PROVIDER,
        },
    ),
    "vpc/securityGroupIngressRule": _rule("AuthorizeSecurityGroupIngress"),
    "vpc/securityGroupEgressRule": _rule("AuthorizeSecurityGroupEgress"),
    "ec2/launchTemplate": _tagged("launch-template", "CreateLaunchTemplate", _TEMPLATE, root="LaunchTemplateData"),
    "ec2/instance": _tagged("instance", "RunInstances", _INSTANCE, constants={"MinCount": 1, "MaxCount": 1}),
    "ec2/placementGroup": _tagged("placement-group", "CreatePlacementGroup", {"name": "GroupName"}),
    "ec2/keyPair": _tagged("key-pair", "ImportKeyPair", {"publicKey": "PublicKeyMaterial", "keyNamePrefix": _PROVIDER}),
    "ec2/managedPrefixList": _tagged("prefix-list", "CreateManagedPrefixList", {"name": "PrefixListName"}),
    "ebs/volume": _tagged("volume", "CreateVolume", {"type": "VolumeType", "finalSnapshot": _PROVIDER}),
    "ec2/volumeAttachment": Call(
        service="ec2",
        operation="AttachVolume",
        fields={"deviceName": "Device", "forceDetach": _PROVIDER, "stopInstanceBeforeDetaching": _PROVIDER},
    ),
    "autoscaling/group": Call(service="autoscaling", operation="CreateAutoScalingGroup", fields=_GROUP),
    "autoscaling/policy": Call(service="autoscaling", operation="PutScalingPolicy", fields=_SCALING_POLICY),
    "autoscaling/schedule": Call(
        service="autoscaling",
        operation="PutScheduledUpdateGroupAction",
        fields={"autoscalingGroupName": "AutoScalingGroupName"},
    ),
    "autoscaling/lifecycleHook": Call(
        service="autoscaling",
        operation="PutLifecycleHook",
        fields={"name": "LifecycleHookName", "autoscalingGroupName": "AutoScalingGroupName"},
    ),
    "autoscaling/attachment": Call(
        service="autoscaling",
        operation="AttachLoadBalancerTargetGroups",
        fields={
            "autoscalingGroupName": "AutoScalingGroupName",
            "lbTargetGroupArn": "TargetGroupARNs",
            "elb": NotSent(reason="classic load balancers are attached by another call"),
        },
        constants={"TargetGroupARNs": []},
    ),
    "autoscaling/notification": Call(
        service="autoscaling",
        operation="PutNotificationConfiguration",
        fields={"groupNames": "AutoScalingGroupName", "notifications": "NotificationTypes", "topicArn": "TopicARN"},
    ),
}

_DISK: Fields = {
    "volumeSize": "Ebs.VolumeSize",
    "volumeType": "Ebs.VolumeType",
    "deleteOnTermination": "Ebs.DeleteOnTermination",
    "encrypted": "Ebs.Encrypted",
    "kmsKeyId": "Ebs.KmsKeyId",
    "iops": "Ebs.Iops",
    "throughput": "Ebs.Throughput",
    "snapshotId": "Ebs.SnapshotId",
    "volumeId": _PROVIDER,
    "tags": _TAGS,
    "tagsAll": _TAGS,
}
NESTED: Mapping[str, Fields] = {
    "BlockDeviceMapping": _DISK,
    "InstanceNetworkInterfaceSpecification": {"networkInterfaceId": "NetworkInterfaceId"},
    "LaunchTemplateSpecification": {"id": "LaunchTemplateId", "name": "LaunchTemplateName"},
    "LaunchTemplateInstanceNetworkInterfaceSpecificationRequest": {
        "securityGroups": "Groups",
        "ipv4Addresses": "PrivateIpAddresses",
        "ipv4AddressCount": "SecondaryPrivateIpAddressCount",
    },
    "LaunchTemplateCpuOptionsRequest": {"amdSevSnp": "AmdSevSnp"},
    "CustomizedMetricSpecification": {"metricDimensions": "Dimensions"},
    "LifecycleHookSpecification": {"name": "LifecycleHookName"},
    "LaunchTemplate": {"overrides": "Overrides"},
    "SubnetConfiguration": {"ipv4": "Ipv4", "ipv6": "Ipv6"},
    "AddPrefixListEntry": {"cidr": "Cidr"},
}
