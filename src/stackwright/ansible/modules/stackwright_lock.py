"""The half of `stackwright_lock` that runs on the host: see `DOCUMENTATION`."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: stackwright_lock
short_description: A lock that says who holds it, since when and why
description:
  - Taken by creating a file, so that only one of two can. Whoever holds it may take it again, which renews it.
  - A lock whose holder's process has ended on this controller is taken over at once.
  - One of another controller is taken over when it has not been renewed for O(stale_seconds).
options:
  path: {description: The lock's file., type: path, required: true}
  state: {description: Hold or give back., type: str, choices: [held, released], required: true}
  reason: {description: What the holder is doing., type: str, default: ""}
  stale_seconds: {description: A lock not renewed for so long is abandoned., type: int, default: 1800}
  holder: {description: Internal. Who asks., type: dict}
  replace: {description: "Internal. The holder that has ended.", type: dict}
author: [stackwright]
"""

Fields = dict[str, Any]


def read(path: Path) -> Fields | None:
    """Return the lock's content; an unreadable one, cut short by a full disk, has no holder."""
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {"holder": {}}
    return content if isinstance(content, dict) else {"holder": {}}


def write(path: Path, content: Fields) -> bool:
    """Create the lock unless it exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream)
    return True


def remove(path: Path, holder: Fields) -> bool:
    """Take the lock away from exactly this holder, by a rename that only one process can win."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return False
    content = read(aside)
    if content is not None and content.get("holder") == holder:
        aside.unlink()
        return True
    # Another one had just taken it: give it back.
    os.link(aside, path)
    aside.unlink()
    return False


def hold(module: AnsibleModule) -> Fields:
    """Take or renew the lock; on refusal say who has it."""
    path, holder = Path(module.params["path"]), module.params["holder"]
    content = {"holder": holder, "since": time.strftime("%Y-%m-%d %H:%M:%S %z"), "reason": module.params["reason"]}
    if module.params["replace"] is not None:
        remove(path, module.params["replace"])
    if write(path, content):
        return {"held": True}
    found = read(path) or {"holder": {}}
    if found["holder"] == holder:
        os.utime(path)
        return {"held": True}
    age = time.time() - path.stat().st_mtime
    if age > module.params["stale_seconds"]:
        remove(path, found["holder"])
        return {"held": write(path, content), "found": found}
    return {"held": False, "found": found}


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["held", "released"], "required": True},
            "reason": {"type": "str", "default": ""},
            "stale_seconds": {"type": "int", "default": 1800},
            "holder": {"type": "dict"},
            "replace": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    # A lock is no part of the state that a run describes: taking and giving it back is not reported as a change.
    if module.check_mode:
        module.exit_json(changed=False, held=True)
    if module.params["state"] == "held":
        module.exit_json(changed=False, **hold(module))
    remove(Path(module.params["path"]), module.params["holder"])
    module.exit_json(changed=False, held=False)


if __name__ == "__main__":
    main()
