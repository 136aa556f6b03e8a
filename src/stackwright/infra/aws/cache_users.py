"""Who may do what in a store: names, rights, and who may set passwords. Pure, so that all of it is known in preview."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stackwright.infra.aws.context import Context
from stackwright.model import redis_access
from stackwright.model.aws import names

#: Of the user `default` of Redis, who a client is that names no user: off, so that its empty password opens nothing.
NOBODY = "off -@all"

Statement = dict[str, Any]


def user_name(context: Context, purpose: str, user: str) -> str:
    """What the application logs in as, and the user's id (`model.aws.names.cache_user`)."""
    return names.cache_user(context.environment, purpose, user)


def application_access(system: str, applications: int) -> str:
    """The rights of an application, as those of the role `redis`, where `applications` share the instance."""
    patterns = redis_access.patterns(system, applications)
    keys, channels = (" ".join(f"{mark}{pattern}" for pattern in patterns) for mark in "~&")
    categories = " ".join(f"+@{category}" for category in redis_access.CATEGORIES)
    commands = " ".join(f"+{command}" for command in redis_access.commands(applications))
    return f"on {keys} resetchannels {channels} -@all {categories} -@admin -@dangerous {commands}"


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
