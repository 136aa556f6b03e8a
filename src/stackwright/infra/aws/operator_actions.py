"""IAM actions that the operator of an environment needs, by resource type.

Each resource of the provider is created, read, changed, tagged and deleted by calls that its source names
(terraform-provider-aws, as remembered in 2026-11, unverified against an account). A test checks every name against
AWS's own models, and the table against every resource of the recorded environments.
"""

from __future__ import annotations

from collections.abc import Mapping

_RULES = (
    "ec2: AuthorizeSecurityGroup{0} RevokeSecurityGroup{0} ModifySecurityGroupRules DescribeSecurityGroupRules"
    " CreateTags DeleteTags"
)
_TAGS = "CreateTags DeleteTags"

#: Resource type -> `service: actions`, several services separated by `;`.
BY_TYPE: Mapping[str, str] = {
    "acm/certificate:Certificate": (
        "acm: RequestCertificate DescribeCertificate DeleteCertificate UpdateCertificateOptions ListCertificates"
        " AddTagsToCertificate RemoveTagsFromCertificate ListTagsForCertificate"
    ),
    "acm/certificateValidation:CertificateValidation": "acm: DescribeCertificate",
    "autoscaling/attachment:Attachment": (
        "autoscaling: AttachLoadBalancerTargetGroups DetachLoadBalancerTargetGroups DescribeAutoScalingGroups"
    ),
    "autoscaling/group:Group": (
        "autoscaling: CreateAutoScalingGroup UpdateAutoScalingGroup DeleteAutoScalingGroup DescribeAutoScalingGroups"
        " DescribeScalingActivities DescribeInstanceRefreshes StartInstanceRefresh CancelInstanceRefresh PutWarmPool"
        " DeleteWarmPool DescribeWarmPool EnableMetricsCollection DisableMetricsCollection SuspendProcesses"
        " ResumeProcesses SetInstanceProtection TerminateInstanceInAutoScalingGroup AttachTrafficSources"
        " DetachTrafficSources DescribeTrafficSources AttachLoadBalancerTargetGroups DetachLoadBalancerTargetGroups"
        " CreateOrUpdateTags DeleteTags DescribeTags"
    ),
    "autoscaling/lifecycleHook:LifecycleHook": "autoscaling: PutLifecycleHook DeleteLifecycleHook DescribeLifecycleHooks",
    "autoscaling/policy:Policy": "autoscaling: PutScalingPolicy DeletePolicy DescribePolicies",
    "autoscaling/schedule:Schedule": (
        "autoscaling: PutScheduledUpdateGroupAction DeleteScheduledAction DescribeScheduledActions"
    ),
    "budgets/budget:Budget": "budgets: ModifyBudget ViewBudget TagResource UntagResource ListTagsForResource",
    "cloudfront/cachePolicy:CachePolicy": (
        "cloudfront: CreateCachePolicy GetCachePolicy UpdateCachePolicy DeleteCachePolicy ListCachePolicies"
    ),
    "cloudfront/distribution:Distribution": (
        "cloudfront: CreateDistribution GetDistribution GetDistributionConfig UpdateDistribution"
        " DeleteDistribution ListDistributions TagResource UntagResource ListTagsForResource"
        " GetOriginRequestPolicy ListOriginRequestPolicies GetResponseHeadersPolicy ListResponseHeadersPolicies"
    ),
    "cloudfront/vpcOrigin:VpcOrigin": (
        "cloudfront: CreateVpcOrigin GetVpcOrigin UpdateVpcOrigin DeleteVpcOrigin ListVpcOrigins TagResource"
        " UntagResource ListTagsForResource; ec2: DescribeInternetGateways DescribeSubnets DescribeVpcs;"
        " elasticloadbalancing: DescribeLoadBalancers"
    ),
    "cloudwatch/compositeAlarm:CompositeAlarm": (
        "cloudwatch: PutCompositeAlarm DescribeAlarms DeleteAlarms TagResource UntagResource ListTagsForResource"
    ),
    "cloudwatch/dashboard:Dashboard": "cloudwatch: PutDashboard GetDashboard DeleteDashboards",
    "cloudwatch/logDelivery:LogDelivery": (
        "logs: CreateDelivery GetDelivery DeleteDelivery UpdateDeliveryConfiguration TagResource UntagResource"
        " ListTagsForResource"
    ),
    "cloudwatch/logDeliveryDestination:LogDeliveryDestination": (
        "logs: PutDeliveryDestination GetDeliveryDestination DeleteDeliveryDestination TagResource UntagResource"
        " ListTagsForResource"
    ),
    "cloudwatch/logDeliverySource:LogDeliverySource": (
        "logs: PutDeliverySource GetDeliverySource DeleteDeliverySource TagResource UntagResource ListTagsForResource"
    ),
    "cloudwatch/logGroup:LogGroup": (
        "logs: CreateLogGroup DescribeLogGroups DeleteLogGroup PutRetentionPolicy DeleteRetentionPolicy"
        " AssociateKmsKey DisassociateKmsKey TagResource UntagResource ListTagsForResource"
    ),
    "cloudwatch/logResourcePolicy:LogResourcePolicy": (
        "logs: PutResourcePolicy DescribeResourcePolicies DeleteResourcePolicy"
    ),
    "cloudwatch/metricAlarm:MetricAlarm": (
        "cloudwatch: PutMetricAlarm DescribeAlarms DeleteAlarms TagResource UntagResource ListTagsForResource"
    ),
    "ec2/defaultRouteTable:DefaultRouteTable": (
        f"ec2: DescribeRouteTables CreateRoute DeleteRoute DisableVgwRoutePropagation {_TAGS}"
    ),
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": (
        "ec2: DescribeSecurityGroups RevokeSecurityGroupIngress RevokeSecurityGroupEgress AuthorizeSecurityGroupIngress"
        f" AuthorizeSecurityGroupEgress {_TAGS}"
    ),
    "ec2/egressOnlyInternetGateway:EgressOnlyInternetGateway": (
        "ec2: CreateEgressOnlyInternetGateway DescribeEgressOnlyInternetGateways DeleteEgressOnlyInternetGateway"
        f" {_TAGS}"
    ),
    "ec2/eip:Eip": f"ec2: AllocateAddress DescribeAddresses DescribeAddressesAttribute ReleaseAddress {_TAGS}",
    "ec2/eipAssociation:EipAssociation": "ec2: AssociateAddress DisassociateAddress DescribeAddresses",
    "ec2/flowLog:FlowLog": f"ec2: CreateFlowLogs DescribeFlowLogs DeleteFlowLogs {_TAGS}; iam: PassRole",
    "ec2/instance:Instance": (
        "ec2: RunInstances DescribeInstances DescribeInstanceAttribute DescribeInstanceStatus DescribeInstanceTypes"
        " DescribeInstanceCreditSpecifications DescribeImages DescribeVolumes DescribeTags DescribeNetworkInterfaces"
        " ModifyInstanceAttribute ModifyInstanceCreditSpecification ModifyInstanceMaintenanceOptions"
        " ModifyInstanceMetadataOptions ModifyVolume MonitorInstances UnmonitorInstances StartInstances StopInstances"
        " TerminateInstances AssociateIamInstanceProfile ReplaceIamInstanceProfileAssociation"
        f" DescribeIamInstanceProfileAssociations {_TAGS}; iam: PassRole;"
        # The newest image, the host's own key, and access to the host.
        " ssm: GetParameter GetParameters DescribeInstanceInformation StartSession ResumeSession TerminateSession;"
        " kms: CreateGrant"
    ),
    "ec2/internetGateway:InternetGateway": (
        "ec2: CreateInternetGateway AttachInternetGateway DescribeInternetGateways DetachInternetGateway"
        f" DeleteInternetGateway {_TAGS}"
    ),
    "ec2/launchTemplate:LaunchTemplate": (
        "ec2: CreateLaunchTemplate CreateLaunchTemplateVersion ModifyLaunchTemplate DescribeLaunchTemplates"
        f" DescribeLaunchTemplateVersions DeleteLaunchTemplate RunInstances {_TAGS}; iam: PassRole;"
        " ssm: GetParameters"
    ),
    "ec2/natGateway:NatGateway": (
        f"ec2: CreateNatGateway DescribeNatGateways DeleteNatGateway DescribeNetworkInterfaces {_TAGS}"
    ),
    "ec2/route:Route": "ec2: CreateRoute ReplaceRoute DeleteRoute DescribeRouteTables",
    "ec2/routeTable:RouteTable": f"ec2: CreateRouteTable DescribeRouteTables DeleteRouteTable {_TAGS}",
    "ec2/routeTableAssociation:RouteTableAssociation": (
        "ec2: AssociateRouteTable ReplaceRouteTableAssociation DisassociateRouteTable DescribeRouteTables"
    ),
    "ec2/securityGroup:SecurityGroup": (
        "ec2: CreateSecurityGroup DescribeSecurityGroups DeleteSecurityGroup RevokeSecurityGroupEgress"
        f" DescribeNetworkInterfaces {_TAGS}"
    ),
    "ec2/subnet:Subnet": (
        f"ec2: CreateSubnet ModifySubnetAttribute DescribeSubnets DeleteSubnet DescribeNetworkInterfaces {_TAGS}"
    ),
    "ec2/subnetCidrReservation:SubnetCidrReservation": (
        "ec2: CreateSubnetCidrReservation GetSubnetCidrReservations DeleteSubnetCidrReservation"
    ),
    "ec2/vpc:Vpc": (
        "ec2: CreateVpc ModifyVpcAttribute DescribeVpcs DescribeVpcAttribute AssociateVpcCidrBlock"
        " DisassociateVpcCidrBlock DescribeNetworkAcls DescribeRouteTables DescribeSecurityGroups DeleteVpc"
        f" DescribeAvailabilityZones {_TAGS}"
    ),
    "ec2/vpcEndpoint:VpcEndpoint": (
        "ec2: CreateVpcEndpoint ModifyVpcEndpoint DescribeVpcEndpoints DeleteVpcEndpoints DescribePrefixLists"
        f" DescribeVpcEndpointServices {_TAGS}"
    ),
    "elasticache/parameterGroup:ParameterGroup": (
        "elasticache: CreateCacheParameterGroup ModifyCacheParameterGroup ResetCacheParameterGroup"
        " DescribeCacheParameterGroups DescribeCacheParameters DeleteCacheParameterGroup AddTagsToResource"
        " RemoveTagsFromResource ListTagsForResource"
    ),
    "elasticache/replicationGroup:ReplicationGroup": (
        "elasticache: CreateReplicationGroup ModifyReplicationGroup ModifyReplicationGroupShardConfiguration"
        " IncreaseReplicaCount DecreaseReplicaCount DescribeReplicationGroups DescribeCacheClusters"
        " DeleteReplicationGroup CreateSnapshot AddTagsToResource RemoveTagsFromResource ListTagsForResource;"
        " ec2: DescribeSecurityGroups DescribeSubnets DescribeVpcs"
    ),
    "elasticache/subnetGroup:SubnetGroup": (
        "elasticache: CreateCacheSubnetGroup ModifyCacheSubnetGroup DescribeCacheSubnetGroups DeleteCacheSubnetGroup"
        " AddTagsToResource RemoveTagsFromResource ListTagsForResource"
    ),
    "elasticache/user:User": (
        "elasticache: CreateUser ModifyUser DescribeUsers DeleteUser AddTagsToResource RemoveTagsFromResource"
        " ListTagsForResource"
    ),
    "elasticache/userGroup:UserGroup": (
        "elasticache: CreateUserGroup ModifyUserGroup DescribeUserGroups DeleteUserGroup AddTagsToResource"
        " RemoveTagsFromResource ListTagsForResource"
    ),
    "iam/instanceProfile:InstanceProfile": (
        "iam: CreateInstanceProfile GetInstanceProfile AddRoleToInstanceProfile RemoveRoleFromInstanceProfile"
        " DeleteInstanceProfile TagInstanceProfile UntagInstanceProfile PassRole"
    ),
    "iam/role:Role": (
        "iam: CreateRole GetRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy DeleteRole ListRolePolicies"
        " ListAttachedRolePolicies ListInstanceProfilesForRole TagRole UntagRole"
    ),
    "iam/rolePolicy:RolePolicy": "iam: PutRolePolicy GetRolePolicy DeleteRolePolicy",
    "kms/alias:Alias": "kms: CreateAlias UpdateAlias DeleteAlias ListAliases",
    "kms/key:Key": (
        "kms: CreateKey DescribeKey GetKeyPolicy PutKeyPolicy GetKeyRotationStatus EnableKeyRotation"
        " DisableKeyRotation EnableKey DisableKey UpdateKeyDescription ScheduleKeyDeletion CancelKeyDeletion"
        " ListResourceTags TagResource UntagResource CreateGrant Decrypt GenerateDataKey"
    ),
    "lb/listener:Listener": (
        "elasticloadbalancing: CreateListener ModifyListener DescribeListeners DescribeListenerAttributes"
        " ModifyListenerAttributes DescribeListenerCertificates DeleteListener AddTags RemoveTags DescribeTags"
    ),
    "lb/listenerRule:ListenerRule": (
        "elasticloadbalancing: CreateRule ModifyRule SetRulePriorities DescribeRules DeleteRule AddTags RemoveTags"
        " DescribeTags"
    ),
    "lb/loadBalancer:LoadBalancer": (
        "elasticloadbalancing: CreateLoadBalancer ModifyLoadBalancerAttributes DescribeLoadBalancers"
        " DescribeLoadBalancerAttributes DescribeCapacityReservation SetSecurityGroups SetSubnets SetIpAddressType"
        " DeleteLoadBalancer AddTags RemoveTags DescribeTags; ec2: DescribeNetworkInterfaces DescribeSubnets"
        " DescribeSecurityGroups DescribeVpcs"
    ),
    "lb/targetGroup:TargetGroup": (
        "elasticloadbalancing: CreateTargetGroup ModifyTargetGroup ModifyTargetGroupAttributes DescribeTargetGroups"
        " DescribeTargetGroupAttributes DescribeTargetHealth DeleteTargetGroup AddTags RemoveTags DescribeTags"
    ),
    "lb/targetGroupAttachment:TargetGroupAttachment": (
        "elasticloadbalancing: RegisterTargets DeregisterTargets DescribeTargetHealth"
    ),
    "rds/eventSubscription:EventSubscription": (
        "rds: CreateEventSubscription ModifyEventSubscription DescribeEventSubscriptions DeleteEventSubscription"
        " AddSourceIdentifierToSubscription RemoveSourceIdentifierFromSubscription AddTagsToResource"
        " RemoveTagsFromResource ListTagsForResource"
    ),
    "rds/instance:Instance": (
        "rds: CreateDBInstance CreateDBInstanceReadReplica ModifyDBInstance RebootDBInstance DescribeDBInstances"
        " DescribeDBEngineVersions DescribeOrderableDBInstanceOptions DescribeDBSnapshots CreateDBSnapshot"
        " DeleteDBInstance PromoteReadReplica CreateBlueGreenDeployment DescribeBlueGreenDeployments"
        " SwitchoverBlueGreenDeployment DeleteBlueGreenDeployment AddTagsToResource RemoveTagsFromResource"
        " ListTagsForResource; ec2: DescribeSecurityGroups DescribeSubnets DescribeVpcs; iam: PassRole;"
        # The secret of the master's password, which RDS manages.
        " secretsmanager: CreateSecret DescribeSecret GetSecretValue RotateSecret TagResource"
    ),
    "rds/instanceAutomatedBackupsReplication:InstanceAutomatedBackupsReplication": (
        "rds: StartDBInstanceAutomatedBackupsReplication StopDBInstanceAutomatedBackupsReplication"
        " DescribeDBInstanceAutomatedBackups DescribeDBInstances"
    ),
    "rds/parameterGroup:ParameterGroup": (
        "rds: CreateDBParameterGroup ModifyDBParameterGroup ResetDBParameterGroup DescribeDBParameterGroups"
        " DescribeDBParameters DeleteDBParameterGroup AddTagsToResource RemoveTagsFromResource ListTagsForResource"
    ),
    "rds/subnetGroup:SubnetGroup": (
        "rds: CreateDBSubnetGroup ModifyDBSubnetGroup DescribeDBSubnetGroups DeleteDBSubnetGroup AddTagsToResource"
        " RemoveTagsFromResource ListTagsForResource"
    ),
    "route53/record:Record": (
        "route53: ChangeResourceRecordSets ListResourceRecordSets GetHostedZone GetChange ListHostedZonesByName"
    ),
    "route53/zone:Zone": (
        "route53: CreateHostedZone GetHostedZone UpdateHostedZoneComment DeleteHostedZone GetChange GetDNSSEC"
        " AssociateVPCWithHostedZone DisassociateVPCFromHostedZone ChangeTagsForResource ListTagsForResource"
        " ListResourceRecordSets; ec2: DescribeVpcs"
    ),
    "s3/bucket:Bucket": (
        "s3: CreateBucket DeleteBucket ListBucket GetBucketLocation GetBucketAcl GetBucketCORS GetBucketLogging"
        " GetBucketObjectLockConfiguration GetBucketPolicy GetBucketRequestPayment GetBucketTagging PutBucketTagging"
        " GetBucketVersioning GetBucketWebsite GetAccelerateConfiguration GetEncryptionConfiguration"
        " GetLifecycleConfiguration GetReplicationConfiguration GetObject PutObject"
    ),
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (
        "s3: PutLifecycleConfiguration GetLifecycleConfiguration"
    ),
    "s3/bucketLogging:BucketLogging": "s3: PutBucketLogging GetBucketLogging",
    "s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": (
        "s3: PutBucketObjectLockConfiguration GetBucketObjectLockConfiguration"
    ),
    "s3/bucketOwnershipControls:BucketOwnershipControls": "s3: PutBucketOwnershipControls GetBucketOwnershipControls",
    "s3/bucketPolicy:BucketPolicy": "s3: PutBucketPolicy GetBucketPolicy DeleteBucketPolicy",
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("s3: PutBucketPublicAccessBlock GetBucketPublicAccessBlock"),
    "s3/bucketReplicationConfig:BucketReplicationConfig": (
        "s3: PutReplicationConfiguration GetReplicationConfiguration; iam: PassRole"
    ),
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "s3: PutEncryptionConfiguration GetEncryptionConfiguration"
    ),
    "s3/bucketVersioning:BucketVersioning": "s3: PutBucketVersioning GetBucketVersioning",
    "secretsmanager/secret:Secret": (
        "secretsmanager: CreateSecret DescribeSecret UpdateSecret DeleteSecret GetResourcePolicy TagResource"
        " UntagResource GetSecretValue PutSecretValue ListSecretVersionIds UpdateSecretVersionStage"
    ),
    "secretsmanager/secretPolicy:SecretPolicy": (
        "secretsmanager: PutResourcePolicy GetResourcePolicy DeleteResourcePolicy ValidateResourcePolicy"
    ),
    "secretsmanager/secretRotation:SecretRotation": "secretsmanager: RotateSecret CancelRotateSecret DescribeSecret",
    "sns/topic:Topic": (
        "sns: CreateTopic GetTopicAttributes SetTopicAttributes DeleteTopic TagResource UntagResource ListTagsForResource"
    ),
    "sns/topicSubscription:TopicSubscription": (
        "sns: Subscribe Unsubscribe GetSubscriptionAttributes SetSubscriptionAttributes ListSubscriptionsByTopic"
    ),
    "ssm/parameter:Parameter": (
        "ssm: PutParameter GetParameter GetParameters DescribeParameters DeleteParameter AddTagsToResource"
        " RemoveTagsFromResource ListTagsForResource"
    ),
    "vpc/securityGroupEgressRule:SecurityGroupEgressRule": _RULES.format("Egress"),
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": _RULES.format("Ingress"),
    "wafv2/ipSet:IpSet": (
        "wafv2: CreateIPSet GetIPSet UpdateIPSet DeleteIPSet TagResource UntagResource ListTagsForResource"
    ),
    "wafv2/webAcl:WebAcl": (
        "wafv2: CreateWebACL GetWebACL UpdateWebACL DeleteWebACL TagResource UntagResource ListTagsForResource"
    ),
    "wafv2/webAclAssociation:WebAclAssociation": (
        "wafv2: AssociateWebACL DisassociateWebACL GetWebACLForResource; elasticloadbalancing: SetWebAcl"
    ),
    "wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": (
        "wafv2: PutLoggingConfiguration GetLoggingConfiguration DeleteLoggingConfiguration;"
        " logs: CreateLogDelivery DeleteLogDelivery DescribeResourcePolicies PutResourcePolicy"
    ),
}
#: For every operator: what `stackwright doctor`, `up` and `status` read; none of it changes anything.
EVERY = (
    "cloudwatch: DescribeAlarms; ec2: DescribeAddresses DescribeInstances DescribeVpcs; servicequotas: GetServiceQuota;"
    " route53: GetHostedZone; ssm: GetParameters; elasticloadbalancing: DescribeLoadBalancers;"
    " cloudfront: ListDistributions"
)
