"""The half of `stackwright_archive` that runs on the host: see `DOCUMENTATION`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: stackwright_archive
short_description: One version of something, unpacked from an archive on the controller
description:
  - Unpacks a tar archive of the controller to O(dest) whole or not at all, after its SHA-256 has been verified.
  - What is there already with the same checksum is left alone and nothing is sent.
  - What is there with another checksum is an error (a version never changes its content), unless O(replace) is set.
options:
  src: {description: Path of the archive on the controller., type: path}
  dest: {description: Folder that the archive becomes., type: path, required: true}
  sha256: {description: Checksum of the archive., type: str, required: true}
  strip: {description: Leading folders of the archive's paths to drop., type: int, default: 0}
  replace: {description: Replace another content of the same version., type: bool, default: false}
  manifest: {description: A JSON file in the archive that must exist., type: str}
  manifest_values: {description: Values that the manifest must have., type: dict, default: {}}
  transferred: {description: Internal. The archive's copy on the host., type: path}
author: [stackwright]
"""

MARKER = ".stackwright-archive"
Fields = dict[str, Any]


class ArchiveError(Exception):
    """A condition that the user has to know about."""


def installed_checksum(dest: Path) -> str | None:
    """The checksum of the archive that `dest` was made from; None if `dest` is absent, "" if it is something else."""
    if not dest.exists():
        return None
    marker = dest / MARKER
    return marker.read_text().strip() if marker.is_file() else ""


def verify_checksum(archive: Path, expected: str) -> None:
    """Refuse an archive that is not the one that was asked for."""
    digest = hashlib.sha256()
    with archive.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected.lower():
        raise ArchiveError(f"the archive's SHA-256 is {digest.hexdigest()}, expected {expected}")


def verify_manifest(folder: Path, manifest: str | None, values: Fields) -> None:
    """Refuse an archive whose manifest is absent or says that it is another version."""
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
        found = content.get(key) if isinstance(content, dict) else None
        if found != expected:
            raise ArchiveError(f"{manifest} says {key} = {found!r}, expected {expected!r}")


def swap(partial: Path, dest: Path) -> None:
    """Put the finished folder in place; the old one, if any, leaves last."""
    old = dest.with_name(f".{dest.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if dest.exists():
        dest.rename(old)
    partial.rename(dest)
    shutil.rmtree(old, ignore_errors=True)


def unpack(module: AnsibleModule, archive: Path, dest: Path) -> None:
    """Verify, unpack beside the destination, verify the manifest, then rename."""
    verify_checksum(archive, module.params["sha256"])
    partial = dest.with_name(f".{dest.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o755)
    # GNU tar refuses paths that leave the folder; Python's own filter is missing from Debian 12's 3.11.2.
    command = ["tar", "--extract", "--file", str(archive), "--directory", str(partial), "--no-same-owner"]
    module.run_command([*command, f"--strip-components={module.params['strip']}"], check_rc=True, umask=0o022)
    verify_manifest(partial, module.params["manifest"], module.params["manifest_values"])
    (partial / MARKER).write_text(module.params["sha256"] + "\n")
    swap(partial, dest)


def run(module: AnsibleModule) -> Fields:
    """Say what has to be done, or do it if the archive has been sent."""
    dest = Path(module.params["dest"])
    found = installed_checksum(dest)
    if found == module.params["sha256"]:
        return {"changed": False, "needed": False}
    if found is not None and not module.params["replace"]:
        raise ArchiveError(f"{dest} exists with other content; a version never changes: choose another name for it")
    if module.params["transferred"] is None:
        return {"changed": True, "needed": True}
    unpack(module, Path(module.params["transferred"]), dest)
    return {"changed": True, "needed": False}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path"},
            "dest": {"type": "path", "required": True},
            "sha256": {"type": "str", "required": True},
            "strip": {"type": "int", "default": 0},
            "replace": {"type": "bool", "default": False},
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
