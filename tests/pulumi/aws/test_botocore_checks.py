"""AWS's own models find what Python's types let through; what they cannot say is told, not passed."""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pulumi_aws as aws
import pytest
from aws_context import ACCOUNT, REGION, context, tags

from stackwright.infra.aws.encryption_key import EncryptionKey, KeyArgs
from stackwright.policy.resources import UNKNOWN, Resource, _snake
from stackwright.testing.aws_models import models
from stackwright.testing.aws_models.botocore_checks import CALLS, NESTED, Report, check
from stackwright.testing.aws_models.convert import Conversion
from stackwright.testing.recording import record

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/test-monitoring"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:test-alarms"
LOAD_BALANCER = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/test/50dc6c495c0c9188"
TARGETS = f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/test/50dc6c495c0c9188"
CERTIFICATE = f"arn:aws:acm:{REGION}:{ACCOUNT}:certificate/11111111-2222-3333-4444-555555555555"
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": []})
TAGS = tags("x")
GROUP_TAGS = [{"key": key, "value": value, "propagateAtLaunch": True} for key, value in TAGS.items()]
VISIBLE = {"cloudwatchMetricsEnabled": True, "metricName": "x", "sampledRequestsEnabled": True}
BEHAVIOUR = {
    "allowedMethods": ["GET", "HEAD"],
    "cachedMethods": ["GET", "HEAD"],
    "cachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad",
    "targetOriginId": "lb",
    "viewerProtocolPolicy": "redirect-to-https",
    "compress": True,
}

