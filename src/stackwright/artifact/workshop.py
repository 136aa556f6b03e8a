"""An empty directory with the same path on every machine, for builds whose result depends on their path."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/tmp/stackwright-workshop")  # noqa: S108  the path is the point; below it is made sure that it is ours


class WorkshopError(RuntimeError):
    """The directory cannot be used; the message names the remedy."""


@contextlib.contextmanager
def workshop(folder: Path = FOLDER) -> Iterator[Path]:
    """Yield the empty directory to one build at a time and remove it afterwards; clear leftovers of a killed build."""
    lock = _acquire(folder)
    try:
        _clear(folder)
        yield folder
    finally:
        shutil.rmtree(
            folder, ignore_errors=True
        )  # with the lock held: a waiting build notices and creates the directory again
        os.close(lock)


def _acquire(folder: Path) -> int:
    while True:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        except OSError as problem:
            raise WorkshopError(f"{folder} is no folder of ours ({problem.strerror}): remove it") from problem
        if os.fstat(lock).st_uid != os.geteuid():
            os.close(lock)
            raise WorkshopError(f"{folder} belongs to another user's build: wait for its end or remove the folder")
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if folder.stat().st_ino == os.fstat(lock).st_ino:
                return lock
        os.close(lock)


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
