"""Location of a database in one region: who can connect, subnets and parameters."""

# No postponed annotations: as in the modules of components.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.cache_args import slug
from stackwright.infra.aws.database_args import DatabaseArgs
from stackwright.infra.aws.database_parameters import parameters

PORT = 5432


@dataclass(frozen=True, kw_only=True)
class Place:
    """The location that instances of a region share."""

    #: None for the environment's region.
    region: str | None
    part: str
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    clients: Mapping[str, pulumi.Input[str]]
    kms_key_arn: pulumi.Input[str]
    log_key_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The resources of a location that its instances share."""

    location: Place
    security_group: aws.ec2.SecurityGroup
    subnet_group: aws.rds.SubnetGroup
    parameter_group: aws.rds.ParameterGroup


def create_shared(prefix: str, args: DatabaseArgs, location: Place, parent: pulumi.Resource) -> Shared:
    """Create what every instance of the location needs."""
    return Shared(
        location=location,
        security_group=_create_security_group(prefix, args, location, parent),
        subnet_group=_create_subnet_group(prefix, args, location, parent),
        parameter_group=_create_parameter_group(prefix, args, location, parent),
    )


def _create_security_group(
    prefix: str, args: DatabaseArgs, location: Place, parent: pulumi.Resource
) -> aws.ec2.SecurityGroup:
    group_name = args.context.name("security_group", location.part)
    tags = args.context.tags(group_name)
    options = pulumi.ResourceOptions(parent=parent)
    group = aws.ec2.SecurityGroup(
        f"{prefix}-security-group",
        name=group_name,
        description="PostgreSQL run by AWS",
        vpc_id=location.vpc_id,
        region=location.region,
        tags=tags,
        opts=options,
    )
    for reason, client in location.clients.items():
        aws.vpc.SecurityGroupIngressRule(
            f"{prefix}-security-group-{slug(reason)}",
            security_group_id=group.id,
            description=reason,
            ip_protocol="tcp",
            from_port=PORT,
            to_port=PORT,
            referenced_security_group_id=client,
            region=location.region,
            tags=tags,
            opts=options,
        )
    return group


def _create_subnet_group(
    prefix: str, args: DatabaseArgs, location: Place, parent: pulumi.Resource
) -> aws.rds.SubnetGroup:
    # RDS converts the name to lower case.
    group_name = args.context.name("database_subnet_group", location.part).lower()
    return aws.rds.SubnetGroup(
        f"{prefix}-subnet-group",
        name=group_name,
        description="Where the database is",
        subnet_ids=location.subnet_ids,
        region=location.region,
        tags=args.context.tags(group_name),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _create_parameter_group(
    prefix: str, args: DatabaseArgs, location: Place, parent: pulumi.Resource
) -> aws.rds.ParameterGroup:
    context, family = args.context, f"postgres{args.chosen_version}"
    # The name contains the family: a new family is a new group, created while the old one is still in use.
    group_name = context.name("database_parameter_group", location.part, family).lower()
    settings = dict(args.parameters or {})
    if args.max_connections is not None:
        settings["max_connections"] = str(args.max_connections)
    return aws.rds.ParameterGroup(
        f"{prefix}-parameters",
        name=group_name,
        family=family,
        description=f"{context.system}, {context.environment}",
        parameters=[
            aws.rds.ParameterGroupParameterArgs(
                name=parameter.name, value=parameter.value, apply_method=parameter.apply_method
            )
            for parameter in parameters(settings, logical_replication=args.uses_blue_green)
        ],
        region=location.region,
        tags=context.tags(group_name),
        opts=pulumi.ResourceOptions(parent=parent),
    )
