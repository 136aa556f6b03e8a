"""AWS calls for one environment: in its own account and region, to its secrets by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stackwright.infra.aws import aws_cli
from stackwright.infra.aws.aws_cli import AwsCliError
from stackwright.infra.aws.secret_plan import Version
from stackwright.model.environment import Environment
from stackwright.secret_store import SecretError

#: Error code of Secrets Manager for a secret, version or label that does not exist.
ABSENT = "ResourceNotFoundException"


class Ask(Protocol):
    """`aws_cli.ask`, or a function that prints the command first."""

    def __call__(
        self, argv: Sequence[str], parameters: Mapping[str, Any] | None = None, hide: Sequence[str] = (), /
    ) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Calls AWS for one environment; raises SecretError, whose message contains no secret value."""

    environment: Environment
    #: Section `cloud` of the environment's output.
    cloud: Mapping[str, Any]
    ask: Ask

    def _require_account(self) -> None:
        """Ensure that secrets go to the environment's account only."""
        try:
            account = json.loads(self._call("sts", "get-caller-identity"))["Account"]
        except AwsCliError as error:
            raise SecretError(f"{error}; remedy: `aws configure list` tells whose credentials are used") from None
        if account != self.cloud["account"]:
            raise SecretError(
                f"the credentials are of account {account}, and {self.environment.name} is in {self.cloud['account']}:"
                " AWS_PROFILE for another profile"
            )

    def _version(self, name: str, stage: str) -> Version | None:
        """Return the version with that label, or None. Raises LookupError if the secret does not exist."""
        try:
            text = self._call(
                "secretsmanager", "get-secret-value", "--secret-id", self._id(name), "--version-stage", stage
            )
        except AwsCliError as error:
            if error.code != ABSENT:
                raise SecretError(f"{self._id(name)} cannot be read: {error}") from None
        else:
            answer = json.loads(text)
            if not isinstance(answer.get("SecretString"), str):
                raise SecretError(f"{self._id(name)} holds no text but bytes: somebody else wrote it")
            return Version(id=answer["VersionId"], value=answer["SecretString"])
        # AWS returns the same error for an empty secret and for one that does not exist.
        try:
            self._call("secretsmanager", "describe-secret", "--secret-id", self._id(name))
        except AwsCliError as error:
            if error.code == ABSENT:
                raise LookupError(name) from None
            raise SecretError(f"{self._id(name)} cannot be described: {error}") from None
        return None

    def _argv(self, service: str, verb: str, *options: str) -> list[str]:
        return ["aws", service, verb, "--region", self.cloud["region"], "--output", "json", *options]

    def _call(self, service: str, verb: str, *options: str) -> str:
        return self.ask(self._argv(service, verb, *options))

    def _give(self, service: str, verb: str, *options: str, parameters: Mapping[str, Any], hide: Sequence[str]) -> None:
        self.ask(self._argv(service, verb, *options, *aws_cli.GIVEN), parameters, hide)

    def _id(self, name: str) -> str:
        return f"{self.cloud['secrets_prefix']}{name}"

    @property
    def _remedy(self) -> str:
        return f"stackwright up {self.environment.name} makes it"
