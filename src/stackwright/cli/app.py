"""The commands of `stackwright`."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from stackwright import project, verify, verify_public
from stackwright.artifact.configuration import Bundle, BundleError
from stackwright.artifact.wheels import WheelError
from stackwright.cli import database, doctor, drift, hosts, plan, report, secrets, status
from stackwright.cli import quick as quick_converge
from stackwright.cli.progress import CommandFailedError, Runner
from stackwright.cli.run_record import LockedError, exclusive
from stackwright.infra import engine, identity, keys
from stackwright.infra.aws import credentials, database_ca, host_keys
from stackwright.infra.local.podman import Podman, PodmanError
from stackwright.model.aws.names import group_component
from stackwright.model.environment import Environment, load
from stackwright.model.errors import ModelError
from stackwright.model.output import InventoryError
from stackwright.secret_store import SecretError

app = typer.Typer(
    name="stackwright",
    help="Turn one environment file into a running production stack. Each command prints the native command it runs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(database.app, name="database")
app.add_typer(secrets.app, name="secrets")
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

#: Errors that the user can act on; any other error is shown as a traceback.
PROBLEMS = (
    *(ModelError, PodmanError, SecretError, engine.EngineError, host_keys.HostKeyError, CommandFailedError),
    *(BundleError, WheelError, InventoryError, database_ca.DatabaseCaError, FileNotFoundError, keys.SshKeyError),
)
#: Exit code when another run holds the environment's lock: a script may try again later.
LOCKED = 3
INTERRUPTED = 130

EnvironmentName = Annotated[
    str, typer.Argument(metavar="ENV", help="Name of the environment: a directory in inventories/.")
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the output of Pulumi and Ansible.")]
Assume = Annotated[
    list[str] | None,
    typer.Option("--assume", metavar="NAME=VALUE", help="Set an assumption of the cost estimate, such as nat_gb=100."),
]
Lost = Annotated[
    list[str] | None,
    typer.Option(
        "--lost", metavar="HOST", help="Remove a host although it does not answer or holds data that no other host has."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


Quick = Annotated[
    bool | None,
    typer.Option(
        "--quick/--full",
        help="Skip the converge if its inputs are unchanged and `drift` finds no difference. Default: --quick for provider local.",
    ),
]
Older = Annotated[
    bool,
    typer.Option("--allow-older", help="Converge even if the hosts were converged from a commit that is missing here."),
]


class InterruptedRunError(RuntimeError):
    """Ctrl-C or a termination signal; the message says where the run stopped and how to continue."""


def main() -> None:
    """Run the command line; print a known problem as a message, not as a traceback."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        app()
    except LockedError as problem:
        errors.print(Text(f"error: {problem}", style="red"), soft_wrap=True)
        sys.exit(LOCKED)
    except PROBLEMS as problem:
        errors.print(Text(f"error: {problem}", style="red"), soft_wrap=True)
        sys.exit(1)
    except InterruptedRunError as problem:
        errors.print(Text(str(problem), style="red"), soft_wrap=True)
        sys.exit(INTERRUPTED)


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")


@app.command()
def validate(name: EnvironmentName) -> None:
    """Check stack.yml and its system, and print a summary."""
    environment = _load(name)
    count, slots = len(environment.hosts), len(environment.slots)
    number = f"{count} host{'' if count == 1 else 's'}" + (f", up to {slots} in a group" if slots else "")
    hosts.compare(console, environment)
    console.print(f"{_stack_file(environment)}: valid; {number}, {environment.provider}")
    if environment.provider == "bare_metal" and not environment.stack.access.ssh_from:
        console.print(
            "  note: SSH is open to any address, by key alone; access.ssh_from names the networks that may reach it"
        )


