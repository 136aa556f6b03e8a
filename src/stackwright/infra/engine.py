"""The variables and commands to call Pulumi for an environment, for the CLI and for the user's own shell.

Nothing is hidden: after `eval "$(stackwright env ENVIRONMENT)"`, which sets `variables()`, the plain `pulumi` in the
directory `pulumi/` does the same as the commands here.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from stackwright import processes, state_files
from stackwright.infra import outputs
from stackwright.infra.local.images import cache_folder
from stackwright.model.environment import Environment
from stackwright.model.inventory import Inventory, build
from stackwright.model.output import OUTPUT_NAME, RETIRING_VARIABLE, InventoryError
from stackwright.model.transition import Transition
from stackwright.project import root, state_folder

#: The CLI version that the setup builds, and the oldest that is accepted on PATH: that of the pinned SDK.
CLI_VERSION = (3, 259, 0)
#: The project name in pulumi/Pulumi.yaml.
PROJECT = "stackwright"


class EngineError(RuntimeError):
    """Pulumi cannot be called; the message names the remedy."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command as the user would type it."""

    argv: tuple[str, ...]
    folder: Path
    #: Variables to set in addition to the caller's own.
    variables: Mapping[str, str]

    def __str__(self) -> str:
        return f"cd {shlex.quote(str(self.folder))} && {shlex.join(self.argv)}"


def cli() -> Path:
    """Return the Pulumi CLI: the one on PATH if it is new enough, else the one that the setup built."""
    on_path = shutil.which("pulumi")
    if on_path is not None and _version(on_path) >= CLI_VERSION:
        return Path(on_path)
    built = cache_folder() / "pulumi" / _dotted(CLI_VERSION) / "pulumi"
    if built.is_file():
        return built
    have = f"pulumi on PATH is {_dotted(_version(on_path))}" if on_path else "pulumi is not on PATH"
    raise EngineError(f"{have}, {_dotted(CLI_VERSION)} or newer is needed: run `make setup`")


