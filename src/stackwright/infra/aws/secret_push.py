"""Writes secrets to where AWS servers read them, and sets the passwords of the cache users.

Pulumi creates empty secrets and locked users; its state contains no value. The values come from the operator's own
store, in which missing ones are generated. `secret_plan` explains how a rotation works and why no order of events locks
a server out. A push that was interrupted can be repeated, with the same result.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stackwright.infra.aws import secret_plan
from stackwright.infra.aws.aws_cli import AwsCliError
from stackwright.infra.aws.secret_calls import Caller
from stackwright.infra.aws.secret_plan import Known, Step, User
from stackwright.model import topology
from stackwright.model.environment import Environment
from stackwright.model.output import InventoryError, hosts_of
from stackwright.secret_store import SecretError, SecretStore

#: A change of a user reaches every node of its cache before the user is active again.
WAIT_SECONDS = 300
_PAUSE_SECONDS = 5
_READY = "active"


@dataclass(frozen=True, kw_only=True)
class Done:
    """The result of a push, or what a dry run would have done."""

    #: The name of a secret -> its steps; secrets that are up to date are left out.
    changed: Mapping[str, Sequence[Step]]
    #: Secrets that this machine generated.
    generated: Sequence[str] = ()
    #: Users that accept an old password until `retire`.
    rotating: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Pusher(Caller):
    """Pushes the secrets of one environment from its store to AWS."""

    store: SecretStore
    seconds: float = WAIT_SECONDS

    def push(self, *, dry_run: bool = False) -> Done:
        """Bring every secret and user to the values of the store; a dry run only reads and changes nothing anywhere.

        Raises SecretError, before the first change if the problem can be known by then.
        """
        users = secret_plan.cache_users(self.environment)
        local: dict[str, str] = dict(self.store.all())
        names = secret_plan.names(self.environment)
        self._require_values({name: local[name] for name in names if name in local}, users)
        self._require_account()
        known = [self._compared(remote, local.get(remote.name)) for remote in self._known(names, users)]
        self._require_store(known)
        changed = self._plan(known)
        generated = [name for name in changed if name not in local]
        if not dry_run:
            # Everything is stored before the first secret is sent: the store remains the single source.
            values = {name: self.store.get(name) for name in changed}
            for secret in known:
                for step in changed.get(secret.name, ()):
                    self._do(step, secret, values[secret.name])
        return Done(changed=changed, generated=generated, rotating=list(_rotating(known, changed)))

    def retire(self, *, dry_run: bool = False) -> Done:
        """Make users accept only the password that servers read. Use it only after every server has the new one.

        Raises SecretError.
        """
        users = secret_plan.cache_users(self.environment)
        self._require_account()
        known = self._known(tuple(users), users)
        old = {remote.name: remote for remote in known if remote.user is not None and remote.user.accepts_old}
        unknown = [f"{self._id(name)} ({users[name]})" for name, remote in old.items() if remote.current is None]
        if unknown:
            raise SecretError(
                f"{', '.join(unknown)}: there is no value, so that nobody knows which of two passwords is the new one:"
                f" stackwright secrets push {self.environment.name}"
            )
        for secret in old.values():
            if secret.current is not None and not dry_run:
                self._do("admit", secret, secret.current.value)
        return Done(changed=dict.fromkeys(old, ("admit",)))

    # --- current state ----------------------------------------------------------------------------------------------

    def _known(self, names: Sequence[str], users: Mapping[str, str]) -> list[Known]:
        """Return the state in AWS."""
        known, missing = [], []
        for name in names:
            try:
                current = self._version(name, "AWSCURRENT")
            except LookupError:
                missing.append(self._id(name))
                continue
            user = self._user(users[name])[0] if name in users else None
            known.append(Known(name=name, local=None, current=current, user=user))
        if missing:
            raise SecretError(
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there in Secrets Manager of"
                f" {self.cloud['region']}: {self._remedy}"
            )
        return known

    def _compared(self, known: Known, local: str | None) -> Known:
        """Return the state with the local value added."""
        compared = replace(known, local=local)
        return replace(compared, pending=self._version(known.name, "AWSPENDING")) if compared.rotates else compared

    def _user(self, identifier: str) -> tuple[User, str]:
        """Return the user and its status."""
        try:
            answer = json.loads(self._call("elasticache", "describe-users", "--user-id", identifier))
        except AwsCliError as error:
            if error.code in ("UserNotFound", "UserNotFoundFault"):
                raise SecretError(
                    f"there is no user {identifier} in ElastiCache of {self.cloud['region']}: {self._remedy}"
                ) from None
            raise SecretError(f"the user {identifier} of ElastiCache cannot be described: {error}") from None
        (user,) = answer["Users"]
        auth = user["Authentication"]
        return User(id=identifier, type=auth["Type"], passwords=auth.get("PasswordCount") or 0), user["Status"]

    # --- checks before any change -----------------------------------------------------------------------------------

    def _require_values(self, values: Mapping[str, object], users: Mapping[str, str]) -> None:
        problems = list(secret_plan.value_problems(values, users))
        if problems:
            raise SecretError("\n".join(f"{self.store.file}: {problem}" for problem in problems))

    def _require_store(self, known: Sequence[Known]) -> None:
        """Ensure that secrets of another machine are not replaced by new ones because its store is missing here."""
        if not self.store.file.is_file() and any(secret.current is not None for secret in known):
            raise SecretError(
                f"AWS has secrets of {self.environment.name}, and {self.store.file} is not here: bring it, with its"
                " password, from the machine that wrote them (a secret that it does not have is generated)"
            )

    def _plan(self, known: Sequence[Known]) -> dict[str, tuple[Step, ...]]:
        plan, problems = {}, []
        for secret in known:
            try:
                plan[secret.name] = secret_plan.steps(secret)
            except ValueError as error:
                problems.append(str(error))
        if problems:
            raise SecretError(
                "\n".join(problems)
                + f"\nRemedy: once every server has what it reads now, stackwright secrets retire {self.environment.name}"
            )
        return {name: steps for name, steps in plan.items() if steps}

    # --- changes ----------------------------------------------------------------------------------------------------

    def _do(self, step: Step, known: Known, value: str) -> None:
        secret = ("--secret-id", self._id(known.name))
        try:
            if step == "put":
                self._give(
                    "secretsmanager", "put-secret-value", *secret, parameters={"SecretString": value}, hide=[value]
                )
            elif step == "stage":
                parameters = {"SecretString": value, "VersionStages": ["AWSPENDING"]}
                self._give("secretsmanager", "put-secret-value", *secret, parameters=parameters, hide=[value])
            elif step == "promote":
                self._promote(known)
            elif known.user is not None:
                old = [known.current.value] if step == "admit_both" and known.current is not None else []
                self._set_passwords(known.user.id, [*old, value])
        except AwsCliError as error:
            raise SecretError(
                f"{self._id(known.name)}: {error}; what is done is done, the same command goes on from there"
            ) from None

    def _promote(self, known: Known) -> None:
        if known.current is None:
            return
        pending = self._version(known.name, "AWSPENDING")
        if pending is None:
            raise SecretError(f"{self._id(known.name)} has lost its version AWSPENDING: somebody else writes it, too")
        labels = ["--version-stage", "AWSCURRENT", "--move-to-version-id", pending.id]
        self._call(
            "secretsmanager",
            "update-secret-version-stage",
            *("--secret-id", self._id(known.name)),
            *labels,
            *("--remove-from-version-id", known.current.id),
        )

    def _set_passwords(self, user: str, passwords: Sequence[str]) -> None:
        # A user that is being changed, by an interrupted push, accepts no other change (InvalidUserState).
        self._wait(user)
        parameters = {"AuthenticationMode": {"Type": "password", "Passwords": list(passwords)}}
        self._give("elasticache", "modify-user", "--user-id", user, parameters=parameters, hide=passwords)
        self._wait(user)

    def _wait(self, user: str) -> None:
        deadline = time.monotonic() + self.seconds
        while (status := self._user(user)[1]) != _READY:
            if time.monotonic() >= deadline:
                raise SecretError(
                    f"the user {user} of ElastiCache is {status}, and did not become {_READY} within {self.seconds:g} s:"
                    " run the same command again"
                )
            time.sleep(min(_PAUSE_SECONDS, self.seconds))


def _rotating(known: Sequence[Known], changed: Mapping[str, Sequence[Step]]) -> Iterator[str]:
    for secret in known:
        if secret.user is None:
            continue
        steps = changed.get(secret.name, ())
        if "admit_both" in steps or (secret.user.accepts_old and "admit" not in steps):
            yield secret.user.id


def require_cloud(environment: Environment) -> None:
    """Raise SecretError if AWS keeps no secrets for the environment's servers."""
    if environment.stack.aws is None:
        raise SecretError(
            f"{environment.name} is not on AWS but {environment.provider}: its secrets stay on this machine, and Ansible"
            " brings them to its hosts"
        )
    if not topology.managed(environment.stack):
        raise SecretError(
            f"{environment.name} has no secrets in AWS: its servers are hosts, and Ansible brings them theirs; size C has"
        )


def cloud_of(environment: Environment, output: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the section `cloud` of an environment's output.

    Raises SecretError if it is not provisioned, or differs from its file.
    """
    if output is None:
        raise SecretError(f"{environment.name} is not provisioned: run `stackwright up {environment.name}`")
    try:
        hosts_of(environment, output)
    except InventoryError as error:
        raise SecretError(str(error)) from error
    cloud: Mapping[str, Any] | None = output.get("cloud")
    if cloud is None:
        raise SecretError(
            f"the output of {environment.name} has no section cloud: run `stackwright up {environment.name}`"
        )
    return cloud
