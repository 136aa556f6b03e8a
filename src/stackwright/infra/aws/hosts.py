"""Servers with a fixed name and address: Ansible configures them like those of any other provider."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws import firewall_rules, host_checks, launch_template
from stackwright.infra.aws.context import Context
from stackwright.infra.aws.firewall_rules import RuleArgs
from stackwright.infra.aws.instance_role import InstanceRole, InstanceRoleArgs, StatementArgs
from stackwright.infra.aws.launch_template import AgentArgs
from stackwright.infra.aws.parameters import UNPUBLISHED, host_key_parameter
from stackwright.infra.components.results import ComputeResult, HostResult
from stackwright.model.aws.images import Image, image
from stackwright.model.aws.user_data import UserData


@dataclass(frozen=True, kw_only=True)
class HostArgs:
    """One server."""

    name: str
    #: A fixed address inside its subnet.
    address: str
    subnet_id: pulumi.Input[str]
    instance_type: str
    disk_gb: int
    #: Ansible groups of the host, the main one first; at most five, as a server can have no more security groups than
    #: that.
    tiers: Sequence[str]
    #: Defaults to `debian-13`.
    os: str | None = None
    #: Defaults to `x86_64`.
    architecture: str | None = None
    #: Defaults to the newest image of the operating system at the time when the host is created.
    image_id: pulumi.Input[str] | None = None
    #: Whether the host can be reached from the Internet, at a fixed address; its subnet has to be a public one.
    public: bool | None = None
    #: Permissions in addition to those for Systems Manager.
    statements: Sequence[StatementArgs] | None = None

    @property
    def image(self) -> Image:
        """Return the image of its operating system. Raises ValueError if there is none."""
        return image(self.os or "debian-13", self.architecture or "x86_64")


@dataclass(frozen=True, kw_only=True)
class BetweenArgs:
    """Traffic from the hosts of one tier to those of another, or of the same one."""

    from_tier: str
    to_tier: str
    port: int
    #: Used as the description of both rules.
    reason: str
    #: `tcp` or `udp`; defaults to `tcp`.
    protocol: str | None = None
    to_port: int | None = None


@dataclass(frozen=True, kw_only=True)
class HostsArgs:
    """All named servers of an environment, and the traffic that they are allowed.

    Raises ValueError with every problem at once.
    """

    context: Context
    vpc_id: pulumi.Input[str]
    hosts: Sequence[HostArgs]
    kms_key_arn: pulumi.Input[str]
    #: Public keys of the users that log in through Systems Manager.
    authorized_keys: Sequence[str]
    agent: AgentArgs | None = None
    between: Sequence[BetweenArgs] | None = None
    #: Tier -> further peers that may connect to its hosts.
    ingress: Mapping[str, Sequence[RuleArgs]] | None = None
    #: Tier -> further peers that its hosts may connect to; without `egress` hosts can connect to each other only.
    egress: Mapping[str, Sequence[RuleArgs]] | None = None
    #: Networks that may use SSH without Systems Manager; without them the SSH port is closed.
    ssh_from: Sequence[str] | None = None
    permissions_boundary: pulumi.Input[str] | None = None
    #: Whether metrics are sent every minute instead of every five; defaults to true outside development.
    detailed_monitoring: bool | None = None
    #: `standard` or `unlimited` for burstable instance types; defaults to `unlimited` outside development.
    cpu_credits: str | None = None

    def __post_init__(self) -> None:
        problems = list(host_checks.problems(self))
        if problems:
            raise ValueError("\n".join(f"HostsArgs.{problem}" for problem in problems))

    @property
    def tiers(self) -> tuple[str, ...]:
        """Return every tier that has a host, in order of appearance."""
        return tuple(dict.fromkeys(tier for host in self.hosts for tier in host.tiers))


class Hosts(pulumi.ComponentResource):
    """Named servers.

    Each has a fixed address, an encrypted disk, its own role and the security group of each of its tiers. None is
    replaced because a newer image exists, and outside development none is deleted without a second confirmation. They
    are reached through Systems Manager. Only the host itself may write its public host key (`host_key_parameter`), so
    that a compromised host cannot impersonate another; for that reason each has its own role.
    """

    #: Instance id of each host.
    instance_ids: pulumi.Output[Mapping[str, str]]
    #: Address of each public host.
    public_addresses: pulumi.Output[Mapping[str, str]]
    #: Role of each host; for policies of keys and buckets.
    role_arns: pulumi.Output[Mapping[str, str]]
    #: Parameter name of each host.
    host_key_parameters: pulumi.Output[Mapping[str, str]]
    #: Security group of each tier.
    security_group_ids: pulumi.Output[Mapping[str, str]]

    def __init__(self, name: str, args: HostsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:Hosts", name, None, opts)
        self._args = args
        self._groups = {tier: self._create_group(name, tier) for tier in args.tiers}
        self._create_rules(name)
        roles = {host.name: self._create_role(name, host) for host in args.hosts}
        self._instances = {host.name: self._create_host(name, host, roles[host.name]) for host in args.hosts}
        public = {host.name: self._create_address(name, host) for host in args.hosts if host.public}
        keys = {host.name: host_key_parameter(args.context.environment, host.name) for host in args.hosts}
        self.instance_ids = pulumi.Output.all(
            **{host_name: instance.id for host_name, instance in self._instances.items()}
        )
        self.public_addresses = pulumi.Output.all(
            **{host_name: address.public_ip for host_name, address in public.items()}
        )
        self.role_arns = pulumi.Output.all(**{host_name: role.role_arn for host_name, role in roles.items()})
        self.host_key_parameters = pulumi.Output.from_input(keys)
        self.security_group_ids = pulumi.Output.all(**{tier: group.id for tier, group in self._groups.items()})
        self.register_outputs(
            {
                "instanceIds": self.instance_ids,
                "publicAddresses": self.public_addresses,
                "roleArns": self.role_arns,
                "hostKeyParameters": self.host_key_parameters,
                "securityGroupIds": self.security_group_ids,
            }
        )

    @property
    def result(self) -> ComputeResult:
        """Return the hosts by name, without keys: each host publishes its own."""
        addresses = {host.name: host.address for host in self._args.hosts}
        return ComputeResult(
            hosts={
                name: HostResult(
                    address=addresses[name], host_key=None, instance_id=self._instances[name].id, through="ssm"
                )
                for name in self._instances
            }
        )

    def _create_group(self, name: str, tier: str) -> aws.ec2.SecurityGroup:
        args, context = self._args, self._args.context
        group_name = context.name("security_group", "hosts", tier)
        return aws.ec2.SecurityGroup(
            f"{name}-{tier}-group",
            name=group_name,
            description=f"Hosts of the tier {tier}",
            vpc_id=args.vpc_id,
            tags=context.tags(group_name, tier=tier),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _create_rules(self, name: str) -> None:
        args = self._args
        for tier, rules in (args.ingress or {}).items():
            for rule in rules:
                self._create_rule(name, tier, rule, incoming=True)
        for tier, rules in (args.egress or {}).items():
            for rule in rules:
                self._create_rule(name, tier, rule, incoming=False)
        for between in args.between or ():
            for tier, peer, incoming in (
                (between.to_tier, between.from_tier, True),
                (between.from_tier, between.to_tier, False),
            ):
                rule = RuleArgs(
                    reason=between.reason,
                    port=between.port,
                    to_port=between.to_port,
                    protocol=between.protocol,
                    security_group_id=self._groups[peer].id,
                )
                self._create_rule(name, tier, rule, peer=peer, incoming=incoming)
        for cidr in args.ssh_from or ():
            v4, v6 = (None, cidr) if ":" in cidr else (cidr, None)
            rule = RuleArgs(reason=f"SSH of people at {cidr}", port=22, cidr=v4, cidr_ipv6=v6)
            for tier in args.tiers:
                self._create_rule(name, tier, rule, incoming=True)

    def _create_rule(self, name: str, tier: str, rule: RuleArgs, *, incoming: bool, peer: str = "") -> None:
        context = self._args.context
        part = firewall_rules.rule_name(rule, incoming=incoming) + (f"-{peer}" if peer else "")
        tags = context.tags(context.name("security_group", "hosts", tier), tier=tier)
        group = self._groups[tier].id
        firewall_rules.create_rule(self, f"{name}-{tier}-{part}", group, rule, tags, incoming=incoming)

    def _create_role(self, name: str, host: HostArgs) -> InstanceRole:
        context = self._args.context
        statements = list(host.statements or ())
        parameter = host_key_parameter(context.environment, host.name)
        statements.append(
            StatementArgs(
                sid="PublishHostKey",
                actions=["ssm:PutParameter"],
                resources=[context.arn("ssm", f"parameter{parameter}")],
            )
        )
        return InstanceRole(
            f"{name}-{host.name}",
            InstanceRoleArgs(
                context=context,
                purpose=host.name,
                statements=statements,
                # The Ansible role that sends them supports Linux only.
                metrics=not host.image.windows,
                permissions_boundary=self._args.permissions_boundary,
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _create_key_parameter(self, name: str, host: HostArgs) -> aws.ssm.Parameter:
        context = self._args.context
        parameter = host_key_parameter(context.environment, host.name)
        return aws.ssm.Parameter(
            f"{name}-{host.name}-host-key",
            name=parameter,
            description=f"Public host key of {host.name}, written by the host itself",
            type="String",
            insecure_value=UNPUBLISHED,
            tags=context.tags(parameter, tier=host.tiers[0]),
            # The host writes the value.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["insecure_value"]),
        )

    def _create_host(self, name: str, host: HostArgs, role: InstanceRole) -> aws.ec2.Instance:
        args, context = self._args, self._args.context
        tags = context.tags(context.name("name_tag", host.name), tier=host.tiers[0])
        credit = launch_template.cpu_credits(context, host.instance_type, args.cpu_credits)
        first = [role, self._create_key_parameter(name, host)]
        return aws.ec2.Instance(
            f"{name}-{host.name}-instance",
            ami=self._image_id(host),
            instance_type=host.instance_type,
            subnet_id=host.subnet_id,
            private_ip=host.address,
            associate_public_ip_address=False,
            vpc_security_group_ids=[self._groups[tier].id for tier in host.tiers],
            iam_instance_profile=role.profile_name,
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": launch_template.HTTP_TOKENS,
                "http_put_response_hop_limit": launch_template.HOP_LIMIT,
                "instance_metadata_tags": "disabled",
            },
            root_block_device=self._disk(host, tags),
            ebs_optimized=True,
            monitoring=context.keeps_data if args.detailed_monitoring is None else args.detailed_monitoring,
            credit_specification={"cpu_credits": credit} if credit else None,
            disable_api_termination=context.keeps_data,
            instance_initiated_shutdown_behavior="stop",
            maintenance_options={"auto_recovery": "default"},
            user_data_base64=user_data(args, host).encoded(),
            tags=tags,
            opts=self._host_options(first),
        )

    def _image_id(self, host: HostArgs) -> pulumi.Input[str]:
        """Return the id of the host's image.

        The provider asks EC2 for the image of an instance with a root disk before it creates the instance, and EC2
        refuses `resolve:ssm:` there (terraform-provider-aws#43488). Therefore the parameter is read here.
        """
        if host.image_id is not None:
            return host.image_id
        options = pulumi.InvokeOutputOptions(parent=self)
        return aws.ssm.get_parameter_output(name=host.image.parameter, opts=options).insecure_value

    def _disk(self, host: HostArgs, tags: Mapping[str, str]) -> aws.ec2.InstanceRootBlockDeviceArgsDict:
        return {
            "volume_type": launch_template.VOLUME_TYPE,
            "volume_size": host.disk_gb,
            "encrypted": True,
            "kms_key_id": self._args.kms_key_arn,
            # Data of a database survives the accidental deletion of its server.
            "delete_on_termination": not self._args.context.keeps_data,
            "tags": tags,
        }

    def _host_options(self, first: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self,
            # The host needs its permissions and writes its key within its first minute.
            depends_on=list(first),
            protect=self._args.context.keeps_data,
            ignore_changes=[
                # A newer image would replace the host; Ansible keeps this one up to date.
                "ami",
                # Read at the first boot only; a change would stop the host without any effect.
                "user_data_base64",
                # AWS reports true once an Elastic IP is attached, which would replace the host as well
                # (terraform-provider-aws#37318).
                "associate_public_ip_address",
            ],
        )

    def _create_address(self, name: str, host: HostArgs) -> aws.ec2.Eip:
        context = self._args.context
        tags = context.tags(context.name("name_tag", host.name), tier=host.tiers[0])
        # DNS names and allow lists, including those of partners, contain the address.
        options = pulumi.ResourceOptions(parent=self, protect=context.keeps_data)
        address = aws.ec2.Eip(f"{name}-{host.name}-address", domain="vpc", tags=tags, opts=options)
        aws.ec2.EipAssociation(
            f"{name}-{host.name}-address-of-host",
            allocation_id=address.allocation_id,
            instance_id=self._instances[host.name].id,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return address


def user_data(args: HostsArgs, host: HostArgs) -> UserData:
    """Return the user data of a host for its first boot. Raises ValueError for what would not work."""
    return UserData(
        image=host.image,
        region=args.context.region,
        hostname=host.name,
        authorized_keys=args.authorized_keys,
        agent=launch_template.agent_package(args.agent, host.image),
        host_key_parameter=host_key_parameter(args.context.environment, host.name),
        ssh_from=tuple(args.ssh_from or ()) if host.image.windows else (),
    )
