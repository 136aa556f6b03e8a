"""Records the host keys that servers of AWS publish about themselves, so that nobody has to trust a first connection.

A host writes its public key and its instance's id to a parameter that only its own role may write; who may read it is
known to AWS. A parameter that names another instance is that of a predecessor, and is not believed.
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

#: What a server needs from its start to the end of its first boot, and some time more.
WAIT_SECONDS = 600
_PAUSE_SECONDS = 10
#: Names that one call takes (API reference of GetParameters).
_BATCH = 10

Ask = Callable[[Sequence[str]], str]


class HostKeyError(RuntimeError):
    """A host's key cannot be had; the message names the host and the remedy."""


def commands(environment: Environment, hosts: Sequence[str]) -> list[list[str]]:
    """The native commands that read what the hosts have published."""
    names = [host_key_parameter(environment.name, host) for host in hosts]
    region = environment.stack.aws.region if environment.stack.aws else ""
    base = ["aws", "ssm", "get-parameters", "--region", region, "--output", "json", "--names"]
    return [[*base, *names[start : start + _BATCH]] for start in range(0, len(names), _BATCH)]


def record(
    environment: Environment, output: Mapping[str, Any], ask: Ask, *, seconds: float = WAIT_SECONDS
) -> list[str]:
    """Write the key of every host of `output` that publishes it into the state folder; return the hosts.

    Waits until each has booted. Raises HostKeyError where one has not in time, or publishes what is no key.
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
    """Run a command of the AWS CLI. Raises HostKeyError where it is missing or refused."""
    try:
        return aws_cli.ask(argv)
    except aws_cli.AwsCliError as error:
        raise HostKeyError(str(error)) from error


def _published(environment: Environment, ask: Ask, hosts: Sequence[str]) -> dict[str, str]:
    answers = [json.loads(ask(argv)) for argv in commands(environment, hosts)]
    return {parameter["Name"]: parameter["Value"] for answer in answers for parameter in answer["Parameters"]}


def _key(host: str, instance: str, value: str) -> str | None:
    """The key that a host has published; None as long as it has not."""
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
