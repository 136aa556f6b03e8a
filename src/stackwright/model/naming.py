"""Names: each is made in one place, and each is known to fit where it is used."""

from __future__ import annotations

import hashlib
import re

#: The longest host name that every part of the stack takes (Linux allows 64, DNS 63).
HOST_NAME_LIMIT = 63

ENVIRONMENT_NAME = re.compile(r"[a-z][a-z0-9-]{0,38}")


def host_name(tier: str, number: int) -> str:
    """The host's name by tier and number from 1: `app2`, `db1`."""
    return f"{'db' if tier == 'database' else tier}{number}"


def internal_domain(environment: str) -> str:
    """The domain of names that only the environment's hosts know."""
    return f"{environment}.internal"


def fqdn(host: str, environment: str) -> str:
    """The host's full name inside its environment."""
    return f"{host}.{internal_domain(environment)}"


def bounded(*parts: str, limit: int, separator: str = "-") -> str:
    """The parts joined; where that is longer than `limit`, cut and made unique again by a hash."""
    name = separator.join(parts)
    if len(name) <= limit:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - len(mark) - 1].rstrip('-' + separator)}-{mark}"
