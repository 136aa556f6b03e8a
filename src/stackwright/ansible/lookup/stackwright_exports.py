"""`lookup('stackwright_exports', KIND)`: the exports of this host's roles, for group_vars."""

from __future__ import annotations

from typing import Any

from ansible.plugins.lookup import LookupBase

from stackwright import project
from stackwright.ansible import playbooks

DOCUMENTATION = """
name: stackwright_exports
short_description: the ports, logs, certificates, backups, services, packages or questions for status of all roles of this host
description:
  - Reads C(<role>_exports) from C(vars/main.yml) of every role that the playbooks give this host, and joins the lists
    under the key that is asked for.
author: stackwright
options:
  _terms:
    description: One of C(ports), C(logs), C(certificates), C(backups), C(services), C(packages), C(status).
    required: true
  further_groups:
    description: Groups that the host counts as a member of besides its own, such as one that it is about to leave.
    type: list
    elements: str
    default: []
"""


class LookupModule(LookupBase):  # type: ignore[misc]
    """Returns one joined list for each kind; every entry has the `role` that exports it."""

    def run(
        self, terms: list[str], variables: dict[str, Any] | None = None, **options: Any
    ) -> list[list[dict[str, Any]]]:
        self.set_options(var_options=variables, direct=options)
        known = variables or {}
        groups = [*known["group_names"], *self.get_option("further_groups")]
        root = project.root()
        joined: list[list[dict[str, Any]]] = [[] for _ in terms]
        for role in playbooks.roles_of(groups, root / "playbooks"):
            folder = root / "roles" / role
            defaults, constants = (playbooks.role_file(self._loader, folder / part) for part in playbooks.PARTS)
            exports = constants.get(f"{role}_exports", {})
            # As inside the role: its defaults have a lower, its constants a higher precedence than the inventory.
            templar = self._templar.copy_with_new_env(available_variables={**defaults, **known, **constants})
            # A single expression for all kinds is evaluated as a whole; otherwise only the requested kind is.
            exports = templar.template(exports) if isinstance(exports, str) else exports
            for entries, kind in zip(joined, terms, strict=True):
                if kind in exports:
                    entries += [{**entry, "role": role} for entry in templar.template(exports[kind])]
        return joined
