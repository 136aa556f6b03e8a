"""Monitoring of a database by RDS: a role that reads its operating system metrics, and log groups."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context
from stackwright.model.aws import names

LOGS = ("postgresql", "upgrade")
_SERVICE = "monitoring.rds.amazonaws.com"
#: The name that RDS chooses: one group for all databases of an account and region.
_METRICS = "log-group:RDSOSMetrics"

Statement = dict[str, Any]


def trust(context: Context, databases: Mapping[str, Sequence[str]], *, blue_green: bool) -> dict[str, Any]:
    """Return the trust policy: RDS alone, for these databases (region -> identifiers; AWS's "confused deputy" page)."""
    copies = ["", "-green-*"] if blue_green else [""]
    sources = [
        context.arn("rds", f"db:{identifier}{copy}", region=region)
        for region, identifiers in databases.items()
        for identifier in identifiers
        for copy in copies
    ]
    condition = {"StringEquals": {"aws:SourceAccount": context.account}, "ArnLike": {"aws:SourceArn": sources}}
    statement: Statement = {"Effect": "Allow", "Principal": {"Service": _SERVICE}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement | {"Condition": condition}]}


def permissions(context: Context, regions: Sequence[str]) -> dict[str, Any]:
    """Return what AWS's policy AmazonRDSEnhancedMonitoringRole allows, limited to this account and these regions."""
    groups = [context.arn("logs", _METRICS, region=region) for region in regions]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "MakeGroup",
                "Effect": "Allow",
                "Action": ["logs:CreateLogGroup", "logs:PutRetentionPolicy"],
                # IAM requires the group's ARN with and without its streams.
                "Resource": [arn for group in groups for arn in (group, f"{group}:*")],
            },
            {
                "Sid": "WriteMetrics",
                "Effect": "Allow",
                "Action": [
                    "logs:CreateLogStream",
                    "logs:DescribeLogStreams",
                    "logs:GetLogEvents",
                    "logs:PutLogEvents",
                ],
                "Resource": [f"{group}:log-stream:*" for group in groups],
            },
        ],
    }


def create_role(
    name: str, context: Context, trusted: Mapping[str, Any], regions: Sequence[str], parent: pulumi.Resource
) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
    """Create the role and its policy."""
    role_name = context.name("iam_role", "database-monitoring")
    role = aws.iam.Role(
        f"{name}-monitoring-role",
        name=role_name,
        description="RDS writes what it sees of the operating system",
        assume_role_policy=json.dumps(trusted),
        tags=context.tags(role_name),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    policy = aws.iam.RolePolicy(
        f"{name}-monitoring-policy",
        name=context.name("iam_policy", "database-monitoring"),
        role=role.name,
        policy=json.dumps(permissions(context, regions)),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return role, policy


def create_logs(
    name: str,
    context: Context,
    identifier: str,
    *,
    days: int,
    kms_key_arn: pulumi.Input[str],
    region: str | None,
    parent: pulumi.Resource,
) -> list[aws.cloudwatch.LogGroup]:
    """Create the log groups before the database: RDS would create them without a key and keep them forever."""
    groups = []
    for kind in LOGS:
        # RDS defines the name.
        group_name = names.name("log_group", "/aws/rds/instance", identifier, kind)
        groups.append(
            aws.cloudwatch.LogGroup(
                f"{name}-{kind}-log",
                name=group_name,
                kms_key_id=kms_key_arn,
                retention_in_days=days,
                deletion_protection_enabled=context.keeps_data,
                region=region,
                tags=context.tags(group_name),
                opts=pulumi.ResourceOptions(parent=parent, protect=context.keeps_data),
            )
        )
    return groups
