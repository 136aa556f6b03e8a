"""Checks of single values, shared by all resources: functions for `Input.accepts`."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable

_NAME = re.compile(r"[a-z][a-z0-9-]{0,61}[a-z0-9]|[a-z]")
_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


def name(value: str) -> str | None:
    """Check a host or environment name: one DNS label."""
    return None if _NAME.fullmatch(value) else f"{value!r} is not a name: lower-case letters, digits and -, at most 63"


def ipv4(value: str) -> str | None:
    """Check an IPv4 address."""
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return f"{value!r} is not an IPv4 address"
    return None


def cidr(value: str) -> str | None:
    """Check a private IPv4 network with room for at least one host in addition to the gateway."""
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        return f"{value!r} is not an IPv4 network such as 10.77.0.0/24"
    if network.prefixlen > 29:
        return f"{value} has no room for hosts: /29 or larger is needed"
    return None if network.is_private else f"{value} is public address space; choose a private network"


def between(low: float, high: float) -> Callable[[float], str | None]:
    """Return a check of a number within bounds, both included."""

    def check(value: float) -> str | None:
        return None if low <= value <= high else f"{value:g} is not between {low:g} and {high:g}"

    return check


def public_key(value: str) -> str | None:
    """Check an OpenSSH public key, `type base64`, without leading options."""
    parts = value.split()
    if len(parts) < 2 or parts[0] not in _KEY_TYPES:
        return f"not an OpenSSH public key of type {', '.join(_KEY_TYPES)}"
    try:
        decoded = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError):
        return "the key's second field is not base64"
    return None if decoded[4:].startswith(parts[0].encode()) else f"the key is not of the type {parts[0]} that it names"


def public_keys(value: list[str]) -> str | None:
    """Check a list of at least one OpenSSH public key."""
    if not value:
        return "at least one key is needed, or nobody can log in"
    for position, key in enumerate(value):
        if reason := public_key(key):
            return f"[{position}]: {reason}"
    return None
