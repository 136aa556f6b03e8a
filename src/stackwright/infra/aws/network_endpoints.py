"""VPC endpoints: how hosts reach AWS services without the Internet, and what may leave the network through them."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context
from stackwright.infra.aws.network_checks import GATEWAY

#: What backups, artifacts, logs and uploads need; no action changes a bucket.
_OWN_ACTIONS = (
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetBucketLocation",
    "s3:GetObject",
    "s3:GetObjectTagging",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListBucketVersions",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
    "s3:PutObjectTagging",
)
#: AWS buckets that the SSM agent, Patch Manager and the CloudWatch agent download from: "SSM Agent communications with
#: AWS managed S3 buckets" in the guide of Systems Manager, as remembered in 2026-11, unverified against an account.
_AWS_BUCKETS = (
    "amazon-ssm-{region}",
    "amazon-ssm-packages-{region}",
    "amazoncloudwatch-agent-{region}",
    "aws-ssm-{region}",
    "aws-ssm-document-attachments-{region}",
    "aws-windows-downloads-{region}",
    "patch-baseline-snapshot-{region}",
    "{region}-birdwatcher-prod",
)
#: Bucket in which ECR stores the layers of every image (user guide of ECR, "Amazon ECR interface VPC endpoints").
_ECR_BUCKET = "prod-{region}-starport-layer-bucket"


def s3_policy(context: Context, services: Sequence[str], readable_buckets: Sequence[str]) -> dict[str, Any]:
    """Return the policy of the gateway to S3: it allows the environment's own buckets, and downloads from named ones.

    A compromised host cannot copy anything to a bucket of another owner, whichever credentials it was given.
    """
    amazons = (*_AWS_BUCKETS, _ECR_BUCKET) if "ecr.dkr" in services else _AWS_BUCKETS
    downloads = [bucket.format(region=context.region) for bucket in amazons]
    buckets_arn = _bucket_arn(context, f"{context.environment}-*")
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OwnBuckets",
                "Effect": "Allow",
                # The policy of a gateway knows no other principal; the conditions restrict it to the account.
                "Principal": "*",
                "Action": list(_OWN_ACTIONS),
                "Resource": [buckets_arn, f"{buckets_arn}/*"],
                "Condition": {
                    "StringEquals": {"aws:ResourceAccount": context.account, "aws:PrincipalAccount": context.account}
                },
            },
            {
                "Sid": "Downloads",
                "Effect": "Allow",
                # Downloads are unsigned or signed by an instance: these buckets are public.
                "Principal": "*",
                "Action": ["s3:GetObject"],
                "Resource": [f"{_bucket_arn(context, bucket)}/*" for bucket in (*downloads, *readable_buckets)],
            },
        ],
    }


def _bucket_arn(context: Context, bucket: str) -> str:
    return context.arn("s3", bucket, region="", account="")


@dataclass(frozen=True, kw_only=True)
class NetworkEndpointsArgs:
    """The services to reach, and the network they are reached from."""

    context: Context
    vpc_id: pulumi.Input[str]
    #: CIDR of the VPC that may connect.
    cidr: str
    #: One per zone.
    subnet_ids: Sequence[pulumi.Input[str]]
    #: Route tables that get the route to S3.
    route_table_ids: Sequence[pulumi.Input[str]]
    #: Services from `network_checks.SERVICES`.
    services: Sequence[str]
    readable_buckets: Sequence[str]


class NetworkEndpoints(pulumi.ComponentResource):
    """A gateway endpoint for S3 with a policy, and an interface endpoint in each zone for every other service.

    Private DNS resolves the usual names of the services to these addresses; a security group admits HTTPS from the
    network.
    """

    #: None without an interface endpoint.
    security_group_id: pulumi.Output[str | None]
    #: None without S3; for bucket policies (`aws:SourceVpce`).
    s3_endpoint_id: pulumi.Output[str | None]
    #: None without S3; the target of rules that allow a host to connect to S3 only.
    s3_prefix_list_id: pulumi.Output[str | None]

    def __init__(self, name: str, args: NetworkEndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:NetworkEndpoints", name, None, opts)
        self._args = args
        none = pulumi.Output.from_input(None)
        gateway = self._create_gateway(name) if GATEWAY in args.services else None
        interfaces = [service for service in args.services if service != GATEWAY]
        group = self._create_security_group(name) if interfaces else None
        if group is not None:
            for service in interfaces:
                self._create_interface(name, service, group)
        self.security_group_id = group.id if group else none
        self.s3_endpoint_id = gateway.id if gateway else none
        self.s3_prefix_list_id = gateway.prefix_list_id if gateway else none
        self.register_outputs(
            {
                "securityGroupId": self.security_group_id,
                "s3EndpointId": self.s3_endpoint_id,
                "s3PrefixListId": self.s3_prefix_list_id,
            }
        )

    def _create_gateway(self, name: str) -> aws.ec2.VpcEndpoint:
        args, context = self._args, self._args.context
        return aws.ec2.VpcEndpoint(
            f"{name}-{GATEWAY}",
            vpc_id=args.vpc_id,
            vpc_endpoint_type="Gateway",
            service_name=self._service_name(GATEWAY),
            route_table_ids=args.route_table_ids,
            policy=json.dumps(s3_policy(context, args.services, args.readable_buckets)),
            tags=context.tags(context.name("name_tag", "endpoint", GATEWAY)),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_security_group(self, name: str) -> aws.ec2.SecurityGroup:
        args, context = self._args, self._args.context
        group_name = context.name("security_group", "endpoints")
        group = aws.ec2.SecurityGroup(
            f"{name}-group",
            name=group_name,
            description="Addresses of AWS services inside the network",
            vpc_id=args.vpc_id,
            tags=context.tags(group_name),
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-group-https",
            security_group_id=group.id,
            description="Hosts of the network call AWS services",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=args.cidr,
            tags=context.tags(group_name),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return group

    def _create_interface(self, name: str, service: str, group: aws.ec2.SecurityGroup) -> None:
        args, context = self._args, self._args.context
        part = service.replace(".", "-")
        aws.ec2.VpcEndpoint(
            f"{name}-{part}",
            vpc_id=args.vpc_id,
            vpc_endpoint_type="Interface",
            service_name=self._service_name(service),
            subnet_ids=args.subnet_ids,
            security_group_ids=[group.id],
            private_dns_enabled=True,
            tags=context.tags(context.name("name_tag", "endpoint", part)),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _service_name(self, service: str) -> str:
        return f"com.amazonaws.{self._args.context.region}.{service}"