@app.command(name="plan")
def plan_command(
    name: EnvironmentName,
    assume: Assume = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print only the changes on hosts, as JSON (schemas/plan.schema.json).")
    ] = False,
) -> None:
    """Show what `up` would provision and change on hosts, and the monthly cost on AWS. Change nothing."""
    if as_json:
        _report(name, plan, as_json=True)
    environment = _load(name)
    _check_assumptions(assume)
    credentials.require(environment)
    identity.require_nothing_lost(environment)
    hosts.announce(console, hosts.check(environment))
    runner = _runner(environment, verbose=True)
    with _project_folder(environment):
        with runner.phase("Provisioning"):
            runner.pulumi(engine.select(name), *engine.recover(name), engine.preview(name))
        if plan.is_converged(environment):
            with runner.phase("Converging"):
                plan.show(console, plan.ask(_runner(environment, verbose=False), environment, _stack(environment)))
    if environment.provider == "aws":
        report.print_cost(console, environment, assume or ())


@app.command()
def cost(name: EnvironmentName, assume: Assume = None) -> None:
    """Show the monthly cost of an environment on AWS, from its program and a dated price file, without calling AWS."""
    environment = _load(name)
    _check_assumptions(assume)
    report.print_cost(console, environment, assume or ())


@app.command(name="operator-policy")
def operator_policy(name: EnvironmentName) -> None:
    """Print the IAM policies for the operator of an environment on AWS, from its program, without calling AWS."""
    environment = _load(name)
    try:
        typer.echo(report.operator_policies(environment))
    except ValueError as problem:
        raise engine.EngineError(str(problem)) from problem


@app.command()
def up(
    name: EnvironmentName,
    verbose: Verbose = False,
    allow_older: Older = False,
    lost: Lost = None,
    quick: Quick = None,
) -> None:
    """Provision the hosts, converge them, remove those that are not in the file, and check the result from outside."""
    environment = _load(name)
    _announce(environment)
    credentials.require(environment)
    identity.require_nothing_lost(environment)
    change = hosts.check(environment, lost or ())
    hosts.announce(console, change)
    with _run(environment, "up", verbose=verbose) as runner:

        def converge(playbook: str, options: Sequence[str]) -> None:
            quickly = quick_converge.is_enabled(environment, quick)
            _converge(environment, runner, playbook, options, allow_older=allow_older, quick=quickly)

        # Before anything else: keys and secrets are created here once; after that, all of them must exist.
        identity.create(environment)
        with runner.phase("Artifacts"):
            for command in report.artifact_commands(environment):
                runner.run(command, os.environ)
        with runner.phase("Provisioning"):
            # Servers of a group configure themselves as soon as they boot: what they need must exist before.
            first = (
                engine.up_without(name, group_component(name), change) if environment.slots else engine.up(name, change)
            )
            runner.pulumi(engine.select(name), *engine.recover(name), first)
        _record_host_keys(environment, runner)
        secrets.fill(environment, runner)
        hosts.hand_over(change, converge, lost or ())
        if environment.hosts:
            converge("site", hosts.options(lost or ()))
        if environment.slots:
            _upload_bundle(environment, runner)
            with runner.phase("Servers that configure themselves"):
                runner.pulumi(engine.up(name, change))
        hosts.remove(environment, change, runner, converge, lost or ())
        stack = _stack(environment)
        ca_file = report.write_ca(environment)
        with runner.phase("Verification"):
            _require(_findings(environment, stack, ca_file))
    report.print_summary(console, environment, stack, ca_file)


@app.command()
def converge(name: EnvironmentName, verbose: Verbose = False, allow_older: Older = False, quick: Quick = None) -> None:
    """Run Ansible against existing hosts to apply stack.yml."""
    environment = _load(name)
    identity.require(environment)
    with _run(environment, "converge", verbose=verbose) as runner:
        _converge(environment, runner, allow_older=allow_older, quick=quick_converge.is_enabled(environment, quick))


@app.command()
def update(name: EnvironmentName, verbose: Verbose = False) -> None:
    """Install the pending updates of databases, caches and pools that need an operator, and restart them one by one."""
    environment = _load(name)
    _announce(environment)
    identity.require(environment)
    with _run(environment, "update", verbose=verbose) as runner:
        _converge(environment, runner, "update", allow_older=False)


