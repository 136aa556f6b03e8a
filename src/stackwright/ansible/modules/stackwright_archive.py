"""The part of `stackwright_archive` that runs on the host: see `DOCUMENTATION`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: stackwright_archive
short_description: One version of something, unpacked from an archive on the controller
description:
  - Unpacks a tar archive of the controller to O(dest) whole or not at all, after its SHA-256 has been verified.
  - What is there already with the same checksum is left alone and nothing is sent, unless a file, link or folder of it was
    changed, added or removed since. Only what differs is replaced, so that processes that run from there are not disturbed.
  - C(.stackwright-archive) in the folder records the time of the last such repair; processes that started earlier may have
    read a changed file.
  - What is there with another checksum is an error (a version never changes its content), unless O(replace) is set.
options:
  src: {description: Path of the archive on the controller., type: path}
  dest: {description: Folder that the archive becomes., type: path, required: true}
  sha256: {description: Checksum of the archive., type: str, required: true}
  strip: {description: Leading folders of the archive's paths to drop., type: int, default: 0}
  replace: {description: Replace another content of the same version., type: bool, default: false}
  keep: {description: "Paths below O(dest) that are not the archive's.", type: list, elements: str, default: []}
  manifest: {description: A JSON file in the archive that must exist., type: str}
  manifest_values: {description: Values that the manifest must have., type: dict, default: {}}
  transferred: {description: Internal. The archive's copy on the host., type: path}
author: [stackwright]
"""

RECORD = ".stackwright-archive"
#: How many paths a warning names; the result has all of them.
SHOWN_PATHS = 10
Fields = dict[str, Any]
#: Properties of each file, link or directory, by its path.
Tree = dict[str, tuple[str | int, ...]]


class ArchiveError(Exception):
    """The archive cannot be unpacked; the message gives the reason."""


@dataclass(frozen=True)
class Record:
    """The archive that a directory was unpacked from, and what it contained then."""

    sha256: str
    #: Digests of the directory tree: of all contents, and of what `stat` reports.
    contents: str = ""
    seen: str = ""
    #: When something was last restored, in UTC; empty if nothing ever was.
    repaired: str = ""

    @classmethod
    def read(cls, dest: Path) -> Record | None:
        """Return the record in `dest`; None if `dest` does not exist, an empty one if something else created it."""
        if not dest.exists():
            return None
        try:
            text = (dest / RECORD).read_text()
        except FileNotFoundError:
            return cls("")
        # Earlier versions wrote only the checksum.
        return cls(**json.loads(text)) if text.startswith("{") else cls(text.strip())

    def write(self, dest: Path) -> None:
        """Write the record atomically."""
        partial = dest / f"{RECORD}.partial"
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n")
        partial.rename(dest / RECORD)


def paths(folder: Path, keep: Collection[str]) -> Iterator[tuple[str, Path]]:
    """Yield `folder` and the archive's paths below it, without `keep` and its parents, which may have any owner."""
    not_compared = {str(parent) for path in keep for parent in (Path(path), *Path(path).parents)}
    not_compared |= {RECORD, f"{RECORD}.partial"}
    yield ".", folder
    for current, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(current, name)
            relative = str(path.relative_to(folder))
            if relative not in not_compared:
                yield relative, path
        folders[:] = [name for name in folders if str(Path(current, name).relative_to(folder)) not in keep]


def tree(folder: Path, keep: Collection[str], *, contents: bool) -> Tree:
    """Return all that is below `folder`, files by checksum or, much cheaper, by attributes that every write changes."""
    described: Tree = {}
    for relative, path in paths(folder, keep):
        status = path.lstat()
        owner = (status.st_uid, status.st_gid)
        if stat.S_ISLNK(status.st_mode):
            described[relative] = (*owner, str(path.readlink()))
        elif not stat.S_ISREG(status.st_mode):
            described[relative] = (*owner, status.st_mode)
        elif contents:
            described[relative] = (*owner, status.st_mode, checksum(path))
        else:
            described[relative] = (
                *owner,
                status.st_mode,
                status.st_ino,
                status.st_size,
                status.st_mtime_ns,
                status.st_ctime_ns,
            )
    return described


def digest(described: Tree) -> str:
    """Return the SHA-256 of a described tree."""
    return hashlib.sha256(json.dumps(sorted(described.items())).encode()).hexdigest()


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    hashed = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            hashed.update(block)
    return hashed.hexdigest()


def verify_checksum(archive: Path, expected: str) -> None:
    """Raise ArchiveError if the archive does not have the expected checksum."""
    actual = checksum(archive)
    if actual != expected.lower():
        raise ArchiveError(f"the archive's SHA-256 is {actual}, expected {expected}")


def verify_manifest(folder: Path, manifest: str | None, values: Fields) -> None:
    """Raise ArchiveError if the manifest of the archive is missing or names another version."""
    if manifest is None:
        return
    path = folder / manifest
    if not path.is_file():
        raise ArchiveError(f"the archive has no {manifest}")
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ArchiveError(f"{manifest} is not JSON: {error}") from error
    for key, expected in values.items():
        actual = content.get(key) if isinstance(content, dict) else None
        if actual != expected:
            raise ArchiveError(f"{manifest} says {key} = {actual!r}, expected {expected!r}")


