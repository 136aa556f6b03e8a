"""Variables of a file that has a folder of its name beside it: `group_vars/all.yml` beside `group_vars/all/`.

Ansible reads the folder alone then, without a word about the file.
"""

from __future__ import annotations

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
    """Reads the files that `host_group_vars` leaves out."""

    REQUIRES_ENABLED = True
    is_stateless = True

    def get_vars(self, loader: DataLoader, path: str, entities: Host | Group | list[Host | Group]) -> dict[str, Any]:
        super().get_vars(loader, path, entities)
        variables: dict[str, Any] = {}
        for entity in entities if isinstance(entities, list) else [entities]:
            folder = Path(basedir(path)) / ("host_vars" if isinstance(entity, Host) else "group_vars")
            if not (folder / entity.name).is_dir():
                continue
            for extension in config.get_config_value("YAML_FILENAME_EXTENSIONS"):
                file = folder / f"{entity.name}{extension}"
                if file.is_file():
                    content = loader.load_from_file(str(file), cache="all", unsafe=True, trusted_as_template=True)
                    variables = combine_vars(variables, content or {})
        return variables
