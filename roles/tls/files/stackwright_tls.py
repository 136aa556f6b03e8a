#!/usr/bin/python3
"""Manage this host's certificates as requested in /etc/stackwright/tls.json.

Each pair of key and chain has its own directory under `.versions`. Services read it through a symbolic link that is
replaced by one rename, so they always see a matching pair, also after a crash at any point. Private keys of the
internal issuer are created here and never leave the host; `request` returns only signing requests.
"""

from __future__ import annotations

import argparse
import fcntl
import grp
import hashlib
import ipaddress
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONFIG = Path(os.environ.get("STACKWRIGHT_TLS_CONFIG", "/etc/stackwright/tls.json"))
ROOT = Path(os.environ.get("STACKWRIGHT_TLS_ROOT", "/etc/stackwright/tls"))
STATE = Path(os.environ.get("STACKWRIGHT_TLS_STATE", "/var/lib/stackwright/tls"))
ANCHORS = Path(os.environ.get("STACKWRIGHT_TLS_ANCHORS", "/usr/local/share/ca-certificates"))
BUNDLE = Path(os.environ.get("STACKWRIGHT_TLS_BUNDLE", "/etc/ssl/certs/ca-certificates.crt"))
PLACEHOLDER = "stackwright placeholder"
#: Used for a load balancer that does not verify certificates; the longest lifetime that common clients accept.
SELF_SIGNED, SELF_SIGNED_DAYS = "stackwright self-signed", 825
PLACEHOLDER_PATIENCE = timedelta(hours=1)
RENEW_PERCENT = 33
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.S)
#: The description of a change, and the function that applies it.
Step = tuple[str, Callable[[], object]]


class TlsError(Exception):
    """An error that is shown to the operator; its message states the remedy and contains no secret."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """One certificate as requested in tls.json."""

    name: str
    issuer: str
    dns: tuple[str, ...] = ()
    ip: tuple[str, ...] = ()
    common_name: str = ""
    reload: tuple[str, ...] = ()

    @classmethod
    def read(cls, raw: dict[str, Any]) -> Wanted:
        dns, ip, units = (tuple(raw[key]) for key in ("dns", "ip", "reload"))
        common_name = raw.get("common_name", "")
        return cls(name=raw["name"], issuer=raw["issuer"], dns=dns, ip=ip, common_name=common_name, reload=units)

    @property
    def group(self) -> str:
        return f"tls-{self.name}"

    @property
    def link(self) -> Path:
        return ROOT / self.name

    @property
    def versions(self) -> Path:
        return ROOT / ".versions" / self.name

    @property
    def former_versions(self) -> list[Path]:
        return [path for path in self.versions.glob("*") if path != self.link.resolve()]

    @property
    def pending_key(self) -> Path:
        return ROOT / ".pending" / f"{self.name}.key"

    @property
    def names(self) -> frozenset[str]:
        addresses = {f"IP:{ipaddress.ip_address(address)}" for address in self.ip}
        return frozenset({f"DNS:{domain.lower()}" for domain in self.dns} | addresses)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The content of tls.json."""

    certificates: tuple[Wanted, ...]
    ca_certificate: bytes
    validity_days: int
    warning_percent: int
    trust_file: str
    acme: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path = CONFIG) -> Config:
        raw: dict[str, Any] = json.loads(path.read_text())
        return cls(
            certificates=tuple(Wanted.read(entry) for entry in raw["certificates"]),
            ca_certificate=(raw["ca_certificate"].strip() + "\n").encode() if raw["ca_certificate"] else b"",
            validity_days=raw["validity_days"],
            warning_percent=raw["warning_percent"],
            trust_file=raw["trust_file"],
            acme=raw.get("acme", {}),
        )

    def of_issuer(self, issuer: str) -> list[Wanted]:
        return [spec for spec in self.certificates if spec.issuer == issuer]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A private key with its chain (leaf first) and the matching CA certificates, as PEM."""

    key: bytes
    chain: bytes
    ca: bytes

    @classmethod
    def read(cls, folder: Path) -> Pair:
        return cls(
            key=(folder / "tls.key").read_bytes(),
            chain=(folder / "tls.crt").read_bytes(),
            ca=(folder / "ca.crt").read_bytes(),
        )

    @property
    def identity(self) -> str:
        return hashlib.sha256(b"\0".join((self.key, self.chain, self.ca))).hexdigest()[:20]

    @property
    def leaf(self) -> x509.Certificate:
        return certificates(self.chain)[0]

    @property
    def key_matches(self) -> bool:
        try:
            key = serialization.load_pem_private_key(self.key, None)
        except (ValueError, TypeError):
            raise TlsError("the private key cannot be read: it is damaged, or has a passphrase") from None
        return public_bytes(key.public_key()) == public_bytes(self.leaf.public_key())


def certificates(pem: bytes) -> list[x509.Certificate]:
    """Return all certificates of a PEM text; Debian 12's library has no `load_pem_x509_certificates` yet."""
    parsed = [x509.load_pem_x509_certificate(block) for block in PEM.findall(pem)]
    if not parsed:
        raise TlsError("no certificate in PEM form found")
    return parsed


