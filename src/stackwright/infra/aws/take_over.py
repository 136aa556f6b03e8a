"""Takes over the master password of a database from RDS, which supports no replicas before that.

Pulumi creates an empty secret (`postgresql/master`), as for every other secret; the value is generated here, goes
straight into it and from there to RDS, and is stored nowhere else. Two calls change something:

1. `put-secret-value`: the login as JSON, in the format of RDS's own secrets. It is not read yet.
2. `modify-db-instance`: RDS sets that password, stops managing it and deletes its own secret. No outage (API reference
   of ModifyDBInstance, "MasterUserPassword": applied asynchronously).

If the command is interrupted and repeated:

* before 1: nothing was changed; it starts again.
* after 1, whether or not its answer arrived: there is a value, and it is used. Two runs that generate one at the same
  time cannot both write it: the version has the same id each time, and Secrets Manager refuses another value under an
  existing id ("ClientRequestToken" of PutSecretValue). RDS is always given what is read back from the secret.
* after 2, whether or not its answer arrived, before RDS is done: the command waits for the instance; then it is either
  done, or RDS still manages the password and 2 is repeated with the same value.
* after RDS is done: nothing is changed, and the command prints what stack.yml needs.

Between 2 and the line in stack.yml, `up` and a converge stop, as RDS's own secret no longer exists; neither gives the
password back to RDS (module `database`).
"""

from __future__ import annotations

import json
import re
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stackwright.infra.aws.aws_cli import AwsCliError
from stackwright.infra.aws.secret_calls import ABSENT, Caller
from stackwright.model import topology
from stackwright.model.aws.names import database_instance
from stackwright.model.environment import Environment
from stackwright.model.secrets import MASTER
from stackwright.secret_store import SecretError

#: A password is set within a minute or two; the command does not wait for an instance that is busy for another reason.
WAIT_SECONDS = 900
_PAUSE_SECONDS = 10
_READY, _RESETTING = "available", "resetting-master-credentials"
#: PostgreSQL's master password (API reference of ModifyDBInstance, "MasterUserPassword"); a space would be refused,
#: too.
_PASSWORD = re.compile(r"[!#-.0-?A-~]{8,128}")
#: The same as in `secret_store`.
_PASSWORD_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class Found:
    """The progress of a take-over."""

    #: Identifier of the instance.
    identifier: str
    #: ARN of the environment's own secret.
    arn: str
    #: Its name in the account.
    secret: str
    #: Whether RDS still manages the password.
    managed: bool
    #: Whether the environment's own secret contains a login.
    filled: bool


