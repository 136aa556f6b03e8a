"""`stackwright verify` asks an edge for a file of every folder of static files that the release has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stackwright import verify
from stackwright.artifact import tarball

ENTRY = {"url": "/public", "folder": "public"}


class FakeEdge:
    """Serves the paths that it is given."""

    proxy_protocol = False

    def __init__(self, *paths: str) -> None:
        self.paths = paths

    def get(self, _: str, path: str, **__: Any) -> verify.Answer:
        return verify.Answer(status=200 if path in self.paths else 404, headers={}, body=b"")


@pytest.fixture
def release(tmp_path: Path) -> Path:
    names = ("public/.hidden", "public/a b.svg", "_next/static/app.js")
    tree = {name: tarball.Entry(content=b"x") for name in names}
    for archive in ("app.tar.gz", "static.tar.gz"):
        tarball.write_with_checksum(tmp_path / archive, tarball.pack(tree, "shop-static-1"))
    checksums = {"sha256": "0" * 64, "static_sha256": "0" * 64}
    described = {"release": "1", "path": "app.tar.gz", "static_path": "static.tar.gz"} | checksums
    file = tmp_path / "shop.json"
    file.write_text(json.dumps(described))
    return file


@pytest.mark.parametrize(
    ("paths", "entry", "expected"),
    [
        (["/public/a%20b.svg"], ENTRY, (True, "200 /public/a b.svg of release 1")),
        ([], ENTRY, (False, "404 /public/a b.svg of release 1")),
        ([], {"url": "/media", "folder": "media"}, (False, "release 1 has no file below media/")),
    ],
)
def test_a_folder_that_the_edge_does_not_serve_is_noticed(
    release: Path, paths: list[str], entry: dict[str, str], expected: tuple[bool, str]
) -> None:
    assert verify._static(FakeEdge(*paths), "shop.test", entry, release) == expected  # type: ignore[arg-type]


def test_a_release_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    ok, detail = verify._static(FakeEdge(), "shop.test", ENTRY, tmp_path / "none.json")  # type: ignore[arg-type]
    assert not ok
    assert "none.json" in detail
