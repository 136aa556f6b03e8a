"""Filters of the role backup."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable


def htpasswd(password: str) -> str:
    """A password as rclone's htpasswd file wants it: a hash without salt, so only for long random passwords.

    SHA-1 because bcrypt needs a library on the controller and a salt would change the file at every run.
    """
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "{SHA}" + base64.b64encode(digest).decode()


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"stackwright_htpasswd": htpasswd}
