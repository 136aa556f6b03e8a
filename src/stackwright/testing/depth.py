"""pytest plugin: every test carries exactly one of two marks, `ci` or `long`.

`make test` runs `ci`: each promise once. `make test-long` runs `long`: repetitions, sweeps, long transitions.
A test that is not marked `long` is marked `ci`, so that a new test cannot be missing from both.
"""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that is not `long` as `ci`, before pytest selects by marks."""
    for item in items:
        if item.get_closest_marker("long") is None:
            item.add_marker(pytest.mark.ci)