@app.command(name="rotate-ca")
def rotate_ca(name: EnvironmentName, verbose: Verbose = False) -> None:
    """Replace the environment's CA without an outage, in three converges; continue an interrupted run."""
    environment = _load(name)
    _announce(environment)
    identity.require(environment)
    if environment.slots:
        raise SecretError(
            f"{name} has servers that configure themselves, which this verb does not reach"
            " (docs/how-to/replace-the-ca.md)"
        )
    store = identity.store(environment)
    with _run(environment, "rotate-ca", verbose=verbose) as runner:
        if not store.rotating_ca:
            console.print(f"  {store.advance_ca()}")
        while True:
            secrets.fill(environment, runner)
            _converge(environment, runner, allow_older=False)
            if not store.rotating_ca:
                break
            console.print(f"  {store.advance_ca()}")
        report.write_ca(environment)


@app.command()
def bundle(
    name: EnvironmentName,
    upload: Annotated[bool, typer.Option(help="Upload the bundle to the bucket that the servers read.")] = True,
) -> None:
    """Write and sign the bundle with which the servers of a group configure themselves.

    `up` does this, too, and replaces the servers.
    """
    environment = _load(name)
    if not environment.slots:
        raise BundleError(f"{name} has no group of servers that configure themselves (aws.app.group)")
    if upload:
        credentials.require(environment)
        _upload_bundle(environment, _runner(environment, verbose=False))
        return
    made = _write_bundle(environment, engine.read_output(environment) or {})
    console.print(f"{made.archive}: serial {made.serial}", soft_wrap=True)


@app.command(name="verify")
def verify_command(name: EnvironmentName) -> None:
    """Check the running environment from outside."""
    environment = _load(name)
    _require(_findings(environment, _stack(environment), report.write_ca(environment)))


@app.command(name="status")
def status_command(
    name: EnvironmentName,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schemas/status.schema.json).")] = False,
) -> None:
    """Show the state of hosts, apps, data, backups and updates. Exit code: 0 ok, 1 warning, 2 critical, 3 unknown."""
    _report(name, status, as_json=as_json)


@app.command(name="drift")
def drift_command(
    name: EnvironmentName,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schemas/drift.schema.json).")] = False,
) -> None:
    """Show what has changed on the hosts since the last converge. Exit code: 0 nothing, 1 something, 3 unknown."""
    _report(name, drift, as_json=as_json)


def _report(name: str, verb: Any, *, as_json: bool) -> NoReturn:
    """Print the report of a command's module and exit with its code; if it fails, the state is unknown."""
    try:
        environment = _load(name)
        credentials.require(environment)
        # Anything but JSON goes to standard error, where it does not disturb a program that reads the output.
        runner = _runner(environment, verbose=False, shown=errors if as_json else console)
        with _project_folder(environment):
            result = verb.ask(runner, environment, _stack(environment))
    except PROBLEMS as problem:
        errors.print(Text(f"error: {problem}", style="red"), soft_wrap=True)
        raise typer.Exit(status.FAILED) from None
    if as_json:
        typer.echo(result.to_json())
    else:
        verb.show(console, result)
    raise typer.Exit(result.exit_code)


@app.command()
def destroy(name: EnvironmentName, yes: Yes = False, verbose: Verbose = False) -> None:
    """Remove what was provisioned, with its data and its local state. Adopted servers, their keys and secrets stay."""
    environment = _load(name)
    _announce(environment)
    adopted = environment.provider == "bare_metal"
    known, local = engine.has_stack(name), engine.state_is_local(name)
    if not known and not local:
        raise engine.EngineError(
            f"no stack {name} in {engine.backend_url(name)} (PULUMI_BACKEND_URL): nothing was destroyed.\n"
            "fix: unset PULUMI_BACKEND_URL, or set it to where the environment was created"
        )
    if not yes:
        fate = "Forget {} (its servers run on)?" if adopted else "Destroy {} with all its data?"
        typer.confirm(fate.format(environment.name), abort=True)
    with _run(environment, "destroy", verbose=verbose) as runner:
        if known:
            with runner.phase("Destroying"):
                runner.pulumi(engine.select(name), *engine.recover(name), engine.destroy(name), engine.remove(name))
        if environment.provider == "local":
            # An interrupted `up` can leave hosts that are not in the state; they are found by their label.
            Podman().remove_environment(environment.name)
    if adopted:
        # Root can no longer log in and the backups are encrypted: login and restore are impossible without these files.
        shutil.rmtree(environment.state_folder / "log", ignore_errors=True)
        console.print(
            f"{environment.name} is forgotten; its servers run on. .state/{environment.name} keeps what opens them and"
            " their backups: keep it, or remove it by hand once no server needs it.",
            soft_wrap=True,
        )
        return
    if not local and engine.has_local_stack(name):
        console.print(
            f"the stack in {engine.backend_url(name)} is gone; .state/{name} has another one and stays", soft_wrap=True
        )
        return
    shutil.rmtree(environment.state_folder, ignore_errors=True)
    console.print(f"{environment.name} is gone")


