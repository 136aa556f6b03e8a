"""The SSH key that this machine logs in with, and how such files are written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from stackwright.infra.local.podman import generate_key, public_key


class SshKeyError(RuntimeError):
    """A key cannot be had; the message names the file and the remedy."""


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A private key's file and its public line."""

    private_key_file: Path
    public_key: str


def ensure(path: Path, *, vault: Path | None = None) -> KeyPair:
    """Return the environment's own ed25519 key; made once, and readable by its owner alone.

    `vault` is the environment's vault file: where it exists, so do hosts that admit the existing key alone.
    """
    if not path.is_file():
        require_new(path, vault)
        private, public = generate_key()
        write(path.with_name(f"{path.name}.pub"), f"{public}\n", mode=0o644)
        write(path, private, mode=0o600)
    return KeyPair(private_key_file=path, public_key=public_key(path.read_text()))


def existing(path: Path) -> KeyPair:
    """A key that the user brought; its `.pub` beside it serves where the private part has a passphrase."""
    if not path.is_file():
        raise SshKeyError(f"the private key {path} is not there")
    beside = path.with_name(f"{path.name}.pub")
    if beside.is_file():
        return KeyPair(private_key_file=path, public_key=" ".join(beside.read_text().split()[:2]))
    try:
        return KeyPair(private_key_file=path, public_key=public_key(path.read_text()))
    except (ValueError, TypeError) as error:
        raise SshKeyError(
            f"{path} is not an OpenSSH key without passphrase ({error}): put {beside.name} beside it"
        ) from error


def create_state_folder(path: Path) -> None:
    """Create the folder of an environment's state, or close it to everyone but its owner."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def require_new(path: Path, vault: Path | None) -> None:
    """Refuse to make a key or passphrase in place of one that an existing environment uses."""
    if vault is not None and vault.is_file():
        raise SshKeyError(
            f"{path} is missing, but {vault} exists: a new one would fit nothing that the environment has.\n"
            "fix: copy the file from where the environment was created (docs/how-to/share-an-environment.md)"
        )


def write(path: Path, text: str, *, mode: int) -> None:
    """Put `text` into a file in one step, unless it is there: a run that is cut short leaves no half of it."""
    if path.is_file() and path.read_text() == text:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    partial.touch(mode=mode)
    partial.write_text(text)
    partial.replace(path)
