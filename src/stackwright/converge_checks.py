"""Checks whether a run may change a host: it has the host's secrets, and nothing newer was converged to the host."""

from __future__ import annotations

import getpass
import platform
import re
import subprocess
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def fingerprints(pem: str) -> list[str]:
    """Return the SHA-256 fingerprint of each certificate in a PEM text."""
    certificates = (x509.load_pem_x509_certificate(text.encode()) for text in _CERTIFICATE.findall(pem))
    return [certificate.fingerprint(hashes.SHA256()).hex() for certificate in certificates]


def commit(project: Path) -> str | None:
    """Return the commit that is checked out; None if the project is not in git."""
    return _git(project, "rev-parse", "--verify", "HEAD") or None


def new_record(environment: str, project: Path, secrets: Collection[str]) -> dict[str, Any]:
    """Return the record that a converge leaves on each host: user, time, commit, and the names of its secrets."""
    return {
        "environment": environment,
        "commit": commit(project),
        "by": f"{getpass.getuser()} on {platform.node()}",
        "at": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "secrets": sorted(secrets),
    }


def problems(
    project: Path,
    record: Mapping[str, Any],
    ca: str,
    host: Mapping[str, Any],
    *,
    needed: Collection[str],
    allow_older: bool,
) -> list[str]:
    """Return why a run must not change a host.

    `record` is the run's own, `ca` the CA certificates in its vault, `needed` the secrets that the environment uses,
    `host` the state of the host: `trusted` and `converged`.
    """
    reasons = []
    trusted, known = fingerprints(host["trusted"]), fingerprints(ca)
    if trusted and set(trusted) & set(known) and known[0] not in trusted:
        reasons.append(
            "it does not trust yet the CA that signs; fix: replace the CA by `stackwright rotate-ca`, which adds the new"
            " one first"
        )
    elif trusted and known[0] not in trusted:
        reasons.append(
            f"it trusts another CA of {record['environment']} than the one in the vault here: these are not its secrets"
            f" (SHA-256 {trusted[0][:16]} there, {known[0][:16]} here);"
            " fix: use the vault file of the environment (docs/how-to/share-an-environment.md)"
        )
    converged = host["converged"] or {}
    lost = sorted((set(converged.get("secrets", [])) & set(needed)) - set(record["secrets"]))
    if lost:
        reasons.append(
            f"it uses secrets that the vault here has lost: {', '.join(lost)}; fix: restore the newest copy of the vault"
        )
    last = converged.get("commit")
    if last and not allow_older and not _contains(project, record["commit"], last):
        reasons.append(
            f"it was converged from commit {last[:12]} by {converged.get('by')} at {converged.get('at')}, which the"
            f" checkout here ({(record['commit'] or 'not in git')[:12]}) does not contain, so that this run would take"
            " changes back; fix: git pull, or allow it: stackwright converge --allow-older"
            " (ansible-playbook -e stackwright_allow_older=true)"
        )
    return reasons


def _contains(project: Path, current: str | None, last: str) -> bool:
    if current is None:
        return False
    command = ["git", "-C", str(project), "merge-base", "--is-ancestor", last, current]
    return current == last or subprocess.run(command, capture_output=True, check=False).returncode == 0


def _git(project: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(project), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
