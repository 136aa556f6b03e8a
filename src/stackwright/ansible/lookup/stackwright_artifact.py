"""`lookup('stackwright_artifact', NAME)`: version, path and checksum of what is copied to hosts, for group_vars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from stackwright import project
from stackwright.artifact import runtime

DOCUMENTATION = """
name: stackwright_artifact
short_description: what is built on the controller and copied to hosts
description:
  - C(nodejs) and C(pm2) are the archives of the runtime bundle (version, path, sha256).
  - Anything else is the path, in the project, of the description of an application's release (release, path, sha256,
    static_path, static_sha256); paths in it are relative to the description.
author: stackwright
options:
  _terms:
    description: Names.
    required: true
"""


class LookupModule(LookupBase):  # type: ignore[misc]
    """One description per name."""

    def run(self, terms: list[str], variables: Any = None, **_: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - Ansible's
        return [self._runtime(name) if name in {"nodejs", "pm2"} else self._release(name) for name in terms]

    def _runtime(self, name: str) -> dict[str, Any]:
        # The role verifies the checksum; here the description is enough, and it is read for every task.
        bundle = runtime.cache_folder() / "runtime-x64.json"
        found = self._read(bundle, "python -m stackwright.artifact runtime")
        part: dict[str, Any] = found[name]
        # Absolute but in a bundle, which is unpacked wherever.
        return part | {"path": str(bundle.parent / part["path"])}

    def _release(self, name: str) -> dict[str, Any]:
        path = project.root() / name
        found = self._read(path, "make artifact")
        return found | {key: str(path.parent / found[key]) for key in ("path", "static_path")}

    def _read(self, path: Path, remedy: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise AnsibleLookupError(f"{path} is not there; build it with: {remedy}") from error
        return found
