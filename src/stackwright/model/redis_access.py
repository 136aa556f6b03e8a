"""The permissions of an application in a Redis instance, the same on own hosts and in a cloud."""

from __future__ import annotations

#: Allowed categories; their commands that are `admin` or `dangerous` are revoked again.
CATEGORIES = ("read", "write", "connection", "transaction", "pubsub", "scripting")
#: Allowed again: these commands only read, and libraries need them.
_HARMLESS = ("info", "client|list")
#: Allowed again for an application that is the only user of the instance: they work on all of its keys.
_OVER_ALL_KEYS = ("keys", "sort", "sort_ro", "flushdb")


def patterns(system: str, applications: int) -> tuple[str, ...]:
    """Return the patterns of keys and channels: any for an application that is the only user of the instance."""
    return ("*",) if applications == 1 else (f"{system}:*",)


def commands(applications: int) -> tuple[str, ...]:
    """Return the single commands that are allowed in addition to the categories."""
    return _HARMLESS + _OVER_ALL_KEYS if applications == 1 else _HARMLESS
