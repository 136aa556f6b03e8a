"""A copy of the project with changed environment and system files, next to the checkout: tests edit no file in git."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stackwright.testing.e2e import Environment

_COPIED = ("inventories", "systems")


class Variant:
    """A directory that commands use as the project; state, roles and artifacts are those of the checkout."""

    def __init__(self, checkout: Path, folder: Path, environment: str) -> None:
        self.folder, self._name = folder, environment
        folder.mkdir(parents=True, exist_ok=True)
        for name in (".state", "dist"):
            (checkout / name).mkdir(exist_ok=True)
        for entry in checkout.iterdir():
            if entry.name not in (*_COPIED, ".git"):
                (folder / entry.name).symlink_to(entry)
        for name in _COPIED:
            shutil.copytree(checkout / name, folder / name, symlinks=True)

    @property
    def stack(self) -> Path:
        return self.folder / "inventories" / self._name / "stack.yml"

    @property
    def system(self) -> Path:
        return self.folder / "systems" / "taaleem.yml"

    def edit(self, *changes: tuple[str, str]) -> None:
        """Replace text in the environment's file or, if it is not found there, in its system's file."""
        for old, new in changes:
            file = next(path for path in (self.stack, self.system) if old in path.read_text())
            file.write_text(file.read_text().replace(old, new, 1))


@contextmanager
def variant(folder: Path, environment: str) -> Iterator[tuple[Variant, Environment]]:
    """Make `folder` a variant of the project, which this process and its children use until the block ends."""
    files = Variant(Environment(environment).root, folder, environment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STACKWRIGHT_ROOT", str(folder))
        patch.chdir(folder)
        yield files, Environment(environment)
