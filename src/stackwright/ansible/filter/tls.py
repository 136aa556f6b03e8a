"""Filters of the role `tls`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from stackwright.model import site_certificate


def tls_file_faults(certificate: Mapping[str, Any]) -> list[str]:
    """Return why the files of an entry of `tls_certificates` cannot be used; the files are on the controller."""
    ca = certificate.get("ca_file")
    files = {"certificate": str(certificate["certificate_file"]), "key": str(certificate["key_file"])}
    names = [*certificate.get("dns", []), *certificate.get("ip", [])]
    faults = site_certificate.faults(
        Path(files["certificate"]), Path(files["key"]), names, ca=Path(str(ca)) if ca else None
    )
    return [f"{files[fault.file]} {fault.message}; must be {fault.accepted}" for fault in faults]


def tls_orders(certificates: Iterable[Mapping[str, Any]], issuer: str) -> list[dict[str, Any]]:
    """Return `tls_certificates` with all keys, as `stackwright-tls` reads them; `issuer` is the default issuer."""
    defaults = {"issuer": issuer, "dns": [], "ip": [], "common_name": "", "reload": []}
    return [
        {key: entry.get(key, default) for key, default in {"name": "", **defaults}.items()} for entry in certificates
    ]


def tls_delivery(
    signed: Iterable[Mapping[str, Any]], from_files: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, str]]:
    """Return the files for a host, by name: signed certificates, and pairs from files on the controller."""
    delivery = {
        answer["item"]["name"]: {"certificate": answer["certificate"]} for answer in signed if "certificate" in answer
    }
    for entry in from_files:
        files = {"certificate": entry["certificate_file"], "key": entry["key_file"], "ca": entry.get("ca_file")}
        delivery[entry["name"]] = {
            name: Path(str(file)).read_text().rstrip() if file else "" for name, file in files.items()
        }
    return delivery


class FilterModule:
    """The filters of the role `tls`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"tls_file_faults": tls_file_faults, "tls_orders": tls_orders, "tls_delivery": tls_delivery}
