"""Building blocks of the two schemas: how a class of a file is declared, and the types of its values.

Each class serves both purposes: pydantic validates it when YAML is read; inside it is a frozen keyword-only dataclass.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeVar, cast, dataclass_transform

from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

T = TypeVar("T")

_CONFIG = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(Field,))
def schema(cls: type[T]) -> type[T]:
    """Return a frozen class that pydantic checks strictly: no unknown keys, no silent conversions."""
    return cast("type[T]", dataclass(frozen=True, kw_only=True, config=_CONFIG)(cls))


def refuse(message: str, accepted: str) -> PydanticCustomError:
    """Return an error of a validator that says what would have been accepted."""
    return PydanticCustomError("refused", "{message}", {"message": message, "accepted": accepted})


def _cidr(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise refuse(f"is not an IPv4 network ({error})", "a network such as 10.87.20.0/24") from error
    if str(network) != value:
        raise refuse("is not written as a network", f"{network}")
    if not 8 <= network.prefixlen <= 29:
        raise refuse("is a network of an unusable size", "a prefix length from 8 to 29")
    return value


def _address(value: str) -> str:
    try:
        ipaddress.IPv4Address(value)
    except ValueError as error:
        raise refuse("is not an IPv4 address", "an address such as 10.87.20.11") from error
    return value


def _source(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError as error:
        raise refuse(f"is not an IPv4 network ({error})", "a network such as 203.0.113.0/24") from error
    if value not in (str(network), str(network.network_address)):
        raise refuse("is not written as a network", f"{network}")
    return value


def _proxy(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise refuse(f"is not a network ({error})", "a network such as 203.0.113.0/24 or 2001:db8::/32") from error
    if network.prefixlen < (8 if network.version == 4 else 16):
        raise refuse("is nearly everybody", "a network of a CDN or balancer, with a prefix of at least /8 (IPv6: /16)")
    return value


_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


def _domain(value: str) -> str:
    labels = value.split(".")
    good = len(value) <= 253 and len(labels) >= 2 and all(_LABEL.fullmatch(label) for label in labels)
    if not good or labels[-1].isdigit():
        raise refuse(
            "is not a domain name", "lower-case labels of letters, digits and hyphens, such as clinic.example.org"
        )
    return value


_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ssh-rsa", "sk-ssh-ed25519@openssh.com")


def _public_key(value: str) -> str:
    accepted = "a line such as `ssh-ed25519 AAAA... comment`"
    parts = value.split()
    # The text is compared with sshd's files and with what roles accept: single spaces, and nothing in front.
    if not value.isprintable() or value.split(" ")[:2] != parts[:2] or len(parts) < 2 or parts[0] not in _KEY_TYPES:
        raise refuse("is not an OpenSSH public key", accepted)
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise refuse("is not an OpenSSH public key: its body is not base64", accepted) from error
    # The body repeats its own type, after a four-byte length.
    if blob[4 : 4 + len(parts[0])].decode("ascii", "replace") != parts[0]:
        raise refuse("is not an OpenSSH public key: its body does not fit its type", accepted)
    return value


def _file(value: str) -> str:
    path = PurePosixPath(value)
    if not value.isprintable() or value != value.strip():
        raise refuse("is not a path on one line", _IN_PROJECT)
    if path.is_absolute() or ".." in path.parts or value.startswith("~"):
        raise refuse("is a path that leaves the project", "a path relative to the project's root, without `..`")
    return value


def _inside(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts:
        raise refuse("is a path that leaves the release", _IN_RELEASE)
    # Directories appear in systemd units, where words end at a space and % and $ have meanings.
    if not all(re.fullmatch(r"[A-Za-z0-9_.@+~-]{1,100}", part) and part != "." for part in value.split("/")):
        accepted = f"{_IN_RELEASE}, of letters, digits and _ . @ + ~ -"
        raise refuse("is not a path in the release", accepted)
    return value


def _line(value: str) -> str:
    if not value.isprintable() or not value.strip():
        raise refuse("is not text on one line", "printable text on one line")
    return value


def _url_path(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", value) or ".." in value.split("/"):
        raise refuse("is not a URL path", "a path such as /api/health")
    return value


def _header(value: str) -> str:
    if not re.fullmatch(r"[\x20-\x7e]+", value):
        raise refuse("is not a header value", "printable ASCII on one line")
    return value


def words(accepted: str, *, pattern: str | None = None, min_length: int | None = None) -> Any:
    """Return the annotation for what a value may be, as errors describe it; JSON Schema contains it."""
    return Field(json_schema_extra={"x-accepted": accepted}, pattern=pattern, min_length=min_length)


_NAME = "lower-case letters, digits and hyphens, a letter first, at most 30"
_IDENTIFIER = "lower-case letters, digits and underscores, a letter first, at most 30"
_IN_PROJECT = "a path relative to the project's root, without `..`"
_IN_RELEASE = "a path relative to the release, without `..`"

Name = Annotated[str, words(_NAME, pattern=r"^[a-z][a-z0-9-]{0,29}$")]
"""Name of a host, an application or a site: a valid host name everywhere."""
Identifier = Annotated[str, words(_IDENTIFIER, pattern=r"^[a-z][a-z0-9_]{0,29}$")]
"""Name of a database, a role or a cache instance."""
Parameter = Annotated[
    str,
    words(
        "a name such as work_mem or pg_stat_statements.track", pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[a-z_][a-z0-9_]*)?$"
    ),
]
"""Name of a setting of PostgreSQL."""
Extension = Annotated[str, words("an extension such as pg_trgm", pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
User = Annotated[str, words("a user name such as lena", pattern=r"^[a-z_][a-z0-9_-]{0,30}$")]
LoginUser = Annotated[str, words("a user name such as lena", pattern=r"^([a-z_][a-z0-9_-]{0,30}|Administrator)$")]
"""Name of a Linux user, or Windows' Administrator."""
Variable = Annotated[str, words("a variable such as LOG_LEVEL", pattern=r"^[A-Z][A-Z0-9_]*$")]
Line = Annotated[str, AfterValidator(_line), words("printable text on one line", min_length=1)]
HeaderName = Annotated[str, words("a header such as X-Frame-Options", pattern=r"^[A-Za-z][A-Za-z0-9-]*$")]
HeaderValue = Annotated[str, AfterValidator(_header)]
Domain = Annotated[str, AfterValidator(_domain), words("a domain name such as clinic.example.org")]
Cidr = Annotated[str, AfterValidator(_cidr), words("a network such as 10.87.20.0/24")]
SourceCidr = Annotated[str, AfterValidator(_source), words("a network such as 203.0.113.0/24")]
ProxyCidr = Annotated[str, AfterValidator(_proxy), words("a network such as 203.0.113.0/24 or 2001:db8::/32")]
Address = Annotated[str, AfterValidator(_address), words("an address such as 10.87.20.11")]
PublicKey = Annotated[str, AfterValidator(_public_key), words("a line such as `ssh-ed25519 AAAA... comment`")]
ProjectPath = Annotated[str, AfterValidator(_file), words(_IN_PROJECT, min_length=1)]
ReleasePath = Annotated[str, AfterValidator(_inside), words(_IN_RELEASE, min_length=1)]
UrlPath = Annotated[str, AfterValidator(_url_path), words("a path such as /api/health")]
Port = Annotated[int, Field(ge=1, le=65535)]
AppPort = Annotated[int, Field(ge=1024, le=65535)]
#: Above it no service counts any more.
Positive = Annotated[int, Field(ge=1, le=1_000_000)]
Seconds = Annotated[int, Field(ge=1, le=86_400)]
#: With a value below 25, Patroni silently uses its own default.
MaxConnections = Annotated[int, Field(ge=25, le=5000)]
MegaBytes = Annotated[int, Field(ge=16, le=4_194_304)]
Cpus = Annotated[int, Field(ge=1, le=1024)]
Days = Annotated[int, Field(ge=1, le=3650)]
TimeOfDay = Annotated[str, words("a time such as 02:30", pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
