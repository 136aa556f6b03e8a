"""Requests that the provider sends before it creates a resource, and the errors with which AWS refuses them.

A program can have every input right and still fail at its first `up`, as the provider looks something up first.
Sources: the provider's code (version 7) and its issues.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from stackwright.testing.aws import wire

_IMAGE_ID = re.compile(r"ami-(?:[0-9a-f]{8}|[0-9a-f]{17})")


class PreflightError(RuntimeError):
    """Raised if AWS would refuse a request that the provider sends before the creation."""


def check(token: str, inputs: Mapping[str, Any]) -> None:
    """Raise PreflightError if AWS would refuse a request that the provider sends first."""
    find_problem = _CHECKS.get(token)
    problem = find_problem(inputs) if find_problem else ""
    if problem:
        raise PreflightError(problem)


def _root_device(inputs: Mapping[str, Any]) -> str:
    """Return the error of DescribeImages for the root device (`findRootDeviceName`; terraform-provider-aws#43488)."""
    image_id = wire.unwrap(inputs.get("ami"))
    if not inputs.get("rootBlockDevice") or image_id is None or _IMAGE_ID.fullmatch(str(image_id)):
        return ""
    return f'reading EC2 AMI ({image_id}): InvalidAMIID.Malformed: Invalid id: "{image_id}"'


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "aws:ec2/instance:Instance": _root_device,
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest": _root_device,
}
