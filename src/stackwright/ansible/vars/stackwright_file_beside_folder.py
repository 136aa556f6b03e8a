"""Variables of a file next to a directory of the same name: `group_vars/all.yml` next to `group_vars/all/`.

In this case Ansible reads only the directory and silently ignores the file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ansible.constants import config
from ansible.inventory.group import Group
from ansible.inventory.host import Host
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.vars import BaseVarsPlugin
from ansible.utils.path import basedir
from ansible.utils.vars import combine_vars

DOCUMENTATION = """
name: stackwright_file_beside_folder
short_description: Read C(group_vars/NAME.yml) also where there is a folder C(group_vars/NAME)
description:
  - Ansible's own plugin C(host_group_vars) reads the folder and ignores the file. With this plugin the file is read, too;
    what stands in it has the higher rank.
author: stackwright
"""


class VarsModule(BaseVarsPlugin):  # type: ignore[misc]
    """Reads the files that `host_group_vars` ignores."""

    REQUIRES_ENABLED = True
    is_stateless = True

    def get_vars(self, loader: DataLoader, path: str, entities: Host | Group | list[Host | Group]) -> dict[str, Any]:
        super().get_vars(loader, path, entities)
        variables: dict[str, Any] = {}
        for entity in entities if isinstance(entities, list) else [entities]:
            for file in _files(path, "host_vars" if isinstance(entity, Host) else "group_vars", entity.name):
                content = loader.load_from_file(file, cache="all", unsafe=True, trusted_as_template=True)
                variables = combine_vars(variables, content or {})
        return variables


@cache
def _files(path: str, kind: str, name: str) -> list[str]:
    """Return the files next to a directory of their name; searched once per run, as Ansible's own plugin does."""
    folder = Path(basedir(path)) / kind
    if not (folder / name).is_dir():
        return []
    files = [folder / f"{name}{extension}" for extension in config.get_config_value("YAML_FILENAME_EXTENSIONS")]
    return [str(file) for file in files if file.is_file()]
