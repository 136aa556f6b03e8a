"""Checks between keys, which need more than one value. `plan` checks the sums."""

from __future__ import annotations

from stackwright.model import checks_stack, checks_system
from stackwright.model.errors import Problem
from stackwright.model.files import Parsed, Place
from stackwright.model.stackfile import StackFile
from stackwright.model.system import System


def check(location: Place, stack: Parsed[StackFile], system: Parsed[System] | None) -> list[Problem]:
    """Return every problem between keys of the two files that does not merely follow from one already found."""
    root_problems: list[Problem] = []
    if stack.value is not None:
        what = system.value if system is not None else None
        problems = checks_stack.problems(location, stack, stack.value, what)
        root_problems += [problem for problem in problems if not stack.doubtful(problem.path)]
    if system is not None and system.value is not None:
        problems = checks_system.problems(system, system.value)
        root_problems += [problem for problem in problems if not system.doubtful(problem.path)]
    return root_problems
