"""Where things are: the project's root and the state folder of an environment."""

from __future__ import annotations

import os
from pathlib import Path


class ProjectError(FileNotFoundError):
    """No project is here; the message says how one is chosen."""


def root() -> Path:
    """Return the project's root: `STACKWRIGHT_ROOT`, or the nearest folder upwards with `inventories` and `systems`.

    Never the checkout that this package was installed from: a verb in the wrong folder would act on its environments.
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
    """Return the folder of an environment's keys, secrets and state on this machine; ignored by git."""
    return root() / ".state" / environment


def _is_project(folder: Path) -> bool:
    return (folder / "inventories").is_dir()


def _is_bundle(folder: Path) -> bool:
    """Whether it is what a server configures itself with: the project with its one inventory."""
    return (folder / "manifest.json").is_file() and (folder / "inventory").is_dir()