#: Type -> inputs that AWS would take, as they are on the wire (numbers are floats).
GOOD: Mapping[str, Mapping[str, Any]] = {
    "ec2/vpc:Vpc": {"cidrBlock": "10.20.0.0/16", "enableDnsHostnames": True, "tags": TAGS},
    "ec2/subnet:Subnet": {
        "vpcId": "vpc-1",
        "cidrBlock": "10.20.0.0/20",
        "availabilityZone": "eu-central-1a",
        "tags": TAGS,
    },
    "ec2/securityGroup:SecurityGroup": {"name": "test-db", "description": "Database", "vpcId": "vpc-1", "tags": TAGS},
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
        "securityGroupId": "sg-1",
        "ipProtocol": "tcp",
        "fromPort": 5432.0,
        "toPort": 5432.0,
        "referencedSecurityGroupId": "sg-2",
        "description": "Application hosts query the database",
        "tags": TAGS,
    },
    "ec2/flowLog:FlowLog": {
        "vpcId": "vpc-1",
        "trafficType": "ALL",
        "logDestinationType": "cloud-watch-logs",
        "iamRoleArn": ROLE,
    },
    "ec2/launchTemplate:LaunchTemplate": {
        "name": "test-app",
        "imageId": "resolve:ssm:/aws/service/debian/release/13/latest/amd64",
        "instanceType": "m7i.large",
        "ebsOptimized": "true",
        "metadataOptions": {"httpTokens": "required", "httpPutResponseHopLimit": 1.0, "httpEndpoint": "enabled"},
        "blockDeviceMappings": [
            {
                "deviceName": "/dev/xvda",
                "ebs": {"encrypted": "true", "kmsKeyId": KEY, "volumeType": "gp3", "volumeSize": 20.0},
            }
        ],
        "networkInterfaces": [{"associatePublicIpAddress": "false", "securityGroups": ["sg-1"]}],
        "iamInstanceProfile": {"name": "test-app"},
        "monitoring": {"enabled": True},
        "tagSpecifications": [{"resourceType": "instance", "tags": TAGS}, {"resourceType": "volume", "tags": TAGS}],
        "userData": "I2Nsb3VkLWNvbmZpZw==",
        "tags": TAGS,
    },
    "ec2/instance:Instance": {
        "ami": "ami-1",
        "instanceType": "t4g.small",
        "subnetId": "subnet-1",
        "privateIp": "10.20.0.10",
        "vpcSecurityGroupIds": ["sg-1"],
        "rootBlockDevice": {"encrypted": True, "kmsKeyId": KEY, "volumeType": "gp3", "volumeSize": 20.0},
        "ebsBlockDevices": [{"deviceName": "/dev/xvdb", "volumeSize": 100.0}],
        "disableApiTermination": True,
        "creditSpecification": {"cpuCredits": "standard"},
        "tags": TAGS,
    },
    "autoscaling/group:Group": {
        "name": "test-app",
        "minSize": 2.0,
        "maxSize": 6.0,
        "healthCheckType": "ELB",
        "healthCheckGracePeriod": 900.0,
        "launchTemplate": {"id": "lt-1", "version": "$Latest"},
        "vpcZoneIdentifiers": ["subnet-1", "subnet-2"],
        "targetGroupArns": [TARGETS],
        "instanceMaintenancePolicy": {"minHealthyPercentage": 100.0, "maxHealthyPercentage": 150.0},
        "tags": GROUP_TAGS,
    },
    "autoscaling/policy:Policy": {
        "name": "test-cpu",
        "autoscalingGroupName": "test-app",
        "policyType": "TargetTrackingScaling",
        "targetTrackingConfiguration": {
            "targetValue": 60.0,
            "predefinedMetricSpecification": {"predefinedMetricType": "ASGAverageCPUUtilization"},
        },
    },
    "autoscaling/lifecycleHook:LifecycleHook": {
        "name": "test-launch",
        "autoscalingGroupName": "test-app",
        "lifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
        "defaultResult": "ABANDON",
        "heartbeatTimeout": 1800.0,
    },
    "rds/instance:Instance": {
        "identifier": "test-db",
        "engine": "postgres",
        "engineVersion": "17",
        "instanceClass": "db.m7g.large",
        "allocatedStorage": 100.0,
        "maxAllocatedStorage": 400.0,
        "storageType": "gp3",
        "storageEncrypted": True,
        "kmsKeyId": KEY,
        "manageMasterUserPassword": True,
        "masterUserSecretKmsKeyId": KEY,
        "username": "stackwright",
        "dbSubnetGroupName": "test-db",
        "backupRetentionPeriod": 14.0,
        "backupWindow": "01:00-02:00",
        "maintenanceWindow": "sun:03:00-sun:04:00",
        "monitoringInterval": 60.0,
        "monitoringRoleArn": ROLE,
        "performanceInsightsEnabled": True,
        "databaseInsightsMode": "standard",
        "enabledCloudwatchLogsExports": ["postgresql", "upgrade"],
        "skipFinalSnapshot": False,
        "finalSnapshotIdentifier": "test-db-final",
        "deletionProtection": True,
        "multiAz": True,
        "tags": TAGS,
    },
    "rds/parameterGroup:ParameterGroup": {
        "name": "test-db",
        "family": "postgres17",
        "parameters": [{"name": "rds.force_ssl", "value": "1", "applyMethod": "immediate"}],
        "tags": TAGS,
    },
    "elasticache/replicationGroup:ReplicationGroup": {
        "replicationGroupId": "test-sessions",
        "description": "Sessions",
        "engine": "valkey",
        "engineVersion": "8.0",
        "nodeType": "cache.t4g.small",
        "numCacheClusters": 2.0,
        "port": 6379.0,
        "atRestEncryptionEnabled": True,
        "transitEncryptionEnabled": True,
        "transitEncryptionMode": "required",
        "kmsKeyId": KEY,
        "userGroupIds": ["test-sessions"],
        "logDeliveryConfigurations": [
            {"destination": "x", "destinationType": "cloudwatch-logs", "logFormat": "json", "logType": "slow-log"}
        ],
        "tags": TAGS,
    },
    "elasticache/user:User": {
        "userId": "test-app",
        "userName": "app",
        "engine": "valkey",
        "accessString": "on ~* +@all",
        "authenticationMode": {"type": "iam"},
    },
    "s3/bucket:Bucket": {"bucket": f"test-backups-{ACCOUNT}", "objectLockEnabled": True, "tags": TAGS},
    "s3/bucketVersioning:BucketVersioning": {"bucket": "test", "versioningConfiguration": {"status": "Enabled"}},
    "s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
        "bucket": "test",
        "rules": [
            {
                "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KEY},
                "bucketKeyEnabled": True,
            }
        ],
    },
    "s3/bucketPublicAccessBlock:BucketPublicAccessBlock": {"bucket": "test", "blockPublicAcls": True},
    "s3/bucketOwnershipControls:BucketOwnershipControls": {
        "bucket": "test",
        "rule": {"objectOwnership": "BucketOwnerEnforced"},
    },
    "s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
        "bucket": "test",
        "rules": [
            {
                "id": "old",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "noncurrentVersionExpiration": {"noncurrentDays": 30.0},
                "transitions": [{"days": 30.0, "storageClass": "STANDARD_IA"}],
                "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7.0},
            }
        ],
    },
    "s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": {
        "bucket": "test",
        "rule": {"defaultRetention": {"mode": "COMPLIANCE", "days": 14.0}},
    },
    "kms/key:Key": {"description": "data", "enableKeyRotation": True, "deletionWindowInDays": 30.0, "policy": DOCUMENT},
    "kms/alias:Alias": {"name": "alias/test-data", "targetKeyId": KEY},
    "secretsmanager/secret:Secret": {"name": "test/app", "kmsKeyId": KEY, "recoveryWindowInDays": 30.0, "tags": TAGS},
    "ssm/parameter:Parameter": {"name": "/test/serial", "type": "String", "value": "1", "tags": TAGS},
    "lb/loadBalancer:LoadBalancer": {
        "name": "test",
        "loadBalancerType": "application",
        "internal": False,
        "securityGroups": ["sg-1"],
        "subnets": ["subnet-1", "subnet-2"],
        "idleTimeout": 3600.0,
        "dropInvalidHeaderFields": True,
        "desyncMitigationMode": "defensive",
        "enableDeletionProtection": True,
        "accessLogs": {"bucket": "test-logs", "enabled": True},
        "tags": TAGS,
    },
    "lb/targetGroup:TargetGroup": {
        "name": "test-app",
        "port": 443.0,
        "protocol": "HTTPS",
        "targetType": "instance",
        "vpcId": "vpc-1",
        "slowStart": 60.0,
        "deregistrationDelay": 60.0,
        "loadBalancingAlgorithmType": "round_robin",
        "healthCheck": {
            "path": "/api/health",
            "protocol": "HTTPS",
            "matcher": "200",
            "interval": 10.0,
            "timeout": 5.0,
            "healthyThreshold": 2.0,
            "unhealthyThreshold": 3.0,
        },
        "tags": TAGS,
    },
    "lb/listener:Listener": {
        "loadBalancerArn": LOAD_BALANCER,
        "port": 443.0,
        "protocol": "HTTPS",
        "sslPolicy": "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
        "certificateArn": CERTIFICATE,
        "defaultActions": [
            {"type": "fixed-response", "fixedResponse": {"contentType": "text/plain", "statusCode": "404"}}
        ],
        "tags": TAGS,
    },
    "lb/listenerRule:ListenerRule": {
        "listenerArn": LOAD_BALANCER,
        "priority": 10.0,
        "conditions": [{"hostHeader": {"values": ["example.org"]}}],
        "actions": [{"type": "forward", "targetGroupArn": TARGETS}],
    },
    "acm/certificate:Certificate": {
        "domainName": "example.org",
        "subjectAlternativeNames": ["www.example.org"],
        "validationMethod": "DNS",
        "keyAlgorithm": "EC_prime256v1",
        "tags": TAGS,
    },
    "route53/record:Record": {
        "zoneId": "Z1",
        "name": "db.test.internal",
        "type": "CNAME",
        "ttl": 60.0,
        "records": ["x.rds.amazonaws.com"],
    },
    "route53/zone:Zone": {"name": "test.internal", "comment": "x", "vpcs": [{"vpcId": "vpc-1", "vpcRegion": REGION}]},
    "wafv2/webAcl:WebAcl": {
        "name": "test",
        "scope": "REGIONAL",
        "defaultAction": {"allow": {}},
        "visibilityConfig": VISIBLE,
        "customResponseBodies": [{"key": "slow", "content": "Too many requests", "contentType": "TEXT_PLAIN"}],
        "rules": [
            {
                "name": "common",
                "priority": 0.0,
                "overrideAction": {"none": {}},
                "statement": {
                    "managedRuleGroupStatement": {
                        "vendorName": "AWS",
                        "name": "AWSManagedRulesCommonRuleSet",
                        "ruleActionOverrides": [{"name": "SizeRestrictions_BODY", "actionToUse": {"count": {}}}],
                    }
                },
                "visibilityConfig": VISIBLE,
            },
            {
                "name": "login",
                "priority": 1.0,
                "action": {"block": {"customResponse": {"responseCode": 429.0, "customResponseBodyKey": "slow"}}},
                "statement": {
                    "rateBasedStatement": {
                        "limit": 100.0,
                        "aggregateKeyType": "IP",
                        "evaluationWindowSec": 60.0,
                        "scopeDownStatement": {
                            "byteMatchStatement": {
                                "searchString": "/api/login",
                                "fieldToMatch": {"uriPath": {}},
                                "positionalConstraint": "STARTS_WITH",
                                "textTransformations": [{"priority": 0.0, "type": "NONE"}],
                            }
                        },
                    }
                },
                "visibilityConfig": VISIBLE,
            },
        ],
        "tags": TAGS,
    },
    "cloudfront/distribution:Distribution": {
        "enabled": True,
        "isIpv6Enabled": True,
        "httpVersion": "http2and3",
        "priceClass": "PriceClass_100",
        "aliases": ["example.org"],
        "origins": [
            {
                "originId": "lb",
                "domainName": "lb.example.org",
                "customOriginConfig": {
                    "httpPort": 80.0,
                    "httpsPort": 443.0,
                    "originProtocolPolicy": "https-only",
                    "originSslProtocols": ["TLSv1.2"],
                },
            }
        ],
        "defaultCacheBehavior": BEHAVIOUR,
        "orderedCacheBehaviors": [{**BEHAVIOUR, "pathPattern": "/_next/static/*"}],
        "restrictions": {"geoRestriction": {"restrictionType": "none"}},
        "viewerCertificate": {
            "acmCertificateArn": CERTIFICATE,
            "minimumProtocolVersion": "TLSv1.2_2021",
            "sslSupportMethod": "sni-only",
        },
        "tags": TAGS,
    },
    "cloudfront/cachePolicy:CachePolicy": {
        "name": "test-static",
        "minTtl": 1.0,
        "defaultTtl": 31536000.0,
        "maxTtl": 31536000.0,
        "parametersInCacheKeyAndForwardedToOrigin": {
            "enableAcceptEncodingBrotli": True,
            "enableAcceptEncodingGzip": True,
            "cookiesConfig": {"cookieBehavior": "none"},
            "headersConfig": {"headerBehavior": "whitelist", "headers": {"items": ["Origin"]}},
            "queryStringsConfig": {"queryStringBehavior": "none"},
        },
    },
    "iam/role:Role": {"name": "test-app", "assumeRolePolicy": DOCUMENT, "tags": TAGS},
    "iam/rolePolicy:RolePolicy": {"name": "test", "role": "test-app", "policy": DOCUMENT},
    "iam/instanceProfile:InstanceProfile": {"name": "test-app", "role": "test-app", "tags": TAGS},
    "cloudwatch/logGroup:LogGroup": {"name": "test/app", "kmsKeyId": KEY, "retentionInDays": 30.0, "tags": TAGS},
    "cloudwatch/metricAlarm:MetricAlarm": {
        "name": "test-db-cpu",
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": 3.0,
        "threshold": 5.0,
        "treatMissingData": "breaching",
        "metricQueries": [
            {
                "id": "errors",
                "returnData": False,
                "metric": {
                    "namespace": "AWS/ApplicationELB",
                    "metricName": "HTTPCode_Target_5XX_Count",
                    "period": 60.0,
                    "stat": "Sum",
                    "dimensions": {"LoadBalancer": "app/test/1"},
                },
            },
            {"id": "ratio", "expression": "errors / 100", "returnData": True},
        ],
        "alarmActions": [TOPIC],
        "tags": TAGS,
    },
    "sns/topic:Topic": {"name": "test-alarms", "kmsMasterKeyId": KEY, "tags": TAGS},
    "sns/topicSubscription:TopicSubscription": {"topic": TOPIC, "protocol": "email", "endpoint": "ops@example.org"},
    "budgets/budget:Budget": {
        "name": "test",
        "budgetType": "COST",
        "timeUnit": "MONTHLY",
        "limitAmount": "500",
        "limitUnit": "USD",
        "notifications": [
            {
                "comparisonOperator": "GREATER_THAN",
                "threshold": 80.0,
                "thresholdType": "PERCENTAGE",
                "notificationType": "ACTUAL",
                "subscriberEmailAddresses": ["ops@example.org"],
            }
        ],
        "tags": TAGS,
    },
}

