"""`lookup('stackwright_run')`: a description of this run, for the hosts that it is about to change."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from stackwright import converge_checks, project, secret_store

DOCUMENTATION = """
name: stackwright_run
short_description: the record of this run, and the CA of its secrets
description:
  - Returns C(record) (environment, commit, who and when, names of the secrets in the vault) and C(ca), the certificates
    of the environment's CA. Makes nothing; fails where the environment's secrets are not on this controller.
author: stackwright
options:
  _terms:
    description: None.
"""


class LookupModule(LookupBase):  # type: ignore[misc]
    """Returns one dictionary."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **_: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - Ansible's
        stack = (variables or {})["stack"]
        environment = str(stack["environment"])
        folder = project.state_folder(environment)
        store = secret_store.of_process(environment, folder, stack["secrets"]["password_command"])
        try:
            ca = store.get(secret_store.CA_CERTIFICATE)
            names = list(store.all())
        except secret_store.SecretError as error:
            raise AnsibleLookupError(str(error)) from error
        return [{"record": converge_checks.new_record(environment, project.root(), names), "ca": ca}]
