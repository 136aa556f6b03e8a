"""`lookup('stackwright_secrets', PREFIX)`: secrets of the environment by name, for group_vars."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from stackwright import cloud_secrets, secret_store
from stackwright.project import state_folder

DOCUMENTATION = """
name: stackwright_secrets
short_description: secrets of the environment
description:
  - Returns a dictionary of all secrets whose names begin with the prefix. Secrets that the environment declares and
    that do not exist yet are generated. On a server that configures itself they come from AWS's Secrets Manager.
author: stackwright
options:
  _terms:
    description: Prefixes, such as C(redis/).
    required: true
"""

_stores: dict[str, secret_store.SecretStore | cloud_secrets.CloudSecrets] = {}


def _open(environment: str, facts: dict[str, Any]) -> secret_store.SecretStore | cloud_secrets.CloudSecrets:
    """Return the operator's own store, or the cloud's on a server that configures itself."""
    cloud = facts["cloud"]
    if cloud is not None:
        return cloud_secrets.CloudSecrets(**{key: str(value) for key, value in cloud.items()})
    return secret_store.of_process(environment, state_folder(environment), facts["password_command"])


class LookupModule(LookupBase):  # type: ignore[misc]
    """Returns a dictionary for each prefix."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[dict[str, str]]:
        stack = (variables or {})["stack"]
        environment = str(stack["environment"])
        if environment not in _stores:
            _stores[environment] = _open(environment, stack["secrets"])
        try:
            store = _stores[environment]
            # Ansible's strings carry tags, which must not be written to the file.
            names = [str(name) for name in stack["secrets"]["names"]]
            return [{name: store.get(name) for name in names if name.startswith(prefix)} for prefix in terms]
        except secret_store.SecretError as error:
            raise AnsibleLookupError(str(error)) from error
