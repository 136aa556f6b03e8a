"""Records the host keys that AWS servers publish, so that the first connection does not have to be trusted blindly.

A host writes its public key and its instance id to a parameter that only its own role may write; IAM controls who may
read it. A parameter that names another instance belongs to a predecessor, and is ignored.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from stackwright import state_files
from stackwright.infra.aws import aws_cli
from stackwright.infra.aws.parameters import UNPUBLISHED, host_key_parameter
from stackwright.model.environment import Environment
from stackwright.model.files import public_key
from stackwright.model.output import host_key_file

#: Time that a server needs from its start to the end of its first boot, and some margin.
WAIT_SECONDS = 600
_PAUSE_SECONDS = 10
#: Names per call (API reference of GetParameters).
_BATCH = 10

Ask = Callable[[Sequence[str]], str]


class HostKeyError(RuntimeError):
    """A host's key cannot be obtained; the message names the host and the remedy."""


def commands(environment: Environment, hosts: Sequence[str]) -> list[list[str]]:
    """Return the native commands that read what the hosts have published."""
    names = [host_key_parameter(environment.name, host) for host in hosts]
    region = environment.stack.aws.region if environment.stack.aws else ""
    base = ["aws", "ssm", "get-parameters", "--region", region, "--output", "json", "--names"]
    return [[*base, *names[start : start + _BATCH]] for start in range(0, len(names), _BATCH)]


def record(
    environment: Environment, output: Mapping[str, Any], ask: Ask, *, seconds: float = WAIT_SECONDS
) -> list[str]:
    """Write the key of every host of `output` that publishes it to the state directory; return the hosts.

    Wait until each has booted. Raises HostKeyError if one has not booted in time, or publishes an invalid key.
    """
    waiting = {
        name: str(host["instance_id"]) for name, host in output["hosts"].items() if host["connection"].get("through")
    }
    hosts, deadline = list(waiting), time.monotonic() + seconds
    while waiting:
        published = _published(environment, ask, list(waiting))
        for host, instance in list(waiting.items()):
            key = _key(host, instance, published.get(host_key_parameter(environment.name, host), UNPUBLISHED))
            if key is not None:
                state_files.write(host_key_file(environment, host), f"{key}\n", mode=0o644)
                del waiting[host]
        if waiting and time.monotonic() >= deadline:
            raise HostKeyError(
                f"{', '.join(waiting)} did not publish a host key within {seconds:g} s: look at the first boot"
                " (`aws ec2 get-console-output --latest --instance-id ...`), then run the same command again"
            )
        if waiting:
            time.sleep(min(_PAUSE_SECONDS, seconds))
    return hosts


def ask_aws(argv: Sequence[str]) -> str:
    """Run a command of the AWS CLI. Raises HostKeyError if the CLI is missing or the command is refused."""
    try:
        return aws_cli.ask(argv)
    except aws_cli.AwsCliError as error:
        raise HostKeyError(str(error)) from error


def _published(environment: Environment, ask: Ask, hosts: Sequence[str]) -> dict[str, str]:
    answers = [json.loads(ask(argv)) for argv in commands(environment, hosts)]
    return {parameter["Name"]: parameter["Value"] for answer in answers for parameter in answer["Parameters"]}


def _key(host: str, instance: str, value: str) -> str | None:
    """Return the key that a host has published; None if it has not published one yet."""
    if value == UNPUBLISHED:
        return None
    try:
        publication = json.loads(value)
        named, key = str(publication["instance_id"]), str(publication["host_key"])
    except (ValueError, KeyError, TypeError) as error:
        raise HostKeyError(f"{host} published what is no host key: {value[:80]!r}") from error
    if named != instance:
        return None
    try:
        return public_key(key)
    except ValidationError as error:
        raise HostKeyError(f"{host} published what is no host key: {key[:80]!r}") from error
