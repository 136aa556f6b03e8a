"""What a program of one's own imports: every component by its name, and nothing of AWS before it is used."""

from __future__ import annotations

import subprocess
import sys

import pulumi
import pytest
from pulumi.provider.experimental.analyzer import Analyzer

from stackwright.infra import aws

COMPONENTS = [name for name in aws.__all__ if not name.endswith("Args") and name != "Context"]


def test_every_public_name_is_there() -> None:
    assert COMPONENTS
    assert all(getattr(aws, name).__name__ == name for name in aws.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Databse'"):
        _ = aws.Databse


@pytest.mark.parametrize("name", COMPONENTS)
def test_other_languages_can_use_it(name: str) -> None:
    """Pulumi's analyzer, which makes the schema of a component package, takes its args."""
    component = getattr(aws, name)
    assert issubclass(component, pulumi.ComponentResource)
    definition = Analyzer("stackwright-aws").analyze_component(component)
    assert "context" in definition.inputs


def test_the_cli_does_not_load_the_sdk_of_aws() -> None:
    code = "import sys, stackwright.cli.app; print('pulumi_aws' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
