"""The locations of the project's root and of an environment's state folder."""

from __future__ import annotations

import os
from pathlib import Path


class ProjectError(FileNotFoundError):
    """There is no project in this directory; the message says how to choose one."""


def root() -> Path:
    """Return the project's root: `STACKWRIGHT_ROOT`, or the nearest parent directory with `inventories` and `systems`.

    It is never the checkout that this package was installed from: a command in the wrong directory would act on its
    environments.
    """
    named = os.environ.get("STACKWRIGHT_ROOT")
    if named:
        folder = Path(named).absolute()
        if not _is_project(folder) and not _is_bundle(folder):
            raise ProjectError(f"STACKWRIGHT_ROOT={named}: not a stackwright project (no folder `inventories`)")
        return folder
    current = Path.cwd()
    for folder in (current, *current.parents):
        if _is_project(folder) and (folder / "systems").is_dir():
            return folder
    raise ProjectError(
        f"{current} is not inside a stackwright project (no folders `inventories` and `systems` here or above).\n"
        "fix: change into the project, or set STACKWRIGHT_ROOT"
    )


def state_folder(environment: str) -> Path:
    """Return the directory of an environment's keys, secrets and state on this machine; it is ignored by git."""
    return root() / ".state" / environment


def _is_project(folder: Path) -> bool:
    return (folder / "inventories").is_dir()


def _is_bundle(folder: Path) -> bool:
    """Return whether it is a bundle with which a server configures itself: the project with a single inventory."""
    return (folder / "manifest.json").is_file() and (folder / "inventory").is_dir()
