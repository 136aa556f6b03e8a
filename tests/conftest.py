"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# A busy machine may take long for one example; no test judges time.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def _process_is_left_as_it_was() -> Iterator[None]:
    """A variable or a folder that outlives its test decides about later ones, in one order of them and not in another."""

    def state() -> tuple[Path, dict[str, str]]:
        return Path.cwd(), {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}

    before = state()
    yield
    assert state() == before
