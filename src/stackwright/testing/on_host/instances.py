"""Prints the answer of each of [[address, port], ...] at /api/instance; null for one that does not answer."""

from __future__ import annotations

import http.client
import json
import sys
from typing import Any

_SECONDS = 5


def _ask(address: str, port: int) -> Any:
    connection = http.client.HTTPConnection(address, port, timeout=_SECONDS)
    try:
        connection.request("GET", "/api/instance")
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def main() -> None:
    """Query the instances one after the other."""
    print(json.dumps([_ask(address, port) for address, port in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
