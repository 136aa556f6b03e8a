"""`stackwright status`: collect the state of an environment from every host and AWS, and print it as text or JSON."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stackwright import host_status
from stackwright.cli.progress import CommandFailedError, Runner
from stackwright.model.environment import Environment
from stackwright.model.status_report import EXIT_CODES, RANKS, Finding, Kind, State, StatusReport, report

#: Exit code when the command itself failed: monitoring calls this state unknown.
FAILED = EXIT_CODES["unknown"]
#: Seconds until a host counts as unreachable.
_CONNECT_SECONDS = 10
#: Time limit for all hosts together; each of their programs has its own limit.
_SECONDS = 300
_STYLES: Mapping[State, str] = {"ok": "green", "warning": "yellow", "critical": "red", "unknown": "magenta"}
#: For these kinds the text output shows only the problems, and the number of findings that are ok.
_MANY: tuple[Kind, ...] = ("service", "disk", "certificate", "backup", "updates", "restart")


def ask(runner: Runner, environment: Environment, stack: Mapping[str, Any]) -> StatusReport:
    """Query everything that runs the environment, without changing anything, and return the report."""
    asked_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    hosts: list[host_status.HostAnswers] = []
    if environment.hosts:
        argv = ["ansible-playbook", "-i", f"inventories/{environment.name}/stack.yml", "playbooks/status.yml"]
        argv += ["--forks", str(max(len(stack["hosts"]), 5)), "--timeout", str(_CONNECT_SECONDS)]
        results = runner.results(argv, os.environ, _SECONDS)
        if not results:
            raise CommandFailedError(f"Ansible asked no host; detail: {runner.log}")
        hosts = host_status.from_results(results, stack)
    findings = host_status.judge(hosts, stack)
    if environment.stack.aws is not None:
        findings += _cloud(runner, environment, environment.stack.aws.region)
    return report(environment.name, asked_at, host_status.host_lines(hosts, findings, stack), findings)


def _cloud(runner: Runner, environment: Environment, region: str) -> Iterator[Finding]:
    # Not at the top: their dependencies take a while to load.
    from stackwright.infra.aws import aws_cli, cloud_status

    def ask_aws(argv: Sequence[str], parameters: Mapping[str, Any] | None = None, hide: Sequence[str] = ()) -> str:
        runner.say(argv)
        return aws_cli.ask(argv, parameters, hide)

    for line in cloud_status.CloudStatus(environment=environment, region=region, ask=ask_aws).lines():
        name = f"{line.kind} {line.name}".strip()
        yield Finding(kind="cloud", name=name, state=_state(line), message=line.state, values={"place": line.location})


def _state(line: Any) -> State:
    if line.good:
        return "ok"
    if not line.known:
        return "unknown"
    # One failed server of a group is not an outage: its group has its own line.
    return "warning" if line.kind in ("server", "replacement") else "critical"


def show(console: Console, status: StatusReport) -> None:
    """Print the report as text: a line for each host and each checked object, and everything that is not ok."""
    if status.hosts:
        table = _table("host", "address", "groups", "state")
        for host in status.hosts:
            table.add_row(host.name, host.address, ", ".join(host.groups), _text(host.state))
        console.print(table)
        console.print()
    table = _table("state", "what", "host", "name", "")
    # The most urgent first, otherwise in the order in which a request passes them.
    for finding in sorted(status.findings, key=lambda finding: -RANKS.index(finding.state)):
        if finding.state != "ok" or finding.kind not in (*_MANY, "host"):
            name = Text(finding.name)
            table.add_row(_text(finding.state), finding.kind, finding.host or "", name, Text(finding.message))
    for kind in _MANY:
        well = sum(finding.kind == kind and finding.state == "ok" for finding in status.findings)
        if well:
            table.add_row(_text("ok"), kind, "", "", f"{well} ok")
    console.print(table)
    console.print(_summary(status))


def _summary(status: StatusReport) -> Text:
    counts = {state: sum(finding.state == state for finding in status.findings) for state in _STYLES}
    troubles = ", ".join(f"{count} {state}" for state, count in counts.items() if count and state != "ok")
    return Text(
        f"{status.environment}: {status.state}{f' ({troubles})' if troubles else ''}", style=_STYLES[status.state]
    )


def _text(state: State) -> Text:
    return Text(state, style=_STYLES[state])


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        # A name is an argument of the next command, so it must not wrap.
        table.add_column(heading, no_wrap=heading in ("state", "name"))
    return table
