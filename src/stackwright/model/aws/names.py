"""Names of AWS resources. Each service has its own limits on length and characters, which are defined only here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stackwright.model.naming import bounded

#: Namespace of the CloudWatch agent's metrics; the role `host_metrics` uses the same name.
AGENT_NAMESPACE = "CWAgent"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a service accepts as a name."""

    limit: int
    #: Matches the whole name.
    pattern: str
    separator: str = "-"


_HYPHENS = r"[a-zA-Z](-?[a-zA-Z0-9])*"
_IAM = r"[\w+=,.@-]+"

#: By kind; limits and characters from each service's API reference (2026-11), checked against botocore's service
#: models where those define them (`tests/pulumi/aws/test_names.py`).
RULES: Mapping[str, Rule] = {
    "alarm": Rule(limit=255, pattern=r"[\w .:/-]+"),
    "auto_scaling_group": Rule(limit=255, pattern=r"[^:]+"),
    "backup_vault": Rule(limit=50, pattern=r"[a-zA-Z0-9_-]{2,}"),
    "budget": Rule(limit=100, pattern=r"[^:\\]+"),
    "bucket": Rule(limit=63, pattern=r"(?!xn--)[a-z0-9](-?[a-z0-9]){2,}(?<!-s3alias)"),
    "cache_group": Rule(limit=40, pattern=_HYPHENS),
    "cache_parameter_group": Rule(limit=255, pattern=_HYPHENS),
    "cache_policy": Rule(limit=128, pattern=r"[\w-]+"),
    "cache_snapshot": Rule(limit=40, pattern=_HYPHENS),
    "cache_subnet_group": Rule(limit=255, pattern=_HYPHENS),
    "cache_user": Rule(limit=40, pattern=_HYPHENS),
    "cache_user_group": Rule(limit=40, pattern=_HYPHENS),
    "dashboard": Rule(limit=255, pattern=r"[A-Za-z0-9_-]+"),
    "database": Rule(limit=63, pattern=_HYPHENS),
    "database_parameter_group": Rule(limit=255, pattern=_HYPHENS),
    "database_snapshot": Rule(limit=255, pattern=_HYPHENS),
    "database_subnet_group": Rule(limit=255, pattern=r"[a-z0-9 ._-]+"),
    "distribution_policy": Rule(limit=128, pattern=r"[\w-]+"),
    "document": Rule(limit=128, pattern=r"[a-zA-Z0-9_.-]{3,}"),
    "event_subscription": Rule(limit=254, pattern=_HYPHENS),
    "iam_policy": Rule(limit=128, pattern=_IAM),
    "iam_role": Rule(limit=64, pattern=_IAM),
    "instance_profile": Rule(limit=128, pattern=_IAM),
    "ip_set": Rule(limit=128, pattern=r"[\w-]+"),
    "kms_alias": Rule(limit=256, pattern=r"alias/(?!aws/)[a-zA-Z0-9/_-]+", separator="-"),
    "launch_template": Rule(limit=128, pattern=r"[a-zA-Z0-9().\-/_]{3,}"),
    "lifecycle_hook": Rule(limit=255, pattern=r"[A-Za-z0-9_/-]+"),
    "load_balancer": Rule(limit=32, pattern=r"(?!internal-)[a-zA-Z0-9](-?[a-zA-Z0-9])*"),
    "log_delivery": Rule(limit=60, pattern=r"[\w-]+"),
    "log_group": Rule(limit=512, pattern=r"(?!aws/)[.\-_/#A-Za-z0-9]+", separator="/"),
    "name_tag": Rule(limit=256, pattern=r"[\w .:/=+\-@]+"),
    "parameter": Rule(limit=1011, pattern=r"/[a-zA-Z0-9_./-]+", separator="/"),
    "scaling_policy": Rule(limit=255, pattern=r"[^:]+"),
    "scheduled_action": Rule(limit=255, pattern=r"[^:]+"),
    "secret": Rule(limit=512, pattern=r"[A-Za-z0-9/_+=.@-]+", separator="/"),
    "security_group": Rule(limit=255, pattern=r"(?!sg-)[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]+"),
    "target_group": Rule(limit=32, pattern=r"(?!internal-)[a-zA-Z0-9](-?[a-zA-Z0-9])*"),
    "topic": Rule(limit=256, pattern=r"[a-zA-Z0-9_-]+"),
    "vpc_origin": Rule(limit=64, pattern=r"[\w-]+"),
    "waf_log_group": Rule(limit=512, pattern=r"aws-waf-logs-[.\-_/#A-Za-z0-9]+"),
    "web_acl": Rule(limit=128, pattern=r"[\w-]+"),
}


def name(kind: str, *parts: str) -> str:
    """Return the name that `parts` make for a `kind` of RULES; one that is too long is cut and made unique by a hash.

    Raises ValueError for a name that the service would reject.
    """
    rule = RULES[kind]
    text = bounded(*parts, limit=rule.limit, separator=rule.separator)
    if not re.fullmatch(rule.pattern, text):
        raise ValueError(f"{text!r} is no name of a {kind.replace('_', ' ')}: {rule.pattern}, at most {rule.limit}")
    return text


def auto_scaling_group(environment: str, tier: str) -> str:
    """Return the name of the Auto Scaling group of a tier."""
    return name("auto_scaling_group", environment, tier)


def bucket(environment: str, purpose: str, account: str) -> str:
    """Return the name of the environment's bucket; the account makes it globally unique."""
    return name("bucket", environment, purpose, account)


def cache_user(environment: str, purpose: str, user: str) -> str:
    """Return the name that an application logs in to the cloud's cache with, which is also the user's id.

    It is unique in account and region, as IAM requires both to be the same.
    """
    # ElastiCache stores ids in lower case, and rejects two consecutive hyphens.
    return name("cache_user", environment, purpose.replace("_", "-"), user).lower()


def cache_group(environment: str, purpose: str) -> str:
    """Return the id of the cloud's replication group for a purpose."""
    # ElastiCache converts it to lower case, and accepts no underscore.
    return name("cache_group", environment, purpose.replace("_", "-")).lower()


def database_instance(environment: str, part: str = "database") -> str:
    """Return the identifier of a database instance of the cloud: `database` takes writes, `replica-<n>` serves reads.

    RDS converts it to lower case.
    """
    return name("database", environment, *dict.fromkeys(("database", part))).lower()


def group_component(environment: str) -> str:
    """Return the name of the component whose servers configure themselves, in the environment's program."""
    return f"{environment}-app"
