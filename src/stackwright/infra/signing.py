"""The key that signs configuration bundles: servers of a group accept only this key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from stackwright import state_files
from stackwright.infra import keys

if TYPE_CHECKING:
    from pathlib import Path

    from stackwright.model.environment import Environment


class SigningKeyError(RuntimeError):
    """The key cannot be used; the message names the file."""


def key_file(environment: Environment) -> Path:
    """Return the path of the private key, which stays on this machine."""
    return environment.state_folder / "bundle" / "signing_key.pem"


def private_key(environment: Environment) -> Ed25519PrivateKey:
    """Return the environment's own key; it is created once, and readable only by its owner."""
    file = key_file(environment)
    if not file.is_file():
        # Servers of the group accept only bundles signed with the existing key.
        keys.require_new(file, environment.vault_file)
        made = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        state_files.write(file, made.decode(), mode=0o600)
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningKeyError(f"{file} is no Ed25519 key: move it away, and another is made")
    return key


def public_key(environment: Environment) -> str:
    """Return the public key in PEM format: servers have it in their user data."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return private_key(environment).public_key().public_bytes(encoding, form).decode()
