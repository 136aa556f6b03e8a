"""Where things are: the project's root and the state folder of an environment."""

from __future__ import annotations

import os
from pathlib import Path


def root() -> Path:
    """The project's root: `STACKWRIGHT_ROOT`, or the nearest folder upwards that has `inventories` and `systems`."""
    named = os.environ.get("STACKWRIGHT_ROOT")
    if named:
        return Path(named)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "inventories").is_dir() and (folder / "systems").is_dir():
            return folder
    # Ansible and Pulumi change folders; the package of a checkout still knows where it came from.
    checkout = Path(__file__).resolve().parents[2]
    if (checkout / "inventories").is_dir():
        return checkout
    raise FileNotFoundError(
        f"{here} is not inside a stackwright project (no folders `inventories` and `systems` upwards):"
        " change into it, or set STACKWRIGHT_ROOT"
    )


def state_folder(environment: str) -> Path:
    """What an environment keeps on this machine (keys, state, secrets); ignored by git, removed by `destroy`."""
    return root() / ".state" / environment
