"""Set-up of a new clone compared with the floor: the same locked Python packages by plain pip, from local wheels.

Only the work that set-up does per clone is measured. The programs that it builds once per machine come from the cache
(a copy of it: the clone's set-up must not change what others use), and system packages are installed already.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.process import BenchError, checkout, results_folder, run, search_path
from bench.samples import Comparison, in_turn
from bench.workplace import say, timed

SECTION = "Set-up of a new clone"
SET_UP = ("scripts/setup.sh",)


def measure(rounds: int) -> tuple[list[Comparison], dict[str, Any]]:
    """Set up a clone, twice, and a plain environment by pip; the wheels of both are already on this machine."""
    with tempfile.TemporaryDirectory(prefix="stackwright-bench-") as name:
        workshop = _Workshop(Path(name))
        say("set-up: fetch the wheels that pip is given")
        workshop.fetch_wheels()
        say("set-up: once for nothing, so that uv's cache is warm")
        workshop.set_up()
        first, again, floor = [], [], []
        for (mine, second), plain in in_turn(rounds, workshop.set_up, workshop.pip):
            first.append(mine)
            again.append(second)
            floor.append(plain)
    floors = tuple(floor)
    pip = "pip install of the same locked packages"
    return [
        Comparison(
            section=SECTION, name="new clone", peer=pip, unit="s", better="lower", ours=tuple(first), peers=floors
        ),
        Comparison(
            section=SECTION, name="nothing missing", peer=pip, unit="s", better="lower", ours=tuple(again), peers=floors
        ),
    ], {}


class _Workshop:
    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, results_folder() / "log" / "setup.log"
        self._clones = 0
        programs = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stackwright"
        # As for a new user: this checkout's programs and cache do not come first. uv's own cache stays where it was.
        foreign = {str(checkout() / ".venv" / "bin"), str(programs / "bin")}
        path = [
            directory for directory in os.environ.get("PATH", os.defpath).split(os.pathsep) if directory not in foreign
        ]
        self._variables = {
            "PATH": os.pathsep.join([str(folder / "cache" / "stackwright" / "bin"), *path]),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "UV_CACHE_DIR": _uv_cache(),
        }
        for program in ("pulumi", "bin"):
            if (programs / program).is_dir():
                shutil.copytree(programs / program, folder / "cache" / "stackwright" / program, symlinks=True)

    def _run(self, *argv: str, folder: Path | None = None) -> None:
        run(argv, folder=folder or self.folder, log=self.log, variables=self._variables)

    def fetch_wheels(self) -> None:
        export = ("uv", "export", "--frozen", "--no-hashes", "--no-emit-project", "--quiet")
        self._run(*export, "--output-file", str(self.folder / "requirements.txt"), folder=checkout())
        self._run(sys.executable, "-m", "venv", "builder")
        wheels = ("wheel", "--quiet", "--no-deps", "--wheel-dir", "wheels", "--requirement", "requirements.txt")
        self._run("builder/bin/pip", *wheels)

    def set_up(self) -> tuple[float, float]:
        """Return the seconds of set-up in a new clone, and of set-up right after it."""
        self._clones += 1
        clone = self.folder / f"clone{self._clones}"
        self._run("git", "clone", "--quiet", "--no-local", str(checkout()), str(clone))
        first = timed(lambda: self._run(*SET_UP, folder=clone))
        again = timed(lambda: self._run(*SET_UP, folder=clone))
        shutil.rmtree(clone)
        say(f"set-up: new clone {first:.1f} s, nothing missing {again:.1f} s")
        return first, again

    def pip(self) -> float:
        """Return the seconds to create an environment with the same packages by pip."""

        def install() -> None:
            self._run(sys.executable, "-m", "venv", "plain")
            # uv does not compile, either.
            options = ("--quiet", "--no-deps", "--no-compile", "--no-index", "--find-links", "wheels")
            self._run("plain/bin/pip", "install", *options, "--requirement", "requirements.txt")

        seconds = timed(install)
        shutil.rmtree(self.folder / "plain")
        say(f"set-up: pip {seconds:.1f} s")
        return seconds


def _uv_cache() -> str:
    if shutil.which("uv", path=search_path()) is None:
        raise BenchError("uv is not on PATH: run `make setup`")
    done = run(("uv", "cache", "dir"), folder=checkout(), log=results_folder() / "log" / "setup.log")
    return done.output.split()[-1]
