"""Checks of `database.parameters` and `database.extensions` against the catalogue of the PostgreSQL release."""

from __future__ import annotations

from collections.abc import Iterator

from stackwright.model import postgresql_parameters, topology
from stackwright.model.errors import ABSENT, Problem
from stackwright.model.files import Parsed
from stackwright.model.stackfile import StackFile
from stackwright.model.system import System


def parameter_problems(parsed: Parsed[StackFile], stack: StackFile, system: System | None) -> Iterator[Problem]:
    """Yield the parameters that the database would not start with, or that must not be set."""
    if system is None or system.database is None:
        return
    refusals = postgresql_parameters.refusals(
        stack.database.parameters,
        version=system.database.version,
        extensions=system.database.extensions,
        cloud="database" in topology.managed(stack),
    )
    for refusal in refusals:
        yield parsed.problem(
            ("database", "parameters", refusal.name),
            refusal.message,
            value=stack.database.parameters[refusal.name] if refusal.value else ABSENT,
            accepted=refusal.accepted,
            suggestion=refusal.suggestion,
        )


def extension_problems(parsed: Parsed[System], system: System) -> Iterator[Problem]:
    """Yield the extensions that the packages of this release do not have, and those listed twice."""
    if system.database is None:
        return
    extensions = system.database.extensions
    refusals = {
        refusal.name: refusal
        for refusal in postgresql_parameters.extension_refusals(system.database.version, extensions)
    }
    for position, name in enumerate(extensions):
        path = ("database", "extensions", position)
        if name in extensions[:position]:
            yield parsed.problem(path, "is named twice", value=name, accepted="each extension once")
        elif name in refusals:
            refusal = refusals[name]
            yield parsed.problem(
                path, refusal.message, value=name, accepted=refusal.accepted, suggestion=refusal.suggestion
            )
