"""Failures that a test orders: "the creation of `db` fails once", "every deletion fails", "from the tenth creation on".

Orders are a JSON list of objects in a file; see `Order` for the keys. The number of times that each was carried out is
stored next to the file, so that `once` is valid across the plugin's processes: every `pulumi up` starts a new one.
"""

from __future__ import annotations

import fcntl
import json
import threading
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from pathlib import Path


class OrderError(ValueError):
    """Raised if the file of orders cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order to make operations fail."""

    #: `create`, `update`, `delete` or `read`; "*" for all four.
    operation: str = "*"
    #: Pattern for the resource's name, type or URN, with `*` and `?`.
    resource: str = "*"
    #: Number of times; 0 for always.
    times: int = 1
    #: Only after this many operations of that kind have succeeded in this run.
    after: int = 0
    message: str = "the test ordered this failure"


class Failures:
    """Carries out the orders of a file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._orders = _read(path) if path else ()
        self._succeeded: dict[str, int] = {}
        self._lock = threading.Lock()

    def due(self, operation: str, urn: str, token: str) -> str:
        """Return the message of the failure that is due; empty if none is."""
        with self._lock:
            for number, order in enumerate(self._orders):
                if self._fits(order, operation, urn, token) and self._take(number, order):
                    return order.message
        return ""

    def succeeded(self, operation: str) -> None:
        with self._lock:
            self._succeeded[operation] = self._succeeded.get(operation, 0) + 1

    def _fits(self, order: Order, operation: str, urn: str, token: str) -> bool:
        names = (urn.rsplit("::", 1)[-1], token, urn)
        return (
            order.operation in {operation, "*"}
            and self._succeeded.get(operation, 0) >= order.after
            and any(fnmatchcase(name, order.resource) for name in names)
        )

    def _take(self, number: int, order: Order) -> bool:
        if not order.times or self._path is None:
            return True
        with self._path.with_suffix(".done").open("a+", encoding="ascii") as done:
            fcntl.flock(done, fcntl.LOCK_EX)
            done.seek(0)
            if done.read().split().count(str(number)) >= order.times:
                return False
            done.write(f"{number}\n")
        return True


def _read(path: Path) -> tuple[Order, ...]:
    known = {attribute.name for attribute in fields(Order)}
    try:
        orders = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OrderError(f"{path} cannot be read as JSON: {error}") from error
    problems = [
        f"order {number}: {order!r} is not an object of {', '.join(sorted(known))}"
        for number, order in enumerate(orders)
        if not isinstance(order, dict) or order.keys() - known
    ]
    if problems:
        raise OrderError("\n".join([f"{path}:", *problems]))
    return tuple(Order(**order) for order in orders)
