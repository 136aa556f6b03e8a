"""Checks of the operating systems of hosts: there is an image for each, and Windows only where it is supported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, get_args

from stackwright.model import topology
from stackwright.model.aws import images
from stackwright.model.errors import KeyPath, Problem
from stackwright.model.stackfile import OperatingSystem

if TYPE_CHECKING:
    from stackwright.model.aws.stackfile import Aws
    from stackwright.model.files import Parsed
    from stackwright.model.stackfile import StackFile

LINUX: tuple[str, ...] = tuple(name for name in get_args(OperatingSystem) if not topology.is_windows(name))
#: Tiers that support Windows, and what the other tiers run that has no release for it.
_ON_WINDOWS = ("edge", "app")
_FOR_LINUX = {
    "server": "PostgreSQL and Redis beside all else",
    "database": "PostgreSQL under Patroni",
    "cache": "Redis",
    "ops": "the repositories of backups",
}


def problems(parsed: Parsed[StackFile], stack: StackFile) -> Iterator[Problem]:
    """Yield every problem of `os`, of `tier_os`, and of settings that conflict with them."""
    yield from _places(parsed, stack)
    if stack.provider != "aws":
        yield from _elsewhere(parsed, stack)
    elif stack.aws is not None:
        yield from _data(parsed, stack)
        yield from _images(parsed, stack, stack.aws)
        yield from _application(parsed, stack, stack.aws)


def _places(parsed: Parsed[StackFile], stack: StackFile) -> Iterator[Problem]:
    created = topology.created(stack)
    for tier in stack.tier_os:
        if stack.provider == "bare_metal":
            message = "is of hosts that are created; these exist already"
            yield parsed.problem(("tier_os", tier), message, accepted="`os` of each of `hosts`")
        elif stack.topology is not None and tier not in created:
            message = f"is of hosts that topology {stack.topology.size} has not"
            yield parsed.problem(("tier_os", tier), message, accepted=", ".join(created))


def _elsewhere(parsed: Parsed[StackFile], stack: StackFile) -> Iterator[Problem]:
    named_systems: list[tuple[KeyPath, str]] = [(("os",), stack.os)]
    named_systems += [(("tier_os", tier), system) for tier, system in stack.tier_os.items()]
    named_systems += [(("hosts", position, "os"), server.os) for position, server in enumerate(stack.hosts)]
    for path, system in named_systems:
        if topology.is_windows(system):
            message = f"is for AWS so far: {stack.provider} makes no Windows host, and the roles for one are to come"
            yield parsed.problem(path, message, value=system, accepted=", ".join(LINUX))


def _data(parsed: Parsed[StackFile], stack: StackFile) -> Iterator[Problem]:
    """Yield one problem for each key, independent of the number of tiers that it applies to."""
    wrong: dict[KeyPath, list[str]] = {}
    for tier in topology.created(stack):
        if tier not in _ON_WINDOWS and topology.is_windows(topology.os_of(stack, tier)):
            wrong.setdefault(_path(stack, tier), []).append(tier)
    for path, tiers in wrong.items():
        what = "; ".join(f"{tier} runs {_FOR_LINUX[tier]}" for tier in tiers)
        system = topology.os_of(stack, tiers[0])
        accepted = f"{', '.join(LINUX)}; Windows by `tier_os` for {' and '.join(_ON_WINDOWS)} alone"
        yield parsed.problem(path, f"is no system for data: {what}", value=system, accepted=accepted)


def _images(parsed: Parsed[StackFile], stack: StackFile, aws: Aws) -> Iterator[Problem]:
    sizes = {str(tier): size for tier, size in stack.sizes.items()}
    for tier in topology.created(stack):
        system = topology.os_of(stack, tier)
        try:
            image = images.image(system, topology.architecture(aws, tier))
        except ValueError as error:
            message, _, accepted = str(error).partition(", accepted: ")
            path: KeyPath = ("aws", "app", "architecture")
            yield parsed.problem(path, f"does not go with the system: {message}", accepted=accepted)
            continue
        size = sizes.get(tier)
        if size is not None and size.disk_gb is not None and size.disk_gb < image.least_disk_gb:
            message = f"is less than the image of {system} has"
            accepted = f"at least {image.least_disk_gb}"
            yield parsed.problem(("sizes", tier, "disk_gb"), message, value=size.disk_gb, accepted=accepted)


def _application(parsed: Parsed[StackFile], stack: StackFile, aws: Aws) -> Iterator[Problem]:
    system = topology.os_of(stack, "app")
    if aws.app.group is not None and topology.is_windows(system):
        message = f"has servers that configure themselves with Ansible, which does not run on {system}"
        accepted = "no `group`: as many servers with names as `topology.app` says; or a Linux"
        yield parsed.problem(("aws", "app", "group"), message, accepted=accepted)


def _path(stack: StackFile, tier: str) -> KeyPath:
    return ("tier_os", tier) if tier in stack.tier_os else ("os",)
