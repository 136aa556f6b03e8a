"""Filters of the role backup."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable


def htpasswd(password: str) -> str:
    """Return a password hash for rclone's htpasswd file; it has no salt, so use it for long random passwords only.

    SHA-1 because bcrypt needs a library on the controller, and a salt would change the file in every run.
    """
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).digest()
    return "{SHA}" + base64.b64encode(digest).decode()


class FilterModule:
    """The filters of the role `backup`."""

    def filters(self) -> dict[str, Callable[..., object]]:
        return {"stackwright_htpasswd": htpasswd}
