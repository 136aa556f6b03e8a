"""The commands of `stackwright secrets`: write values to AWS's secret store and set the cache users' passwords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from stackwright.cli.progress import Runner
from stackwright.infra import engine, identity
from stackwright.infra.aws import aws_cli, credentials, secret_push
from stackwright.model import topology
from stackwright.model.environment import Environment

app = typer.Typer(help="Manage the secrets and logins of servers on AWS.", no_args_is_help=True)

EnvironmentName = Annotated[
    str, typer.Argument(metavar="ENV", help="Name of an environment on AWS: a directory in inventories/.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what differs, without changing anything.")]

#: The outcome of each step, in words.
_WORDS = {
    "put": "value written",
    "stage": "new value staged",
    "admit": "password of its user set",
    "admit_both": "its user accepts old and new",
    "promote": "new value is what servers read",
}


@app.command()
def push(name: EnvironmentName, dry_run: DryRun = False) -> None:
    """Update secrets and passwords in AWS from this machine's secret store; generate those that are missing there."""
    environment, runner = _open(name)
    pusher = _pusher(environment, runner)
    _report(pusher, pusher.push(dry_run=dry_run), runner, dry_run=dry_run)


@app.command()
def retire(name: EnvironmentName, dry_run: DryRun = False) -> None:
    """Remove the old passwords of the cache users after a rotation, once every server has the new ones."""
    environment, runner = _open(name)
    pusher = _pusher(environment, runner)
    _report(pusher, pusher.retire(dry_run=dry_run), runner, dry_run=dry_run)


def fill(environment: Environment, runner: Runner) -> None:
    """Push the secrets as part of `up`; do nothing if the environment keeps no secrets in AWS."""
    if not topology.managed(environment.stack):
        return
    with runner.phase("Secrets"):
        pusher = _pusher(environment, runner)
        _report(pusher, pusher.push(), runner, dry_run=False)


def _open(name: str) -> tuple[Environment, Runner]:
    # Not at the top: that module imports the commands of this one.
    from stackwright.cli.app import _load, _runner

    environment = _load(name)
    return environment, _runner(environment, verbose=False)


def _pusher(environment: Environment, runner: Runner) -> secret_push.Pusher:
    secret_push.require_cloud(environment)
    credentials.require(environment)

    def ask(argv: Sequence[str], parameters: Mapping[str, Any] | None = None, hide: Sequence[str] = ()) -> str:
        runner.say(argv)
        return aws_cli.ask(argv, parameters, hide)

    store = identity.store(environment)
    cloud = secret_push.cloud_of(environment, engine.read_output(environment))
    return secret_push.Pusher(environment=environment, cloud=cloud, store=store, ask=ask)


def _report(pusher: secret_push.Pusher, done: secret_push.Done, runner: Runner, *, dry_run: bool) -> None:
    environment, print_ = pusher.environment, runner.console.print
    for name, steps in done.changed.items():
        step_words = [*(["generated"] if name in done.generated else []), *(_WORDS[step] for step in steps)]
        print_(f"  {name}: {', '.join(step_words)}", soft_wrap=True)
    print_(f"  {len(done.changed)} {'would change' if dry_run else 'changed'}")
    if done.rotating:
        print_(
            f"  {', '.join(done.rotating)}: the old password is accepted, too. Once every server has the new one:"
            f" stackwright secrets retire {environment.name}",
            soft_wrap=True,
        )
