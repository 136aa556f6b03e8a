"""Inventory plugin that builds the inventory of an environment from its `stack.yml`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable

from stackwright.ansible.run_inputs import read_log
from stackwright.infra import engine
from stackwright.model.environment import Environment, load
from stackwright.model.errors import ModelError

# This is the first of our plugins that a run loads.
read_log.start()

DOCUMENTATION = """
name: stackwright
short_description: Hosts of a stackwright environment
description:
  - Reads C(inventories/<environment>/stack.yml) and the output of the environment's Pulumi stack.
  - The output comes from the file that E(STACKWRIGHT_STATE_FILE) names (C(pulumi stack export)), else from the file
    backend (no Pulumi is needed), else from the CLI and the backend that E(PULUMI_BACKEND_URL) names.
  - Servers of the provider C(bare_metal) need no output.
  - Writes the environment's C(known_hosts); Ansible trusts it and nothing else.
author: stackwright
extends_documentation_fragment: [inventory_cache]
"""

EXAMPLES = """
# ansible-inventory -i inventories/taaleem-local/stack.yml --graph
"""


class InventoryModule(BaseInventoryPlugin, Cacheable):  # type: ignore[misc]
    """Reads `stack.yml`."""

    NAME = "stackwright"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and Path(path).name == "stack.yml"

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:  # noqa: FBT001, FBT002 - Ansible's signature
        super().parse(inventory, loader, path, cache)
        try:
            environment = load(Path(path).resolve())
            # All plugins of this run act on this project, in whichever directory the command was started.
            os.environ["STACKWRIGHT_ROOT"] = str(environment.root)
            output = read_log.output = self._output(environment, path, cache=cache)
            stack_inventory = engine.inventory(environment, output)
        except (ModelError, engine.EngineError) as error:
            raise AnsibleParserError(str(error)) from None
        for group in stack_inventory.groups:
            self.inventory.add_group(group)
        for name, value in stack_inventory.variables.items():
            self.inventory.set_variable("all", name, value)
        for host in stack_inventory.hosts.values():
            self.inventory.add_host(host.name)
            for name, value in host.variables.items():
                self.inventory.set_variable(host.name, name, value)
        # Groups that are derived from others (consensus) are not in the hosts' own lists.
        for group, members in stack_inventory.groups.items():
            for name in members:
                self.inventory.add_host(name, group=group)

    def _output(self, environment: Environment, path: str, *, cache: bool) -> dict[str, Any] | None:
        """Return the stack's output; kept between runs if the user enabled Ansible's inventory cache."""
        self.load_cache_plugin()
        if not self.get_option("cache"):
            return engine.read_output(environment)
        key = self.get_cache_key(path)
        if not cache or key not in self._cache:
            self._cache[key] = engine.read_output(environment)
        output: dict[str, Any] | None = self._cache[key]
        return output
