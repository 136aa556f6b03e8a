"""`lookup('stackwright_cloud_secret', ARN)`: credentials that the cloud creates and rotates, for group_vars."""

from __future__ import annotations

import json
import re
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from stackwright.infra.aws import aws_cli

DOCUMENTATION = """
name: stackwright_cloud_secret
short_description: a login that AWS keeps in Secrets Manager
description:
  - Returns a dictionary with C(username) and C(password), such as those of the master user of a database of RDS. Asked
    for on the controller with the AWS CLI and the rights of who runs it; nothing is written down.
author: stackwright
options:
  _terms:
    description: ARNs of secrets.
    required: true
"""

_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:(?P<region>[a-z0-9-]+):[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]+")

#: Read once per process; the next run reads again, because the cloud rotates passwords.
_known: dict[str, dict[str, str]] = {}


class LookupModule(LookupBase):  # type: ignore[misc]
    """Returns user name and password for each ARN."""

    def run(self, terms: list[Any], variables: Any = None, **_: Any) -> list[dict[str, str]]:  # noqa: ARG002 - Ansible's
        return [self._login(term) for term in terms]

    def _login(self, term: Any) -> dict[str, str]:
        match = _ARN.fullmatch(str(term))
        if match is None:
            # Without the term: the user may have passed the secret itself.
            raise AnsibleLookupError(
                f"stackwright_cloud_secret: got {type(term).__name__} of {len(str(term))} characters, which is no ARN of a"
                " secret. stack.database.master_secret has it once `stackwright up` has made the database."
            )
        arn = match[0]
        if arn not in _known:
            _known[arn] = _parsed(arn, _asked(arn, match["region"]))
        return _known[arn]


def _asked(arn: str, region: str) -> str:
    command = ["aws", "secretsmanager", "get-secret-value", "--secret-id", arn, "--region", region]
    try:
        return aws_cli.ask([*command, "--query", "SecretString", "--output", "text"])
    except aws_cli.AwsCliError as error:
        raise AnsibleLookupError(
            f"stackwright_cloud_secret: {arn} cannot be read: {error}. Whoever runs this needs the AWS CLI, logged in"
            " (`aws sts get-caller-identity`), with secretsmanager:GetSecretValue for it and kms:Decrypt for its key."
        ) from None


def _parsed(arn: str, text: str) -> dict[str, str]:
    try:
        secret = json.loads(text)
        login = {key: secret[key] for key in ("username", "password")}
    except (ValueError, KeyError, TypeError):
        login = {}
    # Without the text: the unreadable part may be the password.
    if not login or not all(isinstance(value, str) and value for value in login.values()):
        raise AnsibleLookupError(
            f'stackwright_cloud_secret: {arn} has to hold JSON with a text each: {{"username": ..., "password": ...}}'
        )
    return login
