"""The forms of ids, ARNs and endpoints of common types, where the SDK's documentation does not show them.

Templates are filled from a resource's inputs and from `id`, `account`, `region`, `partition`, `uuid`, `hexN` (N digits)
and `baseN` (N capitals and digits). Sources: Service Authorization Reference of AWS ("Resource types defined by ...")
and the services' user guides.
"""

from __future__ import annotations

from collections.abc import Mapping

#: The part of the token before the slash -> service in ARNs, where the two differ.
SERVICES: Mapping[str, str] = {
    "alb": "elasticloadbalancing",
    "appautoscaling": "application-autoscaling",
    "applicationloadbalancing": "elasticloadbalancing",
    "cfg": "config",
    "ec2clientvpn": "ec2",
    "ec2transitgateway": "ec2",
    "elb": "elasticloadbalancing",
    "lb": "elasticloadbalancing",
    "mq": "mq",
    "opensearch": "es",
    "sfn": "states",
    "vpc": "ec2",
}

#: Services whose ARNs have no region, including those that have no account either.
GLOBAL = frozenset({"cloudfront", "iam", "route53", "s3", "globalaccelerator", "organizations"})
NO_ACCOUNT = frozenset({"route53", "s3"})

#: Type -> ARN after `arn:PARTITION:`.
ARNS: Mapping[str, str] = {
    "aws:acm/certificate:Certificate": "acm:{region}:{account}:certificate/{uuid}",
    "aws:autoscaling/group:Group": "autoscaling:{region}:{account}:autoScalingGroup:{uuid}:autoScalingGroupName/{name}",
    "aws:backup/vault:Vault": "backup:{region}:{account}:backup-vault:{name}",
    "aws:cloudfront/distribution:Distribution": "cloudfront::{account}:distribution/{id}",
    "aws:backup/plan:Plan": "backup:{region}:{account}:backup-plan:{id}",
    "aws:cloudtrail/trail:Trail": "cloudtrail:{region}:{account}:trail/{name}",
    "aws:cloudwatch/dashboard:Dashboard": "cloudwatch::{account}:dashboard/{dashboardName}",
    "aws:cloudwatch/eventRule:EventRule": "events:{region}:{account}:rule/{name}",
    "aws:cloudwatch/logGroup:LogGroup": "logs:{region}:{account}:log-group:{name}",
    "aws:cloudwatch/metricAlarm:MetricAlarm": "cloudwatch:{region}:{account}:alarm:{name}",
    "aws:ec2/defaultRouteTable:DefaultRouteTable": "ec2:{region}:{account}:route-table/{id}",
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": "ec2:{region}:{account}:security-group/{id}",
    "aws:ec2/eip:Eip": "ec2:{region}:{account}:elastic-ip/{id}",
    "aws:ec2/flowLog:FlowLog": "ec2:{region}:{account}:vpc-flow-log/{id}",
    "aws:ec2/natGateway:NatGateway": "ec2:{region}:{account}:natgateway/{id}",
    "aws:elasticache/parameterGroup:ParameterGroup": "elasticache:{region}:{account}:parametergroup:{name}",
    "aws:elasticache/replicationGroup:ReplicationGroup": (
        "elasticache:{region}:{account}:replicationgroup:{replicationGroupId}"
    ),
    "aws:elasticache/subnetGroup:SubnetGroup": "elasticache:{region}:{account}:subnetgroup:{name}",
    "aws:elasticache/user:User": "elasticache:{region}:{account}:user:{userId}",
    "aws:elasticache/userGroup:UserGroup": "elasticache:{region}:{account}:usergroup:{userGroupId}",
    "aws:iam/instanceProfile:InstanceProfile": "iam::{account}:instance-profile{path}{name}",
    "aws:iam/policy:Policy": "iam::{account}:policy{path}{name}",
    "aws:iam/role:Role": "iam::{account}:role{path}{name}",
    "aws:iam/user:User": "iam::{account}:user{path}{name}",
    "aws:kms/alias:Alias": "kms:{region}:{account}:{name}",
    "aws:kms/key:Key": "kms:{region}:{account}:key/{id}",
    "aws:lambda/function:Function": "lambda:{region}:{account}:function:{name}",
    "aws:lb/listener:Listener": "elasticloadbalancing:{region}:{account}:listener/{balancer}/{hex16}",
    "aws:lb/listenerRule:ListenerRule": "elasticloadbalancing:{region}:{account}:listener-rule/{listener}/{hex16}",
    "aws:lb/loadBalancer:LoadBalancer": "elasticloadbalancing:{region}:{account}:loadbalancer/{kind}/{name}/{hex16}",
    "aws:lb/targetGroup:TargetGroup": "elasticloadbalancing:{region}:{account}:targetgroup/{name}/{hex16}",
    "aws:rds/cluster:Cluster": "rds:{region}:{account}:cluster:{clusterIdentifier}",
    "aws:rds/instance:Instance": "rds:{region}:{account}:db:{identifier}",
    "aws:rds/parameterGroup:ParameterGroup": "rds:{region}:{account}:pg:{name}",
    "aws:rds/subnetGroup:SubnetGroup": "rds:{region}:{account}:subgrp:{name}",
    "aws:route53/zone:Zone": "route53:::hostedzone/{id}",
    "aws:s3/bucket:Bucket": "s3:::{bucket}",
    "aws:secretsmanager/secret:Secret": "secretsmanager:{region}:{account}:secret:{name}-{hex6}",
    "aws:sns/topic:Topic": "sns:{region}:{account}:{name}",
    "aws:sqs/queue:Queue": "sqs:{region}:{account}:{name}",
    "aws:ssm/parameter:Parameter": "ssm:{region}:{account}:parameter/{name}",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "ec2:{region}:{account}:security-group-rule/{id}",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "ec2:{region}:{account}:security-group-rule/{id}",
    "aws:wafv2/ipSet:IpSet": "wafv2:{region}:{account}:{scope}/ipset/{name}/{uuid}",
    "aws:wafv2/webAcl:WebAcl": "wafv2:{region}:{account}:{scope}/webacl/{name}/{uuid}",
}

