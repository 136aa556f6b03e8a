"""Settings that every server has (disk, metadata service, CPU credits), and the launch template of a group."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context
from stackwright.model.aws.images import Image
from stackwright.model.aws.user_data import AgentPackage

#: Only version 2 of the metadata service, and only for the server itself: a container or a proxy one hop away gets no
#: credentials. There is no option to change this.
HTTP_TOKENS, HOP_LIMIT = "required", 1
VOLUME_TYPE = "gp3"
#: What gp3 includes in its price (user guide of EBS, "General Purpose SSD volumes"): IOPS, MB/s.
IOPS, THROUGHPUT = 3000, 125
CREDITS = ("standard", "unlimited")


@dataclass(frozen=True, kw_only=True)
class AgentArgs:
    """The SSM agent for Debian's images, which lack it: one version, and the checksums of its packages."""

    version: str
    #: Checksums of the .deb, by architecture (`x86_64`, `arm64`).
    sha256: Mapping[str, str]


def agent_package(agent: AgentArgs | None, image: Image) -> AgentPackage | None:
    """Return the package for that image; None if the image contains the agent, or no agent is given."""
    if agent is None or image.has_agent:
        return None
    return AgentPackage(version=agent.version, sha256=agent.sha256.get(image.architecture, ""))


def cpu_credits(context: Context, instance_type: str, chosen: str | None) -> str | None:
    """Return `chosen` or the default for burstable types (outside development `unlimited`, at a price), else None."""
    if not re.match(r"t\d", instance_type):
        return None
    return chosen or ("unlimited" if context.keeps_data else "standard")


@dataclass(frozen=True, kw_only=True)
class LaunchTemplateArgs:
    """The launch template of a group of servers.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: The Ansible group.
    tier: str
    #: An id, or `resolve:ssm:<parameter>` (`stackwright.model.aws.images`).
    image_id: pulumi.Input[str]
    #: Root device of the image.
    root_device: str
    instance_type: str
    disk_gb: int
    kms_key_arn: pulumi.Input[str]
    profile_arn: pulumi.Input[str]
    security_group_ids: Sequence[pulumi.Input[str]]
    #: Encoded in base64 (`stackwright.model.aws.user_data`).
    user_data: str
    #: IOPS and MB/s of the disk; default to 3000 and 125.
    disk_iops: int | None = None
    disk_throughput: int | None = None
    #: Whether metrics are sent every minute instead of every five; defaults to true outside development.
    detailed_monitoring: bool | None = None
    #: `standard` or `unlimited` for burstable instance types; defaults to `unlimited` outside development.
    cpu_credits: str | None = None

    def __post_init__(self) -> None:
        problems = list(machine_problems(self.disk_gb, self.disk_iops, self.disk_throughput, self.cpu_credits))
        if problems:
            raise ValueError("\n".join(f"LaunchTemplateArgs.{problem}" for problem in problems))


def machine_problems(disk_gb: int, iops: int | None, throughput: int | None, credit: str | None) -> Iterator[str]:
    """Yield problems of a server's settings (limits of gp3: user guide of EBS, as remembered in 2026-11)."""
    if not 8 <= disk_gb <= 16_384:
        yield f"disk_gb is {disk_gb}, accepted: 8 to 16384"
    if iops is not None and not IOPS <= iops <= 16_000:
        yield f"disk_iops is {iops}, accepted: {IOPS} to 16000"
    if throughput is not None and not THROUGHPUT <= throughput <= 1000:
        yield f"disk_throughput is {throughput}, accepted: {THROUGHPUT} to 1000"
    if credit is not None and credit not in CREDITS:
        yield f"cpu_credits is {credit!r}, accepted: {', '.join(CREDITS)}"


class LaunchTemplate(pulumi.ComponentResource):
    """The launch template for the servers of a group.

    It enables only version 2 of the metadata service and sets an encrypted gp3 disk, which is deleted with its server;
    no public address and no SSH key; tags for server, disk and interface. A server that shuts itself down is
    terminated.
    """

    template_id: pulumi.Output[str]
    #: As text, as groups require: an explicit version instead of `$Latest` makes a change of the template replace
    #: servers.
    version: pulumi.Output[str]

    def __init__(self, name: str, args: LaunchTemplateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackwright:aws:LaunchTemplate", name, None, opts)
        self._args = args
        template = self._create_template(name)
        self.template_id = template.id
        self.version = template.latest_version.apply(lambda number: str(int(number)))
        self.register_outputs({"templateId": self.template_id, "version": self.version})

    def _create_template(self, name: str) -> aws.ec2.LaunchTemplate:
        args, context = self._args, self._args.context
        template_name = context.name("launch_template", args.tier)
        credit = cpu_credits(context, args.instance_type, args.cpu_credits)
        detailed = context.keeps_data if args.detailed_monitoring is None else args.detailed_monitoring
        return aws.ec2.LaunchTemplate(
            f"{name}-template",
            name=template_name,
            update_default_version=True,
            image_id=args.image_id,
            instance_type=args.instance_type,
            iam_instance_profile={"arn": args.profile_arn},
            metadata_options={
                "http_endpoint": "enabled",
                "http_tokens": HTTP_TOKENS,
                "http_put_response_hop_limit": HOP_LIMIT,
                "instance_metadata_tags": "disabled",
            },
            block_device_mappings=[{"device_name": args.root_device, "ebs": self._disk()}],
            network_interfaces=[
                {
                    "device_index": 0,
                    "associate_public_ip_address": "false",
                    "delete_on_termination": "true",
                    "security_groups": args.security_group_ids,
                }
            ],
            monitoring={"enabled": detailed},
            ebs_optimized="true",
            instance_initiated_shutdown_behavior="terminate",
            credit_specification={"cpu_credits": credit} if credit else None,
            tag_specifications=self._tag_specifications(),
            user_data=args.user_data,
            tags=context.tags(template_name, tier=args.tier),
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _disk(self) -> aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgsDict:
        args = self._args
        return {
            "volume_type": VOLUME_TYPE,
            "volume_size": args.disk_gb,
            "iops": args.disk_iops or IOPS,
            "throughput": args.disk_throughput or THROUGHPUT,
            "encrypted": "true",
            "kms_key_id": args.kms_key_arn,
            "delete_on_termination": "true",
        }

    def _tag_specifications(self) -> list[aws.ec2.LaunchTemplateTagSpecificationArgsDict]:
        args, context = self._args, self._args.context
        # The provider's default tags do not apply to what a template starts.
        tags = context.tags(context.name("name_tag", args.tier), tier=args.tier)
        return [{"resource_type": kind, "tags": tags} for kind in ("instance", "volume", "network-interface")]
