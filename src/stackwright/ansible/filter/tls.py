"""Filters of the role `tls`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stackwright.model import site_certificate


def tls_file_faults(certificate: Mapping[str, Any]) -> list[str]:
    """Return why the files of an entry of `tls_certificates` cannot serve it; they are on the controller."""
    ca = certificate.get("ca_file")
    files = {"certificate": str(certificate["certificate_file"]), "key": str(certificate["key_file"])}
    names = [*certificate.get("dns", []), *certificate.get("ip", [])]
    found = site_certificate.faults(
        Path(files["certificate"]), Path(files["key"]), names, ca=Path(str(ca)) if ca else None
    )
    return [f"{files[fault.file]} {fault.message}; must be {fault.accepted}" for fault in found]


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"tls_file_faults": tls_file_faults}
