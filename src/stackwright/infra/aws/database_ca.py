"""The CA of RDS's servers: no system trusts it by default, so that clients need its certificate to verify a server."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Callable

from cryptography import x509

from stackwright import state_files
from stackwright.model import topology
from stackwright.model.environment import Environment
from stackwright.model.inventory import database_ca

_TIMEOUT_SECONDS = 30

Fetch = Callable[[str], bytes]


class DatabaseCaError(RuntimeError):
    """The CA cannot be obtained; the message names the file or the address, and the remedy."""


def fetch(url: str) -> bytes:
    """Return the content of `url`, read over HTTPS. Raises DatabaseCaError."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS, context=ssl.create_default_context()) as answer:  # noqa: S310
            pem: bytes = answer.read(1 << 20)
    except OSError as problem:
        raise DatabaseCaError(f"{url} cannot be read: {problem}; or give a file: aws.database.ca_file") from None
    return pem


def ensure(environment: Environment, get: Fetch = fetch) -> None:
    """Ensure that the inventory's CA file exists: given, or the region's from AWS ("Using SSL/TLS", RDS user guide).

    Do nothing if AWS runs no database. Raises DatabaseCaError.
    """
    aws = environment.stack.aws
    if aws is None or environment.system.database is None or "database" not in topology.managed(environment.stack):
        return
    file = environment.root / database_ca(environment)
    if not file.is_file():
        text = get(f"https://truststore.pki.rds.amazonaws.com/{aws.region}/{aws.region}-bundle.pem")
        _check(file.name, text)
        state_files.write(file, text.decode("ascii"), mode=0o644)
    _check(str(file), file.read_bytes())


def _check(name: str, text: bytes) -> None:
    try:
        certificates = x509.load_pem_x509_certificates(text)
    except ValueError:
        certificates = []
    if not certificates:
        raise DatabaseCaError(f"{name} holds no certificates, accepted: PEM with the CA of the database's servers")
