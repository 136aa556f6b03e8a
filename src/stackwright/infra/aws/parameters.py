"""Where a host publishes its public host key: known to who makes the parameter, who writes it and who reads it."""

from __future__ import annotations

from stackwright.model.aws import names

#: What a host key's parameter holds until the host has booted.
UNPUBLISHED = "unpublished"


def host_key_parameter(environment: str, host: str) -> str:
    """The parameter's name.

    The value is `{"instance_id": "i-...", "host_key": "ssh-ed25519 ..."}`. Who reads it compares `instance_id` with the
    one that the stack has made: a host that was replaced leaves its old key there until the new one has booted.
    """
    return names.name("parameter", "/stackwright", environment, "host-keys", host)
