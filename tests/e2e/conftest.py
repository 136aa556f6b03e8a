"""Whole environments, brought up by the commands of the README.

STACKWRIGHT_E2E_KEEP=1 takes an environment that is up as it is and leaves it up, for work on the tests themselves.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import pytest

from stackwright.testing.e2e import UP_SECONDS, Environment

KEEP = bool(os.environ.get("STACKWRIGHT_E2E_KEEP"))


@dataclass(frozen=True, kw_only=True)
class Running:
    """An environment, and what the command that brought it up said."""

    environment: Environment
    output: str


@contextmanager
def _lifetime(name: str, *command: str) -> Iterator[Running]:
    environment = Environment(name)
    if not KEEP:
        environment.stackwright("destroy", "--yes")
        assert not environment.leftovers()
    try:
        done = environment.run(*command, seconds=UP_SECONDS)
        environment.forget()
        yield Running(environment=environment, output=done.output)
    finally:
        if not KEEP:
            _save_log(environment)
            environment.stackwright("destroy", "--yes", expect=None)
    assert KEEP or not environment.leftovers()


def _save_log(environment: Environment) -> None:
    """Destroying takes the log along, and a failure is explained by it."""
    log, kept = environment.state_folder / "log" / "stackwright.log", environment.root / ".state" / "test"
    if log.is_file():
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copy(log, kept / f"e2e-{environment.name}-stackwright.log")


@pytest.fixture(scope="session")
def lifetime() -> Callable[..., AbstractContextManager[Running]]:
    """Destroys what there is of an environment, runs the command that brings it up, and destroys it in the end."""
    return _lifetime


@pytest.fixture(scope="session")
def keep() -> bool:
    return KEEP
