"""Checks whether an existing certificate and key can serve a site: the same code in `validate` and in the role."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization


class Fault(NamedTuple):
    """A problem of one of the two files; contains no value of the key."""

    file: Literal["certificate", "key"]
    message: str
    accepted: str


_CHAIN = "the full chain in PEM: the certificate of the site first, then each certificate that signed the one before"


def faults(
    certificate: Path,
    key: Path,
    names: Iterable[str],
    *,
    ca: Path | None = None,
    now: datetime.datetime | None = None,
) -> list[Fault]:
    """Return why the files cannot serve `names`; `ca` holds CA certificates that may be left out of the chain."""
    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        anchors = x509.load_pem_x509_certificates(ca.read_bytes()) if ca is not None else []
    except (ValueError, OSError):
        return [Fault("certificate", "holds no certificate", _CHAIN), *_key_faults(key, None)]
    moment = now or datetime.datetime.now(datetime.UTC)
    return [*_chain_faults(chain, anchors), *_leaf_faults(chain[0], names, moment), *_key_faults(key, chain[0])]


def _chain_faults(chain: list[x509.Certificate], anchors: list[x509.Certificate]) -> Iterator[Fault]:
    for lower, upper in pairwise(chain):
        if not _signed(lower, upper):
            name = lower.subject.rfc4514_string()
            yield Fault("certificate", f"has a chain that is broken after {name}", _CHAIN)
            return
    last = chain[-1]
    if anchors and last not in anchors and not any(_signed(last, anchor) for anchor in anchors):
        yield Fault("certificate", "has a chain that does not lead to its CA", _CHAIN)
    elif not anchors and len(chain) == 1 and last.subject != last.issuer:
        issuer = last.issuer.rfc4514_string()
        yield Fault("certificate", f"lacks the certificate of its issuer {issuer}: not every client gets it", _CHAIN)


def _leaf_faults(leaf: x509.Certificate, names: Iterable[str], moment: datetime.datetime) -> Iterator[Fault]:
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not begin <= moment < end:
        yield Fault("certificate", f"is valid from {begin:%F} to {end:%F}, not now", "a certificate that is valid now")
    covered = _names(leaf)
    missing = sorted(name for name in {name.lower() for name in names} if not _covers(covered, name))
    if missing:
        yield Fault("certificate", f"does not cover {', '.join(missing)}", "a certificate for every name of the sites")


def _key_faults(key: Path, leaf: x509.Certificate | None) -> Iterator[Fault]:
    accepted = "the private key of the certificate in PEM, without a passphrase"
    try:
        private = serialization.load_pem_private_key(key.read_bytes(), None)
    except TypeError:
        yield Fault("key", "is encrypted with a passphrase, which no server could enter", accepted)
        return
    except (ValueError, OSError):
        yield Fault("key", "holds no private key", accepted)
        return
    if leaf is not None and private.public_key() != leaf.public_key():
        yield Fault("key", "does not belong to the certificate", accepted)


def _signed(lower: x509.Certificate, upper: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(leaf: x509.Certificate) -> set[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return addresses | {name.lower() for name in names.get_values_for_type(x509.DNSName)}


def _covers(covered: set[str], name: str) -> bool:
    return name in covered or f"*.{name.partition('.')[2]}" in covered
