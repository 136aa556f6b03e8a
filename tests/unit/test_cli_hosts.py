"""Hosts that go: handed over before the converge, emptied after it, removed last; nothing of it where none goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stackwright import state_files
from stackwright.cli import app as cli
from stackwright.cli import hosts, report, secrets
from stackwright.cli.progress import CommandFailedError
from stackwright.infra import engine, identity
from stackwright.model.environment import load
from stackwright.model.output import make_output

ROOT = Path(__file__).resolve().parents[2]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHkVQp8NqQq9ONJZdgVTWb0o8NSWsiYsoAbS2FUPVYPS"


class Recorder:
    """Notes what a run would do, in its order."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    @contextmanager
    def phase(self, _: str) -> Iterator[None]:
        yield

    def run(self, argv: Sequence[str], *_: Any) -> None:
        self.steps.append(argv[0])

    def pulumi(self, *commands: engine.Command) -> None:
        self.steps += [" ".join(command.argv) for command in commands]


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """`up` of the example, whose state has one application host more than its file."""
    environment = load(ROOT / "inventories/taaleem-local")
    output = make_output(environment, {host.name: KEY for host in environment.hosts})
    output["hosts"]["app3"] = {**output["hosts"]["app2"], "address": "10.87.20.33"}
    found = Recorder()

    def converge(_: Any, __: Any, playbook: str, options: Sequence[str], **___: Any) -> None:
        found.steps.append(" ".join([playbook, *options]))

    def nothing(*_: Any, **__: Any) -> tuple[()]:
        return ()

    monkeypatch.setattr(engine, "read_output", lambda _: output)
    monkeypatch.setattr(engine, "_command", lambda _, *words: engine.Command(argv=words, folder=ROOT, variables={}))
    monkeypatch.setattr(engine, "recover", nothing)
    # The environment may be up on this machine.
    monkeypatch.setattr(state_files, "write", nothing)

    @contextmanager
    def run(*_: Any, **__: Any) -> Iterator[Recorder]:
        yield found

    monkeypatch.setattr(cli, "_run", run)
    for name in ("create", "require_nothing_lost"):
        monkeypatch.setattr(identity, name, nothing)
    monkeypatch.setattr(cli, "_converge", converge)
    monkeypatch.setattr(cli, "_findings", lambda *_: iter(()))
    for module, name in ((report, "artifact_commands"), (report, "write_ca"), (report, "print_summary")):
        monkeypatch.setattr(module, name, nothing)
    monkeypatch.setattr(secrets, "fill", nothing)
    return found


def test_hosts_that_go_are_emptied_before_they_are_removed(
    recorder: Recorder, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.up("taaleem-local")
    assert "app3 (app) will be removed" in capsys.readouterr().out
    select, first, *playbooks, select_again, last = recorder.steps
    assert select == select_again == "stack select --create taaleem-local"
    assert "--exclude urn:pulumi:taaleem-local::stackwright::**::taaleem-local-compute-app3" in first
    assert playbooks == ["hand-over", "site", "retire-hosts"]
    assert last == "up --yes --skip-preview"


def test_hosts_that_are_given_up_are_named_to_every_playbook(recorder: Recorder) -> None:
    cli.up("taaleem-local", lost=["app3"])
    given_up = """ -e {"stackwright_lost_hosts": ["app3"]}"""
    assert [step for step in recorder.steps if "lost" in step] == [
        f"hand-over{given_up}",
        f"site{given_up}",
        f"retire-hosts{given_up}",
    ]


def test_a_failing_converge_removes_nothing(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Any, __: Any, playbook: str, *___: Any, **____: Any) -> None:
        recorder.steps.append(playbook)
        if playbook == "site":
            raise CommandFailedError(playbook)

    monkeypatch.setattr(cli, "_converge", fail)
    with pytest.raises(CommandFailedError):
        cli.up("taaleem-local")
    assert recorder.steps[-1] == "site"


def test_without_hosts_that_go_a_run_is_what_it_was(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    output = dict(engine.read_output(load(ROOT / "inventories/taaleem-local")) or {})
    output["hosts"] = {name: host for name, host in output["hosts"].items() if name != "app3"}
    monkeypatch.setattr(engine, "read_output", lambda _: output)
    cli.up("taaleem-local")
    assert recorder.steps == ["stack select --create taaleem-local", "up --refresh --yes --skip-preview", "site"]


def test_validate_says_where_the_state_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Any) -> None:
        raise engine.EngineError("no credentials for s3://states")

    monkeypatch.setattr(engine, "read_output", refuse)
    from rich.console import Console

    console = Console(record=True, width=200)
    hosts.compare(console, load(ROOT / "inventories/taaleem-local"))
    assert "not compared with what runs: no credentials for s3://states" in console.export_text()
