"""Hosts that a run takes away: named beforehand, emptied while they run, removed last."""

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

#: Runs a playbook with options: `_converge` of the CLI.
Converge = Callable[[str, Sequence[str]], None]


def check(environment: Environment, lost: Sequence[str] = ()) -> Transition:
    """Return what the environment's file takes away from what runs; ModelError where that would lose data."""
    return transition.check(environment, engine.read_output(environment), lost=lost)


def compare(console: Console, environment: Environment) -> None:
    """Print what goes, as far as the state can be read here: `validate` needs no access to it."""
    try:
        output = engine.read_output(environment)
    except engine.EngineError as error:
        console.print(Text(f"  not compared with what runs: {error}", style="yellow"), soft_wrap=True)
        return
    announce(console, transition.check(environment, output))


def announce(console: Console, change: Transition) -> None:
    """Print each host that goes or loses a tier."""
    for line in change.lines():
        console.print(Text(f"  {line}", style="yellow"), soft_wrap=True)


def hand_over(change: Transition, converge: Converge, lost: Sequence[str]) -> None:
    """Check that the hosts answer, and give what they lead to hosts that stay."""
    if change.retiring:
        converge("hand-over", options(lost))


def remove(
    environment: Environment, change: Transition, runner: Runner, converge: Converge, lost: Sequence[str]
) -> None:
    """Empty the hosts, which nothing uses any more, and remove those that are not in the file."""
    if not change.retiring:
        return
    converge("retire-hosts", options(lost))
    with runner.phase("Removing hosts"):
        runner.pulumi(engine.select(environment.name), engine.remove_hosts(environment.name))


def options(lost: Sequence[str]) -> list[str]:
    """Return what names hosts that are given up to a playbook."""
    return ["-e", json.dumps({"stackwright_lost_hosts": list(lost)})] if lost else []
