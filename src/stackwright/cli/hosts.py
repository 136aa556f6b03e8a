"""Removal of hosts: a run announces them first, drains them while they still run, and removes them last."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.text import Text

from stackwright.cli.progress import Runner
from stackwright.infra import engine
from stackwright.model import transition
from stackwright.model.environment import Environment
from stackwright.model.transition import Transition

#: Runs a playbook with options; `_converge` of the CLI is passed.
Converge = Callable[[str, Sequence[str]], None]


def check(environment: Environment, lost: Sequence[str] = ()) -> Transition:
    """Return which running hosts the environment's file removes; raise ModelError if that would lose data."""
    return transition.check(environment, engine.read_output(environment), lost=lost)


def compare(console: Console, environment: Environment) -> None:
    """Print what will be removed, if the state can be read from here: `validate` needs no access to it."""
    try:
        output = engine.read_output(environment)
    except engine.EngineError as error:
        console.print(Text(f"  not compared with what runs: {error}", style="yellow"), soft_wrap=True)
        return
    announce(console, transition.check(environment, output))


def announce(console: Console, change: Transition) -> None:
    """Print each host that will be removed or loses a tier."""
    for line in change.lines():
        console.print(Text(f"  {line}", style="yellow"), soft_wrap=True)


def hand_over(change: Transition, converge: Converge, lost: Sequence[str]) -> None:
    """Check that the hosts answer, and move their leader roles to hosts that stay."""
    if change.retiring:
        converge("hand-over", options(lost))


def remove(
    environment: Environment, change: Transition, runner: Runner, converge: Converge, lost: Sequence[str]
) -> None:
    """Drain the hosts, which are no longer in use, and remove those that are not in the file."""
    if not change.retiring:
        return
    converge("retire-hosts", options(lost))
    with runner.phase("Removing hosts"):
        runner.pulumi(engine.select(environment.name), engine.remove_hosts(environment.name))


def options(lost: Sequence[str]) -> list[str]:
    """Return the playbook options that name the hosts which the operator gives up (`--lost`)."""
    return ["-e", json.dumps({"stackwright_lost_hosts": list(lost)})] if lost else []
