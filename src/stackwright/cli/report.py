"""What the verbs print at their end: where the environment is, how to use it, how it is."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackwright.cli.progress import Runner
from stackwright.model.environment import Environment
from stackwright.secret_store import SecretStore

#: What the example's build writes; other artifacts come from their owners' own builds.
EXAMPLE = "dist/taaleem.json"


def store(environment: Environment) -> SecretStore:
    """The environment's secrets."""
    return SecretStore(
        environment.name, environment.state_folder, password_command=environment.stack.secrets.password_command
    )


def artifact_commands(environment: Environment) -> list[list[str]]:
    """The commands that build what hosts are given: the runtime bundle, and the example where it is used."""
    missing = [
        app
        for app in environment.apps.values()
        if app.artifact == EXAMPLE and not (environment.root / EXAMPLE).exists()
    ]
    builds = ["runtime", *("application" for _ in missing)]
    return [["python", "-m", "stackwright.artifact", build] for build in builds]


def write_ca(environment: Environment) -> Path | None:
    """Write the certificate of the environment's own CA where people find it; None where browsers trust the issuer."""
    if environment.certificates.issuer != "internal":
        return None
    path = environment.state_folder / "ca.crt"
    path.write_text(store(environment).get("tls/ca_crt"))
    return path


def print_summary(console: Console, environment: Environment, stack: Mapping[str, Any], ca_file: Path | None) -> None:
    """Print where everything is."""
    domain, known_to_all = stack["domain"], environment.provider == "aws"
    console.print(_hosts(stack))
    state = _relative(environment.state_folder, environment)
    vault = f"ansible-vault view --vault-password-file {state}/vault-password {state}/secrets.vault.yml"
    rows = {"URL": f"https://{domain}/"}
    rows["try"] = f"curl https://{domain}/api/health"
    shell = f"ansible-console -i inventories/{environment.name}/stack.yml"
    if not known_to_all:
        edge = stack["hosts"][stack["groups"]["edge"][0]]["address"]
        trust = f"--cacert {_relative(ca_file, environment)} " if ca_file else ""
        rows["URL"] += f"   (put `{edge} {domain}` into /etc/hosts)"
        rows["try"] = f"curl {trust}--resolve {domain}:443:{edge} https://{domain}/api/health"
        shell = f"ssh -i {state}/ssh/id_ed25519 -o UserKnownHostsFile={state}/ssh/known_hosts stackwright@{edge}"
    if ca_file:
        rows["trust the CA"] = f"import {_relative(ca_file, environment)} into the browser"
    rows |= {
        "log in as": "admin, with the password app/emr/admin of the credentials",
        "credentials": vault,
        "a shell": shell,
        "next": f"stackwright status {environment.name}, docs/how-to/, stackwright destroy {environment.name}",
    }
    for name, text in rows.items():
        # Plain lines: a table would break commands that people copy.
        console.print(Text(f"{name:<14}{text}"), soft_wrap=True)


def _hosts(stack: Mapping[str, Any]) -> Table:
    table = Table(title=f"{stack['environment']} is up", title_justify="left", box=None, pad_edge=False)
    for heading in ("host", "address", "runs"):
        table.add_column(heading)
    for name, host in stack["hosts"].items():
        table.add_row(name, host["address"], ", ".join(host["groups"]))
    return table


def _relative(path: Path, environment: Environment) -> Path:
    return path.relative_to(environment.root)


def print_status(console: Console, runner: Runner, environment: Environment, stack: Mapping[str, Any]) -> None:
    """Ask every host for its failed units and print a line per host."""
    command = "systemctl list-units --failed --no-legend --plain"
    with tempfile.TemporaryDirectory() as folder:
        argv = ["ansible", "all", "-i", f"inventories/{environment.name}/stack.yml", "-m", "ansible.builtin.command"]
        argv += ["-a", command, "--tree", folder]
        runner.attempt(argv)
        table = Table(box=None, pad_edge=False)
        for heading in ("host", "address", "groups", "state"):
            table.add_column(heading)
        for name, host in stack["hosts"].items():
            answer = Path(folder) / name
            found = json.loads(answer.read_text()) if answer.exists() else {"unreachable": True}
            table.add_row(name, host["address"], ", ".join(host["groups"]), _state(found))
    console.print(table)


def _state(found: dict[str, Any]) -> Text:
    if found.get("unreachable") or "stdout" not in found:
        return Text("does not answer", style="red")
    failed = [line.split()[0] for line in found["stdout"].splitlines() if line.strip()]
    return Text(f"failed: {', '.join(failed)}", style="red") if failed else Text("all units run", style="green")


def print_cost(console: Console, environment: Environment, assume: Sequence[str] = ()) -> None:
    """What the environment costs a month, what is in one zone only, and what a deletion would destroy.

    `assume` are assumptions of another value, as `nat_gb=100`. Raises ValueError for what is none.
    """
    aws = environment.stack.aws
    if aws is None:
        console.print(
            f"{environment.name} is on {environment.provider.replace('_', ' ')}: there is no price list for it"
        )
        return
    # Not at the top: what they need takes a second to load.
    from stackwright.cost import estimate
    from stackwright.cost import report as cost_report
    from stackwright.cost.assumptions import changed
    from stackwright.testing.recording import record

    assumptions = changed(assume)
    # As a preview: what AWS would answer is nowhere, and no price asks for it.
    recording = record(environment.root / "pulumi", stack=environment.name, preview=True)
    budget = float(aws.budget.usd) if aws.budget else None
    found = estimate(recording, aws.region, assumptions)
    cost_report.show(found, console, environment=environment.name, budget_usd=budget)
