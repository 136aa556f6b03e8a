"""Access to PostgreSQL: lines of pg_hba.conf and SCRAM verifiers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_VERIFIER = re.compile(r"^SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$")
_NAME = re.compile(r"^[a-z_][a-z0-9_-]{0,62}$")
#: PostgreSQL's own default; RFC 7677 requires at least this.
_ITERATIONS = 4096


def scram_verifier(password: str, stored: str | None = None) -> str:
    """Return what PostgreSQL stores for `password`; `stored` itself if it already belongs to this password.

    The verifier is sent instead of the password, so that the password cannot appear in a log of the server. It is
    compared without a login, so that a converge that changes nothing reports no change.
    """
    if not password.isascii() or not password.isprintable():
        # Other passwords need SASLprep; a difference between the two implementations would prevent the login.
        raise ValueError("a database password has to consist of printable ASCII characters")
    match = _VERIFIER.match(stored or "")
    if match is not None and stored is not None:
        salt, iterations = base64.b64decode(match[2]), int(match[1])
        if hmac.compare_digest(_verifier(password, salt, iterations), stored):
            return stored
    return _verifier(password, secrets.token_bytes(16), _ITERATIONS)


def _verifier(password: str, salt: bytes, iterations: int) -> str:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored_key)}:{_base64(server_key)}"


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


_ATTRIBUTES = ("CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS")


def role_flags(role: Mapping[str, Any]) -> str:
    """Return the attributes of a role, each one explicitly: attributes that are no longer configured are revoked."""
    attributes = role.get("attributes") or []
    flags = [name if name in attributes else f"NO{name}" for name in _ATTRIBUTES]
    return ",".join(["NOSUPERUSER", *flags, "LOGIN" if role.get("password") else "NOLOGIN"])


def hba_lines(
    *,
    members: Iterable[str],
    replication_user: str,
    rewind_user: str,
    roles: Sequence[Mapping[str, Any]],
    rules: Sequence[Mapping[str, Any]] = (),
) -> list[str]:
    """Return the lines of pg_hba.conf: TLS and SCRAM for all network connections, and nothing that is not configured.

    `members` are the addresses of the database hosts. A role of `roles` may connect from its `networks` to its
    `databases`; `rules` are further {user, database, network}.
    """
    lines = ["local all postgres peer"]
    for address in members:
        lines.append(f"hostssl replication {_name(replication_user)} {_network(address)} scram-sha-256")
        lines.append(f"hostssl postgres {_name(rewind_user)} {_network(address)} scram-sha-256")
    granted = [
        {"user": role["name"], "database": database, "network": network}
        for role in roles
        if role.get("state", "present") == "present"
        for database in role.get("databases") or []
        for network in role.get("networks") or []
    ]
    lines.extend(
        f"hostssl {_name(rule['database'])} {_name(rule['user'])} {_network(rule['network'])} scram-sha-256"
        for rule in [*granted, *rules]
    )
    return [*lines, "local all all reject", "host all all all reject", "host replication all all reject"]


def _name(name: str) -> str:
    """Return the name quoted as a literal: pg_hba gives `all`, `+group` and others a special meaning."""
    if not _NAME.match(name) or name in {"all", "sameuser", "samerole", "samegroup", "replication"}:
        raise ValueError(f"{name!r} is not a plain database or role name (a-z, 0-9, _ and -)")
    return f'"{name}"'


def _network(network: str) -> str:
    return str(ipaddress.ip_network(network))
