"""`stackwright cost` and `stackwright plan`: the table that a person sees, without an account and without Pulumi's CLI."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from environments import ROOT, place
from typer.testing import CliRunner

from stackwright.cli import app as cli
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
    monkeypatch.setattr(cli.console, "_width", 200)
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
    # Nothing is left out: "Not in the total" lists what has no price.
    assert "unknown" not in done.output.lower()
    assert "Not in the total" not in done.output
    # Without the environment's name, which says nothing here.
    assert f"{name}-" not in done.output
    totals = [float(each.replace(",", "")) for each in re.findall(r"^ {60,}([\d,.]+) *$", done.output, re.MULTILINE)]
    [total] = re.findall(r"^ total +([\d,.]+) *$", done.output, re.MULTILINE)
    # Each tier is rounded by itself.
    assert sum(totals) == pytest.approx(float(total.replace(",", "")), abs=0.01 * len(totals))
    assert "over the budget" not in done.output


def test_elsewhere_there_is_no_price_list(project: Path) -> None:
    shutil.copytree(ROOT / "inventories/taaleem-local", project / "inventories/taaleem-local", symlinks=True)
    done = CliRunner().invoke(app, ["cost", "taaleem-local"])
    assert (done.exit_code, done.output) == (0, "taaleem-local is on local: there is no price list for it\n")


#: In Pulumi's place: remembers how it was called, says something on a preview, and fails where it is told to.
PULUMI = """#!/bin/sh
echo "$*" >> "$FAKE_PULUMI"
case "$*" in
*version*) echo v3.259.0 ;;
*preview*) echo "Previewing update (by a stand-in)"; exit "${FAKE_PULUMI_CODE:-0}" ;;
esac
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stand-in was asked for, a line for each call."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "pulumi").write_text(PULUMI)
    (programs / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_PULUMI", str(tmp_path / "calls"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    # A console knows its width from when it was made.
    monkeypatch.setattr(cli.console, "_width", 120)
    return tmp_path / "calls"


def verbs(calls: Path) -> list[str]:
    lines = calls.read_text().splitlines() if calls.is_file() else []
    return [line for line in lines if "version" not in line]


def test_plan_ends_with_the_table(project: Path, calls: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place(project, "taaleem-production")
    done = CliRunner().invoke(app, ["plan", "taaleem-production", "--assume", "nat_gb=1000"])
    assert done.exit_code == 0, (done.output, done.exception)
    # Pulumi writes past us, to the terminal itself.
    assert "Previewing update (by a stand-in)" in capfd.readouterr().out
    assert [call.split()[0] for call in verbs(calls)] == ["stack", "preview"], verbs(calls)
    assert done.output.index("pulumi preview") < done.output.index("Cost a month in eu-central-1")
    assert re.search(r"^ +3 x network-nat-\* +through the gateway +~3,000 gb ", done.output, re.MULTILINE)
    assert re.search(r"^ nat_gb +1000 +156.00 *$", done.output, re.MULTILINE)
    assert re.search(r"^\d+ of \d+ prices are unverified \(\?\), from memory, 2026-11: ", done.output, re.MULTILINE)
    assert "tier ops: one host, compute-ops1-instance" in done.output
    # Two caches whose loss costs nobody anything, said all the same.
    assert re.search(
        r"^ cache-cache, cache-rate-limit +2 x cache +no final snapshot +nobody *$", done.output, re.MULTILINE
    )
    assert max(len(line) for line in done.output.split("Cost a month")[1].splitlines()) <= 120


def test_a_plan_that_pulumi_refuses_has_no_price(project: Path, calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(project, "taaleem-staging")
    monkeypatch.setenv("FAKE_PULUMI_CODE", "255")
    done = CliRunner().invoke(app, ["plan", "taaleem-staging"])
    assert done.exit_code != 0
    assert "Cost a month" not in done.output


@pytest.mark.parametrize("verb", ["plan", "cost"])
def test_a_wrong_assumption_is_refused_before_anything_runs(project: Path, calls: Path, verb: str) -> None:
    place(project, "taaleem-staging")
    done = CliRunner().invoke(app, [verb, "taaleem-staging", "--assume", "nat=1", "--assume", "log_gb=much"])
    assert done.exit_code == 2
    assert "'nat' is no assumption, accepted: " in " ".join(done.output.split())
    assert "assumption log_gb is 'much', accepted: a number" in " ".join(done.output.split())
    assert verbs(calls) == []
