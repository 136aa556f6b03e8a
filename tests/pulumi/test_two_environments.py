"""Two environments in one shell, and no project where there is none: state goes only where it belongs."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import WriteStack
from typer.testing import CliRunner

from stackwright import project as places
from stackwright.cli import app as cli_app
from stackwright.infra import engine, identity, keys
from stackwright.model.environment import load
from stackwright.secret_store import SecretError


@pytest.fixture
def pulumi(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `pulumi` on PATH that writes down how it is called, and with which state."""
    path = project / "bin/pulumi"
    path.parent.mkdir()
    path.write_text(f'#!/bin/sh\necho v3.300.1\necho "$PULUMI_BACKEND_URL $*" >> {project}/calls\n')
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
    return project / "calls"


def enter(monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    """As `eval "$(stackwright env ENVIRONMENT)"`."""
    for name, value in engine.variables(environment).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("pulumi")
def test_the_variables_of_one_environment_never_reach_another(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(monkeypatch, "first")
    before = sorted((project / ".state/first").rglob("*"))
    second = engine.variables("second")
    folder = project / ".state/second/pulumi"
    assert second["STACKWRIGHT_ENV"] == second["PULUMI_STACK"] == "second"
    assert second["PULUMI_BACKEND_URL"] == folder.as_uri()
    assert second["PULUMI_HOME"] == str(folder / "home")
    assert second["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(folder / "passphrase")
    assert engine.backend_url("second") == folder.as_uri()
    assert engine.state_is_local("second")
    assert sorted((project / ".state/first").rglob("*")) == before
    # In its own shell they are what they were.
    assert engine.backend_url("first") == (project / ".state/first/pulumi").as_uri()


@pytest.mark.usefixtures("pulumi")
def test_another_projects_state_of_the_same_name_is_not_ours(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other") / ".state/first/pulumi"
    monkeypatch.setenv("PULUMI_BACKEND_URL", other.as_uri())
    assert engine.backend_url("first") == (project / ".state/first/pulumi").as_uri()
    # A backend that the user chose outside of any state folder stays.
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///srv/pulumi")
    assert engine.backend_url("first") == "file:///srv/pulumi"
    assert not engine.state_is_local("first")


def test_destroy_removes_only_what_it_destroyed(
    project: Path, pulumi: Path, write_stack: WriteStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_stack("first")
    mine = project / ".state/first/mine"
    mine.parent.mkdir(parents=True)
    mine.touch()
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("PULUMI_BACKEND_URL", elsewhere.as_uri())
    outcome = CliRunner().invoke(cli_app.app, ["destroy", "first", "--yes"])
    assert isinstance(outcome.exception, engine.EngineError)
    assert "no stack first in file://" in str(outcome.exception)
    assert "nothing was destroyed" in str(outcome.exception)
    assert mine.exists()
    assert not any(" destroy" in line for line in pulumi.read_text().splitlines()) if pulumi.exists() else True


def test_a_passphrase_that_was_lost_is_not_replaced(project: Path, pulumi: Path) -> None:
    path = Path(engine.variables("first")["PULUMI_CONFIG_PASSPHRASE_FILE"])
    path.unlink()
    stack = project / ".state/first/pulumi/.pulumi/stacks/stackwright/first.json"
    stack.parent.mkdir(parents=True)
    stack.write_text("{}")
    with pytest.raises(engine.EngineError, match="passphrase is missing, and the stack beside it"):
        engine.variables("first")
    assert not path.exists()


@pytest.mark.usefixtures("pulumi")
def test_the_first_up_makes_everything_once(write_stack: WriteStack) -> None:
    environment = load(write_stack("first"))
    identity.create(environment)
    state = environment.state_folder
    made = {path: path.read_bytes() for path in state.rglob("*") if path.is_file() and path.name != "secrets.lock"}
    names = {str(path.relative_to(state)) for path in made}
    assert names >= {"secrets.vault.yml", "vault-password", "ssh/id_ed25519", "pulumi/passphrase"}
    assert state.stat().st_mode & 0o777 == 0o700
    identity.create(environment)
    assert {path: path.read_bytes() for path in made} == made


@pytest.mark.usefixtures("pulumi")
def test_an_up_that_died_while_it_made_them_goes_on(write_stack: WriteStack) -> None:
    environment = load(write_stack("first"))
    pair = keys.ensure(environment.state_folder / "ssh/id_ed25519")
    identity.create(environment)
    assert keys.ensure(environment.state_folder / "ssh/id_ed25519") == pair


@pytest.mark.usefixtures("pulumi")
@pytest.mark.parametrize("verb", ["up", "plan", "converge"])
def test_no_verb_makes_an_identity_for_an_environment_that_exists(
    verb: str, write_stack: WriteStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second machine with the shared state and without the vault."""
    environment = load(write_stack("first"))
    monkeypatch.setattr(engine, "read_output", lambda _: {"hosts": {"server1": {}}})
    outcome = CliRunner().invoke(cli_app.app, [verb, "first"])
    assert isinstance(outcome.exception, SecretError), outcome.output
    assert "secrets.vault.yml is missing" in str(outcome.exception)
    assert not environment.vault_file.exists()
    assert not (environment.state_folder / "ssh").exists()


@pytest.mark.usefixtures("pulumi")
def test_a_lost_key_is_named_and_not_replaced(write_stack: WriteStack) -> None:
    environment = load(write_stack("first"))
    identity.create(environment)
    path = environment.state_folder / "ssh/id_ed25519"
    path.unlink()
    with pytest.raises(SecretError, match="missing .*id_ed25519; a new one would fit nothing"):
        identity.create(environment)
    with pytest.raises(keys.SshKeyError, match="id_ed25519 is missing, but .*secrets.vault.yml exists"):
        keys.ensure(path, vault=environment.vault_file)
    assert not path.exists()


def test_outside_of_a_project_no_verb_acts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STACKWRIGHT_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "systems").mkdir()
    with pytest.raises(places.ProjectError, match=f"{tmp_path} is not inside a stackwright project"):
        places.root()
    monkeypatch.setenv("STACKWRIGHT_ROOT", str(tmp_path))
    with pytest.raises(places.ProjectError, match="not a stackwright project"):
        places.root()


@pytest.mark.usefixtures("pulumi")
def test_up_and_destroy_name_the_project_first(project: Path, write_stack: WriteStack) -> None:
    write_stack("first")
    outcome = CliRunner().invoke(cli_app.app, ["destroy", "first"], input="n\n")
    assert outcome.output.splitlines()[0].startswith("first (development, local) of ")
    assert str(project) in outcome.output.replace("\n", "")
