"""Prints which of [[address, port], ...] accept a connection from this host."""

from __future__ import annotations

import json
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

_SECONDS = 3


def _opens(target: list[object]) -> bool:
    try:
        with socket.create_connection((str(target[0]), int(str(target[1]))), timeout=_SECONDS):
            return True
    except OSError:
        return False


def open_ports(targets: list[list[object]]) -> list[list[object]]:
    """Try all targets in parallel; return those that accepted, in the given order."""
    with ThreadPoolExecutor(max_workers=len(targets)) as pool:
        return [target for target, opens in zip(targets, pool.map(_opens, targets), strict=True) if opens]


def main() -> None:
    """Answer the question on standard input."""
    print(json.dumps(open_ports(json.load(sys.stdin))))


if __name__ == "__main__":
    main()