@dataclass(frozen=True, kw_only=True)
class TakeOver(Caller):
    """Takes over the master password of one environment's managed database."""

    seconds: float = WAIT_SECONDS

    def look(self) -> Found:
        """Return the progress; changes nothing. Raises SecretError for problems that have to be solved first."""
        self._require_account()
        instance = self._settled(self._instance())
        arn = self._arn()
        named = self.environment.stack.aws.database.master_secret if self.environment.stack.aws else None
        if named not in (None, arn):
            raise SecretError(
                f"aws.database.master_secret is {named}, accepted: none, or the environment's own secret, {arn}: who took"
                " the password over into another secret keeps it there"
            )
        filled, managed = self._login(instance) is not None, _managed(instance)
        if not managed and not filled:
            raise SecretError(
                f"RDS no longer manages the password of {self.identifier}, and {self._id(MASTER)} is empty: somebody took it"
                " over by hand. Name their secret in aws.database.master_secret, or give the password back to RDS first:"
                f" aws rds modify-db-instance --region {self.cloud['region']} --db-instance-identifier"
                f" {self.identifier} --manage-master-user-password --master-user-secret-kms-key-id KEY --apply-immediately"
            )
        return Found(identifier=self.identifier, arn=arn, secret=self._id(MASTER), managed=managed, filled=filled)

    def finish(self, progress: Found) -> None:
        """Do the remaining steps after `progress`. Raises SecretError."""
        if not progress.managed:
            return
        instance = self._instance()
        if not progress.filled:
            self._fill(instance["MasterUsername"], progress.arn)
        login = self._login(instance)
        if login is None:
            raise SecretError(f"{self._id(MASTER)} has lost its value: somebody else writes it, too")
        parameters = {"ManageMasterUserPassword": False, "MasterUserPassword": login, "ApplyImmediately": True}
        try:
            self._give(
                "rds",
                "modify-db-instance",
                "--db-instance-identifier",
                self.identifier,
                parameters=parameters,
                hide=[login],
            )
        except AwsCliError as error:
            raise SecretError(
                f"{self.identifier}: {error}; what is done is done, the same command goes on from there"
            ) from None
        self._wait(lambda database: _idle(database) and not _managed(database), "the password is not taken over")

    @property
    def identifier(self) -> str:
        """Return the identifier of the instance that accepts writes."""
        return database_instance(self.environment.name)

    # --- current state ----------------------------------------------------------------------------------------------

    def _instance(self) -> dict[str, Any]:
        try:
            text = self._call("rds", "describe-db-instances", "--db-instance-identifier", self.identifier)
        except AwsCliError as error:
            if error.code.startswith("DBInstanceNotFound"):
                raise SecretError(
                    f"there is no database {self.identifier} in RDS of {self.cloud['region']}: {self._remedy}"
                ) from None
            raise SecretError(f"the database {self.identifier} cannot be described: {error}") from None
        instance: dict[str, Any] = json.loads(text)["DBInstances"][0]
        return instance

    def _settled(self, instance: dict[str, Any]) -> dict[str, Any]:
        """Return the instance after waiting for a password that an interrupted run is still setting."""
        status = instance["DBInstanceStatus"]
        if status not in (_READY, _RESETTING):
            raise SecretError(
                f"the database {self.identifier} is {status}, accepted: {_READY}; run the same command again once it is"
            )
        return instance if _idle(instance) else self._wait(_idle, "its master's password is being set")

    def _arn(self) -> str:
        try:
            text = self._call("secretsmanager", "describe-secret", "--secret-id", self._id(MASTER))
        except AwsCliError as error:
            if error.code == ABSENT:
                raise SecretError(
                    f"{self._id(MASTER)} is not there in Secrets Manager of {self.cloud['region']}: {self._remedy}"
                ) from None
            raise SecretError(f"{self._id(MASTER)} cannot be described: {error}") from None
        arn: str = json.loads(text)["ARN"]
        return arn

    def _login(self, instance: Mapping[str, Any]) -> str | None:
        """Return the password in the environment's own secret; None if it is empty."""
        version = self._version(MASTER, "AWSCURRENT")
        if version is None:
            return None
        user = instance["MasterUsername"]
        try:
            login = json.loads(version.value)
            name, password = login["username"], login["password"]
        except (ValueError, KeyError, TypeError):
            name = password = None
        # Without the text, which may be the password.
        if name != user or not isinstance(password, str) or not _PASSWORD.fullmatch(password):
            raise SecretError(
                f"{self._id(MASTER)} holds something else than a login of {user}, accepted: JSON with username {user} and"
                ' password, 8 to 128 printable ASCII characters, none of /"@ and no space'
            )
        return password

    # --- changes ----------------------------------------------------------------------------------------------------

    def _fill(self, user: str, arn: str) -> None:
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        text = json.dumps({"username": user, "password": password})
        parameters = {"SecretString": text, "ClientRequestToken": str(uuid.uuid5(uuid.NAMESPACE_URL, arn))}
        options = ("--secret-id", self._id(MASTER))
        try:
            self._give("secretsmanager", "put-secret-value", *options, parameters=parameters, hide=[text, password])
        except AwsCliError as error:
            # Another run has just done the same; its value is used.
            if error.code != "ResourceExistsException":
                raise SecretError(
                    f"{self._id(MASTER)}: {error}; RDS was not asked for anything, the same command goes on from there"
                ) from None

    def _wait(self, done: Callable[[Mapping[str, Any]], bool], otherwise: str) -> dict[str, Any]:
        deadline = time.monotonic() + self.seconds
        while not done(instance := self._instance()):
            if time.monotonic() >= deadline:
                raise SecretError(
                    f"the database {self.identifier} is {instance['DBInstanceStatus']} after {self.seconds:g} s, and"
                    f" {otherwise}: run the same command again"
                )
            time.sleep(min(_PAUSE_SECONDS, self.seconds))
        return instance


def _managed(instance: Mapping[str, Any]) -> bool:
    return bool(instance.get("MasterUserSecret"))


def _idle(instance: Mapping[str, Any]) -> bool:
    """Return whether the instance is available and no password change is pending."""
    pending = instance.get("PendingModifiedValues") or {}
    return instance["DBInstanceStatus"] == _READY and "MasterUserPassword" not in pending


def require_managed(environment: Environment) -> None:
    """Raise SecretError if no RDS instance uses a password of the environment."""
    if environment.stack.aws is None:
        raise SecretError(
            f"{environment.name} is not on AWS but {environment.provider}: its database's passwords are its own"
        )
    if environment.system.database is None or "database" not in topology.managed(environment.stack):
        raise SecretError(
            f"{environment.name} has no database that AWS runs, accepted: size C without `aws.database.run_by: hosts`;"
            " replicas of others are hosts (topology.database)"
        )
