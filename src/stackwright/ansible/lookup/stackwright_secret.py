"""`lookup('stackwright_secret', NAME)`: a secret of the environment, for group_vars."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from stackwright import secret_store
from stackwright.project import state_folder

DOCUMENTATION = """
name: stackwright_secret
short_description: a secret of the environment
description: Decrypts the secret from the environment's vault file; generates it where there is none yet.
author: stackwright
options:
  _terms:
    description: Names of secrets.
    required: true
"""

_stores: dict[str, secret_store.SecretStore] = {}


class LookupModule(LookupBase):  # type: ignore[misc]
    """One value per name."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[str]:
        stack = self._templar.template((variables or {})["stack"])
        environment = str(stack["environment"])
        if environment not in _stores:
            command = stack.get("secrets", {}).get("password_command")
            _stores[environment] = secret_store.SecretStore(
                environment, state_folder(environment), password_command=command
            )
        try:
            return [_stores[environment].get(str(name)) for name in terms]
        except secret_store.SecretError as error:
            raise AnsibleLookupError(str(error)) from error