def public_bytes(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded


def lifetime(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    """Return begin and end in UTC; the library of Debian 12 and Ubuntu 24.04 has no `_utc` properties yet."""
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return certificate.not_valid_before.replace(tzinfo=UTC), certificate.not_valid_after.replace(tzinfo=UTC)


def percent_left(certificate: x509.Certificate, now: datetime) -> float:
    begin, end = lifetime(certificate)
    return 100 * (end - now) / (end - begin)


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    dns = {f"DNS:{domain.lower()}" for domain in names.get_values_for_type(x509.DNSName)}
    return frozenset(dns | {f"IP:{address}" for address in names.get_values_for_type(x509.IPAddress)})


def covers(have: Iterable[str], name: str) -> bool:
    """Return whether the certificate covers this name, directly or by a wildcard for its first label."""
    have = set(have)
    return name in have or (name.startswith("DNS:") and f"DNS:*.{name[4:].partition('.')[2]}" in have)


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    key = issuer.public_key()
    digest = certificate.signature_hash_algorithm
    try:
        if isinstance(key, rsa.RSAPublicKey) and digest:
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey) and digest:
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(digest))
        else:  # Ed25519 and Ed448 bring their own digest
            key.verify(certificate.signature, certificate.tbs_certificate_bytes)  # type: ignore[union-attr,call-arg]
    except InvalidSignature:
        return False
    return True


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise TlsError(f"{' '.join(command)} failed: {result.stdout}{result.stderr}")
    return result.stdout


def utc_now() -> datetime:
    return datetime.now(UTC)


# --- existing certificates ---------------------------------------------------------------------------------------


def current(spec: Wanted) -> Pair | None:
    try:
        return Pair.read(spec.link)
    except FileNotFoundError:
        return None


def is_placeholder(pair: Pair) -> bool:
    subject = pair.leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return bool(subject) and subject[0].value == PLACEHOLDER


def reasons_to_issue(spec: Wanted, config: Config, now: datetime) -> list[str]:
    """Return the reasons for a new certificate of the internal issuer; empty if the existing one is sufficient."""
    pair = current(spec)
    if pair is None:
        return ["there is none"]
    try:
        leaf, matches = pair.leaf, pair.key_matches
    except (ValueError, TlsError):
        return ["it cannot be read"]
    ca = certificates(config.ca_certificate)[0]
    begin, end = lifetime(leaf)
    tests = {
        "key and certificate do not match": not matches,
        "other names are wanted": names_of(leaf) != spec.names
        or (spec.issuer == "internal" and leaf.subject != requested_subject(spec)),
        "it is of another CA": not is_issued_by(leaf, ca),
        "another lifetime is wanted": round((end - begin) / timedelta(days=1)) != config.validity_days,
        "less than a third of its life is left": percent_left(leaf, now) < RENEW_PERCENT,
    }
    return [reason for reason, applies in tests.items() if applies]


# --- creating ----------------------------------------------------------------------------------------------------


def new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def subject(spec: Wanted, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, (*spec.dns, *spec.ip)[0][:64])]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def alternative_names(spec: Wanted) -> x509.SubjectAlternativeName:
    dns = [x509.DNSName(domain) for domain in spec.dns]
    return x509.SubjectAlternativeName([*dns, *(x509.IPAddress(ipaddress.ip_address(address)) for address in spec.ip)])


def key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def requested_subject(spec: Wanted) -> x509.Name:
    # No common name unless requested: etcd treats it as a user and rejects it, pgBackRest identifies its peers by it,
    # and all others use the alternative names.
    parts = [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, spec.name[:64])]
    if spec.common_name:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, spec.common_name))
    return x509.Name(parts)


