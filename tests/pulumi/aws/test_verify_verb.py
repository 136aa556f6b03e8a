"""`stackwright verify` and the last words of `stackwright up` of environments on AWS, with DNS and the engine's state in a file."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from environments import run
from rich.console import Console
from typer.testing import CliRunner

from stackwright import verify_public
from stackwright.cli import app as cli
from stackwright.cli import report
from stackwright.model.environment import Environment, load

ENVIRONMENTS = ("taaleem-production", "taaleem-staging")


@pytest.fixture(params=ENVIRONMENTS)
def environment(
    request: pytest.FixtureRequest,
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Environment:
    """One that is up: its output is where `pulumi stack export` puts it."""
    name = str(request.param)
    # Numbers as JSON has them in a state: the wire knows no whole ones.
    output = json.loads(json.dumps(run(project, name).outputs["stackwright_inventory"]), parse_float=_whole)
    for position, host in enumerate(output["hosts"].values()):
        host["instance_id"] = f"i-{position:017x}"
    kind = "pulumi:pulumi:Stack"
    stack = {"urn": f"urn:pulumi:{name}::stackwright::{kind}::stackwright-{name}", "type": kind}
    resources = [stack | {"outputs": {"stackwright_inventory": output}}]
    file = tmp_path_factory.mktemp("state") / "state.json"
    file.write_text(json.dumps({"version": 3, "deployment": {"resources": resources}}))
    monkeypatch.setenv("STACKWRIGHT_STATE_FILE", str(file))
    monkeypatch.setenv("COLUMNS", "200")
    found = load(project / "inventories" / name)
    for known in found.hosts:
        key = found.state_folder / "host-keys" / f"{known.name}.pub"
        key.parent.mkdir(parents=True, exist_ok=True)
        key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHkVQp8NqQq9ONJZdgVTWb0o8NSWsiYsoAbS2FUPVYPS\n")
    return found


def _whole(text: str) -> int | float:
    return int(float(text)) if float(text).is_integer() else float(text)


def test_a_zone_that_is_not_delegated_is_what_a_person_reads(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(*asked: Any, **_: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, f"{asked[0]} is not known")

    monkeypatch.setattr(verify_public.socket, "getaddrinfo", nowhere)
    done = CliRunner().invoke(cli.app, ["verify", environment.name])
    assert isinstance(done.exception, cli.CommandFailedError)
    names = [environment.domain, *environment.aliases]
    assert str(done.exception) == f"{len(names)} of the checks failed"
    for name in names:
        said = f"NO  {name} is in DNS: no address: the hosted zone taaleem.example (Z0123456789ABCDEFGHIJ) is not delegated"
        assert said in done.output


def test_the_names_are_asked_not_the_hosts_addresses(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Remembers(verify_public.Internet):
        def addresses(self, name: str) -> list[str]:
            asked.append(name)
            raise socket.gaierror(socket.EAI_NONAME, "as said")

    monkeypatch.setattr(verify_public, "Internet", Remembers)
    CliRunner().invoke(cli.app, ["verify", environment.name])
    assert asked == [environment.domain, *environment.aliases]


def test_browsers_trust_what_they_see_so_no_authority_of_ours_is_asked_for(environment: Environment) -> None:
    assert report.write_ca(environment) is None


def test_the_last_words_of_up_lead_to_names_and_to_a_session(environment: Environment) -> None:
    written = io.StringIO()
    report.print_summary(Console(width=200, file=written), environment, cli._stack(environment), None)
    said = written.getvalue()
    assert f"URL           https://{environment.domain}/\n" in said
    assert f"curl https://{environment.domain}/api/health" in said
    assert "shell on ops1 aws ssm start-session --region eu-central-1 --target i-0000000" in said
    # Nothing that only somebody inside the network could reach.
    assert "--resolve" not in said
    assert "/etc/hosts" not in said
