"""`stackwright_recorded_calls`: see `DOCUMENTATION`."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: stackwright_recorded_calls
short_description: Keep or read the record of the module calls of the last converge
description:
  - The record is readable by root alone, as arguments of modules hold secrets of the host.
options:
  path: {description: The record's file., type: path, required: true}
  content: {description: What to write; without it the record is read., type: str}
author: [stackwright]
"""


def write(path: Path, content: str) -> None:
    """Write the record in one step, for root alone from the first byte."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(content)
    fresh.replace(path)


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True}, "content": {"type": "str", "no_log": True}},
        supports_check_mode=True,
    )
    path, content = Path(module.params["path"]), module.params["content"]
    if content is None:
        module.exit_json(changed=False, content=path.read_text() if path.is_file() else None)
    # What the last converge has asked is no part of the state that a run describes: it is not reported as a change.
    if not module.check_mode:
        write(path, content)
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
