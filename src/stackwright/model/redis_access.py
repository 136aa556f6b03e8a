"""What an application may do in a Redis instance, the same wherever it runs."""

from __future__ import annotations

#: Commands of these that are `admin` or `dangerous` are taken away again.
CATEGORIES = ("read", "write", "connection", "transaction", "pubsub", "scripting")
#: Given back: they only read, and libraries ask for them.
_HARMLESS = ("info", "client|list")
#: Given back to an application that has the instance for itself: they reach over all of its keys.
_OVER_ALL_KEYS = ("keys", "sort", "sort_ro", "flushdb")


def patterns(system: str, applications: int) -> tuple[str, ...]:
    """Return the patterns of keys and channels: any for an application that has the instance for itself."""
    return ("*",) if applications == 1 else (f"{system}:*",)


def commands(applications: int) -> tuple[str, ...]:
    """Return the single commands that are allowed beside the categories."""
    return _HARMLESS + _OVER_ALL_KEYS if applications == 1 else _HARMLESS
