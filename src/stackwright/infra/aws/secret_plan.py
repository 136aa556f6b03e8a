"""What a push of secrets has to do: from what is known here and in AWS to steps, in an order that may be cut short anywhere.

**A rotation** of a cache user's password, so that no server is locked out: (1) the new value becomes a version of the
secret with the label AWSPENDING, which nobody reads; (2) the user accepts both passwords; (3) the label AWSCURRENT moves
to the new version: whoever reads the secret from now on gets what is accepted already. Servers that run go on with the
old one. Once all of them have the new one (a new server reads it; one that runs is replaced), `retire` takes the old one
away. A second rotation before that is refused, as a user has two passwords and not three. AWSPENDING tells a rotation
that was cut short, which goes on, from one that is not retired.

What has no user of the cache has one step: its value is written. Who else has to know it, such as the database whose role
logs in with it, is told by whoever sets that up, and until then refuses servers that read the new value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from stackwright.model.aws.names import cache_user
from stackwright.model.environment import Environment
from stackwright.model.secrets import application_names

#: Of a user of ElastiCache ("Authenticating with RBAC", user guide): 16 to 128 printable characters, not these. `%` is
#: refused in AUTH tokens (botocore, ModifyReplicationGroup), and a URL reads it as something else.
_PASSWORD = re.compile(r"[!-~]{16,128}")
_REFUSED = ',"/@%'
#: Bound of Secrets Manager (botocore, SecretStringType), in bytes.
_LONGEST = 65536

#: `put`: write the value, and it is what everybody reads. `stage`: write it as AWSPENDING. `admit`: the user accepts it
#: alone. `admit_both`: also the one that everybody reads. `promote`: AWSPENDING is what everybody reads.
Step = Literal["put", "stage", "admit", "admit_both", "promote"]


@dataclass(frozen=True, kw_only=True)
class User:
    """A user of ElastiCache, as `describe-users` tells."""

    id: str
    #: `iam` (locked: nobody is granted that), `no-password` or `password`.
    type: str
    passwords: int

    @property
    def locked(self) -> bool:
        """No password opens it."""
        return self.type != "password" or self.passwords == 0

    @property
    def accepts_old(self) -> bool:
        """In the middle of a rotation."""
        return self.type == "password" and self.passwords > 1


@dataclass(frozen=True, kw_only=True)
class Version:
    """Of a secret in Secrets Manager."""

    id: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Known:
    """A secret as it is here and in AWS."""

    name: str
    #: None where it is yet to be generated.
    local: str | None
    #: What servers read (AWSCURRENT); None where no value was written yet.
    current: Version | None
    #: AWSPENDING; asked for only in a rotation of a user's password.
    pending: Version | None = None
    #: Who logs in with it.
    user: User | None = None

    @property
    def differs(self) -> bool:
        """From what servers read."""
        return self.current is None or self.current.value != self.local

    @property
    def rotates(self) -> bool:
        """Servers may have logged in with another password."""
        return self.differs and self.current is not None and self.user is not None and not self.user.locked


def cache_users(environment: Environment) -> dict[str, str]:
    """The name of a secret -> the id of ElastiCache's user whose password it is."""
    return {
        f"redis/{purpose}/{name}": cache_user(environment.name, purpose, name)
        for name, app in environment.system.apps.items()
        for purpose in app.cache
    }


def names(environment: Environment) -> tuple[str, ...]:
    """The secrets that servers in AWS read, and those of the cache's users: no key of the authority."""
    return application_names(environment)


def value_problems(values: Mapping[str, object], users: Iterable[str]) -> Iterator[str]:
    """What AWS would refuse of the values of secrets, by name; `users` are those that ElastiCache's users log in with."""
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
    """What brings a secret and its user to the value that is known here; nothing where all is as it should be.

    Raises ValueError where an earlier rotation is not retired.
    """
    user, current = known.user, known.current
    if user is None:
        return ("put",) if known.differs else ()
    if user.locked:
        # Nobody is locked out by it. The user last: it stays locked, and so to be seen, until all is done.
        return ("put", "admit") if known.differs else ("admit",)
    if current is None:
        # Somebody set a password by hand. The secret last, for the same reason.
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