#: Type, inputs over the good ones -> what is said.
BAD: list[tuple[str, Mapping[str, Any], str]] = [
    # A misspelled input, at the top and below.
    ("rds/instance:Instance", {"storageEncryptd": True}, "storageEncryptd is not mapped to rds:CreateDBInstance"),
    (
        "ec2/launchTemplate:LaunchTemplate",
        {"metadataOptions": {"httpToken": "required"}},
        "metadataOptions.httpToken is not mapped to LaunchTemplateInstanceMetadataOptionsRequest of ec2:",
    ),
    # An enumeration.
    (
        "ec2/flowLog:FlowLog",
        {"trafficType": "EVERYTHING"},
        "TrafficType is 'EVERYTHING', accepted: ACCEPT, REJECT, ALL",
    ),
    (
        "ec2/launchTemplate:LaunchTemplate",
        {"metadataOptions": {"httpTokens": "yes"}},
        "LaunchTemplateData.MetadataOptions.HttpTokens is 'yes', accepted: optional, required",
    ),
    (
        "elasticache/replicationGroup:ReplicationGroup",
        {"transitEncryptionMode": "on"},
        "TransitEncryptionMode is 'on', accepted: ",
    ),
    ("acm/certificate:Certificate", {"keyAlgorithm": "EC"}, "KeyAlgorithm is 'EC', accepted: RSA_1024, RSA_2048"),
    ("cloudfront/distribution:Distribution", {"httpVersion": "http4"}, "HttpVersion is 'http4', accepted: "),
    ("wafv2/webAcl:WebAcl", {"scope": "WORLD"}, "Scope is 'WORLD', accepted: CLOUDFRONT, REGIONAL"),
    ("lb/targetGroup:TargetGroup", {"protocol": "https"}, "Protocol is 'https', accepted: HTTP, HTTPS"),
    ("cloudwatch/metricAlarm:MetricAlarm", {"comparisonOperator": ">"}, "ComparisonOperator is '>', accepted: "),
    ("budgets/budget:Budget", {"timeUnit": "WEEKLY"}, "Budget.TimeUnit is 'WEEKLY', accepted: DAILY, MONTHLY"),
    ("route53/record:Record", {"type": "ALIAS"}, "ResourceRecordSet.Type is 'ALIAS', accepted: SOA, A, TXT"),
    ("elasticache/user:User", {"engine": "memcached!"}, "Engine is 'memcached!', accepted: [a-zA-Z]*"),
    # A pattern.
    ("iam/role:Role", {"name": "a role"}, r"RoleName is 'a role', accepted: [\w+=,.@-]+"),
    ("kms/alias:Alias", {"name": "test-data"}, "AliasName is 'test-data', accepted: alias/"),
    ("cloudwatch/logGroup:LogGroup", {"name": "a b"}, "logGroupName is 'a b', accepted: "),
    ("wafv2/webAcl:WebAcl", {"name": "a b"}, "Name is 'a b', accepted: "),
    # A length, a bound, a number of members.
    ("iam/role:Role", {"name": "r" * 65}, "65 characters, accepted: 1 to 64"),
    ("lb/listenerRule:ListenerRule", {"priority": 0.0}, "Priority is 0, accepted: 1 to 50000"),
    ("lb/targetGroup:TargetGroup", {"port": 70000.0}, "Port is 70000, accepted: 1 to 65535"),
    ("route53/record:Record", {"ttl": -1.0}, "ResourceRecordSet.TTL is -1, accepted: 0 to 2147483647"),
    (
        "lb/targetGroup:TargetGroup",
        {"healthCheck": {"timeout": 500.0}},
        "HealthCheckTimeoutSeconds is 500, accepted: 2 to 120",
    ),
    ("sns/topic:Topic", {"tags": {"k" * 129: "v"}}, "129 characters, accepted: 1 to 128"),
    ("acm/certificate:Certificate", {"subjectAlternativeNames": ["x"] * 101}, "101 members, accepted: 1 to 100"),
    # What is required.
    ("lb/listener:Listener", {"defaultActions": None}, "elbv2:CreateListener: DefaultActions missing"),
    ("wafv2/webAcl:WebAcl", {"visibilityConfig": {"metricName": "x"}}, "VisibilityConfig: SampledRequestsEnabled"),
    # A value of another kind.
    ("rds/instance:Instance", {"allocatedStorage": 20.5}, "allocatedStorage is 20.5, accepted: a whole number"),
    ("rds/instance:Instance", {"multiAz": "yes"}, "multiAz is 'yes', accepted: true or false"),
    ("rds/instance:Instance", {"identifier": ["a"]}, "identifier is ['a'], accepted: a value (string)"),
    ("rds/instance:Instance", {"allocatedStorage": "many"}, "allocatedStorage is 'many', accepted: a number"),
    # Names and attributes that the models say nothing of.
    ("rds/instance:Instance", {"identifier": "1-db"}, "DBInstanceIdentifier is '1-db', accepted: "),
    ("lb/loadBalancer:LoadBalancer", {"name": "l" * 33}, "Name is 'lllllllllllllllllllllllllllllllll', accepted: "),
    ("lb/loadBalancer:LoadBalancer", {"idleTimeout": 5000.0}, "idleTimeout is 5000.0, accepted: 1 to 4000"),
    ("lb/loadBalancer:LoadBalancer", {"desyncMitigationMode": "hard"}, "accepted: monitor, defensive, strictest"),
    ("lb/targetGroup:TargetGroup", {"slowStart": "x"}, "slowStart is 'x', which is no value of that kind"),
    ("s3/bucket:Bucket", {"bucket": "Test_Bucket"}, "Bucket is 'Test_Bucket', accepted: "),
    ("ec2/vpc:Vpc", {"region": "frankfurt"}, "region is 'frankfurt', accepted: "),
    (
        "vpc/securityGroupIngressRule:SecurityGroupIngressRule",
        {"description": "it's open?"},
        'open?", accepted: [a-zA-Z0-9 ',
    ),
]


