"""The commands of `stackwright database`: one-time operations on a database managed by AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from stackwright.cli.progress import Runner
from stackwright.infra import engine
from stackwright.infra.aws import aws_cli, credentials, secret_push, take_over
from stackwright.model.aws import plan
from stackwright.model.environment import Environment

app = typer.Typer(help="Manage the database of an environment on AWS.", no_args_is_help=True)

EnvironmentName = Annotated[
    str, typer.Argument(metavar="ENV", help="Name of an environment on AWS: a directory in inventories/.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


@app.callback()
def verbs() -> None:
    """Operate a database managed by AWS."""


@app.command(name="take-over")
def take_over_command(name: EnvironmentName, yes: Yes = False) -> None:
    """Take over the master user's password from RDS, which allows replicas and blue/green updates only afterwards."""
    # Not at the top: that module imports the commands of this one.
    from stackwright.cli.app import _load, _runner

    environment = _load(name)
    runner = _runner(environment, verbose=False)
    taker = _taker(environment, runner)
    takeover = taker.look()
    if not takeover.managed:
        _print(runner, f"The password of {takeover.identifier} is taken over already: {takeover.secret}")
    else:
        source = "the login in" if takeover.filled else "a new login in"
        _print(
            runner,
            f"RDS manages the password of the master user of {takeover.identifier}. It is set to that of {source}"
            f" {takeover.secret}; RDS deletes its own secret and rotates the password no longer. Applications do not notice:"
            f" they never log in as the master. `stackwright up {name}` stops until stack.yml names the secret.",
        )
        if not yes:
            typer.confirm(f"Take the password of {takeover.identifier} over?", abort=True)
        taker.finish(takeover)
        _print(runner, f"The password of {takeover.identifier} is taken over: {takeover.secret}")
    _print_next(environment, runner, takeover.arn)


def _taker(environment: Environment, runner: Runner) -> take_over.TakeOver:
    take_over.require_managed(environment)
    credentials.require(environment)

    def ask(argv: Sequence[str], parameters: Mapping[str, Any] | None = None, hide: Sequence[str] = ()) -> str:
        runner.say(argv)
        return aws_cli.ask(argv, parameters, hide)

    cloud = secret_push.cloud_of(environment, engine.read_output(environment))
    return take_over.TakeOver(environment=environment, cloud=cloud, ask=ask)


def _print_next(environment: Environment, runner: Runner, arn: str) -> None:
    stack, file = environment.stack, f"inventories/{environment.name}/stack.yml"
    database = stack.aws.database if stack.aws else None
    if stack.aws is not None and database is not None and database.master_secret == arn:
        _print(runner, f"{file} names it already; replicas: {plan.replicas(stack, stack.aws)}. It has:")
    else:
        _print(runner, f"Now put into {file}:")
    replicas = (database and database.replicas) or 1
    _print(runner, f"\naws:\n  database:\n    master_secret: {arn}\n    replicas: {replicas}\n")
    _print(
        runner,
        "with as many replicas as are wanted, 0 to 15; without any, and without copies elsewhere, changes"
        " that need a restart are made blue/green instead."
        f" Then: stackwright up {environment.name}",
    )


def _print(runner: Runner, text: str) -> None:
    # As Text: rich renders the `:secret:` of an ARN as an emoji.
    runner.console.print(Text(text), soft_wrap=True)
