"""Secrets on an AWS server that configures itself: read from Secrets Manager with its own IAM role."""

from __future__ import annotations

import json

from stackwright.model.aws.boot import calls
from stackwright.secret_store import SecretError


class CloudSecrets:
    """Reads each secret once, and keeps it in memory only."""

    def __init__(self, *, region: str, domain: str, prefix: str) -> None:
        self._region, self._domain, self._prefix = region, domain, prefix
        self._metadata = calls.Metadata()
        self._values: dict[str, str] = {}

    def get(self, name: str) -> str:
        """Return the value of the secret `name`. Raise SecretError, whose message contains no value."""
        if name not in self._values:
            self._values[name] = self._ask(self._prefix + name)
        return self._values[name]

    def _ask(self, identifier: str) -> str:
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "secretsmanager.GetSecretValue"}
        body = json.dumps({"SecretId": identifier}).encode()
        try:
            answer = calls.post("secretsmanager", self._region, self._domain, self._metadata, headers, body)
        except (calls.RefusedError, calls.UnreachableError) as problem:
            raise SecretError(f"the secret {identifier} cannot be read: {problem}") from None
        value = json.loads(answer).get("SecretString")
        if not isinstance(value, str):
            raise SecretError(f"the secret {identifier} holds no text")
        return value
