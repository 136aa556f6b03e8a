"""The configuration of the provider itself: its region, account and tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stackwright.testing.aws import wire
from stackwright.testing.aws.check import Failure, check
from stackwright.testing.aws.sdk_schema import Kind, provider

#: AWS's own example account.
EXAMPLE_ACCOUNT = "123456789012"
#: Added to the configuration by the engine.
_ENGINES_OWN = ("version", "pluginDownloadURL")


class ConfigurationError(ValueError):
    """Raised if the provider cannot work with its configuration."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The settings of a configured provider."""

    #: Empty if not set: then no operation is possible.
    region: str = ""
    account: str = EXAMPLE_ACCOUNT
    default_tags: Mapping[str, str] = field(default_factory=dict)


def decoded(settings: Mapping[str, Any]) -> wire.Values:
    """Return the decoded settings: Pulumi passes provider configuration that is not a string as JSON in a string."""
    decoded_settings = {}
    for name, value in settings.items():
        inner = wire.unwrap(value)
        declared = provider().get(name)
        if declared and not declared.type(Kind.STRING) and isinstance(inner, str) and not wire.is_unknown(inner):
            try:
                inner = json.loads(inner)
            except ValueError:
                inner = value
            decoded_settings[name] = wire.secret(inner) if wire.is_secret(value) else inner
        elif name not in _ENGINES_OWN:
            decoded_settings[name] = value
    return decoded_settings


def problems(settings: Mapping[str, Any]) -> list[Failure]:
    """Return the problems of a configuration. A missing region is not one: it may be set later."""
    return check("provider aws", provider(), decoded(settings))


def configured(settings: Mapping[str, Any], logged_in: str) -> Configuration:
    """Return the configuration; `logged_in` is the account to simulate, empty for the first allowed one."""
    plain_settings = wire.plain(decoded(settings))
    allowed = plain_settings.get("allowedAccountIds") or []
    account = logged_in or (allowed[0] if allowed else EXAMPLE_ACCOUNT)
    if (allowed and account not in allowed) or account in (plain_settings.get("forbiddenAccountIds") or []):
        raise ConfigurationError(f"AWS account ID not allowed: {account}")
    tags = (plain_settings.get("defaultTags") or {}).get("tags") or {}
    return Configuration(region=plain_settings.get("region") or "", account=account, default_tags=tags)
