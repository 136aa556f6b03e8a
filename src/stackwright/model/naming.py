"""Names: each is defined in one place, and each is known to fit where it is used."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stackwright.model.system import Site

#: The longest host name that every part of the stack accepts (Linux allows 64, DNS 63).
HOST_NAME_LIMIT = 63

ENVIRONMENT_NAME = re.compile(r"[a-z][a-z0-9-]{0,38}")


def host_name(tier: str, number: int) -> str:
    """Return the host's name by tier and number from 1: `app2`, `db1`."""
    return f"{'db' if tier == 'database' else tier}{number}"


def internal_domain(environment: str) -> str:
    """Return the domain of names that only the environment's hosts resolve."""
    return f"{environment}.internal"


def fqdn(host: str, environment: str) -> str:
    """Return the host's full name inside its environment."""
    return f"{host}.{internal_domain(environment)}"


def site_names(site: Site, domain: str, aliases: tuple[str, ...]) -> tuple[str, ...]:
    """Return the host names that a site responds to."""
    if site.subdomain is not None:
        return (f"{site.subdomain}.{domain}",)
    named = (domain,) if "domain" in site.host_names else ()
    return named + (aliases if "aliases" in site.host_names else ())


def bounded(*parts: str, limit: int, separator: str = "-") -> str:
    """Return the joined parts; a name longer than `limit` is cut and made unique again by a hash."""
    name = separator.join(parts)
    if len(name) <= limit:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - len(mark) - 1].rstrip('-' + separator)}-{mark}"
