"""`stackwright cost`: the table that a person sees, without an account and without Pulumi's CLI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from environments import ROOT
from typer.testing import CliRunner

from stackwright.cli import app as verbs
from stackwright.cli.app import app


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("taaleem-staging", "t3.medium"),
        ("taaleem-production", "c7i.xlarge"),
        ("taaleem-windows-aws", "licence of Windows, t3.large"),
    ],
)
def test_the_table_has_a_total_what_is_single_and_what_would_be_lost(
    project: Path, name: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "inventories" / name, project / "inventories" / name, symlinks=True)
    # A console knows its width from when it was made.
    monkeypatch.setattr(verbs.console, "width", 200)
    done = CliRunner().invoke(app, ["cost", name])
    assert done.exit_code == 0, done.output
    for part in (
        server,
        "NAT gateway",
        "USD a month",
        "unverified",
        "In one zone only",
        "What a deletion would destroy",
    ):
        assert part in done.output
    assert "unknown" not in done.output.lower()
    assert "over the budget" not in done.output


def test_plan_ends_with_the_table(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "inventories/taaleem-production", project / "inventories/taaleem-production", symlinks=True)
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(verbs.credentials, "require", lambda _: None)
    monkeypatch.setattr(verbs.engine, "_command", lambda _, *argv: argv)
    monkeypatch.setattr(verbs.Runner, "pulumi", lambda _, *commands: ran.extend(commands))
    done = CliRunner().invoke(app, ["plan", "taaleem-production"])
    assert done.exit_code == 0, done.output
    assert [each[0] for each in ran] == ["stack", "preview"]
    assert "USD a month" in done.output
    assert "What a deletion would destroy" in done.output


def test_elsewhere_there_is_no_price_list(project: Path) -> None:
    shutil.copytree(ROOT / "inventories/taaleem-local", project / "inventories/taaleem-local", symlinks=True)
    done = CliRunner().invoke(app, ["cost", "taaleem-local"])
    assert (done.exit_code, done.output) == (0, "taaleem-local is on local: there is no price list for it\n")
