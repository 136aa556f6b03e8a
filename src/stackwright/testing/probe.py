"""Runs a test's own role on this machine, with the project's settings and plugins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
_PLUGINS = ROOT / "src/stackwright/ansible"
_PLAY = "- hosts: all\n  gather_facts: false\n  roles: [probe]\n"
#: Settings without an environment: no inventory of the project, and no mitogen.
_SETTINGS = {
    "ANSIBLE_INVENTORY_ENABLED": "host_list",
    "ANSIBLE_STRATEGY": "linear",
    "ANSIBLE_VARS_ENABLED": "host_group_vars",
    "ANSIBLE_ACTION_PLUGINS": str(_PLUGINS / "action"),
    "ANSIBLE_LIBRARY": str(_PLUGINS / "modules"),
    "ANSIBLE_MODULE_UTILS": str(_PLUGINS / "module_utils"),
    "ANSIBLE_FILTER_PLUGINS": str(_PLUGINS / "filter"),
}


def run(
    folder: Path, files: Mapping[str, str], variables: Mapping[str, Any] | None = None, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Write project files with the role `probe`, and run `playbooks/site.yml`, which is generated unless given."""
    shutil.copy(ROOT / "ansible.cfg", folder)
    for name, text in {"playbooks/site.yml": _PLAY, **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    command = ["ansible-playbook", "-i", "host1,", "-c", "local", "-e", json.dumps(dict(variables or {}))]
    return subprocess.run(
        [*command, *arguments, "playbooks/site.yml"],
        cwd=folder,
        env=os.environ | _SETTINGS,
        capture_output=True,
        text=True,
        check=False,
    )