def signing_request(spec: Wanted, key: bytes) -> str:
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(requested_subject(spec))
        .add_extension(alternative_names(spec), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(), critical=True)
        .add_extension(usage, critical=False)
        .sign(private(key), hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM).decode()


def private(key: bytes) -> Any:
    return serialization.load_pem_private_key(key, None)


def placeholder(spec: Wanted) -> Pair:
    """Return a placeholder, without which the edge could not start and answer the ACME server's challenge."""
    return self_signed(spec, PLACEHOLDER, 90)


def self_signed(spec: Wanted, organization: str, days: int) -> Pair:
    key, now = new_key(), utc_now()
    name = subject(spec, organization)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private(key).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(alternative_names(spec), critical=False)
        .sign(private(key), hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    return Pair(key=key, chain=certificate, ca=certificate)


# --- the store ---------------------------------------------------------------------------------------------------


def group_id(name: str) -> int:
    return grp.getgrnam(name).gr_gid if os.geteuid() == 0 else os.getegid()


def write(path: Path, content: bytes, mode: int, group: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        os.fchown(stream.fileno(), os.geteuid(), group)
        os.fchmod(stream.fileno(), mode)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def alone() -> Iterator[None]:
    """Lock the store for one process, because the ACME client's timer and a converge may run at the same time."""
    descriptor = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def swap_in(spec: Wanted, pair: Pair) -> None:
    """Write the pair next to the one in use, then switch the link, so that readers never see a mix of two pairs."""
    if not pair.key_matches:
        raise TlsError(f"{spec.name}: the private key does not belong to the certificate")
    group = group_id(spec.group)
    target = spec.versions / pair.identity
    before = current(spec)
    ca_time = (spec.link / "ca.crt").stat().st_mtime_ns if before is not None and before.ca == pair.ca else None
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True, mode=0o700)
    for name, content, mode in (
        ("tls.key", pair.key, 0o640),
        ("tls.crt", pair.chain, 0o644),
        ("ca.crt", pair.ca, 0o644),
    ):
        write(target / name, content, mode, group)
    if ca_time is not None:
        # Services that need a restart for another CA detect it by the time of this file.
        os.utime(target / "ca.crt", ns=(ca_time, ca_time))
    os.chown(target, os.geteuid(), group)
    target.chmod(0o750)
    fresh = ROOT / f".{spec.name}.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.relative_to(ROOT))
    if spec.link.is_dir() and not spec.link.is_symlink():
        shutil.rmtree(spec.link)
    fresh.replace(spec.link)
    descriptor = os.open(ROOT, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def wrong_modes(spec: Wanted) -> list[tuple[Path, int]]:
    """Return the files of the pair in use whose mode, owner or group was changed, with their correct mode."""
    folder = spec.link.resolve()
    if not folder.is_dir():
        return []
    group = group_id(spec.group)
    modes = {folder: 0o750, folder / "tls.key": 0o640, folder / "tls.crt": 0o644, folder / "ca.crt": 0o644}
    states = {path: path.stat() for path in modes if path.exists()}
    return [
        (path, modes[path])
        for path, state in states.items()
        if (state.st_mode & 0o7777, state.st_uid, state.st_gid) != (modes[path], os.geteuid(), group)
    ]


def leftovers(config: Config) -> list[Path]:
    """Return the files that no requested certificate uses: removed names, old versions, keys of completed requests."""
    specs = {spec.name: spec for spec in config.certificates}
    links = [path for path in ROOT.iterdir() if path.name not in {*specs, ".versions", ".pending"}]
    versions = [
        path
        for folder in (ROOT / ".versions").glob("*")
        for path in (specs[folder.name].former_versions if folder.name in specs else [folder])
    ]
    pending = [path for path in (ROOT / ".pending").glob("*") if path.stem not in specs]
    return links + versions + pending


def groups_left_over(config: Config) -> list[str]:
    """Return the groups of removed certificates that still own files; other `tls-` groups are not managed here."""
    primary_groups = {user.pw_gid for user in pwd.getpwall()}
    needed = {spec.group for spec in config.certificates}
    owning = {path.stat().st_gid for path in (ROOT / ".versions").glob("*/*")}
    groups = [
        group
        for group in grp.getgrall()
        if group.gr_name.startswith("tls-") and group.gr_gid in owning - primary_groups
    ]
    return [group.gr_name for group in groups if group.gr_name not in needed]


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


# --- commands ----------------------------------------------------------------------------------------------------


def request(config: Config, *, dry_run: bool) -> dict[str, Any]:
    """Return the internal certificates to be signed, with a request for each (the key stays in `.pending`)."""
    requests: list[dict[str, Any]] = []
    for spec in config.of_issuer("internal"):
        reasons = reasons_to_issue(spec, config, utc_now())
        if not reasons:
            continue
        entry: dict[str, Any] = {"name": spec.name, "reasons": reasons, "names": sorted(spec.names)}
        if not dry_run:
            spec.pending_key.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            spec.pending_key.unlink(missing_ok=True)
            write(spec.pending_key, key := new_key(), 0o600, os.getegid())
            entry["csr"] = signing_request(spec, key)
        requests.append(entry)
    due = [acme_spec.name for acme_spec in config.of_issuer("acme") if acme_is_due(acme_spec)]
    return {"requests": requests, "acme_due": due}


def acme_is_due(spec: Wanted) -> bool:
    """Return whether a certificate must be requested from the ACME server now (the timer does renewals)."""
    pair = current(spec)
    return pair is None or is_placeholder(pair) or names_of(pair.leaf) != spec.names


def self_signed_is_due(spec: Wanted, now: datetime) -> bool:
    pair = current(spec)
    if pair is None or pair.leaf.subject != subject(spec, SELF_SIGNED) or names_of(pair.leaf) != spec.names:
        return True
    return percent_left(pair.leaf, now) < RENEW_PERCENT


def check_pair(spec: Wanted, pair: Pair, now: datetime) -> None:
    """Raise TlsError for a pair that is not usable: wrong key, broken chain, not valid now, or for other names."""
    chain = certificates(pair.chain)
    if not pair.key_matches:
        raise TlsError(f"{spec.name}: the private key does not belong to the certificate")
    for lower, upper in pairwise(chain):
        if not is_issued_by(lower, upper):
            raise TlsError(f"{spec.name}: the chain is broken after {lower.subject.rfc4514_string()}")
    anchors = certificates(pair.ca)
    if chain[-1] not in anchors and not any(is_issued_by(chain[-1], anchor) for anchor in anchors):
        raise TlsError(f"{spec.name}: the chain does not lead to its CA")
    begin, end = lifetime(chain[0])
    if not begin <= now < end:
        raise TlsError(f"{spec.name}: valid from {begin:%F} to {end:%F}, not now")
    missing = sorted(name for name in spec.names if not covers(names_of(chain[0]), name))
    if missing:
        raise TlsError(f"{spec.name}: the certificate does not cover {', '.join(missing)}")


def delivered(spec: Wanted, config: Config, files: dict[str, Any]) -> Pair:
    chain = (files["certificate"].strip() + "\n").encode()
    if spec.issuer == "internal":
        return Pair(key=spec.pending_key.read_bytes(), chain=chain, ca=config.ca_certificate)
    issuers = b"\n".join(PEM.findall(chain)[1:]) or chain
    ca = (files.get("ca") or issuers.decode()).strip() + "\n"
    return Pair(key=(files["key"].strip() + "\n").encode(), chain=chain, ca=ca.encode())


def with_ca(spec: Wanted, config: Config) -> Pair | None:
    """Return the pair in use with the current CA certificates, which may change alone; None if it has them already."""
    pair = current(spec)
    if pair is None or pair.ca == config.ca_certificate:
        return None
    return Pair(key=pair.key, chain=pair.chain, ca=config.ca_certificate)


def install(config: Config, *, dry_run: bool) -> dict[str, Any]:
    """Install the certificates from standard input, repair modes and remove what is no longer needed."""
    delivery: dict[str, Any] = json.load(sys.stdin)
    with nullcontext() if dry_run else alone():
        changes = perform(list(deliveries(config, delivery)), dry_run=dry_run)
        # Only now are the previous versions unused.
        # Groups come first: a later run finds them by the remaining files of a certificate.
        steps = [(f"group {name}: removed", partial(run, "groupdel", name)) for name in groups_left_over(config)]
        steps += [(f"{path}: removed", partial(remove, path)) for path in leftovers(config)]
        changes += perform(steps, dry_run=dry_run)
    for spec in [] if dry_run else config.of_issuer("internal"):
        spec.pending_key.unlink(missing_ok=True)
    return {"changed": changes + trust(config, dry_run=dry_run)}


def deliveries(config: Config, delivery: dict[str, Any]) -> Iterator[Step]:
    """Yield the steps that install the delivered certificates and repair the modes of their files."""
    for spec in config.certificates:
        if spec.name in delivery:
            pair = delivered(spec, config, delivery[spec.name])
            check_pair(spec, pair, utc_now())
            if current(spec) != pair:
                yield f"{spec.name}: certificate replaced", partial(swap_in, spec, pair)
        elif spec.issuer == "internal" and (pair := with_ca(spec, config)) is not None:
            yield f"{spec.name}: CA certificates replaced", partial(swap_in, spec, pair)
        elif spec.issuer == "acme" and current(spec) is None:
            yield f"{spec.name}: placeholder made", partial(swap_in, spec, placeholder(spec))
        elif spec.issuer == "self_signed" and self_signed_is_due(spec, utc_now()):
            pair = self_signed(spec, SELF_SIGNED, SELF_SIGNED_DAYS)
            yield f"{spec.name}: self-signed certificate made", partial(swap_in, spec, pair)
        yield from ((f"{path}: mode repaired", partial(repair, path, mode, spec)) for path, mode in wrong_modes(spec))


def perform(steps: list[Step], *, dry_run: bool) -> list[str]:
    for _, step in [] if dry_run else steps:
        step()
    return [text for text, _ in steps]


def repair(path: Path, mode: int, spec: Wanted) -> None:
    os.chown(path, os.geteuid(), group_id(spec.group))
    path.chmod(mode)


def trust(config: Config, *, dry_run: bool) -> list[str]:
    """Keep exactly the requested trust anchor of this project in the system store; return the changes."""
    anchors = {config.trust_file: config.ca_certificate} if config.ca_certificate else {}
    changes = []
    for path in ANCHORS.glob("stackwright*.crt"):
        if path.name not in anchors:
            changes.append(f"{path}: removed")
            if not dry_run:
                path.unlink()
    for name, content in anchors.items():
        path = ANCHORS / name
        known = BUNDLE.exists() and all(block in BUNDLE.read_bytes() for block in PEM.findall(content))
        if known and path.exists() and path.read_bytes() == content:
            continue
        changes.append(f"{path}: trusted")
        if not dry_run:
            path.write_bytes(content)
            path.chmod(0o644)
    if changes and not dry_run:
        run("update-ca-certificates")
    return changes


def started(unit: str) -> tuple[bool, int]:
    """Return whether the unit is active, and since which second (0 if unknown)."""
    text = run("systemctl", "show", "--timestamp=unix", "-p", "ActiveState,InactiveExitTimestamp", unit)
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    stamp = values.get("InactiveExitTimestamp", "").lstrip("@")
    return values.get("ActiveState") in {"active", "reloading"}, int(stamp) if stamp.isdigit() else 0


def reload(config: Config, *, dry_run: bool) -> dict[str, Any]:
    """Reload the units that run with a different pair than the one on disk.

    A unit has loaded the pair if a mark was set after a successful reload, or if the unit was started after the swap.
    The next run therefore completes a run that died between swap and reload. A unit that fails to reload does not
    prevent the reload of the others.
    """
    wanting: dict[str, list[tuple[Path, str]]] = {}
    marks = set()
    for spec in config.certificates:
        for unit in spec.reload if spec.link.is_symlink() else ():
            mark, identity = STATE / "loaded" / f"{spec.name}@{unit}", spec.link.readlink().name
            marks.add(mark)
            active, since = started(unit)
            if not active or (mark.exists() and mark.read_text() == identity):
                continue
            if since <= spec.link.lstat().st_mtime + 1:
                wanting.setdefault(unit, []).append((mark, identity))
            elif not dry_run:
                set_mark(mark, identity)
    if dry_run:
        return {"changed": list(wanting)}
    faults = []
    for unit, owed in wanting.items():
        try:
            run("systemctl", "try-reload-or-restart", unit)
        except TlsError as fault:
            faults.append(str(fault))
            continue
        for mark, identity in owed:
            set_mark(mark, identity)
    for mark in set((STATE / "loaded").glob("*")) - marks:
        mark.unlink()
    if faults:
        raise TlsError("\n".join(faults))
    return {"changed": list(wanting)}


def set_mark(mark: Path, identity: str) -> None:
    mark.parent.mkdir(parents=True, exist_ok=True)
    fresh = mark.with_name(mark.name + ".new")
    fresh.write_text(identity)
    fresh.replace(mark)


def status(config: Config, *, dry_run: bool = True) -> dict[str, Any]:
    """Return for every certificate and CA certificate its end, whether it can be used, and its problems."""
    del dry_run
    now = utc_now()
    anchors = certificates(config.ca_certificate) if config.ca_certificate else []
    return {
        "certificates": [certificate_status(spec, config, now) for spec in config.certificates]
        + [anchor_status(anchor, config, now) for anchor in anchors]
    }


def certificate_status(spec: Wanted, config: Config, now: datetime) -> dict[str, Any]:
    pair = current(spec)
    if pair is None:
        return {"name": spec.name, "ends": None, "usable": False, "problems": ["there is no certificate"]}
    begin, end = lifetime(pair.leaf)
    problems = []
    if is_placeholder(pair):
        if now - begin > PLACEHOLDER_PATIENCE:
            problems.append("still the placeholder; see the journal of tls-acme.service")
    elif percent_left(pair.leaf, now) < config.warning_percent:
        problems.append(f"ends {end:%F %H:%M} UTC; converge the host to renew it")
    matches = pair.key_matches
    if not matches:
        problems.append("key and certificate do not match")
    usable = matches and begin <= now < end
    return {"name": spec.name, "ends": end.isoformat(), "usable": usable, "problems": problems}


def anchor_status(anchor: x509.Certificate, config: Config, now: datetime) -> dict[str, Any]:
    begin, end = lifetime(anchor)
    late = percent_left(anchor, now) < config.warning_percent
    problems = [f"ends {end:%F}; give the environment a new one"] if late else []
    name = f"CA {anchor.subject.rfc4514_string()}"
    return {"name": name, "ends": end.isoformat(), "usable": begin <= now < end, "problems": problems}


def check(config: Config, *, dry_run: bool) -> dict[str, Any]:
    """Fail if a certificate is about to expire, to make this visible in the journal and in the unit's state."""
    reports = status(config, dry_run=dry_run)["certificates"]
    faults = [f"{report['name']}: {problem}" for report in reports for problem in report["problems"]]
    if faults:
        raise TlsError("\n".join(faults))
    return {"checked": len(config.certificates)}


def acme(config: Config, *, dry_run: bool) -> dict[str, Any]:
    """Obtain or renew ACME certificates, install them and reload their users; a failure does not affect the others."""
    home = Path(config.acme["home"])
    faults, changes = [], []
    if not dry_run and any(map(acme_is_due, config.of_issuer("acme"))):
        require_web_server()
    for spec in config.of_issuer("acme"):
        domains = [word for name in spec.dns for word in ("-d", name)]
        command = ["certbot", "certonly", "--config", config.acme["config"], "--cert-name", spec.name, *domains]
        try:
            if not dry_run:
                run(*command)
        except TlsError as fault:
            faults.append(f"{spec.name}: {fault}")
            continue
        live = home / "live" / spec.name
        if not (live / "fullchain.pem").exists():
            continue
        pair = Pair(
            key=(live / "privkey.pem").read_bytes(),
            chain=(live / "fullchain.pem").read_bytes(),
            ca=(live / "chain.pem").read_bytes(),
        )
        check_pair(spec, pair, utc_now())
        if current(spec) != pair:
            changes.append(spec.name)
            if not dry_run:
                with alone():
                    swap_in(spec, pair)
                    # Otherwise the next converge would report the removal of the previous version as a change.
                    for path in spec.former_versions:
                        shutil.rmtree(path)
    reloaded = reload(config, dry_run=dry_run)["changed"]
    if faults:
        raise TlsError("\n".join(faults))
    return {"changed": changes + reloaded}


def require_web_server() -> None:
    """Raise TlsError if the challenge could not be answered, because CAs count failed validations."""
    try:
        socket.create_connection(("localhost", 80), timeout=5).close()
    except OSError as error:
        raise TlsError(
            f"nothing answers on port 80 of this host ({error.strerror or error}), where the authority would ask: not asked"
        ) from None


COMMANDS = {
    "request": request,
    "install": install,
    "reload": reload,
    "status": status,
    "check": check,
    "acme": acme,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    options = parser.parse_args()
    os.umask(0o022)
    try:
        print(json.dumps(COMMANDS[options.command](Config.read(), dry_run=options.dry_run)))
    except TlsError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
