"""Plans a push of secrets: the steps from the local and the AWS state, in an order that may be interrupted anywhere.

**A rotation** of a cache user's password, without locking out any server: (1) the new value becomes a version of the
secret with the label AWSPENDING, which no server reads; (2) the user accepts both passwords; (3) the label AWSCURRENT
moves to the new version: any server that reads the secret from now on gets a password that is already accepted. Running
servers continue with the old one. When all of them have the new one (a new server reads it; a running one is replaced),
`retire` removes the old one. A second rotation before that is refused, as a user can have two passwords but not three.
AWSPENDING distinguishes a rotation that was interrupted, which is continued, from one that is not retired.

A secret without a cache user takes one step: its value is written. Any other system that has to know it, such as the
database whose role logs in with it, is updated by the operator who set that up; until then it refuses servers that read
the new value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from stackwright.model.aws.names import cache_user
from stackwright.model.environment import Environment
from stackwright.model.secrets import application_names

#: Password of an ElastiCache user ("Authenticating with RBAC", user guide): 16 to 128 printable characters, except
#: these. `%` is refused in AUTH tokens (botocore, ModifyReplicationGroup), and a URL interprets it as an escape.
_PASSWORD = re.compile(r"[!-~]{16,128}")
_REFUSED = ',"/@%'
#: Limit of Secrets Manager (botocore, SecretStringType), in bytes.
_LONGEST = 65536

#: `put`: write the value, which all servers read from then on. `stage`: write it as AWSPENDING. `admit`: the user
#: accepts it only. `admit_both`: the user also accepts the one that servers read. `promote`: servers read AWSPENDING
#: from then on.
Step = Literal["put", "stage", "admit", "admit_both", "promote"]


@dataclass(frozen=True, kw_only=True)
class User:
    """An ElastiCache user, as returned by `describe-users`."""

    id: str
    #: `iam` (locked: the permission is granted to no one), `no-password` or `password`.
    type: str
    passwords: int

    @property
    def locked(self) -> bool:
        """Return whether the user has no password to log in with."""
        return self.type != "password" or self.passwords == 0

    @property
    def accepts_old(self) -> bool:
        """Return whether the user accepts a second password, as during a rotation."""
        return self.type == "password" and self.passwords > 1


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of a secret in Secrets Manager."""

    id: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Known:
    """The local and the AWS state of a secret."""

    name: str
    #: None if it is not generated yet.
    local: str | None
    #: The version that servers read (AWSCURRENT); None if no value was written yet.
    current: Version | None
    #: The version AWSPENDING; read only during a rotation of a user's password.
    pending: Version | None = None
    #: The cache user that logs in with it.
    user: User | None = None

    @property
    def differs(self) -> bool:
        """Return whether the local value differs from the one that servers read."""
        return self.current is None or self.current.value != self.local

    @property
    def rotates(self) -> bool:
        """Return whether servers may have logged in with another password."""
        return self.differs and self.current is not None and self.user is not None and not self.user.locked


def cache_users(environment: Environment) -> dict[str, str]:
    """Return the name of each secret -> the id of the ElastiCache user whose password it is."""
    return {
        f"redis/{purpose}/{name}": cache_user(environment.name, purpose, name)
        for name, app in environment.system.apps.items()
        for purpose in app.cache
    }


def names(environment: Environment) -> tuple[str, ...]:
    """Return the secrets that servers in AWS read, and those of the cache users, without the CA's keys."""
    return application_names(environment)


def value_problems(values: Mapping[str, object], users: Iterable[str]) -> Iterator[str]:
    """Yield what AWS would refuse of secret values, by name; `users` are the secrets of ElastiCache users."""
    passwords = set(users)
    for name, value in values.items():
        if not isinstance(value, str):
            yield f"{name} is no text but {type(value).__name__}, accepted: text (in quotes)"
        elif not 1 <= len(value.encode()) <= _LONGEST:
            yield f"{name} has {len(value.encode())} bytes, accepted: 1 to {_LONGEST}"
        elif name in passwords and not _PASSWORD.fullmatch(value):
            yield (
                f"{name} is a password of ElastiCache with {len(value)} characters, accepted: 16 to 128 printable"
                " ASCII characters, no space"
            )
        elif name in passwords and set(_REFUSED) & set(value):
            yield f"{name} is a password of ElastiCache with one of {_REFUSED} in it, accepted: none of these"


def steps(known: Known) -> tuple[Step, ...]:
    """Return the steps that bring a secret and its user to the local value; none if both are up to date.

    Raises ValueError if an earlier rotation is not retired.
    """
    user, current = known.user, known.current
    if user is None:
        return ("put",) if known.differs else ()
    if user.locked:
        # This locks out no server. The user comes last: it stays locked, and so visible, until everything is done.
        return ("put", "admit") if known.differs else ("admit",)
    if current is None:
        # A password was set by hand. The secret comes last, for the same reason.
        return ("admit", "put")
    if not known.differs:
        return ()
    pending = known.pending
    if user.accepts_old and (pending is None or pending.id == current.id):
        raise ValueError(
            f"{known.name} has another value again, and {user.id} still accepts the password before the one that servers"
            " read now, and no third one"
        )
    staged = pending is not None and pending.value == known.local
    return ("admit_both", "promote") if staged else ("stage", "admit_both", "promote")
