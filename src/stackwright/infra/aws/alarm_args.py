"""What an environment's alarms watch, in plain types: each part of it is optional."""

# No postponed annotations: Pulumi's analyzer reads the args' types at run time.
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi

from stackwright.infra.aws.context import Context

#: Where AWS keeps the metrics of what is in no region.
GLOBAL_REGION = "us-east-1"
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_WORD = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class HostAlarmsArgs:
    """A server that has a name."""

    instance_id: pulumi.Input[str]
    #: Those with rationed CPUs have an alarm more.
    instance_type: str
    #: File systems to watch, and with them the memory. Needs CloudWatch's agent on the host, with `append_dimensions` of
    #: InstanceId and `aggregation_dimensions` of [InstanceId] and [InstanceId, path].
    agent_paths: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True)
class AlarmsArgs:
    """Who is told, and of what; each mapping's keys are words that the alarms are named by.

    Raises ValueError with every problem at once.
    """

    context: Context
    #: Of the topics; its policy lets CloudWatch use it, and RDS where there is a database (`KeyArgs.services`).
    kms_key_arn: pulumi.Input[str]
    #: E-mail addresses; AWS asks each to confirm, and tells it nothing before.
    notify: Sequence[str]
    #: By host.
    hosts: Mapping[str, HostAlarmsArgs] | None = None
    #: Zone -> id of its NAT gateway.
    nat_gateway_ids: Mapping[str, pulumi.Input[str]] | None = None

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if problems:
            raise ValueError("\n".join(f"AlarmsArgs.{each}" for each in problems))


def address_problems(name: str, addresses: Sequence[str], most: int | None = None) -> Iterator[str]:
    """What is wrong with e-mail addresses of which there has to be one at least."""
    if not addresses:
        yield f"{name} is empty, accepted: at least one e-mail address"
    if most is not None and len(addresses) > most:
        yield f"{name} has {len(addresses)}, accepted: at most {most}"
    for each in addresses:
        if not _EMAIL.fullmatch(each):
            yield f"{name} has {each!r}, accepted: an e-mail address"
    for each in sorted({each for each in addresses if addresses.count(each) > 1}):
        yield f"{name} has {each!r} twice, accepted: each once"


def _problems(args: AlarmsArgs) -> Iterator[str]:
    yield from address_problems("notify", args.notify)
    for name, labels in (("hosts", args.hosts or {}), ("nat_gateway_ids", args.nat_gateway_ids or {})):
        for label in labels:
            if not _WORD.fullmatch(label):
                yield f"{name} has {label!r}, accepted: lower-case letters, digits and hyphens"
    for host, each in (args.hosts or {}).items():
        for path in each.agent_paths or ():
            if not path.startswith("/"):
                yield f"hosts.{host}.agent_paths has {path!r}, accepted: paths such as /var"
