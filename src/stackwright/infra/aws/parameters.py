"""Parameter in which a host publishes its public host key: shared by the code that creates, writes and reads it."""

from __future__ import annotations

from stackwright.model.aws import names

#: Value of a host key's parameter until the host has booted.
UNPUBLISHED = "unpublished"


def host_key_parameter(environment: str, host: str) -> str:
    """Return the name of the parameter.

    The value is `{"instance_id": "i-...", "host_key": "ssh-ed25519 ..."}`. A reader compares `instance_id` with the one
    that the stack has created: a host that was replaced leaves its old key there until the new one has booted.
    """
    return names.name("parameter", "/stackwright", environment, "host-keys", host)
