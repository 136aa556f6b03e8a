"""Checks of applications: their names, variables, secrets and upload directories."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from stackwright.model import reserved
from stackwright.model.errors import KeyPath, Problem
from stackwright.model.files import Parsed
from stackwright.model.process import GENERATED_VARIABLES, holds_a_secret
from stackwright.model.stackfile import StackFile
from stackwright.model.system import App, System

T = TypeVar("T", StackFile, System)
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_FREE = "a name that nothing else has"


def system_problems(parsed: Parsed[System], system: System) -> Iterator[Problem]:
    """Yield the problems of the applications of a system."""
    for number, (name, app) in enumerate(system.apps.items()):
        path: KeyPath = ("apps", name)
        if number:
            message = f"is a second application, and one of a system is deployed: {next(iter(system.apps))}"
            yield parsed.problem(path, message, accepted="one application; a system of its own for each further one")
        owner = reserved.account(name)
        if owner is not None:
            yield parsed.problem(path, f"the name is taken by {owner}", accepted=_FREE)
        yield from variable_problems(parsed, (*path, "environment"), app.environment.keys() - app.secrets.keys())
        yield from _secret_problems(parsed, path, name, app)
        yield from _folder_problems(parsed, path, app.uploads)


def stack_problems(parsed: Parsed[StackFile], stack: StackFile, system: System | None) -> Iterator[Problem]:
    """Yield the problems of variables that an environment sets, and of names of admins that are already in use."""
    for name, override in stack.apps.items():
        secrets = system.apps[name].secrets if system is not None and name in system.apps else {}
        yield from variable_problems(
            parsed, ("apps", name, "environment"), override.environment.keys() - secrets.keys()
        )
        for variable in secrets.keys() & override.environment.keys():
            message = "is in `secrets` of the system, and everybody may read it"
            yield parsed.problem(("apps", name, "environment", variable), message, accepted="one of the two")
    for position, admin in enumerate(stack.access.admins):
        owner = reserved.account(admin.name)
        if owner is None and system is not None and admin.name in system.apps:
            owner = f"application {admin.name} of system {system.name}"
        if owner is not None:
            path: KeyPath = ("access", "admins", position, "name")
            yield parsed.problem(path, f"is taken by {owner}", value=admin.name, accepted=_FREE)


def variable_problems(parsed: Parsed[T], path: KeyPath, variables: Iterable[str]) -> Iterator[Problem]:
    """Yield the variables of `environment` that stackwright sets, that hold a secret, or whose value would change."""
    for variable in variables:
        written = parsed.source.plain.get((*path, variable), "")
        if written in ("True", "TRUE", "False", "FALSE"):
            message = "is not written as it would arrive"
            accepted = f'{written.lower()}, or "{written}" in quotes for text'
            yield parsed.problem((*path, variable), message, accepted=accepted)
        if variable in GENERATED_VARIABLES:
            message = f"is set by stackwright, from {GENERATED_VARIABLES[variable]}"
            yield parsed.problem((*path, variable), message, accepted="other variables")
        elif holds_a_secret(variable):
            message = "holds a secret by its name, and everybody may read `environment`"
            yield parsed.problem(
                (*path, variable), message, accepted=f"`secrets: {{{variable}: app/<application>/<word>}}`"
            )


def _secret_problems(parsed: Parsed[System], path: KeyPath, name: str, app: App) -> Iterator[Problem]:
    """Yield problems without the value: a password written there by mistake must not appear in a log."""
    for variable, secret in app.secrets.items():
        key_path, prefix = (*path, "secrets", variable), f"app/{name}/"
        if not secret.startswith(prefix) or not _WORD.fullmatch(secret[len(prefix) :]):
            message = "is not the name of a secret of this application"
            accepted = f"{prefix}<word>, a word of lower-case letters, digits, _ and -"
            yield parsed.problem(key_path, message, accepted=accepted)
        if variable in GENERATED_VARIABLES:
            message = f"is set by stackwright, from {GENERATED_VARIABLES[variable]}"
            yield parsed.problem(key_path, message, accepted="other variables")
        if variable in app.environment:
            message = "is in `environment` too, where everybody may read it"
            yield parsed.problem(key_path, message, accepted="one of the two")


#: Backup sets of the hosts themselves.
_BACKUP_SETS: Mapping[str, str] = {"redis": "the backup of Redis"}


def _folder_problems(parsed: Parsed[System], path: KeyPath, folders: Sequence[str]) -> Iterator[Problem]:
    """Yield the directories that cannot be backed up: each is a backup set, named after its last part."""
    names: dict[str, str] = dict(_BACKUP_SETS)
    for position, folder in enumerate(folders):
        key_path, last = (*path, "uploads", position), folder.rstrip("/").rpartition("/")[2]
        if last in names:
            message = f"ends like {names[last]}"
            yield parsed.problem(key_path, message, value=folder, accepted="folders with different last parts")
        elif any(
            _inside(folder, earlier_folder) or _inside(earlier_folder, folder) for earlier_folder in folders[:position]
        ):
            message = "is in another folder of `uploads`"
            yield parsed.problem(key_path, message, value=folder, accepted="folders that are apart")
        names.setdefault(last, folder)


def _inside(folder: str, parent: str) -> bool:
    return f"{folder.rstrip('/')}/".startswith(f"{parent.rstrip('/')}/")
