"""Archives, ids and tools of the build, without building."""

import concurrent.futures
import hashlib
import io
import json
import tarfile
import time
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from stackwright.artifact import application, description, runtime, tarball, toolchain
from stackwright.artifact.workshop import WorkshopError, workshop
from stackwright.model.system import Runtime

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


STATIC = [{"url": "/_next/static", "folder": ".next/static"}, {"url": "/public", "folder": "public"}]
PROGRAM = {".next/static/a.js": b"a", "public/logo.svg": b"b", "server.js": b"c"}
SERVED = {"_next/static/a.js": b"a", "public/logo.svg": b"b"}


def described(folder: Path, program: dict[str, bytes], served: dict[str, bytes], **changes: str) -> Path:
    """A release on disk and its description."""
    content = {"release": "1.0.0-a", "path": "a.tar.gz", "static_path": "a-static.tar.gz"}
    for key, name, files in (("sha256", "a.tar.gz", program), ("static_sha256", "a-static.tar.gz", served)):
        tree = {path: tarball.Entry(content=text) for path, text in files.items()}
        (folder / name).write_bytes(tarball.pack(tree, "top"))
        content[key] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    file = folder / "a.json"
    file.write_text(json.dumps(content | changes))
    return file


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def test_static_files_that_were_packed_pass_and_are_not_read_twice(cache: Path) -> None:
    release = description.read(described(cache, PROGRAM, SERVED))
    description.check_static(release, STATIC)
    Path(release.static_path).unlink()
    description.check_static(release, STATIC)


@pytest.mark.parametrize(
    ("served", "message"),
    [
        (
            {},
            r"a-static.tar.gz: no file below _next/static/, which `static` of the application serves at /_next/static",
        ),
        ({"public/logo.svg": b"b"}, "no file below _next/static/"),
        ({**SERVED, "_next/static/b.js": b"x"}, None),
        ({".next/static/a.js": b"a", "public/logo.svg": b"b"}, "no file below _next/static/"),
        (
            {"_next/static/b.js": b"a", "public/logo.svg": b"b"},
            "_next/static/a.js not found, though the application has it",
        ),
    ],
)
def test_an_empty_or_wrong_static_archive_is_refused(
    cache: Path, served: dict[str, bytes], message: str | None
) -> None:
    release = description.read(described(cache, PROGRAM, served))
    if message is None:
        description.check_static(release, STATIC)
    else:
        with pytest.raises(description.DescriptionError, match=message):
            description.check_static(release, STATIC)


def test_static_files_may_be_left_out_of_the_application(cache: Path) -> None:
    description.check_static(description.read(described(cache, {"server.js": b"c"}, SERVED)), STATIC)


def test_an_application_without_static_files_needs_none(cache: Path) -> None:
    description.check_static(description.read(described(cache, PROGRAM, {})), [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"release": "../x"}, r"a.json: release: got '../x'; must be letters, digits and . _ \+ -"),
        ({"sha256": "AB"}, "sha256: got 'AB'; must be 64 hexadecimal digits"),
        ({"static_path": ""}, "static_path: got ''; must be text"),
    ],
)
def test_a_description_names_the_key_that_is_wrong(cache: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(description.DescriptionError, match=message):
        description.read(described(cache, PROGRAM, SERVED, **changes))


def test_the_runtime_that_an_application_may_name_is_the_one_of_the_bundle() -> None:
    pins = json.loads((runtime.SOURCE / "package.json").read_text())["optionalDependencies"]
    majors = {pin.partition(".")[0] for pin in pins.values()}
    assert set(get_args(get_type_hints(Runtime)["version"])) == majors