@app.command()
def graph(
    name: EnvironmentName,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write.")] = None,
) -> None:
    """Draw the topology as SVG."""
    from stackwright.model.graph import topology_svg

    picture = topology_svg(_load(name))
    if output is None:
        typer.echo(picture)
    else:
        output.write_text(picture)


@app.command()
def env(name: EnvironmentName) -> None:
    """Print the variables for running pulumi by hand: eval "$(stackwright env ENV)"."""
    for key, value in sorted(engine.variables(_load(name).name).items()):
        typer.echo(f"export {key}={shlex.quote(value)}")


@app.command(name="doctor")
def doctor_command(
    name: Annotated[
        str, typer.Argument(metavar="[ENV]", help="Environment on AWS whose account is checked, too.")
    ] = "",
) -> None:
    """Check this machine and, for an environment on AWS, its account: show what is missing and what to do."""
    environment = _load(name) if name else None
    findings: list[tuple[str, bool | None, str]] = [(check.name, check.ok, check.detail) for check in doctor.examine()]
    if environment is not None:
        findings += [(check.name, check.ok, check.detail) for check in doctor.examine_account(environment)]
    for what, ok, detail in findings:
        _print_finding(f"{what:<18} {detail}", ok=ok)
    raise typer.Exit(int(any(ok is False for _, ok, _ in findings)))


@contextmanager
def _run(environment: Environment, verb: str, *, verbose: bool) -> Iterator[Runner]:
    """Run the block as this machine's only run that changes the environment, at the project's root and recorded."""
    with exclusive(environment.state_folder, verb) as (record, earlier), _project_folder(environment):
        if earlier is not None:
            console.print(Text(f"  an earlier run, {earlier}; this one goes through all of it again"), soft_wrap=True)
        runner = _runner(environment, verbose=verbose)
        runner.record = record
        try:
            yield runner
        except KeyboardInterrupt as interruption:
            cause = str(interruption) or "interrupted"
            raise InterruptedRunError(
                f"{cause} {record.stop()}; its processes have ended.\n"
                f"next: stackwright {verb} {environment.name} goes through all of it again"
            ) from None
        except BaseException:
            record.stop()
            raise
        record.finish()


def _announce(environment: Environment) -> None:
    console.print(
        Text(f"{environment.name} ({environment.environment_class}, {environment.provider}) of {environment.root}"),
        soft_wrap=True,
    )


def _load(name: str) -> Environment:
    path = project.root() / "inventories" / name / "stack.yml"
    if not path.is_file():
        known = sorted(stack_file.parent.name for stack_file in (project.root() / "inventories").glob("*/stack.yml"))
        raise FileNotFoundError(f"there is no environment {name!r} (no {path}); there are: {', '.join(known)}")
    return load(path)


def _check_assumptions(assume: Sequence[str] | None) -> None:
    """Check the assumptions before Pulumi is called."""
    from stackwright.cost.assumptions import changed

    try:
        changed(assume or ())
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--assume") from error


def _stack_file(environment: Environment) -> Path:
    return Path("inventories") / environment.name / "stack.yml"


def _runner(environment: Environment, *, verbose: bool, shown: Console = console) -> Runner:
    return Runner(shown, environment.state_folder / "log" / "stackwright.log", verbose=verbose)


