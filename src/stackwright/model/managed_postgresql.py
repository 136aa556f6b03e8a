"""How a managed PostgreSQL server responds to its master user, who is not a superuser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Answer = Literal["admitted", "refused", "untrusted", "silent"]

#: Messages that follow a correct password: PostgreSQL checks these only for a role that is authenticated
#: (`InitPostgres` in src/backend/utils/init/postinit.c, after `PerformAuthentication`).
_PROVEN = (
    "permission denied for database",
    "is not permitted to log in",
    "too many connections for role",
    "too many connections for database",
    "remaining connection slots are reserved",
    "is not currently accepting connections",
)
#: Messages of the client library (libpq, fe-secure-common.c and fe-secure-openssl.c).
_UNTRUSTED = (
    "certificate verify failed",
    "does not match host name",
    "could not get server's host name from server certificate",
    "server does not support SSL",
    "root certificate file",
)
#: Attributes that a role with CREATEROLE can grant and revoke; the others are rejected even if nothing changes.
_ATTRIBUTES = ("CREATEDB", "CREATEROLE")


def answer(ping: Mapping[str, Any]) -> Answer:
    """Return the outcome of a login, from the result of community.postgresql.postgresql_ping.

    `silent` is everything that may be temporary: no server yet, a failover, or no free connection.
    """
    if ping.get("is_available"):
        return "admitted"
    text = str(ping.get("conn_err_msg", ""))
    if "password authentication failed" in text:
        return "refused"
    if any(phrase in text for phrase in _UNTRUSTED):
        return "untrusted"
    missing = 'database "' in text and "does not exist" in text
    return "admitted" if missing or any(phrase in text for phrase in _PROVEN) else "silent"


def admitted(tried: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the roles whose passwords are correct, from the results of a loop over roles."""
    return [str(ping["item"]["name"]) for ping in tried if answer(ping) == "admitted"]


def unclear(tried: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return `<role>: <server message>` for each role whose password the server neither accepted nor rejected."""
    return [
        f"{ping['item']['name']}: {str(ping.get('conn_err_msg', '')).strip()}"
        for ping in tried
        if answer(ping) not in ("admitted", "refused")
    ]


def role_flags(role: Mapping[str, Any]) -> str:
    """Return the attributes of a role that a master user can set, each one explicitly."""
    attributes = role.get("attributes") or []
    flags = [name if name in attributes else f"NO{name}" for name in _ATTRIBUTES]
    return ",".join([*flags, "LOGIN" if role.get("password") else "NOLOGIN"])


def foreign(
    roles: Sequence[str],
    databases: Iterable[Mapping[str, Any]],
    found_roles: Mapping[str, Mapping[str, Any]],
    found_databases: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Return declared roles and databases that exist already and that the master user may not change."""
    strangers = [f"role {name}" for name in roles if name in found_roles and not _ruled(found_roles[name])]
    for database in databases:
        there = found_databases.get(database["name"])
        # The owner's rights are acquired when they are needed, if the owner is one of the declared roles.
        if there is not None and not (there["usable"] or there["owner"] in roles):
            strangers.append(f"database {database['name']} of {there['owner']}")
    return strangers


def _ruled(role: Mapping[str, Any]) -> bool:
    return bool(role["admin"]) and not role["beyond"]
