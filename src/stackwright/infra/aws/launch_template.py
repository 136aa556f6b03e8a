"""What every server is, whoever starts it: its disk, its metadata service, its credits; and the template of a group's."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from stackwright.infra.aws.context import Context
from stackwright.model.aws.images import Image
from stackwright.model.aws.user_data import AgentPackage

#: Version 2 of the metadata service alone, and for the server itself alone: a container or a proxy behind one more hop gets
#: no credentials. There is no option for it.
HTTP_TOKENS, HOP_LIMIT = "required", 1
VOLUME_TYPE = "gp3"
#: What gp3 has for its price (user guide of EBS, "General Purpose SSD volumes"): operations a second, MB/s.
IOPS, THROUGHPUT = 3000, 125
CREDITS = ("standard", "unlimited")


@dataclass(frozen=True, kw_only=True)
class AgentArgs:
    """The SSM agent for Debian's images, which have none: one version, and what its packages are known by."""

    version: str
    #: Of the .deb, by architecture (`x86_64`, `arm64`).
    sha256: Mapping[str, str]


def agent_package(agent: AgentArgs | None, image: Image) -> AgentPackage | None:
    """For that image; None where the agent is in it, or nobody said which."""
    if agent is None or image.has_agent:
        return None
    return AgentPackage(version=agent.version, sha256=agent.sha256.get(image.architecture, ""))


def cpu_credits(context: Context, instance_type: str, chosen: str | None) -> str | None:
    """For types whose CPUs are rationed: outside development they go on at full speed, for a price. None for others."""
    if not re.match(r"t\d", instance_type):
        return None
    return chosen or ("unlimited" if context.keeps_data else "standard")


@dataclass(frozen=True, kw_only=True)
class LaunchTemplateArgs:
    """The servers of a group.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: Ansible's group.
    tier: str
    #: An id, or `resolve:ssm:<parameter>` (`stackwright.model.aws.images`).
    image_id: pulumi.Input[str]
    #: Of the image.
    root_device: str
    instance_type: str
    disk_gb: int
    kms_key_arn: pulumi.Input[str]
    profile_arn: pulumi.Input[str]
    security_group_ids: Sequence[pulumi.Input[str]]
    #: In base64 (`stackwright.model.aws.user_data`).
    user_data: str
    #: Operations a second and MB/s of the disk; otherwise 3000 and 125.
    disk_iops: int | None = None
    disk_throughput: int | None = None
    #: Metrics each minute instead of each five; otherwise outside development.
    detailed_monitoring: bool | None = None
    #: `standard` or `unlimited` for types with rationed CPUs; otherwise unlimited outside development.
    cpu_credits: str | None = None

    def __post_init__(self) -> None:
        problems = list(machine_problems(self.disk_gb, self.disk_iops, self.disk_throughput, self.cpu_credits))
        if problems:
            raise ValueError("\n".join(f"LaunchTemplateArgs.{problem}" for problem in problems))


def machine_problems(disk_gb: int, iops: int | None, throughput: int | None, credit: str | None) -> Iterator[str]:
    """What is wrong with a server (limits of gp3: user guide of EBS, as remembered in 2026-11)."""
    if not 8 <= disk_gb <= 16_384:
        yield f"disk_gb is {disk_gb}, accepted: 8 to 16384"
    if iops is not None and not IOPS <= iops <= 16_000:
        yield f"disk_iops is {iops}, accepted: {IOPS} to 16000"
    if throughput is not None and not THROUGHPUT <= throughput <= 1000:
        yield f"disk_throughput is {throughput}, accepted: {THROUGHPUT} to 1000"
    if credit is not None and credit not in CREDITS:
        yield f"cpu_credits is {credit!r}, accepted: {', '.join(CREDITS)}"


class LaunchTemplate(pulumi.ComponentResource):
    """How servers of a group are started.

    The metadata service's version 2 alone; an encrypted gp3 disk, which goes with its server; no public address, no SSH key;
    tags for server, disk and interface. A server that shuts itself down is gone.
    """

    template_id: pulumi.Output[str]
    #: As text, as groups want it: naming it, and not `$Latest`, makes a change of the template replace servers.
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
        # The provider's default tags do not reach what a template starts.
        tags = context.tags(context.name("name_tag", args.tier), tier=args.tier)
        return [{"resource_type": kind, "tags": tags} for kind in ("instance", "volume", "network-interface")]
