"""The build of a release: equal each time it is made, and only made when something changed."""

import tarfile
import time
from pathlib import Path

from stackwright.artifact import application


def contents(archive: str) -> dict[str, bytes | None]:
    with tarfile.open(archive) as files:
        return {member.name: file.read() if (file := files.extractfile(member)) else None for member in files}


def test_a_second_build_is_equal_byte_for_byte(release: application.Release, tmp_path: Path) -> None:
    second = application.build(target=tmp_path)
    assert second.release == release.release
    one, other = contents(release.path), contents(second.path)
    assert not [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
    assert Path(second.path).read_bytes() == Path(release.path).read_bytes()
    assert Path(second.static_path).read_bytes() == Path(release.static_path).read_bytes()


def test_a_release_that_is_there_is_not_built_again(release: application.Release) -> None:
    began = time.monotonic()
    assert application.build() == release
    assert time.monotonic() - began < 5
