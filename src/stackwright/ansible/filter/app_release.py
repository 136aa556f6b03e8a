"""Filters of the role `app_release`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

Fields = dict[str, Any]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def app_release_environment_file(environment: Fields) -> str:
    r"""Return an environment file for Node.js's `--env-file`, with each value quoted so that it is read literally.

    Node.js supports no escapes but `\n` within double quotes; so a value gets the first kind of quote that it does not
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


def app_release_services(services: list[Fields], **values: Any) -> list[Fields]:
    """Fill the placeholders in the commands of services."""
    commands = ("pending", "restart")
    return [service | {key: app_release_command(service[key], **values) for key in commands} for service in services]


def app_release_cache_name(folder: str) -> str:
    """Return the name of a cache directory outside of the release: one level, so that its parent belongs to root."""
    return folder.strip("/").replace("/", "_")


def app_release_cache_paths(folders: list[str], root: str, release: str, user: str) -> list[Fields]:
    """Return the directories to create for the caches of a release, in order: path, owner and mode."""
    if not folders:
        return []
    base = f"{root}/{release}"
    leaves = [{"path": f"{base}/{app_release_cache_name(folder)}", "owner": user, "mode": "0750"} for folder in folders]
    return [{"path": path, "owner": "root", "mode": "0755"} for path in (root, base)] + leaves


def app_release_log_command(command: list[str], service: str) -> list[str]:
    """Fill in the service of the command that prints a log; the module fills in the instance."""
    return [str(word).replace("{service}", service) for word in command]


def app_release_names(names: str) -> list[str]:
    """Split host names from a command line at commas or blanks."""
    return [name for name in re.split(r"[,\s]+", names) if name]


def app_release_reason(result: Fields, task: str) -> str:
    """Return why a task failed: the message and the error output, those of the first failed item for a loop."""
    failed = [entry for entry in result.get("results", []) if entry.get("failed") or entry.get("unreachable")]
    if failed:
        return app_release_reason(failed[0], task)
    message = str(result.get("msg") or "").strip()
    if message in ("", "non-zero return code") and "cmd" in result:
        words = result["cmd"] if isinstance(result["cmd"], list) else [result["cmd"]]
        message = f"`{' '.join(str(word) for word in words)}` ended with {result.get('rc')}"
    output = str(result.get("stderr") or result.get("stdout") or "").strip()
    if output and output not in message:
        message = f"{message}: {output}"
    host = (result.get("_ansible_delegated_vars") or {}).get("ansible_delegated_host")
    return f"{host}: {message or task}" if host else message or task


def app_release_setenv(environment: Fields) -> list[str]:
    """Return public variables as options of `systemd-run`."""
    return [f"--setenv={name}={value}" for name, value in sorted(environment.items())]


def app_release_surplus(folders: list[Fields], keep: int, protected: list[str]) -> list[str]:
    """Return the release directories to remove: all but the `keep` newest, never a protected name.

    `folders` is what `ansible.builtin.find` returns; the protected ones count as kept.
    """
    newest_first = sorted(folders, key=lambda item: float(item["mtime"]), reverse=True)
    complete = [item["path"] for item in newest_first if not _name(item["path"]).startswith(".")]
    unprotected = [path for path in complete if _name(path) not in protected]
    room = max(0, keep - len(complete) + len(unprotected))
    return sorted(unprotected[room:])


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


class FilterModule:
    """The filters of the role `app_release`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "app_release_cache_name": app_release_cache_name,
            "app_release_cache_paths": app_release_cache_paths,
            "app_release_command": app_release_command,
            "app_release_log_command": app_release_log_command,
            "app_release_names": app_release_names,
            "app_release_reason": app_release_reason,
            "app_release_services": app_release_services,
            "app_release_environment_file": app_release_environment_file,
            "app_release_setenv": app_release_setenv,
            "app_release_surplus": app_release_surplus,
        }
