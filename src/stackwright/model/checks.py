"""Checks between keys: what each value on its own cannot tell. Sums are `plan`'s."""

from __future__ import annotations

from stackwright.model.errors import Problem
from stackwright.model.files import Parsed, Place
from stackwright.model.stackfile import StackFile
from stackwright.model.system import System


def check(place: Place, stack: Parsed[StackFile], system: Parsed[System] | None) -> list[Problem]:
    """Every problem between keys of the two files that is not a mere consequence of one already found."""
    return []
