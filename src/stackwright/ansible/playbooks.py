"""Which roles a host gets: read from the tier playbooks, the one place where it is written."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

#: The playbooks that make up a converge; the others are operations.
SITE = "site.yml"


def roles_of(groups: Collection[str], folder: Path) -> list[str]:
    """The roles that `site.yml` in `folder` gives a member of `groups`, each once, in the order of their first run."""
    found: dict[str, None] = {}
    for play in _plays(folder / SITE):
        hosts = str(play["hosts"]).replace(",", ":").split(":")
        if "all" in hosts or set(hosts) & set(groups):
            for role in play.get("roles", []):
                found[role["role"] if isinstance(role, dict) else role] = None
    return list(found)


def _plays(path: Path) -> list[dict[str, Any]]:
    plays: list[dict[str, Any]] = []
    for play in yaml.safe_load(path.read_text()):
        imported = play.get("ansible.builtin.import_playbook")
        plays += _plays(path.parent / imported) if imported else [play]
    return plays
