"""Archives, ids and tools of the build, without building."""

import concurrent.futures
import io
import json
import tarfile
import time
from pathlib import Path

import pytest

from stackwright.artifact import application, runtime, tarball, toolchain
from stackwright.artifact.workshop import WorkshopError, workshop

TREE = {
    "bin/run": tarball.Entry(content=b"#!/bin/sh\n", executable=True),
    "data": tarball.Entry(content=b"one"),
    "link": tarball.Entry(link="data"),
}


def members(tree: tarball.Tree) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(tarball.pack(tree, "root"))) as archive:
        return {member.name: member for member in archive}


def test_equal_trees_are_equal_archives_in_any_order() -> None:
    assert tarball.pack(TREE, "root") == tarball.pack(dict(reversed(TREE.items())), "root")
    assert tarball.tree_digest(TREE) == tarball.tree_digest(dict(reversed(TREE.items())))


def test_an_archive_says_nothing_of_the_machine() -> None:
    found = members(TREE)
    assert set(found) == {"root", "root/bin", "root/bin/run", "root/data", "root/link"}
    assert {(member.uid, member.gid, member.uname, member.gname) for member in found.values()} == {
        (0, 0, "root", "root")
    }
    assert (found["root/bin/run"].mode, found["root/data"].mode) == (0o755, 0o644)


def test_a_file_that_changes_but_keeps_its_size_gets_another_time() -> None:
    changed = members(TREE | {"data": tarball.Entry(content=b"two")})
    assert changed["root/data"].mtime != members(TREE)["root/data"].mtime


@pytest.mark.parametrize(
    "other",
    [
        {"data": tarball.Entry(content=b"one", executable=True)},
        {"data": tarball.Entry(content=b"two")},
        {"data": tarball.Entry(link="one")},
        {"link": tarball.Entry(link="bin/run")},
        {"more": tarball.Entry()},
    ],
)
def test_every_difference_is_in_the_digest(other: tarball.Tree) -> None:
    assert tarball.tree_digest(TREE | other) != tarball.tree_digest(TREE)


def test_a_tree_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"x")
    (tmp_path / "folder").symlink_to("sub")
    tree = tarball.read_tree(tmp_path, "in/")
    assert tree == {"in/sub/file": tarball.Entry(content=b"x"), "in/folder": tarball.Entry(link="sub")}


def test_a_checksum_is_in_the_format_of_sha256sum(tmp_path: Path) -> None:
    checksum = tarball.write_with_checksum(tmp_path / "new" / "a.tar.gz", b"x")
    assert (tmp_path / "new" / "a.tar.gz.sha256").read_text() == f"{checksum}  a.tar.gz\n"


def prebuilt(target: Path, label: str | None, monkeypatch: pytest.MonkeyPatch) -> application.Release:
    monkeypatch.setattr(application, "_compile", lambda *_: {"public/x": tarball.Entry(content=b"x")})
    return application.build(label=label, target=target)


def test_a_label_makes_another_release_of_the_same_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = prebuilt(tmp_path, None, monkeypatch), prebuilt(tmp_path, "2.0.0", monkeypatch)
    assert second.release.startswith("2.0.0-")
    assert first.release.rpartition("-")[2] != second.release.rpartition("-")[2]
    monkeypatch.setenv("RELEASE_LABEL", "2.0.0")
    assert prebuilt(tmp_path, None, monkeypatch) == second


def test_a_damaged_archive_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prebuilt(tmp_path, None, monkeypatch)
    Path(first.path).write_bytes(b"damaged")
    assert prebuilt(tmp_path, None, monkeypatch) == first
    assert Path(first.path).read_bytes() != b"damaged"


@pytest.mark.parametrize("folder", [application.SOURCE, runtime.SOURCE])
def test_each_locked_package_has_an_integrity_and_names_no_registry(folder: Path) -> None:
    packages = json.loads((folder / "package-lock.json").read_text())["packages"]
    assert len(packages) > 10
    assert not [name for name, package in packages.items() if name and "integrity" not in package]
    assert not [name for name, package in packages.items() if "resolved" in package]


def test_the_runtime_is_pinned_for_each_architecture() -> None:
    pins = json.loads((runtime.SOURCE / "package.json").read_text())["optionalDependencies"]
    assert set(pins) == {f"node-linux-{name}" for name in runtime.ARCHITECTURES}
    assert len(set(pins.values())) == 1


def test_a_changed_lock_is_another_cache_folder(tmp_path: Path) -> None:
    (tmp_path / "package-lock.json").write_text("{}")
    assert runtime.cache_folder(tmp_path) != runtime.cache_folder()


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(ValueError, match="'mips' is not one of x64, arm64"):
        runtime.build("mips")


def test_an_old_or_missing_node_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"node": "#!/bin/sh\necho v18.1.0\n", "npm": "#!/bin/sh\n"}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(toolchain, "_wheel", lambda: (None, None))
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("NODE", str(tmp_path / "node"))
    monkeypatch.delenv("NPM", raising=False)
    with pytest.raises(toolchain.ToolchainError, match=r"node is version 18\.1\.0\): install Node\.js >= 20\.12"):
        toolchain.find()


def test_a_workshop_is_empty_private_and_gone_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    (folder / "left by a killed build").mkdir(parents=True)
    with workshop(folder):
        assert not list(folder.iterdir())
        (folder / "file").touch()
    assert not folder.exists()


def test_a_workshop_is_for_one_build_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []

    def build(number: int) -> int:
        with workshop(tmp_path / "shop"):
            inside.append(number)
            time.sleep(0.02)
            assert inside == [number]
            inside.remove(number)
        return number

    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        assert list(pool.map(build, range(24))) == list(range(24))


def test_a_workshop_that_is_a_planted_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "shop").symlink_to("target")
    with pytest.raises(WorkshopError, match="is no folder of ours"), workshop(tmp_path / "shop"):
        pass


def test_a_pages_modules_are_in_order_whichever_way_they_were_found() -> None:
    name = ".next/server/app/page_client-reference-manifest.js"
    first, second = (
        tarball.Entry(content=f'globalThis.M["/page"]={modules};'.encode())
        for modules in ('{"a":{"id":1,"chunks":["x","y"]},"b":2}', '{"b":2,"a":{"chunks":["x","y"],"id":1}}')
    )
    assert application._in_order(name, first) == application._in_order(name, second)
    assert application._in_order(name, first).content.endswith(b'"b":2};')
    assert application._in_order("other.js", second) is second
