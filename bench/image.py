"""The hosts' base image, built from scratch, compared with the distribution's smallest system by the same builder."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.process import results_folder, run
from bench.samples import Comparison, in_turn
from bench.workplace import say, timed
from stackwright.infra.local import images
from stackwright.infra.local.podman import Podman

SECTION = "Base image"
_NAME = "bench"
_FLOOR = "localhost/stackwright/bench-floor"


def measure(rounds: int) -> tuple[list[Comparison], dict[str, Any]]:
    """Build and import both from scratch."""
    pairs = in_turn(rounds, _ours, _floor)
    comparison = Comparison(
        section=SECTION,
        name="debian-13 with systemd, SSH, Python",
        peer="mmdebstrap --variant=minbase, imported likewise",
        unit="s",
        better="lower",
        ours=tuple(mine for mine, _ in pairs),
        peers=tuple(floor for _, floor in pairs),
    )
    return [comparison], {"packages": list(images.RECIPES["debian-13"].packages)}


def _ours() -> float:
    podman = Podman().command
    # With its own name and cache, so that neither the image nor the archive that others use is changed.
    images.RECIPES[_NAME] = dataclasses.replace(images.RECIPES["debian-13"], revision=-1)
    with _cache() as _, _removed(images.reference(_NAME)):
        seconds = timed(lambda: images.ensure(_NAME, podman))
    say(f"image: ours {seconds:.1f} s")
    return seconds


def _floor() -> float:
    podman, suite = Podman().command, images.RECIPES["debian-13"].suite
    log = results_folder() / "log" / "image.log"
    with _cache() as folder, _removed(_FLOOR):

        def build() -> None:
            archive = str(folder / "floor.tar")
            run(("mmdebstrap", "--quiet", "--variant=minbase", suite, archive), folder=folder, log=log)
            run((*podman, "import", "--quiet", archive, _FLOOR), folder=folder, log=log)

        seconds = timed(build)
    say(f"image: floor {seconds:.1f} s")
    return seconds


@contextmanager
def _cache() -> Iterator[Path]:
    before = os.environ.get("XDG_CACHE_HOME")
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ["XDG_CACHE_HOME"]
            else:
                os.environ["XDG_CACHE_HOME"] = before


@contextmanager
def _removed(reference: str) -> Iterator[None]:
    remove = [*Podman().command, "image", "rm", "--force", reference]
    subprocess.run(remove, capture_output=True, check=False)
    try:
        yield
    finally:
        subprocess.run(remove, capture_output=True, check=False)