def variables(environment: str) -> dict[str, str]:
    """Return Pulumi's variables for an environment; variables that the user has set stay unchanged.

    A variable that points into another environment's state is replaced: the shell may still have the variables of that
    environment. Create the state folder and the passphrase file if they are missing.
    """
    folder, user = _backend(state_folder(environment)), _user_variables(environment)
    set_here = {
        "PATH": os.pathsep.join(_path()),
        "STACKWRIGHT_ENV": environment,
        "STACKWRIGHT_ROOT": str(root()),
        "PULUMI_STACK": environment,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # Every plugin comes with the package; a download would be unexpected.
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
    }
    if "PULUMI_BACKEND_URL" not in user:
        state_files.create_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        set_here["PULUMI_BACKEND_URL"] = folder.as_uri()
        # Logins and caches are stored with the environment, so that destroying it leaves nothing in the home directory.
        set_here["PULUMI_HOME"] = user.get("PULUMI_HOME", str(folder / "home"))
    elif "PULUMI_HOME" in os.environ and "PULUMI_HOME" not in user:
        set_here["PULUMI_HOME"] = str(folder / "home")
    if not {"PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"} & user.keys():
        set_here["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(_passphrase(environment))
    return set_here


def backend_url(environment: str) -> str:
    """Return the location of the stack's state: as set by the user, else in the environment's state folder."""
    return _user_variables(environment).get("PULUMI_BACKEND_URL", _backend(state_folder(environment)).as_uri())


def has_stack(environment: str) -> bool:
    """Return whether the backend has the environment's stack."""
    url = backend_url(environment)
    if url.startswith("file://"):
        return outputs.stack_file(url, PROJECT, environment) is not None
    return run(_command(environment, "stack", "select", environment)).returncode == 0


def has_local_stack(environment: str) -> bool:
    """Return whether the environment's own state folder has a stack, regardless of the backend set by the user."""
    return outputs.stack_file(_backend(state_folder(environment)).as_uri(), PROJECT, environment) is not None


def state_is_local(environment: str) -> bool:
    """Return whether the stack that commands act on is the one in the environment's own state folder."""
    return backend_url(environment) == _backend(state_folder(environment)).as_uri()


#: The variables that `variables` sets to paths in the state folder.
_PLACES = ("PULUMI_BACKEND_URL", "PULUMI_HOME", "PULUMI_CONFIG_PASSPHRASE_FILE")


def _user_variables(environment: str) -> dict[str, str]:
    """Return the caller's Pulumi variables, without those that point into another environment's state."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PULUMI_") and not (name in _PLACES and _is_foreign(value, state_folder(environment)))
    }


def _is_foreign(location: str, state: Path) -> bool:
    """Return whether a path or a file URL is in a state folder `.state/ENVIRONMENT` other than `state`."""
    path = (
        Path(unquote(urlparse(location).path) if location.startswith("file://") else location).expanduser().absolute()
    )
    candidates = {path, path.resolve()}
    if any(
        state.absolute() in (candidate, *candidate.parents) or state.resolve() in (candidate, *candidate.parents)
        for candidate in candidates
    ):
        return False
    return any(".state" in candidate.parts for candidate in candidates)


def select(environment: str) -> Command:
    """Create the stack unless it exists. The other commands need it."""
    return _command(environment, "stack", "select", "--create", environment)


def preview(environment: str) -> Command:
    """Show what `up` would do, after a refresh, so that a deleted host is noticed."""
    return _command(environment, "preview", "--refresh", "--diff")


def up(environment: str, transition: Transition | None = None) -> Command:
    """Create and update the hosts of the environment; those that `transition` retires stay until `remove_hosts`."""
    return _up(environment, transition, "--refresh")


def up_without(environment: str, component: str, transition: Transition | None = None) -> Command:
    """Run `up` without a component, whose resources stay as they are or are not created yet, and its dependents."""
    everything = f"urn:pulumi:{environment}::{PROJECT}::**::{component}"
    excluded = ("--exclude", everything, "--exclude", f"{everything}-**", "--exclude-dependents")
    return _up(environment, transition, "--refresh", *excluded)


def remove_hosts(environment: str) -> Command:
    """Remove the hosts that `up` has left. Contact none of them, since they may not exist any more."""
    return _up(environment, None)


def _up(environment: str, transition: Transition | None, *options: str) -> Command:
    leaving = transition.leaving if transition else ()
    excluded = [
        option
        for name in leaving
        for urn in (f"{environment}-compute-{name}", f"{environment}-compute-{name}-**")
        for option in ("--exclude", f"urn:pulumi:{environment}::{PROJECT}::**::{urn}")
    ]
    command = _command(environment, "up", *options, "--yes", "--skip-preview", *excluded)
    recorded = json.dumps(dict(transition.retiring) if transition else {})
    return replace(command, variables={**command.variables, RETIRING_VARIABLE: recorded})


def refresh(environment: str) -> Command:
    """Update the state from the resources that really exist."""
    return _command(environment, "refresh", "--yes", "--skip-preview")


def destroy(environment: str) -> Command:
    """Remove every resource; bare-metal servers are only removed from the state."""
    return _command(environment, "destroy", "--yes", "--skip-preview")


def remove(environment: str) -> Command:
    """Remove the stack itself, after `destroy`."""
    return _command(environment, "stack", "rm", "--yes", environment)


def output(environment: str) -> Command:
    """Print the program's only output as JSON."""
    return _command(environment, "stack", "output", OUTPUT_NAME, "--json")


def recover(environment: str) -> tuple[Command, ...]:
    """Return the commands to run first after a killed run: none, or `pulumi cancel`, which removes its lock.

    Only the lock of an ended process of this machine is removed; any other stays. The host name in it does not identify
    a machine: two containers of a CI have the same one.
    """
    url = backend_url(environment)
    if not url.startswith("file://"):
        return ()
    locks = outputs.locks(url, PROJECT, environment)
    ours = [lock for lock in locks if lock.get("hostname") == socket.gethostname()]
    if not locks or len(ours) < len(locks) or any(_runs(int(lock["pid"])) for lock in ours):
        return ()
    marker = _machine_file(environment)
    if not marker.is_file() or marker.read_text() != processes.machine():
        return ()
    return (_command(environment, "cancel", "--yes", environment),)


def remember_machine(environment: str) -> None:
    """Record that this machine is about to lock the stack, unless it is locked already."""
    url = backend_url(environment)
    if url.startswith("file://") and not outputs.locks(url, PROJECT, environment):
        state_files.write(_machine_file(environment), processes.machine(), mode=0o600)


def _machine_file(environment: str) -> Path:
    return state_folder(environment) / "pulumi-machine"


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def run(command: Command) -> subprocess.CompletedProcess[str]:
    """Run a command and capture its output; the caller checks its return code."""
    return subprocess.run(
        command.argv,
        cwd=command.folder,
        env={**os.environ, **command.variables},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def read_output(environment: Environment) -> dict[str, Any] | None:
    """Return the program's output; None if nothing was provisioned.

    It is read from the file in STACKWRIGHT_STATE_FILE (`pulumi stack export`), else from a file backend without any
    CLI, else by the CLI from the backend in PULUMI_BACKEND_URL.
    """
    try:
        exported = os.environ.get("STACKWRIGHT_STATE_FILE")
        if exported:
            return outputs.from_state_file(Path(exported), environment.name)
        url = backend_url(environment.name)
        if url.startswith("file://"):
            return outputs.from_file_backend(url, PROJECT, environment.name)
        return _output_by_cli(environment.name)
    except outputs.StateError as error:
        raise EngineError(str(error)) from error


def inventory(environment: Environment, output: dict[str, Any] | None = None) -> Inventory:
    """Return Ansible's inventory of the environment. Write its known_hosts file if the content differs.

    Read the program's output unless it is given.
    """
    try:
        built = build(environment, output or read_output(environment))
    except InventoryError as error:
        raise EngineError(str(error)) from error
    state_files.write(built.known_hosts_file, built.known_hosts, mode=0o644)
    return built


def _output_by_cli(environment: str) -> dict[str, Any] | None:
    command = _command(environment, "stack", "output", "--json")
    done = run(command)
    if "no stack named" in done.stderr:
        return None
    if done.returncode != 0:
        raise EngineError(f"`{command}` failed: {done.stderr.strip()}")
    stack_output: dict[str, Any] | None = json.loads(done.stdout).get(OUTPUT_NAME)
    return stack_output


def _command(environment: str, *arguments: str) -> Command:
    # Without a terminal Pulumi must fail instead of prompting.
    interactive = () if sys.stdin.isatty() else ("--non-interactive",)
    argv = ("pulumi", *arguments, *interactive)
    return Command(argv=argv, folder=root() / "pulumi", variables=variables(environment))


def _backend(state: Path) -> Path:
    return state / "pulumi"


def _path() -> list[str]:
    """Return PATH with the CLI, and with this interpreter's scripts: those of the provider and the language host."""
    own_folders = [str(cli().parent), str(Path(sys.executable).parent)]
    inherited = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return [*dict.fromkeys([*own_folders, *inherited])]


def _passphrase(environment: str) -> Path:
    state = state_folder(environment)
    path = _backend(state) / "passphrase"
    if not path.is_file():
        if outputs.stack_file(_backend(state).as_uri(), PROJECT, environment) is not None:
            raise EngineError(
                f"{path} is missing, and the stack beside it opens with nothing else.\n"
                "fix: copy the file from where the environment was created, or set PULUMI_CONFIG_PASSPHRASE"
            )
        state_files.create_folder(state)
        state_files.write(path, secrets.token_urlsafe(32), mode=0o600)
    return path


def _version(pulumi: str) -> tuple[int, ...]:
    done = subprocess.run([pulumi, "version"], capture_output=True, text=True, check=False)
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)", done.stdout.strip())
    return tuple(int(part) for part in match.groups()) if match else (0, 0, 0)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
