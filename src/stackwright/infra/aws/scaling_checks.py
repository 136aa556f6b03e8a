"""Checks of the arguments of an Auto Scaling group, and of arguments that cannot be combined."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from stackwright.infra.aws import firewall_rules, instance_role, launch_template, scaling_policies
from stackwright.model.aws import sizes
from stackwright.model.aws.user_data import Boot, UserData

if TYPE_CHECKING:
    from stackwright.infra.aws.scaling_group_args import ScalingGroupArgs, SpotArgs

#: Seconds that a lifecycle hook may wait (API reference of PutLifecycleHook).
_HOOK_SECONDS = (30, 7200)
#: Seconds of the hook that are reserved for reporting the result.
_RESERVE_SECONDS = 180
_TIER = re.compile(r"[a-z][a-z0-9-]{0,29}")


def user_data(args: ScalingGroupArgs) -> UserData:
    """Return the user data of each server. Raises ValueError for what would not work."""
    boot = args.boot
    return UserData(
        image=args.image,
        region=args.context.region,
        authorized_keys=args.authorized_keys or (),
        agent=launch_template.agent_package(args.agent, args.image),
        boot=Boot(
            environment=args.context.environment,
            tier=args.tier,
            bundle=f"s3://{boot.bucket}/{boot.key}",
            public_key=boot.public_key,
            group=args.name,
            launch_hook=args.hook("launch"),
            terminate_hook=args.hook("terminate"),
            health_url=boot.health_url,
            playbook=boot.playbook or "playbooks/configure-self.yml",
            minimum_serial=boot.minimum_serial or 0,
            deadline_seconds=args.chosen_launch_timeout_seconds - _RESERVE_SECONDS,
            drain_seconds=args.chosen_drain_seconds,
            facts=boot.facts,
        ),
    )


def problems(args: ScalingGroupArgs) -> Iterator[str]:
    """Yield every problem of the arguments."""
    if not _TIER.fullmatch(args.tier):
        yield f"tier is {args.tier!r}, accepted: lower-case letters, digits and hyphens"
        return
    yield from _size_problems(args)
    yield from _time_problems(args)
    yield from _machine_problems(args)
    for name, rules in (("ingress", args.ingress or ()), ("egress", args.egress or ())):
        yield from firewall_rules.rule_problems(rules, name, incoming=name == "ingress")
        yield from firewall_rules.name_problems(rules, name)
    for position, rule in enumerate(args.ingress or ()):
        if rule.port <= 22 <= (rule.port if rule.to_port is None else rule.to_port):
            yield f"ingress[{position}] opens SSH, accepted: none; servers of a group are reached by Systems Manager"
    yield from instance_role.statement_problems(args.statements or ())
    for sid in sorted(
        {statement.sid for statement in args.statements or ()} & {"ReadBundle", "SayHowItWent", "DecryptBundle"}
    ):
        yield f"statements has {sid!r}, accepted: names that the group does not use itself"
    if args.spot is not None:
        yield from _spot_problems(args, args.spot)


def _size_problems(args: ScalingGroupArgs) -> Iterator[str]:
    production = args.context.environment_class == "production"
    if not 1 <= args.min <= args.max:
        yield f"min is {args.min} and max {args.max}, accepted: 1 or more, `min` not above `max`"
    if production and (args.min < 2 or len(args.subnet_ids) < 2):
        zones = len(args.subnet_ids)
        yield f"min is {args.min} in {zones} zones, accepted in production: at least 2 servers in 2 zones"
    if not args.subnet_ids:
        yield "subnet_ids is empty, accepted: one a zone"
    percent = 55 if args.cpu_percent is None else args.cpu_percent
    if not 1 <= percent <= 100:
        yield f"cpu_percent is {percent}, accepted: 1 to 100"
    if args.requests is not None and args.requests.per_instance < 1:
        yield f"requests.per_instance is {args.requests.per_instance}, accepted: 1 or more a minute"
    if args.requests is not None and not args.target_group_arns:
        yield "requests counts those of a load balancer, accepted: with `target_group_arns`"
    warm = args.warm or 0
    if not 0 <= warm <= 90:
        yield f"warm is {warm}, accepted: 0 to 90"
    if warm and args.spot is not None:
        yield f"warm is {warm} with `spot`, accepted: one of them; AWS keeps no warm servers of several types"
    yield from scaling_policies.schedule_problems(args.schedules or (), args.min, args.max)


def _time_problems(args: ScalingGroupArgs) -> Iterator[str]:
    least, most = _HOOK_SECONDS
    launch, drain = args.chosen_launch_timeout_seconds, args.chosen_drain_seconds
    if not 2 * _RESERVE_SECONDS <= launch <= most:
        yield f"launch_timeout_seconds is {launch}, accepted: {2 * _RESERVE_SECONDS} to {most}"
    if not least <= drain <= most - 30:
        yield f"drain_seconds is {drain}, accepted: {least} to {most - 30}"
    for name in ("health_grace_seconds", "warmup_seconds"):
        value = getattr(args, name)
        if value is not None and not 0 <= value <= most:
            yield f"{name} is {value}, accepted: 0 to {most}"


def _machine_problems(args: ScalingGroupArgs) -> Iterator[str]:
    try:
        image = args.image
    except ValueError as problem:
        yield f"os or architecture: {problem}"
        return
    disk_gb = 20 if args.disk_gb is None else args.disk_gb
    yield from launch_template.machine_problems(disk_gb, None, None, args.cpu_credits)
    if isinstance(args.image_id, str) and not re.fullmatch(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", args.image_id):
        yield f"image_id is {args.image_id!r}, accepted: an id such as ami-0123456789abcdef0"
    if args.rollback_alarms and args.image_id is None:
        yield "rollback_alarms needs `image_id`, accepted: both; AWS rolls no image back that is named by a parameter"
    known = sizes.SERVERS.get(args.instance_type)
    if known is not None and known.architecture != image.architecture:
        yield f"instance_type is {args.instance_type}, accepted: a type of {image.architecture}, as the image is"
    try:
        user_data(args).encoded()
    except ValueError as problem:
        yield from str(problem).splitlines()


def _spot_problems(args: ScalingGroupArgs, spot: SpotArgs) -> Iterator[str]:
    group_type = sizes.SERVERS.get(args.instance_type)
    types = [args.instance_type, *spot.types]
    if not spot.types or len(set(types)) != len(types):
        yield f"spot.types is {', '.join(spot.types) or 'empty'}, accepted: at least one further type, each once"
    for instance_type in spot.types:
        known = sizes.SERVERS.get(instance_type)
        if known is not None and group_type is not None and known.architecture != group_type.architecture:
            yield f"spot.types has {instance_type}, accepted: types of {group_type.architecture}, as {args.instance_type} is"
    rationed = [type_name for type_name in types if re.match(r"t\d", type_name)]
    if rationed and len(rationed) < len(types):
        # The template contains the credit option, which other types refuse.
        yield f"spot.types mixes {', '.join(rationed)} with others, accepted: all with rationed CPUs, or none"
    on_demand = 1 if spot.on_demand is None else spot.on_demand
    percent = 50 if spot.percent_on_demand is None else spot.percent_on_demand
    if not 0 <= on_demand <= args.max:
        yield f"spot.on_demand is {on_demand}, accepted: 0 to `max`, {args.max}"
    if not 0 <= percent <= 100:
        yield f"spot.percent_on_demand is {percent}, accepted: 0 to 100"
