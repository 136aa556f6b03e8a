"""Prints the first word of Redis's last answer to each login, which is followed by PING.

Standard input: {address, port, name, ca_file, logins: [[user, password] or []]}.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from typing import Any

_SECONDS = 10


def _attempt(question: dict[str, Any], login: list[str]) -> str:
    context = ssl.create_default_context(cafile=question["ca_file"])
    plain = socket.create_connection((question["address"], question["port"]), timeout=_SECONDS)
    with context.wrap_socket(plain, server_hostname=question["name"]) as connection:
        answers = connection.makefile("rb")
        for words in ([["AUTH", *login]] if login else []) + [["PING"]]:
            command = f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
            connection.sendall(command.encode())
            answer = answers.readline().decode().strip()
            if answer.startswith("-"):
                break
        return answer.split()[0]


def main() -> None:
    """Log in with each pair of credentials."""
    question = json.load(sys.stdin)
    print(json.dumps([_attempt(question, login) for login in question["logins"]]))


if __name__ == "__main__":
    main()