def swap(partial: Path, dest: Path) -> None:
    """Move the finished directory into place; remove the old one, if any, last."""
    old = dest.with_name(f".{dest.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if dest.exists():
        dest.rename(old)
    partial.rename(dest)
    shutil.rmtree(old, ignore_errors=True)


def unpack(module: AnsibleModule, archive: Path, dest: Path) -> Path:
    """Verify the archive, unpack it next to the destination, and verify the manifest."""
    verify_checksum(archive, module.params["sha256"])
    partial = dest.with_name(f".{dest.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o755)
    # GNU tar refuses paths that leave the directory; Python's own filter is missing from Debian 12's 3.11.2.
    command = ["tar", "--extract", "--file", str(archive), "--directory", str(partial), "--no-same-owner"]
    module.run_command([*command, f"--strip-components={module.params['strip']}"], check_rc=True, umask=0o022)
    verify_manifest(partial, module.params["manifest"], module.params["manifest_values"])
    return partial


def put_back(partial: Path, dest: Path, keep: Collection[str]) -> list[str]:
    """Make `dest` equal to `partial`, one differing path at a time; return those paths."""
    intended, actual = tree(partial, keep, contents=True), tree(dest, keep, contents=True)
    surplus, differing = (
        actual.keys() - intended.keys(),
        [path for path in intended if intended[path] != actual.get(path)],
    )
    for path in sorted(surplus, reverse=True):
        remove(dest / path)
    # A directory comes before its contents.
    for path in sorted(differing):
        source, target = partial / path, dest / path
        if source.is_dir() and not source.is_symlink():
            if target.is_symlink() or not target.is_dir():
                remove(target)
                target.mkdir()
            shutil.copystat(source, target)
            os.chown(target, source.stat().st_uid, source.stat().st_gid)
            continue
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        source.rename(target)
    return sorted([*surplus, *differing])


def remove(path: Path) -> None:
    """Remove the file, link or directory, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def now() -> str:
    """Return the current time in UTC."""
    return datetime.now(UTC).isoformat()


def is_intact(record: Record, dest: Path, keep: Collection[str], *, check_mode: bool) -> bool:
    """Return whether `dest` is as it was unpacked; read the files only if `stat` differs, and record its result."""
    seen = digest(tree(dest, keep, contents=False))
    if seen == record.seen:
        return True
    if digest(tree(dest, keep, contents=True)) != record.contents:
        return False
    if not check_mode:
        # An empty `seen` means that a repair was interrupted after its last file.
        replace(record, seen=seen, repaired=record.repaired if record.seen else now()).write(dest)
    return True


def repair(record: Record, partial: Path, dest: Path, keep: Collection[str]) -> list[str]:
    """Restore the paths that differ from the archive, and return them."""
    contents = digest(tree(partial, keep, contents=True))
    Record(record.sha256, contents, repaired=now()).write(dest)
    repaired = put_back(partial, dest, keep)
    shutil.rmtree(partial)
    # Earlier versions kept no digests: such a directory may turn out to be intact.
    stamp = now() if repaired else record.repaired
    Record(record.sha256, contents, digest(tree(dest, keep, contents=False)), stamp).write(dest)
    return repaired


def run(module: AnsibleModule) -> Fields:
    """Return what has to be done, or do it if the archive has been sent."""
    dest, keep = Path(module.params["dest"]), module.params["keep"]
    record = Record.read(dest)
    same = record is not None and record.sha256 == module.params["sha256"]
    if record and same and is_intact(record, dest, keep, check_mode=module.check_mode):
        return {"changed": False, "needed": False}
    if record is not None and not same and not module.params["replace"]:
        raise ArchiveError(f"{dest} exists with other content; a version never changes: choose another name for it")
    if module.params["transferred"] is None:
        return {"changed": True, "needed": True}
    partial = unpack(module, Path(module.params["transferred"]), dest)
    if record and same:
        repaired = repair(record, partial, dest, keep)
        if repaired:
            module.warn(f"{dest}: restored what was changed after it was unpacked: {shortened(repaired)}")
        return {"changed": bool(repaired), "needed": False, "repaired": repaired}
    digests = (digest(tree(partial, keep, contents=contents)) for contents in (True, False))
    Record(module.params["sha256"], *digests).write(partial)
    swap(partial, dest)
    return {"changed": True, "needed": False, "repaired": []}


def shortened(names: list[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - SHOWN_PATHS
    return ", ".join(names[:SHOWN_PATHS]) + (f" and {more} more" if more > 0 else "")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path"},
            "dest": {"type": "path", "required": True},
            "sha256": {"type": "str", "required": True},
            "strip": {"type": "int", "default": 0},
            "replace": {"type": "bool", "default": False},
            "keep": {"type": "list", "elements": "str", "default": []},
            "manifest": {"type": "str"},
            "manifest_values": {"type": "dict", "default": {}},
            "transferred": {"type": "path"},
        },
        supports_check_mode=True,
    )
    result: Fields = {}
    try:
        result = run(module)
    except (ArchiveError, OSError) as error:
        partial = Path(module.params["dest"])
        with contextlib.suppress(OSError):
            shutil.rmtree(partial.with_name(f".{partial.name}.partial"))
        module.fail_json(msg=f"{module.params['dest']}: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
