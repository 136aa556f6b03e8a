"""Short-lived certificates for tests and for bench, self-signed or signed by one another."""

from __future__ import annotations

import datetime
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    """Return an ECDSA P-256 key, the type that the environments' own CA certifies."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    subject: str,
    key: Key,
    issuer: str | None = None,
    signer: Key | None = None,
    *,
    names: tuple[str, ...] = (),
    addresses: tuple[str, ...] = (),
    ca: bool | None = None,
    days: float = 1,
    begins: float = -1,
) -> x509.Certificate:
    """Return a certificate that is valid from `begins` to `days`, in days from now.

    Without a signer it is self-signed. If `ca` is None, it does not state whether it is a CA.
    """
    now = datetime.datetime.now(datetime.UTC)
    subject_name, issuer_name = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in (subject, issuer or subject)
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject_name)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=min(begins, days - 1)))
        .not_valid_after(now + datetime.timedelta(days=days))
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    if names or addresses:
        alternatives = [*map(x509.DNSName, names), *(x509.IPAddress(ip_address(address)) for address in addresses)]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(signer or key, hashes.SHA256())


def self_signed(subject: str, *, addresses: tuple[str, ...] = (), days: float = 1) -> tuple[bytes, bytes]:
    """Return a self-signed CA certificate for a host name or for addresses, and its key, both in PEM format."""
    key = new_key()
    made = certificate(subject, key, names=() if addresses else (subject,), addresses=addresses, ca=True, days=days)
    return certificate_pem(made), key_pem(key)


def certificate_pem(made: x509.Certificate) -> bytes:
    """Return a certificate in PEM format."""
    return made.public_bytes(serialization.Encoding.PEM)


def key_pem(key: Key, password: bytes | None = None) -> bytes:
    """Return a private key in PEM format, encrypted if a password is given."""
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
