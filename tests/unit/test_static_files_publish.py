"""static-files-publish: what of a release is served, and when that is made anew."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PUBLISH = Path(__file__).resolve().parents[2] / "roles/static_files/files/static-files-publish"


def publish(directory: Path, release: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, str(PUBLISH), str(directory), release, *options], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def unpack(directory: Path, release: str, **files: str) -> Path:
    folder = directory / "releases" / release
    (folder / "public").mkdir(parents=True)
    (folder / ".stackwright-archive").write_text("{}")
    (folder / "public/link").symlink_to("name.txt")
    for name, content in files.items():
        (folder / f"public/{name}.txt").write_text(content)
    return folder


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    unpack(tmp_path, "one", name="one", first="1")
    unpack(tmp_path, "two", name="two", second="2")
    assert publish(tmp_path, "one") == "changed"
    assert publish(tmp_path, "two") == "changed"
    assert publish(tmp_path, "two") == "current"
    return tmp_path


def served(directory: Path) -> dict[str, str]:
    current = directory / "current"
    return {str(path.relative_to(current)): path.read_text() for path in current.rglob("*") if path.is_file()}


SERVED = {"public/name.txt": "two", "public/link": "two", "public/first.txt": "1", "public/second.txt": "2"}


def test_the_published_release_is_served_over_the_others_without_the_record_of_its_archive(directory: Path) -> None:
    assert served(directory) == SERVED


def test_a_new_record_is_no_change(directory: Path) -> None:
    record = directory / "releases/two/.stackwright-archive"
    record.unlink()
    record.write_text("{ }")
    assert publish(directory, "two", "--dry-run") == "current"


@pytest.mark.parametrize("name", ["name.txt", "link"])
def test_what_differs_from_the_release_is_served_anew(directory: Path, name: str) -> None:
    for change in (Path.unlink, lambda path: (path.unlink(), path.write_text("by hand"))):
        tree = (directory / "current").readlink()
        change(directory / "current/public" / name)
        assert publish(directory, "two", "--dry-run") == "changed"
        assert publish(directory, "two") == "changed"
        assert served(directory) == SERVED
        assert (directory / "current").readlink() == tree
        assert publish(directory, "two") == "current"


def test_a_file_that_was_put_back_in_the_release_is_served(directory: Path) -> None:
    """As stackwright_archive does it: another file takes the place of the one that is linked."""
    (directory / "current/public/second.txt").write_text("by hand")
    path = directory / "releases/two/public/second.txt"
    path.unlink()
    path.write_text("2")
    assert publish(directory, "two") == "changed"
    assert served(directory) == SERVED