#: Type -> id, where the example of `pulumi import` is not enough.
IDS: Mapping[str, str] = {
    "aws:backup/plan:Plan": "{uuid}",
    "aws:cloudfront/distribution:Distribution": "E{base13}",
    "aws:iam/rolePolicy:RolePolicy": "{role}:{name}",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "{role}/{policyArn}",
    "aws:route53/record:Record": "{zoneId}_{name}_{type}",
    "aws:route53/zone:Zone": "Z{base13}",
    "aws:ec2/route:Route": "r-{routeTableId}{hex8}",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "rtbassoc-{hex17}",
    "aws:ec2/eipAssociation:EipAssociation": "eipassoc-{hex17}",
    "aws:sqs/queue:Queue": "https://sqs.{region}.amazonaws.com/{account}/{name}",
    "aws:wafv2/webAcl:WebAcl": "{uuid}",
    "aws:wafv2/ipSet:IpSet": "{uuid}",
    "aws:secretsmanager/secretVersion:SecretVersion": "{secretId}|{uuid}",
}

#: Type -> output -> template; a template of digits only becomes a number if the output is one.
OUTPUTS: Mapping[str, Mapping[str, str]] = {
    "aws:autoscaling/group:Group": {"name": "{id}"},
    "aws:cloudfront/distribution:Distribution": {
        "domainName": "d{hex13}.cloudfront.net",
        # The single hosted zone of all distributions (Route 53 API reference, AliasTarget).
        "hostedZoneId": "Z2FDTNDATAQYW2",
        "status": "Deployed",
    },
    "aws:ec2/eip:Eip": {"allocationId": "{id}", "domain": "vpc"},
    "aws:ec2/instance:Instance": {"instanceState": "running"},
    "aws:elasticache/replicationGroup:ReplicationGroup": {
        "primaryEndpointAddress": "master.{replicationGroupId}.{hex6}.{region}.cache.amazonaws.com",
        "readerEndpointAddress": "replica.{replicationGroupId}.{hex6}.{region}.cache.amazonaws.com",
        "configurationEndpointAddress": "clustercfg.{replicationGroupId}.{hex6}.{region}.cache.amazonaws.com",
    },
    "aws:iam/role:Role": {"uniqueId": "AROA{base17}", "path": "/"},
    "aws:iam/user:User": {"uniqueId": "AIDA{base17}", "path": "/"},
    "aws:kms/key:Key": {"keyId": "{id}"},
    "aws:lb/loadBalancer:LoadBalancer": {
        "dnsName": "{internal}{name}-{number}.{region}.elb.amazonaws.com",
        "loadBalancerType": "application",
        "ipAddressType": "ipv4",
    },
    "aws:rds/cluster:Cluster": {
        "endpoint": "{clusterIdentifier}.cluster-{hex12}.{region}.rds.amazonaws.com",
        "readerEndpoint": "{clusterIdentifier}.cluster-ro-{hex12}.{region}.rds.amazonaws.com",
        "port": "{port}",
    },
    "aws:rds/instance:Instance": {
        "address": "{identifier}.{hex12}.{region}.rds.amazonaws.com",
        "endpoint": "{identifier}.{hex12}.{region}.rds.amazonaws.com:{port}",
        "resourceId": "db-{base26}",
        "status": "available",
    },
    "aws:route53/record:Record": {"fqdn": "{name}"},
    "aws:route53/zone:Zone": {"zoneId": "{id}"},
    "aws:s3/bucket:Bucket": {
        "bucketDomainName": "{bucket}.s3.amazonaws.com",
        "bucketRegionalDomainName": "{bucket}.s3.{region}.amazonaws.com",
    },
    "aws:sqs/queue:Queue": {"url": "{id}"},
}

#: Outputs whose value every change increments.
COUNTERS: Mapping[str, frozenset[str]] = {"aws:ec2/launchTemplate:LaunchTemplate": frozenset({"latestVersion"})}

#: Suffix of a property's name -> prefix of the id that it holds.
ID_PREFIXES: Mapping[str, str] = {
    "vpcid": "vpc",
    "subnetid": "subnet",
    "securitygroupid": "sg",
    "securitygroupruleid": "sgr",
    "routetableid": "rtb",
    "networkinterfaceid": "eni",
    "networkaclid": "acl",
    "dhcpoptionsid": "dopt",
    "allocationid": "eipalloc",
    "associationid": "eipassoc",
    "instanceid": "i",
    "prefixlistid": "pl",
    "volumeid": "vol",
}
