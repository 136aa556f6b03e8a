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


def ensure(path: Path) -> KeyPair:
    """The environment's own ed25519 key, made on first use and readable by its owner alone."""
    if not path.is_file():
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
