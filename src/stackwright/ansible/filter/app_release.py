"""Filters of the role `app_release`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

Fields = dict[str, Any]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def app_release_environment_file(environment: Fields) -> str:
    r"""Write an environment file as Node.js reads it with `--env-file`: each value quoted so that it means itself.

    Node.js knows no escapes but `\n` within double quotes; so a value takes the first kind of quote that it does not
    contain. Errors name the variable, never its value.
    """
    lines = []
    for name, value in sorted(environment.items()):
        if not NAME.fullmatch(name):
            raise AnsibleFilterError(f"app_release_environment: {name!r} is no name of an environment variable")
        text = str(value)
        quote = next((mark for mark in "'`\"" if mark not in text and not (mark == '"' and "\\n" in text)), None)
        if quote is None or "\0" in text:
            raise AnsibleFilterError(f"app_release_environment: {name}: an environment file cannot express the value")
        lines.append(f"{name}={quote}{text}{quote}\n")
    return "".join(lines)


def app_release_command(command: list[str], **values: Any) -> list[str]:
    """Fill the placeholders of a command: `["drain", "{address}:{port}"]`."""
    try:
        return [str(word).format_map(values) for word in command]
    except (KeyError, ValueError, IndexError) as error:
        known = ", ".join(f"{{{name}}}" for name in sorted(values))
        raise AnsibleFilterError(f"cannot fill in {command}: {error}; placeholders are {known}") from error


def app_release_setenv(environment: Fields) -> list[str]:
    """Write public variables as `systemd-run` takes them."""
    return [f"--setenv={name}={value}" for name, value in sorted(environment.items())]


def app_release_surplus(found: list[Fields], keep: int, protected: list[str]) -> list[str]:
    """Choose the release folders to remove: all but the `keep` newest, never a protected name.

    `found` is what `ansible.builtin.find` returns; the protected ones count as kept.
    """
    newest_first = sorted(found, key=lambda item: float(item["mtime"]), reverse=True)
    complete = [item["path"] for item in newest_first if not _name(item["path"]).startswith(".")]
    others = [path for path in complete if _name(path) not in protected]
    room = max(0, keep - len(complete) + len(others))
    return sorted(others[room:])


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "app_release_command": app_release_command,
            "app_release_environment_file": app_release_environment_file,
            "app_release_setenv": app_release_setenv,
            "app_release_surplus": app_release_surplus,
        }
