"""How the provider itself is configured: where it works, for whom, and with which tags."""

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
#: Put beside the configuration by the engine.
_ENGINES_OWN = ("version", "pluginDownloadURL")


class ConfigurationError(ValueError):
    """The provider cannot work like this."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What a configured provider knows."""

    #: "" if none was given: then nothing can be done.
    region: str = ""
    account: str = EXAMPLE_ACCOUNT
    default_tags: Mapping[str, str] = field(default_factory=dict)


def decoded(settings: Mapping[str, Any]) -> wire.Values:
    """Whatever is no string travels as JSON in a string: so does Pulumi's provider configuration."""
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
    """What is wrong with a configuration. A missing region is not: it may yet come."""
    return check("provider aws", provider(), decoded(settings))


def configured(settings: Mapping[str, Any], logged_in: str) -> Configuration:
    """The configuration; `logged_in` is the account to pretend to be in, "" for the first that is allowed."""
    plain_settings = wire.plain(decoded(settings))
    allowed = plain_settings.get("allowedAccountIds") or []
    account = logged_in or (allowed[0] if allowed else EXAMPLE_ACCOUNT)
    if (allowed and account not in allowed) or account in (plain_settings.get("forbiddenAccountIds") or []):
        raise ConfigurationError(f"AWS account ID not allowed: {account}")
    tags = (plain_settings.get("defaultTags") or {}).get("tags") or {}
    return Configuration(region=plain_settings.get("region") or "", account=account, default_tags=tags)
