"""Every rule has a resource that breaks it and one that does not; what a preview does not know yet breaks none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import grpc
import pulumi
import pulumi_aws as aws
import pytest
import yaml
from aws_context import ACCOUNT, REGION, context, tags
from conftest import ROOT
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy import (
    EnforcementLevel,
    PolicyCustomTimeouts,
    PolicyResource,
    PolicyResourceOptions,
    ResourceValidationArgs,
    StackValidationArgs,
)
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy
from rich.console import Console

from stackwright.infra.aws.encryption_key import EncryptionKey, KeyArgs
from stackwright.policy import RULES, SEVERITIES, Resource, evaluate, statements
from stackwright.policy.pack import class_of, policies
from stackwright.policy.report import print_report, summary, to_json
from stackwright.policy.resources import UNKNOWN, is_taggable, plain
from stackwright.policy.rule import Rules
from stackwright.testing.recording import record

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
TAGS = tags("x")
Resources = Sequence[Resource]


def make(
    type_: str, called: str = "it", /, *, protect: bool = False, secrets: tuple[str, ...] = (), **inputs: Any
) -> Resource:
    return Resource(type=f"aws:{type_}", name=called, inputs=inputs, protect=protect, secrets=secrets)


def policy(*statements_: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements_)})


def allow(action: str | list[str], resource: str | list[str] | None = None, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action} | ({"Resource": resource} if resource else {}) | more


VPC = make("ec2/vpc:Vpc", "vpc", cidrBlock="10.0.0.0/16")
BUCKET = make("s3/bucket:Bucket", "data", bucket="test-data")
LB_GROUP = make("ec2/securityGroup:SecurityGroup", "lb-group", name="test-lb")
DB_GROUP = make("ec2/securityGroup:SecurityGroup", "db-group", name="test-db")
EDGE_GROUP = make("ec2/securityGroup:SecurityGroup", "edge-group", tags={"stackwright:tier": "edge"})
LB = make("lb/loadBalancer:LoadBalancer", "lb", name="test-lb", securityGroups=["lb-group-id"])
DB, CACHE, GROUP = "rds/instance:Instance", "elasticache/replicationGroup:ReplicationGroup", "autoscaling/group:Group"
TEMPLATE, INSTANCE, LISTENER = "ec2/launchTemplate:LaunchTemplate", "ec2/instance:Instance", "lb/listener:Listener"
TARGETS, CDN, LOG_GROUP = (
    "lb/targetGroup:TargetGroup",
    "cloudfront/distribution:Distribution",
    "cloudwatch/logGroup:LogGroup",
)
ROLE_POLICY, INGRESS = "iam/rolePolicy:RolePolicy", "vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ALARM, BUDGET, SECRET, KMS = (
    "cloudwatch/metricAlarm:MetricAlarm",
    "budgets/budget:Budget",
    "secretsmanager/secret:Secret",
    "kms/key:Key",
)


def of_bucket(what: str, **inputs: Any) -> Resource:
    class_ = f"bucket{what}"
    return make(f"s3/{class_}:{class_[0].upper()}{class_[1:]}", f"data-{what}", bucket="data-id", **inputs)


def sse(**default: Any) -> Resource:
    return of_bucket("ServerSideEncryptionConfiguration", rules=[{"applyServerSideEncryptionByDefault": default}])


def world(port: float | None, group: str = "lb-group-id", **more: Any) -> Resource:
    ports = {} if port is None else {"fromPort": port, "toPort": port}
    inputs = {"securityGroupId": group, "ipProtocol": "tcp", "cidrIpv4": "0.0.0.0/0", "description": "x", **ports}
    return make(INGRESS, "rule", **inputs | more)


def http(**action: Any) -> Resource:
    return make(LISTENER, protocol="HTTP", port=80.0, defaultActions=[action])


def behaviours(default: str, ordered: str) -> Resource:
    more = {"pathPattern": "/static/*", "viewerProtocolPolicy": ordered}
    return make(CDN, defaultCacheBehavior={"viewerProtocolPolicy": default}, orderedCacheBehaviors=[more])


def origin(policy_: str, *protocols: str) -> Resource:
    custom = {"originProtocolPolicy": policy_, "originSslProtocols": list(protocols)}
    return make(CDN, origins=[{"originId": "lb", "customOriginConfig": custom}])


def metadata(**options: Any) -> dict[str, Any]:
    return {"metadataOptions": options}


DENY_PLAIN = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": "arn:aws:s3:::test-data/*",
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
LOGS_WRITE = allow(
    "s3:PutObject", "arn:aws:s3:::test-data/*", Principal={"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
)
DISK = {"deviceName": "/dev/xvda", "ebs": {"encrypted": "true", "kmsKeyId": KEY}}
TOLD = {
    "notifications": [{"subscriberEmailAddresses": ["ops@example.org"]}],
    "limitAmount": "100",
    "timeUnit": "MONTHLY",
}
ALL_BLOCKS = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
RDS_GOOD = {
    "identifier": "test-db",
    "storageEncrypted": True,
    "kmsKeyId": KEY,
    "manageMasterUserPassword": True,
    "masterUserSecretKmsKeyId": KEY,
}
ROOT_TRUST = allow("sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"})
HTTPS = {"protocol": "HTTPS", "port": 443.0}
SPEC = [{"resourceType": each, "tags": TAGS} for each in ("instance", "volume")]

#: Rule -> (each breaks it, none breaks it); a case is a resource or a graph of several.
CASES: Mapping[str, tuple[Sequence[Resource | Resources], Sequence[Resource | Resources]]] = {
    "ebs-encrypted": (
        [
            make(TEMPLATE),
            make(TEMPLATE, blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"encrypted": "false"}}]),
            make(TEMPLATE, blockDeviceMappings=[{"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}]),
            make(INSTANCE),
            make(INSTANCE, rootBlockDevice={"encrypted": True}),
            make("ebs/volume:Volume", size=10.0),
        ],
        [
            make(TEMPLATE, blockDeviceMappings=[DISK]),
            make(INSTANCE, launchTemplate={"id": "x"}),
            make(INSTANCE, rootBlockDevice={"encrypted": True, "kmsKeyId": KEY}),
            make(INSTANCE, rootBlockDevice={"encrypted": True, "kmsKeyId": UNKNOWN}),
            make("ebs/volume:Volume", encrypted=True, kmsKeyId=KEY),
        ],
    ),
    "rds-encrypted": (
        [
            make(DB),
            make(DB, storageEncrypted=True),
            make(DB, **RDS_GOOD | {"masterUserSecretKmsKeyId": None}),
            make(DB, **RDS_GOOD, performanceInsightsEnabled=True),
            make(DB, replicateSourceDb=f"arn:aws:rds:{REGION}:{ACCOUNT}:db:test-db"),
        ],
        [
            make(DB, **RDS_GOOD),
            make(DB, replicateSourceDb="test-db"),
            make(DB, replicateSourceDb=f"arn:aws:rds:{REGION}:{ACCOUNT}:db:test-db", kmsKeyId=KEY),
        ],
    ),
    "cache-encrypted": (
        [make(CACHE), make(CACHE, atRestEncryptionEnabled=True)],
        [make(CACHE, atRestEncryptionEnabled=True, kmsKeyId=KEY)],
    ),
    "s3-encrypted": (
        [BUCKET, [BUCKET, sse(sseAlgorithm="AES256")], [BUCKET, sse(sseAlgorithm="aws:kms")]],
        [
            [BUCKET, sse(sseAlgorithm="aws:kms", kmsMasterKeyId=KEY)],
            [BUCKET, sse(sseAlgorithm="AES256"), of_bucket("Policy", policy=policy(LOGS_WRITE))],
        ],
    ),
    "sns-encrypted": (
        [make("sns/topic:Topic"), make("sns/topic:Topic", kmsMasterKeyId="alias/aws/sns")],
        [make("sns/topic:Topic", kmsMasterKeyId=KEY)],
    ),
    "log-group-encrypted": ([make(LOG_GROUP)], [make(LOG_GROUP, kmsKeyId=KEY)]),
    "secret-encrypted": ([make(SECRET)], [make(SECRET, kmsKeyId=UNKNOWN)]),
    "parameter-encrypted": (
        [make("ssm/parameter:Parameter", type="SecureString")],
        [
            make("ssm/parameter:Parameter", type="String"),
            make("ssm/parameter:Parameter", type="SecureString", keyId=KEY),
        ],
    ),
    "backup-vault-encrypted": ([make("backup/vault:Vault")], [make("backup/vault:Vault", kmsKeyArn=KEY)]),
    "kms-rotation": (
        [make(KMS), make(KMS, enableKeyRotation=False)],
        [make(KMS, enableKeyRotation=True), make(KMS, customerMasterKeySpec="RSA_2048")],
    ),
    "rds-force-ssl": (
        [
            make("rds/parameterGroup:ParameterGroup", family="postgres17"),
            make(
                "rds/parameterGroup:ParameterGroup",
                family="postgres17",
                parameters=[{"name": "rds.force_ssl", "value": "0"}],
            ),
        ],
        [
            make(
                "rds/parameterGroup:ParameterGroup",
                family="postgres17",
                parameters=[{"name": "rds.force_ssl", "value": "1"}],
            ),
            make("rds/parameterGroup:ParameterGroup", family="mysql8.0"),
        ],
    ),
    "rds-own-parameters": (
        [make(DB), make(DB, parameterGroupName="default.postgres14")],
        [make(DB, parameterGroupName="test-parameters"), make(DB, parameterGroupName=UNKNOWN)],
    ),
    "cache-transit": (
        [make(CACHE), make(CACHE, transitEncryptionEnabled=True, transitEncryptionMode="preferred")],
        [make(CACHE, transitEncryptionEnabled=True, transitEncryptionMode="required")],
    ),
    "cache-login": ([make(CACHE), make(CACHE, userGroupIds=[])], [make(CACHE, userGroupIds=["x"])]),
    "load-balancer-https": (
        [
            http(type="forward", targetGroupArn="x"),
            http(type="redirect", redirect={"protocol": "HTTP"}),
            make(LISTENER, **HTTPS),
        ],
        [http(type="redirect", redirect={"protocol": "HTTPS"}), make(LISTENER, **HTTPS, certificateArn="x")],
    ),
    "load-balancer-tls": (
        [
            make(LISTENER, **HTTPS),
            make(LISTENER, **HTTPS, sslPolicy="ELBSecurityPolicy-2016-08"),
            make(LISTENER, **HTTPS, sslPolicy="ELBSecurityPolicy-TLS13-1-0-2021-06"),
            make(LISTENER, protocol="TLS", sslPolicy="ELBSecurityPolicy-TLS-1-1-2017-01"),
        ],
        [
            make(LISTENER, **HTTPS, sslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-2021-06"),
            make(LISTENER, **HTTPS, sslPolicy="ELBSecurityPolicy-TLS13-1-3-2021-06"),
            make(LISTENER, **HTTPS, sslPolicy="ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"),
            make(LISTENER, **HTTPS, sslPolicy=UNKNOWN),
            make(LISTENER, protocol="TCP"),
        ],
    ),
    "target-tls": ([make(TARGETS, protocol="HTTP")], [make(TARGETS, protocol="HTTPS"), make(TARGETS, protocol="TCP")]),
    "s3-tls-only": (
        [
            BUCKET,
            [BUCKET, of_bucket("Policy", policy=policy(LOGS_WRITE))],
            [BUCKET, of_bucket("Policy", policy=policy(DENY_PLAIN | {"Action": "s3:GetObject"}))],
            [
                BUCKET,
                of_bucket(
                    "Policy",
                    policy=policy(
                        DENY_PLAIN
                        | {"Condition": {**DENY_PLAIN["Condition"], "StringEquals": {"aws:PrincipalAccount": ACCOUNT}}}
                    ),
                ),
            ],
        ],
        [[BUCKET, of_bucket("Policy", policy=policy(DENY_PLAIN))], [BUCKET, of_bucket("Policy", policy=UNKNOWN)]],
    ),
    "cdn-https": (
        [behaviours("allow-all", "https-only"), behaviours("https-only", "allow-all")],
        [behaviours("redirect-to-https", "https-only")],
    ),
    "cdn-tls": (
        [
            make(CDN),
            make(CDN, viewerCertificate={"cloudfrontDefaultCertificate": True}),
            make(CDN, viewerCertificate={"minimumProtocolVersion": "TLSv1.2_2019"}),
        ],
        [
            make(CDN, viewerCertificate={"minimumProtocolVersion": "TLSv1.2_2021"}),
            make(CDN, viewerCertificate={"minimumProtocolVersion": "TLSv1.3_2025"}),
        ],
    ),
    "cdn-origin-tls": (
        [origin("match-viewer", "TLSv1.2"), origin("https-only", "TLSv1.2", "TLSv1")],
        [
            origin("https-only", "TLSv1.2"),
            make(CDN, origins=[{"originId": "x", "vpcOriginConfig": {"vpcOriginId": "x"}}]),
        ],
    ),
    "load-balancer-requests": (
        [make(LB.type[4:]), make(LB.type[4:], dropInvalidHeaderFields=True, desyncMitigationMode="monitor")],
        [make(LB.type[4:], dropInvalidHeaderFields=True), make(LB.type[4:], loadBalancerType="network")],
    ),
    "s3-public-access-block": (
        [BUCKET, [BUCKET, of_bucket("PublicAccessBlock", **ALL_BLOCKS | {"blockPublicAcls": False})]],
        [[BUCKET, of_bucket("PublicAccessBlock", **ALL_BLOCKS)]],
    ),
    "s3-no-acls": (
        [BUCKET, [BUCKET, of_bucket("OwnershipControls", rule={"objectOwnership": "ObjectWriter"})]],
        [[BUCKET, of_bucket("OwnershipControls", rule={"objectOwnership": "BucketOwnerEnforced"})]],
    ),
    "rds-not-public": ([make(DB, publiclyAccessible=True)], [make(DB), make(DB, publiclyAccessible=False)]),
    "instance-not-public": (
        [
            make(INSTANCE, associatePublicIpAddress=True),
            make(TEMPLATE, networkInterfaces=[{"associatePublicIpAddress": "true"}]),
        ],
        [make(INSTANCE), make(TEMPLATE, networkInterfaces=[{"associatePublicIpAddress": "false"}])],
    ),
    "subnet-no-public-addresses": (
        [make("ec2/subnet:Subnet", mapPublicIpOnLaunch=True)],
        [make("ec2/subnet:Subnet", mapPublicIpOnLaunch=False)],
    ),
    "snapshot-not-public": (
        [
            make("ec2/snapshotCreateVolumePermission:SnapshotCreateVolumePermission", accountId="all"),
            make("ec2/amiLaunchPermission:AmiLaunchPermission", group="all"),
            make("rds/snapshot:Snapshot", sharedAccounts=["all"]),
        ],
        [make("rds/snapshot:Snapshot", sharedAccounts=[ACCOUNT])],
    ),
    "policy-not-public": (
        [
            of_bucket("Policy", policy=policy(allow("s3:GetObject", "x", Principal="*"))),
            of_bucket("Policy", policy=policy(allow("s3:GetObject", "x", Principal={"AWS": ["*"]}))),
            make(
                "sns/topicPolicy:TopicPolicy",
                policy=policy(
                    allow("sns:Publish", "x", Principal="*", Condition={"Bool": {"aws:SecureTransport": "true"}})
                ),
            ),
            make(
                KMS,
                policy=policy(
                    allow("kms:Decrypt", "*", Principal="*", Condition={"StringLike": {"aws:PrincipalArn": "*"}})
                ),
            ),
        ],
        [
            of_bucket("Policy", policy=policy(DENY_PLAIN)),
            make(
                KMS,
                policy=policy(
                    allow("kms:Decrypt", "*", Principal="*", Condition={"StringEquals": {"kms:CallerAccount": ACCOUNT}})
                ),
            ),
        ],
    ),
    "imdsv2": (
        [
            make(TEMPLATE),
            make(INSTANCE),
            make(TEMPLATE, **metadata(httpTokens="optional", httpPutResponseHopLimit=1.0)),
            make(TEMPLATE, **metadata(httpTokens="required", httpPutResponseHopLimit=2.0)),
        ],
        [
            make(TEMPLATE, **metadata(httpTokens="required", httpPutResponseHopLimit=1.0)),
            make(INSTANCE, launchTemplate={"id": "x"}),
        ],
    ),
    "open-to-the-world": (
        [
            [LB, LB_GROUP, world(22.0)],
            [LB, LB_GROUP, world(5432.0)],
            [LB, LB_GROUP, world(8080.0)],
            [LB, LB_GROUP, world(443.0, toPort=445.0)],
            [LB, LB_GROUP, world(None, ipProtocol="-1")],
            [LB, LB_GROUP, DB_GROUP, world(443.0, "db-group-id")],
            [EDGE_GROUP, world(22.0, "edge-group-id")],
            [LB, LB_GROUP, world(6379.0, cidrIpv4=None, cidrIpv6="::/0")],
            make(
                "ec2/securityGroupRule:SecurityGroupRule",
                type="ingress",
                cidrBlocks=["0.0.0.0/0"],
                fromPort=0.0,
                toPort=0.0,
                protocol="-1",
            ),
        ],
        [
            [LB, LB_GROUP, world(443.0), world(80.0, cidrIpv4=None, cidrIpv6="::/0")],
            [LB, DB_GROUP, world(5432.0, "db-group-id", cidrIpv4="10.0.0.0/16")],
            [EDGE_GROUP, world(443.0, "edge-group-id")],
        ],
    ),
    "no-open-inline-rule": (
        [make("ec2/securityGroup:SecurityGroup", ingress=[{"cidrBlocks": ["0.0.0.0/0"], "fromPort": 443.0}])],
        [make("ec2/securityGroup:SecurityGroup", ingress=[{"cidrBlocks": ["10.0.0.0/16"]}]), DB_GROUP],
    ),
    "no-inline-rules": ([make("ec2/securityGroup:SecurityGroup", egress=[{"protocol": "-1"}])], [DB_GROUP]),
    "rule-has-reason": (
        [make(INGRESS, cidrIpv4="10.0.0.0/16"), make(INGRESS, description="why")],
        [
            make(INGRESS, description="why", referencedSecurityGroupId="x"),
            make(INGRESS, description="why", prefixListId="x"),
        ],
    ),
    "no-open-egress": (
        [make("vpc/securityGroupEgressRule:SecurityGroupEgressRule", ipProtocol="-1", cidrIpv4="0.0.0.0/0")],
        [
            make(
                "vpc/securityGroupEgressRule:SecurityGroupEgressRule",
                ipProtocol="tcp",
                cidrIpv4="0.0.0.0/0",
                fromPort=443.0,
            )
        ],
    ),
    "default-security-group-closed": (
        [VPC, [VPC, make("ec2/defaultSecurityGroup:DefaultSecurityGroup", vpcId="vpc-id", ingress=[{"self": True}])]],
        [[VPC, make("ec2/defaultSecurityGroup:DefaultSecurityGroup", vpcId="vpc-id")]],
    ),
    "deletion-protection": (
        [make(DB), LB],
        [make(DB, deletionProtection=True), make(LB.type[4:], enableDeletionProtection=True)],
    ),
    "protected-by-pulumi": (
        [make(DB), BUCKET, make(KMS), make(CACHE, snapshotRetentionLimit=7.0)],
        [make(DB, protect=True), make(DB, replicateSourceDb="x"), make(CACHE), make(KMS, protect=True)],
    ),
    "no-force-destroy": ([make("s3/bucket:Bucket", forceDestroy=True)], [BUCKET]),
    "final-snapshot": (
        [
            make(DB),
            make(DB, skipFinalSnapshot=True, finalSnapshotIdentifier="x"),
            make(CACHE, snapshotRetentionLimit=7.0),
        ],
        [make(DB, finalSnapshotIdentifier="x"), make(DB, replicateSourceDb="x", skipFinalSnapshot=True), make(CACHE)],
    ),
    "backup-retention": (
        [
            make(DB),
            make(DB, backupRetentionPeriod=3.0, deleteAutomatedBackups=False),
            make(DB, backupRetentionPeriod=14.0),
        ],
        [make(DB, backupRetentionPeriod=7.0, deleteAutomatedBackups=False), make(DB, replicateSourceDb="x")],
    ),
    "multi-az": (
        [make(DB), make(CACHE, automaticFailoverEnabled=True)],
        [make(DB, multiAz=True), make(CACHE, automaticFailoverEnabled=True, multiAzEnabled=True)],
    ),
    "several-zones": (
        [
            make(GROUP, vpcZoneIdentifiers=["a"]),
            make(LB.type[4:], subnets=["a"]),
            make(LB.type[4:], subnetMappings=[{}]),
        ],
        [make(GROUP, vpcZoneIdentifiers=["a", "b"]), make(LB.type[4:], subnets=["a", "b"])],
    ),
    "s3-versioning": (
        [BUCKET, [BUCKET, of_bucket("Versioning", versioningConfiguration={"status": "Suspended"})]],
        [[BUCKET, of_bucket("Versioning", versioningConfiguration={"status": "Enabled"})]],
    ),
    "s3-lifecycle": ([BUCKET], [[BUCKET, of_bucket("LifecycleConfiguration", rules=[])]]),
    "recovery-window": (
        [make(KMS, deletionWindowInDays=7.0), make(SECRET, recoveryWindowInDays=0.0)],
        [make(KMS, deletionWindowInDays=30.0), make(SECRET), make(SECRET, recoveryWindowInDays=30.0)],
    ),
    "automatic-upgrades": (
        [make(DB, autoMinorVersionUpgrade=False)],
        [make(DB), make(CACHE, autoMinorVersionUpgrade=True)],
    ),
    "snapshot-tags": ([make(DB)], [make(DB, copyTagsToSnapshot=True)]),
    "no-wildcard-action": (
        [
            make(ROLE_POLICY, policy=policy(allow("s3:*", "x"))),
            make(ROLE_POLICY, policy=policy(allow(["s3:GetObject", "s3:Put*"], "x"))),
            make("iam/policy:Policy", policy=policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": "x"})),
            make(ROLE_POLICY, policy={"Statement": [allow("s3:*", "x")]}),
            make("iam/role:Role", inlinePolicies=[{"name": "x", "policy": policy(allow("*", "x"))}]),
            make(KMS, policy=policy(allow("kms:*", "*", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}))),
        ],
        [make(ROLE_POLICY, policy=policy(allow("s3:GetObject", "x"), DENY_PLAIN)), make(ROLE_POLICY, policy=UNKNOWN)],
    ),
    "no-wildcard-resource": (
        [
            make(ROLE_POLICY, policy=policy(allow(["ec2:DescribeInstances", "s3:GetObject"], "*"))),
            make(ROLE_POLICY, policy=policy({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "x"})),
        ],
        [
            make(ROLE_POLICY, policy=policy(allow(["ssmmessages:OpenDataChannel", "ec2:DescribeInstances"], "*"))),
            make(ROLE_POLICY, policy=policy(allow("s3:GetObject", "arn:aws:s3:::x/*"))),
        ],
    ),
    "no-administrators": (
        [
            make(
                "iam/rolePolicyAttachment:RolePolicyAttachment", policyArn="arn:aws:iam::aws:policy/AdministratorAccess"
            )
        ],
        [
            make(
                "iam/rolePolicyAttachment:RolePolicyAttachment",
                policyArn="arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
            )
        ],
    ),
    "trust-is-named": (
        [make("iam/role:Role", assumeRolePolicy=policy(allow("sts:AssumeRole", Principal={"AWS": "*"})))],
        [make("iam/role:Role", assumeRolePolicy=policy(ROOT_TRUST))],
    ),
    "no-long-lived-keys": ([make("iam/user:User"), make("iam/accessKey:AccessKey")], [make("iam/role:Role")]),
    "no-secret-value": (
        [
            make(DB, password="x"),
            make(DB, password="x", secrets=("password",)),
            make(DB, passwordWo="x"),
            make("ssm/parameter:Parameter", type="SecureString", value="x"),
            make(TEMPLATE, userData="export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE"),
            make(TEMPLATE, userData="-----BEGIN OPENSSH PRIVATE KEY-----"),
            make(INSTANCE, tags={"Url": "postgresql://app:hunter22@db/app"}),
            make(INSTANCE, tags={"Note": "password=correcthorse"}),
        ],
        [
            make(DB, passwordWo="x", secrets=("passwordWo",)),
            make(DB, manageMasterUserPassword=True),
            make(TEMPLATE, userData="url: https://example.org/x\npassword: ${password}"),
            make(SECRET, name="test/app/password"),
        ],
    ),
    "managed-master-password": (
        [make(DB)],
        [make(DB, manageMasterUserPassword=True), make(DB, replicateSourceDb="x")],
    ),
    "flow-logs": (
        [VPC, [VPC, make("ec2/flowLog:FlowLog", vpcId="vpc-id", trafficType="ACCEPT")]],
        [[VPC, make("ec2/flowLog:FlowLog", vpcId="vpc-id", trafficType="ALL")]],
    ),
    "log-retention": ([make(LOG_GROUP), make(LOG_GROUP, retentionInDays=0.0)], [make(LOG_GROUP, retentionInDays=30.0)]),
    "load-balancer-logs": ([LB], [make(LB.type[4:], accessLogs={"enabled": True, "bucket": "x"})]),
    "cdn-logs": (
        [make(CDN)],
        [
            make(CDN, loggingConfig={"bucket": "x"}),
            [
                make(CDN, "cdn"),
                make(
                    "cloudwatch/logDeliverySource:LogDeliverySource",
                    resourceArn="arn:aws:cloudfront::1:distribution/cdn-id",
                ),
            ],
        ],
    ),
    "web-firewall": (
        [LB, make(CDN)],
        [
            make(LB.type[4:], internal=True),
            make(LB.type[4:], loadBalancerType="network"),
            make(CDN, webAclId="x"),
            [LB, make(CDN, webAclId="x")],
            [LB, make("wafv2/webAclAssociation:WebAclAssociation", resourceArn="lb-id")],
        ],
    ),
    "web-firewall-logs": (
        [make("wafv2/webAcl:WebAcl")],
        [
            [
                make("wafv2/webAcl:WebAcl", "acl"),
                make("wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration", resourceArn="acl-id"),
            ]
        ],
    ),
    "database-logs": ([make(DB)], [make(DB, enabledCloudwatchLogsExports=["postgresql", "upgrade"])]),
    "database-monitoring": (
        [make(DB), make(DB, monitoringInterval=60.0)],
        [make(DB, monitoringInterval=60.0, performanceInsightsEnabled=True)],
    ),
    "alarm-per-component": (
        [
            make(DB, "db"),
            [make(DB, "db"), make(DB, "other"), make(ALARM, dimensions={"DBInstanceIdentifier": "db-id"})],
            make(GROUP),
            make(CACHE),
        ],
        [
            [make(DB, "db"), make(ALARM, dimensions={"DBInstanceIdentifier": "db-id"})],
            [
                make(CACHE, replicationGroupId="test-store"),
                make(ALARM, dimensions={"CacheClusterId": "test-store-001"}),
            ],
            [
                LB,
                make(ALARM, metricQueries=[{"id": "m", "metric": {"dimensions": {"LoadBalancer": "app/test-lb/123"}}}]),
            ],
        ],
    ),
    "alarm-is-heard": (
        [make(ALARM), make(ALARM, alarmActions=["x"], actionsEnabled=False)],
        [make(ALARM, alarmActions=["x"])],
    ),
    "tags": (
        [make(DB), make(DB, tags={"Name": "x"}), make(GROUP, tags=[{"key": "Name", "value": "x"}])],
        [
            make(DB, tags=TAGS),
            make(GROUP, tags=[{"key": key, "value": value} for key, value in TAGS.items()]),
            of_bucket("Policy", policy=policy(DENY_PLAIN)),
        ],
    ),
    "launched-things-have-tags": (
        [
            make(TEMPLATE),
            make(TEMPLATE, tagSpecifications=SPEC[:1]),
            make(GROUP, tags=[{"key": "Name", "value": "x", "propagateAtLaunch": False}]),
        ],
        [
            make(TEMPLATE, tagSpecifications=SPEC),
            make(GROUP, tags=[{"key": "Name", "value": "x", "propagateAtLaunch": True}]),
        ],
    ),
    "budget": (
        [VPC, [VPC, make(BUDGET, limitAmount="100")]],
        [[VPC, make(BUDGET, **TOLD)], Resource(type="stackwright:local:Host", name="x")],
    ),
    "cost-within-budget": ([make(BUDGET, **TOLD)], [make(BUDGET, **TOLD | {"limitAmount": "500"}), VPC]),
}


def found(rule: str, case: Resource | Resources, environment_class: str = "production") -> list[str]:
    resources = [case] if isinstance(case, Resource) else list(case)
    return [each.message for each in evaluate(resources, environment_class, monthly_usd=200.0) if each.rule == rule]


def test_every_rule_has_its_cases() -> None:
    assert set(CASES) == set(RULES)
    assert all(bad and good for bad, good in CASES.values())


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_finds_what_breaks_it_and_nothing_else(rule: str) -> None:
    bad, good = CASES[rule]
    unseen = [position for position, case in enumerate(bad) if not found(rule, case)]
    wrongly = {position: found(rule, case) for position, case in enumerate(good) if found(rule, case)}
    assert (unseen, wrongly) == ([], {})


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_says_what_why_and_what_to_do(rule: str) -> None:
    it = RULES[rule]
    assert it.severity in SEVERITIES
    assert it.description.endswith(".")
    assert it.remediation
    assert (it.check is None) != (it.check_graph is None)
    assert all(kind.count("/") == 1 for kind in it.kinds)


FORGIVEN = {
    "deletion-protection",
    "protected-by-pulumi",
    "no-force-destroy",
    "final-snapshot",
    "multi-az",
    "several-zones",
    "recovery-window",
    "web-firewall",
    "database-monitoring",
    "alarm-per-component",
}


def test_development_may_lose_its_data_and_nothing_more() -> None:
    forgiven = {rule for rule, (bad, _) in CASES.items() if not any(found(rule, case, "development") for case in bad)}
    assert forgiven == FORGIVEN


def test_staging_keeps_its_data_in_one_zone() -> None:
    forgiven = {rule for rule, (bad, _) in CASES.items() if not any(found(rule, case, "staging") for case in bad)}
    assert forgiven == {"multi-az", "several-zones", "web-firewall", "database-monitoring"}


@pytest.mark.parametrize(("environment_class", "days", "breaks"), [("development", 1.0, False), ("staging", 6.0, True)])
def test_backups_are_kept_as_long_as_the_class_asks(environment_class: str, days: float, breaks: bool) -> None:
    database = make(DB, backupRetentionPeriod=days, deleteAutomatedBackups=False)
    assert bool(found("backup-retention", database, environment_class)) == breaks


#: (rule, message) of rules that want to know before anything is made.
STRICT: set[tuple[str, str]] = set()


def unknown(case: Resource) -> Resource:
    return Resource(
        type=case.type, name=case.name, inputs=dict.fromkeys(case.inputs, UNKNOWN), protect=True, secrets=case.secrets
    )


def test_a_preview_that_knows_nothing_yet_breaks_no_rule_about_values() -> None:
    """Each good case with every value unknown: what is given counts as given, and nothing raises."""
    broken = {
        (rule, message)
        for rule, (_, good) in CASES.items()
        for case in good
        for message in found(rule, [unknown(each) for each in ([case] if isinstance(case, Resource) else case)])
    }
    assert broken == STRICT


def test_nothing_is_found_in_nothing() -> None:
    assert evaluate([], "production") == []


def test_a_class_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="environment_class is 'prod', accepted: development, staging, production"):
        evaluate([], "prod")


def test_violations_come_worst_first_with_reference_and_fix() -> None:
    violations = evaluate([make(DB, "db", publiclyAccessible=True)], "production")
    order = [SEVERITIES.index(each.severity) for each in violations]
    assert order == sorted(order)
    (public,) = [each for each in violations if each.rule == "rds-not-public"]
    assert (public.severity, public.resource) == ("critical", "db")
    assert public.reference == "AWS FSBP RDS.2; CIS AWS 3.0.0 2.3.3"
    assert public.remediation == "leave publiclyAccessible off and use isolated subnets"


def test_a_recorded_program_is_judged() -> None:
    def program() -> None:
        aws.s3.Bucket("logs", bucket="test-logs", tags=TAGS)
        EncryptionKey("key", KeyArgs(context=context(), purpose="data", services=["rds", "logs", "autoscaling"]))

    violations = evaluate(record(program, stack="test").resources, "production")
    assert {(each.rule, each.resource) for each in violations if each.severity == "critical"} == {
        ("s3-public-access-block", "logs")
    }
    assert not [each for each in violations if each.resource.startswith("key")]


def test_a_recorded_preview_is_judged() -> None:
    def program() -> None:
        key = aws.kms.Key("key", enable_key_rotation=True)
        aws.cloudwatch.LogGroup("log", kms_key_id=key.arn, retention_in_days=30)

    recording = record(program, stack="test", preview=True)
    rules = {each.rule for each in evaluate(recording.resources, "development") if each.resource == "log"}
    assert rules == {"tags"} | ({"log-group-encrypted"} if "kmsKeyId" not in recording.named("log").inputs else set())


def test_secrets_may_stand_where_the_state_does_not_keep_them() -> None:
    def program() -> None:
        aws.secretsmanager.SecretVersion("version", secret_id="x", secret_string_wo=pulumi.Output.secret("hunter2"))

    assert "no-secret-value" not in {each.rule for each in evaluate(record(program, stack="t").resources, "production")}


def test_both_spellings_of_a_resource_are_the_same() -> None:
    assert make("alb/listener:Listener").kind == make(LISTENER).kind == "lb/listener"
    assert make("s3/bucketVersioningV2:BucketVersioningV2").kind == "s3/bucketVersioning"


def test_what_takes_tags_is_known_from_the_sdk() -> None:
    taggable = {
        type_: is_taggable(f"aws:{type_}") for type_ in (DB, GROUP, INGRESS, ROLE_POLICY, "ec2/route:Route", KMS)
    }
    assert taggable == {DB: True, GROUP: True, INGRESS: True, ROLE_POLICY: False, "ec2/route:Route": False, KMS: True}


def test_a_policy_that_is_no_policy_is_told() -> None:
    with pytest.raises(ValueError, match="a policy is a JSON object, not"):
        statements.parse("[]")


def test_a_rule_cannot_be_there_twice() -> None:
    rules = Rules()

    def check(resource: Resource, settings: Any) -> Any:
        """Say nothing."""

    rules.resource("x", "low", fix="y")(check)
    with pytest.raises(ValueError, match="rule 'x': twice"):
        rules.resource("x", "low", fix="y")(check)
    with pytest.raises(ValueError, match="of unknown severity"):
        rules.resource("z", "bad", fix="y")(check)


def test_the_report_for_people() -> None:
    console = Console(file=StringIO(), width=400)
    violations = evaluate([make(DB, "db[1]", publiclyAccessible=True)], "production")
    print_report(console, violations)
    text = console.file.getvalue()
    assert "rds-not-public" in text
    assert "db[1]" in text
    assert "(the stack)" in text
    assert "references from memory, unverified" in text.replace("\n", " ")
    assert summary(violations) in text
    assert summary([]) == f"{len(RULES)} rules, no violation"


def test_the_report_for_programs() -> None:
    violations = evaluate([make(DB, "db", publiclyAccessible=True)], "production")
    document = json.loads(to_json(violations))
    assert document["rules"] == len(RULES)
    assert sum(document["counts"].values()) == len(document["violations"]) == len(violations)
    assert document["violations"][0]["severity"] == "critical"
    assert set(document["violations"][0]) == {"rule", "severity", "resource", "message", "reference", "remediation"}


# The same rules as Pulumi's policies.

OPTIONS = {
    "ignore_changes": [],
    "delete_before_replace": None,
    "aliases": [],
    "custom_timeouts": PolicyCustomTimeouts(0, 0, 0),
    "additional_secret_outputs": [],
}


def validate(policy_name: str, resources: Resources, **more: Any) -> list[tuple[str, str | None]]:
    """What a policy reports when the engine calls it."""
    (it,) = [each for each in policies(**more) if each.name == policy_name]
    reported: list[tuple[str, str | None]] = []

    def report(message: str, urn: str | None = None) -> None:
        reported.append((message, urn))

    handed = []
    for each in resources:
        options = PolicyResourceOptions(protect=each.protect, **OPTIONS)
        props = unknown_checking_proxy(dict(each.inputs))
        if RULES[policy_name].check:
            it.validate(ResourceValidationArgs(each.type, props, f"urn:{each.name}", each.name, options, None), report)
        handed.append(PolicyResource(each.type, props, f"urn:{each.name}", each.name, options, None, None, [], {}))
    if RULES[policy_name].check_graph:
        it.validate(StackValidationArgs(handed), report)
    return reported


def test_the_pack_is_served() -> None:
    folder = ROOT / "pulumi" / "policy"
    # -u, as the engine starts it: a pack does not flush the line that names its port.
    with subprocess.Popen([sys.executable, "-u", str(folder)], stdout=subprocess.PIPE, text=True) as served:
        try:
            assert served.stdout is not None
            port = int(served.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                info = analyzer_pb2_grpc.AnalyzerStub(channel).GetAnalyzerInfo(empty_pb2.Empty(), timeout=20)
        finally:
            served.kill()
    assert (info.name, {each.name for each in info.policies}) == ("stackwright-aws", set(RULES))


def test_each_rule_is_a_policy() -> None:
    made = {each.name: each for each in policies()}
    assert set(made) == set(RULES)
    for name, rule in RULES.items():
        assert made[name].severity is not None
        assert made[name].severity.value == rule.severity
        mandatory = made[name].enforcement_level is EnforcementLevel.MANDATORY
        assert mandatory == (rule.severity in ("critical", "high"))


#: What the engine does not tell a policy: which inputs are secret.
NOT_IN_A_PACK = {"no-secret-value": 1}


@pytest.mark.parametrize("rule", RULES)
def test_a_policy_says_what_the_rule_says(rule: str) -> None:
    bad, good = CASES[rule]
    more: dict[str, Any] = {"estimate": lambda graph: 200.0}
    silent = [case for case in bad if not validate(rule, [case] if isinstance(case, Resource) else case, **more)]
    assert len(silent) == NOT_IN_A_PACK.get(rule, 0)
    for case in good:
        resources = [case] if isinstance(case, Resource) else case
        if not any(UNKNOWN in each.inputs.values() for each in resources):
            assert validate(rule, resources, **more) == []


def test_a_policy_takes_an_unknown_value_for_given() -> None:
    assert validate("log-group-encrypted", [make(LOG_GROUP, kmsKeyId=UNKNOWN_STRING_VALUE)]) == []
    assert plain(unknown_checking_proxy({"a": [{"b": UNKNOWN_STRING_VALUE}, UNKNOWN_STRING_VALUE]})) == {
        "a": [{"b": UNKNOWN}, UNKNOWN]
    }


def test_a_policy_reads_the_class_from_the_tags() -> None:
    assert validate("multi-az", [make(DB, tags=tags("x", "staging"))]) == []
    assert validate("multi-az", [make(DB)]) == [("multiAz is off", None)]
    assert class_of([make(DB, tags=tags("x", "development")), make(KMS), VPC]) == "development"


def test_a_policy_of_the_stack_names_the_resource() -> None:
    assert validate("s3-versioning", [BUCKET]) == [("versioning is not enabled", "urn:data")]
    assert validate("budget", [VPC]) == [("the stack has no budget", None)]


def test_the_pack_is_one_line_and_is_described() -> None:
    folder = ROOT / "pulumi" / "policy"
    assert yaml.safe_load((folder / "PulumiPolicy.yaml").read_text())["runtime"]["name"] == "python"
    assert "policies=policies()" in (folder / "__main__.py").read_text()
    assert not (folder / "__init__.py").exists()
