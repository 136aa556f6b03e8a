"""The build of a release: equal each time it is made, and only made when something changed."""

import tarfile
import time

from stackwright.artifact import application


def contents(archive: str, release: str) -> dict[str, bytes | None]:
    """The archive's files, with the release's name taken out of names and contents, and its version out of the manifest."""
    version = f'"version": "{release.partition("-")[0]}"'.encode()
    members: dict[str, bytes | None] = {}
    with tarfile.open(archive) as files:
        for member in files:
            file = files.extractfile(member)
            content = file.read().replace(release.encode(), b"ID") if file else None
            if content and member.name.endswith("/manifest.json"):
                content = content.replace(version, b"VERSION")
            members[member.name.replace(release, "ID")] = content
    return members


def test_a_second_build_is_equal_but_for_its_name(release: application.Release) -> None:
    """In `make test` it is the release that tests/e2e/test_local.py deploys, which finds it built."""
    second = application.build(label="2.0.0")
    assert second.release != release.release
    for one, other in ((release.path, second.path), (release.static_path, second.static_path)):
        first, again = contents(one, release.release), contents(other, second.release)
        assert len(first) > 5
        assert not [name for name in first.keys() | again.keys() if first.get(name) != again.get(name)]


def test_a_release_that_is_there_is_not_built_again(release: application.Release) -> None:
    began = time.monotonic()
    assert application.build() == release
    assert time.monotonic() - began < 5
