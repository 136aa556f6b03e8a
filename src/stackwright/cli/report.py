"""The output at the end of a command: where the environment is, how to use it and what it costs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackwright import state_files
from stackwright.infra import engine, identity
from stackwright.model import topology
from stackwright.model.environment import Environment

#: Written by the build of the example application; other artifacts come from their applications' own builds.
EXAMPLE = "dist/taaleem.json"


def artifact_commands(environment: Environment) -> list[list[str]]:
    """Return the commands that build what is copied to hosts: the runtime bundle, and the example where it is used."""
    missing = [
        app
        for app in environment.apps.values()
        if app.artifact == EXAMPLE and not (environment.root / EXAMPLE).exists()
    ]
    builds = ["runtime", *("application" for _ in missing)]
    return [["python", "-m", "stackwright.artifact", build] for build in builds]


def write_ca(environment: Environment) -> Path | None:
    """Write the environment's own CA certificate and return its path; None if browsers already trust the issuer."""
    # A managed load balancer presents a certificate of the cloud's CA, whichever certificates the hosts present to it.
    if environment.certificates.issuer != "internal" or "edge" in topology.managed(environment.stack):
        return None
    path = environment.state_folder / "ca.crt"
    state_files.write(path, identity.store(environment).get("tls/ca_crt"), mode=0o644)
    return path


def print_summary(console: Console, environment: Environment, stack: Mapping[str, Any], ca_file: Path | None) -> None:
    """Print the hosts, how to reach the environment and where its credentials are."""
    console.print(_hosts(stack))
    state = _relative(environment.state_folder, environment)
    vault = f"ansible-vault view --vault-password-file {state}/vault-password {state}/secrets.vault.yml"
    reach, shell = _public(environment, stack) if environment.stack.aws else _at_edge(environment, stack, ca_file)
    rows = reach | {
        "log in as": "admin, with the password app/emr/admin of the credentials",
        "credentials": vault,
        **shell,
        "next": f"stackwright status {environment.name}, docs/how-to/, stackwright destroy {environment.name}",
    }
    for name, text in rows.items():
        # Plain lines: a table would break commands that users copy.
        console.print(Text(f"{name:<14}{text}"), soft_wrap=True)


_Rows = dict[str, str]


def _at_edge(environment: Environment, stack: Mapping[str, Any], ca_file: Path | None) -> tuple[_Rows, _Rows]:
    """Return how to reach an environment without a DNS record, and how to open a shell on it."""
    edge = stack["hosts"][stack["groups"]["edge"][0]]["address"]
    domain, state = stack["domain"], _relative(environment.state_folder, environment)
    resolve = f"--resolve {domain}:443:{edge}"
    trust = f"--cacert {_relative(ca_file, environment)} " if ca_file else ""
    reach = {"URL": f"https://{domain}/   (put `{edge} {domain}` into /etc/hosts)"}
    reach["try"] = f"curl {trust}{resolve} https://{domain}/api/health"
    if ca_file:
        reach["trust the CA"] = f"import {_relative(ca_file, environment)} into the browser"
    known = f"-o UserKnownHostsFile={state}/ssh/known_hosts"
    return reach, {"a shell": f"ssh -i {state}/ssh/id_ed25519 {known} stackwright@{edge}"}


def _public(environment: Environment, stack: Mapping[str, Any]) -> tuple[_Rows, _Rows]:
    """Return the same for an environment with DNS records, whose hosts are reached through Systems Manager."""
    assert environment.stack.aws is not None, "only on AWS"
    domain = stack["domain"]
    reach = {"URL": f"https://{domain}/", "try": f"curl https://{domain}/api/health"}
    hosts = (engine.read_output(environment) or {}).get("hosts", {})
    entered = [host for host in (*stack["groups"]["ops"], *stack["groups"]["edge"]) if host in hosts][:1]
    session = f"aws ssm start-session --region {environment.stack.aws.region} --target"
    return reach, {f"shell on {host}": f"{session} {hosts[host]['instance_id']}" for host in entered}


def _hosts(stack: Mapping[str, Any]) -> Table:
    table = Table(title=f"{stack['environment']} is up", title_justify="left", box=None, pad_edge=False)
    for heading in ("host", "address", "runs"):
        table.add_column(heading)
    for name, host in stack["hosts"].items():
        table.add_row(name, host["address"], ", ".join(host["groups"]))
    return table


def _relative(path: Path, environment: Environment) -> Path:
    return path.relative_to(environment.root)


def operator_policies(environment: Environment) -> str:
    """Return the policies of an operator as JSON, by name; computed from the environment's program without calling AWS.

    Raise ValueError if the environment is not on AWS.
    """
    aws = environment.stack.aws
    if aws is None:
        raise ValueError(f"{environment.name} is on {environment.provider.replace('_', ' ')}; must be on aws")
    # Not at the top: their dependencies take a second to load.
    from stackwright.infra.aws.context import Context
    from stackwright.infra.aws.operator_policy import policies
    from stackwright.testing.recording import record

    recording = record(environment.root / "pulumi", stack=environment.name, preview=True)
    context = Context(
        environment=environment.name,
        system=environment.system.name,
        environment_class=environment.environment_class,
        account=aws.account,
        region=aws.region,
    )
    return json.dumps(policies(context, recording.resources), indent=2)


def print_cost(console: Console, environment: Environment, assume: Sequence[str] = ()) -> None:
    """Print the monthly cost of the environment, what is in one zone only, and what a deletion would destroy.

    `assume` overrides assumptions, for example `nat_gb=100`. Raise ValueError for an unknown or invalid one.
    """
    aws = environment.stack.aws
    if aws is None:
        console.print(
            f"{environment.name} is on {environment.provider.replace('_', ' ')}: there is no price list for it"
        )
        return
    # Not at the top: their dependencies take a second to load.
    from stackwright.cost import estimate
    from stackwright.cost import report as cost_report
    from stackwright.cost.assumptions import changed
    from stackwright.testing.recording import record

    assumptions = changed(assume)
    # As a preview: answers of AWS are not available, and no price depends on them.
    recording = record(environment.root / "pulumi", stack=environment.name, preview=True)
    budget = float(aws.budget.usd) if aws.budget else None
    cost_estimate = estimate(recording, aws.region, assumptions)
    cost_report.show(cost_estimate, console, environment=environment.name, budget_usd=budget)
