"""Filters of the role `baseline`: kernel settings, limits of services, and existing contents of adopted servers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def sysctls_to_write(running: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Return `name=value` of each setting that differs from a line `name = value` of `sysctl`."""
    lines = (line.split(" = ", 1) for line in running)
    return [f"{name}={settings[name]}" for name, current in lines if current.split() != str(settings[name]).split()]


def default_limits(limits: Mapping[str, Any]) -> list[str]:
    """Return the limits as `systemctl show` prints them; limits.conf has `memlock` in KiB, systemd in bytes."""
    return [
        f"DefaultLimit{name.upper()}={limit * 1024 if name == 'memlock' else limit}" for name, limit in limits.items()
    ]


def contents_of_servers(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> list[str]:
    """Return a line for everything on the servers that an empty server lacks, unless a takeover is allowed."""
    return [
        f"{host} ({hostvars[host]['ansible_host']}): {line}"
        for host in hosts
        if not hostvars[host]["stack_host"]["takeover"]
        for line in hostvars[host].get("baseline_contents", {}).get("stdout_lines", [])
    ]


class FilterModule:
    """The filters of the role `baseline`."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "sysctls_to_write": sysctls_to_write,
            "default_limits": default_limits,
            "contents_of_servers": contents_of_servers,
        }
