"""What `stackwright_archive` does on a host with a folder that was changed since it was unpacked."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stackwright.ansible.modules import stackwright_archive


class Module:
    """Stands for AnsibleModule: runs programs, keeps warnings."""

    def __init__(self, check_mode: bool = False, **params: Any) -> None:
        defaults = {
            "strip": 1,
            "replace": False,
            "keep": ["cache"],
            "manifest": None,
            "manifest_values": {},
            "transferred": None,
        }
        self.params = {**defaults, **params}
        self.check_mode = check_mode
        self.warnings: list[str] = []

    def run_command(self, command: list[str], **_: Any) -> None:
        subprocess.run(command, check=True)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    for name, content in {"main.js": "main", "lib/one.js": "one", "lib/two.js": "two", "cache/old": "old"}.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(content)
    (source / "link").symlink_to("main.js")
    path = tmp_path / "archive.tar"
    with tarfile.open(path, "w") as packed:
        packed.add(source, "top")
    return path


@pytest.fixture
def dest(tmp_path: Path, archive: Path) -> Path:
    dest = tmp_path / "unpacked"
    assert run(archive, dest) == {"changed": True, "needed": False, "repaired": []}
    shutil.rmtree(dest / "cache")
    (dest / "cache").symlink_to("/elsewhere")
    return dest


def run(archive: Path, dest: Path, *, send: bool = True, **more: Any) -> dict[str, Any]:
    params = {"dest": str(dest), "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(), **more}
    answer: dict[str, Any] = stackwright_archive.run(Module(**params))
    if answer["needed"] and send:
        answer = stackwright_archive.run(Module(transferred=str(archive), **params))
    return answer


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_text()
        for path in folder.rglob("*")
        if (path.is_symlink() or path.is_file()) and path.name != stackwright_archive.RECORD
    }


def _edited_with_its_time(dest: Path) -> None:
    before = (dest / "main.js").stat()
    (dest / "main.js").write_text("evil")
    os.utime(dest / "main.js", ns=(before.st_atime_ns, before.st_mtime_ns))


def _folder_in_place_of_a_file(dest: Path) -> None:
    (dest / "main.js").unlink()
    (dest / "main.js").mkdir()
    (dest / "main.js" / "x").write_text("x")


def _other_link(dest: Path) -> None:
    (dest / "link").unlink()
    (dest / "link").symlink_to("lib")


def _link_in_place_of_a_folder(dest: Path) -> None:
    (dest / "lib").rename(dest.parent / "aside")
    (dest / "lib").symlink_to(dest.parent / "aside")


CHANGES: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "edited": (lambda dest: (dest / "lib/one.js").write_text("ONE"), ["lib/one.js"]),
    "edited, its size and time kept": (_edited_with_its_time, ["main.js"]),
    "mode": (lambda dest: (dest / "main.js").chmod(0o777), ["main.js"]),
    "owner": (lambda dest: os.chown(dest / "main.js", 1, 1), ["main.js"]),
    "removed": (lambda dest: (dest / "lib/two.js").unlink(), ["lib/two.js"]),
    "a folder removed": (lambda dest: shutil.rmtree(dest / "lib"), ["lib", "lib/one.js", "lib/two.js"]),
    "added": (lambda dest: (dest / "lib/three.js").write_text(""), ["lib/three.js"]),
    "a folder added": (lambda dest: (dest / "more/deep").mkdir(parents=True), ["more", "more/deep"]),
    "the folder itself": (lambda dest: dest.chmod(0o700), ["."]),
    "a folder's mode": (lambda dest: (dest / "lib").chmod(0o700), ["lib"]),
    "a link's target": (_other_link, ["link"]),
    "a folder in place of a file": (_folder_in_place_of_a_file, ["main.js", "main.js/x"]),
    "a link in place of a folder": (_link_in_place_of_a_folder, ["lib", "lib/one.js", "lib/two.js"]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_changed_is_put_back_and_named(name: str, dest: Path, archive: Path) -> None:
    before, tree = contents(dest), stackwright_archive.tree(dest, ["cache"], contents=True)
    change, expected = CHANGES[name]
    change(dest)
    assert run(archive, dest, send=False, check_mode=True) == {"changed": True, "needed": True}
    answer = run(archive, dest)
    assert (answer["changed"], answer["repaired"]) == (True, expected)
    assert contents(dest) == before
    assert stackwright_archive.tree(dest, ["cache"], contents=True) == tree
    record = stackwright_archive.Record.read(dest)
    assert record
    assert record.repaired
    assert run(archive, dest) == {"changed": False, "needed": False}


def test_a_file_that_was_not_changed_stays_the_same_file(dest: Path, archive: Path) -> None:
    """What runs from the folder has it open, or will open it: nothing may be away for a moment."""
    untouched, folder = (dest / "main.js").stat().st_ino, dest.stat().st_ino
    (dest / "lib/one.js").write_text("ONE")
    run(archive, dest)
    assert ((dest / "main.js").stat().st_ino, dest.stat().st_ino) == (untouched, folder)


def test_a_copy_with_equal_contents_is_no_change(dest: Path, archive: Path, tmp_path: Path) -> None:
    """As after a restore of the host: other times and inodes."""
    copy = tmp_path / "copy"
    shutil.copytree(dest, copy, symlinks=True)
    assert run(archive, copy, send=False) == {"changed": False, "needed": False}
    record = stackwright_archive.Record.read(copy)
    assert record
    assert not record.repaired
    assert record.seen == stackwright_archive.digest(stackwright_archive.tree(copy, ["cache"], contents=False))


def test_a_check_writes_nothing(dest: Path, archive: Path) -> None:
    (dest / "main.js").touch()
    before = (dest / stackwright_archive.RECORD).read_text()
    assert run(archive, dest, send=False, check_mode=True) == {"changed": False, "needed": False}
    assert (dest / stackwright_archive.RECORD).read_text() == before


@pytest.mark.parametrize("step", ["put_back", "tree"])
def test_processes_learn_of_a_repair_that_was_interrupted(
    step: str, dest: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`step` is where it dies: at the first file, or after the last."""
    (dest / "main.js").write_text("evil")
    with monkeypatch.context() as patched:
        real = getattr(stackwright_archive, step)
        calls: list[None] = []

        def die(*args: Any, **options: Any) -> Any:
            calls.append(None)
            if step == "put_back" or (Path(args[0]) == dest and (dest / "main.js").read_text() == "main"):
                raise KeyboardInterrupt
            return real(*args, **options)

        patched.setattr(stackwright_archive, step, die)
        with pytest.raises(KeyboardInterrupt):
            run(archive, dest)
    first = stackwright_archive.Record.read(dest)
    assert first
    assert first.repaired
    run(archive, dest)
    second = stackwright_archive.Record.read(dest)
    assert second
    assert second.repaired > first.repaired
    assert (dest / "main.js").read_text() == "main"
    assert run(archive, dest) == {"changed": False, "needed": False}


def test_a_folder_of_an_earlier_version_is_compared_once(dest: Path, archive: Path) -> None:
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    (dest / stackwright_archive.RECORD).write_text(checksum + "\n")
    assert run(archive, dest) == {"changed": False, "needed": False, "repaired": []}
    assert run(archive, dest) == {"changed": False, "needed": False}
