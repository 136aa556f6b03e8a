"""The build of a release: equal wherever it is made, and only made when something changed."""

import time
from pathlib import Path

from stackwright.artifact import application


def test_the_release_is_equal_byte_for_byte_from_another_folder(release: application.Release, tmp_path: Path) -> None:
    workshop = tmp_path / "a folder with another and a longer name"
    workshop.mkdir()
    second = application.build(target=tmp_path / "dist", workshop=workshop)
    assert (second.release, second.sha256, second.static_sha256) == (
        release.release,
        release.sha256,
        release.static_sha256,
    )
    assert Path(second.path).read_bytes() == Path(release.path).read_bytes()
    assert not list(workshop.iterdir())


def test_a_release_that_is_there_is_not_built_again(release: application.Release) -> None:
    began = time.monotonic()
    assert application.build() == release
    assert time.monotonic() - began < 5
