"""What a program of one's own imports: every component by its name, and nothing of AWS before it is used."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pulumi
import pytest
from environments import GOLDEN
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


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_every_child_is_named_after_its_component(file: Path) -> None:
    """The engine then knows a child's former name by its component's alias, and replaces nothing (`test_engine_components.py`)."""
    parents = {
        key.partition(" ")[2]: each["(options)"]["parent"]
        for key, each in json.loads(file.read_text()).items()
        if each.get("(options)", {}).get("parent")
    }
    assert len(parents) > 100
    assert {child: parent for child, parent in parents.items() if not child.startswith(f"{parent}-")} == {}


def test_the_cli_does_not_load_the_sdk_of_aws() -> None:
    code = "import sys, stackwright.cli.app; print('pulumi_aws' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
