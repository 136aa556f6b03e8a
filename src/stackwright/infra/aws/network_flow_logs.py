"""Flow logs of a network: the record of its traffic that the analysis of an incident needs."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context

_SERVICE = "vpc-flow-logs.amazonaws.com"


@dataclass(frozen=True, kw_only=True)
class NetworkFlowLogsArgs:
    """The network to log, and how long the logs are kept."""

    context: Context
    vpc_id: pulumi.Input[str]
    kms_key_arn: pulumi.Input[str]
    #: One of `network_checks.RETENTION_DAYS`.
    retention_days: int


class NetworkFlowLogs(pulumi.ComponentResource):
    """Flow logs of all traffic of a VPC, accepted and rejected, in an encrypted log group for that service alone."""

    log_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkFlowLogsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:NetworkFlowLogs", name, None, opts)
        self._context = args.context
        log_group = self._create_log_group(name, args)
        role, policy = self._create_role(name)
        aws.ec2.FlowLog(
            f"{name}-log",
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=log_group.arn,
            iam_role_arn=role.arn,
            tags=args.context.tags(args.context.name("name_tag", "flow-logs")),
            # A role without its policy would lose the first minutes.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.log_group_name = log_group.name
        self.register_outputs({"logGroupName": self.log_group_name})

    @property
    def _group_name(self) -> str:
        return self._context.name("log_group", "network", "flow-logs")

    def _create_log_group(self, name: str, args: NetworkFlowLogsArgs) -> aws.cloudwatch.LogGroup:
        keeps = args.context.keeps_data
        return aws.cloudwatch.LogGroup(
            f"{name}-group",
            name=self._group_name,
            kms_key_id=args.kms_key_arn,
            retention_in_days=args.retention_days,
            deletion_protection_enabled=keeps,
            tags=args.context.tags(self._group_name),
            opts=pulumi.ResourceOptions(parent=self, protect=keeps),
        )

    def _create_role(self, name: str) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        context = self._context
        role_name = context.name("iam_role", "flow-logs")
        role = aws.iam.Role(
            f"{name}-role",
            name=role_name,
            description="VPC writes flow logs",
            assume_role_policy=json.dumps(self._trust()),
            tags=context.tags(role_name),
            opts=pulumi.ResourceOptions(parent=self),
        )
        policy = aws.iam.RolePolicy(
            f"{name}-role-policy",
            name=context.name("iam_policy", "flow-logs"),
            role=role.name,
            policy=json.dumps(self._permissions()),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return role, policy

    def _trust(self) -> dict[str, object]:
        """Return the trust policy: the service, for flow logs of this account only (AWS's "confused deputy" page)."""
        context = self._context
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": _SERVICE},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": context.account},
                "ArnLike": {"aws:SourceArn": context.arn("ec2", "vpc-flow-log/*")},
            },
        }
        return {"Version": "2012-10-17", "Statement": [statement]}

    def _permissions(self) -> dict[str, object]:
        """Return the policy: this log group only, which the service may look up; it exists, so none is created."""
        group = self._context.arn("logs", f"log-group:{self._group_name}")
        statement = {
            "Effect": "Allow",
            "Action": [
                "logs:CreateLogStream",
                "logs:DescribeLogGroups",
                "logs:DescribeLogStreams",
                "logs:PutLogEvents",
            ],
            # IAM requires the group's ARN with and without its streams.
            "Resource": [group, f"{group}:*"],
        }
        return {"Version": "2012-10-17", "Statement": [statement]}
