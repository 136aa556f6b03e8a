"""Which roles a host gets and what those say of themselves: read from the tier playbooks and the roles' own files.

Each file is read once in a process: a worker lives for one task, and has what its parent had read (`preload`).
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import yaml

#: The playbooks that make up a converge; the others are operations.
SITE = "site.yml"
#: A role's files of variables: what is below the inventory's, and what is above.
PARTS = ("defaults/main.yml", "vars/main.yml")

_files: dict[Path, dict[str, Any]] = {}


def roles_of(groups: Collection[str], folder: Path) -> list[str]:
    """The roles that `site.yml` in `folder` gives a member of `groups`, each once, in the order of their first run."""
    roles: dict[str, None] = {}
    for play in _plays(folder / SITE):
        hosts = str(play["hosts"]).replace(",", ":").split(":")
        if "all" in hosts or set(hosts) & set(groups):
            roles |= dict.fromkeys(_roles(play))
    return list(roles)


def preload(loader: Any, root: Path) -> None:
    """Read everything that the functions here are asked for, before a worker is forked. `root` is the project's."""
    for play in _plays(root / "playbooks" / SITE):
        for role in _roles(play):
            for part in PARTS:
                role_file(loader, root / "roles" / role / part)


def role_file(loader: Any, path: Path) -> dict[str, Any]:
    """What a role's file of variables says, not evaluated; nothing where there is none. Not to be changed."""
    if path not in _files:
        # Without Ansible's own memory, which hands out a deep copy each time.
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
