"""`stackwright_converge_record`: see `DOCUMENTATION`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: stackwright_converge_record
short_description: Which environment a host belongs to, and what it was last converged from
description:
  - Reads the record of the last converge and the CA that the host trusts; writes the record of this one.
options:
  path: {description: The record's file., type: path, required: true}
  anchor: {description: File of the CA that the host trusts., type: path, required: true}
  record: {description: "What to write, unless it is the same; without it nothing is written.", type: dict}
author: [stackwright]
"""


def read_record(path: Path) -> dict[str, Any] | None:
    """Return the record of the last converge; None if there is none."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write the record atomically: an interrupted run leaves the previous one."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with fresh.open("w") as stream:
        json.dump(record, stream)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.chmod(0o600)
    fresh.replace(path)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "anchor": {"type": "path", "required": True},
            "record": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    path, anchor = Path(module.params["path"]), Path(module.params["anchor"])
    record = module.params["record"]
    # Who converges and when is not part of the state that a run describes: it is not reported as a change.
    if record is not None and not module.check_mode:
        write_record(path, record)
    trusted = anchor.read_text() if anchor.is_file() else ""
    module.exit_json(changed=False, converged=read_record(path), trusted=trusted)


if __name__ == "__main__":
    main()