@contextmanager
def _project_folder(environment: Environment) -> Iterator[None]:
    """Run the block at the project's root, so that native commands are printed and run as typed there."""
    before, root = Path.cwd(), os.environ.get("STACKWRIGHT_ROOT")
    os.chdir(environment.root)
    # For every command below: it acts on this project, in whichever directory it runs.
    os.environ["STACKWRIGHT_ROOT"] = str(environment.root)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.pop("STACKWRIGHT_ROOT")
        os.environ.update({} if root is None else {"STACKWRIGHT_ROOT": root})


def _stack(environment: Environment) -> dict[str, Any]:
    inventory = engine.inventory(environment, engine.read_output(environment))
    stack: dict[str, Any] = inventory.variables["stack"]
    return stack


def _record_host_keys(environment: Environment, runner: Runner) -> None:
    """Record the SSH host keys of hosts that publish them after they have booted."""
    if environment.provider != "aws" or not environment.hosts:
        return
    with runner.phase("Host keys"):
        for argv in host_keys.commands(environment, [host.name for host in environment.hosts]):
            runner.say(argv)
        host_keys.record(environment, engine.read_output(environment) or {"hosts": {}}, host_keys.ask_aws)


def _write_bundle(environment: Environment, output: dict[str, Any]) -> Bundle:
    # Not at the top: the imports for signing and packing take half a second, which no other command should wait for.
    from stackwright.infra.aws import bundles

    return bundles.write(environment, output)


def _upload_bundle(environment: Environment, runner: Runner) -> None:
    with runner.phase("Bundle"):
        output = engine.read_output(environment) or {}
        made = _write_bundle(environment, output)

        def ask(argv: Sequence[str]) -> str:
            runner.say(list(argv))
            return host_keys.ask_aws(argv)

        from stackwright.infra.aws import bundles

        fresh = bundles.upload(output, made, ask)
        console.print(f"  serial {made.serial}, {'uploaded' if fresh else 'there already'}")


#: The name of the phase by playbook.
_PHASES = {"site": "Converging", "update": "Updating", "hand-over": "Handing over", "retire-hosts": "Retiring hosts"}


def _converge(
    environment: Environment,
    runner: Runner,
    playbook: str = "site",
    options: Sequence[str] = (),
    *,
    allow_older: bool,
    quick: bool = False,
) -> None:
    database_ca.ensure(environment)
    argv = ["ansible-playbook", "-i", str(_stack_file(environment)), f"playbooks/{playbook}.yml", *options]
    if allow_older:
        argv += ["-e", "stackwright_allow_older=true"]
    with runner.phase(_PHASES[playbook]):
        if (
            quick
            and playbook == "site"
            and not options
            and quick_converge.verify(console, runner, environment, _stack(environment))
        ):
            return
        recap = runner.converge(argv, os.environ)
        if recap.code == 0:
            if playbook == "site":
                plan.remember(environment)
            console.print(f"  {recap.changed} changed")
            for host, changes in recap.changes:
                console.print(Text(f"  {host}: {changes}", style="dim"), soft_wrap=True)
            return
        for host, failure in recap.failures:
            console.print(Text(f"  {host}: {failure['task']}", style="red"))
            console.print(Text(f"    {failure['message']}\n    at {failure['place']}"), soft_wrap=True)
        verb = runner.record.verb if runner.record else "up"
        raise CommandFailedError(
            f"the converge stopped (exit code {recap.code}); detail: {runner.log};"
            f" go on with: stackwright {verb} {environment.name}"
        )


def _findings(environment: Environment, stack: dict[str, Any], ca_file: Path | None) -> Iterator[verify.Finding]:
    if environment.stack.aws is not None:
        return verify_public.of(environment, stack, ca_file)
    return verify.verify(stack, ca_file, environment.root)


def _require(findings: Iterator[verify.Finding]) -> None:
    bad = 0
    for finding in findings:
        bad += not finding.ok
        _print_finding(f"{finding.name}: {finding.detail}", ok=finding.ok)
    if bad:
        raise CommandFailedError(f"{bad} of the checks failed")


def _print_finding(text: str, *, ok: bool | None) -> None:
    sign, style = {True: ("ok ", ""), False: ("NO ", "red"), None: ("?  ", "yellow")}[ok]
    console.print(Text(f"  {sign} {text}", style=style), soft_wrap=True)
