"""The roles of a host and their variables, read from the tier playbooks and the roles' own files.

Each file is read once per process: a worker lives for one task, and inherits what its parent has read (`preload`).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import yaml

#: The playbooks that make up a converge; the others are operations.
SITE = "site.yml"
#: A role's files of variables: those with a lower precedence than the inventory, and those with a higher one.
PARTS = ("defaults/main.yml", "vars/main.yml")

_files: dict[Path, dict[str, Any]] = {}


def roles_of(groups: Collection[str], folder: Path) -> list[str]:
    """Return the roles that `site.yml` in `folder` applies to a member of `groups`, each once, ordered by first run."""
    roles: dict[str, None] = {}
    for play in _plays(folder / SITE):
        hosts = str(play["hosts"]).replace(",", ":").split(":")
        if "all" in hosts or set(hosts) & set(groups):
            roles |= dict.fromkeys(_roles(play))
    return list(roles)


def preload(loader: Any, root: Path) -> None:
    """Read all files that the functions here return, before a worker is forked. `root` is the project's."""
    for play in _plays(root / "playbooks" / SITE):
        for role in _roles(play):
            for part in PARTS:
                role_file(loader, root / "roles" / role / part)


def role_file(loader: Any, path: Path) -> dict[str, Any]:
    """Return the unevaluated variables of a role's file; empty if there is none. The caller must not change them."""
    if path not in _files:
        # Without Ansible's own cache, which returns a deep copy each time.
        variables = loader.load_from_file(str(path), cache="none", trusted_as_template=True) if path.is_file() else None
        _files[path] = variables or {}
    return _files[path]


def _roles(play: dict[str, Any]) -> list[str]:
    return [role["role"] if isinstance(role, dict) else role for role in play.get("roles", [])]


@cache
def _plays(path: Path) -> list[dict[str, Any]]:
    plays: list[dict[str, Any]] = []
    for play in yaml.safe_load(path.read_text()):
        imported = play.get("ansible.builtin.import_playbook")
        plays += _plays(path.parent / imported) if imported else [play]
    return plays
