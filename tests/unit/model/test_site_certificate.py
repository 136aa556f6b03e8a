"""A certificate that was made elsewhere: what cannot serve is named, by `validate` with its line and by the role."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackwright.ansible.filter import tls
from stackwright.model import site_certificate
from stackwright.testing.certificates import Key, certificate, certificate_pem, key_pem, new_key

NAMES = ("clinic.example", "www.clinic.example")


def signed(
    subject: str, key: Key, issuer: str, signer: Key, *, days: int = 30, names: tuple[str, ...] = NAMES
) -> bytes:
    return certificate_pem(certificate(subject, key, issuer, signer, names=names, days=days, begins=days - 90))


LEAF, MIDDLE, OTHER = (new_key() for _ in range(3))
INTERMEDIATE = signed("middle", MIDDLE, "root", OTHER)
GOOD = signed("clinic", LEAF, "middle", MIDDLE)


@pytest.mark.parametrize(
    ("certificate", "key", "file", "message"),
    [
        (GOOD + INTERMEDIATE, key_pem(OTHER), "key", "does not belong to the certificate"),
        (GOOD + INTERMEDIATE, key_pem(LEAF, b"word"), "key", "is encrypted with a passphrase"),
        (GOOD + INTERMEDIATE, b"text", "key", "holds no private key"),
        (GOOD + INTERMEDIATE, GOOD, "key", "holds no private key"),
        (b"text", key_pem(LEAF), "certificate", "holds no certificate"),
        (GOOD, key_pem(LEAF), "certificate", "lacks the certificate of its issuer CN=middle"),
        (GOOD + signed("middle", OTHER, "root", OTHER), key_pem(LEAF), "certificate", "is broken after CN=clinic"),
        (INTERMEDIATE + GOOD, key_pem(MIDDLE), "certificate", "is broken after CN=middle"),
        (signed("x", LEAF, "middle", MIDDLE, days=-1) + INTERMEDIATE, key_pem(LEAF), "certificate", "not now"),
        (signed("x", LEAF, "middle", MIDDLE, days=120) + INTERMEDIATE, key_pem(LEAF), "certificate", "not now"),
        (
            *(signed("x", LEAF, "middle", MIDDLE, names=NAMES[:1]) + INTERMEDIATE, key_pem(LEAF)),
            *("certificate", "does not cover www.clinic.example"),
        ),
    ],
)
def test_what_cannot_serve_is_named(tmp_path: Path, certificate: bytes, key: bytes, file: str, message: str) -> None:
    paths = tmp_path / "site.pem", tmp_path / "site.key"
    for path, content in zip(paths, (certificate, key), strict=True):
        path.write_bytes(content)
    found = site_certificate.faults(*paths, NAMES)
    assert [(fault.file, message in fault.message) for fault in found] == [(file, True)], found
    entry = {"certificate_file": str(paths[0]), "key_file": str(paths[1]), "dns": list(NAMES)}
    (shown,) = tls.tls_file_faults(entry)
    assert shown.startswith(f"{paths[file == 'key']} {found[0].message}; must be ")


@pytest.mark.parametrize(
    "certificate",
    [
        GOOD + INTERMEDIATE,
        signed("x", LEAF, "x", LEAF),
        signed("x", LEAF, "middle", MIDDLE, names=("Clinic.example", "*.clinic.example")) + INTERMEDIATE,
    ],
    ids=["chain", "self-signed", "wildcard"],
)
def test_what_serves_is_accepted(tmp_path: Path, certificate: bytes) -> None:
    (tmp_path / "site.pem").write_bytes(certificate)
    (tmp_path / "site.key").write_bytes(key_pem(LEAF))
    assert site_certificate.faults(tmp_path / "site.pem", tmp_path / "site.key", NAMES) == []


def test_a_ca_that_clients_have_may_be_left_out(tmp_path: Path) -> None:
    for name, content in {
        "site.pem": GOOD,
        "site.key": key_pem(LEAF),
        "ca.pem": INTERMEDIATE,
        "other.pem": signed("y", OTHER, "y", OTHER),
    }.items():
        (tmp_path / name).write_bytes(content)
    files = tmp_path / "site.pem", tmp_path / "site.key"
    assert site_certificate.faults(*files, NAMES, ca=tmp_path / "ca.pem") == []
    (fault,) = site_certificate.faults(*files, NAMES, ca=tmp_path / "other.pem")
    assert "does not lead to its CA" in fault.message