def judge(type_: str, /, **inputs: Any) -> Report:
    return check([Resource(type=f"aws:{type_}", name="it", inputs=inputs)])


@pytest.mark.parametrize("type_", GOOD)
def test_what_aws_takes_passes_and_was_looked_at(type_: str) -> None:
    report = judge(type_, **GOOD[type_])
    assert [each.problem for each in report.findings] == []
    assert report.values >= 2


@pytest.mark.parametrize(("type_", "change", "message"), BAD)
def test_what_aws_refuses_is_found(type_: str, change: Mapping[str, Any], message: str) -> None:
    problems = [each.problem for each in judge(type_, **{**GOOD[type_], **change}).findings]
    assert any(message in each for each in problems), problems


def test_a_type_that_nobody_has_mapped_is_a_finding() -> None:
    report = judge("dynamodb/table:Table", name="table")
    assert list(map(str, report.findings)) == ["dynamodb/table it: the type is not mapped to a call of AWS"]


def test_what_is_not_awss_is_not_looked_at() -> None:
    assert check([Resource(type="stackwright:local:Host", name="x", inputs={"a": 1})]).resources == 0


def test_a_report_counts_what_it_could_not_check() -> None:
    report = check(
        [
            Resource(type="aws:kms/key:Key", name="key", inputs={"description": UNKNOWN, "enableKeyRotation": True}),
            Resource(type="aws:kms/alias:Alias", name="alias", inputs={"name": "alias/x", "targetKeyId": "key-id"}),
            Resource(type="aws:acm/certificateValidation:CertificateValidation", name="v", inputs={"x": "y"}),
        ]
    )
    assert (report.resources, report.values, report.unknown, report.stand_ins) == (3, 1, 1, 1)
    assert dict(report.not_sent) == {"kms/key.enableKeyRotation": 1}
    assert dict(report.no_call) == {"acm/certificateValidation": 1}
    assert str(report) == "3 resources, 1 values checked, 1 unknown, 1 stand-ins, 1 not sent, 0 findings"


