"""Who may do what in a store: names, rights, and who may set passwords. Pure, so that all of it is known in preview."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stackwright.infra.aws.context import Context
from stackwright.model.aws import names

#: Of the user `default` of Redis, who a client is that names no user: off, so that its empty password opens nothing.
NOBODY = "off -@all"
_CATEGORIES = ("read", "write", "connection", "transaction", "pubsub", "scripting")

Statement = dict[str, Any]


def user_name(context: Context, purpose: str, user: str) -> str:
    """What the application logs in as, and the user's id (`model.aws.names.cache_user`)."""
    return names.cache_user(context.environment, purpose, user)


def application_access(system: str) -> str:
    """The rights of an application, as those of the role `redis`: its own keys and channels, no dangerous command."""
    categories = " ".join(f"+@{each}" for each in _CATEGORIES)
    return f"on ~{system}:* resetchannels &{system}:* -@all {categories} -@admin -@dangerous +info"


def password_statements(context: Context, user_names: Sequence[str]) -> list[Statement]:
    """What IAM has to allow to whoever sets the users' passwords; reading the secrets is said elsewhere (`Secrets`)."""
    return [
        {
            "Sid": "SetPasswordsOfCacheUsers",
            "Effect": "Allow",
            "Action": ["elasticache:DescribeUsers", "elasticache:ModifyUser"],
            "Resource": [context.arn("elasticache", f"user:{name}") for name in user_names],
        }
    ]
