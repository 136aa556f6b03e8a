"""What tests of AWS components share: a context per class of environment."""

from __future__ import annotations

from stackwright.infra.aws.context import Context

ACCOUNT = "111122223333"
REGION = "eu-central-1"


def context(environment_class: str = "production") -> Context:
    return Context(
        environment="test", system="taaleem", environment_class=environment_class, account=ACCOUNT, region=REGION
    )


def tags(name: str, environment_class: str = "production", **more: str) -> dict[str, str]:
    return context(environment_class).tags(name, **more)