def test_a_stand_in_of_a_recording_has_no_pattern() -> None:
    long = "x" * 3000
    alias = Resource(type="aws:kms/alias:Alias", name="alias", inputs={"name": "alias/x", "targetKeyId": long})
    assert len(check([alias]).findings) == 1
    assert check([alias], stand_ins=[long]).findings == []


def test_a_root_disk_and_others_are_one_list() -> None:
    call = CALLS["ec2/instance"]
    parameters = Conversion(call, NESTED).parameters(GOOD["ec2/instance:Instance"])
    assert [each["Ebs"]["VolumeSize"] for each in parameters["BlockDeviceMappings"]] == [20, 100]


def test_the_parameters_are_those_of_the_call() -> None:
    rule = GOOD["vpc/securityGroupIngressRule:SecurityGroupIngressRule"]
    conversion = Conversion(CALLS["vpc/securityGroupIngressRule"], NESTED)
    assert conversion.parameters(rule) == {
        "GroupId": "sg-1",
        "IpPermissions": [
            {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "UserIdGroupPairs": [{"GroupId": "sg-2"}]}
        ],
        "TagSpecifications": [{"Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()]}],
    }
    assert (conversion.problems, conversion.checked) == ([], 1)


@pytest.mark.parametrize("type_", GOOD)
def test_botocore_itself_takes_the_parameters(type_: str) -> None:
    """The half that botocore checks by itself, as a second opinion of the conversion."""
    from botocore.validate import ParamValidator

    call = CALLS[Resource(type=f"aws:{type_}", name="x").kind]
    parameters = Conversion(call, NESTED).parameters(GOOD[type_])
    report = ParamValidator().validate(parameters, models.operation(call.service, call.operation).input_shape)
    assert report.generate_report() == ""


def test_a_recorded_component_is_valid() -> None:
    def program() -> None:
        EncryptionKey("key", KeyArgs(context=context(), purpose="data", services=["rds", "logs"]))
        aws.s3.Bucket("backups", bucket=context().name("bucket", "backups", ACCOUNT), tags=TAGS)

    computed = {"aws:kms/key:Key": lambda _: {"keyId": "11111111-2222-3333-4444-555555555555"}}
    report = check(record(program, stack="test", computed=computed).resources)
    assert (report.findings, report.resources) == ([], 3)
    assert report.values > 10


# The tables against the SDK and the models.

SDK = Path(str(find_spec("pulumi_aws").origin)).parent  # type: ignore[union-attr]
#: Targets of rules of EventBridge that no component of ours uses: findings, should one.
UNMAPPED = {"batchTarget", "ecsTarget", "redshiftTarget"}


@cache
def classes(path: Path) -> dict[str, dict[str, tuple[str, bool]]]:
    """Args class -> input by its wire name -> (class of its block or "", whether there are several)."""
    found = {}
    for match in re.finditer(
        r"^class (\w+Args):\n(.*?)(?=^(?:@pulumi|class |if not MYPY)|\Z)", path.read_text(), re.M | re.S
    ):
        inputs = re.findall(r'@pulumi\.getter(?:\(name="(\w+)"\))?\n    def (\w+)\(self\) -> ([^\n]*):\n', match[2])
        found[match[1]] = {
            wire or name: ("".join(re.findall(r"'(\w+Args)'", said)[:1]), "Sequence[" in said)
            for wire, name, said in inputs
        }
    return found


def sample(inputs: Mapping[str, tuple[str, bool]], area: str, depth: int = 0) -> dict[str, Any]:
    """Every input that the SDK knows, each block opened."""
    made: dict[str, Any] = {}
    for name, (block, several) in inputs.items():
        if not block or depth == 4:
            made[name] = UNKNOWN
            continue
        inner = sample(classes(SDK / area / "_inputs.py").get(block, {}), area, depth + 1)
        made[name] = [inner] if several else inner
    return made


@pytest.mark.parametrize("kind", [kind for kind, call in CALLS.items() if not call.no_call])
def test_every_input_of_the_sdk_is_mapped(kind: str) -> None:
    area, _, name = kind.partition("/")
    found = classes(SDK / area / f"{_snake(name)}.py")
    # The SDK calls the arguments of some classes otherwise, as another class has the name.
    (inputs,) = [
        each for class_, each in found.items() if class_.lower() in (f"{name}args".lower(), f"{name}initargs".lower())
    ]
    conversion = Conversion(CALLS[kind], NESTED)
    conversion.parameters(sample(inputs, area))
    assert [each for each in conversion.problems if each.partition(".")[0] not in UNMAPPED] == []


def test_the_types_are_the_sdks() -> None:
    registered = {
        Resource(type=token, name="x").kind
        for token in re.findall(r'"(aws:[^"]+:\w+)": "', (SDK / "__init__.py").read_text())
    }
    assert set(CALLS) - registered == set()


def test_every_pattern_of_these_services_is_understood() -> None:
    patterns = 0
    for name in sorted({call.service for call in CALLS.values()}):
        service = models.service(name)
        for shape_name in service.shape_names:
            pattern = service.shape_for(shape_name).metadata.get("pattern")
            if pattern is not None:
                models.compiled(pattern)
                patterns += 1
    assert patterns > 400


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        (r"[\w+=,.@-]+", "role", True),
        (r"[\w+=,.@-]+", "role two", False),
        (r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", "Größe 1: ok", True),
        (r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", "a#b", False),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a 😀", True),
        (r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*", "a\0", False),
        (r"^(?!\s*$).+", "x", True),
        (r"^(?![^:\\]*/action/|(?i).*<script>.*</script>.*)[^:\\]+$", "test", True),
        (r"^(?![^:\\]*/action/|(?i).*<script>.*</script>.*)[^:\\]+$", "<SCRIPT></script>", False),
    ],
)
def test_a_pattern_of_javas_is_read_as_aws_reads_it(pattern: str, text: str, fits: bool) -> None:
    assert models.matches(pattern, text) == fits


def test_without_botocore_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("botocore"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    models.service.cache_clear()
    models.operation.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(models.BotocoreMissingError, match="need botocore: pip install botocore"):
        judge("kms/key:Key")
    with pytest.raises(models.BotocoreMissingError, match="pip install botocore"):
        models.services()
