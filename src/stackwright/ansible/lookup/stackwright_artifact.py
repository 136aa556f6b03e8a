"""`lookup('stackwright_artifact', NAME)`: version, path and checksum of an archive for hosts, for group_vars."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from stackwright import project
from stackwright.artifact import description, runtime

DOCUMENTATION = """
name: stackwright_artifact
short_description: what is built on the controller and copied to hosts
description:
  - C(nodejs) and C(pm2) are the archives of the runtime bundle (version, path, sha256).
  - Anything else is the path, in the project, of the description of an application's release (release, path, sha256,
    static_path, static_sha256); paths in it are relative to the description.
  - With O(static), the static files that the application declares have to be in the archives.
author: stackwright
options:
  _terms:
    description: Names.
    required: true
  static:
    description: C(static) of the application, a list of C(url) and C(folder).
    type: list
    elements: dict
"""


class LookupModule(LookupBase):  # type: ignore[misc]
    """Returns a description for each name."""

    def run(self, terms: list[str], variables: Any = None, **options: Any) -> list[dict[str, Any]]:
        """Return the descriptions."""
        self.set_options(var_options=variables, direct=options)
        return [self._runtime(name) if name in {"nodejs", "pm2"} else self._release(name) for name in terms]

    def _runtime(self, name: str) -> dict[str, Any]:
        # The role verifies the checksum; here the description is enough, and it is read for every task.
        bundle = runtime.cache_folder() / "runtime-x64.json"
        parts = self._read(bundle, "python -m stackwright.artifact runtime")
        part: dict[str, Any] = parts[name]
        # The path is absolute except in a bundle, which may be unpacked anywhere.
        return part | {"path": str(bundle.parent / part["path"])}

    def _release(self, name: str) -> dict[str, Any]:
        path = project.root() / name
        try:
            release = description.read(path)
            description.check_static(release, self.get_option("static") or [])
        except FileNotFoundError as error:
            raise AnsibleLookupError(f"{path} is not there; build it with: make artifact") from error
        except description.DescriptionError as error:
            raise AnsibleLookupError(str(error)) from error
        return asdict(release)

    def _read(self, path: Path, remedy: str) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError as error:
            raise AnsibleLookupError(f"{path} is not there; build it with: {remedy}") from error
        return document
