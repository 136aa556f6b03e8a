"""Users of a store: names, permissions, and the right to set passwords. Pure, so that all is known in a preview."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stackwright.infra.aws.context import Context
from stackwright.model import redis_access
from stackwright.model.aws import names

#: Access of the Redis user `default`, which a client without a user name gets: off, so that its empty password is
#: useless.
NOBODY = "off -@all"

Statement = dict[str, Any]


def user_name(context: Context, purpose: str, user: str) -> str:
    """Return the name that the application logs in with, which is also the user's id (`model.aws.names.cache_user`)."""
    return names.cache_user(context.environment, purpose, user)


def application_access(system: str, applications: int) -> str:
    """Return the access string of one of `applications` that share an instance, as the role `redis` grants it."""
    patterns = redis_access.patterns(system, applications)
    keys, channels = (" ".join(f"{mark}{pattern}" for pattern in patterns) for mark in "~&")
    categories = " ".join(f"+@{category}" for category in redis_access.CATEGORIES)
    commands = " ".join(f"+{command}" for command in redis_access.commands(applications))
    return f"on {keys} resetchannels {channels} -@all {categories} -@admin -@dangerous {commands}"


def password_statements(context: Context, user_names: Sequence[str]) -> list[Statement]:
    """Return the IAM statements for setting the users' passwords; `Secrets` has those for reading the secrets."""
    return [
        {
            "Sid": "SetPasswordsOfCacheUsers",
            "Effect": "Allow",
            "Action": ["elasticache:DescribeUsers", "elasticache:ModifyUser"],
            "Resource": [context.arn("elasticache", f"user:{name}") for name in user_names],
        }
    ]
