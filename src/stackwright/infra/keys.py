"""The SSH key with which this machine logs in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stackwright import state_files
from stackwright.infra.local.podman import generate_key, public_key


class SshKeyError(RuntimeError):
    """A key is not available; the message names the file and the remedy."""


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """The file of a private key, and its public key line."""

    private_key_file: Path
    public_key: str


def ensure(path: Path, *, vault: Path | None = None) -> KeyPair:
    """Return the environment's own ed25519 key; it is created once, and readable only by its owner.

    `vault` is the environment's vault file: if it exists, there are hosts that accept only the existing key.
    """
    if not path.is_file():
        require_new(path, vault)
        private, public = generate_key()
        state_files.write(path.with_name(f"{path.name}.pub"), f"{public}\n", mode=0o644)
        state_files.write(path, private, mode=0o600)
    return KeyPair(private_key_file=path, public_key=public_key(path.read_text()))


def existing(path: Path) -> KeyPair:
    """Return a key of the user; the `.pub` file next to it is needed if the private key has a passphrase."""
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


def require_new(path: Path, vault: Path | None) -> None:
    """Refuse to create a key or passphrase in place of one that an existing environment uses."""
    if vault is not None and vault.is_file():
        raise SshKeyError(
            f"{path} is missing, but {vault} exists: a new one would fit nothing that the environment has.\n"
            "fix: copy the file from where the environment was created (docs/how-to/share-an-environment.md)"
        )
